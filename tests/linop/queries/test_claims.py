"""What is said of an operator is true with respect to the inner products; what must be seen is seen."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Block,
    BlockDiagonal,
    Diagonal,
    Euclidean,
    Identity,
    Inverse,
    Kron,
    LinearOperator,
    Matrix,
    Product,
    Reweight,
    Space,
    Weighted,
    Zero,
    matrix,
    reweight,
)
from linop.operators.indexing.padding import Padding
from linop.operators.indexing.permute import Permute
from linop.operators.indexing.restriction import Restriction
from linop.operators.spectral.fft import FFT
from linop.queries.claims import is_diagonal, is_isometry, is_positive, is_projection, is_self_adjoint, is_unitary
from linop.testing import Expression, expressions, spaces_of_a_tree, weight_matrix

pytestmark = pytest.mark.serial

Ask = Callable[[LinearOperator], bool]


def weights(space: Space) -> np.ndarray:
    """Return the matrix of the weights, also of those of a tensor product."""
    operator = isinstance(space, Weighted) and isinstance(space.weight, LinearOperator)
    return matrix(space.weight) if operator else weight_matrix(space)


def adjoint(operator: LinearOperator) -> np.ndarray:
    """Return the matrix of ``A.H`` from the definition of the inner products."""
    dual = matrix(operator).conj().T @ weights(operator.codomain)
    return np.linalg.solve(weights(operator.domain), dual)


def entries(space: Space) -> np.ndarray:
    """Return to which entry of an array each coordinate belongs: two to each, in a real space of complex arrays."""
    if isinstance(space, Product):
        parts = [entries(part) for part in space.parts]
        return np.concatenate([part + 1000 * k for k, part in enumerate(parts)])
    return np.arange(space.size) // (2 if space.field == "real" and space.dtype.kind == "c" else 1)


def near(found: np.ndarray, expected: np.ndarray, operator: LinearOperator) -> bool:
    """Say whether two matrices differ by roundings only, of products of a few matrices with these numbers."""
    n = max(*found.shape, 1)
    eps = float(np.finfo(operator.codomain.dtype).eps)
    conditions = np.linalg.cond(weights(operator.domain)) if operator.domain.size else 1.0
    size = max(
        np.abs(found).max(initial=0), np.abs(expected).max(initial=0), np.abs(matrix(operator)).max(initial=0), 1
    )
    return bool(np.all(np.abs(found - expected) <= 100 * n * eps * conditions * size))


def holds(ask: Ask, operator: LinearOperator) -> bool:
    """Say whether something is true of an operator, from its matrix."""
    a = matrix(operator)
    square = operator.domain == operator.codomain
    if ask is is_diagonal:
        of = entries(operator.domain)
        return square and not a[of[:, None] != of[None, :]].any()
    if ask is is_isometry:
        return near(adjoint(operator) @ a, np.eye(operator.domain.size), operator)
    if ask is is_unitary:
        return a.shape[0] == a.shape[1] and holds(is_isometry, operator)
    if not square or not near(adjoint(operator), a, operator):
        return False
    if ask is is_projection:
        return near(a @ a, a, operator)
    if ask is is_positive:
        values = np.linalg.eigvalsh(weights(operator.domain) @ a)
        return bool(np.all(values >= -1e-5 * (1 + np.abs(values).max(initial=0))))
    return True


ALL = [is_self_adjoint, is_positive, is_isometry, is_unitary, is_projection, is_diagonal]


@st.composite
def symmetric_trees(draw: st.DrawFn) -> tuple[LinearOperator, LinearOperator, LinearOperator]:
    """Return expressions ``A.H @ A``, ``A + A.H`` and ``A.H @ B @ A`` with ``B = C + C.H``, on spaces with weights."""
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    domain, codomain = draw(spaces), draw(spaces)
    A = draw(expressions(domain, codomain, 2)).operator
    B = draw(expressions(domain, domain, 2)).operator
    C = draw(expressions(codomain, codomain, 2)).operator
    return A.H @ A, B + B.H, A.H @ (C + C.H) @ A


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = draw(spaces_of_a_tree())
    domain = draw(st.sampled_from(spaces))
    codomain = draw(st.sampled_from([domain, *spaces]))
    return draw(expressions(domain, codomain))


@given(trees())
def test_nothing_false_is_said_of_expressions(tree: Expression) -> None:
    """True is a proof."""
    for ask in ALL:
        assert not ask(tree.operator) or holds(ask, tree.operator), ask.__name__


@given(symmetric_trees())
def test_symmetric_expressions(found: tuple[LinearOperator, ...]) -> None:
    """``A.H @ A`` is known to be positive, ``A + A.H`` and ``A.H @ (C + C.H) @ A`` to be self-adjoint; and they are."""
    positive, total, product = found
    assert is_positive(positive)
    assert is_self_adjoint(positive)
    assert is_self_adjoint(total)
    assert is_self_adjoint(product)
    for operator in found:
        for ask in ALL:
            assert not ask(operator) or holds(ask, operator), ask.__name__


@given(symmetric_trees(), st.sampled_from([-2, 0.5, 3]))
def test_sums_multiples_and_inverses(found: tuple[LinearOperator, ...], scalar: float) -> None:
    """Real multiples, sums and inverses of what is self-adjoint are; and of what is positive, where no sign changes."""
    positive, total, _ = found
    assert is_self_adjoint(scalar * total)
    assert is_positive(scalar * positive) or scalar < 0
    if total.domain == positive.domain:
        assert is_self_adjoint(total + positive)
    shifted = positive + Identity(positive.domain)
    assert is_positive(shifted)
    assert is_positive(Inverse(shifted))
    assert is_self_adjoint(Inverse(total))


# -- examples ----------------------------------------------------------------------------------------------------------

X, C, REALIFIED = Euclidean(2), Euclidean(2, complex), Euclidean(2, complex, field="real")
NUMBER, DENSE = Weighted(X, 0.5), Weighted(X, Matrix([[2.0, 1.0], [1.0, 3.0]]))
TWO = Weighted(X, [1.0, 4.0])
SYMMETRIC, SHEAR, ROTATION = Matrix([[0, 1], [1, 0]]), Matrix([[1, 1], [0, 1]]), Matrix([[0, -1], [1, 0]])
SHEAR_ON_TWO = Matrix([[1, 1], [0, 1]], TWO, TWO)
REAL, POSITIVE, SIGNS, PROJECTION = Diagonal([1, -2]), Diagonal([1, 2]), Diagonal([1, -1]), Diagonal([1, 0])
HERMITIAN, PHASES = Matrix([[0, 1j], [-1j, 0]]), Diagonal([1j, -1])
FOURIER = FFT(C, norm="ortho")
PADDING = Restriction(Euclidean(3), slice(2)).H


def on(operator: LinearOperator, space: Space) -> LinearOperator:
    return reweight(operator, space, space)


@pytest.mark.parametrize(
    ("operator", "known"),
    [
        (SYMMETRIC, {is_self_adjoint}),
        (SHEAR, set()),
        (HERMITIAN, {is_self_adjoint}),
        (1j * HERMITIAN, set()),
        (REAL, {is_self_adjoint, is_diagonal}),
        (POSITIVE, {is_self_adjoint, is_positive, is_diagonal}),
        (-1 * POSITIVE, {is_self_adjoint, is_diagonal}),
        (SIGNS, {is_self_adjoint, is_isometry, is_unitary, is_diagonal}),
        (PHASES, {is_isometry, is_unitary, is_diagonal}),
        (PROJECTION, {is_self_adjoint, is_positive, is_projection, is_diagonal}),
        (Identity(X), set(ALL)),
        (Zero(X, X), {is_self_adjoint, is_positive, is_projection, is_diagonal}),
        (Zero(X, Euclidean(3)), set()),
        (Identity(X) - PROJECTION, {is_self_adjoint, is_projection, is_diagonal}),
        (Identity(X) - 2 * PROJECTION, {is_self_adjoint, is_diagonal}),
        (FOURIER, {is_isometry, is_unitary}),
        (1j * FOURIER, {is_isometry, is_unitary}),
        (2 * FOURIER, set()),
        (FOURIER @ PHASES @ FOURIER.H, {is_isometry, is_unitary}),
        (PADDING, {is_isometry}),
        (PADDING.H, set()),
        (PADDING @ PADDING.H, {is_self_adjoint, is_positive, is_projection}),
        (
            PADDING @ PHASES.H @ PHASES @ PADDING.H if False else Identity(Euclidean(3)) - PADDING @ PADDING.H,
            {is_self_adjoint, is_projection},
        ),
        # with weights: claims are about dot, and only some of it carries over
        (Matrix([[0, 1], [1, 0]], NUMBER, NUMBER), {is_self_adjoint}),
        (Matrix([[0, 1], [1, 0]], NUMBER, NUMBER) + Matrix([[2, 1], [1, 5]], NUMBER, NUMBER), {is_self_adjoint}),
        (Matrix([[0, 1], [1, 0]], TWO, TWO), set()),
        (Matrix([[0, 1], [1, 0]], DENSE, DENSE), set()),
        (Diagonal([1, -2], TWO), {is_self_adjoint, is_diagonal}),
        (Diagonal([1, -2], TWO) + SHEAR_ON_TWO.H @ SHEAR_ON_TWO, {is_self_adjoint}),
        (Diagonal([1, 2], TWO), {is_self_adjoint, is_positive, is_diagonal}),
        (Diagonal([1, -1], TWO), {is_self_adjoint, is_isometry, is_unitary, is_diagonal}),
        (Diagonal([1, 0], TWO), {is_self_adjoint, is_positive, is_projection, is_diagonal}),
        (Diagonal([1, 2], DENSE), {is_diagonal}),
        (Diagonal([1, -1], DENSE), {is_diagonal}),
        (Diagonal([1, 0], DENSE), {is_diagonal}),
        (Identity(DENSE), set(ALL)),
        (TWO.riesz, {is_self_adjoint, is_positive, is_diagonal}),
        (DENSE.riesz_inverse, {is_self_adjoint, is_positive}),
        (Reweight(X, TWO), set()),
        (Permute(NUMBER, (0,)), {is_self_adjoint, is_isometry, is_unitary}),
        (1j * Identity(REALIFIED), {is_isometry, is_unitary, is_diagonal}),
        (1j * Identity(Weighted(REALIFIED, [1.0, 4.0])), {is_isometry, is_unitary, is_diagonal}),
        (1j * Identity(Weighted(REALIFIED, Diagonal([1.0, 4.0], REALIFIED))), {is_diagonal}),
        # blocks and Kronecker products
        (BlockDiagonal(SYMMETRIC, POSITIVE), {is_self_adjoint}),
        (BlockDiagonal(on(POSITIVE, TWO), Identity(DENSE)), {is_self_adjoint, is_positive, is_diagonal}),
        (
            BlockDiagonal(Identity(DENSE), Diagonal([1, -1], TWO)),
            {is_self_adjoint, is_isometry, is_unitary, is_diagonal},
        ),
        (
            BlockDiagonal(Identity(DENSE), Diagonal([1, -1], TWO)) ** 2,
            {is_self_adjoint, is_isometry, is_unitary, is_diagonal},
        ),
        (BlockDiagonal(PADDING @ PADDING.H, Diagonal([1, 0], TWO)), {is_self_adjoint, is_positive, is_projection}),
        (Block([[SYMMETRIC, SHEAR], [SHEAR.H, REAL]]), {is_self_adjoint}),
        (Block([[SYMMETRIC, SHEAR], [SHEAR, REAL]]), set()),
        (Block([[SYMMETRIC, SHEAR], [SHEAR.H, SHEAR]]), set()),
        (Kron(SYMMETRIC, REAL), {is_self_adjoint}),
        (Kron(POSITIVE, SHEAR.H @ SHEAR), {is_self_adjoint, is_positive}),
        (Kron(SYMMETRIC, SHEAR), set()),
        (Kron(FOURIER, PHASES), {is_isometry, is_unitary}),
        (Kron(Diagonal([1, 2], TWO), DENSE.riesz), {is_self_adjoint, is_positive}),
    ],
    ids=lambda found: str(found) if isinstance(found, LinearOperator) else "",
)
def test_examples(operator: LinearOperator, known: set[Ask]) -> None:
    """What the structure shows is known, and no more: the rest is false, or would take a computation."""
    assert {ask for ask in ALL if ask(operator)} == known
    for ask in known:
        assert holds(ask, operator), ask.__name__


def test_block_with_weights() -> None:
    """Blocks that are each other's adjoints with respect to inner make a self-adjoint one; with respect to dot, not."""
    B = Matrix([[1, 2], [3, 4]], TWO, DENSE)
    symmetric = Block([[TWO.riesz, B.H], [B, DENSE.riesz]])
    assert symmetric.domain == Product(TWO, DENSE)
    assert is_self_adjoint(symmetric)
    assert holds(is_self_adjoint, symmetric)
    other = Block([[TWO.riesz, B.dual], [B, DENSE.riesz]])
    assert not is_self_adjoint(other)
    assert not holds(is_self_adjoint, other)


