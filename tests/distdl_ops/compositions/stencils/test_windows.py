"""The geometry of windows: which entries a rank needs, and how it comes to those beyond the tensor."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Split, World
from distdl_ops.compositions.stencils.windows import CONTINUATIONS, Continuation, Window, roles_seen, views_here
from distdl_ops.testing import on_ranks

MODES = {"zero": "constant", "periodic": "wrap", "reflect": "reflect", "edge": "edge"}

windows = st.builds(
    Window, st.integers(1, 5), st.integers(1, 4), st.tuples(st.integers(0, 7), st.integers(0, 7)), st.integers(1, 3)
)


def seen(window: Window, extent: int, result: int) -> list[int]:
    """Return the entries that a result sees, from the definition; those beyond the axis, too."""
    return [result * window.stride - window.padding[0] + window.dilation * k for k in range(window.kernel)]


@given(windows, st.integers(0, 12))
def test_results_are_the_windows_that_fit(window: Window, extent: int) -> None:
    """As many as stay within the padded axis."""
    count, past = 0, extent + window.padding[1]
    while seen(window, extent, count)[-1] < past:
        count += 1
    assert window.results(extent) == count


@given(windows, st.integers(0, 9), st.integers(0, 9))
def test_needed_is_the_smallest_interval(window: Window, start: int, length: int) -> None:
    """From the first entry that a result of the interval sees to the last; empty for an empty one."""
    first, last = window.needed((start, start + length))
    entries = [i for result in range(start, start + length) for i in seen(window, 99, result)]
    assert (last - first, range(first, last)) == (
        (0, range(0)) if not entries else (max(entries) - min(entries) + 1, range(min(entries), max(entries) + 1))
    )


@given(windows, st.integers(1, 12), st.sampled_from(CONTINUATIONS), st.data())
def test_views_continue_the_axis(window: Window, extent: int, boundary: Continuation, data: st.DataObject) -> None:
    """What is held, continued and cropped is what the results see of the axis continued by NumPy."""
    count = window.results(extent)
    start, stop = sorted(data.draw(st.tuples(st.integers(0, count), st.integers(0, count))))
    held, widths, crop = window.view((start, stop), extent, boundary)
    axis = np.arange(1, extent + 1)
    far = 40  # beyond any interval
    if boundary in ("zero", "periodic"):  # the movement brings these entries, wherever the interval leaves the axis
        brought = np.pad(axis, far, mode=MODES[boundary])[held[0] + far : held[1] + far]
    else:
        assert 0 <= held[0] <= held[1] <= extent or start == stop
        brought = axis[slice(*held)] if start < stop else axis[:0]
    continued = np.pad(brought, widths, mode=MODES[boundary]) if any(widths) else brought
    first, last = window.needed((start, stop))
    padded = np.pad(axis, far, mode=MODES[boundary])
    np.testing.assert_array_equal(continued[slice(*crop)], padded[first + far : last + far])


@given(windows, st.integers(1, 12), st.sampled_from(CONTINUATIONS))
def test_no_more_is_held_than_needed(window: Window, extent: int, boundary: Continuation) -> None:
    """Every entry that is brought is one that the results see, unless it lies between two that they see."""
    count = window.results(extent)
    held, widths, _ = window.view((0, count), extent, boundary)
    entries = [i for result in range(count) for i in seen(window, extent, result)]
    inside = {i for i in range(min(entries, default=0), max(entries, default=-1) + 1) if 0 <= i < extent}
    if boundary in ("zero", "periodic"):
        assert set(range(*held)) >= inside
        assert widths == (0, 0)
    elif entries:
        below, above = max(0, -min(entries)), max(0, max(entries) + 1 - extent)
        assert widths == (below, above)
        most = max(below, above) + 1
        ends = {*range(most if below else 0), *range(extent - most if above else extent, extent)}
        assert set(range(*held)) <= set(range(min(inside | ends), max(inside | ends) + 1))


def test_roles_and_views_of_all_ranks(ranks: int) -> None:
    """Along split axes, intervals for every rank; along whole ones, everything with its padding; else nothing."""
    window = Window(kernel=3, stride=2, padding=(1, 1))

    def main(world: World) -> None:
        for parts in (ranks, 1):
            Y = DistributedSpace(Grid(world, rows=parts), (4, 4), rows=Split(0))
            roles = roles_seen(Y, {0: window, 1: window}, (8, 8))
            cuts = [start for start, _ in Y.roles["rows"].intervals] + [4]  # type: ignore[attr-defined]
            assert roles == {"rows": Split(0, [window.needed(interval) for interval in pairwise(cuts)])}
            views = views_here(Y, {0: window, 1: window}, (8, 8), "edge")
            if Y.grid.coordinates is None:
                assert views == dict.fromkeys((0, 1), ((0, 0), (0, 0), (0, 0)))
            else:
                assert views[1] == ((0, 8), (1, 1), (0, 10))
                assert views[0] == window.view(Y.layout.intervals_at(world.rank)[0], 8, "edge")  # type: ignore[index]
            assert roles_seen(Y, {1: window}, (4, 8)) == Y.roles
            periodic = roles_seen(Y, {0: window}, (8, 4), "periodic")["rows"]
            assert isinstance(periodic, Split)
            assert periodic.boundary == "periodic"

    on_ranks(ranks, main)


@pytest.mark.parametrize("boundary", ["reflect", "edge"])
def test_an_axis_shorter_than_the_padding(boundary: Continuation) -> None:
    """Then all of it is held, and continued as often as needed."""
    view = Window(kernel=1, padding=(5, 5)).view((0, 3), 2, boundary)
    assert view == ((0, 2 if boundary == "reflect" else 1), (5, 0), (0, 3))
