"""Rank-local operators, and expressions that mix them with movements."""

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import AgreementError, At, Copies, DistributedSpace, Grid, Local, Movement, Replicated, Split, World
from distdl_ops.compositions.local import summed
from distdl_ops.testing import Draft, Tree, drafts_of_one_tensor, on_ranks, world_sizes, worlds_and_trees
from linop import (
    CumulativeSum,
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    LinearOperator,
    LinopError,
    Matrix,
    SpaceError,
    Weighted,
    check_adjoint,
    check_claims,
    cost,
    matrix,
    simplify,
)
from linop.testing import DTYPES


def scaling(space: DistributedSpace, seed: int) -> Local:
    """Return a diagonal of integers: of this rank's own, and the same on replicas."""
    entries = space.integers(seed).ravel()
    X = Euclidean(space.shape, space.dtype)
    return Local(space, space, Matrix(np.diag(entries), X, X))


@st.composite
def chains(draw: st.DrawFn) -> tuple[int, tuple[Draft, ...], int]:
    size = draw(world_sizes())
    layouts = draw(drafts_of_one_tensor(size, draw(st.integers(2, 4)), dtypes=DTYPES))
    return size, layouts, draw(st.integers(0, 99))


@given(chains())
def test_random_expressions(drawn: tuple[int, tuple[Draft, ...], int]) -> None:
    """Movements, local operators, scalars and sums in one expression: the dense product, and the right adjoint."""
    size, layouts, seed = drawn

    def main(world: World) -> tuple[np.ndarray, np.ndarray, list[str]]:
        spaces = [layout.on(world) for layout in layouts]
        A: LinearOperator = scaling(spaces[0], seed)
        dense = matrix(A)
        for (s, S), (t, T) in itertools.pairwise(zip(layouts, spaces, strict=True)):
            M, D = Movement(S, T), scaling(T, seed + 1)
            A = 2 * D @ M @ A + M @ A
            dense = (2 * matrix(D) + np.eye(T.size)) @ (t.embedding() @ s.embedding().T) @ dense
        reports = [check_adjoint(A, mode=mode) for mode in ("matrix", "exact")]
        return matrix(A), dense, [str(report) for report in reports if not report]

    for found, dense, failed in on_ranks(size, main):
        np.testing.assert_array_equal(found, dense)
        assert failed == []


def test_block_diagonal(ranks: int) -> None:
    """Its matrix has every rank's block on the diagonal, and the adjoint the transposed blocks."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (2 * ranks,), rows=Split(0))
        block = np.array([[1.0, world.rank], [0, 2]])
        A = Local(S, S, Matrix(block))
        expected = np.zeros((2 * ranks, 2 * ranks))
        for rank in range(ranks):
            expected[2 * rank : 2 * rank + 2, 2 * rank : 2 * rank + 2] = [[1, rank], [0, 2]]
        np.testing.assert_array_equal(matrix(A), expected)
        np.testing.assert_array_equal(matrix(A.H), expected.T)
        assert A.H.H == A
        assert check_adjoint(A)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_replicas_need_the_same_operator(ranks: int) -> None:
    """Different operators on the replicas of a vector are refused; of functions, the check finds it."""

    def main(world: World) -> str:
        V = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Replicated())
        X = Euclidean(3)
        for operator in ((1 + world.rank) * Identity(X), Diagonal([1.0, 2.0, world.rank])):
            with pytest.raises(AgreementError, match=r"replicas need the same operator; rank 0: .*; rank 1: "):
                Local(V, V, operator)

        def times(x: np.ndarray) -> np.ndarray:
            return (1 + world.rank) * x

        return check_adjoint(Local(V, V, FunctionOperator(X, X, times, times))).detail

    assert all("differ between ranks" in detail for detail in on_ranks(ranks, main))


@pytest.mark.parametrize("ranks", [2, 4], indirect=True)
def test_replicas_with_equal_operators(ranks: int) -> None:
    """Operators that are equal are the same on all replicas, whichever way each rank has made them."""

    def main(world: World) -> float:
        S = DistributedSpace(Grid(world, rows=2, cols=ranks // 2), (4,), rows=Split(0), cols=Replicated())
        part = world.rank * 2 // ranks  # what a row of the grid holds, all its columns
        A = Diagonal([1.0 + part, 2.0])
        return float(S.norm(Local(S, S, A + A if world.rank % 2 else A + Diagonal([1.0 + part, 2.0]))(np.ones(2))))

    assert len(set(on_ranks(ranks, main))) == 1


def test_between_replicated_and_independent_vectors(ranks: int) -> None:
    """That is a movement, and is refused."""

    def main(world: World) -> None:
        V = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Replicated())
        with pytest.raises(SpaceError, match="both or neither"):
            Local(V, V.with_roles(rows=Copies()), Identity(Euclidean(3)))

    on_ranks(ranks, main)


def test_operators_that_do_not_fit(ranks: int) -> None:
    """Other shapes, fields or grids are refused on every rank; so is one that does not fit on one rank only."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (2 * ranks,), rows=Split(0))
        with pytest.raises(LinopError, match=r"from shape \(2,\) to \(2,\)"):
            Local(S, S, Identity(Euclidean(3)))
        with pytest.raises(LinopError, match="field"):
            Local(S, S, Identity(Euclidean(2, complex)))
        with pytest.raises(LinopError, match="LinearOperator"):
            Local(S, S, np.eye(2))  # type: ignore[arg-type]
        elsewhere = DistributedSpace(Grid(world, all=ranks), (2 * ranks,), all=Split(0))
        with pytest.raises(LinopError, match="one grid"):
            Local(S, elsewhere, Identity(Euclidean(2)))
        if ranks > 1:
            with pytest.raises(AgreementError, match="rank 0"):
                Local(S, S, Identity(Euclidean(3 if world.rank == 0 else 2)))

    on_ranks(ranks, main)


