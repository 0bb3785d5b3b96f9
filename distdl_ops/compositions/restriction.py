"""A part of a distributed tensor: a slice of each axis, or entries at indices or in a mask.

=========  ==========================================================
map        ``y = x[index]`` for slices ``start:stop:step``; every rank keeps what it holds of them
adjoint    that of ``Movement @ Local(Restriction)``: the entries of y back in their places, zeros elsewhere
matrix     rows of the unit matrix
=========  ==========================================================

The entries of an interval that a slice takes are an interval of the result. So nothing needs to be moved, and the
result is as unbalanced as the slice makes it, unless another layout is asked for. Entries at indices, or where a mask
is true, are taken by `DistributedGather`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from distdl_ops.compositions.gather import DistributedGather
from distdl_ops.compositions.shared import fingerprint, local, moved, require_codomain, settled
from distdl_ops.grid import Grid
from distdl_ops.layouts.intervals import Interval, Intervals
from distdl_ops.layouts.roles import Role, Split
from distdl_ops.spaces import DistributedSpace
from linop import LinearOperator, Restriction, SpaceError
from linop.arguments import checked


@checked
def DistributedRestriction(
    domain: DistributedSpace, index: Any, *, codomain: DistributedSpace | None = None, balanced: bool = False
) -> LinearOperator:
    """Return ``Local(Restriction)``, followed by a movement where another layout is asked for. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry once.
    index : slice, ``...``, or tuple of these; or array of integers or bool, shape ``(count,)`` or of the first axes
        A slice for each axis, with any step but zero; ``...`` for those between that stay whole. Or indices of the
        first axis, or a mask of the first axes, whose other axes are not split: an axis of so many results takes their
        place. The same on every rank, as an index of the logical tensor.
    codomain : DistributedSpace, optional
        How the result is to lie. By default, every rank keeps what it holds of slices: without communication. What is
        taken by indices or a mask is split evenly over all ranks.
    balanced : bool, optional
        Whether the result is to be split evenly instead, along the same axes of the grid.

    Raises
    ------
    SpaceError
        When the index is none of slices, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (6,), rows=Split(0))
    ...     A, B = DistributedRestriction(S, np.s_[1:]), DistributedRestriction(S, np.s_[1:], balanced=True)
    ...     x = S.from_global(np.arange(6.0))
    ...     return str(A), A(x).tolist(), str(B), B(x).tolist()
    >>> simulate(2, main)[0]
    ('Local(Restriction[1:3:1])', [1.0, 2.0], 'Repartition(rows) @ Local(Restriction[1:3:1])', [1.0, 2.0, 3.0])
    """
    if isinstance(index, list | np.ndarray):
        return _taken(domain, np.asarray(index), codomain)

    def build() -> tuple[list[range], dict[int, Intervals]]:
        taken = _ranges(index, domain.global_shape)
        require_codomain(domain, codomain, tuple(map(len, taken)), domain.dtype)
        if balanced and codomain is not None:
            raise SpaceError(f"expected a codomain or balanced=True, found both: {codomain}")
        parts = {axis: domain.layout.intervals(axis) for axis in range(len(taken)) if domain.split_axes(axis)}
        for axis, intervals in parts.items():
            if intervals is None:
                raise SpaceError(
                    f"a rank holds several intervals of axis {axis}, of which a slice takes what no roles describe; "
                    f"expected one interval for each rank: a Repartition to Split({axis}) comes before"
                )
        return taken, {axis: intervals for axis, intervals in parts.items() if intervals is not None}

    taken, parts = settled(
        *("DistributedRestriction", domain, build),
        lambda built: f"{built[0]}, codomain={codomain!r}, balanced={balanced!r}",
    )
    kept: dict[str, Role] = dict(domain.roles)
    for axis, intervals in parts.items():
        kept |= domain.layout.roles_for(axis, [_places(interval, taken[axis]) for interval in intervals])
    result = domain.like(shape=tuple(map(len, taken)), roles=kept)
    if balanced:
        codomain = result.with_roles({name: Split(r.axis) for name, r in kept.items() if r.axis is not None})
    rank = domain.grid.world.rank
    before, after = domain.layout.intervals_at(rank), result.layout.intervals_at(rank)
    selected = tuple(map(_slice, before or (), after or (), taken)) or (slice(0, 0),) * domain.ndim
    R = local(domain, result, lambda X, Y: Restriction(X, selected, codomain=Y))
    return moved(result, codomain) @ R


def _taken(domain: DistributedSpace, index: np.ndarray, codomain: DistributedSpace | None) -> LinearOperator:
    """Return the entries at indices of the first axis, or in a mask of the first axes, split evenly."""

    def build() -> tuple[np.ndarray, ...]:
        if index.dtype == bool:
            if index.shape != domain.global_shape[: index.ndim] or not index.ndim:
                raise SpaceError(f"expected a mask of the shape {domain.global_shape}, found shape {index.shape}")
            return np.nonzero(index)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise SpaceError(f"expected an array of integers of one axis, found {index.dtype} of shape {index.shape}")
        extent = domain.global_shape[0] if domain.global_shape else 0
        if index.size and not (-extent <= index.min() and index.max() < extent):
            raise SpaceError(f"expected indices from {-extent} to {extent - 1}, found {index.min()} to {index.max()}")
        return (np.where(index < 0, index + extent, index).astype(np.int64),)

    selection = settled(
        "DistributedRestriction",
        domain,
        build,
        lambda indices: f"{[fingerprint(each) for each in indices]}, codomain={codomain!r}",
    )
    world = domain.grid.world
    shape = (selection[0].size, *domain.global_shape[len(selection) :])
    grid = Grid(world, ranks=world.size)
    result = DistributedSpace(grid, shape, domain.dtype, domain.field, ranks=Split(0))
    start, stop = (result.layout.intervals_at(world.rank) or ((0, 0),))[0]
    return moved(result, codomain) @ DistributedGather(domain, tuple(each[start:stop] for each in selection), result)


def _ranges(index: Any, shape: tuple[int, ...]) -> list[range]:
    """Return what an index of slices takes of each axis; raise where it is none."""
    items = list(index) if isinstance(index, tuple) else [index]
    if sum(item is ... for item in items) == 1 and len(items) <= len(shape) + 1:
        k = next(k for k, item in enumerate(items) if item is ...)
        items[k : k + 1] = [slice(None)] * (len(shape) - len(items) + 1)
    if len(items) > len(shape) or not all(isinstance(item, slice) for item in items):
        raise SpaceError(f"expected a slice for each axis of shape {shape}, found {index!r}")
    items += [slice(None)] * (len(shape) - len(items))
    try:
        return [range(extent)[item] for item, extent in zip(items, shape, strict=True)]
    except (TypeError, ValueError) as error:
        raise SpaceError(
            f"expected slices of integers, with steps other than zero, found {index!r} ({error})"
        ) from None


def _places(interval: Interval, taken: range) -> Interval:
    """Return which entries of the result lie in an interval: ``start <= taken[j] < stop`` for these j.

    Examples
    --------
    >>> _places((3, 6), range(1, 9, 2)), _places((3, 6), range(8, 0, -3))
    ((1, 3), (1, 2))
    """
    start, stop = interval
    if taken.step > 0:
        first, last = (-((taken.start - end) // taken.step) for end in (start, stop))
    else:
        first, last = ((taken.start - end) // -taken.step + 1 for end in (stop, start))
    first, last = (min(max(place, 0), len(taken)) for place in (first, last))
    return first, last


def _slice(before: Interval, after: Interval, taken: range) -> slice:
    """Return where a rank's array, which begins at `before`, has the entries that are `after` in the result."""
    kept = taken[slice(*after)]
    if not kept:
        return slice(0, 0)
    first, last = kept[0] - before[0], kept[-1] - before[0]
    if kept.step > 0:
        return slice(first, last + 1, kept.step)
    return slice(first, last - 1 if last else None, kept.step)
