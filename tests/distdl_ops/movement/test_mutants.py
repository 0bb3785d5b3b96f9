"""A fault planted in the adjoint of any movement makes `check_adjoint` fail, on both engines."""

from collections.abc import Callable

import numpy as np
import pytest

from distdl_ops import (
    AllSumReduce,
    At,
    Broadcast,
    Copies,
    DistributedSpace,
    Grid,
    HaloExchange,
    Movement,
    Repartition,
    Replicated,
    Split,
    SumReduce,
    World,
)
from distdl_ops.testing import mutant, on_ranks
from distdl_ops.worlds.start import in_job
from linop import Identity, VerificationError, assert_adjoint, check_adjoint

Fault = Callable[[Movement, np.ndarray], np.ndarray]


def movements(world: World, n: int) -> dict[str, Movement]:
    """Return one movement of each name, on all ranks of a world."""
    S = DistributedSpace(Grid(world, rows=world.size), (n, 2), "complex128", rows=Split(0))
    at, last = S.with_roles(rows=At(0)), S.with_roles(rows=At(world.size - 1))
    copies, replicated = S.with_roles(rows=Copies()), S.with_roles(rows=Replicated())
    return {
        "broadcast": Broadcast(at, copies),
        "sum-reduce": SumReduce(copies, at),
        "all-sum-reduce": AllSumReduce(copies, copies),
        "halo exchange": HaloExchange(S, {0: (1, 1)}),
        "periodic halo": HaloExchange(S, {0: (1, 2)}, "periodic"),
        "repartition": Repartition(S, S.with_roles(rows=Split(1))),
        "scatter": Movement(at, S),
        "all-gather": Movement(S, copies),
        "all-reduce": Movement(copies, replicated),
        "move": Movement(at, last),
        "gather": Movement(S, at),
        "reduce-scatter": Movement(copies, S),
        "pick": Movement(replicated, at),
        "slice": Movement(replicated, S),
        "copy": Movement(replicated, copies),
    }


def here(A: Movement) -> bool:
    """Say whether a fault is planted on this rank: on all replicas of a vector, else on the first rank only."""
    return A.domain.grid.world.rank == 0 or A.domain.roles["rows"] == Replicated()


def dropped(A: Movement, y: np.ndarray) -> np.ndarray:
    """Lose one entry."""
    x = A._apply_dual(y)
    if here(A):
        x[..., 1, 0] = 0
    return x


def swapped(A: Movement, y: np.ndarray) -> np.ndarray:
    """Let two neighbouring entries change places."""
    x = A._apply_dual(y)
    if here(A):
        x[..., [0, 1], 0] = x[..., [1, 0], 0]
    return x


def conjugated(A: Movement, y: np.ndarray) -> np.ndarray:
    """Conjugate where nothing should."""
    return np.asarray(A._apply_dual(y).conj())


def doubled(A: Movement, y: np.ndarray) -> np.ndarray:
    """Count everything twice."""
    return 2 * A._apply_dual(y)


NAMES = (
    "broadcast",
    "sum-reduce",
    "all-sum-reduce",
    "halo exchange",
    "periodic halo",
    "repartition",
    "scatter",
    "all-gather",
    "all-reduce",
    "move",
    "gather",
    "reduce-scatter",
    "pick",
    "slice",
    "copy",
)


FAULTS = {
    "dropped": (dropped, 8),
    "swapped": (swapped, 8),
    "conjugated": (conjugated, 8),
    "doubled": (doubled, 8),
    "dropped of many": (dropped, 400),
}
"""Faults, and how many rows there are: the check compares matrices of few, and exact pairings of many."""


@pytest.mark.parametrize("planted", ["dropped"] if in_job() else FAULTS)
@pytest.mark.parametrize("name", NAMES)
def test_mutants_are_caught(ranks: int, name: str, planted: str) -> None:
    """One entry lost, two swapped, a conjugate too many, a factor: each fails on all ranks with the same report."""
    fault, n = FAULTS[planted]

    def main(world: World) -> tuple[bool, str]:
        A = movements(world, n)[name]
        report = check_adjoint(mutant(A, fault), mode="auto" if n == 8 else "exact")
        with pytest.raises(VerificationError):
            assert_adjoint(mutant(A, fault))
        return bool(check_adjoint(A)), str(report) if not report else "not caught"

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)
    assert results[0][0]
    assert "FAILED" in results[0][1]


