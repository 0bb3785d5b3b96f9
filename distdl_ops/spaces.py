r"""A way of spreading a tensor over processes is a vector space.

A `DistributedSpace` is a grid, the shape of the logical tensor, a dtype and one role for each grid axis. With it comes
its *embedding* :math:`E_S : V \to S`, "lay this tensor out that way", from the space V of the logical tensor; every
data movement of this library is :math:`M(S, T) = E_T E_S^*`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, final

import numpy as np
import numpy.typing as npt

from distdl_ops.grid import Grid
from distdl_ops.roles import At, Boundary, Copies, Interval, Replicated, Role, Split, balanced
from distdl_ops.worlds.agreement import AgreementError, agreed, tell_apart
from linop import Space, SpaceError, arrays
from linop.arrays import Array, Scalar
from linop.spaces import Seed


class Piece(NamedTuple):
    """A run of tensor entries on one axis: where it begins in a rank's array and in the tensor, and how long it is."""

    local: int
    start: int
    length: int


@final
class DistributedSpace(Space):
    """The layouts of a tensor over a grid. Collective.

    Parameters
    ----------
    grid : Grid
        The ranks. Those outside hold arrays of size zero, as does a rank that an `At` passes over.
    shape : tuple of int
        Shape of the logical tensor.
    dtype : numpy dtype, optional
        A real or complex floating type, float64 by default.
    **roles : Role
        One for each axis of the grid, by its name.

    Attributes
    ----------
    grid : Grid
        As given.
    global_shape : tuple of int
        Shape of the logical tensor.
    shape : tuple of int
        Shape of what this rank holds.
    roles : dict
        Roles by grid axis; intervals are filled in.

    Raises
    ------
    SpaceError
        When roles are missing or do not fit the grid and the shape.
    AgreementError
        When the ranks do not describe the same space.

    Examples
    --------
    >>> from distdl_ops import Grid, simulate
    >>> def main(world):
    ...     grid = Grid(world, rows=3)
    ...     S = DistributedSpace(grid, (5,), rows=Split(0))
    ...     return S.from_global(np.arange(5)).tolist()
    >>> simulate(3, main)
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, grid: Grid, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float64, **roles: Role) -> None:
        self.grid = grid
        agreed(
            grid.world,
            "DistributedSpace",
            lambda: self._build(shape, dtype, roles),
            describe=lambda _: repr(self),
        )
        self._arguments_agreed: set[object] = set()

    def _build(self, shape: tuple[int, ...], dtype: npt.DTypeLike, roles: Mapping[str, Role]) -> None:
        """Fill in everything; raise where the arguments make no space."""
        super().__init__(shape, dtype)
        self.global_shape = self.shape
        self.roles = {name: self._bind(name, roles) for name in self.grid.axes}
        self._refuse_unfit(roles)
        self.shape = self.shape_at(self.grid.world.rank)
        self._replica_of = self._counted_rank(self.grid.world.rank)

    def _bind(self, name: str, roles: Mapping[str, Role]) -> Role:
        """Return the role along a grid axis, its intervals filled in."""
        here = f"DistributedSpace({self.grid!r}, {self.global_shape})"
        role = roles.get(name)
        if not isinstance(role, Role):
            raise SpaceError(f"{here}: every grid axis needs a role; expected one for {name!r}, found {role!r}")
        length = self.grid.axes[name]
        if isinstance(role, At) and not 0 <= role.index < length:
            raise SpaceError(f"{here}: {name}={role!r}: expected an index below {length}")
        if not isinstance(role, Split):
            return role
        ndim = len(self.global_shape)
        if not 0 <= role.axis < ndim:
            raise SpaceError(f"{here}: {name}={role!r}: the tensor has axes 0 to {ndim - 1}")
        others = [other for other, r in roles.items() if other != name and isinstance(r, Split) and r.axis == role.axis]
        if others:
            raise SpaceError(f"{here}: tensor axis {role.axis} is split along {name!r} and along {others[0]!r}")
        extent = self.global_shape[role.axis]
        intervals = role.intervals or balanced(extent, length)
        if len(intervals) != length:
            raise SpaceError(f"{here}: {name}={role!r}: expected {length} intervals, found {len(intervals)}")
        if extent == 0 and role.boundary == "periodic" and any(stop > start for start, stop in intervals):
            raise SpaceError(f"{here}: {name}={role!r}: an empty tensor axis cannot be periodic")
        return Split(role.axis, intervals, role.boundary)

    def _refuse_unfit(self, roles: Mapping[str, Role]) -> None:
        """Raise where the arguments name axes that do not exist, or the space would need an empty array of no axes."""
        here = f"DistributedSpace({self.grid!r}, {self.global_shape})"
        unknown = [name for name in roles if name not in self.grid.axes]
        if unknown:
            raise SpaceError(f"{here}: the grid has no axis {unknown[0]!r}")
        held_by_all = self.grid.size == self.grid.world.size and all(
            not isinstance(role, At) or self.grid.axes[name] == 1 for name, role in self.roles.items()
        )
        if not self.global_shape and not held_by_all:
            raise SpaceError(
                f"{here}: a rank that holds nothing needs an axis of length 0; use shape (1,) for a number"
            )

    # -- what each rank holds -----------------------------------------------------------------------------------------

    def intervals_at(self, rank: int) -> tuple[Interval, ...] | None:
        """Return the interval of every tensor axis that a rank holds; None when it holds nothing."""
        coordinates = self.grid.coordinates_of(rank)
        if coordinates is None:
            return None
        intervals = [(0, extent) for extent in self.global_shape]
        for name, role in self.roles.items():
            if isinstance(role, At) and role.index != coordinates[name]:
                return None
            if isinstance(role, Split):
                intervals[role.axis] = role.intervals[coordinates[name]]
        return tuple(intervals)

    def shape_at(self, rank: int) -> tuple[int, ...]:
        """Return the shape of what a rank holds."""
        intervals = self.intervals_at(rank)
        if intervals is None:
            return (0,) * len(self.global_shape)
        return tuple(stop - start for start, stop in intervals)

    def pieces_at(self, rank: int) -> list[list[Piece]] | None:
        """Return, for every tensor axis, the runs of entries in what a rank holds; None when it holds nothing."""
        intervals = self.intervals_at(rank)
        if intervals is None:
            return None
        boundaries: dict[int, Boundary] = {r.axis: r.boundary for r in self.roles.values() if isinstance(r, Split)}
        return [
            runs(interval, extent, boundaries.get(axis, "zero"))
            for axis, (interval, extent) in enumerate(zip(intervals, self.global_shape, strict=True))
        ]

    @property
    def holds_once(self) -> bool:
        """Whether every entry of a vector stands for one tensor entry of its own: ``E E* = I``."""
        return all(self.holds_once_along(name) for name in self.roles)

    def holds_once_along(self, name: str) -> bool:
        """Whether that is so along one grid axis: no copies, and no interval overlaps another or leaves the tensor."""
        role = self.roles[name]
        if not isinstance(role, Split):
            return role.holds_once
        held = sorted(interval for interval in role.intervals if interval[0] < interval[1])
        inside = not held or (held[0][0] >= 0 and held[-1][1] <= self.global_shape[role.axis])
        return inside and all(left[1] <= right[0] for left, right in itertools.pairwise(held))

    @property
    def is_partition(self) -> bool:
        """Whether every tensor entry lies on one rank, and nothing else does: ``E E* = I`` and ``E* E = I``."""
        return (
            self.holds_once
            and self.size == math.prod(self.global_shape)
            and not any(isinstance(role, Replicated) for role in self.roles.values())
        )

    def _counted_rank(self, rank: int) -> int:
        """Return the rank whose copy of a replicated vector counts: `rank` itself without replication."""
        coordinates = self.grid.coordinates_of(rank)
        if coordinates is None:
            return rank
        for name, role in self.roles.items():
            if isinstance(role, Replicated):
                coordinates[name] = 0
        return self.grid.rank_at(coordinates)

    # -- the vector space ---------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Number of coordinates over all ranks; a replicated vector counts once."""
        extents = list(self.global_shape)
        copies = 1
        for name, role in self.roles.items():
            if isinstance(role, Split):
                extents[role.axis] = sum(stop - start for start, stop in role.intervals)
            elif isinstance(role, Copies):
                copies *= self.grid.axes[name]
        return copies * math.prod(extents)

    @property
    def counts_here(self) -> bool:
        """Whether this rank's array enters the pairing: of the stored copies of a replicated vector, only the first."""
        return self._replica_of == self.grid.world.rank

    def dot(self, x: Array, y: Array) -> Scalar:
        """Pair coordinates over all ranks; collective. See `linop.Space.dot`."""
        local = np.array(arrays.to_numpy(arrays.dot(x, y, self.ndim)))
        if not self.counts_here:
            local[...] = 0
        self.grid.world.allreduce(local, "dot")
        return local.item() if local.ndim == 0 else local

    def to_coordinates(self, x: Array) -> np.ndarray:
        """Return all coordinates, rank after rank; collective. See `linop.Space.to_coordinates`."""
        flat = arrays.to_numpy(arrays.flatten(x, self.ndim))
        counted = flat if self.counts_here else flat[..., :0]
        return np.concatenate(self.grid.world.allgather(counted, "to_coordinates"), axis=-1)

    def from_coordinates(self, coordinates: np.ndarray) -> np.ndarray:
        """Return this rank's part of the vector with these coordinates; see `linop.Space.from_coordinates`."""
        before = sum(math.prod(self.shape_at(rank)) for rank in self._counted_ranks() if rank < self._replica_of)
        part = coordinates[..., before : before + math.prod(self.shape)]
        return part.reshape((*coordinates.shape[:-1], *self.shape)).copy()

    def locate(self, i: int) -> str:
        """Return the rank and the index of coordinate `i`."""
        for rank in self._counted_ranks():
            shape = self.shape_at(rank)
            if i < math.prod(shape):
                return f"rank {rank}, index {tuple(int(k) for k in np.unravel_index(i, shape))}"
            i -= math.prod(shape)
        raise SpaceError(f"{self}: coordinate {i} does not exist")

    def _counted_ranks(self) -> list[int]:
        return [rank for rank in range(self.grid.size) if self._counted_rank(rank) == rank]

    def consistent(self, x: Array) -> bool:
        """Say whether all replicas of a vector agree bit by bit; collective."""
        bits = arrays.to_numpy(arrays.copy(x + 0))  # adding zero makes -0 and +0 the same bits
        digests = self.grid.world.allgather(hashlib.sha256(bits.tobytes()).digest(), "consistent")
        return all(digests[rank] == digests[self._counted_rank(rank)] for rank in range(self.grid.size))

    def check(self, x: Array, operator: object = None) -> None:
        """Raise on every rank unless `x` is a vector of this space, with the same batch and dtype on all of them.

        Collective the first time that a shape and dtype occur, and at every call in a world that debugs.

        Raises
        ------
        SpaceError
            Naming the operator, the space, and what each rank has.
        """
        shape, dtype = getattr(x, "shape", None), getattr(x, "dtype", None)
        seen = (shape, dtype)
        if seen in self._arguments_agreed and not self.grid.world.debug:
            return
        fault = self._fault(x)
        found = f"batch {arrays.split_batch(x, self.ndim)} of {_name(dtype)}" if fault is None else fault
        everyone = [str(f) for f in self.grid.world.allgather(found, f"the argument of an operator on {self}")]
        if len(set(everyone)) > 1:
            raise SpaceError(self._complaint(tell_apart(everyone), operator))
        if fault is not None:
            raise SpaceError(self._complaint(fault, operator))
        self._arguments_agreed.add(seen)

    def _generator(self, seed: Seed) -> np.random.Generator:
        """Return a stream of its own for every rank, and the same for all replicas of a vector."""
        seeds = seed if isinstance(seed, tuple) else (seed,)
        return np.random.default_rng((*seeds, self._replica_of))

    # -- from and to the logical tensor -------------------------------------------------------------------------------

    def from_global(self, tensor: Array) -> Array:
        """Return this rank's part of a tensor: the embedding. No communication.

        Parameters
        ----------
        tensor : array, shape (*batch, *global_shape)
            The same on every rank.

        Returns
        -------
        array, shape (*batch, *shape)
            Fresh; zeros where an interval leaves the tensor.

        Raises
        ------
        SpaceError
            When the tensor has another shape.
        """
        ndim = len(self.global_shape)
        shape = tuple(tensor.shape)
        if len(shape) < ndim or shape[len(shape) - ndim :] != self.global_shape:
            raise SpaceError(f"{self}: expected a tensor that ends in shape {self.global_shape}, found shape {shape}")
        part = arrays.zeros((*shape[: len(shape) - ndim], *self.shape), like=tensor)
        pieces = self.pieces_at(self.grid.world.rank)
        if pieces is not None:
            for index in np.ndindex(*(len(axis) for axis in pieces)):
                box = [axis[k] for axis, k in zip(pieces, index, strict=True)]
                target = tuple(slice(p.local, p.local + p.length) for p in box)
                source = tuple(slice(p.start, p.start + p.length) for p in box)
                part[(..., *target)] = tensor[(..., *source)]
        return part

    def to_global(self, x: Array) -> Array:
        """Return the whole tensor on every rank of the world: the way back from `from_global`. Collective.

        Parameters
        ----------
        x : array, shape (*batch, *shape)
            The layout of one tensor; entries that no rank holds come back as zeros.

        Returns
        -------
        array, shape (*batch, *global_shape)

        Raises
        ------
        AgreementError
            On every rank, when `x` is not the layout of one tensor: copies differ, say. (The adjoint of the embedding,
            a `Movement` to a replicated space, adds them up instead.)
        """
        from distdl_ops.movement.plan import Plan

        self.check(x, "to_global")
        tensor = Plan(self, self.everywhere()).run(x, "to_global", accumulate=False)
        same = bool(arrays.namespace(x).all((self.from_global(tensor) == x) | (x != x)))  # x != x: not a number
        verdicts = self.grid.world.allgather(same, "to_global")
        if not all(verdicts):
            told = tell_apart([f"{'agrees' if v else 'differs'}" for v in verdicts])
            raise AgreementError(f"{self}: to_global: the vector is not the layout of one tensor: {told}")
        return tensor

    def everywhere(self) -> DistributedSpace:
        """Return the space V of the logical tensor: the whole tensor, replicated on every rank of the world."""
        world = self.grid.world
        return DistributedSpace(Grid(world, ranks=world.size), self.global_shape, self.dtype, ranks=Replicated())

    def with_roles(self, **roles: Role) -> DistributedSpace:
        """Return the same space with other roles along some grid axes. Collective."""
        return DistributedSpace(self.grid, self.global_shape, self.dtype, **{**self.roles, **roles})

    # -- equality and printing ----------------------------------------------------------------------------------------

    def _key(self) -> tuple[object, ...]:
        return (self.grid, self.global_shape, self.dtype, tuple(self.roles.items()))

    def __repr__(self) -> str:
        return f"DistributedSpace({self.grid!r}, {self.dtype}, {self.layout})"

    @property
    def layout(self) -> str:
        """The shape of the tensor and the roles, for tables: ``(6, 28) rows=Split(0) cols=At(0)``."""
        return " ".join([str(self.global_shape), *(f"{name}={self._show(role)}" for name, role in self.roles.items())])

    def _show(self, role: Role) -> str:
        """Return a role in words; balanced intervals go without saying."""
        if isinstance(role, Split) and role.intervals == balanced(self.global_shape[role.axis], len(role.intervals)):
            return repr(Split(role.axis, boundary=role.boundary))
        return repr(role)


def runs(interval: Interval, extent: int, boundary: Boundary) -> list[Piece]:
    """Return the tensor entries in an interval as runs: what lies inside, or, when periodic, every time around.

    Examples
    --------
    >>> runs((-1, 3), 5, "zero")
    [Piece(local=1, start=0, length=3)]
    >>> runs((-1, 3), 5, "periodic")
    [Piece(local=0, start=4, length=1), Piece(local=1, start=0, length=3)]
    """
    start, stop = interval
    if boundary == "zero":
        first, last = max(start, 0), min(stop, extent)
        return [Piece(first - start, first, last - first)] if last > first else []
    pieces = []
    position = start
    while position < stop:
        inside = position % extent
        length = min(extent - inside, stop - position)
        pieces.append(Piece(position - start, inside, length))
        position += length
    return pieces


def _name(dtype: Any) -> str:
    """Return the name of a dtype without the name of its library."""
    return str(dtype).removeprefix("torch.")
