"""What one rank's plan costs as ranks become many: time and memory, for 10 to a million ranks that are not there.

Layouts and plans are geometry: they need no processes. Each rank has 4 entries along every tensor axis that is split.
*Layouts* are the two of the movement, *compared* is that they are made again, compared, hashed and printed, *plan* is
that of one rank in the middle (or of a root), and *partners* are the ranks that it sends to and receives from. Where
time and memory follow the partners, and not the ranks, a program of a million ranks starts as fast as one of ten. Who
takes part in a movement with everyone has all of them for partners; the last column says what each one costs.

Times are medians; memory is what is still allocated once layouts or plan are there, and, in parentheses, the
most that was allocated on the way.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from distdl_ops import At, Copies, Replicated, Split, balanced
from distdl_ops.layouts.layout import Layout
from distdl_ops.transfer.plan import Plan

EACH = 4
"""Entries of a rank along a tensor axis that is split."""

MOST_PARTNERS = 100_000
"""Up to how many ranks all are partners of one."""


class Case(NamedTuple):
    """A movement on so many ranks: how to make its two layouts, and whose plan is made."""

    layouts: Callable[[], tuple[Layout, Layout]]
    rank: int


def line(p: int) -> tuple[dict[str, int], tuple[int, ...]]:
    """Return a grid of one axis, and the shape of a tensor that is split along it."""
    return {"p": p}, (EACH * p,)


def plane(p: int) -> tuple[dict[str, int], tuple[int, ...]]:
    """Return a grid of two axes, as square as p allows, and the shape of a matrix that is split along both."""
    rows = next(k for k in range(math.isqrt(p), 0, -1) if p % k == 0)
    return {"rows": rows, "cols": p // rows}, (EACH * rows, EACH * (p // rows))


def halo_on_a_line(p: int) -> Case:
    """Return the exchange of a halo of one entry with two neighbours."""
    axes, shape = line(p)

    def layouts() -> tuple[Layout, Layout]:
        wide = Split(0, balanced(shape[0], p).widened(1, 1))
        return Layout(axes, shape, {"p": Split(0)}), Layout(axes, shape, {"p": wide})

    return Case(layouts, p // 2)


def halo_in_a_plane(p: int) -> Case:
    """Return the exchange of a halo of one entry with eight neighbours."""
    axes, shape = plane(p)

    def layouts() -> tuple[Layout, Layout]:
        owned = {"rows": Split(0), "cols": Split(1)}
        wide = {
            name: Split(k, balanced(shape[k], length).widened(1, 1)) for k, (name, length) in enumerate(axes.items())
        }
        return Layout(axes, shape, owned), Layout(axes, shape, wide)

    return Case(layouts, p // 2 + axes["cols"] // 2)


def listed_halo(p: int) -> Case:
    """Return the exchange of a halo whose intervals are written out: a list of p."""
    axes, shape = line(p)
    listed = [(EACH * k - 1, EACH * (k + 1) + 1) for k in range(p)]

    def layouts() -> tuple[Layout, Layout]:
        return Layout(axes, shape, {"p": Split(0)}), Layout(axes, shape, {"p": Split(0, listed)})

    return Case(layouts, p // 2)


def repartition(p: int) -> Case:
    """Return the repartition of a matrix from a grid that is nearly square to one with half its rows."""
    axes, shape = plane(p)
    rows = max(axes["rows"] // 2, 1)
    other = {"rows": rows, "cols": p // rows}

    def layouts() -> tuple[Layout, Layout]:
        roles = {"rows": Split(0), "cols": Split(1)}
        return Layout(axes, shape, roles), Layout(other, shape, roles)

    return Case(layouts, p // 2)


def transposition(p: int) -> Case:
    """Return the repartition from rows to columns: a box for everyone."""
    axes, shape = {"p": p}, (p, p)

    def layouts() -> tuple[Layout, Layout]:
        return Layout(axes, shape, {"p": Split(0)}), Layout(axes, shape, {"p": Split(1)})

    return Case(layouts, p // 2)


def slicing(p: int) -> Case:
    """Return the movement to everyone's part from what everyone has."""
    axes, shape = line(p)

    def layouts() -> tuple[Layout, Layout]:
        return Layout(axes, shape, {"p": Replicated()}), Layout(axes, shape, {"p": Split(0)})

    return Case(layouts, p // 2)


def between(source: Any, target: Any, rank: Callable[[int], int]) -> Callable[[int], Case]:
    """Return cases of a tensor of a few entries, from one role to another along one grid axis."""

    def case(p: int) -> Case:
        def layouts() -> tuple[Layout, Layout]:
            return Layout({"p": p}, (EACH,), {"p": source}), Layout({"p": p}, (EACH,), {"p": target})

        return Case(layouts, rank(p))

    return case


CASES: dict[str, Callable[[int], Case]] = {
    "halo, one axis": halo_on_a_line,
    "halo, two axes": halo_in_a_plane,
    "halo, intervals listed": listed_halo,
    "repartition, other grid": repartition,
    "copy": between(Replicated(), Copies(), lambda p: p // 2),
    "slice": slicing,
    "broadcast, others": between(At(0), Copies(), lambda p: p // 2),
}

WITH_EVERYONE: dict[str, Callable[[int], Case]] = {
    "broadcast, root": between(At(0), Copies(), lambda _: 0),
    "rows to columns": transposition,
}


def allocated(make: Callable[[], Any]) -> tuple[int, int]:
    """Return the bytes that are held by what a function makes, and the most that was held on the way."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    made = make()
    gc.collect()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del made
    return held - before, peak - before


def timed(make: Callable[[], Any], repeats: int) -> float:
    """Return the median of the seconds that a function takes: over fewer repeats once a second is over."""
    times: list[float] = []
    while len(times) < repeats and sum(times) < 1:
        start = time.perf_counter()
        make()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure(case: Case, repeats: int) -> dict[str, float]:
    """Return what the layouts and the plan of one rank cost."""
    source, target = case.layouts()

    def plan() -> Plan:
        return Plan(source, target, case.rank)

    def compared() -> Any:
        return case.layouts() == (source, target), hash(source), hash(target), repr(source), repr(target)

    made = plan()
    partners = len({rank for rank, _ in made.sends} | {rank for rank, _ in made.receives})
    del made
    layouts_held, layouts_peak = allocated(case.layouts)
    plan_held, plan_peak = allocated(plan)
    return {
        "partners": partners,
        "layouts seconds": timed(case.layouts, repeats),
        "compared seconds": timed(compared, repeats),
        "plan seconds": timed(plan, repeats),
        "layouts bytes": layouts_held,
        "layouts peak bytes": layouts_peak,
        "plan bytes": plan_held,
        "plan peak bytes": plan_peak,
    }


def kilobytes(held: float, peak: float) -> str:
    """Return what is held, and the peak in parentheses."""
    return f"{held / 1024:.1f} ({peak / 1024:.1f})"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--ranks", type=int, nargs="+", default=[10, 1000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", help="cases with this in their title")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    options = parser.parse_args()
    found = []
    print(f"{'':<41}{'time, ms':>30}{'memory, KB':>42}{'us for':>10}")
    print(
        f"{'movement':<24}{'ranks':>8}{'partners':>9}{'layouts':>10}{'compared':>10}{'plan':>10}"
        f"{'layouts':>22}{'plan':>20}{'a partner':>10}"
    )
    for title, make in {**CASES, **WITH_EVERYONE}.items():
        if options.only and options.only not in title:
            continue
        for p in sorted({min(p, MOST_PARTNERS) if title in WITH_EVERYONE else p for p in options.ranks}):
            numbers = measure(make(p), options.repeats)
            found.append({"case": title, "ranks": p, **numbers})
            print(
                f"{title:<24}{p:>8}{numbers['partners']:>9}"
                f"{1e3 * numbers['layouts seconds']:>10.3f}{1e3 * numbers['compared seconds']:>10.3f}"
                f"{1e3 * numbers['plan seconds']:>10.3f}"
                f"{kilobytes(numbers['layouts bytes'], numbers['layouts peak bytes']):>22}"
                f"{kilobytes(numbers['plan bytes'], numbers['plan peak bytes']):>20}"
                f"{1e6 * numbers['plan seconds'] / max(numbers['partners'], 1):>10.2f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
