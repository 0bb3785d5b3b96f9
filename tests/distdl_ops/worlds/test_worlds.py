"""Both engines keep the same promises; simulated ranks never hang, and MPI jobs end with the culprit's traceback."""

import os
import subprocess
import sys
import sysconfig
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from distdl_ops import AgreementError, DeadlockError, RankFailedError, World, simulate, world
from distdl_ops.testing import on_ranks
from distdl_ops.worlds.agreement import agreed
from linop import LinopError


@pytest.mark.parametrize("library", [np, torch])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_collectives_and_exchange(ranks: int, library: object, dtype: str) -> None:
    """Each collective gives what its name says, in place, for buffers of NumPy and of torch."""

    def main(world: World) -> None:
        def buffer(value: float) -> object:
            return library.full((3,), value, dtype=getattr(library, dtype))  # type: ignore[attr-defined]

        me, p = world.rank, world.size
        x = buffer(me + 1)
        world.broadcast(x, p - 1, "test")
        assert x.tolist() == [p] * 3  # type: ignore[attr-defined]
        x = buffer(me + 1)
        y = buffer(0)
        world.allreduce(x, y, "test")
        assert y.tolist() == [p * (p + 1) / 2] * 3  # type: ignore[attr-defined]
        assert x.tolist() == [me + 1] * 3  # type: ignore[attr-defined]
        y = buffer(0)
        world.reduce(x, y if me == 0 else None, 0, "test")
        assert me != 0 or y.tolist() == [p * (p + 1) / 2] * 3  # type: ignore[attr-defined]
        received = buffer(-1)
        exchange = world.exchange([((me + 1) % p, buffer(me))], [((me - 1) % p, received)], "test")
        exchange.finish()
        assert received.tolist() == [(me - 1) % p] * 3  # type: ignore[attr-defined]
        everyone = world.allgather({"rank": me}, "test")
        everyone[0]["rank"] = 77  # an object of our own: the other ranks' stay as they are
        assert world.allgather({"rank": me}, "test") == [{"rank": rank} for rank in range(p)]
        assert everyone[1:] == [{"rank": rank} for rank in range(1, p)]

    on_ranks(ranks, main)


def test_sub_worlds(ranks: int) -> None:
    """A sub-world renumbers its ranks, is made once, and others get None."""

    def main(world: World) -> None:
        evens = [rank for rank in range(world.size) if rank % 2 == 0]
        sub = world.sub(evens)
        if world.rank % 2:
            assert sub is None
        else:
            assert sub is not None
            assert sub.allgather(world.rank, "test") == evens
            assert sub.rank == world.rank // 2
            assert world.sub(evens) is sub

    on_ranks(ranks, main)


def test_agreement(ranks: int) -> None:
    """All ranks return, or all raise the same, whichever rank failed."""

    def main(world: World) -> None:
        assert agreed(world, "test", lambda: 3) == 3

        def fail() -> int:
            raise ValueError("no")

        with pytest.raises(ValueError, match=r"^no$"):
            agreed(world, "test", fail)
        if ranks > 1:
            with pytest.raises(AgreementError, match="rank 1: ValueError: no"):
                agreed(world, "test", fail if world.rank == 1 else lambda: 3)
            with pytest.raises(AgreementError, match="rank 1: 1"):
                agreed(world, "test", lambda: int(world.rank == 1))

    on_ranks(ranks, main)


# -- simulated ranks ---------------------------------------------------------------------------------------------------


@pytest.mark.serial
def test_a_failing_rank_makes_all_raise() -> None:
    """The caller gets what the rank raised; the others are woken, and told."""
    seen = []

    def main(world: World) -> None:
        if world.rank == 1:
            raise KeyError("mine")
        try:
            world.allgather(0, "a gathering")
        except RankFailedError as error:
            seen.append(str(error))
            raise

    with pytest.raises(KeyError, match="mine") as caught:
        simulate(3, main)
    assert caught.value.__notes__ == ["raised on simulated rank 1 of 3"]
    assert seen == ["rank 1 failed: KeyError: 'mine'"] * 2


@pytest.mark.serial
def test_a_deadlock_is_seen_at_once() -> None:
    """When nobody can go on, all raise, and are told who waits for what."""

    def main(world: World) -> None:
        if world.rank < 2:
            world.broadcast(np.zeros(1), 2, "Broadcast(rows)")

    with pytest.raises(DeadlockError) as caught:
        simulate(3, main)
    assert str(caught.value) == "ranks 0, 1: waits for rank 2 in Broadcast(rows); rank 2: has ended"


@pytest.mark.serial
def test_different_operations_are_told_apart() -> None:
    """A message meant for another operation is an error that names both."""

    def main(world: World) -> None:
        world.allreduce(np.zeros(1), np.zeros(1), "Broadcast" if world.rank else "SumReduce")

    with pytest.raises(
        AgreementError,
        match=r"the ranks disagree. rank 0: in SumReduce \(operation 1\); rank 1: in Broadcast \(operation 1\)",
    ):
        simulate(2, main)


