"""Distributed tensors on real processes, of gloo and of MPI: the losses and weights of one process.

Simulated ranks share one process; here each has memory, random numbers and a place in the program of its own.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from test_combinations import CASES, differences, ranks_of, tolerance
from torch import nn

from distdl_ops import AgreementError, Grid, Split, World, simulate, world
from torch_bridge.tensors import DistributedTensor, distribute, distribute_tensor

pytestmark = pytest.mark.serial

LIMIT = 300
"""Seconds after which a job is taken to hang."""


def model(dropout: float) -> nn.Module:
    """Return a small net, the same everywhere."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Flatten(),
        nn.Linear(4 * 6 * 5, 3),
    ).double()


def train(dropout: float, grid: Grid | None = None, **images: Split) -> tuple[list[float], list[torch.Tensor]]:
    """Return the losses of three steps, and the weights and running statistics after them."""
    net, inputs = (
        model(dropout),
        torch.randn(3, 4, 2, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)),
    )
    labels = torch.tensor([0, 2, 1, 0])
    if grid is not None:
        last = next(iter(grid.axes))
        distribute(net, grid, parameters={"5.weight": {last: Split(1)}, "0.weight": {last: Split(0)}})
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    torch.manual_seed(3)
    losses = []
    for batch in inputs:
        x = batch if grid is None else distribute_tensor(batch, grid, **images)
        loss = F.cross_entropy(net(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    weights = [tensor.detach() for tensor in net.state_dict().values()]
    return losses, [w.full_tensor().to_local() if isinstance(w, DistributedTensor) else w for w in weights]


def main(ranks: World) -> None:
    """Raise unless training on ranks is that of one process, and ranks that differ all raise."""
    # a mask is a function of the place in the whole tensor: that of distributed tensors on one rank
    alone = train(0), simulate(1, lambda one: train(0.25, Grid(one, data=1), data=Split(0)))[0]
    for dropout, (losses, weights) in zip((0, 0.25), alone, strict=True):
        for axis, role in (("data", Split(0)), ("rows", Split(2))):
            found, wholes = train(dropout, Grid(ranks, **{axis: ranks.size}), **{axis: role})
            torch.testing.assert_close(found, losses, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(wholes, weights, rtol=1e-12, atol=1e-12)
    x = distribute_tensor(torch.ones(4, 4), Grid(ranks, p=ranks.size), p=Split(0))
    for differ in (
        lambda first: (x.sin() if first else x.cos()).redistribute(p=Split(1)),
        lambda first: x.sum().item() if first else x.mean().item(),
        lambda first: torch.cumsum(x, 0).sum().item() if first else torch.softmax(x, 0).sum().item(),
        lambda first: x.sum().item() if first else None,
    ):
        try:
            differ(ranks.rank == 0)
            ranks.allgather(0, "the next operation")
        except AgreementError:
            pass
        else:
            raise AssertionError("ranks that differ went on")
        assert ranks.allgather(ranks.rank, "test") == list(range(ranks.size))
    for case in [case for case in CASES if ranks_of(case) == ranks.size][::3]:
        for what, difference in differences(case, ranks):
            assert difference <= tolerance(case, what), (case, what, difference)
    sys.stdout.write("all is well\n")  # in one piece


def run(*command: str) -> str:
    """Return what a process says; it must end well."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DISTDL_OPS_TIMEOUT": "100"}
    job = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment, check=False)
    assert job.returncode == 0, job.stdout + job.stderr
    return job.stdout


def test_gloo(tmp_path: Path) -> None:
    """A net with batch statistics, dropout and sharded weights, images over ranks by number and by rows; and errors."""
    with ThreadPoolExecutor(2) as threads:
        commands = [(sys.executable, __file__, str(rank), str(tmp_path / "store")) for rank in range(2)]
        assert list(threads.map(lambda command: run(*command), commands)) == ["all is well\n"] * 2


def test_mpi() -> None:
    """The same on MPI."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    pytest.importorskip("mpi4py")
    if not mpiexec.exists():
        pytest.skip("no mpiexec beside this Python")
    assert run(str(mpiexec), "-n", "2", sys.executable, __file__) == "all is well\n" * 2


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        from torch_bridge.worlds import TorchWorld

        rank, store = sys.argv[1:]
        torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=int(rank), world_size=2)
        main(TorchWorld())
    else:
        main(world())
