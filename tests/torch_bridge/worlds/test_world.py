"""Operators on a process group: every movement between roles, sub-worlds, gradients; and what happens when ranks fail.

Each test starts processes that meet at a file, without a launcher that would end them. ``make test-gloo`` runs the
properties of all operators on such ranks.
"""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DistributedSpace,
    Finish,
    Grid,
    HaloExchange,
    Movement,
    Replicated,
    Split,
    Start,
    World,
    world,
)
from distdl_ops.worlds import failure_detector
from linop import assert_adjoint
from torch_bridge import as_function, spmd_gradcheck, tied
from torch_bridge.worlds import TorchWorld

pytestmark = pytest.mark.serial

FOLDER = ""
"""Of a job: where the processes meet, and where it is noted which of them have ended."""

LIMIT = 300
"""Seconds after which a job is taken to hang."""


def tell(world: World, *words: object) -> None:
    sys.stdout.write(f"rank {world.rank}: {' '.join(map(str, words))}\n")  # in one piece
    sys.stdout.flush()


def attempt(world: World, function: Callable[[], object]) -> None:
    try:
        function()
    except Exception as error:
        tell(world, type(error).__name__, error)
    else:
        tell(world, "nothing")


def halo(world: World) -> HaloExchange:
    return HaloExchange(DistributedSpace(Grid(world, p=world.size), (7,), p=Split(0)), {0: (1, 1)})


# -- programs of the ranks -----------------------------------------------------------------------------------------


def operators(world: World) -> None:
    grid = Grid(world, p=world.size)
    for dtype, like in (("float64", torch.float32), ("complex64", torch.complex64)):
        roles = (At(0), At(world.size - 1), Split(0), Copies(), Replicated())
        spaces = [DistributedSpace(grid, (5,), dtype, p=role) for role in roles]
        for S, T in itertools.product(spaces, repeat=2):
            assert_adjoint(Movement(S, T))
            assert_adjoint(Movement(S, T), like=torch.ones(1, dtype=like))


def gradients(world: World) -> None:
    H = halo(world)
    x = torch.from_numpy(H.domain.integers(0)).requires_grad_(world.rank == 0)
    with tied(world) as tie:
        y = as_function(H)(x)
        tie(y.sum() if world.rank else torch.zeros((), dtype=torch.float64)).backward()
    expected = H.H(torch.full(y.shape, float(world.rank > 0), dtype=torch.float64))
    assert world.rank > 0 or torch.equal(x.grad, expected)
    assert spmd_gradcheck(lambda x: torch.sin(as_function(H)(x)), [x.detach().requires_grad_()], world)


def sums(world: World) -> None:
    for extent in (0, 1, world.size + 1, 5000):
        x = np.random.default_rng((extent, world.rank)).standard_normal(extent)
        y, z = np.full_like(x, np.nan), np.full_like(x, np.nan)
        world.allreduce(x, y, "test")
        world.reduce(x, z if world.rank == 0 else None, 0, "test")
        world.broadcast(z, 0, "test")
        expected = sum(np.random.default_rng((extent, rank)).standard_normal(extent) for rank in range(world.size))
        assert np.array_equal(y, expected)  # added in the order of ranks, large or small
        assert np.array_equal(z, expected)


def sub_worlds(world: World) -> None:
    size = world.size
    backwards = world.sub(range(size)[::-1])
    assert backwards is not None
    assert backwards.rank == size - 1 - world.rank
    assert backwards.allgather(world.rank, "test") == list(range(size))[::-1]
    buffer = torch.full((2,), float(world.rank))
    backwards.broadcast(buffer, 0, "test")
    assert buffer.tolist() == [size - 1.0] * 2
    assert world.sub(range(size)[::-1]) is backwards
    mine = dist.new_group([0])  # everybody makes it: torch's rule
    if world.rank == 0:
        alone = TorchWorld(mine)
        alone.broadcast(np.ones(3), 0, "test")
        assert alone.allgather("me", "test") == ["me"]


