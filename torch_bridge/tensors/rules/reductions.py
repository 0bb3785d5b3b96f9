"""Sums, means, extrema and what is made of them.

Along an axis that is not split, each rank computes what torch does. A sum over an axis that is split is a sum of the
ranks' sums: ``Copies``, which are added up. Others are compositions of sums; an extremum along a split axis is that of
the ranks' extrema.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from torch_bridge.tensors.axes import bring_together, settle
from torch_bridge.tensors.call import Call, Plan, Spec, gather, results_of, rule
from torch_bridge.tensors.movement import move_between
from torch_bridge.tensors.placement import Placement
from torch_bridge.tensors.rules.names import known

HALF = (torch.float16, torch.bfloat16)
"""Summed in single precision, as torch's kernels do."""


def dims(x: Spec, dim: Any) -> tuple[int, ...]:
    """Return the axes that an argument ``dim`` names; all of them for None or an empty list."""
    if dim is None or (isinstance(dim, Sequence) and len(dim) == 0):
        return tuple(range(x.ndim))
    return tuple(sorted({x.axis(d) for d in ([dim] if isinstance(dim, int) else dim)})) if x.ndim else ()


def reduced(placement: Placement, axes: Sequence[int], keepdim: bool) -> tuple[Placement, Placement]:
    """Return how a tensor lies before a sum over axes, and the result: a term of the sum where an axis is split."""
    labels = list(range(len(placement.shape)))
    assignment = settle(placement.grid, [(placement, labels)])
    kept = [a for a in labels if a not in axes]
    source = assignment.placement(placement.shape, labels)
    if keepdim:
        shape = [1 if a in axes else n for a, n in enumerate(placement.shape)]
        return source, assignment.placement(shape, [None if a in axes else a for a in labels])
    return source, assignment.placement([placement.shape[a] for a in kept], kept)


@rule(*known("sum", "nansum", "count_nonzero"))
def sums(
    call: Call, x: Spec, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, **_: Any
) -> Plan:
    """A sum of the ranks' sums."""
    source, result = reduced(x.placement, dims(x, dim if axis is None else axis), keepdim)
    return Plan([source], result, total=True, skip=False)


@rule(*known("mean"))
def mean(
    call: Call, x: Spec, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, axis: Any = None, **_: Any
) -> Plan:
    """The ranks' sums, each divided by the number of all entries."""
    axes = dims(x, dim if axis is None else axis)
    call.meta()  # torch's own error for whole numbers
    source, result = reduced(x.placement, axes, keepdim)
    if not result.partial:
        return Plan([source], result, skip=False)
    count = math.prod(x.shape[a] for a in axes)

    def divided(call: Call, part: torch.Tensor) -> torch.Tensor:
        wide = part.float() if part.dtype in HALF and dtype is None else part
        return (
            torch.sum(wide, axes, keepdim, dtype=dtype).div(count).to(dtype or part.dtype) if axes else call.run(part)
        )

    return Plan([source], result, divided, total=True, skip=False)


def along(call: Call, x: Spec, axes: Sequence[int], keepdim: bool) -> Plan:
    """Return the plan of a function that needs some axes whole, which it reduces."""
    source = bring_together(x.placement, axes)
    _, result = reduced(source, axes, keepdim)
    return Plan([source], results_of(call, lambda _: result))


def _splits(x: Spec, axes: Sequence[int]) -> bool:
    return bool(x.placement.cut_axes.intersection(axes)) or x.placement.partial


@rule(*known("var", "std", "var_mean", "std_mean"))
def variance(
    call: Call,
    x: Spec,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
    axis: Any = None,
) -> Any:
    """The mean of squares of what is left without the mean."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    axes = dims(x, dim if axis is None else axis)
    if not _splits(x, axes):
        return along(call, x, axes, keepdim)
    less = correction if correction is not None else 1 if unbiased is None else int(unbiased)
    name = call.function.__name__
    count = math.prod(x.shape[a] for a in axes)

    def composed(x: Any, *_: Any, **__: Any) -> Any:
        centre = x.mean(axes, keepdim=True)
        rest = x - centre
        squares = (rest * rest.conj()).real if x.is_complex() else rest * rest
        result = squares.sum(axes, keepdim=keepdim) / max(count - less, 0)
        result = result.sqrt() if name.startswith("std") else result
        if name.endswith("_mean"):
            return result, centre if keepdim else centre.reshape(result.shape)
        return result

    return composed


@rule(*known("amax", "amin"))
def extrema(call: Call, x: Spec, dim: Any = (), keepdim: bool = False, **_: Any) -> Any:
    """The extremum of the ranks' extrema: what is brought together is one entry a rank."""
    return along(call, x, dims(x, dim), keepdim)


