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
    swapped entries would cancel half of the time.)
floating
    Else ``|dot(A x, y) - dot(x, A* y)| / max(|A x| |y|, |x| |A* y|)`` is compared with ``8 (1 + sqrt(d)) eps``, where d
    bounds the roundings behind one entry: their sum grows as the square root (Higham and Mary, SIAM J. Sci. Comput. 41
    (2019) A2815). The two pairings are accumulated in double precision. For independent x and y both sides are as small
    as the tolerance when there are many entries, and a wrong sign would pass; so in every other trial, y is A x over
    its norm.

An operator that changes its argument, and a result whose copies differ between ranks, fail in every mode.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from linop.errors import AdjointError
from linop.operator import LinearOperator
from linop.spaces import Seed, Space

Mode = Literal["matrix", "exact", "floating"]

MATRIX_LIMIT = 512
"""Up to how many coordinates of domain and codomain the matrices are compared."""

SIGNIFICAND = 53
"""Binary digits of double precision, in which `Space.dot` accumulates."""


@dataclass(frozen=True)
class AdjointReport:
    """What `check_adjoint` did and found. True when the check passed.

    Attributes
    ----------
    operator, domain, codomain : str
        What was checked.
    mode : str
        ``"matrix"``, ``"exact"`` or ``"floating"``.
    passed : bool
        Whether the two sides agree.
    vacuous : bool
        Whether nothing but zeros was compared: such a check shows nothing.
    trials : int
        Pairs of vectors that were tried; in matrix mode, columns that were compared.
    error, tolerance : float
        The largest deviation found and the one allowed, relative to the size of the vectors (in matrix mode, of the
        row or column). Both are zero where the comparison is exact.
    seed : int or tuple of int
        What the vectors were drawn from.
    detail : str
        What was found, in words.
    """

    operator: str
    domain: str
    codomain: str
    mode: Mode
    passed: bool
    vacuous: bool
    trials: int
    error: float
    tolerance: float
    seed: Seed
    detail: str

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        if self.passed and self.vacuous:
            verdict = "passed, vacuously"
        return f"adjoint of {self.operator} : {self.domain} -> {self.codomain}: {verdict} ({self.mode}; {self.detail})"


def check_adjoint(
    operator: LinearOperator, *, mode: Mode | Literal["auto"] = "auto", trials: int = 8, seed: Seed = 0
) -> AdjointReport:
    """Check that ``operator.dual`` is the adjoint of `operator` with respect to `Space.dot`.

    On spaces that are spread over processes the call is collective, and the report is the same on every process.

    Parameters
    ----------
    operator : LinearOperator
        The operator.
    mode : {"auto", "matrix", "exact", "floating"}, optional
        How to check; see the module. By default the strongest way that the operator's size and claims allow.
    trials : int, optional
        Pairs of vectors in the exact and the floating mode.
    seed : int or tuple of int, optional
        Where the vectors are drawn from.

    Returns
    -------
    AdjointReport
        True when the check passed.

    Raises
    ------
    SpaceError
        When the operator or its adjoint returns something that is no vector of its space.

    Examples
    --------
    >>> from linop import Matrix
    >>> print(check_adjoint(Matrix([[1.0, 2.0]])))
    adjoint of Matrix(1x2) : Euclidean((2,), float64) -> Euclidean((1,), float64): passed (matrix; all entries equal)
    """
    if mode == "auto":
        small = max(operator.domain.size, operator.codomain.size) <= MATRIX_LIMIT
        mode = "matrix" if small else "exact" if operator.exact else "floating"
    elif mode not in ("matrix", "exact", "floating"):
        raise ValueError(f"check_adjoint: mode must be auto, matrix, exact or floating, found {mode!r}")
    if trials < 1:
        raise ValueError(f"check_adjoint: expected at least one trial, found {trials}")
    if mode == "matrix":
        return _compare_matrices(operator, seed)
    return _compare_pairings(operator, mode, trials, seed)


def assert_adjoint(operator: LinearOperator, *, trials: int = 8, seed: Seed = 0) -> None:
    """Raise `AdjointError` with the report of `check_adjoint` unless it passed; on every process alike."""
    report = check_adjoint(operator, trials=trials, seed=seed)
    if not report:
        raise AdjointError(str(report))


