"""Sums, means, extrema and what is made of them.

Along an axis that is not split, each rank computes what torch does. Along one that is,

==========================  ========================================================================
a sum                       is a sum of the ranks' sums: ``Copies``, which are added up
a product, a norm           is that of the ranks' products, or norms: one entry a rank is sent
an extremum                 is that of the ranks' extrema; its gradient goes to all entries that have it, in even shares
others                      are compositions of these, or bring the axis together
==========================  ========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, final

import torch

from distdl_ops import Replicated, Split
from torch_bridge.tensors.axes import bring_together, labelled, on_axis, settle
from torch_bridge.tensors.call import Call, Plan, Spec, gather, results_of, rule
from torch_bridge.tensors.movement import move_between
from torch_bridge.tensors.placement import Placement, place
from torch_bridge.tensors.rules.entrywise import entrywise
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


@final
class Stages:
    """A reduction in two stages: of each rank's entries, and of what the ranks have then.

    Parameters
    ----------
    x : Placement
        How the tensor lies.
    axes : sequence of int
        What is reduced.
    keepdim : bool
        Whether these axes stay, with one entry.

    Attributes
    ----------
    source, result : Placement
        How the tensor must lie, and how the result does.
    """

    def __init__(self, x: Placement, axes: Sequence[int], keepdim: bool) -> None:
        self.source = bring_together(x, ())
        lengths = x.grid.axes
        names = [name for name, r in self.source.roles.items() if r.axis is not None and r.axis in axes]
        names = [name for name in names if lengths[name] > 1]
        kept = [1 if a in axes else n for a, n in enumerate(x.shape)]
        roles = {
            name: Split(names.index(name))
            if name in names
            else Replicated()
            if role.axis is None or role.axis in axes
            else on_axis(role, role.axis + len(names))
            for name, role in self.source.roles.items()
        }
        ranks = place(x.grid, (*[lengths[name] for name in names], *kept), roles)
        self.ranks, self.together = ranks, bring_together(ranks, range(len(names)))
        local = self.together.local_shape
        self.staged = (math.prod(local[: len(names)]), *local[len(names) :])
        self.result = reduced(bring_together(self.source, axes), axes, keepdim)[1]
        self._move = move_between(ranks, self.together)

    def second(self, function: Any, first: torch.Tensor) -> torch.Tensor:
        """Return a function, along its first axis, of what each rank has from the first stage."""
        return function(self._move(first.reshape(self.ranks.local_shape)).reshape(self.staged), 0)  # type: ignore[no-any-return]


class _Chosen(torch.autograd.Function):
    """What the entries of a part that have a share in it are equal to; the gradient goes to them by their shares."""

    @staticmethod
    def forward(part: torch.Tensor, share: torch.Tensor, value: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (share,) = ctx.saved_tensors
        return cotangent * share, None, None


@rule(*known("amax", "amin"))
def extrema(call: Call, x: Spec, dim: Any = (), keepdim: bool = False, **_: Any) -> Any:
    """The extremum of the ranks' extrema: what is brought together is one entry a rank."""
    axes = dims(x, dim)
    if not _splits(x, axes):
        return along(call, x, axes, keepdim)
    call.meta()
    stages = Stages(x.placement, axes, keepdim)
    greatest = call.function.__name__ in ("amax", "max")
    extremum = torch.amax if greatest else torch.amin
    least: Any = -math.inf if greatest else math.inf  # what a rank without entries has
    if x.dtype == torch.bool:
        least = not greatest
    elif not x.dtype.is_floating_point:
        least = torch.iinfo(x.dtype).min if greatest else torch.iinfo(x.dtype).max

    def chosen(_: Call, part: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            first = extremum(part, axes, True) if part.numel() else part.new_full(stages.ranks.local_shape, least)
            value = stages.second(extremum, first)
            hit = part == value
            count = stages.second(torch.sum, hit.sum(axes, True))
        share = hit.to(part.dtype) / count
        made: Any = _Chosen.apply(part, share, value) if part.requires_grad else value  # type: ignore[no-untyped-call]
        result: torch.Tensor = made.reshape(stages.result.local_shape)
        return result

    return Plan([stages.source], stages.result, chosen, skip=False)


@rule(*known("max", "min"))
def extremum(call: Call, x: Spec, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    """Of all entries, along an axis with its index, or of two tensors."""
    if len(call.operands) == 2:
        return entrywise(call)
    return extrema(call, x) if dim is None else along(call, x, dims(x, dim), keepdim)


@rule(*known("prod"))
def prod(call: Call, x: Spec, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, **_: Any) -> Any:
    """The product of the ranks' products."""
    if isinstance(dim, torch.dtype):
        dim = None
    axes = dims(x, dim)
    if not _splits(x, axes):
        return along(call, x, axes, keepdim)
    stages = Stages(x.placement, axes, keepdim)

    def products(_: Call, part: torch.Tensor) -> torch.Tensor:
        first = torch.prod(part, dtype=dtype) if dim is None else torch.prod(part, axes[0], dtype=dtype)
        return stages.second(torch.prod, first).reshape(stages.result.local_shape)

    return Plan([stages.source], stages.result, products, skip=False)


def composition(function: Any) -> Any:
    """Return the rule of a reduction that is made of others where its axes are split.

    ``function(x, axes, keepdim)`` is its formula.
    """

    def ruled(call: Call, x: Spec, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
        axes = dims(x, dim)
        call.meta()
        if not _splits(x, axes) or not x.numel():
            return along(call, x, axes, keepdim)
        return lambda x, *_, **__: function(x, axes, keepdim)

    ruled.__doc__ = function.__doc__
    return ruled


@rule(*known("all"))
@composition
def every(x: Any, axes: Any, keepdim: bool) -> Any:
    """No entry is zero: these are counted."""
    none = (x == 0).sum(axes, keepdim=keepdim) == 0
    return none.to(torch.uint8) if x.dtype == torch.uint8 else none


@rule(*known("any"))
@composition
def some(x: Any, axes: Any, keepdim: bool) -> Any:
    """Some entry is not zero: these are counted."""
    more = (x != 0).sum(axes, keepdim=keepdim) > 0
    return more.to(torch.uint8) if x.dtype == torch.uint8 else more


@rule(*known("equal"))
def equal(call: Call, x: Spec, y: Spec) -> Any:
    """All entries are."""
    return lambda x, y: x.shape == y.shape and bool((x == y).all())


@rule(*known("allclose"))
def allclose(call: Call, *_: Any, **__: Any) -> Any:
    """All entries are."""
    call.meta()
    return lambda *args, **kwargs: bool(torch.isclose(*args, **kwargs).all())


@rule(*known("nanmean"))
@composition
def nanmean(x: Any, axes: Any, keepdim: bool) -> Any:
    """The sum of what is a number, over how many there are."""
    return x.nansum(axes, keepdim=keepdim) / (~x.isnan()).sum(axes, keepdim=keepdim)


@rule(*known("aminmax"))
@composition
def aminmax(x: Any, axes: Any, keepdim: bool) -> Any:
    """Both extrema."""
    return torch.return_types.aminmax((x.amin(axes, keepdim), x.amax(axes, keepdim)))


@rule(*known("logsumexp"))
@composition
def logsumexp(x: Any, axes: Any, keepdim: bool) -> Any:
    """The logarithm of a sum, of what is left when the greatest entry is taken away."""
    greatest = (x.real if x.is_complex() else x).detach().amax(axes, keepdim=True)
    greatest = torch.where(greatest.isfinite(), greatest, torch.zeros_like(greatest))
    made = (x - greatest).exp().sum(axes, keepdim=True).log() + greatest
    return made if keepdim else made.squeeze(axes)


@rule(*known("argmax", "argmin", "median", "nanmedian", "mode"))
def one_axis(call: Call, x: Spec, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    """Along axes that are whole on each rank."""
    if call.function.__name__ == "mode" and dim is None:
        dim = -1
    return along(call, x, dims(x, dim), keepdim)


@rule(*known("kthvalue"))
def kth(call: Call, x: Spec, k: int, dim: int = -1, keepdim: bool = False, **_: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    return along(call, x, dims(x, dim), keepdim)


@rule(*known("quantile", "nanquantile"))
def quantile(call: Call, x: Spec, q: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Plan:
    """Along an axis that is whole on each rank; the quantiles come first."""
    if dim is None:
        return gather(call)
    axis, first = x.axis(dim), [None] if isinstance(q, Spec) and q.ndim else []
    kept = [None if a == axis else a for a in range(x.ndim)]
    labels: list[list[Any]] = [kept, *([None] * spec.ndim for spec in call.operands[1:])]
    return labelled(call, labels, [*first, *(a for a in kept if keepdim or a is not None)])


@rule(*known("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp"))
def scans(call: Call, x: Spec, dim: int, **_: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    return one_whole(call, x, dim)


@rule(*known("sort", "argsort"))
def sort(call: Call, x: Spec, dim: Any = -1, *args: Any, **kwargs: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    return one_whole(
        call, x, args[0] if isinstance(dim, bool) and args else kwargs.get("dim", -1 if isinstance(dim, bool) else dim)
    )


@rule(*known("msort"))
def msort(call: Call, x: Spec) -> Plan:
    """Along the first axis, which is whole on each rank."""
    return one_whole(call, x, 0)


@rule(*known("topk"))
def topk(call: Call, x: Spec, k: int, dim: int = -1, *_: Any, **__: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    return one_whole(call, x, dim)


def one_whole(call: Call, x: Spec, dim: int) -> Plan:
    """Return the plan of a function of one tensor with results of its axes, of which one is whole on each rank."""
    axis = x.axis(dim)
    kept = [None if a == axis else a for a in range(x.ndim)]
    return labelled(call, [kept], kept)


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
    if call.function in known("nuclear_norm"):
        return gather(call)
    names = ("ord", "dim", "keepdim", "dtype") if linalg else ("p", "dim", "keepdim", "out", "dtype")
    given = dict(zip(names, args, strict=False)) | kwargs
    order: Any = given.get(names[0])
    dim, keepdim, dtype = (given.get(name) for name in ("dim", "keepdim", "dtype"))
    axes = dims(x, (-2, -1) if dim is None and call.function is torch.linalg.matrix_norm else dim)
    of_matrix = call.function is not torch.linalg.vector_norm and len(axes) == 2 and (linalg and order is not None)
    euclidean = order in (None, "fro") or (order == 2 and not of_matrix)
    alone = not euclidean and (of_matrix or isinstance(order, str) or order < 0 or not x.numel())
    if alone or not (axes and _splits(x, axes)):
        return along(call, x, axes, bool(keepdim))
    call.meta()
    if not euclidean:
        return _norm_of_order(x, axes, bool(keepdim), order, dtype)
    source, result = reduced(x.placement, axes, bool(keepdim))
    add_up = move_between(result, result.finished())

    def root(_: Call, part: torch.Tensor) -> torch.Tensor:
        wide = part.float() if part.dtype in HALF else part
        squares = add_up(torch.linalg.vector_norm(wide, 2, axes, bool(keepdim), dtype=dtype).square())
        positive = squares > 0  # the root has no derivative at zero; torch's norm has zero there
        size = torch.where(positive, torch.where(positive, squares, torch.ones_like(squares)).sqrt(), squares)
        return size if dtype is not None or part.dtype not in HALF else size.to(part.dtype)

    return Plan([source], result.finished(), root, skip=False)


def _norm_of_order(x: Spec, axes: Sequence[int], keepdim: bool, order: float, dtype: Any) -> Any:
    """Return what computes a norm that is not the Euclidean one: that of the ranks' norms."""
    if math.isinf(order):

        def extreme(x: Any, *_: Any, **__: Any) -> Any:
            size = (x if dtype is None else x.to(dtype)).abs()
            return size.amax(axes, keepdim) if order > 0 else size.amin(axes, keepdim)

        return extreme
    stages = Stages(x.placement, axes, keepdim)

    def norms(_: Call, part: torch.Tensor) -> torch.Tensor:
        wide = part.float() if part.dtype in HALF else part
        size = torch.linalg.vector_norm(wide, order, axes, True, dtype=dtype)
        size = stages.second(lambda s, axis: torch.linalg.vector_norm(s, order, axis) if order else s.sum(axis), size)
        size = size if dtype is not None or part.dtype not in HALF else size.to(part.dtype)
        return size.reshape(stages.result.local_shape)

    return Plan([stages.source], stages.result, norms, skip=False)


@rule(*known("norm_except_dim"))
def norm_except(call: Call, v: Spec, p: Any = 2, dim: int = 0) -> Any:
    """The norm over all axes but one."""
    axes = [a for a in range(v.ndim) if dim == -1 or a != v.axis(dim)]
    return lambda v, *_, **__: torch.linalg.vector_norm(v, p, axes, keepdim=dim != -1)
