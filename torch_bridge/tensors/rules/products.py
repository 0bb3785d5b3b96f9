"""Products of matrices and what is like them: one table, label by label.

=================================  =======================================================
a label that is split              each rank has
=================================  =======================================================
in both operands and the result    its part of the batch
in one operand and the result      its rows or columns; the other operand is used as copies
in operands only                   a term of the sum: the result is `Copies`
=================================  =======================================================
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch

from torch_bridge.tensors import context
from torch_bridge.tensors.axes import settle
from torch_bridge.tensors.call import Call, Plan, Spec, gather, rule
from torch_bridge.tensors.movement import move_between
from torch_bridge.tensors.rules.names import known, named
from torch_bridge.tensors.rules.reductions import HALF

AS_GIVEN = {"mv", "dot", "inner", "outer", "ger", "vdot"}
"""Products that autocast leaves in their own precision."""


def product(call: Call, labels: Sequence[Sequence[Hashable]], result: Sequence[Hashable], **plan: Any) -> Plan:
    """Return the plan of a product whose operands and result have these labels."""
    shape = tuple(call.meta().shape)
    extents = {
        label: extent
        for spec, names in zip(call.operands, labels, strict=True)
        for label, extent in zip(names, spec.shape, strict=True)
        if extent != 1
    }
    labels = [
        [label if extents.get(label, 1) == extent else None for label, extent in zip(names, spec.shape, strict=True)]
        for spec, names in zip(call.operands, labels, strict=True)
    ]
    assignment = settle(call.grid, [(spec.placement, names) for spec, names in zip(call.operands, labels, strict=True)])
    targets = [assignment.placement(spec.shape, names) for spec, names in zip(call.operands, labels, strict=True)]
    placement = assignment.placement(shape, result)
    lower = context.autocast() if call.function.__name__ not in AS_GIVEN else None
    dtypes = {spec.dtype for spec in call.operands}
    half = lower if lower is not None and torch.float64 not in dtypes else call.operands[0].dtype
    if not placement.partial or half not in HALF:
        return Plan(targets, placement, **plan)
    add_up = move_between(placement, placement.finished())

    def in_single(call: Call, *parts: torch.Tensor) -> torch.Tensor:
        """Terms of half precision are summed in single, and rounded once, as torch's kernels do."""
        with torch.autocast("cpu", enabled=False):
            return add_up(call.run(*(part.to(half).float() for part in parts))).to(half)

    return Plan(targets, placement.finished(), in_single, skip=False)