@rule(*known("max", "min"))
def extremum(call: Call, x: Spec, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    """Of all entries, along an axis with its index, or of two tensors."""
    if len(call.operands) == 2:
        from torch_bridge.tensors.rules.entrywise import entrywise

        return entrywise(call)
    return along(call, x, dims(x, dim), keepdim)


@rule(
    *known("prod", "all", "any", "logsumexp", "nanmean", "aminmax", "argmax", "argmin", "median", "nanmedian", "mode")
)
def one_axis(call: Call, x: Spec, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    """Along axes that are whole on each rank."""
    if call.function.__name__ == "mode" and dim is None:
        dim = -1
    if isinstance(dim, torch.dtype):
        dim = None
    return along(call, x, dims(x, dim), keepdim)


@rule(*known("kthvalue"))
def kth(call: Call, x: Spec, k: int, dim: int = -1, keepdim: bool = False, **_: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    return along(call, x, dims(x, dim), keepdim)


@rule(*known("quantile", "nanquantile"))
def quantile(call: Call, x: Spec, q: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Plan:
    """All of the axis on each rank; the quantiles come first."""
    return gather(call)


@rule(*known("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "sort", "argsort", "msort", "renorm", "diff"))
def scans(call: Call, x: Spec, *args: Any, **kwargs: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    name = call.function.__name__
    numbers = [a for a in args if isinstance(a, int) and not isinstance(a, bool)]
    dim = kwargs.get("dim")
    if dim is None:
        if name in ("sort", "argsort"):
            dim = numbers[0] if numbers else -1
        elif name == "msort":
            dim = 0
        elif name == "diff" or name == "renorm":
            return gather(call)
        else:
            dim = numbers[0]
    source = bring_together(x.placement, [x.axis(dim)])
    return Plan([source], results_of(call, lambda _: source))


@rule(*known("topk"))
def topk(call: Call, x: Spec, k: int, dim: int = -1, *_: Any, **__: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    axis = x.axis(dim)
    source = bring_together(x.placement, [axis])
    labels = [None if a == axis else a for a in range(x.ndim)]
    assignment = settle(call.grid, [(source, labels)])
    return Plan([source], results_of(call, lambda shape: assignment.placement(shape, labels[: len(shape)])))


@rule(
    torch.linalg.vector_norm,
    torch.linalg.norm,
    torch.linalg.matrix_norm,
    *known("norm", "nuclear_norm"),
    torch.functional.norm,
)
def norm(call: Call, x: Spec, *args: Any, **kwargs: Any) -> Any:
    """The Euclidean norm is the root of a sum of squares; other norms have their axes whole."""
    linalg = call.function.__name__.startswith("linalg")
    names = ("ord", "dim", "keepdim", "dtype") if linalg else ("p", "dim", "keepdim", "out", "dtype")
    given = dict(zip(names, args, strict=False)) | kwargs
    order, dim, keepdim, dtype = (given.get(name) for name in (names[0], "dim", "keepdim", "dtype"))
    axes = dims(x, (-2, -1) if dim is None and call.function is torch.linalg.matrix_norm else dim)
    of_matrix = call.function is not torch.linalg.vector_norm and len(axes) == 2 and (linalg and order is not None)
    euclidean = order in (None, "fro") or (order == 2 and not of_matrix)
    if not (euclidean and axes and _splits(x, axes)):
        return along(call, x, axes, bool(keepdim))
    call.meta()
    source, result = reduced(x.placement, axes, bool(keepdim))
    add_up = move_between(result, result.finished())

    def root(_: Call, part: torch.Tensor) -> torch.Tensor:
        wide = part.float() if part.dtype in HALF else part
        squares = add_up(torch.linalg.vector_norm(wide, 2, axes, bool(keepdim), dtype=dtype).square())
        positive = squares > 0  # the root has no derivative at zero; torch's norm has zero there
        size = torch.where(positive, torch.where(positive, squares, torch.ones_like(squares)).sqrt(), squares)
        return size if dtype is not None or part.dtype not in HALF else size.to(part.dtype)

    return Plan([source], result.finished(), root, skip=False)


@rule(*known("norm_except_dim"))
def norm_except(call: Call, v: Spec, p: Any = 2, dim: int = 0) -> Any:
    """The norm over all axes but one."""
    axes = [a for a in range(v.ndim) if dim == -1 or a != v.axis(dim)]
    return lambda v, *_, **__: torch.linalg.vector_norm(v, p, axes, keepdim=dim != -1)