def _compare_matrices(operator: LinearOperator, seed: Seed) -> AdjointReport:
    """Build the matrix and the adjoint's, and compare them entry by entry; then try one pair of vectors."""
    forward, forward_consistent = _matrix(operator)
    backward, backward_consistent = _matrix(operator.dual)
    expected = backward.conj().mT
    exact = operator.exact and all(_integers_stay_exact(entries) for entries in (forward, backward))
    tolerance = 0.0 if exact else _tolerance(operator, forward, backward)
    scale = np.maximum(_norms(forward[0], axis=1)[:, None], _norms(expected[0], axis=0)[None, :])
    deviation = np.abs(forward[:, None] - expected).max(axis=(0, 1), initial=0.0)
    wrong = ~(deviation <= tolerance * scale) | ~np.isfinite(scale)
    relative = np.divide(deviation, scale, out=np.zeros_like(deviation), where=scale > 0)
    pairing = _compare_pairings(operator, "exact" if exact else "floating", 1, seed)
    if wrong.any():
        i, j = (int(k) for k in np.argwhere(wrong)[0])
        detail = (
            f"{int(wrong.sum())} of {wrong.size} entries differ, the first in row {i} "
            f"({operator.codomain.locate(i)}) and column {j} ({operator.domain.locate(j)}): "
            f"the operator has {_show(forward[:, i, j])}, its adjoint conjugate transposed {_show(expected[:, i, j])}"
        )
    elif not pairing:
        detail = f"the matrices agree, but the maps are not theirs; {pairing.detail}"
    else:
        detail = "all entries equal" if exact else f"all entries within {tolerance:.1e} of their row or column"
    return AdjointReport(
        *(str(operator), str(operator.domain), str(operator.codomain)),
        mode="matrix",
        passed=bool(not wrong.any() and forward_consistent and backward_consistent and pairing),
        vacuous=not (forward.any() or backward.any()),
        trials=forward.shape[-1],
        error=float(relative.max(initial=0.0)),
        tolerance=tolerance,
        seed=seed,
        detail="; ".join(filter(None, (detail, _differing_copies(operator, forward_consistent, backward_consistent)))),
    )


def _compare_pairings(operator: LinearOperator, mode: Mode, trials: int, seed: Seed) -> AdjointReport:
    """Compare ``dot(A x, y)`` with ``dot(x, A* y)`` on random vectors."""
    adjoint, domain, codomain = operator.dual, operator.domain, operator.codomain
    seeds = seed if isinstance(seed, tuple) else (seed,)
    error = tolerance = 0.0
    vacuous, fault = True, ""
    for trial in range(trials):
        draw = "integers" if mode == "exact" else "normal"
        x = getattr(domain, draw)((*seeds, trial, 0))
        image, x_kept = _apply(operator, x)
        y = getattr(codomain, draw)((*seeds, trial, 1))
        size = codomain.norm(image)
        if mode == "floating" and trial % 2 and 0 < size < math.inf:
            y = image / size
        preimage, y_kept = _apply(adjoint, y)
        if mode == "exact" and not (_stays_exact(codomain, image, y) and _stays_exact(domain, preimage, x)):
            report = _compare_pairings(operator, "floating", trials, seed)
            return replace(report, detail=f"{report.detail}; the numbers do not stay exact")
        left, right = codomain.dot(image, y), domain.dot(x, preimage)
        scale = max(size * codomain.norm(y), domain.norm(x) * domain.norm(preimage))
        zero = _is_zero(codomain, image) and _is_zero(domain, preimage)
        vacuous = vacuous and zero
        tolerance = 0.0 if mode == "exact" else _tolerance(operator, image, preimage)
        deviation = abs(left - right) / scale if scale > 0 else 0.0
        if not deviation <= error:  # also where it is not a number
            error = deviation
        differing = _differing_copies(operator, codomain.consistent(image), domain.consistent(preimage))
        if fault:
            continue
        if not deviation <= tolerance:
            fault = f"dot(A x, y) = {left}, dot(x, A* y) = {right}"
        elif not np.isfinite(scale) or (scale == 0 and not zero):
            fault = f"the numbers are too {'small' if scale == 0 else 'large'} to be compared; scale the operator"
        elif not (x_kept and y_kept):
            fault = f"{operator if y_kept else adjoint} has changed its argument"
        elif differing:
            fault = differing
        fault = fault and f"trial {trial}: {fault}"
    compared = "equal" if mode == "exact" else f"within {tolerance:.1e}"
    return AdjointReport(
        *(str(operator), str(operator.domain), str(operator.codomain)),
        mode=mode,
        passed=not fault,
        vacuous=vacuous,
        trials=trials,
        error=float(error),
        tolerance=tolerance,
        seed=seed,
        detail=fault or f"{trials} trials {compared}",
    )