def test_a_rank_with_nothing_runs_the_same_line(ranks: int) -> None:
    """Where a rank holds nothing, its operator is between spaces of size zero."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (3, 2), rows=At(ranks - 1))
        A = Local(S, S, 2 * Identity(Euclidean(S.shape)))
        assert check_adjoint(A)
        assert S.to_global(A(S.from_global(np.ones((3, 2))))).sum() == 12

    on_ranks(ranks, main)


def test_numbers_are_known_of_all_ranks(ranks: int) -> None:
    """A local operator knows the one number that all ranks multiply by; ranks that hold nothing do not matter."""

    def main(world: World) -> tuple[Any, ...]:
        S = DistributedSpace(Grid(world, p=world.size), (1,), p=Split(0))  # all but the first rank hold nothing
        C = S.with_roles(p=Copies())
        own, one = Euclidean(S.shape), Euclidean(C.shape)
        held = Local(S, S, Diagonal(np.full(S.shape, 3.0), own))
        same, other = Local(C, C, 2 * Identity(one)), Local(C, C, (1.0 + world.rank) * Identity(one))
        products = (same.after(same), same.after(other))
        return (held.number, same.number, other.number, *(None if p is None else p.number for p in products))

    differs = None if ranks > 1 else 1.0
    assert on_ranks(ranks, main) == [(3.0, 2.0, differs, 4.0, None if ranks > 1 else 2.0)] * ranks


def test_costs_of_all_ranks_are_known(ranks: int) -> None:
    """Each rank knows what everyone's operator costs, of adjoints and products, too."""

    def main(world: World) -> bool:
        S = DistributedSpace(Grid(world, p=world.size), (5, 2), p=Split(0))
        own = Euclidean(S.shape)
        A = Local(S, S, Diagonal(np.ones(S.shape), own))
        each = world.allgather(cost(A.operator), "test")
        product = A.after(A)
        assert product is not None
        return [*A.costs] == each and [*A.dual.costs] == each and [*product.costs] == [2 * found for found in each]

    assert all(on_ranks(ranks, main))


def test_products_of_ranks_that_do_not_meet(ranks: int) -> None:
    """Where the operators of one rank cannot be multiplied, there is no product, on any rank."""

    def main(world: World) -> bool:
        S = DistributedSpace(Grid(world, p=world.size), (2 * world.size,), p=Split(0))
        plain, weighted = Euclidean(S.shape), Weighted(Euclidean(S.shape), 2.0)
        last = world.rank == world.size - 1
        A = Local(S, S, Identity(plain))
        B = Local(S, S, Identity(weighted if last else plain))
        return A.after(B) is None and A.after(A) is not None and summed([A, B]) is None

    assert all(on_ranks(ranks, main))


def test_sums_need_a_local_operator(ranks: int) -> None:
    """Identities alone are no local operator; with one, they are added on each rank."""

    def main(world: World) -> tuple[bool, bool]:
        S = DistributedSpace(Grid(world, p=world.size), (2 * world.size,), p=Split(0))
        A = Local(S, S, Diagonal(np.arange(2.0), Euclidean(S.shape)))
        total = summed([2 * A, Identity(S)])
        assert total is not None
        return summed([Identity(S), Identity(S)]) is None, np.array_equal(matrix(total), matrix(2 * A + Identity(S)))

    assert on_ranks(ranks, main) == [(True, True)] * ranks


