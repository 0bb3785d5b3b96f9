"""The loop that all solvers share: when to stop, what to report, whom to tell.

A solver is a *recurrence*: a generator of steps, each an iterate and the norm of its residual, that returns a reason
when it cannot go on. The loop decides everything else. A recurrence updates residuals, and rounding makes them drift
away from ``b - A x``; where one claims convergence, the loop therefore starts it anew from the iterate. Its first
residual is the true one: either it confirms the claim, or the iteration goes on from there, as iterative refinement,
for as long as that gains at least a factor of two.

Every decision follows from norms and inner products, which are the same on all processes: none leaves the loop alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, final

import numpy as np

from linop import arrays
from linop.arguments import LARGEST
from linop.arrays import Array, Vector
from linop.blocks.stack import VStack
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.errors import ArgumentTypeError, SpaceError
from linop.solve.result import Result, State
from linop.solve.scalars import Number, every, isfinite, largest, ratio, some, sqrt
from linop.spaces import Seed, Space

ORDINARY = 2.0**-100
"""Right-hand sides from this size to its inverse are solved for as they are."""

RESIDUAL = "the residual is below the tolerance"
LEAST_SQUARES = "a least-squares solution: the residual of the normal equations is below the tolerance"
ZERO = "the right-hand side is zero"
UNDERFLOW = "breakdown: the right-hand side is so small that squares of residuals underflow; multiply it"
USED_UP = "the number of iterations is used up"
STREAM = 1952
"""A stream of random numbers of the solvers' own: that of a user's seed may have drawn the operator."""

CALLBACK = "the callback asked to stop"
NOT_FINITE = "breakdown: a number is not finite"
ROUNDING = "breakdown: rounding keeps the residual above the tolerance"

SMALLEST = math.sqrt(float(np.finfo(np.float64).smallest_normal))
"""A length from which on its square has all its digits."""

Callback = Callable[[State], object]


class Step(NamedTuple):
    """An iterate, and what its recurrence knows: norms of the residual r, of A.H r, of A (at least), eigenvalues.

    An iterate that costs as much as a step is a function that makes it. Of a batch, norms are arrays with one number
    for each vector.
    """

    x: Vector | Callable[[], Vector]
    residual: Number
    normal: Number = math.inf
    norm: Number = 0.0
    values: tuple[float, ...] = ()


Steps = Generator[Step, None, str]
Criterion = Callable[[Step, float], str | None]
Recurrence = Callable[[LinearOperator, Vector, Vector], Steps]
"""From an operator, an iterate x and its residual ``b - A x``, which is given up, the steps; the first one is x."""


@final
@dataclass(frozen=True)
class Settings:
    """What all solvers take: names for errors, and when to stop."""

    solver: str
    A: LinearOperator
    tolerance: float
    absolute: float
    iterations: int | None
    callback: Callback | None
    progress: bool
    default: int = 100
    preconditioner: LinearOperator | None = None
    options: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        """Raise unless all processes have been given the same numbers, and will take the same steps."""
        absent = (self.callback is None, self.preconditioner is None)
        self.A._agree(self.solver, (self.tolerance, self.absolute, self.iterations, *absent, *self.options))
        self.require_preconditioner()

    def __str__(self) -> str:
        return f"{self.solver} with {self.A!r}"

    @property
    def limit(self) -> int:
        """How many steps to take at most: by default, ten for each coordinate, and at least `default`."""
        return max(self.default, 10 * self.A.domain.size) if self.iterations is None else int(self.iterations)

    def require_square(self) -> None:
        """Raise unless the operator maps a space to itself."""
        if self.A.domain != self.A.codomain:
            raise SpaceError(f"{self}: expected an operator from a space to itself")

    def require_preconditioner(self) -> None:
        """Raise unless the preconditioner, if there is one, maps the operator's domain to itself."""
        M, X = self.preconditioner, self.A.domain
        if M is None:
            return
        if not isinstance(M, LinearOperator):
            raise ArgumentTypeError(f"{self}: expected a linear operator for preconditioner, found {M!r}")
        if (M.domain, M.codomain) != (X, X):
            raise SpaceError(f"{self}: expected a preconditioner from {X} to itself, found {M!r}")

    def vector(self, name: str, space: Space, x: Vector, batch: tuple[int, ...] = ()) -> Vector:
        """Return a copy of a floating type; raise unless `x` is a vector of a space, with these batch axes."""
        space.check(x, self.A)
        if space.batch(x) != batch:
            expected = f"batch axes {batch}, those of b," if batch else "one vector"
            raise SpaceError(f"{self}: in {space}, expected {expected} for {name}, found batch axes {space.batch(x)}")
        return arrays.each(_fresh, x)

    def vectors(self, b: Vector, x0: Vector | None) -> tuple[Vector, Vector | None]:
        """Return copies of a right-hand side, or of a batch of them, and of as many starts, if there are any."""
        A = self.A
        A.codomain.check(b, A)
        batch = A.codomain.batch(b)
        return (
            self.vector("b", A.codomain, b, batch),
            None if x0 is None else self.vector("x0", A.domain, x0, batch),
        )