@rule(*known("matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "dot", "inner", "outer", "ger", "vdot"))
def matmul(call: Call, a: Spec, b: Spec, **_: Any) -> Any:
    """Rows, columns, what is summed over, and a batch with broadcasting."""
    if call.function.__name__ == "__rmatmul__":
        a, b = b, a
    if call.function.__name__ in ("outer", "ger"):
        return product(call, ["r", "c"], "rc")
    if call.function.__name__ == "inner" and not (a.ndim and b.ndim):
        return lambda a, b, **_: a * b
    if call.function.__name__ == "inner":
        rows, columns = [f"r{k}" for k in range(a.ndim - 1)], [f"c{k}" for k in range(b.ndim - 1)]
        return product(call, [[*rows, "s"], [*columns, "s"]], [*rows, *columns])
    batch = max(a.ndim, b.ndim) - 2
    names = list(range(-batch, 0))
    row, column = ["r"] if a.ndim > 1 else [], ["c"] if b.ndim > 1 else []
    first = [*names[len(names) - max(a.ndim - 2, 0) :], *row, "s"]
    second = [*names[len(names) - max(b.ndim - 2, 0) :], "s", *column]
    operands = [first, second] if call.operands[0] is a else [second, first]
    return product(call, operands, [*names, *row, *column])


@rule(*known("linear"))
def linear(call: Call, x: Spec, weight: Spec, bias: Spec | None = None) -> Any:
    """``x W^T + b``: features in are summed over; the bias is added where the sum is complete."""
    names = [f"b{k}" for k in range(x.ndim - 1)]
    out = ["o"] if weight.ndim == 2 else []
    if bias is None:
        return product(call, [[*names, "i"], [*out, "i"]], [*names, *out])
    plan = product(call, [[*names, "i"], [*out, "i"], out], [*names, *out])
    if not plan.results.partial and plan.compute is None:
        return plan

    def composed(x: Any, weight: Any, bias: Any = None) -> Any:
        made = torch.nn.functional.linear(x, weight)
        return made + bias.to(made.dtype)

    return composed


@rule(*known("bilinear"))
def bilinear(call: Call, x: Spec, y: Spec, weight: Spec, bias: Spec | None = None) -> Any:
    """``x W y + b``, features in of both are whole."""
    if bias is not None:
        return lambda x, y, weight, bias: torch.nn.functional.bilinear(x, y, weight) + bias
    names = [f"b{k}" for k in range(x.ndim - 1)]
    return product(call, [[*names, None], [*names, None], ["o", None, None]], [*names, "o"])


@rule(*known("addmm", "addmv", "addr", "addbmm", "baddbmm"))
def add_product(call: Call, x: Spec, a: Spec, b: Spec, **_: Any) -> Any:
    """A multiple of a tensor and of a product."""

    def composed(x: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1, **__: Any) -> Any:
        dtype = x.dtype
        if dtype in HALF:  # rounded once, as torch's kernels do
            x, a, b = x.float(), a.float(), b.float()
        made = torch.outer(a, b) if name == "addr" else torch.matmul(a, b)
        made = made.sum(0) if name == "addbmm" else made
        made = made if alpha == 1 else made * alpha
        if beta == 0:  # what is no number in x does not count, and its gradient is zero
            return (made + x.masked_fill(torch.ones_like(x, dtype=torch.bool), 0)).to(dtype)
        return (made + (x if beta == 1 else x * beta)).to(dtype)

    name = call.function.__name__
    call.meta()
    return composed


@rule(torch.einsum, torch.functional.einsum)
def einsum(call: Call, equation: Any, *operands: Any) -> Any:
    """The labels are the equation's own letters; an ellipsis stands for a batch."""
    if not isinstance(equation, str):
        return None
    specs = call.operands
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    widest = max(
        (spec.ndim - len(t.replace("...", "")) for t, spec in zip(terms, specs, strict=True) if "..." in t), default=0
    )
    batch = [f"...{k}" for k in range(widest)]

    def labels(term: str, ndim: int | None = None) -> list[str]:
        before, dots, after = term.partition("...")
        width = widest if ndim is None else ndim - len(before) - len(after)
        return [*before, *(batch[len(batch) - width :] if dots else []), *after]

    if not arrow:
        letters = sorted(c for c in set(left) - set(",.") if left.count(c) == 1)
        right = ("..." if "..." in left else "") + "".join(letters)
    names: list[list[str | None]] = [[*labels(term, spec.ndim)] for term, spec in zip(terms, specs, strict=True)]
    twice = {c for term in names for c in term if term.count(c) > 1}
    names = [[None if c in twice else c for c in term] for term in names]  # a diagonal has both axes whole
    return product(call, names, labels(right))


@rule(torch.tensordot, torch.functional.tensordot)
def tensordot(call: Call, a: Spec, b: Spec, dims: Any = 2, **_: Any) -> Plan:
    """Axes of the first are summed with axes of the second."""
    if isinstance(dims, int):
        pairs = list(zip(range(a.ndim - dims, a.ndim), range(dims), strict=True))
    else:
        pairs = list(zip([a.axis(d) for d in dims[0]], [b.axis(d) for d in dims[1]], strict=True))
    first, second = [f"a{k}" for k in range(a.ndim)], [f"b{k}" for k in range(b.ndim)]
    for k, (i, j) in enumerate(pairs):
        first[i] = second[j] = f"s{k}"
    rest = [n for n in (*first, *second) if not n.startswith("s")]
    return product(call, [first, second], rest)


@rule(torch.chain_matmul, torch.functional.chain_matmul, torch.linalg.multi_dot)
def chain(call: Call, *_: Any, **__: Any) -> Any:
    """A product of several, from the left."""

    def composed(*matrices: Any, **__: Any) -> Any:
        given = (
            list(matrices[0]) if len(matrices) == 1 and not isinstance(matrices[0], torch.Tensor) else list(matrices)
        )
        made = given[0]
        for matrix in given[1:]:
            made = made @ matrix
        return made

    call.meta()
    return composed


@rule(*known("cov"))
def cov(call: Call, x: Spec, **kwargs: Any) -> Any:
    """The products of what is left of each row without its mean."""
    if any(kwargs.get(name) is not None for name in ("fweights", "aweights")):
        return gather(call)
    call.meta()

    def composed(x: Any, *, correction: int = 1, **_: Any) -> Any:
        rows = x.reshape(1, -1) if x.dim() < 2 else x
        rest = rows - rows.mean(1, keepdim=True)
        made = rest @ rest.conj().T / max(rows.shape[1] - correction, 0)
        return made.squeeze() if x.dim() < 2 else made

    return composed


@rule(*known("corrcoef"))
def corrcoef(call: Call, x: Spec) -> Any:
    """Covariances over deviations."""
    call.meta()

    def composed(x: Any) -> Any:
        made = x.cov()
        if x.dim() < 2:
            return made / made
        deviation = made.diagonal().sqrt()
        made = made / deviation[:, None] / deviation[None, :]
        if made.is_complex():
            return torch.complex(made.real.clip(-1, 1), made.imag.clip(-1, 1))
        return made.clip(-1, 1)

    return composed


__all__ = ["named", "product"]
