"""What goes wrong on one rank ends in an error, the same on all ranks, or in the culprit's traceback; never in a hang.

Three parts: what ranks agree on before they go on, on both engines; what simulated ranks do when one of them fails; and
MPI jobs, as a user starts them, each within a time limit.
"""

import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import sysconfig
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DeadlockError,
    DistributedSpace,
    Grid,
    HaloExchange,
    Local,
    Movement,
    RankFailedError,
    Replicated,
    Split,
    World,
    simulate,
)
from distdl_ops.testing import on_ranks
from distdl_ops.worlds.agreement import agreed
from linop import (
    ArgumentError,
    ArgumentTypeError,
    BlockDiagonal,
    Diagonal,
    FunctionOperator,
    Identity,
    LinearOperator,
    Scale,
    SpaceError,
    Weighted,
    condition_estimate,
    hutchinson,
    norm_estimate,
    solve,
    trace,
)
from linop.spaces import Euclidean

several = pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)


def split_space(world: World) -> DistributedSpace:
    """Return a tensor of two entries a rank."""
    return DistributedSpace(Grid(world, rows=world.size), (2 * world.size,), rows=Split(0))


# -- what is agreed on -------------------------------------------------------------------------------------------------


def halo(world: World) -> LinearOperator:
    return HaloExchange(split_space(world), {0: (1, 1)})


def all_reduce(world: World) -> LinearOperator:
    S = DistributedSpace(Grid(world, rows=world.size), (3,), rows=Copies())
    return Movement(S, S.with_roles(rows=Replicated()))


def identity(n: int) -> LinearOperator:
    return FunctionOperator(Euclidean(n), Euclidean(n), lambda x: x.copy(), lambda y: y.copy())


def movement(world: World, odd: bool) -> Movement:
    S = split_space(world)
    T = S.with_roles(rows=Copies()), S.with_roles(rows=At(0))
    return Movement(S, T[odd])


def apply_or_construct(world: World, odd: bool) -> object:
    A = halo(world)
    return A(np.ones(2)) if not odd else split_space(world)


def apply_one_of(world: World, odd: bool, A: LinearOperator, B: LinearOperator) -> object:
    chosen = B if odd else A
    return chosen(np.ones(chosen.domain.shape))


def all_sum_reduce(world: World) -> LinearOperator:
    S = all_reduce(world).domain
    return Movement(S, S)  # type: ignore[arg-type]


def tuples(world: World) -> LinearOperator:
    return BlockDiagonal(identity(2), halo(world))


def weighted(world: World) -> LinearOperator:
    return Identity(Weighted(split_space(world), 2.0))


def apply_once_or_twice(world: World, odd: bool) -> None:
    S = DistributedSpace(Grid(world, rows=world.size), (3,), rows=At(world.size - 1))
    B = Movement(S, S.with_roles(rows=Copies()))  # from the odd rank, which waits for nobody
    for _ in range(1 + odd):
        B(np.ones(S.shape))


def replicated(world: World) -> DistributedSpace:
    """Return a tensor of three entries that all ranks have."""
    return DistributedSpace(Grid(world, rows=world.size), (3,), rows=Replicated())


def function_operator(world: World, **claims: Any) -> LinearOperator:
    """Return the operator of two functions that copy."""
    return FunctionOperator(split_space(world), split_space(world), np.copy, np.copy, **claims)


def double(world: World) -> LinearOperator:
    """Return twice the identity."""
    return 2 * Identity(split_space(world))


def build_from_a_file(world: World, odd: bool) -> object:
    def build() -> int:
        if odd:
            raise FileNotFoundError("no such file")
        return 0

    return agreed(world, "reading", build)


