r"""A way of spreading a tensor over processes is a vector space.

A `DistributedSpace` is a grid, the shape of the logical tensor, a dtype and one role for each grid axis. With it comes
its *embedding* :math:`E_S : V \to S`, "lay this tensor out that way", from the space V of the logical tensor; every
data movement of this library is :math:`M(S, T) = E_T E_S^*`.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
from collections.abc import Mapping
from numbers import Complex, Integral
from typing import Any, NoReturn, final

import numpy as np
import numpy.typing as npt

from distdl_ops.grid import Grid
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.roles import Replicated, Role
from distdl_ops.layouts.runs import paired_slices
from distdl_ops.transfer.operation_name import OperationName
from distdl_ops.transfer.plan import Plan
from distdl_ops.worlds.agreement import AgreementError, agreed, tell_apart
from distdl_ops.worlds.buffers import ITEMSIZE, dtype_name
from linop import Space, SpaceError, arrays
from linop.arguments import refuse, show
from linop.arrays import Array, Scalar
from linop.errors import ArgumentTypeError
from linop.spaces import Euclidean, Seed

EXACT = 2**53
"""Whole numbers up to it are floating ones, too."""

OPTIONS = ("dtype", "field", "roles")
"""What `DistributedSpace` takes by name, beside roles by the names of grid axes."""


@final
class DistributedSpace(Space):
    """The layouts of a tensor over a grid. Collective.

    Parameters
    ----------
    grid : Grid
        The ranks. Those outside hold arrays of size zero, as does a rank that an `At` passes over. This and what
        follows is passed by place; dtype and field also by name.
    shape : tuple of int
        Shape of the logical tensor.
    dtype : numpy dtype, optional
        A real or complex floating type, float64 by default.
    field : {"real", "complex"}, optional
        That of the dtype by default; ``"real"`` with a complex dtype makes a real space of complex arrays.
    **roles : Role
        One for each axis of the grid, by its name, which may be any: a keyword whose value is a role is that of the
        grid axis of this name, ``dtype=Split(0)``, too. Or all of them in one mapping, ``roles={"rows": Split(0)}``.

    Attributes
    ----------
    grid : Grid
        As given.
    layout : Layout
        Who holds what.
    shape : tuple of int
        Shape of what this rank holds.

    Raises
    ------
    SpaceError
        When roles are missing or do not fit the grid and the shape, or the field is not one of the dtype.
    AgreementError
        When the ranks do not describe the same space.

    Examples
    --------
    >>> from distdl_ops import Grid, Split, simulate
    >>> def main(world):
    ...     grid = Grid(world, rows=3)
    ...     S = DistributedSpace(grid, (5,), rows=Split(0))
    ...     return S.from_global(np.arange(5)).tolist()
    >>> simulate(3, main)
    [[0, 1], [2, 3], [4]]
    """

    spread = True

    def __init__(
        self,
        grid: Grid,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike = np.float64,
        field: str | None = None,
        /,
        **roles: Any,  # by name, also dtype, field, and a mapping of roles
    ) -> None:
        if not isinstance(grid, Grid):
            refuse(ArgumentTypeError(f"DistributedSpace: expected grid to be a Grid, found {show(grid)}"), grid)
        self.grid = grid
        options = {key: roles.pop(key) for key in OPTIONS if key in roles and not isinstance(roles[key], Role)}
        dtype, field = options.get("dtype", dtype), options.get("field", field)
        roles = {**options.get("roles", {}), **roles}
        agreed(
            grid.world,
            "DistributedSpace",
            lambda: self._build(shape, dtype, field, roles),
            describe=lambda _: repr(self),
        )

    def _build(
        self, shape: tuple[int, ...], dtype: npt.DTypeLike, field: str | None, roles: Mapping[str, Role]
    ) -> None:
        """Fill in everything; raise where the arguments make no space."""
        super().__init__(shape, dtype, field)  # of the whole tensor, to begin with
        if self.dtype.name not in ITEMSIZE:
            raise SpaceError(f"DistributedSpace: expected a dtype of {', '.join(ITEMSIZE)}, found {self.dtype}")
        rank, world = self.grid.world.rank, self.grid.world
        self.layout = Layout(self.grid.places, self.shape, roles)
        self.shape = self.layout.shape_at(rank)
        self._counted = self.layout.counted_rank(rank)
        self._local = Euclidean(self.shape, self.dtype, self.field)
        if not self.shape and not self.layout.holds_everywhere(world.size):
            raise SpaceError(
                f"{self}: a rank that holds nothing needs an axis of length 0; use shape (1,) for a number"
            )

    @property
    def global_shape(self) -> tuple[int, ...]:
        """Shape of the logical tensor."""
        return self.layout.shape

    @property
    def roles(self) -> dict[str, Role]:
        """Roles by grid axis; intervals are filled in."""
        return self.layout.roles

    # -- the vector space ---------------------------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Number of coordinates over all ranks; a replicated vector counts once."""
        return 2 * self.layout.size if self._realified else self.layout.size

    @property
    def _realified(self) -> bool:
        """Whether complex arrays are seen as vectors of a real space."""
        return self.field == "real" and self.dtype.kind == "c"

    @property
    def counts_here(self) -> bool:
        """Whether this rank's array enters the pairing: of the stored copies of a replicated vector, only the first."""
        return self._counted == self.grid.world.rank

    def dot(self, x: Array, y: Array) -> Scalar:
        """Pair coordinates over all ranks; collective. See `linop.Space.dot`."""
        local = np.array(self._local.dot(x, y))
        if not self.counts_here:
            local[...] = 0
        total = np.empty_like(local)
        self.grid.world.allreduce(local, total, self._dot.of(local))
        return total.item() if total.ndim == 0 else total

    @functools.cached_property
    def _dot(self) -> OperationName:
        return OperationName(f"dot in {self}", 0)

    def to_coordinates(self, x: Array) -> np.ndarray:
        """Return all coordinates, rank after rank; collective. See `linop.Space.to_coordinates`."""
        flat = self._local.to_coordinates(x)
        counted = flat if self.counts_here else flat[..., :0]
        return np.concatenate(self.grid.world.allgather(counted, "to_coordinates"), axis=-1)

    def from_coordinates(self, coordinates: np.ndarray) -> np.ndarray:
        """Return this rank's part of the vector with these coordinates; see `linop.Space.from_coordinates`."""
        ranks = [rank for rank in self.layout.counted_ranks() if rank < self._counted]
        before = sum(self._at(rank).size for rank in ranks)
        return np.array(self._local.from_coordinates(coordinates[..., before : before + self._local.size]))

    def locate(self, i: int) -> str:
        """Return the rank and the index of coordinate `i`."""
        rank, i = self._place(i)
        return f"rank {rank}, {self._at(rank).locate(i)}"

    def _rank_of(self, i: int) -> int:
        return self._place(i)[0]

    def _place(self, i: int) -> tuple[int, int]:
        """Return the rank that holds a coordinate, and which of its own it is."""
        for rank in self.layout.counted_ranks():
            held = self._at(rank)
            if i < held.size:
                return rank, i
            i -= held.size
        raise SpaceError(f"{self}: coordinate {i} does not exist")

    def _at(self, rank: int) -> Euclidean:
        """Return the space of what a rank holds."""
        return Euclidean(self.layout.shape_at(rank), self.dtype, self.field)

    def agree(self, what: str, value: object) -> None:
        """Raise unless a value is the same on all ranks; collective. See `linop.Space.agree`."""
        agreed(self.grid.world, f"{what} in {self}", lambda: _plain(value))

    def consistent(self, x: Array) -> bool:
        """Say whether all replicas of a vector agree bit by bit; collective."""
        digests = self.grid.world.allgather(self._digest(x), "consistent")
        return all(digests[rank] == digests[self.layout.counted_rank(rank)] for rank in self.grid.places.members)

    @staticmethod
    def _digest(x: Array) -> str:
        """Return what tells a vector from others that are not the same bit by bit."""
        y = arrays.copy(x + 0)  # adding zero makes -0 and +0 the same bits
        y[y != y] = float("nan")  # and there are many patterns of bits for what is no number
        return hashlib.sha256(arrays.to_numpy(y).tobytes()).hexdigest()[:16]

    def _fault(self, x: Array) -> str | None:
        """Return what keeps `x` from being a vector here; see `linop.Space.check`."""
        fault = super()._fault(x)
        if fault is None and dtype_name(x) not in ITEMSIZE:
            return (
                f"expected entries that can cross between ranks, of one of {', '.join(ITEMSIZE)}; found dtype {x.dtype}"
            )
        if fault is None and getattr(x, "requires_grad", False):
            return "found a tensor that requires a gradient, which would stay on its rank; use torch_bridge.as_function"
        return fault

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise an error, and let all ranks raise: they would wait for this one.

        Batches and dtypes that differ between ranks are found where something is communicated.
        """
        self.grid.world.fail(error)

    def _generator(self, seed: Seed) -> np.random.Generator:
        """Return a stream of its own for every rank, and the same for all replicas of a vector."""
        seeds = seed if isinstance(seed, tuple) else (seed,)
        return np.random.default_rng((*seeds, self._counted))

    def positions(self) -> np.ndarray:
        """Return for each entry its place in the logical tensor, in row-major order; see `linop.Space.positions`."""
        places = np.full(self.shape, -1)
        pieces = self.layout.pieces_at(self.grid.world.rank)
        for pairs in () if pieces is None else itertools.product(*map(paired_slices, pieces)):
            local, whole = zip(*pairs, strict=True) if pairs else ((), ())
            axes = np.ix_(*(np.arange(n)[part] for n, part in zip(self.global_shape, whole, strict=True)))
            places[local] = np.ravel_multi_index(axes, self.global_shape) if axes else 0
        return places

    # -- from and to the logical tensor -------------------------------------------------------------------------------

    def from_global(self, tensor: Array) -> Array:
        """Return this rank's part of a tensor: the embedding. No communication.

        Parameters
        ----------
        tensor : array, shape ``(*batch, *global_shape)``
            The same on every rank.

        Returns
        -------
        array, shape ``(*batch, *shape)``
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
        pieces = self.layout.pieces_at(self.grid.world.rank)
        for pairs in () if pieces is None else itertools.product(*map(paired_slices, pieces)):
            local, whole = zip(*pairs, strict=True) if pairs else ((), ())
            part[(..., *local)] = tensor[(..., *whole)]
        return part

    def to_global(self, x: Array) -> Array:
        """Return the whole tensor on every rank of the world: the way back from `from_global`. Collective.

        Parameters
        ----------
        x : array, shape ``(*batch, *shape)``
            The layout of one tensor; entries that no rank holds come back as zeros.

        Returns
        -------
        array, shape ``(*batch, *global_shape)``

        Raises
        ------
        AgreementError
            On every rank, when `x` is not the layout of one tensor: copies differ, say. (The adjoint of the embedding,
            a `Movement` to a replicated space, adds them up instead.)
        """
        self.check(x, "to_global")
        world, everywhere = self.grid.world, self.everywhere()
        what = OperationName(f"to_global of {self}", self.ndim).of(x)
        tensor = Plan(self.layout, everywhere.layout, world.rank).run(x, world, what, accumulate=False)
        same = bool(arrays.namespace(x).all((self.from_global(tensor) == x) | (x != x)))  # x != x: not a number
        verdict = "agrees" if same else "differs"
        verdicts = world.allgather(f"{verdict}, digest {self._digest(tensor)}", "to_global")
        if len(set(verdicts)) > 1 or not same:
            raise AgreementError(
                f"{self}: to_global: the vector is not the layout of one tensor: {tell_apart(verdicts)}"
            )
        return tensor

    def everywhere(self) -> DistributedSpace:
        """Return the space V of the logical tensor: the whole tensor, replicated on every rank of the world."""
        world = self.grid.world
        grid = Grid(world, ranks=world.size)
        return DistributedSpace(grid, self.global_shape, self.dtype, self.field, ranks=Replicated())

    def with_roles(self, roles: Mapping[str, Role] | None = None, /, **more: Role) -> DistributedSpace:
        """Return the same space with other roles along some grid axes. Collective.

        Parameters
        ----------
        roles : mapping of str to Role, optional
            By grid axis.
        **more : Role
            The same by name.
        """
        roles = {**self.roles, **(roles or {}), **more}
        return DistributedSpace(self.grid, self.global_shape, self.dtype, self.field, roles=roles)

    def like(
        self,
        shape: tuple[int, ...] | None = None,
        dtype: npt.DTypeLike | None = None,
        field: str | None = None,
        roles: Mapping[str, Role] | None = None,
    ) -> DistributedSpace:
        """Return a space on the same grid, without communication: for arguments that all ranks are known to pass alike.

        Parameters
        ----------
        shape : tuple of int, optional
            Of the logical tensor; as here by default.
        dtype : numpy dtype, optional
            As here by default.
        field : {"real", "complex"}, optional
            As here by default, unless the dtype is another: then that of the dtype.
        roles : mapping of str to Role, optional
            One for each axis of the grid; as here by default.

        Raises
        ------
        SpaceError
            When they make no space; the same on every rank.

        Examples
        --------
        >>> from distdl_ops import Grid, Split, simulate
        >>> def main(world):
        ...     S = DistributedSpace(Grid(world, rows=3), (5,), rows=Split(0))
        ...     return S.like(shape=(7, 2), dtype=np.float32).shape
        >>> simulate(3, main)
        [(3, 2), (2, 2), (2, 2)]
        """
        if field is None and (dtype is None or np.dtype(dtype) == self.dtype):
            field = self.field
        space = object.__new__(DistributedSpace)
        space.grid = self.grid
        space._build(
            self.global_shape if shape is None else shape,
            self.dtype if dtype is None else dtype,
            field,
            self.roles if roles is None else roles,
        )
        return space

    def split_axes(self, axis: int) -> tuple[str, ...]:
        """Return the grid axes that split a tensor axis, in order; none where it is whole on every rank."""
        return self.layout.split_axes(axis)

    # -- equality and printing ----------------------------------------------------------------------------------------

    def _key(self) -> tuple[object, ...]:
        return (self.grid, self.layout, self.dtype, self.field)

    def __repr__(self) -> str:
        field = ", field='real'" if self._realified else ""
        return f"DistributedSpace({self.grid!r}, {self.dtype}{field}, {self.layout})"


def rearranged(space: DistributedSpace, roles: Mapping[str, Role]) -> DistributedSpace:
    """Return the same space with these roles, without communication: for roles that all ranks have found alike.

    Raises
    ------
    SpaceError
        When they make no space; the same on every rank.
    """
    return space.like(roles=roles)


def require_spaces(name: str, *spaces: object) -> None:
    """Raise a TypeError that names the operator unless these are distributed spaces."""
    for space in spaces:
        if not isinstance(space, DistributedSpace):
            raise ArgumentTypeError(f"{name}: expected a DistributedSpace, found {space!r}")


def _plain(value: object) -> object:
    """Return what prints alike where it is the same: Python's numbers, and digests of arrays."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, np.ndarray):
        return f"array of {value.dtype}, shape {value.shape}, digest {hashlib.sha256(value.tobytes()).hexdigest()[:16]}"
    if isinstance(value, Integral) and abs(int(value)) > EXACT:
        return int(value)
    return complex(value) if isinstance(value, Complex) else value
