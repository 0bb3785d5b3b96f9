"""A distributed diagonal multiplies what every rank holds by its part of the entries."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import AgreementError, Copies, DistributedDiagonal, DistributedSpace, Grid, Split, World
from distdl_ops.testing import Draft, drafts_of_one_tensor, on_ranks, world_sizes
from linop import Diagonal, Euclidean, LinopError, check, matrix


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, Draft, np.ndarray]:
    size = draw(world_sizes())
    layout = draw(drafts_of_one_tensor(size, 1))[0]
    axes = [draw(st.sampled_from([n, 1])) for n in layout.shape][draw(st.integers(0, len(layout.shape))) :]
    drawn = np.random.default_rng(draw(st.integers(0, 99))).integers(-4, 5, axes).astype(float)
    return size, layout, drawn * (1 + 2j) if layout.dtype.startswith("complex") else drawn


@given(cases())
def test_matrix(case: tuple[int, Draft, np.ndarray]) -> None:
    """In any space, its matrix is the diagonal of the entries laid out; they may broadcast; all checks pass."""
    size, layout, entries = case
    diagonal = layout.embedding() @ np.broadcast_to(entries, layout.shape).ravel()

    def main(world: World) -> None:
        D = DistributedDiagonal(entries, layout.on(world))
        assert D.exact
        np.testing.assert_array_equal(matrix(D), np.diag(diagonal))
        np.testing.assert_array_equal(matrix(D.H), np.diag(diagonal.conj()))
        reports = check(D)
        assert reports, str(reports)

    on_ranks(size, main)


def test_equals_the_serial_diagonal(ranks: int, assert_laid_out: Any) -> None:
    """Complex entries in a complex space, and in a real space of complex arrays."""
    entries = np.array([1, 1j, -2, 3 - 1j, 0])

    def main(world: World) -> None:
        for field in (None, "real"):
            S = DistributedSpace(Grid(world, rows=ranks), (5,), complex, field, rows=Split(0))
            assert_laid_out(DistributedDiagonal(entries, S), Diagonal(entries, Euclidean(5, complex, field)))

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ([1.0, 2.0], r"broadcast to shape \(3,\), found shape \(2,\)"),
        (np.ones((2, 3)), r"found shape \(2, 3\)"),
        ([1.0, np.nan, 1.0], "finite"),
        ([1.0, 1j, 1.0], "complex"),
    ],
)
def test_what_is_no_diagonal_is_refused(ranks: int, entries: Any, complaint: str) -> None:
    """The same error on every rank, with the name and the space in it, also where only some have the bad entry."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Split(0))
        with pytest.raises(LinopError, match=complaint) as caught:
            DistributedDiagonal(entries, S)
        assert str(caught.value).startswith(f"DistributedDiagonal on {S}: ")
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_with_other_entries(ranks: int) -> None:
    """Entries are the same on all ranks, or all of them raise."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Copies())
        with pytest.raises(AgreementError, match="checksum"):
            DistributedDiagonal(np.full(3, float(world.rank == 0)), S)

    on_ranks(ranks, main)


def test_what_is_no_space_is_refused() -> None:
    """The error names the operator."""
    with pytest.raises(LinopError, match=r"DistributedDiagonal.* to be a DistributedSpace, found None"):
        DistributedDiagonal([1.0], None)  # type: ignore[arg-type]
