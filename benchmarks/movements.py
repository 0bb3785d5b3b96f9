"""How long the movements take, and how much memory, beside the same written by hand with mpi4py, and beside memcpy.

Run under mpiexec (``mpiexec -n 2 python benchmarks/movements.py``). Each named movement and its adjoint are applied to
vectors of 1 KB and of 64 MB on each rank. What is written by hand (`by_hand.py`, `by_hand_layouts.py`) does the same
job on the same data with the same contract: a fresh result, the argument left alone. Where several ways lead there, the
table has the fastest one, by its name.

Two bounds stand beside them, for the most bytes that any rank holds before or after, with all ranks copying at once:
*memcpy* copies them to memory that is there, *fresh* to a new array, as every movement must that returns one. All
columns take turns, so that they see the same machine. A time is that of the slowest rank, the median over the turns; a
ratio is the median of the ratios in the same turn.

*Beyond* is the most that NumPy has allocated at once during one application, beyond the result: what was packed. It is
that of the rank with most; what MPI allocates is not seen.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from by_hand import Collectives, Messages
from by_hand_layouts import Halo, Recut, Transpose
from mpi4py import MPI

import distdl_ops as d
from distdl_ops import At, Copies, Replicated, Split
from linop import LinearOperator

Step = Callable[[np.ndarray], np.ndarray]
ITEM = 8
"""Bytes of an entry."""


class Job(NamedTuple):
    """A movement, and what does it by hand: its map and its adjoint, each in one way or more."""

    A: LinearOperator
    forward: dict[str, Step]
    adjoint: dict[str, Step]


def jobs(ranks: d.World, communicator: Any, n: int) -> Iterator[tuple[str, Job]]:
    """Yield the movements of n entries on each rank, by their names."""
    p = ranks.size
    blocking, not_blocking = (Collectives(communicator, n, blocking=way) for way in (True, False))
    messages, backwards = Messages(communicator, n), communicator.Split(0, -communicator.Get_rank())

    def ways(name: str) -> dict[str, Step]:
        by = {"collective": blocking, "nonblocking": not_blocking, "messages": messages}
        return {way: getattr(hand, name) for way, hand in by.items()}

    broadcast, reduce, all_reduce = ways("broadcast"), ways("sum_reduce"), ways("all_reduce")
    scatter, gather, all_gather = ways("scatter"), ways("gather"), ways("all_gather")
    copy = {"copy": np.copy}

    grid = d.Grid(ranks, p=p)
    one = d.DistributedSpace(grid, (n,), p=At(0))
    copies, same = one.with_roles(p=Copies()), one.with_roles(p=Replicated())
    yield "Broadcast", Job(d.Broadcast(one, copies), broadcast, reduce)
    yield "SumReduce", Job(d.SumReduce(copies, one), reduce, broadcast)
    yield "AllSumReduce", Job(d.AllSumReduce(copies, copies), all_reduce, all_reduce)
    yield "AllReduce", Job(d.AllReduce(copies, same), all_reduce, copy)
    yield "Copy", Job(d.Copy(same, copies), copy, all_reduce)
    yield "Pick", Job(d.Pick(same, one), {"copy": messages.pick}, broadcast)
    move_back = Messages(backwards, n).move
    yield "Move", Job(d.Move(one, one.with_roles(p=At(p - 1))), {"Send": messages.move}, {"Send": move_back})
    shift_back = Messages(backwards, n).shift
    yield "Shift", Job(d.Shift(copies, 1, "p"), {"Sendrecv": messages.shift}, {"Sendrecv": shift_back})
    scan = {"Scan": blocking.prefix_sum, "messages": messages.prefix_sum}
    scan_back = {"Scan": Collectives(backwards, n).prefix_sum, "messages": Messages(backwards, n).prefix_sum}
    yield "PrefixSum", Job(d.PrefixSum(copies, "p"), scan, scan_back)

    whole = d.DistributedSpace(grid, (p * n,), p=At(0))
    split, everywhere = whole.with_roles(p=Split(0)), whole.with_roles(p=Copies())
    yield "Scatter", Job(d.Scatter(whole, split), scatter, gather)
    yield "Gather", Job(d.Gather(split, whole), gather, scatter)
    yield "AllGather", Job(d.AllGather(split, everywhere), all_gather, ways("reduce_scatter"))
    yield "ReduceScatter", Job(d.ReduceScatter(everywhere, split), ways("reduce_scatter"), all_gather)
    yield "Slice", Job(d.Slice(whole.with_roles(p=Replicated()), split), {"copy": messages.slice}, all_gather)
    even, uneven = [k * n for k in range(p + 1)], [0, *(k * n + n // 2 for k in range(p - 1)), p * n]
    cut = split.with_roles(p=Split(0, list(itertools.pairwise(uneven))))
    recuts = [Recut(communicator, even, uneven), Recut(communicator, uneven, even)]
    by_hand = [{"collective": way.collective, "messages": way.messages} for way in recuts]
    yield "Repartition", Job(d.Repartition(split, cut), *by_hand)

    shape = matrix(n, p)
    rows = d.DistributedSpace(grid, shape, p=Split(0))
    turns = [Transpose(communicator, shape, axis) for axis in (0, 1)]
    by_hand = [{"Alltoallw": way.typed, "Alltoall": way.packed, "messages": way.messages} for way in turns]
    yield "AllToAll", Job(d.AllToAll(rows, rows.with_roles(p=Split(1))), *by_hand)
    for lengths in [(p, 1), (1, p), *([(2, p // 2)] if p % 2 == 0 and p > 2 else [])]:
        halo = Halo(communicator, lengths)
        plane = d.Grid(ranks, rows=lengths[0], cols=lengths[1])
        space = d.DistributedSpace(plane, shape, rows=Split(0), cols=Split(1))
        A = d.HaloExchange(space, {axis: (1, 1) for axis, length in enumerate(lengths) if length > 1})
        sides = "+".join(side for side, length in zip(("rows", "columns"), lengths, strict=True) if length > 1)
        yield f"HaloExchange {sides}", Job(A, {"messages": halo.forward}, {"messages": halo.adjoint})


def matrix(n: int, p: int) -> tuple[int, int]:
    """Return the shape of a matrix with n entries for each of p ranks: nearly square, both axes multiples of p."""
    rows = p
    while 4 * rows * rows <= p * n:
        rows *= 2
    if (p * n) % (rows * p):
        raise ValueError(f"{n} entries on each of {p} ranks make no matrix that both axes of can be divided")
    return rows, p * n // rows


class Clock:
    """Measures functions on all ranks, in turns."""

    def __init__(self, communicator: Any, turns: int) -> None:
        self.comm, self.turns = communicator, turns

    def times(self, functions: dict[str, Callable[[], Any]], number: int) -> dict[str, list[float]]:
        """Return for each function the seconds that a call takes on the slowest rank, turn by turn."""
        times = np.empty((self.turns + 1, len(functions)))
        for turn in times:  # the first one warms up
            for k, function in enumerate(functions.values()):
                self.comm.Barrier()
                start = time.perf_counter()
                for _ in range(number):
                    function()
                turn[k] = (time.perf_counter() - start) / number
        self.comm.Allreduce(MPI.IN_PLACE, times, MPI.MAX)
        return {name: list(times[1:, k]) for k, name in enumerate(functions)}

    def most(self, number: int) -> int:
        """Return the largest of all ranks' numbers."""
        return int(self.comm.allreduce(number, MPI.MAX))

    def beyond(self, function: Callable[[], np.ndarray]) -> int:
        """Return the bytes that were allocated at once during a call, beyond its result, on the rank with most."""
        self.comm.Barrier()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        result = function()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return self.most(peak - before - result.nbytes)


