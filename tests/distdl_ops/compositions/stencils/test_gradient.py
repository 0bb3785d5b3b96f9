"""The distributed gradient is the finite differences along its axes, side by side."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DistributedFiniteDifference,
    DistributedGradient,
    DistributedSpace,
    Grid,
    Replicated,
    Split,
    World,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import Euclidean, Gradient, LinopError, Product, VStack, check


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, Draft, dict[str, Any]]:
    size = draw(world_sizes())
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=3)))
    layout = draw(drafts(draw(grids(size)), shape, "float64", roles=(At, Split, Replicated), once=True))
    if Copies() in layout.roles.values():  # more grid axes than tensor axes
        layout.roles.update({name: Replicated() for name, role in layout.roles.items() if role == Copies()})
    axes = draw(st.none() | st.lists(st.integers(-len(shape), len(shape) - 1), min_size=1, max_size=3))
    count = len(shape) if axes is None else len(axes)
    return (
        size,
        layout,
        {
            "axes": axes,
            "boundary": draw(st.sampled_from(["zero", "periodic", "reflect", "edge"])),
            "scheme": draw(st.sampled_from(["forward", "backward", "central"])),
            "spacing": draw(st.just(0.5) | st.lists(st.sampled_from([1.0, 2.0]), min_size=count, max_size=count)),
        },
    )


@given(cases())
def test_equals_the_serial_gradient(case: tuple[int, Draft, dict[str, Any]]) -> None:
    """Part by part, exactly, and so is its adjoint; every check passes."""
    size, layout, options = case

    def main(world: World) -> None:
        X = layout.on(world)
        V = Euclidean(X.global_shape)
        A, expected = DistributedGradient(X, **options), Gradient(V, **options)
        assert isinstance(A.codomain, Product)
        x, y = V.integers(0), expected.codomain.integers(1)
        for part, found, wanted in zip(A.codomain.parts, A(X.from_global(x)), expected(x), strict=True):
            np.testing.assert_array_equal(found, part.from_global(wanted))  # type: ignore[attr-defined]
        laid_out = tuple(part.from_global(b) for part, b in zip(A.codomain.parts, y, strict=True))  # type: ignore[attr-defined]
        np.testing.assert_array_equal(A.H(laid_out), X.from_global(expected.H(y)))
        reports = check(A)
        assert reports, str(reports)

    on_ranks(size, main)


def test_formula(ranks: int) -> None:
    """It is the stack of the differences, to given spaces where they are given."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (4, 5), rows=Split(0))
        T = S.with_roles(rows=Split(1))
        A = DistributedGradient(S, boundary="zero", codomain=Product(S, T))
        down, right = (DistributedFiniteDifference(S, k, boundary="zero", codomain=[S, T][k]) for k in (0, 1))
        assert VStack(down, right) == A
        assert A.codomain == Product(S, T)

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"axes": ()}, "expected one axis or more"),
        ({"axes": (0, 1), "spacing": [1.0]}, "one spacing for each of 2 axes"),
        ({"axes": (2,)}, "expected one of its 2 axes"),
        ({"order": 9}, "reaches over 9 steps"),
    ],
)
def test_what_does_not_fit_is_refused(ranks: int, options: Any, complaint: str) -> None:
    """The same error on every rank."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (4, 5), rows=Split(0))
        with pytest.raises(LinopError, match=complaint) as caught:
            DistributedGradient(S, **options)
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_with_other_axes(ranks: int) -> None:
    """More axes on one rank: all ranks raise, and none waits for the others' next difference."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (4, 5), rows=Split(0))
        with pytest.raises(AgreementError, match="the ranks disagree"):
            DistributedGradient(S, axes=(0, 1) if world.rank == 0 else (0,))

    on_ranks(ranks, main)