def identity_gradient(A: Movement, y: np.ndarray) -> np.ndarray:
    """Return the cotangent as it came: the sum over ranks is missing."""
    return y.copy()


def summed_gradient(A: Movement, y: np.ndarray) -> np.ndarray:
    """Sum cotangents that stand for one vector."""
    return AllSumReduce(A.domain, A.domain)._apply(y)


def unsummed_gradient(A: Movement, y: np.ndarray) -> np.ndarray:
    """Take the first rank's cotangent for the sum of all."""
    S = A.codomain
    return Movement(S.with_roles(rows=At(0)), A.domain)._apply(y if S.grid.world.rank == 0 else y[..., :0, :0])


def mirrored(A: Movement, y: np.ndarray) -> np.ndarray:
    """Send what belongs to the neighbour below to the one above, and the other way round."""
    below, above = 1, 2
    rows = y.shape[-2] - below - above
    halo = np.concatenate(
        [y[..., rows + below :, :][..., :below, :], y[..., below:-above, :], y[..., :above, :]], axis=-2
    )
    return A._apply_dual(halo)


def cropped(A: Movement, y: np.ndarray) -> np.ndarray:
    """Throw the halo away instead of adding it to its owners."""
    rows = A.domain.shape[0]
    return y[..., 1 : 1 + rows, :].copy()


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_known_wrong_gradients_are_caught(ranks: int) -> None:
    """All-reduce taken for all-sum-reduce, and the other way round, missing sums, halos cropped or mixed up."""

    def main(world: World) -> list[bool]:
        A = movements(world, 8)
        faults = {
            "all-sum-reduce": identity_gradient,
            "broadcast": unsummed_gradient,
            "copy": unsummed_gradient,
            "all-reduce": summed_gradient,
            "halo exchange": cropped,
            "periodic halo": mirrored,
        }
        return [name for name, fault in faults.items() if check_adjoint(mutant(A[name], fault))]

    assert on_ranks(ranks, main) == [[]] * ranks


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_data_that_goes_to_the_wrong_rank_is_caught(ranks: int) -> None:
    """A shift the wrong way round has the right norm and the wrong adjoint."""

    def main(world: World) -> bool:
        S = DistributedSpace(Grid(world, rows=ranks), (2 * ranks,), rows=Split(0))
        rotated = [(a - 2, b - 2) for a, b in S.roles["rows"].intervals]  # type: ignore[attr-defined]
        shift = Movement(S, S.with_roles(rows=Split(0, rotated, "periodic")))
        wrong = mutant(shift, lambda A, y: A._apply(y))
        return bool(check_adjoint(wrong))

    assert on_ranks(ranks, main) == [ranks == 2] * ranks  # on two ranks, both ways are the same


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_replicas_that_differ_are_caught(ranks: int) -> None:
    """An all-reduce that is right on the first rank only passes a dot test, which counts the vector once; not ours."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Copies())
        A = Movement(S, S.with_roles(rows=Replicated()))
        wrong = mutant(A.dual, lambda B, x: B._apply_dual(x) + float(world.rank > 0)).dual
        reports = [check_adjoint(wrong, mode=mode) for mode in ("matrix", "exact", "floating")]
        return [report.detail if not report else "passed" for report in reports]

    for details in on_ranks(ranks, main):
        assert all("differ between ranks" in detail for detail in details)


def test_missing_conjugate_of_a_scalar(ranks: int) -> None:
    """The adjoint of c M conjugates c."""

    def main(world: World) -> tuple[bool, bool]:
        A = movements(world, 8)["halo exchange"]
        wrong = mutant(1j * Identity(A.codomain) @ A, lambda _, y: 1j * A._apply_dual(y))
        return bool(check_adjoint(1j * A)), bool(check_adjoint(wrong))

    assert on_ranks(ranks, main) == [(True, False)] * ranks
