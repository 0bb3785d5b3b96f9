"""`check_claims` fails every claim that does not hold; `check` puts all checks together."""

from typing import Any, final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Diagonal,
    Euclidean,
    Identity,
    LinearOperator,
    Matrix,
    VerificationError,
    Weighted,
    assert_claims,
    assert_correct,
    check,
    check_claims,
    claims,
)
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial


@final
class Claiming(LinearOperator):
    """A matrix that claims what it is told to."""

    def __init__(self, entries: Any, claimed: set[str], **claimed_besides: Any) -> None:
        self.matrix = Matrix(entries)
        super().__init__(self.matrix.domain, self.matrix.codomain)
        self.claimed, self.besides = frozenset(claimed), claimed_besides

    @property
    def claims(self) -> claims.Claims:
        return self.claimed

    @property
    def exact(self) -> bool:
        return self.besides.get("exact", False)

    @property
    def gain(self) -> float | None:
        return self.besides.get("gain")

    def _apply(self, x: np.ndarray) -> np.ndarray:
        return self.matrix._apply(x)

    def _apply_dual(self, y: np.ndarray) -> np.ndarray:
        return self.matrix._apply_dual(y)


TURN, MIRROR, DROP, SHEAR = [[0, -1], [1, 0]], [[0, 1], [1, 0]], [[1, 0], [0, 0]], [[1, 1], [0, 0]]


@pytest.mark.parametrize(
    ("entries", "true"),
    [
        (TURN, claims.UNITARY),
        (MIRROR, {claims.SELF_ADJOINT, *claims.UNITARY}),
        (DROP, {claims.SELF_ADJOINT, claims.POSITIVE, claims.IDEMPOTENT, claims.DIAGONAL}),
        (SHEAR, {claims.IDEMPOTENT}),
        ([[1, 0]], {claims.COISOMETRY}),
        ([[1], [0]], {claims.ISOMETRY}),
        ([[2, 1], [1, 2]], {claims.SELF_ADJOINT, claims.POSITIVE}),
        ([[1, 2], [2, 1]], {claims.SELF_ADJOINT}),
        ([[2, 0], [0, -3]], {claims.SELF_ADJOINT, claims.DIAGONAL}),
        ([[1, 1j], [-1j, 1]], {claims.SELF_ADJOINT, claims.POSITIVE}),
        ([[1, 0], [0, 1j]], {claims.DIAGONAL, *claims.UNITARY}),
    ],
)
def test_each_claim_is_told_from_the_others(entries: Any, true: set[str]) -> None:
    """What holds passes, what does not hold fails."""
    square = len(entries) == len(entries[0])
    either = {claims.ISOMETRY, claims.COISOMETRY}
    everything = (
        either | {claims.SELF_ADJOINT, claims.POSITIVE, claims.IDEMPOTENT, claims.DIAGONAL} if square else either
    )
    for claim in everything:
        (report,) = check_claims(Claiming(entries, {claim}))
        assert report.passed == (claim in true), str(report)
        assert report.check == f"claim {claim}"


def test_exact_and_gain_are_claims() -> None:
    """Thirds are not exact; a gain that is too small is found."""
    assert not check_claims(Claiming(np.full((3, 3), 1 / 3), set(), exact=True))
    assert check_claims(Claiming(np.full((3, 3), 0.25), set(), exact=True))
    assert not check_claims(Claiming(3 * np.eye(3), set(), gain=2.9))
    assert check_claims(Claiming(3 * np.eye(3), set(), gain=3.0))


def test_nothing_claimed() -> None:
    """Without claims there is nothing to be wrong."""
    assert check_claims(Claiming(TURN, set())) == ()
    assert check_claims(Claiming(TURN, set())).passed


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


@given(trees())
def test_expressions_claim_what_holds(tree: Expression) -> None:
    """Claims propagate conservatively: those of expressions hold, and of B* B it is claimed that it is positive."""
    A = tree.operator
    assert_claims(A)
    assert claims.POSITIVE in (A.dual @ A).claims
    assert_claims(A.dual @ A)


def test_check_runs_everything() -> None:
    """All checks of an operator, and of the inner products of its spaces."""
    X = Weighted(Euclidean(3), [1.0, 2.0, 4.0])
    reports = check(Diagonal([1.0, -1.0, 1.0], X))
    names = [report.check for report in reports]
    assert names[:4] == ["adjoint", "linearity", "purity", "batch"]
    assert {"claim isometry", "claim exact", "claim gain", "inverse"} <= set(names)
    assert reports
    assert len(str(reports).splitlines()) == len(reports)
    assert not reports.failed


def test_assert_correct() -> None:
    """It raises with the reports that did not pass, and no others."""
    assert_correct(Identity(Euclidean(2)))
    with pytest.raises(VerificationError, match="claim isometry") as caught:
        assert_correct(Claiming(SHEAR, {claims.ISOMETRY}))
    assert len(str(caught.value).splitlines()) == 1
    assert "A* A x is not x" in str(caught.value)
