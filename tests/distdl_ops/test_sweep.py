"""Every small case, one after another: what NumPy finds serially, or the same refusal on all ranks; and none hangs.

Sizes from 0 to 13 on 1 to 4 ranks have even and uneven shards, shards of one entry, and empty ones. Each case is built
on all ranks and compared, on each rank, with its part of the serial result.
"""

import itertools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pytest

from distdl_ops import (
    At,
    Copies,
    DistributedCumulativeSum,
    DistributedSpace,
    Grid,
    HaloExchange,
    PrefixSum,
    Replicated,
    Role,
    Shift,
    Split,
    World,
    balanced,
)
from distdl_ops.layouts.roles import Boundary
from distdl_ops.testing import on_ranks
from distdl_ops.worlds.start import in_job
from linop import LinearOperator, SpaceError

A = TypeVar("A", bound=LinearOperator)

SIZES = range(14)

WIDTHS = (-1, 0, 2, 8) if in_job() else (-9, -1, 0, 1, 2, 3, 8)
"""Trimmed to nothing, trimmed, none, narrow, and wider than a shard; fewer where messages cost, of one geometry."""

BEYOND = 40
"""More than any interval reaches beyond the tensor."""


class Outcomes:
    """What became of each case on this rank: equal, wrong, or refused with these words."""

    def __init__(self) -> None:
        self.found: dict[object, str] = {}

    def build(self, case: object, make: Callable[[], A]) -> A | None:
        """Return the operator of a case; None where it is refused."""
        try:
            return make()
        except SpaceError as error:
            self.found[case] = f"refused: {error}"
            return None

    def compare(self, case: object, *pairs: tuple[np.ndarray, np.ndarray]) -> None:
        """Note whether what was found is what was expected, in each pair."""
        equal = all(found.shape == expected.shape and np.array_equal(found, expected) for found, expected in pairs)
        self.found[case] = "equal" if equal else f"wrong: {[(f.tolist(), e.tolist()) for f, e in pairs]}"


def settle(ranks: int, main: Callable[[World], Outcomes], refused: Callable[[Any], bool] = lambda _: False) -> None:
    """Assert that on every rank all cases are equal, but for those to be refused, and these with the same words."""
    everyone = [outcomes.found for outcomes in on_ranks(ranks, main)]
    assert all(found == everyone[0] for found in everyone), [
        (case, [found.get(case) for found in everyone])
        for case in everyone[0]
        if len({found.get(case) for found in everyone}) > 1
    ]
    unexpected = {
        case: told
        for case, told in everyone[0].items()
        if not (told.startswith("refused: ") if refused(case) else told == "equal")
    }
    assert unexpected == {}
    assert everyone[0]


def numbers(n: int, first: int = 1) -> np.ndarray:
    """Return n different numbers."""
    return np.arange(float(first), first + n) ** 2


def outside(x: np.ndarray, boundary: Boundary) -> np.ndarray:
    """Return what NumPy finds beyond both ends of an array."""
    mode: Any = "constant" if boundary == "zero" or x.size == 0 else "wrap"
    return np.pad(x, BEYOND, mode=mode)


def window(start: int, stop: int, below: int, above: int) -> slice:
    """Return where a padded array has an interval and its halo: nothing, where it is empty or nothing is left of it."""
    first, last = BEYOND + start - below, BEYOND + stop + above
    return slice(first, max(first, last)) if start < stop else slice(0)


def folded(wide: np.ndarray, n: int, boundary: Boundary) -> np.ndarray:
    """Return the n entries of an array when what lies beyond its ends is dropped, or added around."""
    if boundary == "zero" or n == 0:
        return wide[BEYOND : BEYOND + n]
    return np.bincount(np.arange(-BEYOND, n + BEYOND) % n, wide, n)


@pytest.mark.parametrize("boundary", ["zero", "periodic"])
def test_halo_exchange(ranks: int, boundary: Boundary) -> None:
    """Every size, with every pair of widths: a window of what NumPy pads; the adjoint adds the windows up again."""

    def main(world: World) -> Outcomes:
        outcomes, grid = Outcomes(), Grid(world, rows=ranks)
        for n in SIZES:
            S = DistributedSpace(grid, (n,), rows=Split(0))
            x, owned = numbers(n), balanced(n, ranks)
            padded, mine = outside(x, boundary), slice(*owned[world.rank])
            for below, above in itertools.product(WIDTHS, repeat=2):
                windows = [
                    slice(BEYOND + start - below, BEYOND + max(stop + above, start - below))
                    if start < stop
                    else slice(0)
                    for start, stop in owned
                ]
                sums = np.zeros(n + 2 * BEYOND)
                for k, part in enumerate(windows):
                    sums[part] += numbers(sums[part].size, 100 * k)
                case = n, below, above
                H = outcomes.build(case, lambda S=S, w=(below, above): HaloExchange(S, {0: w}, boundary))  # type: ignore[misc]
                if H is not None:  # unchecked, for time: that arguments are checked is tested elsewhere
                    expected, y = padded[windows[world.rank]], numbers(H.codomain.shape[0], 100 * world.rank)
                    back = folded(sums, n, boundary)[mine]
                    outcomes.compare(case, (H._apply(x[mine]), expected), (H.dual._apply(y), back))
        return outcomes

    settle(ranks, main)