DISAGREEMENTS: dict[str, Callable[[World, bool], Any]] = {
    "shape of a vector": lambda world, odd: halo(world)(np.ones(3 if odd else 2)),
    "dtype of a vector": lambda world, odd: halo(world)(np.ones(2, np.float32 if odd else np.float64)),
    "field of a vector": lambda world, odd: halo(world)(np.ones(2, complex if odd else float)),
    "batch of a vector": lambda world, odd: halo(world)(np.ones((3, 2) if odd else (4, 2))),
    "axes of a batch": lambda world, odd: halo(world)(np.ones((1, 2) if odd else 2)),
    "an error of another kind": build_from_a_file,
    "a part of a tuple": lambda world, odd: tuples(world)((np.ones(3 if odd else 2), np.ones(2))),
    "batches of a tuple": lambda world, odd: tuples(world)((np.ones((1, 2) if odd else 2), np.ones(2))),
    "length of a tuple": lambda world, odd: tuples(world)((np.ones(2),) * (1 if odd else 2)),
    "a vector of a weighted space": lambda world, odd: weighted(world)(np.ones(3 if odd else 2)),
    "no vector": lambda world, odd: halo(world)(None if odd else np.ones(2)),
    "shape of a space": lambda world, odd: DistributedSpace(Grid(world, p=2), (5 if odd else 6,), p=Split(0)),
    "dtype of a space": lambda world, odd: DistributedSpace(Grid(world, p=2), (6,), "f4" if odd else "f8", p=Split(0)),
    "roles": lambda world, odd: DistributedSpace(Grid(world, p=2), (6,), p=At(0) if odd else Split(0)),
    "roles that do not exist": lambda world, odd: DistributedSpace(Grid(world, p=2), (6,), p=At(9 if odd else 0)),
    "intervals": lambda world, odd: DistributedSpace(
        Grid(world, p=2), (6,), p=Split(0, [(0, 2), (2, 6)] if odd else [(0, 3), (3, 6)])
    ),
    "grids": lambda world, odd: Grid(world, **{"rows": 2, "cols": 1} if odd else {"rows": 1, "cols": 2}),
    "names of grid axes": lambda world, odd: Grid(world, **{"q" if odd else "p": 2}),
    "grids that do not fit": lambda world, odd: Grid(world, p=99 if odd else 2),
    "spaces of an operator": movement,
    "widths of a halo": lambda world, odd: HaloExchange(split_space(world), {0: (1, 2 if odd else 1)}),
    "what is no operator": lambda world, odd: Local(
        split_space(world),
        split_space(world),
        None if odd else identity(2),  # type: ignore[arg-type]
    ),
    "operators that do not fit": lambda world, odd: Local(
        split_space(world), split_space(world), identity(3 if odd else 2)
    ),
    "an operator and a space": lambda world, odd: Grid(world, p=2) if odd else split_space(world),
    "application and construction": apply_or_construct,
    "another domain": lambda world, odd: apply_one_of(world, odd, halo(world), all_reduce(world)),
    "another codomain": lambda world, odd: apply_one_of(world, odd, all_reduce(world), all_sum_reduce(world)),
    "how often an operator is applied": apply_once_or_twice,
    "a scalar": lambda world, odd: (3.0 if odd else 2.0) * Identity(split_space(world)),
    "a scalar that is not finite": lambda world, odd: (np.nan if odd else 2.0) * Identity(split_space(world)),
    "a scalar of Scale": lambda world, odd: Scale(3.0 if odd else 2.0, Identity(split_space(world))),
    "an exponent": lambda world, odd: double(world) ** (3 if odd else 2),
    "a weight": lambda world, odd: Weighted(split_space(world), 3.0 if odd else 2.0),
    "a weight that is not positive": lambda world, odd: Weighted(split_space(world), -1.0 if odd else 2.0),
    "a weight that is no number": lambda world, odd: Weighted(split_space(world), "x" if odd else 2.0),  # type: ignore[arg-type]
    "weights of replicas": lambda world, odd: Weighted(replicated(world), np.ones(3) * (1 + odd)),
    "a weight and weights": lambda world, odd: Weighted(split_space(world), np.ones(2) if odd else 1.0),
    "weights that are not positive": lambda world, odd: Weighted(split_space(world), np.array([1.0, 1.0 - odd])),
    "weights and an operator": lambda world, odd: (
        Weighted(replicated(world), np.ones(3)) if odd else Weighted(replicated(world), Identity(replicated(world)))
    ),
    "roundings of functions": lambda world, odd: function_operator(world, roundings=1 + odd),
    "exactness of functions": lambda world, odd: function_operator(world, exact=odd),
    "a name of functions": lambda world, odd: function_operator(world, name=f"f{odd}"),
    "batches of functions": lambda world, odd: function_operator(world, batched=odd),
    "functions": lambda world, odd: FunctionOperator(
        replicated(world), replicated(world), *2 * [np.negative if odd else np.copy]
    ),
    "a local operator of replicas": lambda world, odd: Local(
        replicated(world), replicated(world), Diagonal([1.0, 2.0, 3.0 + odd])
    ),
    "a radius": lambda world, odd: solve.ball(split_space(world), 2.0 if odd else 1.0),
    "a radius that is negative": lambda world, odd: solve.ball(split_space(world), -1.0 if odd else 1.0),
    "a weight of a proximal map": lambda world, odd: solve.ista(
        double(world), np.ones(2), solve.soft_threshold(2.0 if odd else 1.0)
    ),
    "a proximal map in another": lambda world, odd: solve.fista(
        double(world), np.ones(2), solve.conjugate(solve.shifted(solve.ridge(2.0 if odd else 1.0), np.ones(2)))
    ),
    "proximal maps": lambda world, odd: solve.admm(
        double(world), np.ones(2), solve.nonnegative() if odd else solve.free()
    ),
    "bounds of a dual problem": lambda world, odd: solve.primal_dual(
        double(world), solve.free(), solve.box(0.0, 2.0 if odd else 1.0), iterations=2
    ),
    "a seed": lambda world, odd: hutchinson(double(world), seed=int(odd)),
    "a long seed": lambda world, odd: hutchinson(double(world), seed=2**60 + odd),
    "a number of samples": lambda world, odd: hutchinson(double(world), samples=4 + odd),
    "a method": lambda world, odd: trace(double(world), method="hutchinson" if odd else "exact"),
    "iterations of an estimate": lambda world, odd: norm_estimate(double(world), iterations=4 + odd),
    "a seed of an estimate": lambda world, odd: condition_estimate(double(world), seed=int(odd)),
    "a number of singular values": lambda world, odd: solve.randomised_svd(double(world), 1 + odd),
    "samples of a trace": lambda world, odd: solve.hutchpp(double(world), samples=3 + odd),
    "a seed of a diagonal": lambda world, odd: solve.diagonal_estimate(double(world), seed=int(odd)),
    "an operator or its adjoint": lambda world, odd: apply_one_of(world, odd, halo(world), halo(world).H),
}
"""What the odd rank and the others do; each of them ends in an error that is the same on all ranks."""


