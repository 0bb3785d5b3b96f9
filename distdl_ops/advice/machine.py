r"""Seconds from costs: the alpha-beta model, with a term for arithmetic and one for memory.

.. math:: t = \alpha\,m + \beta\,s + \gamma\,f + \delta\,b

for m messages of s bytes together, f operations, and b bytes read and written in memory.

The time is that of the busiest rank in each step, added up, as if nothing overlapped: an estimate to compare with, not
to set a clock by. (Hockney, Parallel Computing 20 (1994) 389, for alpha and beta.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from distdl_ops.advice.cost import MESSAGE, SENT, ParallelCost
from distdl_ops.worlds import World
from linop import Cost, LinearOperator, cost
from linop.arguments import Positive, checked
from linop.queries.cost import OPERATIONS_PER_BYTE

MEMORY = 1e-10
"""Seconds to read or write a byte, unless it is measured: ten gigabytes a second."""


@checked
@final
@dataclass(frozen=True)
class Machine:
    """What communication and computation take on a machine, in seconds.

    The defaults stand in the same proportions as the weights that `linop.simplify` compares by.

    Parameters
    ----------
    alpha : float, optional
        For a message.
    beta : float, optional
        For a byte that is sent.
    gamma : float, optional
        For an operation.
    delta : float, optional
        For a byte that is read or written in memory.

    Examples
    --------
    >>> from distdl_ops import AllGather, Copies, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=4), (1000, 1000), rows=Split(0))
    ...     A = AllGather(S, S.with_roles(rows=Copies()))
    ...     return Machine(alpha=1e-6, beta=1e-9, gamma=0, delta=0).seconds(A)
    >>> print(f"{simulate(4, main)[0]:.6f}")
    0.006003
    """

    alpha: float = MESSAGE * MEMORY
    beta: float = SENT * MEMORY
    gamma: float = MEMORY / OPERATIONS_PER_BYTE
    delta: float = MEMORY

    def seconds(self, operator: LinearOperator | Cost) -> float:
        """Return how long one application of an operator takes, or what has a cost; ``simplify(A, by=seconds)``."""
        spent = operator if isinstance(operator, Cost) else cost(operator)
        messages, sent = (spent.messages, spent.sent) if isinstance(spent, ParallelCost) else (0, 0)
        return self.alpha * messages + self.beta * sent + self.gamma * spent.flops + self.delta * spent.bytes


@checked
def calibrate(world: World, *, size: Positive = 2**20, repeats: Positive = 5) -> Machine:
    """Return the machine that a world runs on, measured. Collective.

    Every rank sends to the next one at the same time: small messages give alpha, large ones beta. Products of matrices
    give gamma, sums of long vectors delta. Of repeated measurements the quickest counts, of the ranks the slowest. In a
    world of one rank, alpha and beta cannot be measured and have their defaults.

    Parameters
    ----------
    world : World
        The ranks.
    size : int, optional
        Bytes of a large message.
    repeats : int, optional
        How often everything is measured.

    Examples
    --------
    >>> from distdl_ops import simulate
    >>> machine = simulate(2, calibrate)[0]
    >>> min(machine.alpha, machine.beta, machine.gamma, machine.delta) > 0
    True
    """
    square, long = np.ones((200, 200)), np.ones(size)
    gamma = _quickest(repeats, lambda: square @ square) / (2 * square.shape[0] ** 3)
    delta = _quickest(repeats, lambda: np.add(long, long)) / (3 * long.nbytes)
    alpha, beta = Machine.alpha, Machine.beta
    if world.size > 1:
        small = _quickest(repeats, lambda: _around(world, 1))
        large = _quickest(repeats, lambda: _around(world, size))
        alpha, beta = small, max(large - small, 0.0) / size
    everyone = world.allgather((alpha, beta, gamma, delta), "calibrate")
    return Machine(*map(max, zip(*everyone, strict=True)))


def _around(world: World, size: int) -> None:
    """Send so many bytes to the next rank, and receive as many."""
    out, into = np.ones(size, np.uint8), np.empty(size, np.uint8)
    exchange = world.exchange(
        [((world.rank + 1) % world.size, out)], [((world.rank - 1) % world.size, into)], "calibrate"
    )
    exchange.finish()


def _quickest(repeats: int, work: Callable[[], object]) -> float:
    """Return the seconds of the quickest of some runs; the first one, which warms up, does not count."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])
