"""Embeddings, slices and index arrays."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from torch_bridge.compat import plain
from torch_bridge.tensors import context
from torch_bridge.tensors.axes import bring_together, labelled, settle
from torch_bridge.tensors.call import Call, Plan, Spec, gather, results_of, rule, rule_of_intervals
from torch_bridge.tensors.placement import place
from torch_bridge.tensors.rules.names import known
from torch_bridge.tensors.rules.shapes import sliced
from torch_bridge.tensors.tensor import DistributedTensor

T: Any = torch.Tensor


@rule(*known("embedding"))
def embedding(call: Call, a: Spec, b: Spec, *args: Any, **kwargs: Any) -> Any:
    """Rows of a table: the indices may be split, and so may the features."""
    indices = a if call.function is F.embedding else b
    given = (
        dict(zip(("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"), args, strict=False)) | kwargs
    )
    if given.get("max_norm") is not None or given.get("scale_grad_by_freq") or given.get("sparse"):
        if given.get("max_norm") is not None:
            raise context.refusal(call, "max_norm changes the table in place on every rank")
        if given.get("scale_grad_by_freq"):
            return gather(call)
    names = [f"i{k}" for k in range(indices.ndim)]
    labels = [names if spec is indices else [None, "f"] for spec in call.operands]
    return labelled(call, labels, [*names, "f"], decides=call.operands.index(indices))


@rule_of_intervals(T.__getitem__)
def getitem(call: Call, x: Spec, index: Any) -> Any:
    """Slices keep every entry on its rank; along an axis that is indexed otherwise, entries are brought together."""
    items = list(index) if isinstance(index, tuple) else [index]
    if any(isinstance(item, Spec | list | bool) for item in items):
        return indexed(call, x, items)
    call.meta()
    given = sum(item is not None and item is not Ellipsis for item in items)
    if Ellipsis not in [i for i in items if not isinstance(i, slice)]:
        items.append(Ellipsis)
    k = next(n for n, item in enumerate(items) if item is Ellipsis)
    items[k : k + 1] = [slice(None)] * (x.ndim - given)
    axis, source = 0, x.placement
    labels: list[Any] = []
    local: list[Any] = []
    cut: list[tuple[int, tuple[int, int, int]]] = []
    for item in items:
        if item is None:
            labels.append(None)
            local.append(None)
            continue
        if isinstance(item, slice):
            bounds = item.indices(x.shape[axis])
            labels.append(axis)
            if bounds != (0, x.shape[axis], 1):
                cut.append((axis, bounds))
        else:
            source = bring_together(source, [axis])
        local.append(item)
        axis += 1
    target = source
    for a, (start, stop, step) in cut:
        shorter = sliced(target, a, start, stop, step)
        if shorter is None:
            source, target = bring_together(source, [a]), bring_together(target, [a])
            shape = [len(range(start, stop, step)) if k == a else n for k, n in enumerate(target.shape)]
            shorter = place(call.grid, shape, target.roles)
        target = shorter
    held = source.layout.intervals_at(call.grid.world.rank) or ((0, 0),) * x.ndim
    axis = 0
    for k, item in enumerate(local):
        if item is None:
            continue
        if isinstance(item, slice):
            local[k] = _local(item.indices(x.shape[axis]), held[axis])
        axis += 1
    assignment = settle(call.grid, [(target, range(x.ndim))])
    chosen = tuple(local)
    return Plan(
        [source], results_of(call, lambda shape: assignment.placement(shape, labels)), lambda _, part: part[chosen]
    )


def _local(bounds: tuple[int, int, int], held: tuple[int, int]) -> slice:
    """Return a slice of the whole as one of a part."""
    start, stop, step = bounds
    first = max(start, start + -(-(held[0] - start) // step) * step)
    return slice(max(first - held[0], 0), max(min(stop, held[1]) - held[0], 0), step)


def indexed(call: Call, x: Spec, items: list[Any]) -> Any:
    """Index arrays: the axes that they index are whole; the other axes keep their split, and so may the arrays."""
    if any(isinstance(item, list) for item in items):
        if not isinstance(call.args[1], tuple):
            return lambda x, index: x[torch.tensor(index)]
        return lambda x, index: x[tuple(torch.tensor(item) if isinstance(item, list) else item for item in index)]
    arrays = [item for item in items if isinstance(item, Spec)]
    if any(isinstance(item, bool) for item in items) or any(array.dtype in MASKS for array in arrays):
        return gather(call)
    basic = [slice(None) if isinstance(item, Spec) else item for item in items]
    if any(
        item is not Ellipsis and item != slice(None) for item in basic
    ):  # numbers and slices come first, as torch has it

        def composed(x: Any, index: Any) -> Any:
            given = list(index) if isinstance(index, tuple) else [index]
            chosen = [
                item if isinstance(item, torch.Tensor) else slice(None) for item in given if type(item) is not int
            ]
            if any(item is Ellipsis for item in given):
                k = next(n for n, item in enumerate(given) if item is Ellipsis)
                after = sum(type(item) is not int for item in given[k + 1 :])
                y = x[tuple(basic)]
                k = sum(type(item) is not int for item in given[:k])
                chosen[k : k + 1] = [slice(None)] * (y.ndim - k - after)
                return y[tuple(chosen)]
            return x[tuple(basic)][tuple(chosen)]

        return composed
    if any(item is Ellipsis for item in items):
        k = next(n for n, item in enumerate(items) if item is Ellipsis)
        items[k : k + 1] = [slice(None)] * (x.ndim - len(items) + 1)
    items += [slice(None)] * (x.ndim - len(items))
    shape = torch.broadcast_shapes(*(tuple(array.shape) for array in arrays))
    own: list[Any] = [a if isinstance(item, slice) else None for a, item in enumerate(items)]
    at = [a for a, item in enumerate(items) if not isinstance(item, slice)]
    first = at[0] if at == list(range(at[0], at[-1] + 1)) else 0
    kept = [a for a in own if a is not None]
    names = [f"index {k}" for k in range(len(shape))]
    result = [*kept[:first], *names, *kept[first:]]
    labels = [
        [names[k] if n == shape[k] else None for k, n in enumerate(spec.shape, len(shape) - spec.ndim)]
        for spec in call.operands[1:]
    ]
    return labelled(call, [own, *labels], result)


MASKS = (torch.bool, torch.uint8)
"""Dtypes of index arrays that say of each entry whether it is chosen."""


@rule(T.__setitem__)
def setitem(call: Call, x: Spec, index: Any, value: Any) -> Any:
    """Slices are set where they lie; else the whole tensor is changed on every rank, and goes back to where it lies."""

    def whole(given: Any) -> Any:
        if isinstance(given, DistributedTensor):
            return given.full_tensor()
        if isinstance(given, list | tuple):
            return type(given)(whole(item) for item in given)
        return given

    def assigned(x: Any, index: Any, value: Any) -> None:
        changed = x.full_tensor().clone() if isinstance(x, DistributedTensor) else x
        index, value = whole(index), whole(value)
        with plain():
            changed[index] = value
        if changed is not x:
            context.assign(x, changed)

    return assigned


@rule(*known("index_select"))
def index_select(call: Call, x: Spec, dim: int, index: Spec) -> Plan:
    """Along an axis that is whole; the index may be split."""
    if not x.ndim or not index.ndim:
        return gather(call)
    axis = x.axis(dim)
    own = [None if a == axis else a for a in range(x.ndim)]
    return labelled(call, [own, ["index"]], ["index" if a == axis else a for a in range(x.ndim)])


@rule(*known("gather", "take_along_dim"))
def gather_entries(call: Call, x: Spec, *args: Any, **kwargs: Any) -> Plan:
    """Along an axis that is whole; the other axes run together where their extents agree."""
    index = call.operands[1]
    dim = kwargs.get("dim", next((a for a in args if isinstance(a, int)), None))
    if dim is None or x.ndim != index.ndim or x.ndim == 0:
        return gather(call)
    axis = x.axis(dim)
    own = [None if a == axis or x.shape[a] != index.shape[a] else a for a in range(x.ndim)]
    others: list[Any] = ["index" if a == axis else own[a] for a in range(x.ndim)]
    return labelled(call, [own, others], others, decides=1)


@rule(*known("one_hot"))
def one_hot(call: Call, x: Spec, num_classes: int = -1) -> Any:
    """Classes are a last axis; how many there are may be the greatest entry's to say."""
    if num_classes == -1 and x.numel():
        return lambda x, *_, **__: F.one_hot(x, int(x.max()) + 1)
    own = list(range(x.ndim))
    return labelled(call, [own], [*own, None])
