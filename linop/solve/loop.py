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
from linop.algebra.stack import VStack
from linop.arguments import LARGEST
from linop.arrays import Array, Vector
from linop.errors import SpaceError
from linop.operator import LinearOperator
from linop.operators.identity import Identity
from linop.solve.result import Result, State
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
    """An iterate, and what its recurrence knows: norms of the residual r, of A.H r, of A (at least), eigenvalues."""

    x: Vector
    residual: float
    normal: float = math.inf
    norm: float = 0.0
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
    options: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        """Raise unless all processes have been given the same numbers, and will take the same steps."""
        given = (self.tolerance, self.absolute, self.iterations, self.callback is None, *self.options)
        for space in (self.A.domain, self.A.codomain):
            if space.spread:
                space.agree(self.solver, given)
                break

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

    def vector(self, name: str, space: Space, x: Vector) -> Vector:
        """Return a copy of a floating type; raise unless `x` is one vector of a space."""
        space.check(x, self.A)
        if space.batch(x):
            raise SpaceError(f"{self}: in {space}, expected one vector for {name}, found batch axes {space.batch(x)}")
        return arrays.each(_fresh, x)


# -- vectors -----------------------------------------------------------------------------------------------------------


def _fresh(x: Array) -> Array:
    """Return a copy; integers become double precision."""
    xp = arrays.namespace(x)
    return xp.astype(x, xp.float64) if xp.isdtype(x.dtype, "integral") else arrays.copy(x)


def zeros(space: Space, like: Vector) -> Vector:
    """Return the zero vector of a space, in the library and precision of another space's vector."""
    found = arrays.leaves(like)[0]
    if space.dtype.kind == "f" and arrays.kind(found) == "complex":
        found = arrays.namespace(found).real(found)
    return space.zeros(like=found)


def normalised(space: Space, x: Vector) -> tuple[float, Vector]:
    """Return the norm of a vector, and the vector of length one; a zero vector stays zero."""
    size = space.norm(x)
    if 0 < size < 2.0**-1000:  # its inverse is no number
        return size, arrays.scale(1 / (size * 2.0**1000), arrays.scale(2.0**1000, x))
    return size, arrays.scale(1 / size, x) if size > 0 else x


def random(space: Space, seed: Seed, like: Vector | None = None) -> Vector:
    """Return a random vector, in the library and precision of `like`."""
    x = space.normal((*(seed if isinstance(seed, tuple) else (seed,)), STREAM))
    return x if like is None else arrays.each(lambda part: arrays.cast(part, arrays.leaves(like)[0]), x)


def _is_zero(space: Space, x: Vector) -> bool:
    """Say whether all entries are zero, on every process."""
    nonzero = arrays.each(lambda part: np.asarray(arrays.to_numpy(part) != 0, dtype=np.float64), x)
    return bool(space.dot(nonzero, nonzero) == 0)


# -- the loop ----------------------------------------------------------------------------------------------------------


def solve(recurrence: Recurrence, A: LinearOperator, b: Vector, x0: Vector | None, settings: Settings) -> Result:
    """Solve ``A x = b``, where `b` and `x0` are vectors that `Settings.vector` has copied."""
    size = A.codomain.norm(b)
    unit = unit_of(size)
    if unit != 1.0:
        return _solve_in(unit, recurrence, A, b, x0, settings)
    start = zeros(A.domain, like=b) if x0 is None or size == 0 else x0
    if size < SMALLEST / max(settings.tolerance, arrays.precision(b)):
        zero = _is_zero(A.codomain, b)
        return Result(arrays.without_scalars(start), zero, ZERO if zero else UNDERFLOW, 0, (size,))

    def reached(step: Step, norm: float, tolerance: float = settings.tolerance) -> str | None:
        if step.residual <= max(settings.absolute, tolerance * size):
            return RESIDUAL
        return LEAST_SQUARES if step.normal / step.residual <= tolerance * norm else None

    def claimed(step: Step, norm: float) -> str | None:  # below rounding, residuals are no longer true
        return reached(step, norm, max(settings.tolerance, arrays.precision(b)))

    def restart(x: Vector) -> Steps:
        return (yield from recurrence(A, x, arrays.axpy(-1.0, A(x), b)))

    steps = recurrence(A, start, arrays.copy(b)) if x0 is None else restart(start)
    found = run(steps, start, reached, settings, claimed, restart)
    if found.converged or math.isfinite(A.domain.norm(found.x)):
        return found
    return replace(found, x=arrays.without_scalars(start))  # a step too far: at least it is a vector


