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

from distdl_ops.layouts.roles import At, Role, Split
from distdl_ops.spaces import DistributedSpace


class Stage(NamedTuple):
    """A layout, and what is transformed in it.

    Attributes
    ----------
    roles : dict
        Roles by grid axis.
    axes : tuple of int
        Axes of the tensor that no role splits.
    """

    roles: dict[str, Role]
    axes: tuple[int, ...]


def stages(
    roles: Mapping[str, Role],
    shape: tuple[int, ...],
    axes: Sequence[int],
    first: int | None = None,
    towards: Mapping[str, Role] | None = None,
) -> Iterator[Stage]:
    """Yield the stages of a transform: each axis is transformed in one of them, as early as possible.

    Where no axis is free to be split in place of another, one that is split already is split once more, by several grid
    axes. A tensor of one axis is gathered on one rank.

    Parameters
    ----------
    roles, shape
        The layout to begin with.
    axes : sequence of int
        Axes of the tensor to be transformed.
    first : int, optional
        One of them that must be transformed before the others, or along with them.
    towards : dict, optional
        How the tensor is to be split in the end, by grid axis; see `ends_of`. It is split so as soon as it can be.

    Examples
    --------
    >>> for stage in stages({"rows": Split(0), "cols": Split(1)}, (8, 8, 8), (0, 1, 2)):
    ...     print(stage.roles, stage.axes)
    {'rows': Split(0), 'cols': Split(1)} (2,)
    {'rows': Split(2), 'cols': Split(1)} (0,)
    {'rows': Split(2), 'cols': Split(0)} (1,)
    """
    roles, left = dict(roles), list(axes)
    while left:
        split = _split_axes(roles)
        ready = tuple(axis for axis in left if axis not in split)
        if ready and (first not in left or first in ready):
            yield Stage(dict(roles), ready)
            left = [axis for axis in left if axis not in ready]
        else:
            roles = _free(roles, shape, [first] if first in left else left, left, towards or {})


def _free(
    roles: dict[str, Role],
    shape: tuple[int, ...],
    wanted: Sequence[int | None],
    left: list[int],
    towards: Mapping[str, Role],
) -> dict[str, Role]:
    """Return roles with which the wanted axes are split along fewer grid axes."""
    roles = dict(roles)
    freed: set[int] = set()
    for name, role in roles.items():
        if role.axis is not None and role.axis in wanted:
            free = [axis for axis in range(len(shape)) if axis not in {*_split_axes(roles), *freed}]
            end = towards.get(name)
            last = None if end is None else end.axis
            if free:  # an axis that is done, is split in the end, or has the most entries to be shared
                axis = max(free, key=lambda axis: (axis not in left, axis == last, shape[axis], axis))
                roles[name] = end if end is not None and axis == last else Split(axis)
                freed.add(role.axis)
    if freed:  # what divided the parts of others divides the whole now, or those of fewer
        return {name: role.plain() if role.axis in freed else role for name, role in roles.items()}
    whole = next(role.axis for role in roles.values() if role.axis is not None and role.axis in wanted)
    others = [axis for axis in range(len(shape)) if axis != whole]
    if not others:
        return {name: At(0) if role.axis == whole else role for name, role in roles.items()}
    again = max(others, key=lambda axis: (axis not in left, shape[axis]))
    return {
        name: Split(again) if role.axis == whole else role.plain() if role.axis == again else role
        for name, role in roles.items()
    }


def ends_of(codomain: DistributedSpace | None) -> dict[str, Role]:
    """Return how a codomain is split, as far as nothing is lost on the way: where every entry is held once."""
    if codomain is None:
        return {}
    return {
        name: role
        for name, role in codomain.roles.items()
        if role.axis is not None and codomain.split_axes(role.axis) == (name,) and codomain.layout.divides(role.axis)
    }


def _split_axes(roles: Mapping[str, Role]) -> set[int]:
    """Return the axes of a tensor that are split."""
    return {role.axis for role in roles.values() if role.axis is not None}
