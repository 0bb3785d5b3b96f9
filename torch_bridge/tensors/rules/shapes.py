"""Functions that rearrange entries: an axis of the result that is an axis of the argument is split as that is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch

from distdl_ops import Split
from torch_bridge.tensors import context
from torch_bridge.tensors.axes import bring_together, settle
from torch_bridge.tensors.call import RULES, VIEWS, Call, Plan, Spec, gather, results_of, rule, rule_of_intervals
from torch_bridge.tensors.placement import Placement, place
from torch_bridge.tensors.rules.names import known

T: Any = torch.Tensor


def _ints(given: Sequence[Any]) -> tuple[int, ...]:
    """Return whole numbers that are given one by one, or as one sequence."""
    if len(given) == 1 and not isinstance(given[0], int):
        given = given[0]
    return tuple(int(k) for k in given)


def renamed(call: Call, x: Spec, labels: Sequence[Any], whole: Sequence[int] = (), compute: Any = None) -> Plan:
    """Return the plan of a function of one tensor whose result's axes are axes of it, or new ones (None)."""
    source = bring_together(x.placement, whole)
    assignment = settle(call.grid, [(source, range(x.ndim))])
    return Plan([source], results_of(call, lambda shape: assignment.placement(shape, labels)), compute)


@rule(*known("permute", "permute_copy"))
def permute(call: Call, x: Spec, *order: Any, dims: Any = None) -> Plan:
    """Axes in another order."""
    axes = _ints(order if dims is None else [dims])
    return renamed(call, x, [x.axis(a) for a in axes])


@rule(*known("transpose", "swapaxes", "swapdims", "transpose_copy"))
def transpose(call: Call, x: Spec, a: Any = None, b: Any = None, **names: int) -> Plan:
    """Two axes change places."""
    first, second = (a, b) if a is not None else tuple(names.values())
    order = list(range(x.ndim))
    if x.ndim:
        i, j = x.axis(first), x.axis(second)
        order[i], order[j] = order[j], order[i]
    return renamed(call, x, order)


@rule(*known("t", "adjoint", "t_copy"), T.T.__get__, T.mT.__get__, T.H.__get__, T.mH.__get__)
def mirrored(call: Call, x: Spec) -> Plan:
    """Axes in reverse order; of a stack of matrices, the last two."""
    order = list(range(x.ndim))
    if call.function in (T.mT.__get__, T.mH.__get__) or call.function in known("adjoint"):
        order[-2:] = reversed(order[-2:])
    else:
        order.reverse()
    return renamed(call, x, order)


@rule(*known("movedim", "moveaxis"))
def movedim(call: Call, x: Spec, source: Any, destination: Any) -> Plan:
    """Some axes go elsewhere, the others keep their order."""
    sources = [x.axis(a) for a in ([source] if isinstance(source, int) else source)]
    destinations = [x.axis(a) for a in ([destination] if isinstance(destination, int) else destination)]
    rest = iter(a for a in range(x.ndim) if a not in sources)
    order = [sources[destinations.index(k)] if k in destinations else next(rest) for k in range(x.ndim)]
    return renamed(call, x, order)


@rule(*known("unsqueeze"))
def unsqueeze(call: Call, x: Spec, dim: int) -> Plan:
    """A new axis of one entry."""
    n = x.ndim + 1
    if not -n <= dim < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
    labels: list[Any] = list(range(x.ndim))
    labels.insert(dim % n, None)
    return renamed(call, x, labels)


@rule(*known("squeeze"))
def squeeze(call: Call, x: Spec, dim: Any = None) -> Plan:
    """Axes of one entry go; each rank has them whole before."""
    axes = range(x.ndim) if dim is None else [x.axis(d) for d in ([dim] if isinstance(dim, int) else dim)]
    gone = [a for a in axes if x.ndim and x.shape[a] == 1]
    kept = [a for a in range(x.ndim) if a not in gone]

    def squeezed(call: Call, part: torch.Tensor) -> torch.Tensor:
        return getattr(part, call.function.__name__)(tuple(gone))  # type: ignore[no-any-return]

    return renamed(call, x, kept, gone, squeezed)


