"""What the named movements share: they are `Movement`, with roles that are checked."""

from __future__ import annotations

from collections.abc import Callable

from distdl_ops.movement.movement import NAMES, Movement, name_movement, name_of_pair
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import SpaceError


def require(name: str, source: DistributedSpace, target: DistributedSpace, fits: Callable[[], str | None]) -> Movement:
    """Return ``Movement(source, target)`` if the roles are those of the named operator. Collective.

    Parameters
    ----------
    name : str
        What the operator is called.
    source, target : DistributedSpace
        S and T.
    fits : callable
        Returns what is wrong with the roles; None when nothing is.

    Raises
    ------
    SpaceError
        On every rank, when the roles are others: with what was expected, and which movement it would be.
    """
    require_spaces(name, source, target)

    def check() -> None:
        fault = fits()
        if fault is not None:
            found = name_movement(source, target)
            raise SpaceError(f"{name} : {source} -> {target}: {fault}; as a Movement, this is {found}")

    agreed(source.grid.world, name, check, describe=lambda _: name)
    return Movement(source, target)


def roles_named(name: str, source: DistributedSpace, target: DistributedSpace) -> Callable[[], str | None]:
    """Return a check that along each grid axis nothing moves or the pair of roles has this name, once at least."""
    pairs = [f"{s.__name__} to {t.__name__}" for (s, t), called in NAMES.items() if called == name]
    expected = f"expected {' or '.join(pairs)} along some grid axes, and the same roles along the others"

    def fits() -> str | None:
        if source.grid != target.grid:
            return f"expected one grid, found {source.grid} and {target.grid}"
        moving = source.layout.moving_axes(target.layout)
        others = [axis for axis in moving if name_of_pair(source.roles[axis], target.roles[axis]) != name]
        if others:
            roles = f"{source.roles[others[0]]!r} to {target.roles[others[0]]!r}"
            return f"{expected}; found {roles} along {others[0]!r}"
        return None if moving else f"{expected}; found the same roles along all of them"

    return fits
