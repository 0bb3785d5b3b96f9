r"""Is this the adjoint? `check_adjoint` answers on a machine.

The equation to be shown is ``dot(A x, y) == dot(x, A* y)`` for all x and y. Three ways, the strongest that applies:

matrix
    Up to 512 coordinates: both matrices are built, and compared entry by entry. Then one pair of vectors is tried too:
    that the two maps are those of the matrices, on vectors that are no basis vectors, is not to be taken for granted.
exact
    Data movements and integer matrices are exact in floating point on vectors of small integers, in any order of
    summation, as long as no partial sum outgrows the significand. There the two sides are compared with ``==``. The
    entries are drawn from eight values, +-1 .. +-4. A single wrong entry of the matrix is always seen, for nothing is
    multiplied by zero. Several ones may cancel: the deviation is a bilinear form in x and y, and one that is not zero
    vanishes with probability at most 1/8 + 1/8 (Schwartz and Zippel), in eight trials below 2e-5. (With +-1 alone,
    swapped entries would cancel half of the time.) An operator that does not claim to be exact is tried: where integers
    come back as integers (or as multiples of a power of two), with binary digits to spare in which a rounding would
    show, the comparison is exact.
floating
    Else ``|dot(A x, y) - dot(x, A* y)| / max(|A x| |y|, |x| |A* y|)`` is compared with ``8 (1 + sqrt(d)) eps``, where d
    bounds the roundings behind one entry: their sum grows as the square root (Higham and Mary, SIAM J. Sci. Comput. 41
    (2019) A2815). The two pairings are accumulated in double precision. For independent x and y both sides are as small
    as the tolerance when there are many entries, and a wrong sign would pass; so in every other trial, y is A x over
    its norm. Where an operator knows its gain, what is left after cancellation is not divided by: the denominator is no
    smaller than ``gain |x| |y| / sqrt(n)``. A check that found nothing but roundings is vacuous, and so is one whose
    tolerance has grown to 0.5, in half precision.

A report of a wrong adjoint says where it is wrong, found by halving above the size of a matrix, and what mistake it
looks like; see `linop.verify.diagnose`. An operator that changes its argument, and a result whose copies differ between
ranks, fail in every mode.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from linop import arrays
from linop.arguments import Positive, checked
from linop.arrays import Array, Vector
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError, ArgumentTypeError
from linop.interop.adopt import operator_of
from linop.operators.matrices.function import FunctionOperator
from linop.spaces import Seed, Space
from linop.verify import probe
from linop.verify.diagnose import diagnose, locate
from linop.verify.probe import Trials
from linop.verify.report import Mode, Report

MATRIX_LIMIT = 512
"""Up to how many coordinates of domain and codomain the matrices are compared."""

SPARE = 3
"""Binary digits that a typical entry must have to spare where exactness is observed and not claimed."""

BLIND = 0.5
"""A tolerance from which on a comparison shows nothing."""

SMALLEST = float(np.sqrt(np.finfo(np.float64).smallest_normal))
"""A length from which on its square has all its digits."""

EVIDENCE = 40
"""Binary digits that all entries must have to spare together: that none of them has a rounding by chance."""


@checked
def check_adjoint(
    operator: Any,
    adjoint: Callable[[Vector], Vector] | None = None,
    domain: Space | None = None,
    codomain: Space | None = None,
    *,
    pairing: Literal["dot", "inner"] = "dot",
    mode: Mode | Literal["auto"] = "auto",
    trials: Positive = 8,
    seed: Seed = 0,
    like: Array | None = None,
) -> Report:
    """Check that ``operator.dual`` is the adjoint of `operator` with respect to `Space.dot`.

    With two functions, check that one is the adjoint of the other, with respect to either pairing.

    On spaces that are spread over processes the call is collective, and the report is the same on every process.

    Parameters
    ----------
    operator : LinearOperator or callable
        The operator, also one of SciPy's or PyLops'; or a function that maps a vector; or a `torch.autograd.Function`
        or module of torch's, whose adjoint is its backward pass.
    adjoint, domain, codomain : callable, Space, Space, optional
        With a function: what claims to be its adjoint, and the two spaces. With one of torch's: the domain.
    pairing : {"dot", "inner"}, optional
        With a function: which pairing its adjoint is to satisfy. On weighted spaces they differ.
    mode : {"auto", "matrix", "exact", "floating"}, optional
        How to check; see the module. By default the strongest way that the operator's size and claims allow.
    trials : int, optional
        Pairs of vectors in the exact and the floating mode.
    seed : int or tuple of int, optional
        Where the vectors are drawn from.
    like : array of any shape, optional
        Vectors are of its library, device and precision; NumPy's and the space's by default.

    Returns
    -------
    Report
        True when the check passed.

    Raises
    ------
    ArgumentTypeError
        When there is neither an operator, nor a function with its adjoint and its spaces.

    Examples
    --------
    >>> from linop import Euclidean, Matrix
    >>> print(check_adjoint(Matrix([[1.0, 2.0]])))
    adjoint of Matrix(1x2) : Euclidean((2,), float64) -> Euclidean((1,), float64): passed (matrix; all entries equal)

    Any two functions can be checked:

    >>> report = check_adjoint(np.diff, lambda y: -np.diff(y, prepend=0, append=0), Euclidean(3), Euclidean(2))
    >>> report.passed
    True
    >>> check_adjoint(np.diff, lambda y: np.diff(y, prepend=0, append=0), Euclidean(3), Euclidean(2)).detail[:24]
    '4 of 6 entries differ, t'
    """
    A = as_operator(operator, adjoint, domain, codomain, pairing)
    probe.agree("check_adjoint", A, seed, trials=int(trials), mode=mode)
    found = Trials("adjoint", A, seed)
    with found.step("it raised"):
        return _checked(A, mode, trials, seed, like)
    return found.report()


def _checked(A: LinearOperator, mode: Mode | Literal["auto"], trials: int, seed: Seed, like: Any) -> Report:
    """Return the report of a check in some mode."""
    if mode == "auto":
        small = max(A.domain.size, A.codomain.size) <= MATRIX_LIMIT
        mode = "matrix" if small else "exact" if A.exact or _seems_exact(A, seed, like) else "floating"
    report = _compare_matrices(A, seed, like) if mode == "matrix" else _compare_pairings(A, mode, trials, seed, like)
    return report if report.passed or not math.isfinite(report.error) else _explained(report, A, seed, like)


def _explained(report: Report, A: LinearOperator, seed: Seed, like: Any) -> Report:
    """Return the report of a wrong adjoint with the entry that is wrong, and the mistake that it looks like."""
    with np.errstate(all="ignore"):
        kind = diagnose(A, seed, like)
        entry = "" if report.mode == "matrix" or "linear" in kind else locate(A, seed, like)
    return replace(report, detail="; ".join(filter(None, (report.detail, entry, kind))))


def as_operator(
    operator: Any,
    adjoint: Callable[[Vector], Vector] | None,
    domain: Space | None,
    codomain: Space | None,
    pairing: str,
) -> LinearOperator:
    """Return an operator as it is, one of another library as ours, and a pair of functions as a `FunctionOperator`."""
    if pairing not in ("dot", "inner"):
        raise ArgumentError(f"check_adjoint: pairing must be dot or inner, found {pairing!r}")
    given = [
        name for name, value in (("adjoint", adjoint), ("domain", domain), ("codomain", codomain)) if value is not None
    ]
    if isinstance(operator, LinearOperator):
        if given or pairing == "inner":
            besides = ", ".join(given) or "a pairing"
            raise ArgumentTypeError(
                f"{operator!r}: an operator has its own adjoints and spaces, found {besides} besides"
            )
        return operator
    if pairing == "dot" or adjoint is None or domain is None or codomain is None or not callable(operator):
        more = (domain, codomain) if adjoint is None else (adjoint, domain, codomain)
        return operator_of("check_adjoint", operator, *more)
    name = getattr(operator, "__name__", "function")
    # inner(A x, y) = inner(x, H y) for all x and y where dot(A x, z) = dot(x, R_X H R_Y^-1 z) for all x and z = R_Y y.
    return FunctionOperator(
        domain, codomain, operator, lambda z: domain._weigh(adjoint(codomain._unweigh(z))), name=name
    )


def _seems_exact(A: LinearOperator, seed: Seed, like: Any) -> bool:
    """Say whether the operator and its adjoint take integers to integers, without any sign of a rounding."""
    verdicts, evidence = [], 0.0
    for number, side in enumerate((A, A.dual)):
        image = side(probe.draw(side.domain, "integers", seed, number, like=like))
        side.codomain.check(image, side)
        unit, size = probe.unit_of(side.codomain, image), side.codomain.size
        typical = probe.length(side.codomain, image) / math.sqrt(max(size, 1))
        spare = -1.0
        if unit is not None and 0 < typical < math.inf:
            spare = probe.digits(image) - math.log2(typical / unit)
        verdicts.append(spare >= SPARE)
        evidence += spare * size
    return all(verdicts) and evidence >= EVIDENCE


def _compare_matrices(A: LinearOperator, seed: Seed, like: Any) -> Report:
    """Build the matrix and the adjoint's, and compare them entry by entry; then try one pair of vectors."""
    forward, forward_consistent, forward_precision = _matrix(A, like)
    backward, backward_consistent, backward_precision = _matrix(A.dual, like)
    expected = backward.conj().mT
    eps = max(forward_precision, backward_precision)
    exact = A.exact and all(_integers_stay_exact(entries, eps) for entries in (forward, backward))
    tolerance = 0.0 if exact else 8 * (1 + math.sqrt(A.roundings)) * eps
    scale = np.maximum(_norms(forward[0], axis=1)[:, None], _norms(expected[0], axis=0)[None, :])
    scale = np.maximum(scale, probe.floor(A))
    deviation = np.abs(forward[:, None] - expected).max(axis=(0, 1), initial=0.0)
    wrong = ~(deviation <= tolerance * scale) | ~np.isfinite(scale)
    relative = np.divide(deviation, scale, out=np.zeros_like(deviation), where=scale > 0)
    pairing = _compare_pairings(A, "exact" if exact else "floating", 1, seed, like)
    if wrong.any():
        i, j = (int(k) for k in np.argwhere(wrong)[0])
        detail = (
            f"{int(wrong.sum())} of {wrong.size} entries differ, the first in row {i} "
            f"({A.codomain.locate(i)}) and column {j} ({A.domain.locate(j)}): "
            f"the operator has {_show(forward[:, i, j])}, its adjoint conjugate transposed {_show(expected[:, i, j])}"
        )
    elif not pairing:
        detail = f"the matrices agree, but the maps are not theirs; {pairing.detail}"
    else:
        detail = "all entries equal" if exact else f"all entries within {tolerance:.1e} of their row or column"
    return Report(
        "adjoint",
        *(str(A), str(A.domain), str(A.codomain)),
        mode="matrix",
        passed=bool(not wrong.any() and forward_consistent and backward_consistent and pairing),
        vacuous=not (forward.any() or backward.any()) or pairing.vacuous,
        trials=forward.shape[-1],
        error=float(relative.max(initial=0.0)),
        tolerance=tolerance,
        seed=seed,
        detail="; ".join(filter(None, (detail, probe.differing_copies(A, forward_consistent, backward_consistent)))),
    )


