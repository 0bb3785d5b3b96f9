"""What all checks share: drawing vectors, applying an operator and watching it, and knowing what numbers can tell."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from linop import arrays
from linop.arguments import refuse
from linop.arrays import Array, Vector
from linop.core.operator import LinearOperator
from linop.errors import ProcessError, is_of_all
from linop.spaces import Seed, Space
from linop.verify.report import Mode, Report

SIGNIFICAND = 53
"""Binary digits of double precision, in which `Space.dot` accumulates."""

FINEST = 20
"""Numbers of exact operators are multiples of ``2**-FINEST``."""


def draw(
    space: Space, kind: Literal["integers", "normal"], seed: Seed, *stream: int, batch: tuple[int, ...] = (), like: Any
) -> Vector:
    """Return a random vector of a space, in the library, device and precision of `like` (NumPy's, without)."""
    seeds = seed if isinstance(seed, tuple) else (seed,)
    x = getattr(space, kind)((*seeds, *stream), batch)
    return x if like is None else arrays.each(lambda part: arrays.cast(part, like), x)


def agree(check: str, operator: LinearOperator, seed: Seed, **numbers: object) -> None:
    """Raise, on all processes, unless they have been given the same seed and numbers."""
    operator._agree(check, (f"seed={seed!r}", *(f"{name}={number!r}" for name, number in numbers.items())))


def apply_watched(operator: LinearOperator, x: Vector) -> tuple[Vector, bool]:
    """Return the image of a vector, which must lie in the codomain, and whether the argument stayed as it was."""
    before = arrays.copy(x)
    image = operator(x)
    operator.codomain.check(image, operator)
    return image, is_zero(operator.domain, arrays.each(_differs, x, before))


def _differs(x: Array, y: Array) -> np.ndarray:
    """Say where two arrays are different, as zeros and ones; what is not a number equals itself."""
    a, b = arrays.to_numpy(x), arrays.to_numpy(y)
    return np.asarray((a != b) & ~((a != a) & (b != b)), dtype=np.float64)


def numbers(x: Vector) -> Vector:
    """Return a vector with NumPy's arrays."""
    return arrays.each(arrays.to_numpy, x)


def _widened(part: np.ndarray) -> np.ndarray:
    """Return half precision as double, which has its large multiples, too; others as they are."""
    return part.astype(np.float64) if part.dtype == np.float16 else part


def digits(x: Vector) -> int:
    """Return how many binary digits the entries of a vector have."""
    return 1 - round(math.log2(arrays.precision(x)))


def tolerance(operator: LinearOperator, *results: Vector) -> float:
    """Return ``8 (1 + sqrt(d)) eps`` for d roundings in the coarsest of the results' precisions."""
    return 8 * (1 + math.sqrt(operator.roundings)) * max(map(arrays.precision, results))


def floor(operator: LinearOperator) -> float:
    """Return how long ``A x`` is, at least, for a typical x of length one, unless something has cancelled.

    The gain g bounds the norm of ``|A|``, and the Frobenius norm is no smaller than that; a random x finds the latter
    over the root of the number of coordinates.
    """
    gain = operator.gain
    return 0.0 if gain is None else gain / math.sqrt(max(operator.domain.size, operator.codomain.size, 1))


def is_zero(space: Space, x: Vector) -> bool:
    """Say whether every entry is zero, on every process; also where the norm would underflow."""
    nonzero = arrays.each(lambda part: np.asarray(arrays.to_numpy(part) != 0, dtype=np.float64), x)
    return bool(space.dot(nonzero, nonzero) == 0)


def length(space: Space, x: Vector) -> float:
    """Return the norm that belongs to `Space.dot`."""
    found: float = space.unweighted.norm(x)
    return found


def unit_of(space: Space, x: Vector, finest: int = FINEST) -> float | None:
    """Return the largest power of two, from one to ``2**-finest``, that all entries are multiples of; None without."""
    values = arrays.each(_widened, numbers(x))
    for k in (0, finest, *range(1, finest)):  # where the finest unit is none, no other is
        with np.errstate(all="ignore"):
            rest = arrays.each(lambda part, k=k: part * 2.0**k - np.rint(part * 2.0**k), values)
        if space.dot(rest, rest) != 0:
            if k == finest:
                return None
        elif k != finest:
            return float(2.0**-k)
    return float(2.0**-finest)


def stays_exact(operator: LinearOperator, x: Vector, image: Vector, other: Vector) -> bool:
    """Say whether ``A x`` and its pairing with another vector are sums of few enough units to be exact.

    A length bounds every entry, and the product of two lengths every partial sum of their pairing. Where the operator
    knows its gain, that bounds what has cancelled on the way, too.
    """
    unit = unit_of(operator.codomain, image)
    if unit is None:
        return False
    largest = length(operator.codomain, image)
    if operator.gain is not None:
        largest = max(largest, operator.gain * length(operator.domain, x))
    return bool(
        largest <= unit * 2.0 ** digits(image) and largest * length(operator.codomain, other) <= unit * 2.0**SIGNIFICAND
    )


def differing_copies(operator: LinearOperator, forward: bool, backward: bool) -> str:
    """Say whose stored copies differ; nothing where they are consistent."""
    results = (("A x", operator.codomain, forward), ("A* y", operator.domain, backward))
    return "; ".join(
        f"the copies of {name} in {space} differ between ranks" for name, space, consistent in results if not consistent
    )


def _told(operator: LinearOperator, error: Exception) -> str:
    """Return an exception in words; on spaces over several processes, as all of them tell it."""
    if (operator.domain.spread or operator.codomain.spread) and not is_of_all(error):
        try:
            refuse(error, operator)
        except (ProcessError, TimeoutError):
            raise
        except Exception as shared:
            error = shared
    return f"{type(error).__name__}: {error}"


@dataclass
class Trials:
    """Collects what the trials of a check find, and makes the report of it."""

    check: str
    operator: LinearOperator
    seed: Seed
    mode: Mode = "exact"
    count: int = 0
    error: float = 0.0
    tolerance: float = 0.0
    vacuous: bool = True
    fault: str = ""
    notes: list[str] = field(default_factory=list)

    def compare(self, deviation: float, scale: float, tolerance: float, told: str) -> None:
        """Note a deviation, and what is wrong with it where it is more than the tolerance times the scale."""
        relative = deviation / scale if scale > 0 else float(deviation != 0)
        if not relative <= self.error:  # also where it is not a number
            self.error = relative
        self.tolerance = max(self.tolerance, tolerance)
        if not relative <= tolerance:
            self.complain(told)

    def complain(self, told: str) -> None:
        """Keep the first fault."""
        self.fault = self.fault or f"trial {self.count}: {told}"

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Note an exception as a fault of what is being done, on all processes alike."""
        try:
            yield
        except (ProcessError, TimeoutError):  # the processes are no longer together
            raise
        except Exception as error:
            self.complain(f"{doing}: {_told(self.operator, error)}")

    def equal(self, space: Space, found: Vector, expected: Vector, scale: float, allowed: float, told: str) -> None:
        """Compare two vectors of a space; bit by bit where the tolerance allowed is zero."""
        scale = max(scale, length(space, found), length(space, expected))
        difference = arrays.each(lambda a, b: arrays.to_numpy(a) - arrays.to_numpy(b), found, expected)
        smallest = np.nextafter(0, 1)  # for a difference whose square underflows
        deviation = 0.0 if is_zero(space, difference) else max(length(space, difference), smallest)
        if not math.isfinite(scale):
            self.complain("the numbers are too large to be compared")
        self.vacuous = self.vacuous and scale == 0
        if allowed > 0:
            self.mode = "floating"
        self.compare(deviation, scale, allowed, told)

    def report(self) -> Report:
        """Return the report."""
        compared = "equal" if self.tolerance == 0 else f"within {self.tolerance:.1e}"
        return Report(
            self.check,
            *(str(self.operator), str(self.operator.domain), str(self.operator.codomain)),
            mode=self.mode,
            passed=not self.fault,
            vacuous=self.vacuous,
            trials=self.count,
            error=float(self.error),
            tolerance=self.tolerance,
            seed=self.seed,
            detail="; ".join([self.fault or f"{self.count} trials {compared}", *self.notes]),
        )