def test_shift(ranks: int) -> None:
    """Every number of steps, on a ring and without: NumPy's roll of the ranks' arrays, or zeros for what is lost."""
    roles: dict[str, Role] = {"split": Split(0), "copies": Copies(), "at": At(ranks - 1), "replicated": Replicated()}

    def main(world: World) -> Outcomes:
        outcomes, grid = Outcomes(), Grid(world, rows=ranks)
        cases = [(n, name) for name in roles for n in (SIZES if name == "split" else SIZES[::4])]
        for n, name in cases:
            S = DistributedSpace(grid, (n,), rows=roles[name])
            sizes = {
                "split": [stop - start for start, stop in balanced(n, ranks)],
                "at": [0] * (ranks - 1) + [n],
            }.get(name, [n] * ranks)
            held = [numbers(size, 100 * k) for k, size in enumerate(sizes)]
            for steps, periodic in itertools.product(range(-ranks - 1, ranks + 2), [True, False]):
                case = n, name, steps, periodic
                Z = outcomes.build(case, lambda S=S, s=steps, p=periodic: Shift(S, s, "rows", p))  # type: ignore[misc]
                if Z is None:
                    continue
                rolled = [held[(k - steps) % ranks] for k in range(ranks)]
                back = held[world.rank].copy()
                if not periodic:
                    rolled = [a * (0 <= k - steps < ranks) for k, a in enumerate(rolled)]
                    back *= 0 <= world.rank + steps < ranks
                y = Z._apply(held[world.rank])
                outcomes.compare(case, (y, rolled[world.rank]), (Z.dual._apply(y), back))
        return outcomes

    settle(ranks, main, refused=lambda case: case[1] == "replicated")


def test_prefix_sum(ranks: int) -> None:
    """Every size: NumPy's cumsum over the ranks' arrays; the adjoint's from the last rank on. Copies only."""
    roles: dict[str, Role] = {"copies": Copies(), "split": Split(0), "at": At(0), "replicated": Replicated()}

    def main(world: World) -> Outcomes:
        outcomes, grid = Outcomes(), Grid(world, rows=ranks)
        for n, name, exclusive in itertools.product(SIZES, roles, [False, True]):
            S = DistributedSpace(grid, (n,), rows=roles[name])
            case = n, name, exclusive
            P = outcomes.build(case, lambda S=S, e=exclusive: PrefixSum(S, "rows", exclusive=e))  # type: ignore[misc]
            if P is not None:
                x = np.array([numbers(n, 100 * k) for k in range(ranks)])
                prefix, suffix = np.cumsum(x, axis=0) - exclusive * x, np.cumsum(x[::-1], axis=0)[::-1] - exclusive * x
                mine = world.rank
                outcomes.compare(case, (P._apply(x[mine]), prefix[mine]), (P.dual._apply(x[mine]), suffix[mine]))
        return outcomes

    settle(ranks, main, refused=lambda case: case[1] != "copies")


def test_cumulative_sum(ranks: int) -> None:
    """Every size and order of the intervals: NumPy's cumsum where they rise; where they do not, refused."""

    def shifted(n: int, steps: int) -> list[tuple[int, int]]:
        """Return balanced intervals that go on to other ranks: they rise again where but one is not empty."""
        owned = balanced(n, ranks)
        return [owned[(k - steps) % ranks] for k in range(ranks)]

    def main(world: World) -> Outcomes:
        outcomes, grid = Outcomes(), Grid(world, rows=ranks)
        for n, steps in itertools.product(SIZES, range(ranks)):
            S = Shift(DistributedSpace(grid, (n,), rows=Split(0)), steps, "rows").codomain
            case = n, steps
            C = outcomes.build(case, lambda S=S: DistributedCumulativeSum(S))  # type: ignore[misc]
            if C is not None:
                x, mine = numbers(n), slice(*shifted(n, steps)[world.rank])
                forward, backward = np.cumsum(x), np.cumsum(x[::-1])[::-1]
                outcomes.compare(case, (C._apply(x[mine]), forward[mine]), (C.dual._apply(x[mine]), backward[mine]))
        return outcomes

    def falls(case: tuple[int, int]) -> bool:
        starts = [start for start, stop in shifted(*case) if start < stop]
        return starts != sorted(starts)

    settle(ranks, main, falls)


def test_cumulative_sum_of_any_two_cuts(ranks: int) -> None:
    """Several sizes, cut at any two places: uneven parts and empty ones in any place."""

    def main(world: World) -> Outcomes:
        outcomes, grid = Outcomes(), Grid(world, rows=ranks)
        for n in SIZES[:7:2]:
            for cuts in itertools.combinations_with_replacement(range(n + 1), min(ranks - 1, 2)):
                inner = sorted([*cuts, *cuts][: ranks - 1])
                owned = list(itertools.pairwise([0, *inner, n]))
                S = DistributedSpace(grid, (n,), rows=Split(0, owned))
                C = DistributedCumulativeSum(S)
                x, mine = numbers(n), slice(*owned[world.rank])
                forward, backward = np.cumsum(x), np.cumsum(x[::-1])[::-1]
                outcomes.compare(
                    (n, cuts), (C._apply(x[mine]), forward[mine]), (C.dual._apply(x[mine]), backward[mine])
                )
        return outcomes

    settle(ranks, main)