@rule(T.transpose_, T.swapaxes_, T.swapdims_, T.t_, T.unsqueeze_, T.squeeze_)
def changed_shape(call: Call, x: Spec, *args: Any, **kwargs: Any) -> Plan:
    """As the function that returns a view; only what moves nothing can change the tensor itself."""
    fresh = getattr(T, call.function.__name__.removesuffix("_"))
    plan: Plan = RULES[fresh](Call(fresh, call.args, call.kwargs, call.operands, call.grid), x, *args, **kwargs)
    if plan.targets[0] is not x.placement:
        raise context.refusal(call, "entries would move")

    def changed(called: Call, part: torch.Tensor) -> torch.Tensor:
        if fresh is T.squeeze:
            return part.squeeze_(tuple(a for a in range(x.ndim) if x.shape[a] == 1 and a in axes))
        return called.run(part)  # type: ignore[no-any-return]

    axes = range(x.ndim) if not (args or kwargs) else {x.axis(d) for d in _ints([*args, *kwargs.values()])}
    plan.compute, plan.skip, plan.changes = changed, False, True
    return plan


# -- views of another shape --------------------------------------------------------------------------------------------


def groups(source: Sequence[int], target: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """Return which axes of one shape become which axes of another: the finest groups whose products agree.

    Examples
    --------
    >>> groups((2, 3, 4), (6, 4)), groups((6, 4), (2, 3, 4)), groups((4, 1), (4,))
    ([([0, 1], [0]), ([2], [1])], [([0], [0, 1]), ([1], [2])], [([0], [0]), ([1], [])])
    """
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(source) or j < len(target):
        left, right, a, b = [], [], 1, 1
        if i < len(source):
            left, a, i = [i], source[i], i + 1
        if j < len(target) and (a != 1 or not left or target[j] == 1):
            right, b, j = [j], target[j], j + 1
        while a != b:
            if a < b and i < len(source):
                left.append(i)
                a, i = a * source[i], i + 1
            elif b < a and j < len(target):
                right.append(j)
                b, j = b * target[j], j + 1
            elif i < len(source):
                left.append(i)
                a, i = a * source[i], i + 1
            else:
                right.append(j)
                b, j = b * target[j], j + 1
        found.append((left, right))
    return found


def viewed(placement: Placement, shape: Sequence[int]) -> tuple[Placement, Placement]:
    """Return how a tensor must lie to be seen in another shape part by part, and how the result then lies.

    A group of axes can be split along its first axis that has more than one entry, in both shapes, at the same places.
    """
    if math.prod(shape) == 0:
        return placement.whole(), place(placement.grid, shape, placement.whole().roles)
    source_roles: dict[str, Any] = dict(placement.whole().roles)
    target_roles: dict[str, Any] = dict(placement.whole().roles)
    for left, right in groups(placement.shape, shape):
        outer = next((a for a in left if placement.shape[a] > 1), None)
        first = next((a for a in right if shape[a] > 1), None)
        names = [name for a in left for name in placement.splits(a)]
        if outer is None or first is None or not names:
            continue
        inner = math.prod(placement.shape[a] for a in left if a > outer)
        beyond = math.prod(shape[a] for a in right if a > first)
        given: dict[str, Any] = placement.splits(outer)
        name = next(iter(given), names[0])
        role = given.get(name)
        intervals = [(0, 0)] if role is None or len(given) > 1 else list(role.intervals)
        ends = [(start * inner, stop * inner) for start, stop in intervals]
        fits = (
            role is not None and len(given) == 1 and all(start % beyond == stop % beyond == 0 for start, stop in ends)
        )
        if fits:
            source_roles[name] = role
            balanced = role == Split(outer) or placement.having({name: Split(outer)}) is placement
            target_roles[name] = (
                Split(first)
                if balanced and shape[first] == placement.shape[outer]
                else Split(first, [(start // beyond, stop // beyond) for start, stop in ends])
            )
            continue
        # The split moves to the first axes: blocks that both shapes can be cut into.
        unit = math.lcm(inner, beyond)
        blocks = placement.grid.axes[name], math.prod(placement.shape[a] for a in left) // unit
        cuts = [blocks[1] * k // blocks[0] for k in range(blocks[0] + 1)]
        pairs = list(itertools.pairwise(cuts))
        if blocks[1] > 1:
            source_roles[name] = Split(outer, [(a * unit // inner, b * unit // inner) for a, b in pairs])
            target_roles[name] = Split(first, [(a * unit // beyond, b * unit // beyond) for a, b in pairs])
    return place(placement.grid, placement.shape, source_roles), place(placement.grid, shape, target_roles)


def view_plan(call: Call, x: Spec, shape: Sequence[int]) -> Plan:
    """Return the plan of a function that shows the same entries in another shape."""
    source, target = viewed(x.placement, shape)
    local = target.local_shape
    view = call.function in known("view", "view_as", "_unsafe_view")

    def seen(_: Call, part: torch.Tensor, *__: torch.Tensor) -> torch.Tensor:
        return part.view(local) if view and source is x.placement else part.reshape(local)

    return Plan([source, *(spec.placement for spec in call.operands[1:])], target, seen)


@rule_of_intervals(*known("view", "reshape", "_unsafe_view", "view_copy", "_reshape_alias"))
def view(call: Call, x: Spec, *shape: Any, **_: Any) -> Any:
    """The same entries in another shape."""
    shown = call.meta()
    if shown.dtype != x.dtype:
        plan = bring_together(x.placement, [x.ndim - 1])
        assignment = settle(call.grid, [(plan, range(x.ndim))])
        return Plan([plan], assignment.placement(shown.shape, range(x.ndim)))
    return view_plan(call, x, tuple(shown.shape))


@rule_of_intervals(*known("flatten", "unflatten", "ravel", "reshape_as", "view_as", "squeeze_copy", "unsqueeze_copy"))
def reshaped(call: Call, x: Spec, *_: Any, **__: Any) -> Any:
    """The same entries in the shape that torch gives them."""
    return view_plan(call, x, tuple(call.meta().shape))


@rule(*known("view_as_real", "view_as_complex"))
def complex_view(call: Call, x: Spec) -> Plan:
    """Real and imaginary part along a last axis that is whole."""
    back = call.function.__name__ == "view_as_complex"
    source = bring_together(x.placement, [x.ndim - 1] if back else [])
    assignment = settle(call.grid, [(source, range(x.ndim))])
    return Plan(
        [source],
        results_of(
            call,
            lambda shape: assignment.placement(shape, [*range(len(shape) - (not back)), *([] if back else [None])]),
        ),
    )


# -- sizes -------------------------------------------------------------------------------------------------------------


@rule_of_intervals(*known("expand", "expand_as", "broadcast_to", "expand_copy"))
def expand(call: Call, x: Spec, *_: Any, **__: Any) -> Plan:
    """Axes of one entry, whole on each rank, are repeated."""
    shape = tuple(call.meta().shape)
    new = len(shape) - x.ndim
    repeated = [a for a in range(x.ndim) if x.shape[a] == 1 != shape[new + a]]
    source = bring_together(x.placement, repeated)
    assignment = settle(call.grid, [(source, range(x.ndim))])
    target = assignment.placement(shape, [*[None] * new, *(None if a in repeated else a for a in range(x.ndim))])

    def expanded(_: Call, part: torch.Tensor, *__: Any) -> torch.Tensor:
        return part.expand(target.local_shape)

    return Plan([source, *(spec.placement for spec in call.operands[1:])], target, expanded)


@rule(torch.broadcast_tensors, torch.functional.broadcast_tensors)
def broadcast_tensors(call: Call, *_: Any) -> Any:
    """Each is expanded."""

    def composed(*tensors: Any) -> Any:
        given = tensors[0] if len(tensors) == 1 and not isinstance(tensors[0], torch.Tensor) else tensors
        shape = torch.broadcast_shapes(*(x.shape for x in given))
        return tuple(x.expand(shape) for x in given)

    return composed


@rule(*known("repeat", "tile"))
def repeat(call: Call, x: Spec, *_: Any, **__: Any) -> Plan:
    """Axes that are repeated are whole on each rank."""
    shape = tuple(call.meta().shape)
    new = len(shape) - x.ndim
    repeated = [a for a in range(x.ndim) if x.shape[a] != shape[new + a]]
    return renamed(call, x, [*[None] * new, *(None if a in repeated else a for a in range(x.ndim))], repeated)


@rule(
    *known(
        "chunk",
        "split",
        "tensor_split",
        "split_with_sizes",
        "unsafe_chunk",
        "unsafe_split",
        "unsafe_split_with_sizes",
        "hsplit",
        "vsplit",
        "dsplit",
        "split_copy",
        "split_with_sizes_copy",
    )
)
def chunk(call: Call, x: Spec, *args: Any, **kwargs: Any) -> Plan:
    """Pieces along an axis that is whole on each rank."""
    name = call.function.__name__
    dim = kwargs.get("dim", args[1] if len(args) > 1 else 0)
    if name in ("hsplit", "vsplit", "dsplit"):
        dim = {"hsplit": 0 if x.ndim == 1 else 1, "vsplit": 0, "dsplit": 2}[name]
    axis = x.axis(dim)
    return renamed(call, x, [None if a == axis else a for a in range(x.ndim)], [axis])


@rule(*known("unbind", "unbind_copy"))
def unbind(call: Call, x: Spec, dim: int = 0) -> Plan:
    """Slices along an axis that is whole on each rank."""
    axis = x.axis(dim)
    return renamed(call, x, [a for a in range(x.ndim) if a != axis], [axis])


@rule(T.__iter__)
def iterate(call: Call, x: Spec) -> Any:
    """Over the slices along the first axis."""
    return lambda x: iter(x.unbind(0))


@rule(*known("cat", "concat", "concatenate"))
def cat(call: Call, tensors: Any, dim: int = 0, **_: Any) -> Plan:
    """Along an axis that is whole on each rank; other axes are split as those of the largest."""
    shape = tuple(call.meta().shape)
    ndim = len(shape)
    given = [spec for spec in call.operands if not (spec.ndim == 1 and spec.numel() == 0 and ndim > 1)]
    axis = dim % ndim
    labels = [None if a == axis else a for a in range(ndim)]
    ordered = sorted(given, key=lambda spec: (not spec.distributed, -spec.numel()))
    assignment = settle(call.grid, [(spec.placement, labels) for spec in ordered])
    targets = [
        assignment.placement(spec.shape, labels) if spec in given else spec.placement.whole() for spec in call.operands
    ]
    return Plan(targets, assignment.placement(shape, labels))


@rule(*known("stack"))
def stack(call: Call, tensors: Any, dim: int = 0, **_: Any) -> Plan:
    """A new axis; the others are split as those of the first that is split."""
    n = call.operands[0].ndim + 1
    labels: list[Any] = list(range(n - 1))
    assignment = settle(call.grid, [(spec.placement, labels) for spec in call.operands])
    shape = tuple(call.meta().shape)
    result = list(labels)
    result.insert(dim % n, None)
    return Plan(
        [assignment.placement(spec.shape, labels) for spec in call.operands], assignment.placement(shape, result)
    )


for _name in ("hstack", "vstack", "dstack", "column_stack", "row_stack"):

    @rule(*known(_name))
    def _stacked(call: Call, *_: Any, _name: str = _name, **__: Any) -> Any:
        """A concatenation of tensors of at least so many axes."""
        call.meta()

        def composed(tensors: Any, **_: Any) -> Any:
            given = list(tensors)
            if _name == "hstack":
                given = [torch.atleast_1d(x) for x in given]
                return torch.cat(given, 0 if given[0].dim() == 1 else 1)
            if _name == "column_stack":
                return torch.cat([x.reshape(x.numel(), 1) if x.dim() <= 1 else x for x in given], 1)
            return torch.cat(
                [(torch.atleast_3d if _name == "dstack" else torch.atleast_2d)(x) for x in given],  # type: ignore[no-untyped-call]
                2 if _name == "dstack" else 0,
            )

        return composed


@rule(*known("narrow", "narrow_copy"))
def narrow(call: Call, x: Spec, dim: int, start: Any, length: int) -> Any:
    """A slice."""
    if isinstance(start, Spec):
        return gather(call)
    axis = x.axis(dim)
    begin = start + x.shape[axis] if start < 0 else start
    call.meta()
    return lambda x, *_, **__: x[(slice(None),) * axis + (slice(begin, begin + length),)]


@rule(*known("select", "select_copy"))
def select(call: Call, x: Spec, dim: int, index: Any) -> Any:
    """One slice along an axis."""
    axis = x.axis(dim)
    call.meta()
    return lambda x, *_, **__: x[(slice(None),) * axis + (index,)]


@rule(*known("diagonal", "diagonal_copy"), torch.linalg.diagonal)
def diagonal(call: Call, x: Spec, *args: Any, **kwargs: Any) -> Plan:
    """Of two axes that are whole on each rank; it is the last axis."""
    linalg = call.function is torch.linalg.diagonal
    given = dict(zip(("offset", "dim1", "dim2"), args, strict=False)) | kwargs
    first, second = (-2, -1) if linalg else (0, 1)
    axes = [x.axis(given.get("dim1", first)), x.axis(given.get("dim2", second))]
    return renamed(call, x, [*(a for a in range(x.ndim) if a not in axes), None], axes)


@rule(*known("diag_embed"))
def diag_embed(call: Call, x: Spec, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Plan:
    """The last axis, whole on each rank, becomes two."""
    ndim = x.ndim + 1
    labels: list[Any] = list(range(x.ndim - 1))
    for axis in sorted((dim1 % ndim, dim2 % ndim)):
        labels.insert(axis, None)
    return renamed(call, x, labels, [x.ndim - 1])


@rule(*known("diag", "diagflat"))
def diag(call: Call, x: Spec, diagonal: int = 0, **named: int) -> Any:
    """A diagonal of a matrix, or a matrix with a diagonal."""
    offset, flat = named.get("offset", diagonal), call.function.__name__ == "diagflat"
    call.meta()
    if x.ndim == 2 and not flat:
        return lambda x, *_, **__: x.diagonal(offset)
    return lambda x, *_, **__: (x.flatten() if flat else x).diag_embed(offset)


@rule(*known("trace"))
def trace(call: Call, x: Spec) -> Any:
    """The sum of a diagonal."""
    call.meta()
    return lambda x: x.diagonal().sum()


@rule(*known("select_scatter", "slice_scatter", "diagonal_scatter"))
def scattered(call: Call, x: Spec, *_: Any, **__: Any) -> Any:
    """A part of a copy is replaced."""
    of: Any = {"select": T.select, "slice": _slice, "diagonal": T.diagonal}[call.function.__name__.partition("_")[0]]

    def composed(x: Any, src: Any, *args: Any, **kwargs: Any) -> Any:
        changed = x.clone()
        of(changed, *args, **kwargs).copy_(src)
        return changed

    call.meta()
    return composed


def _slice(x: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    """Return a slice along an axis."""
    return x[(slice(None),) * (dim % x.ndim) + (slice(start, end, step),)]


@rule(*known("slice_copy"), torch.ops.aten.slice, torch.ops.aten.slice.Tensor)
def slices(call: Call, *_: Any, **__: Any) -> Any:
    """A slice."""
    return _slice


@rule(*known("atleast_1d", "atleast_2d", "atleast_3d"))
def atleast(call: Call, *_: Any) -> Any:
    """New axes of one entry, as torch adds them."""
    least = int(call.function.__name__[8])

    def one(x: Any) -> Any:
        if x.dim() == 2 and least == 3:
            return x.unsqueeze(2)
        if x.dim() == 1 and least > 1:
            x = x.unsqueeze(0)
            return x.unsqueeze(2) if least == 3 else x
        return x if x.dim() else x.reshape((1,) * least)

    def composed(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], torch.Tensor):
            return one(tensors[0])
        return tuple(one(x) for x in (tensors if isinstance(tensors[0], torch.Tensor) else tensors[0]))

    return composed


@rule(*known("meshgrid"))
def meshgrid(call: Call, *_: Any, indexing: str | None = None, **__: Any) -> Any:
    """Each is expanded along the axes of the others."""
    call.meta()

    def composed(*tensors: Any, **_: Any) -> Any:
        given = [x.reshape(-1) for x in (tensors if isinstance(tensors[0], torch.Tensor) else tensors[0])]
        order = list(range(len(given)))
        if indexing == "xy" and len(given) > 1:
            order[:2] = 1, 0
        shape = [len(given[k]) for k in order]
        return tuple(x.reshape([-1 if k == axis else 1 for axis in order]).expand(shape) for k, x in enumerate(given))

    return composed


@rule(*known("block_diag"))
def block_diag(call: Call, *_: Any) -> Any:
    """Rows of blocks, each between zeros."""
    call.meta()

    def composed(*tensors: Any) -> Any:
        blocks = [torch.atleast_2d(x) for x in (tensors if isinstance(tensors[0], torch.Tensor) else tensors[0])]
        dtype, widths = blocks[0].dtype, [block.shape[1] for block in blocks]
        for block in blocks:
            dtype = torch.promote_types(dtype, block.dtype)
        ends = list(itertools.accumulate(widths))
        return torch.cat(
            [
                torch.nn.functional.pad(block.to(dtype), (end - width, ends[-1] - end))
                for block, end, width in zip(blocks, ends, widths, strict=True)
            ]
        )

    return composed


@rule(*known("kron"))
def kron(call: Call, *_: Any) -> Any:
    """A product of all entries with all; pairs of axes become one."""
    call.meta()

    def composed(a: Any, b: Any) -> Any:
        ndim = max(a.ndim, b.ndim)
        a, b = a.reshape((1,) * (ndim - a.ndim) + tuple(a.shape)), b.reshape((1,) * (ndim - b.ndim) + tuple(b.shape))
        shape = [n * m for n, m in zip(a.shape, b.shape, strict=True)]
        for axis in range(ndim):
            a, b = a.unsqueeze(2 * axis + 1), b.unsqueeze(2 * axis)
        return (a * b).reshape(shape)

    return composed


@rule(*known("sum_to_size"))
def sum_to_size(call: Call, x: Spec, *size: Any) -> Any:
    """A sum over what was broadcast."""
    shape = tuple(call.meta().shape)
    new = x.ndim - len(shape)
    axes = [a for a, n in enumerate(x.shape) if a < new or n != shape[a - new]]
    return lambda x, *_: (x.sum(axes, keepdim=True) if axes else x).reshape(shape)


def sliced(placement: Placement, axis: int, start: int, stop: int, step: int) -> Placement | None:
    """Return how every entry from start to stop lies where it lies now, or None where the axis is not split so."""
    pairs: dict[str, Any] = placement.splits(axis)
    if len(pairs) != 1:
        return None
    ((name, role),) = pairs.items()
    extent = len(range(start, stop, step))
    cuts = [
        (min(max(-(-(a - start) // step), 0), extent), min(max(-(-(b - start) // step), 0), extent))
        for a, b in role.intervals
    ]
    shape = [extent if a == axis else n for a, n in enumerate(placement.shape)]
    return place(placement.grid, shape, {**placement.roles, name: Split(axis, cuts)})


__all__ = ["VIEWS", "groups", "renamed", "sliced", "view_plan", "viewed"]
VIEWS.update(
    known(
        "permute",
        "transpose",
        "swapaxes",
        "swapdims",
        "t",
        "adjoint",
        "movedim",
        "moveaxis",
        "unsqueeze",
        "squeeze",
        "view",
        "reshape",
        "flatten",
        "unflatten",
        "ravel",
        "reshape_as",
        "view_as",
        "expand",
        "expand_as",
        "broadcast_to",
        "chunk",
        "split",
        "tensor_split",
        "unbind",
        "narrow",
        "select",
        "as_strided",
        "diagonal",
        "view_as_real",
        "view_as_complex",
        "hsplit",
        "vsplit",
        "dsplit",
        "split_with_sizes",
        "unsqueeze",
        "__getitem__",
    )
)
VIEWS.update({T.T.__get__, T.mT.__get__, T.H.__get__, T.mH.__get__})
