"""Finite differences of distributed tensors are those of the logical tensor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DistributedFiniteDifference,
    DistributedSpace,
    Grid,
    Replicated,
    Split,
    World,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import Euclidean, FiniteDifference, LinopError, SpaceError, check
from linop.testing import DTYPES

SCHEMES = ("forward", "backward", "central")
BOUNDARIES = ("valid", "zero", "periodic", "reflect", "edge")

SIZES = (*range(8), 10, 13)
"""How many entries there are: fewer than ranks, as many, and more."""


@dataclass(frozen=True)
class Case:
    """A tensor over a grid, what is asked for, and how the result is to lie."""

    size: int
    domain: Draft
    axis: int
    options: dict[str, Any]
    codomain: Draft | None


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw differences; of them, those that are none in one process, too."""
    size = draw(world_sizes())
    shape = tuple(draw(st.lists(st.integers(0, 7), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    layout = draw(drafts(draw(grids(size)), shape, dtype, roles=(At, Split, Replicated), once=True))
    if Copies() in layout.roles.values():  # more grid axes than tensor axes
        layout.roles.update({name: Replicated() for name, role in layout.roles.items() if role == Copies()})
    options = {
        "order": draw(st.integers(1, 4)),
        "scheme": draw(st.sampled_from(SCHEMES)),
        "boundary": draw(st.sampled_from(BOUNDARIES)),
        "spacing": draw(st.sampled_from([1, 0.5, 2.0])),  # powers of two keep it exact
    }
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    try:
        result = FiniteDifference(Euclidean(shape, dtype), axis, **options).codomain.shape
    except SpaceError:
        return Case(size, layout, axis, options, None)
    codomain = draw(st.none() | grids(size).flatmap(lambda axes: drafts(axes, result, dtype)))
    return Case(size, layout, axis, options, codomain)


@given(case=cases())
def test_equals_the_serial_difference(case: Case, assert_laid_out: Any) -> None:
    """Along split and whole axes, to any layout: exactly, and so is the adjoint; or refused as in one process."""

    def main(world: World) -> str:
        X = case.domain.on(world)
        Y = None if case.codomain is None else case.codomain.on(world)
        try:
            expected = FiniteDifference(Euclidean(X.global_shape, X.dtype), case.axis, **case.options)
        except SpaceError:
            with pytest.raises(SpaceError) as caught:
                DistributedFiniteDifference(X, case.axis, **case.options, codomain=Y)
            return str(caught.value)
        A = DistributedFiniteDifference(X, case.axis, **case.options, codomain=Y)
        assert A.exact
        assert_laid_out(A, expected)
        return ""

    assert len(set(on_ranks(case.size, main))) == 1


@pytest.mark.serial  # the engine makes no difference
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_every_size(ranks: int, boundary: str, scheme: str, order: int) -> None:
    """Of up to 13 entries, on any number of ranks: the serial result, or refused on all ranks alike as it is there."""
    options: Any = {"boundary": boundary, "scheme": scheme, "order": order}

    def main(world: World) -> list[str]:
        grid, told = Grid(world, rows=ranks), []
        for n in SIZES:
            X = DistributedSpace(grid, (n,), rows=Split(0))
            try:
                expected = FiniteDifference(Euclidean(n), **options)
            except SpaceError:
                with pytest.raises(SpaceError) as caught:
                    DistributedFiniteDifference(X, **options)
                told.append(str(caught.value))
                continue
            A = DistributedFiniteDifference(X, **options)
            x, y = Euclidean(n).integers(n), expected.codomain.integers(n)
            np.testing.assert_array_equal(A.codomain.to_global(A(X.from_global(x))), expected(x))
            np.testing.assert_array_equal(X.to_global(A.H(A.codomain.from_global(y))), expected.H(y))
            told.append("equal")
        return told

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)
    reach = order + (1 if scheme == "central" and order % 2 else 0)
    least = {"valid": reach, "zero": 0}.get(boundary, 1)
    assert ["equal" not in told for told in results[0]] == [n < least for n in SIZES]


def test_formula(ranks: int) -> None:
    """The expression reads as its formula: a number, a local correlation, and a halo exchange."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (4 * ranks,), rows=Split(0))
        return str(DistributedFiniteDifference(S, order=2, scheme="central", boundary="zero", spacing=0.5))

    assert set(on_ranks(ranks, main)) == {"4 * Local(Correlation(3)) @ HaloExchange(rows)"}


def test_any_spacing(ranks: int, assert_laid_out: Any) -> None:
    """A spacing that is no power of two rounds, and passes all checks to within its roundings."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (9,), rows=Split(0))
        for boundary in BOUNDARIES:
            options: Any = {"order": 2, "scheme": "central", "spacing": 0.1, "boundary": boundary}
            assert_laid_out(DistributedFiniteDifference(S, **options), FiniteDifference(Euclidean(9), **options))

    on_ranks(ranks, main)


def test_torch(ranks: int) -> None:
    """Every check passes for tensors of torch in single precision."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (9, 2), rows=Split(0))
        reports = check(DistributedFiniteDifference(S, 0, boundary="reflect"), like=torch.zeros(1))
        assert reports, str(reports)

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"axis": 2}, "expected one of its 2 axes"),
        ({"order": 0}, "order that is an integer, one or more"),
        ({"order": 7}, "reaches over 7 steps"),
        ({"spacing": 0.0}, "positive and finite"),
    ],
)
def test_what_does_not_fit_is_refused(ranks: int, options: Any, complaint: str) -> None:
    """The same error on every rank, with the name and the space in it."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 5), rows=Split(0))
        with pytest.raises(LinopError, match=complaint) as caught:
            DistributedFiniteDifference(S, **options)
        assert str(caught.value).startswith(f"DistributedFiniteDifference on {S}: ")
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


def test_copies_and_other_codomains_are_refused(ranks: int) -> None:
    """Copies would be summed on the way; a codomain has the derivative's shape."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (6,), rows=Copies())
        with pytest.raises(SpaceError, match=r"DistributedFiniteDifference on .* once, found rows=Copies\(\)"):
            DistributedFiniteDifference(S)
        S = S.with_roles(rows=Split(0))
        with pytest.raises(SpaceError, match=r"DistributedFiniteDifference on .* expected a codomain of shape \(5,\)"):
            DistributedFiniteDifference(S, codomain=S)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_with_other_arguments(ranks: int) -> None:
    """Another scheme, order or spacing on one rank: all ranks raise."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (6,), rows=Split(0))
        last = world.rank == ranks - 1
        for options in (
            {"scheme": "backward" if last else "forward"},
            {"order": 2 if last else 1},
            {"spacing": 2.0 if last else 1.0},
            {"boundary": "edge" if last else "zero"},
        ):
            with pytest.raises(AgreementError, match="the ranks disagree"):
                DistributedFiniteDifference(S, **options)  # type: ignore[arg-type]

    on_ranks(ranks, main)