def _apply(operator: LinearOperator, x: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the image of a vector, and whether the argument stayed as it was."""
    before = x.copy()
    image = operator(x)
    operator.codomain.check(image, operator)
    return image, _is_zero(operator.domain, x != before)


def _matrix(operator: LinearOperator) -> tuple[np.ndarray, bool]:
    """Return the matrix, and whether every stored copy of every column agreed.

    In a complex space it is found twice: from the basis vectors e, and from i e. A map that conjugates where it should
    not (or does not where it should) has the right matrix on real vectors; the second one gives it away.
    """
    domain, codomain = operator.domain, operator.codomain
    basis = np.eye(domain.size, dtype=domain.dtype)
    found, consistent = [], True
    for phase in (1, 1j) if domain.field == "complex" else (1,):
        columns = operator(domain.from_coordinates(basis * phase))
        codomain.check(columns, operator)
        found.append((codomain.to_coordinates(columns).T * np.conj(phase)).astype(columns.dtype))
        consistent = codomain.consistent(columns) and consistent
    return np.stack(found), consistent


def _show(entries: np.ndarray) -> str:
    """Return an entry of the matrix in words: one number, or what it is on e and on i e where these differ."""
    first, last = entries[0], entries[-1]
    return f"{first}" if first == last else f"{first} (on i times the basis, {last})"


def _norms(entries: np.ndarray, axis: int) -> np.ndarray:
    """Return the Euclidean norms of rows or columns in double precision, without overflow or underflow on the way."""
    size = np.abs(entries.astype(np.complex128)).max(axis=axis, keepdims=True, initial=0.0)
    unit = np.where((size > 0) & np.isfinite(size), size, 1.0)
    return np.asarray(np.linalg.norm(entries / unit, axis=axis) * unit.squeeze(axis))


def _tolerance(operator: LinearOperator, *results: np.ndarray) -> float:
    """Return ``8 (1 + sqrt(d)) eps`` for the coarsest of the results' precisions."""
    eps = max(float(np.finfo(r.dtype if r.dtype.kind in "fc" else float).eps) for r in results)
    return 8 * (1 + math.sqrt(operator.roundings)) * eps


def _digits(result: np.ndarray) -> int:
    """Return how many binary digits the entries of an array have."""
    return int(np.finfo(result.dtype).nmant) + 1 if result.dtype.kind in "fc" else SIGNIFICAND


def _integers_stay_exact(entries: np.ndarray) -> bool:
    """Say whether the entries of a matrix are small enough to be sums of integers without rounding."""
    return bool(np.all(np.abs(entries) <= 2.0 ** _digits(entries)))


def _is_zero(space: Space, x: np.ndarray) -> bool:
    """Say whether every entry of `x` is zero, on every process; also where its norm would underflow."""
    nonzero = np.asarray(x != 0, dtype=np.float64)
    return bool(space.norm(nonzero) == 0)


def _stays_exact(space: Space, result: np.ndarray, other: np.ndarray) -> bool:
    """Say whether `result` and its pairing with `other` are sums of few enough units to be exact.

    A norm bounds every entry, the product of two norms every partial sum of the pairing.
    """
    unit = next((2.0**-k for k in range(21) if _is_multiple(space, result, 2.0**-k)), None)
    if unit is None:
        return False
    norm = space.norm(result)
    return bool(norm <= unit * 2.0 ** _digits(result) and norm * space.norm(other) <= unit * 2.0**SIGNIFICAND)


def _is_multiple(space: Space, x: np.ndarray, unit: float) -> bool:
    """Say whether every entry of `x`, on every process, is a whole multiple of `unit`, a power of two."""
    return bool(space.norm(x / unit - np.rint(x / unit)) == 0)


def _differing_copies(operator: LinearOperator, forward: bool, backward: bool) -> str:
    """Say whose stored copies differ; nothing where they are consistent."""
    results = (("A x", operator.codomain, forward), ("A* y", operator.domain, backward))
    return "; ".join(
        f"the copies of {name} in {space} differ between ranks" for name, space, consistent in results if not consistent
    )
