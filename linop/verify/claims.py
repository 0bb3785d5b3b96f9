"""Does it keep what it claims? Each claim is an equation, tried on random vectors."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from linop import arrays, claims
from linop.arguments import Positive, checked
from linop.arrays import Array, Vector
from linop.core.operator import LinearOperator
from linop.queries.matrix import matrix
from linop.spaces import Seed
from linop.verify import probe
from linop.verify.adjoint import MATRIX_LIMIT
from linop.verify.probe import Trials
from linop.verify.report import Report, Reports


@checked
def check_claims(
    operator: LinearOperator, *, trials: Positive = 4, seed: Seed = 0, like: Array | None = None
) -> Reports:
    """Check everything that an operator claims about itself: `claims`, `exact` and `gain`. Collective.

    Parameters
    ----------
    operator : LinearOperator
        The operator.
    trials : int, optional
        How many vectors for each claim.
    seed : int or tuple of int, optional
        Where they are drawn from.
    like : array of any shape, optional
        Vectors are of its library, device and precision; NumPy's and the space's by default.

    Returns
    -------
    Reports
        One report for each claim. True when all hold; also when there are none.

    Examples
    --------
    >>> from linop import Euclidean, Identity
    >>> [report.check for report in check_claims(Identity(Euclidean(2)))][:2]
    ['claim coisometry', 'claim diagonal']
    """
    probe.agree("check_claims", operator, seed, trials=int(trials))
    reports = []
    for claim in sorted(operator.claims):
        found = Trials(f"claim {claim}", operator, seed)
        for trial in range(trials):
            found.count = trial
            with found.step("it raised"):
                _CHECKS[claim](operator, (trial,), found, like)
        found.count = trials
        reports.append(found.report())
    if operator.exact:
        reports.append(_check_exact(operator, trials, seed, like))
    if operator.gain is not None:
        reports.append(_check_gain(operator, operator.gain, trials, seed, like))
    return Reports(reports)


def _same(A: LinearOperator, x: Vector, maps: tuple[LinearOperator, ...], found: Trials, told: str) -> None:
    """Compare x with what a chain of maps makes of it, or with the image of x where that is to be the same."""
    image = x
    for step in maps:
        image = step(image)
    space = maps[-1].codomain
    exact = A.exact and probe.unit_of(space, image) is not None
    allowed = 0.0 if exact else len(maps) * probe.tolerance(A, image)
    found.equal(space, image, x, 0.0, allowed, told)


def _isometry(A: LinearOperator, stream: tuple[int, ...], found: Trials, like: Array | None) -> None:
    x = probe.draw(A.domain, "integers", found.seed, *stream, like=like)
    _same(A, x, (A, A.dual), found, "A* A x is not x")


def _coisometry(A: LinearOperator, stream: tuple[int, ...], found: Trials, like: Array | None) -> None:
    y = probe.draw(A.codomain, "integers", found.seed, *stream, like=like)
    _same(A, y, (A.dual, A), found, "A A* y is not y")


def _idempotent(A: LinearOperator, stream: tuple[int, ...], found: Trials, like: Array | None) -> None:
    x = A(probe.draw(A.domain, "integers", found.seed, *stream, like=like))
    _same(A, x, (A,), found, "A A x is not A x")


def _self_adjoint(A: LinearOperator, stream: tuple[int, ...], found: Trials, like: Array | None) -> None:
    x = probe.draw(A.domain, "integers", found.seed, *stream, like=like)
    image, other = A(x), A.dual(x)
    exact = A.exact and probe.stays_exact(A, x, image, x) and probe.stays_exact(A.dual, x, other, x)
    size = probe.floor(A) * probe.length(A.domain, x)
    found.equal(A.codomain, image, other, size, 0.0 if exact else probe.tolerance(A, image), "A x is not A* x")


def _positive(A: LinearOperator, stream: tuple[int, ...], found: Trials, like: Array | None) -> None:
    _self_adjoint(A, stream, found, like)
    x = probe.draw(A.domain, "normal", found.seed, *stream, 1, like=like)
    image = A(x)
    pairing, scale = A.domain.dot(x, image).real, probe.length(A.domain, x) * probe.length(A.domain, image)
    allowed = probe.tolerance(A, image)
    found.compare(max(-pairing, 0.0), scale, allowed, f"dot(x, A x) = {pairing} is negative")
    if stream[0] == 0 and 0 < A.domain.size <= MATRIX_LIMIT:  # few vectors may all miss a negative direction
        entries = matrix(A)
        entries = (entries + entries.conj().T) / 2
        values = np.linalg.eigvalsh(entries.astype(np.result_type(entries, np.float32)))  # there are none in half
        lowest, largest = float(values[0]), float(np.abs(values).max())
        found.compare(max(-lowest, 0.0), largest, allowed * A.domain.size, f"the eigenvalue {lowest} is negative")


def _diagonal(A: LinearOperator, stream: tuple[int, ...], found: Trials, like: Array | None) -> None:
    x = probe.draw(A.domain, "integers", found.seed, *stream, 0, like=like)
    signs = arrays.each(_positive_part, probe.draw(A.domain, "integers", found.seed, *stream, 1, like=None))
    mask: Callable[[Vector], Vector] = lambda z: arrays.each(lambda a, m: a * arrays.match(m, like=a), z, signs)  # noqa: E731
    found.equal(A.codomain, A(mask(x)), mask(A(x)), 0.0, 0.0, "A does not commute with leaving entries out")


def _positive_part(x: np.ndarray) -> np.ndarray:
    """Return one where an entry has a positive real part, zero elsewhere."""
    return np.asarray(x.real > 0, dtype=x.real.dtype)


_CHECKS: dict[str, Callable[[LinearOperator, tuple[int, ...], Trials, Array | None], None]] = {
    claims.SELF_ADJOINT: _self_adjoint,
    claims.POSITIVE: _positive,
    claims.ISOMETRY: _isometry,
    claims.COISOMETRY: _coisometry,
    claims.IDEMPOTENT: _idempotent,
    claims.DIAGONAL: _diagonal,
}


def _check_exact(A: LinearOperator, trials: int, seed: Seed, like: Array | None) -> Report:
    """Check that integers are taken to multiples of a power of two, as long as they are small enough."""
    found = Trials("claim exact", A, seed)
    for trial in range(trials):
        found.count = trial
        for side in (A, A.dual):
            with found.step(str(side)):
                image = side(probe.draw(side.domain, "integers", seed, trial, like=like))
                unit = probe.unit_of(side.codomain, image)
                found.vacuous = found.vacuous and probe.is_zero(side.codomain, image)
                if unit is None and probe.length(side.codomain, image) <= 2.0 ** (probe.digits(image) - probe.FINEST):
                    found.complain(f"{side} takes integers to numbers that are no multiples of 2**-{probe.FINEST}")
    found.count = trials
    return found.report()


def _check_gain(A: LinearOperator, gain: float, trials: int, seed: Seed, like: Array | None) -> Report:
    """Check that no result is longer than the gain allows."""
    found = Trials("claim gain", A, seed, "floating")
    for trial in range(trials):
        found.count = trial
        for side in (A, A.dual):
            with found.step(str(side)):
                x = probe.draw(side.domain, "normal", seed, trial, like=like)
                image = side(x)
                size, bound = probe.length(side.codomain, image), gain * probe.length(side.domain, x)
                found.vacuous = found.vacuous and size == 0
                allowed = probe.tolerance(A, image)
                told = f"|A x| = {size} is more than gain |x| = {bound}"
                found.compare(max(size - bound, 0.0), bound, allowed, told)
    found.count = trials
    return found.report()
