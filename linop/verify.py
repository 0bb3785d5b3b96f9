r"""Is this the adjoint? `check_adjoint` answers on a machine.

The equation to be shown is ``dot(A x, y) == dot(x, A* y)`` for all x and y. Three ways, the strongest that applies:

matrix
    Up to 512 coordinates: both matrices are built, and compared entry by entry. Nothing is left to chance.
exact
    Data movements and integer matrices are exact in floating point on vectors of small integers, in any order of
    summation, as long as no partial sum outgrows the significand. There the two sides are compared with ``==``. The
    entries are drawn from eight values, +-1 .. +-4. A single wrong entry of the matrix is always seen, for nothing is
    multiplied by zero. Several ones may cancel: the deviation is a bilinear form in x and y, and one that is not zero
    vanishes with probability at most 1/8 + 1/8 (Schwartz and Zippel), in eight trials below 2e-5. (With +-1 alone,
    swapped entries would cancel half of the time.)
floating
    Else ``|dot(A x, y) - dot(x, A* y)| / max(|A x| |y|, |x| |A* y|)`` is compared with ``8 (1 + d) eps``, where d
    bounds the roundings behind one entry and the two pairings are accumulated in double precision.
"""

from __future__ import annotations

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
    """Build the matrix and the adjoint's, and compare them entry by entry."""
    forward, forward_consistent = _matrix(operator)
    backward, backward_consistent = _matrix(operator.dual)
    expected = backward.conj().mT
    tolerance = 0.0 if operator.exact else 8 * (1 + operator.roundings) * _eps(forward, backward)
    scale = np.maximum(_norms(forward[0], axis=1)[:, None], _norms(expected[0], axis=0)[None, :])
    deviation = np.abs(forward[:, None] - expected).max(axis=(0, 1), initial=0.0)
    wrong = ~(deviation <= tolerance * scale)
    relative = np.divide(deviation, scale, out=np.zeros_like(deviation), where=scale > 0)
    passed = not wrong.any() and forward_consistent and backward_consistent
    if wrong.any():
        i, j = (int(k) for k in np.argwhere(wrong)[0])
        detail = (
            f"{int(wrong.sum())} of {wrong.size} entries differ, the first in row {i} "
            f"({operator.codomain.locate(i)}) and column {j} ({operator.domain.locate(j)}): "
            f"the operator has {_show(forward[:, i, j])}, its adjoint conjugate transposed {_show(expected[:, i, j])}"
        )
    else:
        detail = "all entries equal" if operator.exact else f"all entries within {tolerance:.1e} of their row or column"
    detail = _add_consistency(operator, detail, forward_consistent, backward_consistent)
    return AdjointReport(
        *(str(operator), str(operator.domain), str(operator.codomain)),
        mode="matrix",
        passed=passed,
        vacuous=not (forward.any() or backward.any()),
        trials=forward.shape[-1],
        error=float(relative.max(initial=0.0)),
        tolerance=tolerance,
        seed=seed,
        detail=detail,
    )


def _compare_pairings(operator: LinearOperator, mode: Mode, trials: int, seed: Seed) -> AdjointReport:
    """Compare ``dot(A x, y)`` with ``dot(x, A* y)`` on random vectors."""
    adjoint, domain, codomain = operator.dual, operator.domain, operator.codomain
    seeds = seed if isinstance(seed, tuple) else (seed,)
    error = tolerance = 0.0
    passed, vacuous, detail = True, True, ""
    for trial in range(trials):
        draw = "integers" if mode == "exact" else "normal"
        x = getattr(domain, draw)((*seeds, trial, 0))
        y = getattr(codomain, draw)((*seeds, trial, 1))
        image, preimage = operator(x), adjoint(y)
        codomain.check(image, operator)
        domain.check(preimage, adjoint)
        if mode == "exact" and not (_stays_exact(codomain, image, y) and _stays_exact(domain, preimage, x)):
            report = _compare_pairings(operator, "floating", trials, seed)
            return replace(report, detail=f"{report.detail}; the numbers do not stay exact")
        left, right = codomain.dot(image, y), domain.dot(x, preimage)
        scale = max(codomain.norm(image) * codomain.norm(y), domain.norm(x) * domain.norm(preimage))
        tolerance = 0.0 if mode == "exact" else 8 * (1 + operator.roundings) * _eps(image, preimage)
        deviation = abs(left - right) / scale if scale != 0 else 0.0
        vacuous = vacuous and scale == 0
        if not deviation <= error:  # also where it is not a number
            error = deviation
        if not deviation <= tolerance and passed:
            passed, detail = False, f"trial {trial}: dot(A x, y) = {left}, dot(x, A* y) = {right}"
        consistent = codomain.consistent(image), domain.consistent(preimage)
        if not all(consistent) and passed:
            passed, detail = False, _add_consistency(operator, f"trial {trial}", *consistent)
    if passed:
        compared = "equal" if mode == "exact" else f"within {tolerance:.1e}"
        detail = f"{trials} trials {compared}"
    return AdjointReport(
        *(str(operator), str(operator.domain), str(operator.codomain)),
        mode=mode,
        passed=passed,
        vacuous=vacuous,
        trials=trials,
        error=float(error),
        tolerance=tolerance,
        seed=seed,
        detail=detail,
    )


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
        found.append(codomain.to_coordinates(columns).T * np.conj(phase))
        consistent = codomain.consistent(columns) and consistent
    return np.stack(found), consistent


def _show(entries: np.ndarray) -> str:
    """Return an entry of the matrix in words: one number, or what it is on e and on i e where these differ."""
    first, last = entries[0], entries[-1]
    return f"{first}" if first == last else f"{first} (on i times the basis, {last})"


def _norms(entries: np.ndarray, axis: int) -> np.ndarray:
    """Return the Euclidean norms of rows or columns, in double precision."""
    wide = np.complex128 if np.iscomplexobj(entries) else np.float64
    return np.asarray(np.linalg.norm(entries.astype(wide), axis=axis))


def _eps(*results: np.ndarray) -> float:
    """Return the machine epsilon of the coarsest of several arrays (double precision's for integers)."""
    return max(float(np.finfo(r.dtype).eps) if r.dtype.kind in "fc" else float(np.finfo(float).eps) for r in results)


def _stays_exact(space: Space, result: np.ndarray, other: np.ndarray) -> bool:
    """Say whether `result` and its pairing with `other` are sums of few enough units to be exact.

    A norm bounds every entry, the product of two norms every partial sum of the pairing.
    """
    unit = next((2.0**-k for k in range(21) if _is_multiple(space, result, 2.0**-k)), None)
    if unit is None:
        return False
    digits = np.finfo(result.dtype).nmant + 1 if result.dtype.kind in "fc" else SIGNIFICAND
    norm = space.norm(result)
    return bool(norm <= unit * 2.0**digits and norm * space.norm(other) <= unit * 2.0**SIGNIFICAND)


def _is_multiple(space: Space, x: np.ndarray, unit: float) -> bool:
    """Say whether every entry of `x`, on every process, is a whole multiple of `unit`, a power of two."""
    return bool(space.norm(x / unit - np.rint(x / unit)) == 0)


def _add_consistency(operator: LinearOperator, detail: str, forward: bool, backward: bool) -> str:
    """Append what was found of stored copies that differ."""
    for name, space, consistent in (("A x", operator.codomain, forward), ("A* y", operator.domain, backward)):
        if not consistent:
            detail += f"; the copies of {name} in {space} differ between ranks"
    return detail