def unit_of(size: float) -> float:
    """Return a power of two, near the size of a right-hand side whose squares might be lost; one for others."""
    if not 0 < size < math.inf or ORDINARY <= size <= 1 / ORDINARY:
        return 1.0
    return 2.0 ** min(max(math.frexp(size)[1], -1000), 1000)


def _solve_in(
    unit: float, recurrence: Recurrence, A: LinearOperator, b: Vector, x0: Vector | None, settings: Settings
) -> Result:
    """Solve ``A (x / unit) = b / unit`` for x. Powers of two change no digits."""
    tell = settings.callback

    def callback(state: State) -> object:
        assert tell is not None
        return tell(replace(state, x=arrays.scale(unit, state.x), residual=unit * state.residual))

    scaled = replace(
        settings, absolute=min(settings.absolute / unit, LARGEST), callback=None if tell is None else callback
    )
    start = None if x0 is None else arrays.scale(1 / unit, x0)
    found = solve(recurrence, A, arrays.scale(1 / unit, b), start, scaled)
    residuals = tuple(unit * residual for residual in found.residuals)
    return replace(found, x=arrays.without_scalars(arrays.scale(unit, found.x)), residuals=residuals)


def least_squares(recurrence: Recurrence, b: Vector, x0: Vector | None, damp: float, settings: Settings) -> Result:
    """Minimise ``|A x - b|^2 + damp^2 |x|^2``: with a multiple of the identity below A, damping is part of A x = b."""
    A = settings.A
    b = settings.vector("b", A.codomain, b)
    x0 = None if x0 is None else settings.vector("x0", A.domain, x0)
    if damp == 0:
        return solve(recurrence, A, b, x0, settings)
    return solve(recurrence, VStack(A, damp * Identity(A.domain)), (b, zeros(A.domain, like=b)), x0, settings)


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
    residuals: list[float] = []
    values: tuple[float, ...] = ()
    norm, asked, starts, confirmed = 0.0, False, True, Step(None, math.inf)

    def stop(reason: str, *, converged: bool = False) -> Result:
        return Result(arrays.without_scalars(x), converged, reason, len(residuals) - 1, tuple(residuals), values)

    with _bar(settings, limit) as advance:
        while True:
            try:
                with np.errstate(over="ignore", invalid="ignore"):  # told as a reason instead
                    step = next(steps)
            except StopIteration as end:
                residuals = residuals or [math.nan]
                return stop(end.value)
            if not math.isfinite(step.residual + step.norm) or math.isnan(step.normal):
                residuals = residuals or [step.residual]
                return stop(NOT_FINITE)
            if starts:
                residuals[-1:] = [step.residual]
            else:
                residuals.append(step.residual)
            x, values, norm = arrays.without_scalars(step.x), step.values, max(norm, step.norm)
            if not starts:
                advance(step.residual)
                if settings.callback is not None:
                    asked = bool(settings.callback(State(len(residuals) - 1, x, step.residual, values)))
            if starts or claimed is None or restart is None:
                found = reached(step, norm)
                if found is not None:
                    return stop(found, converged=True)
            elif claimed(step, norm) is not None:
                steps, starts = restart(x), True
                continue
            if starts:
                if not (2 * step.residual < confirmed.residual or 2 * step.normal < confirmed.normal):
                    if confirmed.residual < step.residual:
                        x, residuals[-1] = confirmed.x, confirmed.residual
                    return stop(ROUNDING)
                confirmed = step
            if asked:
                return stop(CALLBACK)
            if len(residuals) > limit:
                return stop(USED_UP)
            starts = False


@contextmanager
def _bar(settings: Settings, total: int) -> Iterator[Callable[[float], None]]:
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

        def advance(residual: float) -> None:
            bar.set_postfix_str(f"residual {residual:.1e}", refresh=False)
            bar.update()

        yield advance
