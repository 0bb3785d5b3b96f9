"""One rank of a million: what it builds takes time and memory for what it has to do with, not for all ranks.

The other ranks are not there. A world stands in for them in which everyone says what this rank says, as they do in a
program that is the same everywhere; nothing can be applied in it.
"""

import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

import pytest

from distdl_ops import (
    At,
    Copies,
    DistributedFiniteDifference,
    DistributedSpace,
    Grid,
    HaloExchange,
    Movement,
    Replicated,
    Shift,
    Split,
    World,
)
from distdl_ops.worlds.world import Traffic

pytestmark = pytest.mark.serial

T = TypeVar("T")
RANKS = 10**6


class OneOfMany(World):
    """A world of which only one rank is there; the others say the same."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size, self.traffic = rank, size, Traffic()

    @property
    def failures(self) -> int:
        """No rank raises."""
        return 0

    def sub(self, ranks: Sequence[int]) -> World | None:
        """Return a world of so many ranks."""
        return OneOfMany(ranks.index(self.rank), len(ranks)) if self.rank in ranks else None

    def agree(self, number: int, what: str) -> bool:  # noqa: ARG002 - of the protocol
        """Agree."""
        return True

    def allgather(self, value: T, what: str) -> list[T]:  # noqa: ARG002 - of the protocol
        """Return what everyone says, once."""
        return [value]

    def _nobody(self, *arguments: Any) -> NoReturn:
        raise NotImplementedError("the other ranks are not there")

    exchange = fail = _broadcast = _reduce = _allreduce = _nobody


def line() -> DistributedSpace:
    """Return a vector that is split along a line of ranks."""
    return DistributedSpace(Grid(OneOfMany(500_500, RANKS), p=RANKS), (4 * RANKS,), p=Split(0))


def plane() -> DistributedSpace:
    """Return a matrix that is split along both of its axes."""
    grid = Grid(OneOfMany(500_500, RANKS), rows=1000, cols=1000)
    return DistributedSpace(grid, (4000, 4000), rows=Split(0), cols=Split(1))


def most_allocated(make: Callable[[], object]) -> int:
    """Return the bytes that Python and NumPy have allocated at once during a call."""
    make()  # what is imported or compiled at the first call stays
    tracemalloc.start()
    try:
        made = make()
        most = tracemalloc.get_traced_memory()[1]
        del made
    finally:
        tracemalloc.stop()
    return most


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda S: S.with_roles(p=Split(0)), id="space"),
        pytest.param(lambda S: S.with_roles(p=Split(0)) == S, id="=="),
        pytest.param(lambda S: HaloExchange(S, {0: (1, 1)}), id="halo exchange"),
        pytest.param(lambda S: HaloExchange(S, {0: (1, 1)}) == HaloExchange(S, {0: (1, 1)}), id="== of two halos"),
        pytest.param(lambda S: {HaloExchange(S, {0: (2, -1)}).H: "trimmed"}, id="hash"),
        pytest.param(lambda S: repr(HaloExchange(S, {0: (9, 9)}, boundary="periodic")), id="repr"),
        pytest.param(lambda S: Shift(S, 3, "p").H, id="shift"),
        pytest.param(lambda S: Movement(S.with_roles(p=At(3)), S.with_roles(p=At(500_500))), id="move"),
        pytest.param(lambda S: DistributedFiniteDifference(S, 0).H, id="finite difference"),
    ],
)
def test_memory_on_a_line(make: Callable[[DistributedSpace], object]) -> None:
    """Less than a bit for each rank."""
    S = line()
    assert most_allocated(lambda: make(S)) < RANKS // 8


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda S: HaloExchange(S, {0: (1, 1), 1: (2, 2)}), id="halo exchange"),
        pytest.param(lambda S: Movement(S.with_roles(rows=At(0)), S.with_roles(rows=Copies())), id="broadcast"),
        pytest.param(lambda S: Movement(S.with_roles(rows=Copies()), S.with_roles(rows=Replicated())), id="all-reduce"),
    ],
)
def test_memory_in_a_plane(make: Callable[[DistributedSpace], object]) -> None:
    """A halo on all sides, and collectives along columns of a thousand ranks: a byte for each rank at most."""
    S = plane()
    assert most_allocated(lambda: make(S)) < RANKS


def test_what_a_rank_of_a_million_holds() -> None:
    """Shapes and sizes are those of the formula, and long intervals are printed as theirs."""
    S = line()
    H = HaloExchange(S, {0: (1, 2)})
    assert S.shape == (4,)
    assert H.codomain.shape == (7,)
    assert H.codomain.size == 7 * RANKS
    assert H.codomain != S
    assert str(H.codomain).endswith("p=Split(0, balanced(4000000, 1000000).widened(1, 2)))")
    assert Shift(S, 3, "p").codomain.layout.intervals_at(500_500) == ((4 * 500_497, 4 * 500_498),)
    assert S.with_roles(p=Copies()).size == 4 * RANKS**2