def test_positive_in_between() -> None:
    """``B.H @ M @ B`` is positive with respect to inner just as M is, with different weights on both spaces."""
    B, M = Matrix([[1, 2], [3, 4]], TWO, DENSE), Matrix([[2, 1], [0, 3]], DENSE, DENSE)
    assert is_positive(B.H @ (M.H @ M) @ B)
    assert holds(is_positive, B.H @ (M.H @ M) @ B)
    assert is_self_adjoint(B.H @ (M + M.H) @ B)
    assert not is_positive(B.H @ (M + M.H) @ B)
    assert not is_self_adjoint(B.H @ M @ B)
    A = Matrix([[1, 1], [0, 2]], X, TWO)
    assert is_positive(A.H @ B.H @ (M.H @ M + Identity(DENSE)) @ B @ A)
    assert holds(is_positive, A.H @ B.H @ (M.H @ M + Identity(DENSE)) @ B @ A)


def test_weights_in_between_belong_to_the_adjoint() -> None:
    """``L* M L`` is symmetric where M is with respect to dot, ``L* R M L`` where M is with respect to inner."""
    L, S = Matrix([[1, 2], [3, 4]], X, DENSE), Matrix([[1, 2], [0, 3]], DENSE, DENSE)
    M, R = S + S.H, DENSE.riesz
    for true in (L.dual @ R @ M @ L, L.dual @ M @ DENSE.riesz_inverse @ L):
        assert is_self_adjoint(true)
        assert holds(is_self_adjoint, true)
    for false in (L.dual @ M @ L, L.dual @ DENSE.riesz_inverse @ M @ L, L.dual @ M @ R @ L):
        assert not is_self_adjoint(false)
        assert not holds(is_self_adjoint, false)
    diagonals = L.dual @ Diagonal([1, -2], DENSE) @ Diagonal([3, 1], DENSE) @ L  # symmetric, with respect to dot
    assert is_self_adjoint(diagonals)
    assert holds(is_self_adjoint, diagonals)


def test_projection_onto_the_range_of_an_isometry() -> None:
    """``Q Q.H`` is a projection also where the spaces have weights, as long as Q keeps their lengths."""
    Xw, Yw = Weighted(X, 4.0), Weighted(Euclidean(3), 4.0)
    Q = Padding(Xw, ((0, 1),), codomain=Yw)
    assert is_isometry(Q)
    assert is_projection(Q @ Q.H)
    assert holds(is_projection, Q @ Q.H)
    P = Padding(Xw, ((0, 1),))  # to a space without weights: a multiple of an isometry
    assert not is_isometry(P)
    assert not is_projection(P @ P.H)
    assert not holds(is_projection, P @ P.H)