@several
@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_ranks_that_disagree(ranks: int, name: str) -> None:
    """Vectors, spaces, roles, grids, operators: all ranks raise the same words, and the world goes on working."""

    def main(world: World) -> tuple[str, float]:
        with pytest.raises((AgreementError, SpaceError, ArgumentError, ArgumentTypeError)) as caught:  # noqa: PT012
            DISAGREEMENTS[name](world, world.rank == ranks - 1)
            world.allgather(0, "the next operation")  # where a rank learns of it that has not waited for the odd one
        A = all_reduce(world)
        return str(caught.value), float(A(np.ones(3)).sum())

    results = on_ranks(ranks, main)
    assert len(set(results)) == 1
    message, total = results[0]
    assert total == 3 * ranks
    assert f"rank {ranks - 1}: " in message


@several
def test_arguments_that_are_wrong_everywhere(ranks: int) -> None:
    """The same error on all ranks is that error, not a disagreement."""

    def main(world: World) -> str:
        with pytest.raises(SpaceError) as caught:
            halo(world)(np.ones(5))
        return str(caught.value)

    (message,) = set(on_ranks(ranks, main))
    assert "HaloExchange(rows)" in message
    assert "found shape (5,)" in message


def test_garbage_collection_is_nobodys_business(ranks: int) -> None:
    """Spaces and operators are dropped and collected in another order on every rank: nothing is communicated."""

    def main(world: World) -> float:
        kept: list[Any] = []
        for k in range(60):
            A = HaloExchange(split_space(world), {0: (1, k % 3)})
            cycle: list[Any] = [A, A.H]
            cycle.append(cycle)
            kept.append(cycle)
            if k % (world.rank + 2) == 0:
                kept.clear()
                gc.collect()
            del A, cycle
        return float(all_reduce(world)(np.ones(3)).sum())

    gc.freeze()  # what is there already need not be looked at again and again
    try:
        assert on_ranks(ranks, main) == [3 * ranks] * ranks
    finally:
        gc.unfreeze()


# -- simulated ranks ---------------------------------------------------------------------------------------------------


def faulty(world: World, rank: int, error: type[BaseException] = ValueError) -> LinearOperator:
    """Return a halo exchange, what fails on one rank, and an all-gather, in this order."""
    H = halo(world)
    n = H.codomain.shape[0]  # type: ignore[attr-defined]

    def fail(x: np.ndarray) -> np.ndarray:
        if world.rank == rank:
            raise error("mine")
        return x.copy()

    L = Local(H.codomain, H.codomain, FunctionOperator(Euclidean(n), Euclidean(n), fail, fail))  # type: ignore[arg-type]
    return H.H @ L @ H


