"""Correlation and convolution of distributed tensors are those of the logical tensor."""

import math
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
    DistributedConvolution,
    DistributedCorrelation,
    DistributedSpace,
    Grid,
    Replicated,
    Role,
    Split,
    World,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import Convolution, Correlation, Euclidean, LinearOperator, LinopError, Padding, SpaceError, check, matrix
from linop.testing import DTYPES

BOUNDARIES = ("zero", "periodic", "reflect", "edge")

SIZES = (*range(8), 10, 13)
"""How many entries there are: fewer than ranks, as many, and more."""


@dataclass(frozen=True)
class Case:
    """A tensor over a grid, a kernel, and what is done with them."""

    size: int
    domain: Draft
    kernel: np.ndarray
    options: dict[str, Any]
    codomain: Draft | None


def serial(X: Euclidean, kernel: Any, *, boundary: str = "zero", named: Any = Correlation, **options: Any) -> Any:
    """Return the operator in one process: what the padding is made of is put there by linop.Padding."""
    A = named(X, kernel, **options)
    if boundary == "zero":
        return A
    channels = X.ndim - len(A.padding)
    P = Padding(X, [(0, 0)] * channels + list(A.padding), boundary=boundary)
    rest = {name: value for name, value in options.items() if name != "padding"}
    return Correlation(P.codomain, A.kernel, **rest) @ P


@st.composite
def cases(draw: st.DrawFn) -> Case:
    size = draw(world_sizes())
    axes = draw(grids(size))
    spatial = tuple(draw(st.lists(st.integers(0, 7), min_size=1, max_size=2)))
    dtype = draw(st.sampled_from(DTYPES))
    layout = draw(drafts(axes, spatial, dtype, roles=(At, Split, Replicated), once=True))
    groups, outs, ins = draw(st.sampled_from([(0, 0, 0), (1, 2, 1), (1, 1, 2), (2, 4, 2)]))
    roles: dict[str, Role] = {}
    for name, role in layout.roles.items():
        roles[name] = Replicated() if role == Copies() else role  # more grid axes than tensor axes
        if isinstance(role, Split):
            roles[name] = Split(role.axis + bool(groups), role.intervals, role.boundary)
    extents = [draw(st.integers(1, 4)) for _ in spatial]
    channels = (outs, ins // groups) if groups else ()
    kernel = np.random.default_rng(draw(st.integers(0, 99))).integers(-3, 4, (*channels, *extents)).astype(float)
    pairs = st.tuples(st.integers(0, 4), st.integers(0, 4))
    options: dict[str, Any] = {
        "stride": draw(st.lists(st.integers(1, 3), min_size=len(spatial), max_size=len(spatial))),
        "dilation": draw(st.integers(1, 2)),
        "padding": draw(st.sampled_from([0, 1, "valid", "full"]) | st.tuples(*[pairs for _ in spatial])),
        "groups": max(groups, 1),
        "boundary": draw(st.sampled_from(BOUNDARIES)),
    }
    if options["boundary"] != "zero" and 0 in spatial:
        options["padding"] = 0
    if dtype.startswith("complex"):
        kernel = kernel * (1 - 1j)
    shape = (ins, *spatial) if groups else spatial
    result = serial(Euclidean(shape, dtype), kernel, **options).codomain.shape
    codomain = draw(st.none() | grids(size).flatmap(lambda axes: drafts(axes, result, dtype)))
    return Case(size, Draft(axes, shape, dtype, roles), kernel, options, codomain)


@given(case=cases())
def test_equals_the_serial_correlation(case: Case, assert_laid_out: Any) -> None:
    """Any split, kernel, stride, dilation, padding, channels and result: exactly, and so is the adjoint."""

    def main(world: World) -> None:
        X = case.domain.on(world)
        Y = None if case.codomain is None else case.codomain.on(world)
        A = DistributedCorrelation(X, case.kernel, **case.options, codomain=Y)
        assert A.exact
        assert_laid_out(A, serial(Euclidean(X.global_shape, X.dtype), case.kernel, **case.options))

    on_ranks(case.size, main)


@given(case=cases())
def test_equals_the_serial_convolution(case: Case) -> None:
    """The kernel is mirrored along its spatial axes."""

    def main(world: World) -> bool:
        X = case.domain.on(world)
        A = DistributedConvolution(X, case.kernel, **case.options)
        x = Euclidean(X.global_shape, X.dtype).integers(0, (2,))
        expected = serial(Euclidean(X.global_shape, X.dtype), case.kernel, **case.options, named=Convolution)(x)
        return np.array_equal(A(X.from_global(x)), A.codomain.from_global(expected))

    assert all(on_ranks(case.size, main))


SWEEP: dict[str, tuple[Any, dict[str, Any]]] = {
    "same": ([1.0, 2, -1], {"padding": "same"}),
    "valid": ([1.0, 2, -1, 3], {}),
    "full, wide": ([1.0, -2, 3, -4, 5, -6, 7], {"padding": "full"}),
    "stride 2": ([1.0, 2, -1], {"stride": 2, "padding": 1}),
    "stride beyond the kernel": ([2.0], {"stride": 3}),
    "dilated": ([1.0, 2, -1], {"dilation": 3, "padding": (2,)}),
    "dilated, strided, uneven padding": ([1.0, 2, -1, 1], {"dilation": 2, "stride": 3, "padding": [(4, 1)]}),
    "padding beyond the kernel": ([3.0, 1], {"padding": 5}),
}


@pytest.mark.serial  # the engine makes no difference
@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("name", SWEEP)
def test_every_size(ranks: int, name: str, boundary: str) -> None:
    """Of up to 13 entries, on any number of ranks: the serial result, or refused on all ranks alike as it is there."""
    kernel, options = SWEEP[name]

    def main(world: World) -> list[str]:
        grid, told = Grid(world, rows=ranks), []
        for n in SIZES:
            X = DistributedSpace(grid, (n,), rows=Split(0))
            try:
                expected = serial(Euclidean(n), kernel, boundary=boundary, **options)
            except SpaceError:
                with pytest.raises(SpaceError) as caught:
                    DistributedCorrelation(X, kernel, boundary=boundary, **options)  # type: ignore[arg-type]
                told.append(str(caught.value))
                continue
            A = DistributedCorrelation(X, kernel, boundary=boundary, **options)  # type: ignore[arg-type]
            x, y = Euclidean(n).integers(n), expected.codomain.integers(n)
            np.testing.assert_array_equal(A.codomain.to_global(A(X.from_global(x))), expected(x))
            np.testing.assert_array_equal(X.to_global(A.H(A.codomain.from_global(y))), expected.H(y))
            told.append("equal")
        return told

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)
    refused = ["equal" not in told for told in results[0]]
    assert refused == [boundary != "zero" and n == 0 and "padding" in options for n in SIZES]


