"""Hypothesis strategies for drafts and expressions, dense embeddings, and one way to run a property on both engines.

A property is a function of a world. `on_ranks` runs it on simulated ranks, or, in a process that ``mpiexec`` or
``torchrun`` started, on the ranks of that job, and settles the verdict between them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from distdl_ops.grid import Grid
from distdl_ops.intervals import balanced
from distdl_ops.local import Local
from distdl_ops.movement.movement import Movement
from distdl_ops.roles import At, Boundary, Copies, Replicated, Role, Split
from distdl_ops.spaces import DistributedSpace
from distdl_ops.worlds import AgreementError, World, simulate, world
from distdl_ops.worlds.start import in_job
from linop import Diagonal, Euclidean, FunctionOperator, Identity, LinearOperator, Matrix
from linop.arguments import checked
from linop.testing import DTYPES, shapes

__all__ = [
    "Draft",
    "Tree",
    "drafts",
    "drafts_of_one_tensor",
    "grids",
    "mutant",
    "on_ranks",
    "recipes",
    "splits",
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

    def on(self, world: World) -> DistributedSpace:
        """Return the space on a world."""
        return DistributedSpace(Grid(world, **self.axes), self.shape, self.dtype, **self.roles)

    def embedding(self) -> np.ndarray[Any, Any]:
        """Return the matrix of the embedding ``E : V -> S``, entry by entry from the definition of the roles.

        Its rows are the coordinates of the space in the order of ranks; a replicated vector has its rows once.
        """
        extent = int(np.prod(self.shape, dtype=int))
        rows = []
        for place in itertools.product(*(range(length) for length in self.axes.values())):
            coordinates = dict(zip(self.axes, place, strict=True))
            indices = [list(range(n)) for n in self.shape]
            for name, role in self.roles.items():
                k = coordinates[name]
                if (isinstance(role, At) and k != role.index) or (isinstance(role, Replicated) and k != 0):
                    break
                if isinstance(role, Split):
                    n = self.shape[role.axis]
                    start, stop = (role.intervals or balanced(n, self.axes[name]))[k]
                    held = range(start, stop)
                    indices[role.axis] = [i % n if role.boundary == "periodic" else i for i in held]
            else:
                for index in itertools.product(*indices):
                    row = np.zeros(extent)
                    if all(0 <= i < n for i, n in zip(index, self.shape, strict=True)):
                        row[np.ravel_multi_index(index, self.shape) if self.shape else 0] = 1
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
    told = None if failure is None else f"{type(failure).__name__}: {failure}"
    for attempt in range(ATTEMPTS):
        try:
            everyone = job.allgather((result, told), "on_ranks")
            break
        except AgreementError as error:  # the others were still in the program: they have raised by now, and come
            told = told or f"{type(error).__name__}: {error}"
            if attempt == ATTEMPTS - 1:
                raise
    if failure is not None:
        raise failure
    failures = {rank: told for rank, (_, told) in enumerate(everyone) if told is not None}
    if failures:
        raise AssertionError(f"other ranks failed: {failures}")
    return [found for found, _ in everyone]  # type: ignore[misc]


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


@checked
@st.composite
def grids(draw: st.DrawFn, size: int) -> dict[str, int]:
    """Return the axes of a grid on at most `size` ranks: up to two of them, of any length that fits.

    Parameters
    ----------
    size : int
        How many ranks there are.
    """
    axes: dict[str, int] = {}
    for name in draw(st.sampled_from([("rows",), ("rows", "cols")])):
        axes[name] = draw(st.integers(1, size))
        size //= axes[name]
    return axes


@checked
@st.composite
def splits(draw: st.DrawFn, axis: int, extent: int, parts: int, *, once: bool) -> Split:
    """Return ways to split a tensor axis: balanced, uneven with empty parts, and, unless `once`, overlapping ones.

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
    kind = draw(st.sampled_from(["balanced", "uneven"] if once else ["balanced", "uneven", "halo", "any"]))
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
    ends = [sorted(draw(st.tuples(*2 * [st.integers(-2, extent + 2)]))) for _ in range(parts)]
    return Split(axis, ends, boundary)