@given(worlds_and_trees(), st.integers(0, 2**16))
def test_equal_expressions_have_equal_matrices(drawn: tuple[int, Tree], seed: int) -> None:
    """Random expressions that differ in a few numbers, axes or entries are equal only where their matrices are."""
    size, tree = drawn
    others = [tree, *(Tree(tree.drafts, _varied(tree.recipe, np.random.default_rng((seed, k)))) for k in range(3))]

    def main(world: World) -> tuple[bool, list[bool]]:
        operators = [other.on(world) for other in others]
        equal, right = [], True
        for A, B in itertools.combinations(operators, 2):
            equal.append(A == B)
            right = right and (not equal[-1] or (np.array_equal(matrix(A), matrix(B)) and hash(A) == hash(B)))
            difference = simplify(A - B)
            right = right and np.array_equal(matrix(difference), matrix(A - B))
        return right, equal

    found = on_ranks(size, main)
    assert all(right for right, _ in found)
    assert all(equal == found[0][1] for _, equal in found)


def _varied(recipe: Any, generator: np.random.Generator) -> Any:
    """Return a recipe with other numbers here and there."""
    kind, *rest = recipe
    if kind == "movement":
        return recipe
    if kind == "number":
        return kind, rest[0], -2 if rest[1] == -1 and generator.random() < 0.5 else rest[1]
    if kind in ("tensor", "diagonal", "matrix", "sums"):
        return kind, rest[0], rest[1] + int(generator.integers(0, 2))
    if kind == "scale":
        return kind, -2 if rest[0] == -1 else rest[0], _varied(rest[1], generator)
    return kind, *(_varied(part, generator) for part in rest)


def test_axes_and_numbers_with_equal_hashes(ranks: int) -> None:
    """Sums along the last axis and the one before it differ, and so do multiples by -1 and -2."""

    def main(world: World) -> list[bool]:
        S = DistributedSpace(Grid(world, p=world.size), (4, 3, 3), p=Split(0))
        X = Euclidean(S.shape)
        lifted = [
            Local(S, S, operator)
            for operator in (
                *(CumulativeSum(X, axis=k) for k in (-1, -2)),
                *(Diagonal(k * np.ones(S.shape)) for k in (-1, -2)),
            )
        ]
        different = [A != B for A, B in itertools.combinations(lifted, 2)]
        kept = [np.array_equal(matrix(simplify(A - B)), matrix(A - B)) for A, B in itertools.combinations(lifted, 2)]
        same = [A == Local(S, S, A.operator) == A.dual.dual for A in lifted]
        return [*different, *kept, *same, *(bool(check_claims(B.H @ A)) for A, B in itertools.combinations(lifted, 2))]

    if ranks <= 4:
        assert all(itertools.chain(*on_ranks(ranks, main)))


def test_adjoints_of_fused_operators(ranks: int) -> None:
    """The adjoint of a product of local operators is the product of the adjoints, in the other order."""

    def main(world: World) -> list[bool]:
        S = DistributedSpace(Grid(world, p=world.size), (6,), p=Split(0))
        n = S.shape[0]
        A, B, C = (Local(S, S, Matrix(np.arange(n * n).reshape(n, n) + k * np.eye(n) + world.rank)) for k in range(3))
        fused = simplify(A @ B @ C)
        again = simplify(C.dual @ B.dual @ A.dual)
        pair = A.after(B)
        assert pair is not None
        swapped = B.after(A)
        return [
            isinstance(fused, Local),
            np.array_equal(matrix(fused.dual), matrix(again)),
            fused.dual.dual == fused,
            pair.dual == B.dual.after(A.dual),
            pair.dual == Local(S, S, pair.operator.dual),
            pair == Local(S, S, A.operator @ B.operator),
            pair != swapped or n == 0,
            np.array_equal(matrix(pair.dual), matrix(pair).T),
        ]

    assert all(itertools.chain(*on_ranks(ranks, main)))


def test_numbers_that_over_or_underflow(ranks: int) -> None:
    """Multiples on all ranks are fused only where their product is a number."""

    def main(world: World) -> list[bool]:
        S = DistributedSpace(Grid(world, p=world.size), (4,), p=Split(0))
        one = Identity(Euclidean(S.shape))
        found = []
        for number in (2.0**600, 2.0**-600):
            A, x = Local(S, S, number * one), S.from_global(np.full(4, 1 / number))
            found.append(np.array_equal(simplify(A @ A)(x), A(A(x))))
            found.append(np.array_equal(simplify(A @ A.dual - 3 * (A @ A))(x), -2 * A(A(x))))
        return found

    assert all(itertools.chain(*on_ranks(ranks, main)))
