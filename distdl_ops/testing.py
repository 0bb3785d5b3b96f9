"""Hypothesis strategies for drafts and expressions, dense embeddings, and one way to run a property on both engines.

A property is a function of a world. `on_ranks` runs it on simulated ranks, or, in a process that ``mpiexec`` or
``torchrun`` started, on the ranks of that job, and settles the verdict between them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from distdl_ops.compositions.local import Local
from distdl_ops.grid import Grid, Places
from distdl_ops.layouts.cyclic import Cyclic
from distdl_ops.layouts.intervals import balanced
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.roles import At, Copies, Replicated, Role, Split
from distdl_ops.layouts.runs import Boundary
from distdl_ops.movement.movement import Movement
from distdl_ops.spaces import DistributedSpace
from distdl_ops.worlds import AgreementError, World, simulate, world
from distdl_ops.worlds.start import in_job
from linop import CumulativeSum, Diagonal, Euclidean, FunctionOperator, Identity, LinearOperator, Matrix
from linop.arguments import checked
from linop.testing import DTYPES, shapes

__all__ = [
    "Draft",
    "Tree",
    "drafts",
    "drafts_of_one_tensor",
    "grids",
    "mutant",
    "nested_splits",
    "on_ranks",
    "recipes",
    "splits",
    "tensor_shapes",
    "trees",
    "world_sizes",
    "worlds_and_drafts",
    "worlds_and_trees",
]

T = TypeVar("T")
A = TypeVar("A", bound=LinearOperator)

ATTEMPTS = 5
"""How often ranks try to come together at the end."""

MAX_SIMULATED = 4
"""How many ranks are simulated at most by default."""


@checked
@dataclass(frozen=True)
class Draft:
    """A `DistributedSpace` before there is a world: what hypothesis draws.

    Attributes
    ----------
    axes : dict
        Lengths of the grid axes by name.
    shape : tuple of int
        Shape of the logical tensor.
    dtype : str
        Name of the dtype.
    roles : dict
        Roles by grid axis.
    ranks : tuple of int, optional
        The ranks of the grid; the first ones by default.

    Examples
    --------
    >>> draft = Draft({"rows": 2}, (2,), "float64", {"rows": Copies()})
    >>> draft.embedding().tolist()                                  # of each rank, all entries
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    >>> simulate(2, lambda world: draft.on(world).shape)
    [(2,), (2,)]
    """

    axes: dict[str, int]
    shape: tuple[int, ...]
    dtype: str
    roles: dict[str, Role]
    ranks: tuple[int, ...] | None = None

    def on(self, world: World) -> DistributedSpace:
        """Return the space on a world."""
        return DistributedSpace(Grid(world, self.ranks, **self.axes), self.shape, self.dtype, roles=self.roles)

    @property
    def layout(self) -> Layout:
        """Who holds what."""
        return Layout(Places(self.axes, self.ranks), self.shape, self.roles)

    def embedding(self) -> np.ndarray[Any, Any]:
        """Return the matrix of the embedding ``E : V -> S``, entry by entry from the definition of the roles.

        Its rows are the coordinates of the space in the order of ranks; a replicated vector has its rows once.
        """
        extent = int(np.prod(self.shape, dtype=int))
        rows = []
        places = itertools.product(*(range(length) for length in self.axes.values()))
        for _, place in sorted(zip(self.ranks or itertools.count(), places, strict=False)):
            indices: list[list[int | None]] = [list(range(n)) for n in self.shape]
            outer = [0] * len(self.shape)
            for k, (name, parts) in zip(place, self.axes.items(), strict=True):
                role = self.roles[name]
                if k not in role.holders(parts) or (role.replicated and k != 0):
                    break
                if role.axis is not None:
                    whole = indices[role.axis]
                    held = role.row(outer[role.axis], parts).indices(k, parts, len(whole))
                    indices[role.axis] = [None if i is None else whole[i] for i in held]
                    outer[role.axis] = outer[role.axis] * parts + k
            else:
                for index in itertools.product(*indices):
                    row = np.zeros(extent)
                    inside = tuple(i for i in index if i is not None)
                    if len(inside) == len(self.shape):
                        row[np.ravel_multi_index(inside, self.shape) if self.shape else 0] = 1
                    rows.append(row)
        return np.array(rows).reshape(len(rows), extent)


@checked
def on_ranks(size: int, main: Callable[[World], T]) -> list[T]:
    """Run ``main(world)`` on the ranks at hand and return everyone's result, on every rank.

    Parameters
    ----------
    size : int
        How many ranks to simulate; in a job, the job's.
    main : callable
        The program of every rank.

    Raises
    ------
    Exception
        What `main` raised. In a job all ranks raise: the others an AssertionError that names the rank.

    Examples
    --------
    A property, which hypothesis tries on many layouts; under ``mpiexec``, on the ranks of the job:

    >>> from hypothesis import HealthCheck, given, settings
    >>> few = {"max_examples": 5, "derandomize": True, "database": None, "deadline": None}
    >>> few["suppress_health_check"] = list(HealthCheck)  # here, the machine may be busy
    >>> from linop import assert_adjoint
    >>> @settings(**few)
    ... @given(worlds_and_drafts())
    ... def every_movement_has_its_adjoint(case):
    ...     size, (source, target) = case
    ...     on_ranks(size, lambda world: assert_adjoint(Movement(source.on(world), target.on(world))))
    >>> every_movement_has_its_adjoint()
    """
    if not in_job():
        return simulate(size, main)
    job = world()
    result: T | None = None
    failure: Exception | None = None
    try:
        result = main(job)
    except Exception as error:  # it is raised again below
        failure = error
    message = None if failure is None else f"{type(failure).__name__}: {failure}"
    for attempt in range(ATTEMPTS):
        try:
            everyone = job.allgather((result, message), "on_ranks")
            break
        except AgreementError as error:  # the others were still in the program: they have raised by now, and come
            message = message or f"{type(error).__name__}: {error}"
            if attempt == ATTEMPTS - 1:
                raise
    if failure is not None:
        raise failure
    failures = {rank: message for rank, (_, message) in enumerate(everyone) if message is not None}
    if failures:
        raise AssertionError(f"other ranks failed: {failures}")
    return [value for value, _ in everyone]  # type: ignore[misc]


@checked
def mutant(operator: A, fault: Callable[[A, Any], Any]) -> FunctionOperator:
    """Return an operator with a wrong adjoint ``y -> fault(operator, y)``, for tests that a check finds it.

    Parameters
    ----------
    operator : LinearOperator
        The right one.
    fault : callable
        What is done instead of its adjoint.

    Examples
    --------
    >>> from linop import Matrix, check_adjoint
    >>> A = Matrix([[1.0, 2.0], [3.0, 4.0]])
    >>> bool(check_adjoint(mutant(A, lambda A, y: 2 * A.dual(y))))
    False
    """
    return FunctionOperator(
        *(operator.domain, operator.codomain, operator._apply, lambda y: fault(operator, y)), exact=True, batched=True
    )


@checked
def world_sizes(largest: int = MAX_SIMULATED) -> st.SearchStrategy[int]:
    """Return how many ranks to run on: any number up to `largest` when simulated, the job's in a job.

    Parameters
    ----------
    largest : int, optional
        How many to simulate at most.
    """
    return st.just(world().size) if in_job() else st.integers(1, largest)


def tensor_shapes() -> st.SearchStrategy[tuple[int, ...]]:
    """Return shapes of tensors: small ones, and those with an axis that leaves remainders on many ranks."""
    longer = st.integers(5, 13)
    return shapes() | st.tuples(longer) | st.tuples(longer, st.integers(1, 2)) | st.tuples(st.just(2), longer)


@checked
@st.composite
def grids(draw: st.DrawFn, size: int, most: int = 3) -> dict[str, int]:
    """Return the axes of a grid on at most `size` ranks: one or more of them, of any length that fits.

    Parameters
    ----------
    size : int
        How many ranks there are.
    most : int, optional
        How many axes there are at most, up to 3.
    """
    axes: dict[str, int] = {}
    for name in ("rows", "cols", "depth")[: draw(st.integers(1, most))]:
        axes[name] = draw(st.integers(1, size))
        size //= axes[name]
    return axes


@checked
@st.composite
def splits(draw: st.DrawFn, axis: int, extent: int, parts: int, *, once: bool) -> Split:
    """Return ways to split a tensor axis: balanced, uneven with empty parts; unless `once`, also with halos, or any.

    Halos may be trimmed: their widths may be negative.

    Parameters
    ----------
    axis : int
        Of the tensor.
    extent : int
        Of this axis.
    parts : int
        How many intervals there are.
    once : bool
        Whether they must divide the axis.
    """
    kinds = ["balanced", "uneven"] if once else ["balanced", "uneven", "halo", "trimmed", "any"]
    kind = draw(st.sampled_from(kinds))
    if kind == "balanced":
        return Split(axis)
    if kind == "uneven":
        cuts = sorted(draw(st.lists(st.integers(0, extent), min_size=parts - 1, max_size=parts - 1)))
        return Split(axis, list(itertools.pairwise([0, *cuts, extent])))
    boundaries: list[Boundary] = ["zero", "periodic"] if extent else ["zero"]
    boundary = draw(st.sampled_from(boundaries))
    if kind == "halo":
        below, above = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
        return Split(axis, [(start - below, stop + above) for start, stop in balanced(extent, parts)], boundary)
    if kind == "trimmed":
        below, above = draw(st.tuples(st.integers(-2, 1), st.integers(-2, 1)))
        ends = [(start - below, max(start - below, stop + above)) for start, stop in balanced(extent, parts)]
    else:
        any_end = st.integers(-2, extent + 2)
        ends = [(a, b) for a, b in (sorted(draw(st.tuples(any_end, any_end))) for _ in range(parts))]
    return Split(axis, ends, boundary, gaps=True)


@checked
@st.composite
def drafts(
    draw: st.DrawFn,
    axes: dict[str, int],
    shape: tuple[int, ...],
    dtype: str,
    *,
    roles: tuple[type[Role], ...] = (At, Split, Cyclic, Copies, Replicated),
    once: bool = False,
    nested: bool = True,
    ranks: tuple[int, ...] | None = None,
) -> Draft:
    """Return drafts of a tensor over a grid: any role along any axis.

    Parameters
    ----------
    axes : dict
        Lengths of the grid axes by name.
    shape, dtype
        Of the tensor.
    roles : tuple of types, optional
        The roles to choose from.
    once : bool, optional
        Whether intervals must divide their tensor axis.
    nested : bool, optional
        Whether several grid axes may split one tensor axis.
    ranks : tuple of int, optional
        The ranks of the grid.
    """
    chosen: dict[str, Role] = {}
    sizes = [[extent] for extent in shape]  # of the parts of each tensor axis so far
    for name, length in axes.items():
        free = [axis for axis, parts in enumerate(sizes) if nested or (len(parts) == 1 and not _split(chosen, axis))]
        kinds = [r for r in roles if (r not in (Split, Cyclic) or free) and (r is not At or shape)] or [Copies]
        kind = draw(st.sampled_from(kinds))
        if kind is At:
            chosen[name] = At(draw(st.integers(0, length - 1)))
        elif kind in (Split, Cyclic):
            whole = [axis for axis in free if not _split(chosen, axis)]
            again = draw(st.integers(0, 2)) == 0
            axis = draw(st.sampled_from(free if again or not whole else whole))
            if kind is Cyclic:
                role: Role = Cyclic(axis, draw(st.integers(1, 3)), draw(st.integers(0, length - 1)))
            elif _split(chosen, axis):
                role = draw(nested_splits(axis, sizes[axis], length, once=once))
            else:
                role = draw(splits(axis, shape[axis], length, once=once))
            sizes[axis] = [
                role.row(outer, length).length(k, length, extent)
                for outer, extent in enumerate(sizes[axis])
                for k in range(length)
            ]
            chosen[name] = role
        else:
            chosen[name] = kind()
    return Draft(axes, shape, dtype, chosen, ranks)


def _split(roles: dict[str, Role], axis: int) -> bool:
    """Say whether some role splits a tensor axis."""
    return any(role.axis == axis for role in roles.values())


@checked
@st.composite
def nested_splits(draw: st.DrawFn, axis: int, sizes: list[int], parts: int, *, once: bool) -> Split:
    """Return ways to split a tensor axis that other grid axes split before.

    Parameters
    ----------
    axis : int
        Of the tensor.
    sizes : list of int
        Entries of each part that the others give.
    parts : int
        Into how many each is split.
    once : bool
        Whether they must divide each part.
    """
    kind = draw(st.sampled_from(["balanced", "rows"] if once else ["balanced", "rows", "one row"]))
    if kind == "balanced":
        return Split(axis)
    if kind == "one row":
        role = draw(splits(axis, draw(st.sampled_from(sizes)), parts, once=False))
        return Split(axis, role.intervals, role.boundary if all(sizes) else "zero", gaps=True)
    rows = [draw(splits(axis, extent, parts, once=True)).intervals_over(parts, extent) for extent in sizes]
    return Split(axis, [interval for row in rows for interval in row])


@checked
@st.composite
def drafts_of_one_tensor(
    draw: st.DrawFn,
    size: int,
    count: int = 2,
    *,
    same_grid: bool = False,
    dtypes: tuple[str, ...] = (*DTYPES, "float16"),
) -> tuple[Draft, ...]:
    """Return several drafts of one tensor over at most `size` ranks, on the same grid or on different ones.

    Parameters
    ----------
    size : int
        How many ranks there are.
    count : int, optional
        How many drafts are drawn.
    same_grid : bool, optional
        Whether all must be on one grid.
    dtypes : tuple of str, optional
        To choose from. In half precision, integers up to 2048 are exact.
    """
    shape, dtype = draw(tensor_shapes()), draw(st.sampled_from(dtypes))
    axes = draw(grids(size))
    if not shape:
        axes = {"rows": size}  # an array of no axes cannot be empty: every rank must hold one
    ranks = draw(_ranks(axes, size))
    chosen = []
    for _ in range(count):
        if not same_grid and draw(st.booleans()):
            axes = draw(grids(size)) if shape else axes
            ranks = draw(_ranks(axes, size))
        chosen.append(draw(drafts(axes, shape, dtype, ranks=ranks)))
    return tuple(chosen)


@st.composite
def _ranks(draw: st.DrawFn, axes: dict[str, int], size: int) -> tuple[int, ...] | None:
    """Return the ranks of a grid: the first ones, or any in any order."""
    if draw(st.integers(0, 3)):
        return None
    order = draw(st.permutations(list(range(size))))
    return tuple(order[: math.prod(axes.values())])


Recipe = tuple[Any, ...]
"""An expression before there is a world: what it is, and its parts."""


@checked
@dataclass(frozen=True)
class Tree:
    """A random expression of movements and local operators on spaces of one tensor: what hypothesis draws.

    Attributes
    ----------
    drafts : tuple of Draft
        The spaces.
    recipe : tuple
        The expression.
    """

    drafts: tuple[Draft, ...]
    recipe: Recipe

    def on(self, world: World) -> LinearOperator:
        """Return the expression on a world."""
        return _cooked(self.recipe, tuple(draft.on(world) for draft in self.drafts))


@checked
@st.composite
def worlds_and_drafts(
    draw: st.DrawFn, count: int = 2, *, largest: int = MAX_SIMULATED, same_grid: bool = False
) -> tuple[int, tuple[Draft, ...]]:
    """Return how many ranks to run on, up to `largest` of them, and `drafts_of_one_tensor` over these.

    Parameters
    ----------
    count, same_grid
        As for `drafts_of_one_tensor`.
    largest : int, optional
        As for `world_sizes`.
    """
    size = draw(world_sizes(largest))
    return size, draw(drafts_of_one_tensor(size, count, same_grid=same_grid))


@st.composite
def worlds_and_trees(draw: st.DrawFn) -> tuple[int, Tree]:
    """Return how many ranks to run on, and an expression over these; see `trees`."""
    size = draw(world_sizes())
    return size, draw(trees(size))


@checked
@st.composite
def trees(draw: st.DrawFn, size: int, depth: int = 3) -> Tree:
    """Return random expressions on at most `size` ranks, in which arithmetic on small integers is exact.

    Parameters
    ----------
    size : int
        How many ranks there are.
    depth : int, optional
        Of the expression, at most.
    """
    drafts = draw(drafts_of_one_tensor(size, 3, same_grid=draw(st.booleans())))
    dtype = draw(st.sampled_from(["float64", "complex128"]))
    drafts = tuple(replace(draft, dtype=dtype) for draft in drafts)
    domain, codomain = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    numbers = REAL_NUMBERS if dtype == "float64" else COMPLEX_NUMBERS
    return Tree(drafts, draw(recipes(len(drafts), domain, codomain, depth, numbers=numbers)))


REAL_NUMBERS = (-2, -1, 0, 1, 0.5, 2, 3)
"""By what expressions are multiplied; Python's hashes of the first two are the same."""