def test_where_results_are_computed(ranks: int) -> None:
    """In the domain's intervals where the extent stays, in the codomain's where one is given."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks), (3 * ranks,), rows=Split(0))
        uneven = S.with_roles(rows=Split(0, [(0, 3 * ranks)] + [(3 * ranks, 3 * ranks)] * (ranks - 1)))
        same = DistributedCorrelation(uneven, [1.0, 1, 1], padding=1)
        other = DistributedCorrelation(S, [1.0, 1, 1], padding=1, codomain=uneven)
        assert same.domain == same.codomain == other.codomain == uneven
        assert DistributedCorrelation(S, [1.0, 1, 1]).codomain.roles == {  # type: ignore[attr-defined]
            "rows": DistributedSpace(S.grid, (3 * ranks - 2,), rows=Split(0)).roles["rows"]
        }
        copies = DistributedCorrelation(S, [1.0, 1, 1], padding=1, codomain=S.with_roles(rows=Copies()))
        return [str(other), str(copies), str(DistributedCorrelation(S, [2.0]))]

    for other, copies, pointwise in on_ranks(ranks, main):
        assert other.startswith("Local(Correlation(3)) @ ")
        assert copies == "AllGather(rows) @ Local(Correlation(3)) @ HaloExchange(rows)"
        assert pointwise == "Local(Correlation(1))"


def test_a_halo_is_all_that_is_sent(ranks: int) -> None:
    """One message to each neighbour, of what its windows see beyond its own entries."""

    def main(world: World) -> tuple[int, int]:
        S = DistributedSpace(Grid(world, rows=ranks), (8 * ranks, 5), rows=Split(0))
        A = DistributedCorrelation(S, np.ones((5, 3)), padding=(2, 1))
        x = S.normal(0)
        before = world.traffic.messages, world.traffic.bytes
        A._apply(x)
        return world.traffic.messages - before[0], world.traffic.bytes - before[1]

    for rank, (messages, size) in enumerate(on_ranks(ranks, main)):
        neighbours = (rank > 0) + (rank < ranks - 1)
        assert messages == neighbours
        assert size == neighbours * 2 * 5 * 8


@pytest.mark.parametrize("like", [torch.zeros(1, dtype=torch.float32), np.zeros(1, np.float32)], ids=["torch", "numpy"])
def test_libraries_and_precisions(ranks: int, like: Any) -> None:
    """Every check passes for arrays of torch, in single precision, with channels."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (2, 9), rows=Split(1))
        for boundary in BOUNDARIES:
            A = DistributedCorrelation(S, np.ones((3, 2, 3)), padding=1, boundary=boundary)
            reports = check(A, like=like)
            assert reports, str(reports)

    on_ranks(ranks, main)