def measure(clock: Clock, title: str, ours: LinearOperator, by_hand: dict[str, Step], number: int) -> dict[str, Any]:
    """Measure one direction of a movement; raise where what is written by hand has another result."""
    x = ours.domain.integers(0)
    y = ours(x)
    for name, function in by_hand.items():
        if not clock.comm.allreduce(np.array_equal(function(x), y), MPI.LAND):
            raise ArithmeticError(f"{title}: {name} has another result")
    held = clock.most(max(x.nbytes, y.nbytes))
    del y
    source, room = np.ones(held, np.uint8), np.ones(held, np.uint8)
    functions: dict[str, Callable[[], Any]] = {"ours": lambda: ours(x)}
    functions.update({name: lambda function=function: function(x) for name, function in by_hand.items()})
    functions.update({"memcpy": lambda: np.copyto(room, source), "fresh": source.copy})
    times = clock.times(functions, number)
    medians = {name: statistics.median(found) for name, found in times.items()}
    best = min(by_hand, key=medians.__getitem__)
    return {
        "movement": title,
        "bytes": held,
        "seconds": medians,
        "best by hand": best,
        "ratios": {
            name: statistics.median(a / b for a, b in zip(times["ours"], found, strict=True))
            for name, found in times.items()
        },
        "beyond": {name: clock.beyond(functions[name]) for name in ("ours", best)},
    }