@pytest.mark.serial
def test_a_world_is_used_by_its_own_rank_only() -> None:
    """Simulated ranks share a process; taking another rank's world by mistake is an error, and does not hang."""
    worlds = {}

    def main(world: World) -> None:
        worlds[world.rank] = world
        world.allgather(0, "test")
        worlds[0].allgather(0, "test")

    with pytest.raises(RuntimeError, match="rank 0 is used in the thread 'rank 1'"):
        simulate(2, main)


@pytest.mark.serial
@pytest.mark.parametrize("size", [1, 2])
def test_a_world_is_refused_in_a_thread_of_the_users(size: int) -> None:
    """Also with one rank, and for what is only sent; the rank's own thread goes on."""

    def main(world: World) -> list[int]:
        refused: list[str] = []

        def use() -> None:
            for use_it in (
                lambda: world.exchange([], [], "test"),
                lambda: world.allgather(0, "test"),
                lambda: world.fail(ValueError("no")),
            ):
                try:
                    use_it()
                except RuntimeError as error:
                    refused.append(str(error))

        thread = threading.Thread(target=use, name="second")
        thread.start()
        thread.join()
        assert len(refused) == 3
        assert all(f"the world of rank {world.rank} is used in the thread 'second'" in words for words in refused)
        return world.allgather(world.rank, "test")

    assert simulate(size, main) == [list(range(size))] * size


@pytest.mark.serial
def test_ranks_that_wait_for_each_other() -> None:
    """In a circle, each in a group that the other has not come to: they disagree, and may go on."""

    def main(world: World) -> list[int]:
        groups = [world.sub([0, 1]), world.sub([1, 0])]
        with pytest.raises(AgreementError, match="waits for rank"):  # noqa: PT012
            for group in groups if world.rank else groups[::-1]:
                assert group is not None
                group.allgather(0, "test")
        return world.allgather(world.rank, "test")

    assert simulate(2, main) == [[0, 1]] * 2


@pytest.mark.serial
def test_runs_are_deterministic() -> None:
    """One rank runs at a time, in the same order every time."""

    def run() -> list[int]:
        order: list[int] = []

        def main(world: World) -> None:
            for _ in range(5):
                order.append(world.rank)
                world.allreduce(np.zeros(1), np.zeros(1), "test")

        simulate(4, main)
        return order

    assert run() == run()


@pytest.mark.serial
@pytest.mark.parametrize("size", [0, -1, 2.5, "four", 10**8])
def test_ranks_that_cannot_be_simulated(size: object) -> None:
    """The number of ranks is a whole number of one or more."""
    with pytest.raises(LinopError, match=r"simulate: .*(number of ranks|size)"):
        simulate(size, lambda world: world)  # type: ignore[arg-type]


@pytest.mark.serial
def test_world_is_a_single_rank_without_mpiexec() -> None:
    """The same object at every call."""
    assert (world().rank, world().size) == (0, 1)
    assert world() is world()


# -- MPI jobs, as a user starts them ---------------------------------------------------------------------------------


def mpi(script: str, ranks: int = 2, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script under mpiexec, within a time limit."""
    mpiexec = Path(sysconfig.get_path("scripts")) / "mpiexec"
    return subprocess.run(
        [str(mpiexec), "-n", str(ranks), sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.serial
def test_world_is_mpis_under_mpiexec() -> None:
    """The same program runs on MPI's ranks."""
    job = mpi("from distdl_ops import world; w = world(); print(w.allgather(w.rank, 'test')); assert world() is w", 3)
    assert job.returncode == 0, job.stderr
    assert job.stdout.count("[0, 1, 2]") == 3


@pytest.mark.serial
def test_an_exception_on_one_rank_ends_the_job() -> None:
    """The others wait for that rank; the job ends all the same, with its traceback."""
    job = mpi(
        """
        from distdl_ops import world
        w = world()
        if w.rank == 1:
            raise KeyError("mine")
        w.allgather(0, "a gathering")
        """
    )
    assert job.returncode != 0
    assert "KeyError: 'mine'" in job.stderr


@pytest.mark.serial
def test_waiting_for_a_rank_that_does_not_come_ends_in_a_timeout() -> None:
    """The error names the operator, the rank, and whom it waited for; afterwards, nothing is sent in that world."""
    job = mpi(
        """
        import time
        from mpi4py import MPI
        from distdl_ops import Broadcast, At, Copies, DistributedSpace, Grid, world
        MPI.COMM_WORLD.Barrier()  # the timeout counts from here
        w = world(timeout=3)
        S = DistributedSpace(Grid(w, rows=2), (3,), rows=At(0))
        A = Broadcast(S, S.with_roles(rows=Copies()))
        while w.rank == 0:
            time.sleep(1)  # until the launcher ends it
        try:
            A(S.zeros())
        except TimeoutError as error:
            print(error, flush=True)
        A(S.zeros())
        """
    )
    assert job.returncode != 0
    assert "rank 0: has not come; rank 1: waited 3 s for rank 0 in Broadcast(rows)" in job.stdout
    assert "this world is not usable any more" in job.stderr