COMPLEX_NUMBERS = (*REAL_NUMBERS, 1j, -2j, 1 - 2j)
"""The same, of complex spaces."""


@checked
@st.composite
def recipes(
    draw: st.DrawFn, count: int, domain: int, codomain: int, depth: int, *, numbers: tuple[complex, ...] = REAL_NUMBERS
) -> Recipe:
    """Return recipes of expressions between two of some spaces, given by their numbers.

    Parameters
    ----------
    count : int
        How many spaces there are.
    domain, codomain : int
        The numbers of two of them.
    depth : int
        Of the expression, at most.
    numbers : tuple of numbers, optional
        By what expressions are multiplied.
    """
    kinds = ["movement"] + (["number", "tensor", "diagonal", "matrix", "sums"] if domain == codomain else [])
    kinds += ["compose", "compose", "compose", "add", "scale", "adjoint"] if depth else []
    kind = draw(st.sampled_from(kinds))
    if kind == "movement":
        return kind, domain, codomain
    if kind == "number":
        return kind, domain, draw(st.sampled_from(numbers))
    if kind in ("tensor", "diagonal", "matrix", "sums"):
        return kind, domain, draw(st.integers(0, 9))

    def recipe(source: int, target: int) -> Recipe:
        inner: Recipe = draw(recipes(count, source, target, depth - 1, numbers=numbers))
        return inner

    if kind == "adjoint":
        return kind, recipe(codomain, domain)
    if kind == "scale":
        return kind, draw(st.sampled_from(numbers)), recipe(domain, codomain)
    if kind == "add":
        return kind, *(recipe(domain, codomain) for _ in range(2))
    between = draw(st.integers(0, count - 1))
    right, left = recipe(domain, between), recipe(between, codomain)
    return kind, left, right