def show(found: dict[str, Any], unit: float) -> str:
    """Return a line of the table."""
    seconds, ratios, best = found["seconds"], found["ratios"], found["best by hand"]
    cells = "".join(f"{seconds[name] / unit:>10.2f}{ratios[name]:>8.2f}" for name in (best, "memcpy", "fresh"))
    beyond = "".join(f"{size / 1024:>10.1f}" for size in found["beyond"].values())
    return f"{found['movement']:<28}{seconds['ours'] / unit:>10.2f}{cells}{beyond}  {best}"


def main(options: argparse.Namespace) -> None:
    """Measure everything, print the tables on rank 0, and write them."""
    ranks, communicator = d.world(timeout=300), MPI.COMM_WORLD.Dup()
    clock, rows = Clock(communicator, options.turns), []

    def tell(line: str) -> None:
        if ranks.rank == 0:
            print(line, flush=True)

    for size in options.sizes:
        small = size < 2**16
        number, unit, name = (options.number, 1e-6, "us") if small else (1, 1e-3, "ms")
        tell(f"\n{size} bytes on each of {ranks.size} ranks: medians in {name}, each with the ratio of ours to it")
        tell(f"{'KB beyond the result':>112}")
        columns = "".join(f"{column:>10}{'ratio':>8}" for column in ("by hand", "memcpy", "fresh"))
        tell(f"{'movement':<28}{'ours':>10}{columns}{'ours':>10}{'by hand':>10}")
        for title, job in jobs(ranks, communicator, size // ITEM):
            if options.only and options.only not in title:
                continue
            for told, A, by_hand in ((title, job.A, job.forward), (f"{title}*", job.A.H, job.adjoint)):
                rows.append(measure(clock, told, A, by_hand, number))
                tell(show(rows[-1], unit))
    if options.json and ranks.rank == 0:
        found = {"ranks": ranks.size, "library": MPI.Get_library_version().partition("\n")[0], "rows": rows}
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--turns", type=int, help="of each column, after one to warm up; 9")
    parser.add_argument("--number", type=int, help="calls in a turn, of small movements; 100")
    parser.add_argument("--sizes", type=int, nargs="+", help="bytes on each rank; 1 KB and 64 MB")
    parser.add_argument("--only", help="movements with this in their title")
    parser.add_argument("--quick", action="store_true", help="3 turns of 10 calls, 1 KB and 1 MB, unless given")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    chosen = parser.parse_args()
    if MPI.COMM_WORLD.Get_size() == 1:
        parser.error("run it under mpiexec: mpiexec -n 2 python benchmarks/movements.py")
    chosen.turns = chosen.turns or (3 if chosen.quick else 9)
    chosen.number = chosen.number or (10 if chosen.quick else 100)
    chosen.sizes = chosen.sizes or ([2**10, 2**20] if chosen.quick else [2**10, 2**26])
    main(chosen)