# -- vectors -----------------------------------------------------------------------------------------------------------


def _fresh(x: Array) -> Array:
    """Return a copy; integers become double precision."""
    xp = arrays.namespace(x)
    return xp.astype(x, xp.float64) if xp.isdtype(x.dtype, "integral") else arrays.copy(x)


def zeros(space: Space, like: Vector, batch: tuple[int, ...] = ()) -> Vector:
    """Return the zero vector of a space, in the library and precision of another space's vector."""
    found = arrays.leaves(like)[0]
    if space.dtype.kind == "f" and arrays.kind(found) == "complex":
        found = arrays.namespace(found).real(found)
    return space.zeros(batch, like=found)


def normalised(space: Space, x: Vector) -> tuple[Number, Vector]:
    """Return the norm of a vector, and the vector of length one; a zero vector stays zero."""
    size = space.norm(x)
    if type(size) is float and 0 < size < 2.0**-1000:  # its inverse is no number
        return size, arrays.scale(1 / (size * 2.0**1000), arrays.scale(2.0**1000, x))
    return size, arrays.scale(ratio(1.0, size), x) if some(size > 0) else x


def preconditioned(space: Space, M: LinearOperator | None, p: Vector) -> tuple[Number, Vector, Vector]:
    r"""Return the norm ``sqrt(inner(p, M p))``, and p and M p divided by it; zero vectors stay zero.

    Without M, that is the norm of the space, and both vectors are the same.

    Raises
    ------
    NotPositiveError
        When ``inner(p, M p)`` is negative.
    """
    if M is None:
        size, v = normalised(space, p)
        return size, v, v
    z = M(p)
    squared = space.inner(p, z).real
    require_positive(squared)
    size = sqrt(squared)
    factor = ratio(1.0, size)
    return size, arrays.scale(factor, p), arrays.scale(factor, z)


class NotPositiveError(ArithmeticError):
    """A preconditioner for which ``inner(r, M r)`` is negative; ends a recurrence, with this message as the reason."""


def require_positive(squared: Number) -> None:
    """Raise where a number ``inner(r, M r)`` is negative."""
    if some(squared < 0):
        raise NotPositiveError(
            f"breakdown: inner(r, M r) = {np.min(squared):.1e}; the preconditioner is not positive definite"
        )


def random(space: Space, seed: Seed, like: Vector | None = None) -> Vector:
    """Return a random vector, in the library and precision of `like`; the same however it is spread over processes.

    Its entries are uniform in (-1, 1), both parts of complex ones: scrambled places in the vector.
    """
    seeds = seed if isinstance(seed, tuple) else (seed,)
    return _scrambled(space, space.positions(), seeds, like)


def _scrambled(space: Space, positions: Vector, seeds: tuple[int, ...], like: Vector | None) -> Vector:
    plain: Any = space.unweighted
    if type(positions) is tuple:
        parts = zip(plain.parts, positions, strict=True)
        return tuple(_scrambled(part, places, (*seeds, k), like) for k, (part, places) in enumerate(parts))
    keys = np.random.SeedSequence((*seeds, STREAM)).generate_state(2, np.uint64)
    x = _uniform(positions, keys[0])
    if space.dtype.kind == "c":
        x = x + 1j * _uniform(positions, keys[1])
    x = np.where(positions < 0, 0.0, x).astype(space.dtype)
    return x if like is None else arrays.cast(x, arrays.leaves(like)[0])