def different_operations(world: World) -> None:
    late = world.rank == world.size - 1
    one, two = np.ones(1), np.zeros(1)
    H = halo(world)
    for _ in range(2):  # the world goes on working
        attempt(world, lambda: world.allreduce(one, two, "one sum" if late else "another"))
        attempt(world, lambda: world.allgather(1, "a gathering") if late else world.allreduce(one, two, "a sum"))
        attempt(world, lambda: (H.H(H.codomain.zeros()) if late else H(H.domain.zeros())) is world.allgather(0, "then"))
        attempt(world, lambda: H(np.ones(9) if late else H.domain.zeros()) is world.allgather(0, "then"))
    assert world.allgather(world.rank, "test") == list(range(world.size))


def end_early(world: World) -> None:
    if world.rank == 1:
        sys.exit()
    attempt(world, lambda: halo(world))


def be_killed(world: World) -> None:
    world.allgather(0, "test")
    if world.rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if world.rank == 2:
        wait_until_ended(1)  # it begins when the connections are closed already
    attempt(world, lambda: world.allgather(0, "a gathering"))


def wait_for_ever(world: World) -> None:
    H = halo(world)
    if world.rank == 1:
        wait_until_ended(0, 2)
        os._exit(0)
    attempt(world, lambda: H(H.domain.zeros()))
    attempt(world, lambda: H(H.domain.zeros()))


def use_the_group(world: World) -> None:
    H = halo(world)
    x = torch.ones(3)
    gathered = dist.all_reduce(x, async_op=True)
    sent = [dist.isend(torch.ones(2), other, tag=5) for other in range(world.size) if other != world.rank]
    assert_adjoint(H)
    gathered.wait()
    assert x.tolist() == [world.size] * 3
    for other in range(world.size):
        if other != world.rank:
            dist.recv(x[:2], other, tag=5)
            assert x[:2].tolist() == [1, 1]
    for work in sent:
        work.wait()
    dist.destroy_process_group()
    assert_adjoint(H)


def tensors(world: World) -> None:
    grid = Grid(world, p=world.size)
    roles = (At(0), At(world.size - 1), Split(0), Copies(), Replicated())
    for dtype in (torch.float32, torch.complex64):
        spaces = [DistributedSpace(grid, (5,), str(dtype).removeprefix("torch."), p=role) for role in roles]
        for S, T in itertools.product(spaces, repeat=2):
            assert_adjoint(Movement(S, T), like=torch.ones(1, dtype=dtype))
            assert torch.from_numpy(Movement(S, T)(S.integers(0))).equal(
                Movement(S, T)(torch.from_numpy(S.integers(0)))
            )
    H = halo(world)
    vectors = [torch.full(H.domain.shape, float(k)) for k in range(4)]
    flights = [Start(H.domain, H.codomain)(vectors[k]) for k in range(3)]
    one, two = torch.ones(1), torch.zeros(1)
    Start(H.domain, H.codomain)(vectors[3])  # nobody finishes it
    world.allreduce(one, two, "test")
    order = range(3) if world.rank else range(2, -1, -1)  # not the same everywhere
    found = {k: Finish(H.domain, H.codomain)(flights[k]) for k in order}
    for k in range(3):
        assert torch.equal(found[k], H(vectors[k]))
    late = world.rank == world.size - 1
    attempt(world, lambda: world.allreduce(one, two, "one sum" if late else "another"))
    attempt(world, lambda: H(torch.ones(9) if late else vectors[0]) is world.allgather(0, "then"))
    assert torch.equal(H(vectors[1]), found[1])
    half = torch.full((5000,), 1.0 + world.rank / 8, dtype=torch.bfloat16)
    world.allreduce(half, half, "test")
    assert half.unique().tolist() == [float(torch.tensor(sum(1 + k / 8 for k in range(world.size))).bfloat16())]
    world.sub(range(world.size)[::-1]).broadcast(half, 0, "test")