def simulated(when: str, error: type[BaseException]) -> list[str]:
    """Run three ranks of which the second fails; return what the others are told."""
    told: list[str] = []

    def main(world: World) -> None:
        x = np.ones(2)
        try:
            A, B = faulty(world, 1 if when == "inside" else -1, error), all_reduce(world)
            if when == "before" and world.rank == 1:
                raise error("mine")
            A(x)
            if when == "after" and world.rank == 1:
                raise error("mine")
            B(np.ones(3))
        except RankFailedError as failed:
            told.append(str(failed))
            raise

    with pytest.raises(error) as caught:
        simulate(3, main)
    assert caught.value.__notes__ == ["raised on simulated rank 1 of 3"]
    return told


@pytest.mark.serial
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError, SystemExit])
@pytest.mark.parametrize("when", ["before", "inside", "after"])
def test_simulated_rank_that_fails(when: str, error: type[BaseException]) -> None:
    """Before, inside or after a collective, by an error or by sys.exit: the caller gets it, the others are told."""
    assert simulated(when, error) == [f"rank 1 failed: {error.__name__}: mine"] * 2


@pytest.mark.serial
def test_simulated_rank_that_returns_early() -> None:
    """The others are told at once that it has ended, and who waits for it."""

    def main(world: World) -> None:
        A = halo(world)
        if world.rank != 1:
            A(np.ones(2))

    with pytest.raises(DeadlockError, match=r"^ranks 0, 2: waits for rank 1 in HaloExchange.*; rank 1: has ended"):
        simulate(3, main)


@pytest.mark.serial
def test_simulated_rank_that_catches_an_error_and_goes_on() -> None:
    """It is in another operation than the others: they are told apart, or nobody can go on."""

    def main(world: World) -> None:
        A = faulty(world, 1)
        with contextlib.suppress(ValueError):
            A(np.ones(2))
        A(np.ones(2))

    with pytest.raises((DeadlockError, AgreementError)) as caught:
        simulate(3, main)
    assert "rank 1" in str(caught.value)
    assert "HaloExchange(rows).H" in str(caught.value)


@pytest.mark.serial
@pytest.mark.parametrize("pair", ["collectives", "exchanges"])
def test_simulated_ranks_with_another_order_of_operators(pair: str) -> None:
    """Two operators from one space, in another order on one rank, are told apart."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=world.size), (4,), rows=Copies() if pair == "collectives" else Split(0))
        A, B = Movement(S, S.with_roles(rows=Replicated())), Movement(S, S.with_roles(rows=At(0)))
        for C in (A, B) if world.rank else (B, A):
            C(np.ones(S.shape))

    with pytest.raises((AgreementError, SpaceError), match="rank 0"):
        simulate(2, main)


# -- MPI jobs ----------------------------------------------------------------------------------------------------------

LIMIT = 180
"""Seconds after which a job is taken to hang."""

PRELUDE = """
import gc, os, pathlib, signal, sys, time
import numpy as np
from mpi4py import MPI
from distdl_ops import *
from linop import Euclidean, FunctionOperator

def operators(w):
    S = DistributedSpace(Grid(w, rows=w.size), (2 * w.size,), rows=Split(0))
    copies = S.with_roles(rows=Copies())
    return HaloExchange(S, {0: (1, 1)}), Movement(S, copies), AllReduce(copies, S.with_roles(rows=Replicated()))

def failing(H, rank, error):
    def fail(x):
        if H.domain.grid.world.rank == rank:
            raise error
        return x.copy()
    n = Euclidean(H.codomain.shape)
    return H.H @ Local(H.codomain, H.codomain, FunctionOperator(n, n, fail, fail)) @ H

def tell(*words):
    sys.stdout.write(f"rank {w.rank}: {' '.join(map(str, words))}\\n")  # in one piece
    sys.stdout.flush()