def _compare_pairings(A: LinearOperator, mode: Mode, count: int, seed: Seed, like: Any) -> Report:
    """Compare ``dot(A x, y)`` with ``dot(x, A* y)`` on random vectors."""
    adjoint, domain, codomain = A.dual, A.domain, A.codomain
    trials = Trials("adjoint", A, seed, mode)
    kind: Literal["integers", "normal"] = "integers" if mode == "exact" else "normal"
    for trial in range(count):
        trials.count = trial
        x = probe.draw(domain, kind, seed, trial, 0, like=like)
        image, x_kept = probe.apply_watched(A, x)
        y = probe.draw(codomain, kind, seed, trial, 1, like=like)
        size = probe.length(codomain, image)
        if mode == "floating" and trial % 2 and 0 < size < math.inf:
            y = arrays.scale(1 / size, image)
        preimage, y_kept = probe.apply_watched(adjoint, y)
        if mode == "exact" and not (probe.stays_exact(A, x, image, y) and probe.stays_exact(adjoint, y, preimage, x)):
            report = _compare_pairings(A, "floating", count, seed, like)
            return replace(report, detail=f"{report.detail}; the numbers do not stay exact")
        left, right = codomain.dot(image, y), domain.dot(x, preimage)
        lengths = probe.length(domain, x), probe.length(codomain, y)
        found = max(size * lengths[1], lengths[0] * probe.length(domain, preimage))
        typical = probe.floor(A) * lengths[0] * lengths[1]
        scale = max(found, typical)
        zero = probe.is_zero(codomain, image) and probe.is_zero(domain, preimage)
        allowed = 0.0 if mode == "exact" else probe.tolerance(A, image, preimage)
        trials.vacuous = trials.vacuous and (zero or allowed >= BLIND or (typical > 0 and found <= allowed * typical))
        if not np.isfinite(scale) or (scale < SMALLEST and not zero):
            trials.complain(
                f"the numbers are too {'small' if scale < SMALLEST else 'large'} to be compared; scale the operator"
            )
        trials.compare(abs(left - right), scale, allowed, f"dot(A x, y) = {left}, dot(x, A* y) = {right}")
        if not (x_kept and y_kept):
            trials.complain(f"{A if y_kept else adjoint} has changed its argument")
        differing = probe.differing_copies(A, codomain.consistent(image), domain.consistent(preimage))
        if differing:
            trials.complain(differing)
    trials.count = count
    if trials.tolerance >= BLIND:
        trials.notes.append("with so many roundings of this precision, the two sides cannot be told apart")
    return trials.report()