def _cooked(recipe: Recipe, spaces: tuple[DistributedSpace, ...]) -> LinearOperator:
    """Return the expression of a recipe."""
    kind, *rest = recipe
    if kind == "movement":
        return Movement(spaces[rest[0]], spaces[rest[1]])
    if kind == "adjoint":
        return _cooked(rest[0], spaces).H
    if kind == "scale":
        scalar: complex = rest[0]
        return scalar * _cooked(rest[1], spaces)
    if kind in ("add", "compose"):
        left, right = (_cooked(part, spaces) for part in rest)
        return left + right if kind == "add" else left @ right
    space, seed = spaces[rest[0]], rest[1]
    local_space = Euclidean(space.shape, space.dtype)
    if kind == "number":
        return Local(space, space, rest[1] * Identity(local_space))
    if kind == "sums":  # along one axis of the array, of which hashes of -1 and -2 would be the same
        inside = (
            CumulativeSum(local_space, axis=seed % local_space.ndim - local_space.ndim)
            if local_space.ndim
            else Identity(local_space)
        )
        return Local(space, space, inside)
    generator = np.random.default_rng((seed, space.layout.counted_rank(space.grid.world.rank)))
    if kind == "matrix":
        return Local(
            space,
            space,
            Matrix(
                _integers(generator, (local_space.size, local_space.size), local_space.dtype), local_space, local_space
            ),
        )
    if kind == "diagonal":
        return Local(space, space, Diagonal(_integers(generator, space.shape, local_space.dtype), local_space))
    tensor = _integers(np.random.default_rng(seed), space.global_shape, local_space.dtype)
    return Local(space, space, Diagonal(space.from_global(tensor), local_space))


def _integers(generator: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return small integers, in both parts of complex numbers."""
    numbers = generator.integers(-2, 3, shape)
    return np.asarray(numbers + 1j * generator.integers(-2, 3, shape) if dtype.kind == "c" else numbers, dtype)
