"""A distributed restriction takes slices of the logical tensor, wherever its entries lie."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DistributedRestriction,
    DistributedSpace,
    Grid,
    Replicated,
    Split,
    World,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import Euclidean, LinopError, Restriction, SpaceError
from linop.testing import DTYPES


@st.composite
def slices(draw: st.DrawFn, extent: int) -> slice:
    """Return slices of an axis, that leave it on both sides, too, and go either way."""
    ends = st.none() | st.integers(-extent - 2, extent + 2)
    return slice(draw(ends), draw(ends), draw(st.none() | st.sampled_from([1, 2, 3, -1, -2])))


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, Draft, tuple[slice, ...], Draft | None]:
    size = draw(world_sizes())
    shape = tuple(draw(st.lists(st.integers(0, 6), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    domain = draw(drafts(draw(grids(size)), shape, dtype, roles=(At, Split, Replicated), once=True))
    if Copies() in domain.roles.values():  # more grid axes than tensor axes
        domain.roles.update({name: Replicated() for name, role in domain.roles.items() if role == Copies()})
    index = tuple(draw(slices(n)) for n in shape)
    kept = tuple(len(range(n)[s]) for n, s in zip(shape, index, strict=True))
    codomain = draw(st.none() | grids(size).flatmap(lambda axes: drafts(axes, kept, dtype)))
    return size, domain, index, codomain


@given(case=cases())
def test_equals_the_serial_restriction(
    case: tuple[int, Draft, tuple[slice, ...], Draft | None], assert_laid_out: Any
) -> None:
    """From any layout that holds each entry once, to any layout, with any slices: exactly, and so is the adjoint."""
    size, domain, index, codomain = case

    def main(world: World) -> None:
        X = domain.on(world)
        A = DistributedRestriction(X, index, codomain=None if codomain is None else codomain.on(world))
        assert A.exact
        assert_laid_out(A, Restriction(Euclidean(X.global_shape, X.dtype), index))

    on_ranks(size, main)


@given(cases())
def test_nothing_is_sent_unless_asked_for(case: tuple[int, Draft, tuple[slice, ...], Draft | None]) -> None:
    """Every rank keeps what it holds; balanced, its parts differ by one entry at most."""
    size, domain, index, _ = case

    def main(world: World) -> bool:
        X = domain.on(world)
        A = DistributedRestriction(X, index)
        before = world.traffic.messages, world.traffic.collectives
        y = A._apply(X.integers(0))
        A.H._apply(y)
        assert (world.traffic.messages, world.traffic.collectives) == before
        B = DistributedRestriction(X, index, balanced=True)
        for name, role in B.codomain.roles.items():
            if isinstance(role, Split):
                assert role == B.codomain.with_roles(**{name: Split(role.axis)}).roles[name]
        return True

    assert all(on_ranks(size, main))


def test_ways_to_write_an_index(ranks: int) -> None:
    """A slice for the first axes is enough; an ellipsis stands for all that are whole."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (4, 3, 5), rows=Split(0))
        x = np.arange(60.0).reshape(4, 3, 5)
        for index in (np.s_[1:], np.s_[1:, ::2], np.s_[..., 1:], np.s_[1:, ..., ::-1], np.s_[...], np.s_[:, :, :, ...]):
            A = DistributedRestriction(S, index)
            np.testing.assert_array_equal(A.codomain.to_global(A(S.from_global(x))), x[index])

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("index", "complaint"),
    [
        (1, "expected a slice for each axis"),
        ((slice(None), 0), "expected a slice for each axis"),
        ((slice(None),) * 3, "expected a slice for each axis"),
        ((..., ...), "expected a slice for each axis"),
        (None, "expected a slice for each axis"),
        (np.array([True] * 5), "expected a mask of the shape"),
        ([[0, 1]], "an array of integers of one axis"),
        ([6], "expected indices from -6 to 5"),
        (slice(0, 3, 0), "steps other than zero"),
        (slice(0.5, 3), "slices of integers"),
    ],
)
def test_what_is_no_index_of_slices_is_refused(ranks: int, index: Any, complaint: str) -> None:
    """Integers, new axes, and masks and indices that do not fit; the same error on every rank, naming the space."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 2), rows=Split(0))
        with pytest.raises(SpaceError, match=complaint) as caught:
            DistributedRestriction(S, index)
        assert str(caught.value).startswith(f"DistributedRestriction on {S}: ")
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


def test_codomains_and_domains_that_do_not_fit(ranks: int) -> None:
    """Other shapes, dtypes or fields, copies, and two ways to ask for a layout."""

    def main(world: World) -> list[str]:
        grid = Grid(world, rows=ranks)
        S = DistributedSpace(grid, (6,), rows=Split(0))
        messages = []
        for options, complaint in (
            ({"codomain": S}, r"expected a codomain of shape \(5,\)"),
            ({"codomain": DistributedSpace(grid, (5,), np.float32, rows=Split(0))}, "expected a codomain"),
            ({"codomain": DistributedSpace(grid, (5,), rows=Split(0)), "balanced": True}, "found both"),
        ):
            with pytest.raises(LinopError, match=complaint) as caught:
                DistributedRestriction(S, np.s_[1:], **options)
            messages.append(str(caught.value))
        for role in (Copies(), Split(0, [(0, 6)] * ranks)):
            if ranks > 1 or role == Copies():
                with pytest.raises(LinopError, match="expected each entry once, found rows=") as caught:
                    DistributedRestriction(S.with_roles(rows=role), np.s_[1:])
                messages.append(str(caught.value))
        with pytest.raises(LinopError, match="DistributedSpace, or None, found 3"):
            DistributedRestriction(S, np.s_[1:], codomain=3)  # type: ignore[arg-type]
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_with_other_slices(ranks: int) -> None:
    """Slices are the same on all ranks, or all of them raise."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (6,), rows=Split(0))
        with pytest.raises(AgreementError, match="the ranks disagree"):
            DistributedRestriction(S, np.s_[world.rank == 0 :])

    on_ranks(ranks, main)