def _uniform(positions: np.ndarray, key: np.uint64) -> np.ndarray:
    """Return numbers in (-1, 1) for integers, by the mixing function of SplitMix64."""
    with np.errstate(over="ignore"):  # integers wrap around
        z = positions.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return np.asarray((z >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1 + 2.0**-53)


def _is_zero(space: Space, x: Vector) -> bool:
    """Say whether all entries are zero, on every process."""
    nonzero = arrays.each(lambda part: np.asarray(arrays.to_numpy(part) != 0, dtype=np.float64), x)
    return every(space.dot(nonzero, nonzero) == 0)


# -- the loop ----------------------------------------------------------------------------------------------------------


def solve(
    recurrence: Recurrence,
    A: LinearOperator,
    b: Vector,
    x0: Vector | None,
    settings: Settings,
    length: Callable[[Vector], Number] | None = None,
) -> Result:
    """Solve ``A x = b``, where `b` and `x0` are vectors, or batches, that `Settings.vectors` has copied.

    Residuals are measured by `length`, which is the norm of the codomain by default.
    """
    size = A.codomain.norm(b)
    unit = units_of(size)
    if some(unit != 1.0):
        return _solve_in(unit, recurrence, A, b, x0, settings, length)
    if x0 is not None and some(size == 0):
        x0 = arrays.scale(np.asarray(size > 0, np.float64) if np.ndim(size) else 0.0, x0)
    start = zeros(A.domain, b, A.codomain.batch(b)) if x0 is None else x0
    if every(size < SMALLEST / max(settings.tolerance, arrays.precision(b))):
        zero = _is_zero(A.codomain, b)
        return Result(arrays.without_scalars(start), zero, ZERO if zero else UNDERFLOW, 0, (size,))
    if length is not None:
        try:
            size = length(b)
        except NotPositiveError as error:
            return Result(arrays.without_scalars(start), False, str(error), 0, (math.nan,))

    def reached(step: Step, norm: Number, tolerance: float = settings.tolerance) -> str | None:
        small = step.residual <= largest(settings.absolute, tolerance * size)
        if every(small):
            return RESIDUAL
        return LEAST_SQUARES if every(small | (ratio(step.normal, step.residual) <= tolerance * norm)) else None

    def claimed(step: Step, norm: Number) -> str | None:  # below rounding, residuals are no longer true
        return reached(step, norm, max(settings.tolerance, arrays.precision(b)))

    def restart(x: Vector) -> Steps:
        return (yield from recurrence(A, x, arrays.axpy(-1.0, A(x), b)))

    steps = recurrence(A, start, arrays.copy(b)) if x0 is None else restart(start)
    found = run(steps, start, reached, settings, claimed, restart)
    if found.converged or every(isfinite(A.domain.norm(found.x))):
        return found
    return replace(found, x=arrays.without_scalars(start))  # a step too far: at least it is a vector


def unit_of(size: float) -> float:
    """Return a power of two, near the size of a right-hand side whose squares might be lost; one for others."""
    if not 0 < size < math.inf or ORDINARY <= size <= 1 / ORDINARY:
        return 1.0
    return 2.0 ** min(max(math.frexp(size)[1], -1000), 1000)


def units_of(sizes: Number) -> Number:
    """Return the unit of each right-hand side of a batch, or of the only one; see `unit_of`."""
    if not isinstance(sizes, np.ndarray):
        return unit_of(sizes)
    return np.array([unit_of(float(size)) for size in sizes.ravel()]).reshape(sizes.shape)


def _solve_in(
    unit: Number,
    recurrence: Recurrence,
    A: LinearOperator,
    b: Vector,
    x0: Vector | None,
    settings: Settings,
    length: Callable[[Vector], Number] | None,
) -> Result:
    """Solve ``A (x / unit) = b / unit`` for x. Powers of two change no digits."""
    tell = settings.callback

    def callback(state: State) -> object:
        assert tell is not None
        return tell(replace(state, x=arrays.scale(unit, state.x), residual=unit * state.residual))

    scaled = replace(
        settings, absolute=np.minimum(settings.absolute / unit, LARGEST), callback=None if tell is None else callback
    )
    start = None if x0 is None else arrays.scale(1 / unit, x0)
    found = solve(recurrence, A, arrays.scale(1 / unit, b), start, scaled, length)
    residuals = tuple(unit * residual for residual in found.residuals)
    return replace(found, x=arrays.without_scalars(arrays.scale(unit, found.x)), residuals=residuals)


def least_squares(
    recurrence: Recurrence,
    b: Vector,
    x0: Vector | None,
    damp: float,
    settings: Settings,
    L: LinearOperator | None = None,
) -> Result:
    """Minimise ``|A x - b|^2 + damp^2 |L x|^2``: with a multiple of L below A, damping is part of A x = b."""
    A = settings.A
    L = Identity(A.domain) if L is None else L
    if not isinstance(L, LinearOperator) or L.domain != A.domain:
        raise SpaceError(f"{settings}: expected a regulariser from {A.domain}, found {L!r}")
    b, x0 = settings.vectors(b, x0)
    if damp == 0:
        return solve(recurrence, A, b, x0, settings)
    below = zeros(L.codomain, b, A.codomain.batch(b))
    return solve(recurrence, VStack(A, damp * L), (b, below), x0, settings)


def run(
    steps: Steps,
    x: Vector,
    reached: Criterion,
    settings: Settings,
    claimed: Criterion | None = None,
    restart: Callable[[Vector], Steps] | None = None,
) -> Result:
    """Take steps until a reason to stop is found.

    Parameters
    ----------
    steps : generator of Step
        The recurrence.
    x : vector
        The start, which is returned when nothing better is found.
    reached : function
        From a step and the largest lower bound for the norm of A so far, why the step is good enough; else None.
    settings : Settings
        When to stop, and whom to tell.
    claimed, restart : function, optional
        As `reached`, when to ask for a confirmation; and, from an iterate, the recurrence that starts there and gives
        it. Without them, residuals are true.
    """
    limit = settings.limit
    residuals: list[Number] = []
    values: tuple[float, ...] = ()
    norm: Number = 0.0
    asked, starts, confirmed = False, True, Step(None, math.inf)

    def iterate() -> Vector:
        nonlocal x
        x = arrays.without_scalars(x() if callable(x) else x)
        return x

    def stop(reason: str, *, converged: bool = False) -> Result:
        return Result(iterate(), converged, reason, len(residuals) - 1, tuple(residuals), values)

    with _bar(settings, limit) as advance:
        while True:
            try:
                with np.errstate(over="ignore", invalid="ignore"):  # told as a reason instead
                    step = next(steps)
            except StopIteration as end:
                residuals = residuals or [math.nan]
                return stop(end.value)
            except NotPositiveError as error:
                residuals = residuals or [math.nan]
                return stop(str(error))
            if not every(isfinite(step.residual + step.norm)) or some(step.normal != step.normal):
                residuals = residuals or [step.residual]
                return stop(NOT_FINITE)
            if starts:
                residuals[-1:] = [step.residual]
            else:
                residuals.append(step.residual)
            x, values, norm = step.x, step.values, largest(norm, step.norm)
            if not starts:
                advance(step.residual)
                if settings.callback is not None:
                    asked = bool(settings.callback(State(len(residuals) - 1, iterate(), step.residual, values)))
            if starts or claimed is None or restart is None:
                found = reached(step, norm)
                if found is not None:
                    return stop(found, converged=True)
            elif claimed(step, norm) is not None:
                steps, starts = restart(iterate()), True
                continue
            if starts:
                if not some((2 * step.residual < confirmed.residual) | (2 * step.normal < confirmed.normal)):
                    if np.max(confirmed.residual) < np.max(step.residual):
                        x, residuals[-1] = confirmed.x, confirmed.residual
                    return stop(ROUNDING)
                confirmed = step
            if asked:
                return stop(CALLBACK)
            if len(residuals) > limit:
                return stop(USED_UP)
            starts = False


@contextmanager
def _bar(settings: Settings, total: int) -> Iterator[Callable[[Number], None]]:
    """Show a progress bar, if that is wanted; the function moves it on by a step with this residual."""
    if not settings.progress:
        yield lambda _: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        raise ImportError(f"{settings.solver}: progress=True needs tqdm, which is not installed") from None
    bar: Any
    with tqdm(total=total, desc=settings.solver) as bar:

        def advance(residual: Number) -> None:
            bar.set_postfix_str(f"residual {np.max(residual):.1e}", refresh=False)
            bar.update()

        yield advance
