"""The distributed Fourier transform is that of the logical tensor."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import AgreementError, At, Copies, DistributedFFT, DistributedSpace, Grid, Replicated, Split, World
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import FFT, Euclidean, LinopError, SpaceError, check
from linop.verify import probe

NORMS = ("backward", "ortho", "forward")


@dataclass(frozen=True)
class Case:
    """A tensor over a grid, what is asked for, and how the result is to lie."""

    size: int
    domain: Draft
    options: dict[str, Any]
    codomain: Draft | None


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size = draw(world_sizes())
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    dtype = draw(st.sampled_from(["complex64", "complex128"]))
    layout = draw(drafts(draw(grids(size)), shape, dtype, roles=(At, Split, Replicated), once=True))
    if Copies() in layout.roles.values():  # more grid axes than tensor axes
        layout.roles.update({name: Replicated() for name, role in layout.roles.items() if role == Copies()})
    points = [axis for axis, n in enumerate(shape) if n > 0]
    options = {
        "axes": tuple(draw(st.permutations(points))[draw(st.integers(0, len(points))) :]),
        "norm": draw(st.sampled_from(NORMS)),
        "inverse": draw(st.booleans()),
    }
    codomain = draw(st.none() | grids(size).flatmap(lambda axes: drafts(axes, shape, dtype)))
    return Case(size, layout, options, codomain)


@given(case=cases(), field=st.sampled_from([None, "real"]))
def test_equals_the_serial_transform(case: Case, field: str | None, assert_laid_out: Any) -> None:
    """Along any axes, split or whole, to any layout, over either field: to within its roundings, as is its adjoint."""

    def space(world: World, layout: Draft) -> DistributedSpace:
        return DistributedSpace(Grid(world, **layout.axes), layout.shape, layout.dtype, field, **layout.roles)

    def main(world: World) -> None:
        X = space(world, case.domain)
        Y = None if case.codomain is None else space(world, case.codomain)
        A = DistributedFFT(X, **case.options, codomain=Y)
        assert_laid_out(A, FFT(Euclidean(X.global_shape, X.dtype, field), **case.options))

    on_ranks(case.size, main)


@pytest.mark.serial  # the engine makes no difference
@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("columns", [None, 1, 3])
def test_every_size(ranks: int, columns: int | None, norm: Any, inverse: bool) -> None:
    """Of 0 to 13 points, on any number of ranks: the serial result, or refused on all ranks alike as it is there."""
    behind = () if columns is None else (columns,)

    def main(world: World) -> list[str]:
        grid, told = Grid(world, rows=ranks), []
        for n in range(14):
            X = DistributedSpace(grid, (n, *behind), complex, rows=Split(0))
            V = Euclidean((n, *behind), complex)
            try:
                expected = FFT(V, norm=norm, inverse=inverse)
            except SpaceError:
                with pytest.raises(SpaceError) as caught:
                    DistributedFFT(X, norm=norm, inverse=inverse)
                told.append(str(caught.value))
                continue
            A = DistributedFFT(X, norm=norm, inverse=inverse, codomain=X)
            x = V.normal(n)
            for side, serial in ((A, expected), (A.H, expected.H)):
                found, wanted = X.to_global(side(X.from_global(x))), serial(x)
                assert V.norm(found - wanted) <= probe.tolerance(A, wanted) * V.norm(wanted)
            told.append("equal")
        return told

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)
    assert ["equal" not in told for told in results[0]] == [n == 0 for n in range(14)]


def test_inverse_begins_where_the_transform_ends(ranks: int) -> None:
    """So nothing moves between the two, or after them; their product is the identity, up to rounding."""

    def main(world: World) -> tuple[list[str], float, bool]:
        uneven = Split(1, [(0, 4), *[(4, 5)] * (ranks > 1), *[(5, 5)] * (ranks - 2)] if ranks > 1 else ())
        X = DistributedSpace(Grid(world, rows=ranks), (6, 5, 8), complex, rows=uneven)
        F = DistributedFFT(X)
        B = DistributedFFT(F.codomain, inverse=True, codomain=X)  # type: ignore[arg-type]
        x = X.normal(0)
        return [str(F), str(F.H), str(B)], float(X.norm(B(F(x)) - x) / X.norm(x)), bool(F.H.H == F)

    for names, error, involution in on_ranks(ranks, main):
        assert names == [
            "Local(FFT(axes=(1,))) @ AllToAll(rows) @ Local(FFT(axes=(0, 2)))",
            "Local(FFT(axes=(0, 2), norm='forward', inverse=True)) @ AllToAll(rows) "
            "@ Local(FFT(axes=(1,), norm='forward', inverse=True))",
            "Local(FFT(axes=(2,), inverse=True)) @ AllToAll(rows) @ Local(FFT(axes=(0, 1), inverse=True))",
        ]
        assert error < 1e-14
        assert involution


@pytest.mark.parametrize("ranks", [4], indirect=True)
def test_pencils_on_two_axes(ranks: int) -> None:
    """Of a cube on a grid of two axes, one repartition along one of them is between two stages."""

    def main(world: World) -> str:
        X = DistributedSpace(Grid(world, rows=2, cols=2), (4, 4, 4), complex, rows=Split(0), cols=Split(1))
        return str(DistributedFFT(X))

    expected = "Local(FFT(axes=(1,))) @ AllToAll(cols) @ Local(FFT(axes=(0,))) @ AllToAll(rows) @ Local(FFT(axes=(2,)))"
    assert set(on_ranks(ranks, main)) == {expected}


def test_torch_and_real_arguments(ranks: int) -> None:
    """Every check passes for tensors of torch in single precision; real arrays in a complex space become complex."""

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, rows=ranks), (4, 3), complex, rows=Split(0))
        A = DistributedFFT(X)
        reports = check(A, like=torch.zeros(1, dtype=torch.complex64))
        assert reports, str(reports)
        for dtype in (np.float32, np.int64):
            x = np.arange(12).reshape(4, 3).astype(dtype)
            found = A.codomain.to_global(A(X.from_global(x)))  # type: ignore[attr-defined]
            assert np.allclose(found, np.fft.fftn(x), rtol=1e-5)
            assert found.dtype == (np.complex64 if dtype is np.float32 else np.complex128)

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("dtype", "options", "complaint"),
    [
        ("f8", {}, "expected complex arrays"),
        ("c16", {"axes": 2}, "expected axes of an array with 2"),
        ("c16", {"axes": (0, 0)}, "each once"),
    ],
)
def test_what_does_not_fit_is_refused(ranks: int, dtype: str, options: Any, complaint: str) -> None:
    """The same error on every rank, with the name and the space in it."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 5), dtype, rows=Split(0))
        with pytest.raises(LinopError, match=complaint) as caught:
            DistributedFFT(S, **options)
        assert str(caught.value).startswith(f"DistributedFFT on {S}: ")
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


def test_copies_and_other_codomains_are_refused(ranks: int) -> None:
    """Copies would be summed on the way; the codomain is over the domain's field."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (6,), complex, rows=Split(0))
        with pytest.raises(SpaceError, match=r"once, found rows=Copies\(\)"):
            DistributedFFT(S.with_roles(rows=Copies()))
        with pytest.raises(SpaceError, match="over the field 'complex'"):
            DistributedFFT(S, codomain=DistributedSpace(S.grid, (6,), complex, "real", rows=Split(0)))

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_with_other_arguments(ranks: int) -> None:
    """Other axes, another norm or direction on one rank: all ranks raise."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 2), complex, rows=Split(0))
        last = world.rank == ranks - 1
        for options in (
            {"axes": 0 if last else (0, 1)},
            {"norm": "ortho" if last else "forward"},
            {"inverse": last},
            {"codomain": S if last else None},
        ):
            with pytest.raises(AgreementError, match="the ranks disagree"):
                DistributedFFT(S, **options)  # type: ignore[arg-type]

    on_ranks(ranks, main)
