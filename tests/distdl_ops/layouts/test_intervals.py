"""Intervals: found by their formula or written out, they are the same sequence, and meet the same ranks."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import balanced
from distdl_ops.layouts.intervals import WRITTEN_OUT, Balanced, Intervals, Listed, halo_of

pytestmark = pytest.mark.serial

widths = st.tuples(st.integers(-4, 14), st.integers(-4, 14))
"""Of halos that may be wider than an axis, and of trimming."""


@st.composite
def computed(draw: st.DrawFn) -> Intervals:
    """Return balanced intervals, some of them widened, trimmed or rolled."""
    found = balanced(draw(st.integers(0, 12)), draw(st.integers(1, 7)))
    if draw(st.booleans()):
        found = found.widened(*draw(widths))
    return found.rolled(draw(st.integers(-9, 9))) if draw(st.booleans()) else found


@st.composite
def listed(draw: st.DrawFn) -> Intervals:
    """Return any intervals, in order or not."""
    ends = st.tuples(st.integers(-15, 25), st.integers(-15, 25)).map(sorted)
    found = draw(st.lists(ends, max_size=7))
    return Listed(sorted(found) if draw(st.booleans()) else found)


intervals = computed() | listed()


@given(intervals, st.integers(-20, 30), st.integers(1, 20))
def test_meeting(found: Intervals, start: int, length: int) -> None:
    """The ranks that are found by their ends are those whose interval has an entry in common."""
    met = set(range(start, start + length))
    assert found.meeting(start, start + length) == [k for k, (a, b) in enumerate(found) if met & set(range(a, b))]


@given(intervals)
def test_summary(found: Intervals) -> None:
    """What is known without looking at all of them is what looking finds."""
    entries = [i for a, b in found for i in range(a, b)]
    starts = [a for a, b in found if a < b]
    assert found.total == len(entries)
    assert found.longest == max((b - a for a, b in found), default=0)
    assert list(zip(*found.ends().tolist(), strict=True)) == list(found)
    assert found.hull == ((min(entries), max(entries) + 1) if entries else (0, 0))
    assert found.apart == (len(set(entries)) == len(entries))
    assert found.rising == (starts == sorted(starts))


@given(intervals)
def test_written_out(found: Intervals) -> None:
    """Written out or sent to another process, intervals are equal, have the same hash, and print alike."""
    for other in (Listed(list(found)), pickle.loads(pickle.dumps(found))):
        assert other == found
        assert found == other
        assert hash(other) == hash(found)
        assert repr(other) == repr(found) == repr(list(found))


@given(intervals, intervals)
def test_intervals_are_equal_where_their_lists_are(one: Intervals, other: Intervals) -> None:
    """Neither the formula nor the summary says that two are equal which differ somewhere."""
    assert (one == other) == (list(one) == list(other))
    assert one != list(one)


@given(intervals)
def test_sequence(found: Intervals) -> None:
    """Indices count from both ends, slices are tuples, and beyond the end there is nothing."""
    ends = list(found)
    assert [found[k] for k in range(-len(ends), len(ends))] == 2 * ends
    assert found[1:] == tuple(ends[1:])
    for beyond in (len(ends), -len(ends) - 1):
        with pytest.raises(IndexError):
            found[beyond]


@given(intervals, widths)
def test_widened(found: Intervals, pair: tuple[int, int]) -> None:
    """Each interval is widened, or trimmed until nothing is left; an empty one stays as it is."""
    below, above = pair
    expected = [(a, b) if a == b else (a - below, max(a - below, b + above)) for a, b in found]
    assert list(found.widened(below, above)) == expected


@given(intervals, st.integers(-9, 9))
def test_rolled(found: Intervals, steps: int) -> None:
    """That of rank k comes to rank k + steps, round and round."""
    rolled = found.rolled(steps)
    assert len(rolled) == len(found)
    for k, interval in enumerate(found):
        assert rolled[(k + steps) % len(found)] == interval


def test_many_intervals_are_printed_as_their_formula() -> None:
    """As many as a screen has room for are written out; of more, the formula is evaluated to the same ones."""
    assert repr(balanced(4, WRITTEN_OUT)) == repr(list(balanced(4, WRITTEN_OUT)))
    for found in (balanced(40, 17), balanced(40, 17).widened(-1, 2), balanced(40, 17).widened(0, 1).rolled(5)):
        assert repr(found).startswith("balanced(40, 17)")
        assert eval(repr(found), {"balanced": balanced}) == found


def test_what_takes_no_list_stays_computed() -> None:
    """A halo of a halo, and a shift of it, of a million intervals are made without looking at them."""
    found = balanced(10**7, 10**6).widened(2, -1).widened(1, 3).rolled(7)
    assert isinstance(found, Balanced)
    assert found[7] == (-3, 12)
    assert found.meeting(5_000_000, 5_000_001) == [500_006, 500_007]


@pytest.mark.parametrize("wrong", [[(3, 1)], [(0, 1, 2)], [(0.5, 2)], [3]])
def test_what_is_no_interval(wrong: list[tuple[int, int]]) -> None:
    """Neither a pair in the wrong order, nor another number of numbers, nor fractions make an interval."""
    with pytest.raises(ValueError, match="interval"):
        Listed(wrong)


@given(st.integers(0, 12), st.integers(1, 7), widths)
def test_halos_are_found(extent: int, parts: int, pair: tuple[int, int]) -> None:
    """By how much intervals were widened is seen, however they are written; of others, that they were not."""
    found = balanced(extent, parts).widened(*pair)
    for same in (found, Listed(list(found))):
        halo = halo_of(same, extent)
        assert halo is not None
        assert balanced(extent, parts).widened(*halo) == found
    assert halo_of(Listed([*found, (-99, 99)]), extent) is None
