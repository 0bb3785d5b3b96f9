"""The distributed Fourier transform of real tensors is that of the logical tensor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import AgreementError, At, Copies, DistributedRFFT, DistributedSpace, Grid, Replicated, Split, World
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import RFFT, Euclidean, LinopError, SpaceError, check
from linop.verify import probe

NORMS = ("backward", "ortho", "forward")


@dataclass(frozen=True)
class Case:
    """A tensor over a grid, what is asked for, and how the half spectra are to lie."""

    size: int
    domain: Draft
    options: dict[str, Any]
    codomain: Draft | None


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size = draw(world_sizes())
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3).filter(any)))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    layout = draw(drafts(draw(grids(size)), shape, dtype, roles=(At, Split, Replicated), once=True))
    if Copies() in layout.roles.values():  # more grid axes than tensor axes
        layout.roles.update({name: Replicated() for name, role in layout.roles.items() if role == Copies()})
    points = [axis for axis, n in enumerate(shape) if n > 0]
    axes = tuple(draw(st.permutations(points))[draw(st.integers(0, len(points) - 1)) :])
    half = tuple(n // 2 + 1 if axis == axes[-1] else n for axis, n in enumerate(shape))
    spectra = "complex64" if dtype == "float32" else "complex128"
    codomain = draw(st.none() | grids(size).flatmap(lambda axes: drafts(axes, half, spectra)))
    return Case(size, layout, {"axes": axes, "norm": draw(st.sampled_from(NORMS))}, codomain)


@given(case=cases())
def test_equals_the_serial_transform(case: Case, assert_laid_out: Any) -> None:
    """Along any axes, split or whole, the halved one too, to any layout: to within its roundings, as is its adjoint."""

    def main(world: World) -> None:
        X, Y = case.domain.on(world), None
        if case.codomain is not None:
            grid = Grid(world, **case.codomain.axes)
            Y = DistributedSpace(grid, case.codomain.shape, case.codomain.dtype, "real", **case.codomain.roles)
        A = DistributedRFFT(X, **case.options, codomain=Y)
        assert_laid_out(A, RFFT(Euclidean(X.global_shape, X.dtype), **case.options))

    on_ranks(case.size, main)


@pytest.mark.serial  # the engine makes no difference
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("axes", [(0,), (0, 1), (1, 0), (1,)])
def test_every_size(ranks: int, axes: tuple[int, ...], norm: Any) -> None:
    """Of 0 to 13 points, on any number of ranks: the serial result, or refused on all ranks alike as it is there."""

    def main(world: World) -> list[str]:
        grid, told = Grid(world, rows=ranks), []
        for n in range(14):
            X, V = DistributedSpace(grid, (n, 3), rows=Split(0)), Euclidean((n, 3))
            try:
                expected = RFFT(V, axes, norm=norm)
            except SpaceError:
                with pytest.raises(SpaceError) as caught:
                    DistributedRFFT(X, axes, norm=norm)
                told.append(str(caught.value))
                continue
            A = DistributedRFFT(X, axes, norm=norm)
            Y, W = A.codomain, expected.codomain
            x, y = V.normal(n), W.normal(n)
            found, wanted = Y.to_global(A(X.from_global(x))), expected(x)  # type: ignore[attr-defined]
            assert W.norm(found - wanted) <= probe.tolerance(A, wanted) * W.norm(wanted)
            back, wanted = X.to_global(A.H(Y.from_global(y))), expected.H(y)  # type: ignore[attr-defined]
            assert V.norm(back - wanted) <= probe.tolerance(A, wanted) * expected.gain * W.norm(y)
            told.append("equal")
        return told

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)
    assert ["equal" not in told for told in results[0]] == [n == 0 and 0 in axes for n in range(14)]


def test_one_axis_is_transformed_on_one_rank(ranks: int) -> None:
    """Of a tensor of one axis, all points are gathered, and the spectrum stays there unless it is wanted elsewhere."""

    def main(world: World) -> str:
        return str(DistributedRFFT(DistributedSpace(Grid(world, rows=ranks), (7,), rows=Split(0))))

    for rank, found in enumerate(on_ranks(ranks, main)):
        assert found.endswith(" @ Gather(rows)")
        assert found.startswith("Local(RFFT(axes=(0,)))") == (rank == 0)


def test_torch_and_integers(ranks: int) -> None:
    """Every check passes for tensors of torch in single precision; integers become doubles on every rank."""

    def main(world: World) -> None:
        for shape in ((6,), (4, 3)):
            X = DistributedSpace(Grid(world, rows=ranks), shape, rows=Split(0))
            A = DistributedRFFT(X)
            reports = check(A, like=torch.zeros(1))
            assert reports, str(reports)
            x = np.arange(np.prod(shape)).reshape(shape)
            found = A.codomain.to_global(A(X.from_global(x)))  # type: ignore[attr-defined]
            assert np.allclose(found, np.fft.rfftn(x))

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("dtype", "options", "complaint"),
    [
        ("c16", {}, "expected real arrays"),
        ("f8", {"axes": ()}, "at least one axis, to be halved"),
        ("f8", {"axes": 2}, "expected axes of an array with 2"),
        ("f8", {"axes": (1, 1)}, "each once"),
    ],
)
def test_what_does_not_fit_is_refused(ranks: int, dtype: str, options: Any, complaint: str) -> None:
    """The same error on every rank, with the name and the space in it."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 5), dtype, rows=Split(0))
        with pytest.raises(LinopError, match=complaint) as caught:
            DistributedRFFT(S, **options)
        assert str(caught.value).startswith(f"DistributedRFFT on {S}: ")
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


def test_codomains_that_do_not_fit(ranks: int) -> None:
    """Half spectra make a real space of complex arrays: a complex one is refused, as is another shape."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 4), rows=Split(0))
        for shape, field in (((6, 3), None), ((6, 4), "real")):
            with pytest.raises(SpaceError, match=r"expected a codomain of shape \(6, 3\)"):
                DistributedRFFT(S, codomain=DistributedSpace(S.grid, shape, complex, field, rows=Split(0)))
        with pytest.raises(SpaceError, match=r"once, found rows=Copies\(\)"):
            DistributedRFFT(S.with_roles(rows=Copies()))

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_with_other_arguments(ranks: int) -> None:
    """Which axis is halved, and the norm, are the same on all ranks, or all of them raise."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 2), rows=Split(0))
        last = world.rank == ranks - 1
        for options in ({"axes": (0, 1) if last else (1, 0)}, {"norm": "ortho" if last else "forward"}):
            with pytest.raises(AgreementError, match="the ranks disagree"):
                DistributedRFFT(S, **options)  # type: ignore[arg-type]

    on_ranks(ranks, main)
