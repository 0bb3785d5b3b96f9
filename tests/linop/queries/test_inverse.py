"""`inverse`: by structure where it is known, else by solving."""

from typing import Any

import numpy as np
import pytest
import torch

from linop import (
    FFT,
    BlockDiagonal,
    Circulant,
    Conjugation,
    ConvergenceError,
    Correlation,
    CumulativeSum,
    Diagonal,
    Euclidean,
    Identity,
    Inverse,
    Kron,
    LinearOperator,
    Matrix,
    Permute,
    Reshape,
    Restriction,
    Reweight,
    SpaceError,
    Weighted,
    Zero,
    check_adjoint,
    claims,
    inverse,
    matrix,
)

pytestmark = pytest.mark.serial

X, C = Euclidean((2, 3)), Euclidean(4, complex)
D, M = Diagonal([1.0, 2.0, 4.0]), Matrix([[2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
W = Weighted(Euclidean(3), [1.0, 2.0, 4.0])
POSITIVE = 4 * Identity(Euclidean(9)) + Correlation(Euclidean(9), [1, 0, 1], padding="same")
GENERAL = 4 * Identity(Euclidean(9)) + Correlation(Euclidean(9), [1, 0, 2], padding="same")


@pytest.mark.parametrize(
    "operator",
    [
        Identity(X),
        D,
        M,
        2 * M,
        M @ D @ M,
        D.H,
        Permute(X, (1, 0)),
        Reshape(X, 6),
        Restriction(Euclidean(3), [2, 0, 1]),
        CumulativeSum(X),
        FFT(C),
        FFT(C, norm="ortho").H,
        Circulant([3.0, 1.0, 0.5]),
        Conjugation(Euclidean(3, complex, "real")),
        BlockDiagonal(D, M),
        Kron(D, M),
        W.riesz,
        Reweight(W, Euclidean(3)),
        2j * Identity(C),
        2j * Identity(Euclidean(3, complex, "real")),
    ],
    ids=str,
)
def test_structures(operator: LinearOperator) -> None:
    """Structures are inverted without solving; the matrix is the inverse matrix, and the adjoint is right."""
    found = inverse(operator)
    assert "^-1" not in str(found).replace("Riesz^-1", "")
    assert (found.domain, found.codomain) == (operator.codomain, operator.domain)
    np.testing.assert_allclose(matrix(found) @ matrix(operator), np.eye(operator.domain.size), atol=1e-13)
    assert check_adjoint(found)


def test_powers() -> None:
    """Negative powers are powers of the inverse; D ** -1 @ D is simplified elsewhere."""
    np.testing.assert_array_equal(matrix(D**-2), np.diag([1.0, 1 / 4, 1 / 16]))
    assert inverse(D) == D**-1
    assert inverse(Inverse(POSITIVE)) == POSITIVE
    positive = Inverse(POSITIVE, positive=True)
    assert positive.dual == positive


@pytest.mark.parametrize("operator", [POSITIVE, GENERAL, GENERAL.H], ids=["positive", "general", "adjoint"])
def test_solving(operator: LinearOperator) -> None:
    """Without a structure, every application solves, to 100 roundings; the adjoint solves with the adjoint."""
    A = Inverse(operator, positive=operator is POSITIVE)
    dense = np.linalg.inv(matrix(operator))
    condition = np.linalg.cond(dense)
    atol = 1000 * condition * 2.0**-52 * np.linalg.norm(dense, 2)  # ten times what is asked of the residual
    np.testing.assert_allclose(matrix(A), dense, rtol=0, atol=atol)
    np.testing.assert_allclose(matrix(A.H), dense.T, rtol=0, atol=atol)
    x = np.ones((2, 0, 9))
    assert A(x).shape == (2, 0, 9)
    single = A(np.ones(9, np.float32))
    assert single.dtype == np.float32
    assert A(torch.ones(9, dtype=torch.float64)).dtype == torch.float64
    assert check_adjoint(A)


def test_claims_of_an_inverse() -> None:
    """The inverse of a positive operator is positive, that of a diagonal diagonal."""
    assert Inverse(POSITIVE, positive=True).claims >= claims.SYMMETRY
    assert not Inverse(GENERAL).claims


def test_solving_in_weighted_spaces() -> None:
    """Claims are about dot: weights make no difference to the inverse."""
    A = Correlation(Weighted(Euclidean(9), np.arange(1.0, 10)), [1, 4, 1], padding="same")
    np.testing.assert_allclose(matrix(Inverse(A)), np.linalg.inv(matrix(A)), atol=1e-12)


@pytest.mark.parametrize(
    ("operator", "told"),
    [
        (Restriction(Euclidean(3), [0, 1]), "different sizes"),
        (Matrix(np.ones((2, 3))), "different sizes"),
        (Zero(X, X), "zero operator"),
        (Diagonal([1.0, 0.0]), "zeros"),
        (Matrix(np.ones((2, 2))), "singular"),
        (Kron(Matrix(np.ones((1, 2))), Matrix(np.ones((1, 2)))), "different sizes"),
        (Matrix(np.ones((2, 3))) @ Matrix(np.ones((3, 4))), "different sizes"),
    ],
)
def test_what_has_no_inverse(operator: LinearOperator, told: str) -> None:
    """The error names the operator."""
    with pytest.raises(SpaceError, match=told):
        inverse(operator)


@pytest.mark.parametrize("positive", [True, False])
def test_a_singular_operator_is_found_when_solving(positive: bool) -> None:
    """What does not converge raises: no wrong vector comes back."""
    A: Any = Inverse(
        Correlation(Euclidean(4), [1, -1], padding="same").H @ Diagonal([0.0, 1.0, 1.0, 1.0]), positive=positive
    )
    with pytest.raises(ConvergenceError, match="residual"):
        A(np.ones(4))


@pytest.mark.parametrize("operator", [POSITIVE, GENERAL], ids=str)
def test_batches_are_solved_at_once(operator: LinearOperator) -> None:
    """A batch, of two axes, takes as many applications as its slowest right-hand side, and each is solved."""
    applications = 0

    class Counted(LinearOperator):
        def _apply(self, x: Any) -> Any:
            nonlocal applications
            applications += 1
            return operator._apply(x)

        def _apply_dual(self, y: Any) -> Any:
            nonlocal applications
            applications += 1
            return operator._apply_dual(y)

    counted = Counted(operator.domain, operator.codomain)
    solve = Inverse(counted, positive=operator is POSITIVE)
    b = np.random.default_rng(0).standard_normal((2, 3, 9))
    b[1, 2] = 0
    single = []
    for k in np.ndindex(2, 3):
        applications = 0
        solve(b[k])
        single.append(applications)
    applications = 0
    x = solve(b)
    assert applications <= 2 * max(single)
    np.testing.assert_allclose(operator(x), b, rtol=0, atol=1e-11)
    assert solve(b[:0]).shape == (0, 3, 9)


def test_a_right_hand_side_that_has_no_solution_is_named() -> None:
    """Of a batch, the error names which."""
    singular = Inverse(Matrix(np.diag([1.0, 2.0, 0.0])), positive=False)
    with pytest.raises(ConvergenceError, match=r"the residual of right-hand side \(1,\) is 1.0e\+00"):
        singular(np.array([[1.0, 2.0, 0.0], [1.0, 0.0, 1.0]]))