def test_real_spaces_of_complex_arrays(ranks: int, assert_laid_out: Any) -> None:
    """Complex arrays over the real numbers are correlated with complex kernels."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=ranks), (7,), complex, "real", rows=Split(0))
        A = DistributedCorrelation(S, [1j, 2, 1 - 1j], padding=1)
        assert_laid_out(A, Correlation(Euclidean(7, complex, "real"), [1j, 2, 1 - 1j], padding=1))

    on_ranks(ranks, main)


@pytest.mark.parametrize(
    ("kernel", "options", "complaint"),
    [
        (np.ones(3), {}, "a kernel of 2 axes"),
        (np.ones((0, 3)), {}, "one tap or more"),
        (np.ones((3, 3)) * 1j, {}, "must be complex"),
        (np.full((3, 3), np.inf), {}, "finite"),
        (np.ones((3, 3)), {"stride": 0}, "stride"),
        (np.ones((3, 3)), {"stride": (1, 2, 3)}, "stride"),
        (np.ones((3, 3)), {"padding": -1}, "padding"),
        (np.ones((3, 3)), {"padding": "some"}, "padding"),
        (np.ones((3, 3)), {"padding": "same", "stride": 2}, "stride 1"),
        (np.ones((2, 6, 3)), {}, "channels must not be split, found rows="),
        (np.ones((2, 5, 3)), {}, "6 channels_in"),
    ],
)
def test_what_does_not_fit_is_refused(ranks: int, kernel: Any, options: Any, complaint: str) -> None:
    """The same error on every rank, with the name and the space in it."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (6, 6), rows=Split(0))
        with pytest.raises(LinopError, match=complaint) as caught:
            DistributedCorrelation(S, kernel, **options)
        assert str(caught.value).startswith(f"DistributedCorrelation on {S}: ")
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_with_other_arguments(ranks: int) -> None:
    """A kernel, a stride or a boundary that differs on one rank: all ranks raise, and say who has what."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks), (6,), rows=Split(0))
        last, messages = world.rank == ranks - 1, []
        for kernel, options in (
            (np.ones(3) * (2 if last else 1), {}),
            (np.ones(3), {"boundary": "edge" if last else "zero"}),
            (np.ones(1), {"stride": 3 if last else 4}),
            (np.ones(3), {"codomain": S if last else None, "padding": 1}),
            (np.ones((1, 1) if last else 3), {}),
        ):
            with pytest.raises(AgreementError, match="the ranks disagree") as caught:
                DistributedCorrelation(S, kernel, **options)
            messages.append(str(caught.value))
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)


def test_copies_are_refused(ranks: int) -> None:
    """They would be summed on the way."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, rows=1, cols=ranks), (6,), rows=Split(0), cols=Copies())
        with pytest.raises(SpaceError, match=r"expected each entry once, found cols=Copies\(\)"):
            DistributedCorrelation(S, np.ones(3))

    on_ranks(ranks, main)


def test_powers_and_polynomials(ranks: int) -> None:
    """An operator from a space to itself composes with itself: the binomial coefficients, on any number of ranks."""

    def main(world: World) -> list[float]:
        S = DistributedSpace(Grid(world, rows=ranks), (9,), rows=Split(0))
        A: LinearOperator = DistributedCorrelation(S, [1.0, 1.0, 0.0], padding=1)
        e = S.from_global(np.eye(9)[0])
        assert np.array_equal(matrix(A**2 - 2 * A), matrix(A) @ matrix(A) - 2 * matrix(A))
        return S.to_global((A**5)(e)).tolist()

    for found in on_ranks(ranks, main):
        assert found == [math.comb(5, k) for k in range(6)] + [0] * 3
