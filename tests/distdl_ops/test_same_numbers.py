"""Numbers that must be the same on every rank are compared when they are given."""

from typing import Any

import numpy as np
import pytest

from distdl_ops import (
    AgreementError,
    Copies,
    DistributedDiagonal,
    DistributedSpace,
    Grid,
    Movement,
    Replicated,
    Split,
    World,
)
from distdl_ops.testing import on_ranks
from linop import (
    Circulant,
    Diagonal,
    Functional,
    Matrix,
    Outer,
    SpaceError,
    SparseMatrix,
    Weighted,
    check_adjoint,
    norm_estimate,
)
from linop.solve import cg, fista, lanczos, lsqr, minres, power_iteration, soft_threshold

OPTIONS: dict[str, Any] = {
    "c * A": lambda A, _, k: (1 + k) * A,
    "A * c": lambda A, _, k: A * (1 + k),
    "A / c": lambda A, _, k: A / (1 + k),
    "weight": lambda A, _, k: Weighted(A.domain, 1.0 + k),
    "tolerance": lambda A, b, k: cg(A, b, tolerance=1e-8 * (1 + k)),
    "iterations": lambda A, b, k: lsqr(A, b, iterations=5 + k),
    "absolute": lambda A, b, k: minres(A, b, absolute=0.1 * k),
    "shift": lambda A, b, k: minres(A, b, shift=0.1 * k),
    "damp": lambda A, b, k: lsqr(A, b, damp=0.1 * k),
    "x0": lambda A, b, k: cg(A, b, x0=b if k else None),
    "preconditioner": lambda A, b, k: cg(A, b, preconditioner=Movement(A.domain, A.domain) if k else None),
    "lipschitz": lambda A, b, k: fista(A, b, soft_threshold(1.0), lipschitz=20.0 + k),
    "count": lambda A, _, k: lanczos(A, 1 + k),
    "seed": lambda A, _, k: power_iteration(A, seed=k),
    "norm": lambda A, _, k: norm_estimate(A.H @ A, iterations=5 + k) if k < 9 else None,
    "trials": lambda A, _, k: check_adjoint(A, trials=1 + k),
}


@pytest.mark.parametrize("option", OPTIONS)
def test_numbers_that_differ(ranks: int, option: str) -> None:
    """All ranks raise; where the numbers are the same, none does."""
    if ranks == 1:
        pytest.skip("one rank agrees with itself")

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, p=world.size), (6,), p=Split(0))
        A, b = DistributedDiagonal(np.arange(1.0, 7.0), S), S.from_global(np.ones(6))
        A = Movement(S, S) @ A if option == "norm" else A
        found = []
        for k in (0, int(world.rank == 1), 0):
            try:
                OPTIONS[option](A, b, k)
                found.append("done")
            except AgreementError:
                found.append("AgreementError")
        return found

    expected = ["done", "AgreementError", "done"]
    assert on_ranks(ranks, main) == [expected] * ranks


def test_a_number_times_a_sum(ranks: int) -> None:
    """A replicated vector is the same everywhere; a number by rank would spoil it."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=world.size), (2,), p=Copies())
        A = Movement(S, S.with_roles(p=Replicated()))
        return (np.float64(2) * A)(np.ones(2)).tolist()

    assert on_ranks(ranks, main) == [[2.0 * ranks] * 2] * ranks


LOCAL: dict[str, Any] = {
    "Diagonal": lambda S: Diagonal(np.ones(S.shape), S),
    "Matrix": lambda S: Matrix(np.eye(6), S, S),
    "Matrix to one process": lambda S: Matrix(np.ones((3, 6)), S),
    "SparseMatrix": lambda S: SparseMatrix(pytest.importorskip("scipy.sparse").eye_array(6), S, S),
    "Functional": lambda S: Functional(np.ones(S.shape), S),
    "Outer": lambda S: Outer(np.ones(S.shape), np.ones(S.shape), S, S),
    "Circulant": lambda S: Circulant(np.ones(S.shape), S),
}


@pytest.mark.parametrize("kind", LOCAL)
def test_local_numbers_on_a_distributed_space(ranks: int, kind: str) -> None:
    """Operators with arrays of their own are refused on all ranks, in words that say what to write."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, p=world.size), (6,), p=Split(0))
        with pytest.raises(SpaceError) as caught:
            LOCAL[kind](S)
        return str(caught.value)

    found = on_ranks(ranks, main)
    assert len(set(found)) == 1
    assert "DistributedDiagonal" in found[0]
    assert "Local" in found[0]
