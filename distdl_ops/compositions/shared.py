"""What the compositions share: settling the arguments between ranks, and the layouts and factors they are made of."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from distdl_ops.compositions.local import Local
from distdl_ops.layouts.intervals import Interval, Listed
from distdl_ops.layouts.roles import Role, Split
from distdl_ops.layouts.runs import Boundary
from distdl_ops.movement.movement import Movement
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import Euclidean, Identity, LinearOperator, SpaceError
from linop.errors import ArgumentError, ArgumentTypeError

T = TypeVar("T")


# -- settling the arguments --------------------------------------------------------------------------------------------


def settled(
    name: str, domain: DistributedSpace, build: Callable[[], T], describe: Callable[[T], object], *, once: bool = True
) -> T:
    """Return what `build` makes of the arguments of a composition, if it is the same on all ranks. Collective.

    Everything that may be wrong with the arguments is found here, before any rank communicates.

    Parameters
    ----------
    name : str
        Of the composition.
    domain : DistributedSpace
        Its domain.
    build : callable
        Checks the arguments, and must not communicate. Its errors are raised with the name and the domain in front.
    describe : callable
        Takes what was built, and returns all arguments in a form that ranks can compare.
    once : bool, optional
        Whether the domain must hold each entry once: copies and overlaps would be added up by a movement.

    Raises
    ------
    SpaceError
        On every rank.
    AgreementError
        When the ranks pass other arguments.
    """
    require_spaces(name, domain)

    def attempt() -> T:
        copied = [axis for axis in domain.roles if not domain.layout.holds_once_along(axis)]
        try:
            if once and copied:
                raise SpaceError(f"expected each entry once, found {copied[0]}={domain.roles[copied[0]]!r}")
            return build()
        except (SpaceError, ArgumentError) as error:
            raise type(error)(f"{name} on {domain}: {error}") from None

    return agreed(domain.grid.world, name, attempt, describe=lambda found: f"{domain!r}, {describe(found)}")


def require_codomain(
    domain: DistributedSpace, codomain: DistributedSpace | None, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """Raise unless a codomain lays out tensors of a shape and dtype over the domain's field and world."""
    if codomain is None:
        return
    if not isinstance(codomain, DistributedSpace):
        raise ArgumentTypeError(f"expected a DistributedSpace as codomain, found {codomain!r}")
    found, expected = (codomain.global_shape, codomain.dtype, codomain.field), (shape, dtype, domain.field)
    if found != expected:
        raise SpaceError(
            f"expected a codomain of shape {shape} and dtype {dtype} over the field {domain.field!r}, found {codomain} "
            f"over {codomain.field!r}"
        )
    if codomain.grid.world is not domain.grid.world:
        raise SpaceError(f"expected a codomain on a grid over the same world, found {codomain}")


def fingerprint(entries: np.ndarray) -> str:
    """Return what tells an array from others, on every rank alike."""
    digest = zlib.crc32(np.ascontiguousarray(entries).data)
    return f"{entries.dtype} of shape {entries.shape} with checksum {digest:08x}"


# -- layouts -----------------------------------------------------------------------------------------------------------


def whole(space: DistributedSpace) -> Euclidean:
    """Return the space of the logical tensor, as if it were in one process."""
    return Euclidean(space.global_shape, space.dtype, space.field)


def held(space: DistributedSpace) -> Euclidean:
    """Return the space of what this rank holds."""
    return Euclidean(space.shape, space.dtype, space.field)


def carried_roles(space: DistributedSpace, shape: Sequence[int]) -> dict[str, Role]:
    """Return the roles of a space for tensors of other extents.

    Where an extent is another, or ranks hold several intervals, a split is balanced.
    """
    roles = dict(space.roles)
    for axis, extent in enumerate(space.global_shape):
        if extent != shape[axis] or space.layout.intervals(axis) is None:
            roles |= dict.fromkeys(space.split_axes(axis), Split(axis))
    return roles


def result_space(
    domain: DistributedSpace,
    codomain: DistributedSpace | None,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    unsplit: Sequence[int] = (),
) -> DistributedSpace:
    """Return how results lie where they are computed.

    They are computed where the codomain holds them, if it holds each entry once and in one interval a rank, and does
    not split the axes that must be whole. Else, or without a codomain, they are split as the domain is.
    """
    if (
        codomain is not None
        and codomain.layout.holds_once
        and all(codomain.layout.intervals(axis) is not None for axis in range(len(shape)))
        and not any(map(codomain.split_axes, unsplit))
    ):
        return codomain
    return domain.like(shape=shape, dtype=dtype, field=domain.field, roles=carried_roles(domain, shape))


def space_seen(
    results: DistributedSpace,
    shape: tuple[int, ...],
    needs: Mapping[int, Callable[[Interval], Interval]],
    boundary: Boundary = "zero",
) -> DistributedSpace:
    """Return how a tensor lies where every rank holds what its results need. No communication.

    Parameters
    ----------
    results : DistributedSpace
        How the results lie, each rank's in one interval along the axes of `needs`.
    shape : tuple of int
        Of the tensor.
    needs : dict
        For an axis of the tensor, the interval of entries that an interval of results needs. Along other axes, a rank
        needs what its results have.
    boundary : {"zero", "periodic"}, optional
        What lies beyond the tensor.
    """
    roles = dict(results.roles)
    for axis, need in needs.items():
        intervals = results.layout.intervals(axis) if results.split_axes(axis) else None
        if intervals is not None:
            roles |= results.layout.roles_for(axis, Listed([need(interval) for interval in intervals]), boundary)
    return DistributedSpace(results.grid, shape, results.dtype, results.field, **roles)


def interval_here(space: DistributedSpace, axis: int) -> Interval:
    """Return which entries along an axis of the tensor this rank holds; none, where it holds nothing."""
    intervals = space.layout.intervals_at(space.grid.world.rank)
    return (0, 0) if intervals is None else intervals[axis]


# -- factors -----------------------------------------------------------------------------------------------------------


def moved(source: DistributedSpace, target: DistributedSpace | None) -> LinearOperator:
    """Return the movement between two spaces: the identity where they are the same, or no target is given."""
    return Identity(source) if target is None or source == target else Movement(source, target)


def local(
    domain: DistributedSpace, codomain: DistributedSpace, build: Callable[[Euclidean, Euclidean], LinearOperator]
) -> Local:
    """Return the operator of all ranks that is, on this one, what `build` makes of what it holds before and after."""
    return Local(domain, codomain, build(held(domain), held(codomain)))