@checked
@st.composite
def drafts(
    draw: st.DrawFn,
    axes: dict[str, int],
    shape: tuple[int, ...],
    dtype: str,
    *,
    roles: tuple[type[Role], ...] = (At, Split, Copies, Replicated),
    once: bool = False,
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
    """
    chosen: dict[str, Role] = {}
    free = list(range(len(shape)))
    for name, length in axes.items():
        kinds = [r for r in roles if (r is not Split or free) and (r is not At or shape)] or [Copies]
        kind = draw(st.sampled_from(kinds))
        if kind is At:
            chosen[name] = At(draw(st.integers(0, length - 1)))
        elif kind is Split:
            axis = free.pop(draw(st.integers(0, len(free) - 1)))
            chosen[name] = draw(splits(axis, shape[axis], length, once=once))
        else:
            chosen[name] = kind()
    return Draft(axes, shape, dtype, chosen)


@checked
@st.composite
def drafts_of_one_tensor(draw: st.DrawFn, size: int, count: int = 2, *, same_grid: bool = False) -> tuple[Draft, ...]:
    """Return several drafts of one tensor over at most `size` ranks, on the same grid or on different ones.

    Parameters
    ----------
    size : int
        How many ranks there are.
    count : int, optional
        How many drafts are drawn.
    same_grid : bool, optional
        Whether all must be on one grid.
    """
    shape, dtype = draw(shapes()), draw(st.sampled_from(DTYPES))
    axes = draw(grids(size))
    if not shape:
        axes = {"rows": size}  # an array of no axes cannot be empty: every rank must hold one
    found = []
    for _ in range(count):
        if shape and not same_grid and draw(st.booleans()):
            axes = draw(grids(size))
        found.append(draw(drafts(axes, shape, dtype)))
    return tuple(found)


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
    drafts = tuple(Draft(draft.axes, draft.shape, dtype, draft.roles) for draft in drafts)
    domain, codomain = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    return Tree(drafts, draw(recipes(len(drafts), domain, codomain, depth)))


@checked
@st.composite
def recipes(draw: st.DrawFn, count: int, domain: int, codomain: int, depth: int) -> Recipe:
    """Return recipes of expressions between two of some spaces, given by their numbers.

    Parameters
    ----------
    count : int
        How many spaces there are.
    domain, codomain : int
        The numbers of two of them.
    depth : int
        Of the expression, at most.
    """
    kinds = ["movement"] + (["number", "tensor", "diagonal", "matrix"] if domain == codomain else [])
    kinds += ["compose", "compose", "compose", "add", "scale", "adjoint"] if depth else []
    kind = draw(st.sampled_from(kinds))
    if kind == "movement":
        return kind, domain, codomain
    if kind in ("number", "tensor", "diagonal", "matrix"):
        return kind, domain, draw(st.integers(0, 9))
    if kind == "adjoint":
        return kind, draw(recipes(count, codomain, domain, depth - 1))
    if kind == "scale":
        return kind, draw(st.sampled_from([-1, 0.5, 2, 3])), draw(recipes(count, domain, codomain, depth - 1))
    if kind == "add":
        return kind, *(draw(recipes(count, domain, codomain, depth - 1)) for _ in range(2))
    between = draw(st.integers(0, count - 1))
    right, left = draw(recipes(count, domain, between, depth - 1)), draw(recipes(count, between, codomain, depth - 1))
    return kind, left, right


def _cooked(recipe: Recipe, spaces: tuple[DistributedSpace, ...]) -> LinearOperator:
    """Return the expression of a recipe."""
    kind, *rest = recipe
    if kind == "movement":
        return Movement(spaces[rest[0]], spaces[rest[1]])
    if kind == "adjoint":
        return _cooked(rest[0], spaces).H
    if kind == "scale":
        scalar: float = rest[0]
        return scalar * _cooked(rest[1], spaces)
    if kind in ("add", "compose"):
        left, right = (_cooked(part, spaces) for part in rest)
        return left + right if kind == "add" else left @ right
    space, seed = spaces[rest[0]], rest[1]
    own = Euclidean(space.shape, space.dtype)
    generator = np.random.default_rng((seed, space.layout.counted_rank(space.grid.world.rank)))
    if kind == "number":
        return Local(space, space, seed % 3 * Identity(own))
    if kind == "matrix":
        return Local(space, space, Matrix(generator.integers(-2, 3, (own.size, own.size)), own, own))
    if kind == "diagonal":
        return Local(space, space, Diagonal(generator.integers(-3, 4, space.shape), own))
    tensor = np.random.default_rng(seed).integers(-3, 4, space.global_shape)
    return Local(space, space, Diagonal(space.from_global(tensor), own))