def attempt(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        tell(type(error).__name__, error)
    else:
        tell("nothing")

def note():
    pathlib.Path(os.environ["NOTES"], str(w.rank)).touch()

def wait_for_notes(*ranks):
    while not all(pathlib.Path(os.environ["NOTES"], str(rank)).exists() for rank in ranks):
        time.sleep(0.01)

MPI.COMM_WORLD.Barrier()  # a rank that is slow to begin has as long as it needs; timeouts count from here
w = world()
H, G, R = operators(w)
x = np.ones(H.domain.shape)
"""


def mpi(script: str, ranks: int = 3, timeout: float = 600, first: str = "") -> tuple[int, str, str]:
    """Run a script under mpiexec; return its exit code and what it wrote. The job must end by itself."""
    mpiexec = Path(sysconfig.get_path("scripts")) / "mpiexec"
    with tempfile.TemporaryDirectory() as notes:
        job = subprocess.Popen(
            [str(mpiexec), "-n", str(ranks), sys.executable, "-c", first + PRELUDE + textwrap.dedent(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "DISTDL_OPS_TIMEOUT": str(timeout), "NOTES": notes},
            start_new_session=True,
        )
        try:
            out, err = job.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(job.pid, signal.SIGTERM)  # mpiexec ends its ranks
            with contextlib.suppress(subprocess.TimeoutExpired):
                job.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            out, err = job.communicate()
            pytest.fail(f"the job did not end within {LIMIT} s; it wrote\n{out}\n{err}")
    return job.returncode, out, err


def told(out: str) -> dict[int, list[str]]:
    """Return what each rank has told, line by line."""
    lines: dict[int, list[str]] = {}
    for line in out.splitlines():
        if line.startswith("rank "):
            who, _, what = line.removeprefix("rank ").partition(": ")
            lines.setdefault(int(who), []).append(what)
    return lines


def same(out: str, ranks: int) -> list[str]:
    """Return what every rank has told, when all have told the same."""
    lines = told(out)
    assert sorted(lines) == list(range(ranks)), out
    assert all(lines[rank] == lines[0] for rank in lines), out
    return lines[0]


@pytest.mark.serial
@pytest.mark.parametrize("when", ["before", "inside", "after"])
def test_mpi_rank_that_raises(when: str) -> None:
    """The job ends at once, with its traceback, whether the others wait for it now or later."""
    code, _, err = mpi(
        f"""
        when = {when!r}
        if when == "before" and w.rank == 1:
            raise ValueError("mine")
        if when == "inside":
            failing(H, 1, ValueError("mine"))(x)
        R(np.ones(2 * w.size))
        if when == "after" and w.rank == 1:
            raise ValueError("mine")
        w.allgather(0, "the end")
        """
    )
    assert code != 0
    assert "ValueError: mine" in err


@pytest.mark.serial
@pytest.mark.parametrize("ending", ["sys.exit(3)", "raise SystemExit", "pass"])
def test_mpi_rank_that_ends_early(ending: str) -> None:
    """By sys.exit or at its program's end: the others, which wait for it, are told at once, all in the same words."""
    code, out, err = mpi(
        f"""
        if w.rank == 1:
            {ending}
        else:
            try:
                H(x)
            except DeadlockError as error:
                tell(error)
                raise
        """
    )
    assert code != 0
    lines = told(out)
    assert sorted(lines) == [0, 2], out + err
    assert lines[0] == lines[2]
    assert "waits for rank 1, which ended, in HaloExchange(rows)" in lines[0][0]
    assert "rank 1: has ended" in lines[0][0]
    assert "DeadlockError" in err


@pytest.mark.serial
def test_mpi_rank_that_is_not_needed_may_end() -> None:
    """A rank that has done its part of the last operation leaves while another one is late; nobody is alarmed."""
    code, out, err = mpi(
        """
        if w.rank == 2:
            time.sleep(1)  # the others look around meanwhile
        total = np.zeros(1)
        w.reduce(np.ones(1), total if w.rank == 0 else None, 0, "the last operation")
        if w.rank == 0:
            tell(total.item())
        """
    )
    assert (code, told(out)) == (0, {0: ["3.0"]}), err


@pytest.mark.serial
def test_mpi_ranks_in_different_operations() -> None:
    """They never take one's numbers for the other's: all raise the same, at once, though the timeout is far."""
    code, out, err = mpi(
        """
        late = w.rank == w.size - 1
        one, two = np.ones(1), np.zeros(1)
        copies = R.domain.zeros() + 1
        attempt(lambda: w.allreduce(one, two, "a sum") if late else w.allgather(1, "a gathering"))
        attempt(lambda: w.allgather(1, "one gathering") if late else w.allgather(1, "another"))
        attempt(lambda: w.allreduce(one, two, "one sum" if late else "another"))
        attempt(lambda: w.broadcast(np.ones(200), 0, "one broadcast" if late else "another"))
        attempt(lambda: (G if late else H)(x) is w.allgather(0, "afterwards"))  # one domain, two operators
        attempt(lambda: DistributedSpace(Grid(w, p=2), (3,), p=Split(0)) if late else H(x) is w.allgather(0, "then"))
        tell(R(copies).sum())
        attempt(lambda: w.broadcast(np.ones(200), 0, "a broadcast") if late else R(copies))
        attempt(lambda: ((H.H @ H)(x), (H.H @ H @ H.H @ H)(x)))
        """
    )
    assert code == 0, err
    lines = same(out, 3)
    pairs = [
        ("a gathering", "a sum"),
        ("another", "one gathering"),
        ("another", "one sum"),
        ("another", "one broadcast"),
    ]
    for line, (first, second) in zip(lines, pairs, strict=False):
        told = re.sub(r" \(operation \d+\)(, with \d+ bytes)?", "", line)
        assert told == f"AgreementError the ranks disagree. ranks 0, 1: in {first}; rank 2: in {second}"
    for line, first, second in (
        (lines[4], "HaloExchange(rows)", "AllGather(rows)"),
        (lines[5], "HaloExchange(rows)", "Grid"),
        (lines[7], "AllReduce(rows)", "a broadcast"),
    ):
        assert line.startswith("AgreementError the ranks disagree. rank")
        assert f": in {first}" in line
        assert f"rank 2: in {second}" in line
    assert lines[6] == "18.0"
    assert lines[8] == "nothing"


@pytest.mark.serial
def test_mpi_rank_that_catches_an_error_and_goes_on() -> None:
    """It is in another operation than the others then: all raise the same, which says who is where, and may go on."""
    code, out, err = mpi(
        """
        class Mine(Exception):
            pass

        A = failing(H, 1, Mine("mine"))
        try:
            A(x)
        except Mine:
            attempt(A, x)
        except Exception as error:
            tell(type(error).__name__, error)
        attempt(H, x)
        """
    )
    assert code == 0, err
    first, second = same(out, 3)
    assert first.startswith("AgreementError the ranks disagree. ranks 0, 2: in HaloExchange(rows).H : ")
    assert "; rank 1: in HaloExchange(rows) : " in first
    assert second == "nothing"


@pytest.mark.serial
def test_mpi_rank_that_waits_for_ever() -> None:
    """In the user's own code: after the timeout, the error names the operator and the ranks, and ends the job."""
    code, _, err = mpi(
        """
        while w.rank == 1:
            time.sleep(1)
        G(x)
        """,
        timeout=4,
    )
    assert code != 0
    assert "TimeoutError: " in err
    assert "waited 4 s for rank 1 in AllGather(rows)" in err
    assert "rank 1: has not come" in err


@pytest.mark.serial
def test_mpi_world_that_some_ranks_have_left() -> None:
    """What was said when they did not come is said again, at once: nothing more is sent."""
    code, out, err = mpi(
        """
        if w.rank == 1:
            wait_for_notes(0, 2)
        attempt(H, x)
        attempt(R, R.domain.zeros())
        if w.rank != 1:
            note()
        """,
        timeout=4,
    )
    assert code == 0, err
    lines = told(out)
    assert lines[0] == lines[2]
    assert "waited 4 s for rank 1 in HaloExchange" in lines[0][0]
    assert lines[1] == ["nothing", lines[0][0]]  # what it has been sent; then, where it waits, the story of the others
    assert lines[0][0].endswith("rank 1: has not come") or "rank 1: has not come; " in lines[0][0]
    assert lines[0][1].startswith("TimeoutError this world is not usable any more: ")


@pytest.mark.serial
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_mpi_rank_that_is_killed(number: int) -> None:
    """The launcher ends the job."""
    code, out, _ = mpi(
        f"""
        H(x)
        if w.rank == 1:
            os.kill(os.getpid(), {int(number)})
        H(x)
        tell("still here")
        """
    )
    assert code != 0
    assert told(out) == {}


@pytest.mark.serial
def test_messages_of_the_user_are_not_taken_for_ours() -> None:
    """Receives from any source with any tag, and messages that nobody has received yet, on the same communicator."""
    code, out, err = mpi(
        """
        from mpi4py import MPI
        everyone = MPI.COMM_WORLD
        room = [np.zeros(1) for _ in range(w.size)]
        requests = [everyone.Irecv(r, MPI.ANY_SOURCE, MPI.ANY_TAG) for r in room]
        collective = everyone.Ibarrier()
        for tag in (0, 1, 77):
            R(np.ones(2 * w.size)), H.H(H(x)), G(x), w.allgather(tag, "test")
        for rank in range(w.size):
            everyone.Send(np.array([w.rank + 1.0]), rank, 5)
        tell(R(np.ones(2 * w.size)).sum(), G.H(G(x)).sum())
        MPI.Request.Waitall([*requests, collective])
        tell(sorted(r.item() for r in room))
        """
    )
    assert code == 0, err
    assert same(out, 3) == ["18.0 6.0", "[1.0, 2.0, 3.0]"]


@pytest.mark.serial
def test_ten_thousand_operators() -> None:
    """Spaces, operators and grids come and go, collected at other times on every rank: none stays, no world is made."""
    code, out, err = mpi(
        """
        gc.disable()
        kept = [isinstance(found, (Grid, DistributedSpace, Movement)) for found in gc.get_objects()]
        for k in range(5000):
            grid = Grid(w, **{f"axis{k}": 2})
            S = DistributedSpace(grid, (k % 5 + 1,), **{f"axis{k}": Copies()})
            cycle = [S, Movement(S, S)]
            cycle.append(cycle)
            if k % (500 + 7 * w.rank) == 0:
                gc.collect()
        tell(cycle[1](np.ones(5)).sum())
        del grid, S, cycle
        gc.collect()
        ours = (Grid, DistributedSpace, Movement)
        tell(sum(isinstance(found, ours) for found in gc.get_objects()) - sum(kept), len(w._worlds))
        """,
        ranks=2,
    )
    assert code == 0, err
    assert same(out, 2) == ["10.0", "0 1"]


@pytest.mark.serial
def test_mpi_rank_that_is_late_is_waited_for_until_the_timeout() -> None:
    """All make the same error, one of them much later: all raise the same, and may go on."""
    code, out, err = mpi(
        """
        from distdl_ops.worlds import failure_detector
        failure_detector.GRACE = 0.0
        time.sleep(2 * (w.rank == 1))
        attempt(H, np.ones(7))
        tell(H(x).sum())
        """
    )
    assert code == 0, err
    first, second = {rank: lines[0] for rank, lines in told(out).items()}, told(out)
    assert len(set(first.values())) == 1, out
    assert first[0].startswith("SpaceError HaloExchange(rows)")
    assert [second[rank][1] for rank in range(3)] == ["3.0", "4.0", "3.0"]


@pytest.mark.serial
@pytest.mark.parametrize(("sent", "expected"), [(2, 4), (4, 2), (0, 1), (1, 0), (2000, 2001), (200_000, 100_000)])
def test_mpi_messages_of_another_size(sent: int, expected: int) -> None:
    """A message that is shorter or longer than its buffer is received by nobody: all ranks raise the same."""
    code, out, err = mpi(
        f"""
        others = [rank for rank in range(w.size) if rank != w.rank]
        buffers = [np.full({expected}, -1.0) for _ in others]
        sends = [(rank, np.ones({sent})) for rank in others]
        attempt(lambda: w.exchange(sends, list(zip(others, buffers)), "swap").finish())
        tell(all((buffer == -1).all() for buffer in buffers), R(np.ones(2 * w.size)).sum())
        """
    )
    assert code == 0, err
    first, second = same(out, 3)
    assert first.startswith("AgreementError the ranks disagree. ")
    assert f" {8 * sent} bytes and expects {8 * expected} of it" in first
    assert second == "True 18.0"


@pytest.mark.serial
def test_mpi_message_that_is_not_sent() -> None:
    """A rank that has nothing for another one, which expects something: all ranks raise the same."""
    code, out, err = mpi(
        """
        receives = [(1, np.zeros(2))] if w.rank == 0 else []
        attempt(lambda: (w.exchange([], receives, "nothing").finish(), w.allgather(0, "then")))
        tell(R(np.ones(2 * w.size)).sum())
        """
    )
    assert code == 0, err
    first, second = same(out, 3)
    assert first.startswith("AgreementError the ranks disagree. rank 0: in nothing (operation ")
    assert second == "18.0"


@pytest.mark.serial
@pytest.mark.parametrize("worlds", ["two worlds", "two groups of a world", "three groups in a circle"])
def test_mpi_ranks_that_wait_for_each_other_in_a_circle(worlds: str) -> None:
    """Each waits for another one in an operation that this one has not begun: all raise the same, and may go on."""
    code, out, err = mpi(
        f"""
        if {worlds!r} == "two worlds":
            ways = [R, operators(world(timeout=599))[2]]
            order = ways[::-1] if w.rank else ways
        elif {worlds!r} == "two groups of a world":
            ways = [w.sub([0, 2, 1]), w.sub([2, 1, 0])]
            order = ways[::-1] if w.rank else ways
        else:
            pairs = [(0, 1), (1, 2), (0, 2)]
            ways = [w.sub(pair) for pair in pairs]
            order = [ways[(w.rank + k) % 3] for k in range(3) if w.rank in pairs[(w.rank + k) % 3]]
        for way in order:
            if isinstance(way, World):
                attempt(lambda: way.allgather(0, "a gathering"))
            else:
                attempt(way, way.domain.zeros())
            break
        tell(R(np.ones(2 * w.size)).sum())
        """
    )
    assert code == 0, err
    first, second = same(out, 3)
    assert first.startswith("AgreementError the ranks disagree. rank")
    assert second == "18.0"


@pytest.mark.serial
def test_mpi_worlds_with_other_timeouts() -> None:
    """Ranks that start a world with other settings raise the same."""
    code, out, err = mpi("attempt(lambda: world(timeout=100 + w.rank // 2))")
    assert code == 0, err
    assert same(out, 3) == ["AgreementError world: the ranks disagree. ranks 0, 1: timeout=100; rank 2: timeout=101"]


@pytest.mark.serial
def test_mpi_world_in_another_thread() -> None:
    """It is refused there, at once and before anything is sent; the rank's own thread goes on."""
    code, out, err = mpi(
        """
        import threading
        def work():
            attempt(H, x)
            attempt(R, R.domain.zeros())
            attempt(w.allgather, 0, "test")
            attempt(H, np.ones(7))
        thread = threading.Thread(target=work, name="second")
        thread.start()
        thread.join()
        tell(R(np.ones(2 * w.size)).sum())
        """
    )
    assert code == 0, err
    for rank in range(3):
        *lines, last = told(out)[rank]
        assert len(lines) == 4
        for line in lines:
            assert line.startswith(f"RuntimeError the world of rank {rank} is used in the thread 'second'; it belongs ")
        assert last == "18.0"


@pytest.mark.serial
def test_mpi_waits_where_the_system_cannot_give_way() -> None:
    """Not every system has `os.sched_yield`."""
    code, out, err = mpi(
        "time.sleep(w.rank)\ntell(R(np.ones(2 * w.size)).sum())", first="import os\ndel os.sched_yield\n"
    )
    assert code == 0, err
    assert same(out, 3) == ["18.0"]


@pytest.mark.serial
def test_mpi_errors_leave_nothing_behind() -> None:
    """Messages, collectives, sizes that do not fit, over and over: no request, buffer, notice, communicator stays."""
    code, out, err = mpi(
        """
        from distdl_ops.worlds import failure_detector
        failure_detector.ASK = 0.01
        late, large = w.rank == 2, np.ones(200)
        sub = w.sub([0, 1, 2][::-1])
        def disagree(k):
            if k == 0:
                (G if late else H)(x)
            elif k == 1:
                w.allreduce(large, large.copy(), "sum") if late else w.allgather(0, "gathering")
            elif k == 2:
                w.allreduce(np.ones(1), np.ones(1), "few") if late else H(x)
            elif k == 3:
                sub.broadcast(large, 0, "broadcast") if late else R(np.ones(6))
            elif k == 4:
                w.exchange([], [], "nothing").finish() if late else w.broadcast(np.ones(3), 1, "broadcast")
            elif k == 5:
                w.exchange([((w.rank + 1) % 3, large)], [((w.rank - 1) % 3, large[:7].copy())], "swap").finish()
            else:
                w.exchange([(0, np.ones(100_000))] if w.rank else [], [], "nobody receives it").finish()
        sub.allgather(0, "test")
        caught = 0
        for k in range(56):
            try:
                disagree(k % 7)
                w.allgather(0, "then")
            except AgreementError:
                caught += 1
            total = np.zeros(200)
            w.allreduce(large, total, "right")
            assert (total == 3).all() and H(x).sum() == 3 + (w.rank == 1) and w.allgather(w.rank, "test") == [0, 1, 2]
        detector, channel = w._detector, w._detector.channel
        tell(caught, len(detector._kept), len(detector.open), len(detector._notices) < 2, len(channel.collectives))
        tell(sum(not request.Test() for request in channel._sent))
        """
    )
    assert code == 0, err
    assert same(out, 3) == ["56 0 0 True 2", "0"]


@pytest.mark.serial
def test_mpi_only_those_who_are_late_are_asked() -> None:
    """A rank that waits for two others asks the one that has not come, once."""
    code, out, err = mpi(
        """
        from distdl_ops.worlds import failure_detector
        asked, say = [], failure_detector.FailureDetector._say
        def noted(self, notice, ranks):
            asked.extend(rank for rank in ranks if notice[0] == "ask")
            say(self, notice, ranks)
        failure_detector.FailureDetector._say = noted
        time.sleep(2 * (w.rank == 2))
        R(np.ones(2 * w.size))
        if w.rank < 2:
            tell(asked)
        """
    )
    assert code == 0, err
    assert told(out) == {0: ["[2]"], 1: ["[2]"]}