def _matrix(A: LinearOperator, like: Any) -> tuple[np.ndarray, bool, float]:
    """Return the matrix, whether every stored copy of every column agreed, and the precision of its entries.

    In a complex space it is found twice: from the basis vectors e, and from i e. A map that conjugates where it should
    not (or does not where it should) has the right matrix on real vectors; the second one gives it away.
    """
    found, consistent, precision = [], True, 0.0
    for phase in (1, 1j) if A.domain.field == "complex" else (1,):
        basis = arrays.each(lambda part, phase=phase: (part * phase).astype(part.dtype), A.domain.basis())
        if like is not None:
            basis = arrays.each(lambda part: arrays.cast(part, like), basis)
        columns = A(basis)
        A.codomain.check(columns, A)
        precision = max(precision, arrays.precision(columns))
        entries = A.codomain.to_coordinates(columns).T
        found.append((entries * np.conj(phase)).astype(entries.dtype))
        consistent = A.codomain.consistent(columns) and consistent
    return np.stack(found), consistent, precision


def _show(entries: np.ndarray) -> str:
    """Return an entry of the matrix in words: one number, or what it is on e and on i e where these differ."""
    first, last = entries[0], entries[-1]
    return f"{first}" if first == last else f"{first} (on i times the basis, {last})"


def _norms(entries: np.ndarray, axis: int) -> np.ndarray:
    """Return the Euclidean norms of rows or columns in double precision, without overflow or underflow on the way."""
    size = np.abs(entries.astype(np.complex128)).max(axis=axis, keepdims=True, initial=0.0)
    unit = np.where((size > 0) & np.isfinite(size), size, 1.0)
    return np.asarray(np.linalg.norm(entries / unit, axis=axis) * unit.squeeze(axis))


def _integers_stay_exact(entries: np.ndarray, precision: float) -> bool:
    """Say whether the entries of a matrix are small enough, and have few enough digits, to come from no rounding.

    Products of many factors have more and more binary digits, although each factor is exact.
    """
    wide = entries.astype(np.complex128)  # half precision ends below the multiples
    with np.errstate(over="ignore"):
        units = [part * 2.0**probe.FINEST for part in (wide.real, wide.imag)]
    few = all(bool(np.all(part == np.rint(part))) for part in units)
    return few and bool(np.all(np.abs(entries) <= 2.0 / precision))
