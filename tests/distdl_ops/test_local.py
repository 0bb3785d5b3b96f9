"""Rank-local operators, and expressions that mix them with movements."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import AgreementError, At, Copies, DistributedSpace, Grid, Local, Movement, Replicated, Split, World
from distdl_ops.testing import Draft, drafts_of_one_tensor, on_ranks, world_sizes
from linop import Euclidean, Identity, LinearOperator, Matrix, SpaceError, check_adjoint, matrix


def scaling(space: DistributedSpace, seed: int) -> Local:
    """Return a diagonal of integers: of this rank's own, and the same on replicas."""
    entries = space.integers(seed).ravel()
    X = Euclidean(space.shape, space.dtype)
    return Local(space, space, Matrix(np.diag(entries), X, X))


@st.composite
def chains(draw: st.DrawFn) -> tuple[int, tuple[Draft, ...], int]:
    size = draw(world_sizes())
    return size, draw(drafts_of_one_tensor(size, draw(st.integers(2, 4)))), draw(st.integers(0, 99))


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
    """Different operators on the replicas of a vector make no operator; the check finds it."""

    def main(world: World) -> str:
        V = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Replicated())
        return check_adjoint(Local(V, V, (1 + world.rank) * Identity(Euclidean(3)))).detail

    assert all("differ between ranks" in detail for detail in on_ranks(ranks, main))


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
        with pytest.raises(SpaceError, match=r"from shape \(2,\) to \(2,\)"):
            Local(S, S, Identity(Euclidean(3)))
        with pytest.raises(SpaceError, match="field"):
            Local(S, S, Identity(Euclidean(2, complex)))
        with pytest.raises(TypeError, match="linear operator"):
            Local(S, S, np.eye(2))  # type: ignore[arg-type]
        elsewhere = DistributedSpace(Grid(world, all=ranks), (2 * ranks,), all=Split(0))
        with pytest.raises(SpaceError, match="one grid"):
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