def disagree_many_times(world: World) -> None:
    def handles() -> tuple[int, int]:
        return len(list(Path("/proc/self/fd").iterdir())), len(list(Path("/proc/self/task").iterdir()))

    failure_detector.ASK = 0.01
    large, total = np.ones(3000), np.zeros(3000)
    late, before = world.rank == 1, handles()
    H = halo(world)

    def swap(size: int) -> None:
        others = [rank for rank in range(world.size) if rank != world.rank]
        buffers = [(rank, np.full(size, -1.0)) for rank in others]
        world.exchange([(rank, large[:5]) for rank in others], buffers, "swap").finish()

    for k in range(24):
        try:
            if k % 3 == 0:
                world.allreduce(large, total, "one sum" if late else "another")
            elif k % 3 == 1:
                H(H.domain.zeros()) if late else world.allgather(0, "a gathering")
            else:
                swap(7)
            world.allgather(0, "then")
        except AgreementError:
            assert world.allgather(world.rank, "test") == list(range(world.size))
        else:
            tell(world, "no error")
    after = handles()
    if max(b - a for a, b in zip(before, after, strict=True)) > 2:
        tell(world, before, after)


def wait_in_a_circle(world: World) -> None:
    second = TorchWorld(timeout=59)
    for one in (second, world) if world.rank else (world, second):
        attempt(world, lambda one=one: one.allgather(0, "a gathering"))
        break
    thread = threading.Thread(target=lambda: attempt(world, lambda: world.allgather(0, "test")), name="second")
    thread.start()
    thread.join()
    tell(world, world.allgather(0, "test"))


PROGRAMS: dict[str, Callable[[World], None]] = {
    program.__name__: program
    for program in (
        operators,
        gradients,
        sums,
        sub_worlds,
        different_operations,
        end_early,
        be_killed,
        wait_for_ever,
        use_the_group,
        tensors,
        disagree_many_times,
        wait_in_a_circle,
    )
}


Told = dict[str, dict[int, list[str]]]
"""What each rank has told in each program."""


def wait_until_ended(*ranks: int) -> None:
    """Wait in a job until the processes of some of its ranks have ended."""
    while not all(Path(f"{FOLDER}/ended {rank}").exists() for rank in ranks):
        time.sleep(0.01)


