"""Costs add up, can be compared, and count what is done."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Block,
    BlockDiagonal,
    Compose,
    Diagonal,
    Euclidean,
    FunctionOperator,
    HStack,
    Identity,
    Inverse,
    Kron,
    LinearOperator,
    Matrix,
    Product,
    Reweight,
    Scale,
    Sum,
    VStack,
    Weighted,
    Zero,
)
from linop.core.parts import parts
from linop.operators.entrywise.conjugation import Conjugation
from linop.operators.indexing.padding import Padding
from linop.operators.indexing.permute import Permute
from linop.operators.indexing.reshape import Reshape
from linop.operators.indexing.restriction import Restriction
from linop.operators.matrices.functional import Functional
from linop.operators.matrices.sparse_matrix import SparseMatrix
from linop.operators.spectral.circulant import Circulant
from linop.operators.spectral.fft import FFT
from linop.operators.spectral.rfft import RFFT
from linop.operators.stencils.correlation import Correlation
from linop.operators.sums.cumulative_sum import CumulativeSum
from linop.operators.sums.sum_axes import SumAxes
from linop.queries.cost import Cost, cost
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial

costs = st.builds(Cost, st.integers(0, 100), st.integers(0, 20))


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


# -- the numbers -------------------------------------------------------------------------------------------------------


@given(costs, costs, costs)
def test_a_total_order(a: Cost, b: Cost, c: Cost) -> None:
    """Two costs are the same, or one is less; and the order carries through."""
    assert (a < b) + (b < a) + (a == b) == 1
    assert (a <= b) == (a < b or a == b)
    assert not (a < b and b < c) or a < c
    assert (a < b) == (b > a)


@given(costs, costs, costs)
def test_sums_keep_the_order(a: Cost, b: Cost, c: Cost) -> None:
    """What is added on both sides changes nothing: a cheaper part makes a cheaper whole."""
    assert (a < b) == (a + c < b + c)
    assert a <= a + c
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    assert 3 * a == a + a + a == a * 3
    assert a + Cost() == a


@given(costs, costs)
def test_time(a: Cost, b: Cost) -> None:
    """The order is that of the estimated time, which is larger than either of its parts."""
    assert a.time == a.flops + 8 * a.bytes
    assert (a + b).time == a.time + b.time
    assert a + Cost(8, 0) < a + Cost(0, 1) < a + Cost(9, 0)
    assert not a.time < b.time or a < b
    assert a.time >= max(a.flops, a.bytes)


def test_other_things_are_no_costs() -> None:
    """A number alone does not say of what."""
    for other in (1, 1.5, None):
        with pytest.raises(TypeError):
            Cost(1, 1) + other  # type: ignore[operator]
        with pytest.raises(TypeError):
            Cost(1, 1) < other  # type: ignore[operator]  # noqa: B015
    with pytest.raises(TypeError):
        1.5 * Cost(1, 1)  # type: ignore[operator]


# -- operators ---------------------------------------------------------------------------------------------------------

X, C, R = Euclidean(4), Euclidean(4, complex), Euclidean(4, complex, field="real")
SINGLE = Euclidean(4, np.float32)
ENTRIES = np.arange(12.0).reshape(3, 4)


def sparse(space: Any = None) -> LinearOperator:
    from scipy.sparse import csr_array

    return SparseMatrix(csr_array(np.eye(4)[:3]), space, None if space is None else Euclidean(3, space.dtype))


@pytest.mark.parametrize(
    ("operator", "flops", "moved"),
    [
        # per coordinate: 8 bytes of a real, 16 of a complex number; constants are read, too
        (Identity(X), 0, 32 + 32),
        (Zero(X, Euclidean(3)), 0, 24),
        (Diagonal([1.0, 2.0, 3.0, 4.0]), 4, 32 + 32 + 32),
        (Diagonal(np.ones(4, np.float32), SINGLE), 4, 16 + 16 + 16),
        (Diagonal([1.0, 2.0, 3.0, 4j]), 4 * 6, 64 + 64 + 64),
        (Diagonal([1.0, 2.0, 3.0, 4j], R), 4 * 6, 64 + 64 + 64),
        (Matrix(ENTRIES), 2 * 12, 32 + 24 + 96),
        (Matrix(ENTRIES + 0j), 8 * 12, 64 + 48 + 192),
        (Matrix(np.ones((8, 8)), R, R), 2 * 64, 64 + 64 + 512),
        (sparse(), 2 * 3, 32 + 24 + 3 * 8 + 3 * 4 + 4 * 4),
        (sparse(C), 8 * 3, 64 + 48 + 3 * 8 + 3 * 4 + 4 * 4),
        (FFT(C), 5 * 4 * 2, 64 + 64),
        (FFT(Euclidean((2, 8), complex), axes=(1,)), 2 * 5 * 8 * 3, 256 + 256),
        (FFT(Euclidean((2, 8), complex)), 5 * 16 * 4, 256 + 256),
        (RFFT(Euclidean(8)), 5 * 8 * 3 // 2, 64 + 5 * 16),
        (Correlation(X, [1.0, 2.0], padding="valid"), 2 * 2 * 3, 32 + 24 + 16),
        (Correlation(C, [1.0, 2.0j], padding="valid"), 8 * 2 * 3, 64 + 48 + 32),
        (Correlation(Euclidean((2, 6)), np.ones((5, 2, 3))), 2 * 6 * 20, 96 + 160 + 240),
        (Functional([1.0, 2.0, 3.0, 4.0]), 2 * 4, 32 + 8 + 32),
        (SumAxes(Euclidean((3, 4)), 0), 12, 96 + 32),
        (CumulativeSum(X), 4, 32 + 32),
        (Restriction(X, slice(2)), 0, 32 + 16),
        (Restriction(X, [0, 0, 1]), 4, 32 + 24),
        (Padding(X, ((1, 1),)), 0, 32 + 48),
        (Permute(Euclidean((2, 2)), (1, 0)), 0, 32 + 32),
        (Reshape(X, (2, 2)), 0, 32 + 32),
        (Conjugation(R), 0, 64 + 64),
        (Reweight(X, Weighted(X, 2.0)), 0, 32 + 32),
        (Weighted(X, 2.0).riesz, 4, 32 + 32),
        (Weighted(X, [1.0, 2.0, 3.0, 4.0]).riesz_inverse, 4, 32 + 32 + 32),
        (Weighted(X, Matrix(np.eye(4))).riesz, 2 * 16, 32 + 32 + 128),
        (Product(X, Weighted(X, 2.0)).riesz, 4, 64 + 64),
        (FunctionOperator(X, Euclidean(3), ENTRIES.dot, ENTRIES.T.dot, roundings=7), 2 * 7 * 3, 32 + 24),
    ],
    ids=repr,
)
def test_counts(operator: LinearOperator, flops: int, moved: int) -> None:
    """Operations on real numbers, and bytes of the argument, the result and the constants."""
    assert cost(operator) == Cost(flops, moved)


def test_circulant() -> None:
    """Two transforms, and a product of complex numbers between them."""
    found = cost(Circulant(np.arange(8.0) + 1j))
    assert found.flops == 2 * 5 * 8 * 3 + 6 * 8
    assert found.bytes == 3 * 256 + 128


# -- expressions -------------------------------------------------------------------------------------------------------

A, B, D = Matrix(ENTRIES), Matrix(2 * ENTRIES), Diagonal([1.0, 2.0, 3.0, 4.0])
ADD3, ADD4 = Cost(3, 72), Cost(4, 96)


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (A @ D, cost(A) + cost(D)),
        (A @ D @ D, cost(A) + 2 * cost(D)),
        (A + B + A, 2 * cost(A) + cost(B) + 2 * ADD3),
        (2 * A, cost(A) + Cost(3, 48)),
        (2 * A.H, cost(A) + Cost(3, 48)),
        (A.H, cost(A)),
        (2j * FFT(C), cost(FFT(C)) + Cost(24, 128)),
        (2 * FFT(C), cost(FFT(C)) + Cost(8, 128)),
        (VStack(A, D), cost(A) + cost(D)),
        (HStack(A, B), cost(A) + cost(B) + ADD3),
        (BlockDiagonal(A, D), cost(A) + cost(D)),
        (Block([[A, B], [B, None]]), cost(A) + 2 * cost(B) + ADD3),
        (Block([[None, A], [B, A]]), cost(Zero(X, A.codomain)) + 2 * cost(A) + cost(B) + 2 * ADD3),
        (Kron(A, D), 4 * cost(A) + 4 * cost(D) + Cost(0, 2 * 96)),
        (Kron(A, A), 4 * cost(A) + 3 * cost(A) + Cost(0, 2 * 72)),
        (Inverse(D), 4 * (2 * cost(D) + 10 * ADD4)),
    ],
    ids=str,
)
def test_expressions(operator: LinearOperator, expected: Cost) -> None:
    """The parts, what joins them, and nothing else."""
    assert cost(operator) == expected


@given(trees())
def test_an_expression_costs_no_less_than_a_part(tree: Expression) -> None:
    """Nor is anything for nothing."""
    for node in _nodes(tree.operator):
        assert cost(node).flops >= 0
        assert all(cost(part) <= cost(node) for part in parts(node))
        assert cost(node).bytes > 0 or node.codomain.size == 0


@st.composite
def rivals(draw: st.DrawFn) -> tuple[LinearOperator, LinearOperator, LinearOperator]:
    """Return two expressions between the same spaces, and one that can be put in front."""
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    domain, codomain, last = draw(spaces), draw(spaces), draw(spaces)
    one, other = (draw(expressions(domain, codomain)).operator for _ in range(2))
    return one, other, draw(expressions(codomain, last)).operator


@given(rivals())
def test_a_cheaper_part_makes_a_cheaper_whole(found: tuple[LinearOperator, ...]) -> None:
    """Of two expressions that differ in a part, the one with the cheaper part is the cheaper one."""
    one, other, left = found
    wholes: list[Callable[[LinearOperator], LinearOperator]] = [
        lambda A: Compose(left, A),
        lambda A: Sum(A, one),
        lambda A: Scale(2.0, A),
        lambda A: VStack(one, A),
        lambda A: HStack(A, one),
        lambda A: BlockDiagonal(A, left),
        lambda A: Compose(BlockDiagonal(left), BlockDiagonal(Sum(A, Scale(2.0, A)))),
    ]
    for whole in wholes:
        assert (cost(one) <= cost(other)) == (cost(whole(one)) <= cost(whole(other)))


def _nodes(operator: LinearOperator) -> Iterator[LinearOperator]:
    yield operator
    for part in parts(operator):
        yield from _nodes(part)


def test_what_is_known_to_be_cheaper() -> None:
    """The identities that simplification uses go downhill."""
    F = FFT(Euclidean(1024, complex), norm="ortho")
    dense = Matrix(np.ones((1024, 1024), complex), F.domain, F.domain)
    assert cost(F) < cost(dense)
    assert cost(Identity(F.domain)) < cost(F.H @ F)
    assert (
        cost(Diagonal([2.0, 4.0])) < cost(2 * Diagonal([1.0, 2.0])) < cost(Diagonal([1.0, 2.0]) + Diagonal([1.0, 2.0]))
    )
    assert cost((A + B) @ D) < cost(A @ D + B @ D)
    tall = Matrix(np.ones((100, 2)))
    assert cost(tall @ tall.H) < cost(Matrix(np.ones((100, 100))))
    wide = Matrix(np.ones((2, 100)))
    assert cost(Matrix(np.ones((2, 2)))) < cost(wide @ tall)


def test_kron_is_not_formed() -> None:
    """The product of the matrices would cost as much as its entries."""
    big = Matrix(np.ones((32, 32)))
    assert 8 * cost(Kron(big, big)).time < cost(Matrix(np.ones((1024, 1024)))).time


def test_transforms_grow_as_n_log_n() -> None:
    """Twice as many points take a little more than twice as much."""
    for n in (1, 2, 256, 4096):
        flops = cost(FFT(Euclidean(n, complex))).flops
        assert flops == 5 * n * math.log2(n)
    assert cost(FFT(Euclidean(0, complex), axes=())) == Cost(0, 0)


class Weighing(LinearOperator):
    """An operator of a user."""

    def __init__(self) -> None:
        super().__init__(X, X)

    def _apply(self, x: Any) -> Any:
        return 2 * x

    def _apply_dual(self, y: Any) -> Any:
        return 2 * y


def test_an_operator_of_ones_own() -> None:
    """A class may register what it costs; until then, it is taken for a dense matrix."""
    assert cost(Weighing()) == Cost(2 * 4 * 4, 64)
    cost.register(Weighing, lambda _: Cost(4, 64))
    assert cost(Weighing().H @ Weighing()) == Cost(8, 128)
