"""An all-gather and its adjoint, on the ranks of MPI: ``mpiexec -n 4 python examples/first.py``."""

import numpy as np

import distdl_ops
from distdl_ops import Copies, DistributedSpace, Grid, Movement, Split, World
from linop import check_adjoint


def main(world: World) -> None:
    """Gather eight numbers on every rank, and check the adjoint over all ranks."""
    parts = DistributedSpace(Grid(world, p=world.size), (8,), p=Split(0))
    gather = Movement(parts, parts.with_roles(p=Copies()))
    x = parts.from_global(np.arange(8.0))
    print(f"rank {world.rank} of {world.size} had {x}, has {gather(x)}")
    report = check_adjoint(gather)
    if world.rank == 0:
        print(report)


if __name__ == "__main__":
    main(distdl_ops.world())