def run(
    programs: list[Callable[[World], None]], size: int, folder: Path, timeout: float = 60, direct: str = ""
) -> Told:
    """Run programs on ranks, one after the other. Ranks that are not killed must end well, by themselves."""
    names = ",".join(program.__name__ for program in programs)
    environment = {**os.environ, "DISTDL_OPS_TIMEOUT": str(timeout), "OMP_NUM_THREADS": "1"}

    def rank_of(number: int) -> tuple[int, str, str]:
        job = subprocess.Popen(
            [sys.executable, __file__, names, str(number), str(size), str(folder), direct],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        try:
            out, err = job.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            job.kill()
            out, err = job.communicate()
            err += f"\nthe rank did not end within {LIMIT} s"
        (folder / f"ended {number}").touch()
        return job.returncode, out, err

    with ThreadPoolExecutor(size) as threads:
        everyone = list(threads.map(rank_of, range(size)))
    told: Told = {program.__name__: {} for program in programs}
    for rank, (code, out, err) in enumerate(everyone):
        killed = code == -signal.SIGKILL and programs == [be_killed] and rank == 1
        assert code == 0 or killed, out + err
        for part in out.split("program ")[1:]:
            name, *lines = part.splitlines()
            told[name][rank] = [line.partition(": ")[2] for line in lines]
    return told


# -- tests -----------------------------------------------------------------------------------------------------------

QUIET = [operators, gradients, sums, sub_worlds]


def test_two_processes(tmp_path: Path) -> None:
    """Adjoints of all movements, gradients, sums, worlds of some ranks; beside the user's own use of the group."""
    told = run([*QUIET, use_the_group], 2, tmp_path)
    assert all(lines == {0: [], 1: []} for lines in told.values())


def test_three_processes(tmp_path: Path) -> None:
    """The same, and ranks that disagree: all raise the same words, and the world goes on working."""
    told = run([*QUIET, tensors, different_operations, use_the_group], 3, tmp_path)
    assert all(told[program.__name__] == {0: [], 1: [], 2: []} for program in [*QUIET, use_the_group])
    require_disagreements_of_tensors(told)
    lines = told["different_operations"][0]
    assert all(others == lines for others in told["different_operations"].values())
    for four in (lines[:4], lines[4:]):
        for line, first, second in ((four[0], "another", "one sum"), (four[1], "a sum", "a gathering")):
            assert line.startswith(f"AgreementError the ranks disagree. ranks 0, 1: in {first} (operation ")
            assert f"; rank 2: in {second} (operation " in line
        assert "Error the ranks disagree. " in four[2]
        assert "HaloExchange(p)" in four[2]
        assert "HaloExchange(p).H" in four[2]
        assert four[3].startswith("SpaceError the ranks disagree. ")
        assert "rank 2: HaloExchange(p)" in four[3]


def test_tensors_that_the_group_carries(tmp_path: Path) -> None:
    """By the group's own operations, and not through host memory: the same results, gradients, errors and order."""
    told = run([gradients, tensors], 3, tmp_path, direct="cpu")
    assert told["gradients"] == {0: [], 1: [], 2: []}
    require_disagreements_of_tensors(told)


def require_disagreements_of_tensors(told: Told) -> None:
    """Assert that all ranks have told the same two errors."""
    (one, other) = told["tensors"][0]
    assert all(lines == [one, other] for lines in told["tensors"].values())
    assert "AgreementError the ranks disagree. " in one
    assert "SpaceError the ranks disagree. " in other


def test_errors_leave_nothing_behind(tmp_path: Path) -> None:
    """Ranks disagree over and over, also about sizes: no connection, thread or descriptor stays."""
    assert run([disagree_many_times], 2, tmp_path)["disagree_many_times"] == {0: [], 1: []}


def test_ranks_that_wait_for_each_other(tmp_path: Path) -> None:
    """In two worlds of one group, in another order: all raise the same, at once. Another thread is refused."""
    told = run([wait_in_a_circle], 2, tmp_path)["wait_in_a_circle"]
    assert told[0][0] == told[1][0]
    assert told[0][0].startswith("AgreementError the ranks disagree. rank 0: in a gathering (operation ")
    assert "of world 2" in told[0][0]
    for rank in range(2):
        assert told[rank][1].startswith(f"RuntimeError the world of rank {rank} is used in the thread 'second'")
        assert told[rank][2] == "[0, 0]"


def test_a_rank_that_ends_early(tmp_path: Path) -> None:
    """The others are told at once, in the same words."""
    told = run([end_early], 3, tmp_path)["end_early"]
    assert told[0] == told[2]
    assert "waits for rank 1, which ended, in " in told[0][0]
    assert "rank 1: has ended" in told[0][0]


def test_a_rank_that_is_killed(tmp_path: Path) -> None:
    """The others find their connections closed, and say in which operation."""
    told = run([be_killed], 3, tmp_path, timeout=5)["be_killed"]
    for rank in (0, 2):
        assert told[rank][0].startswith("DeadlockError ")
        assert "in a gathering" in told[rank][0]
        assert "rank 1: has not come" in told[rank][0]


def test_a_rank_that_does_not_come(tmp_path: Path) -> None:
    """After the timeout, the error names the operation and the ranks; afterwards, nothing is sent in that world."""
    told = run([wait_for_ever], 3, tmp_path, timeout=4)["wait_for_ever"]
    assert told[0] == told[2]
    assert told[0][0].startswith("TimeoutError ")
    assert "waited 4 s for rank 1 in HaloExchange(p)" in told[0][0]
    assert "rank 1: has not come" in told[0][0]
    assert told[0][1].startswith("TimeoutError this world is not usable any more: ")


def test_world_under_torchrun(tmp_path: Path) -> None:
    """With DISTDL_OPS_WORLD, a program that is written for `world` runs there."""
    program = tmp_path / "program.py"
    program.write_text(
        """
import sys
from distdl_ops import world
w = world()
sys.stdout.write(f"{w.allgather(w.rank, 'test')} {world() is w}\\n")  # in one piece
"""
    )
    job = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(program)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, "DISTDL_OPS_WORLD": "torch_bridge.worlds:start"},
        check=False,
    )
    assert job.returncode == 0, job.stderr
    assert job.stdout.count("[0, 1] True") == 2
    assert world().size == 1


if __name__ == "__main__":
    names, RANK, SIZE, FOLDER, DIRECT = sys.argv[1:]
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{FOLDER}/store", rank=int(RANK), world_size=int(SIZE))
    ranks = TorchWorld(direct=DIRECT.split())
    for name in names.split(","):
        sys.stdout.write(f"program {name}\n")
        sys.stdout.flush()
        PROGRAMS[name](ranks)
