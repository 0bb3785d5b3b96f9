"""Stages of a transform along several axes of a tensor that is split: in each, the axes to be transformed are whole.

A transform along an axis needs all of it on one rank. The other axes may be split, and the transform is local; then the
tensor is repartitioned, so that axes which are done (or need nothing) are split in place of others. With as many axes
split as can be, what a rank holds is long in one direction, a pencil: hence the name of the method.

H. Q. Ding, R. D. Ferraro and D. B. Gennery, *A portable 3D FFT package for distributed-memory parallel architectures*,
Proc. 7th SIAM Conf. Parallel Processing for Scientific Computing (1995) 70-71.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from distdl_ops.roles import At, Role, Split
from distdl_ops.spaces import DistributedSpace


class Stage(NamedTuple):
    """A layout, and what is transformed in it.

    Attributes
    ----------
    grid : dict
        Lengths of the grid's axes by name.
    roles : dict
        Roles by grid axis.
    axes : tuple of int
        Axes of the tensor that no role splits.
    """

    grid: dict[str, int]
    roles: dict[str, Role]
    axes: tuple[int, ...]


def stages(
    grid: Mapping[str, int],
    roles: Mapping[str, Role],
    shape: tuple[int, ...],
    axes: Sequence[int],
    first: int | None = None,
    towards: Mapping[str, Split] | None = None,
) -> Iterator[Stage]:
    """Yield the stages of a transform: each axis is transformed in one of them, as early as possible.

    Where no axis can be split in place of another, because each is split already, two axes of the grid are made one, on
    the same ranks. A tensor of one axis is gathered on one rank.

    Parameters
    ----------
    grid, roles, shape
        The layout to begin with.
    axes : sequence of int
        Axes of the tensor to be transformed.
    first : int, optional
        One of them that must be transformed before the others, or along with them.
    towards : dict, optional
        How the tensor is to be split in the end, by grid axis; see `ends_of`. It is split so as soon as it can be.

    Examples
    --------
    >>> for stage in stages({"rows": 2, "cols": 2}, {"rows": Split(0), "cols": Split(1)}, (8, 8, 8), (0, 1, 2)):
    ...     print(stage.roles, stage.axes)
    {'rows': Split(0), 'cols': Split(1)} (2,)
    {'rows': Split(2), 'cols': Split(1)} (0,)
    {'rows': Split(2), 'cols': Split(0)} (1,)
    """
    grid, roles, left = dict(grid), dict(roles), list(axes)
    while left:
        split = _split_axes(roles)
        ready = tuple(axis for axis in left if axis not in split)
        if ready and (first not in left or first in ready):
            yield Stage(dict(grid), dict(roles), ready)
            left = [axis for axis in left if axis not in ready]
        else:
            grid, roles = _free(grid, roles, shape, [first] if first in left else left, left, towards or {})


def _free(
    grid: dict[str, int],
    roles: dict[str, Role],
    shape: tuple[int, ...],
    wanted: Sequence[int | None],
    left: list[int],
    towards: Mapping[str, Split],
) -> tuple[dict[str, int], dict[str, Role]]:
    """Return a layout in which one or more of the wanted axes are whole."""
    roles = dict(roles)
    freed: set[int] = set()
    for name, role in roles.items():
        if isinstance(role, Split) and role.axis in wanted:
            free = [axis for axis in range(len(shape)) if axis not in {*_split_axes(roles), *freed}]
            end = towards.get(name)
            if end is None or len(end.intervals) != grid[name]:  # the grid has become another one
                end = Split(-1)
            if free:  # an axis that is done, is split in the end, or has the most entries to be shared
                found = max(free, key=lambda axis: (axis not in left, axis == end.axis, shape[axis], axis))
                roles[name] = end if found == end.axis else Split(found)
                freed.add(role.axis)
    if freed:
        return grid, roles
    name = next(n for n, r in roles.items() if isinstance(r, Split) and r.axis in wanted)
    others = {n: r.axis for n, r in roles.items() if isinstance(r, Split) and n != name}
    if not others:
        return grid, {**roles, name: At(0)}
    partner = max(others, key=lambda n: (others[n] not in left, shape[others[n]]))
    grid = {n: length * grid[name] if n == partner else length for n, length in grid.items() if n != name}
    roles = {n: Split(others[n]) if n == partner else r for n, r in roles.items() if n != name}
    return grid, roles


def ends_of(codomain: DistributedSpace | None) -> dict[str, Split]:
    """Return how a codomain is split, as far as nothing is lost on the way: where every entry is held once."""
    if codomain is None:
        return {}
    return {
        name: role
        for name, role in codomain.roles.items()
        if isinstance(role, Split)
        and codomain.layout.holds_once_along(name)
        and role.intervals.total == codomain.global_shape[role.axis]
    }


def _split_axes(roles: Mapping[str, Role]) -> set[int]:
    """Return the axes of a tensor that are split."""
    return {role.axis for role in roles.values() if isinstance(role, Split)}
