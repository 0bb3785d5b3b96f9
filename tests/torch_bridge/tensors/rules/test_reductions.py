"""Sums, extrema, norms and what is made of them are those of one process, on any layout."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from harness import Layouts, agrees, holds, normal
from hypothesis import given

from distdl_ops import Grid, Replicated, Split, World, simulate
from torch_bridge import explain
from torch_bridge.tensors import distribute_tensor

SHAPES = [(3, 4, 2), (1, 5), (6,), ()]
L = torch.linalg

OF_AXES: dict[str, Any] = {
    "sum": torch.sum,
    "nansum": torch.nansum,
    "mean": torch.mean,
    "nanmean": torch.nanmean,
    "var": torch.var,
    "std": lambda x, *a, **k: torch.std(x, *a, correction=0, **k),
    "var_mean": torch.var_mean,
    "amax": torch.amax,
    "amin": lambda x, *a, **k: x.round().amin(*a, **k),  # with ties
    "all": lambda x, *a, **k: torch.all(x > -1, *a, **k),
    "any": lambda x, *a, **k: torch.any(x.round().to(torch.uint8), *a, **k),
    "logsumexp": lambda x, *a, **k: torch.logsumexp(x * 100, *a, **k),
    "norm of order 1": lambda x, *a, **k: L.vector_norm(x, 1, *a, **k),
    "norm of order 2": lambda x, *a, **k: L.vector_norm(x, 2, *a, **k),
    "norm of order 3.5": lambda x, *a, **k: L.vector_norm(x, 3.5, *a, **k),
    "norm of order inf": lambda x, *a, **k: L.vector_norm(x, torch.inf, *a, **k),
    "norm of order -inf": lambda x, *a, **k: L.vector_norm(x, -torch.inf, *a, **k),
    "norm of order -1": lambda x, *a, **k: L.vector_norm(x, -1, *a, **k),
    "norm of order 0": lambda x, *a, **k: L.vector_norm(x.round(), 0, *a, **k),
    "torch.norm": lambda x, *a, **k: torch.norm(x, 2, *a, **k),
}
"""Functions of any axes."""

OF_AN_AXIS: dict[str, Any] = {
    "prod": torch.prod,
    "max": torch.max,
    "min": torch.min,
    "median": torch.median,
    "nanmedian": torch.nanmedian,
    "mode": torch.mode,
    "argmax": torch.argmax,
    "argmin": torch.argmin,
    "aminmax": lambda x, d, **k: torch.aminmax(x, dim=d, **k),
    "kthvalue": lambda x, d, **k: torch.kthvalue(x, 1, d, **k),
    "quantile": lambda x, d, **k: torch.quantile(x, 0.3, d, **k),
    "quantiles": lambda x, d, **k: torch.nanquantile(x, torch.tensor([0.3, 0.7]).double(), d, **k),
}

ALONG: dict[str, Any] = {
    "cumsum": torch.cumsum,
    "cumprod": torch.cumprod,
    "cummax": torch.cummax,
    "logcumsumexp": torch.logcumsumexp,
    "sort": lambda x, d: torch.sort(x, descending=True, dim=d),
    "stable sort": lambda x, d: torch.sort(x.round(), stable=True, dim=d),
    "argsort": torch.argsort,
    "topk": lambda x, d: torch.topk(x, min(1, x.shape[d]), d),
    "diff": lambda x, d: torch.diff(x, dim=d),
    "renorm": lambda x, d: torch.renorm(x, 2, d, 0.5) if x.ndim > 1 else x,
    "trapezoid": lambda x, d: torch.trapezoid(x, dx=0.5, dim=d),
    "cumulative trapezoid": lambda x, d: torch.cumulative_trapezoid(x, dim=d),
}
"""Functions whose result has the axis as well."""

WHOLE: dict[str, Any] = {
    "sum": torch.sum,
    "mean": lambda x: x.mean(dtype=torch.float32),
    "prod": torch.prod,
    "max": torch.max,
    "min": lambda x: x.round().min(),
    "aminmax": torch.aminmax,
    "std": lambda x: torch.std(x, correction=0),
    "median": torch.median,
    "count_nonzero": lambda x: torch.count_nonzero(x.round()),
    "equal": lambda x: torch.tensor(torch.equal(x, x * 1)),
    "allclose": lambda x: torch.tensor([torch.allclose(x, x + 1e-9), torch.allclose(x, x + 1)]),
    "norm": lambda x: x.norm(),
    "dist": lambda x: torch.dist(x, x.detach() * 2, 3),
    "linalg.norm": L.norm,
    "quantile": lambda x: torch.quantile(x, 0.5),
    "trapezoid of places": lambda x: torch.trapezoid(x, torch.arange(x.shape[-1]).double() ** 2) if x.ndim else x,
}

MATRICES: dict[str, Any] = {
    "fro": lambda x: L.matrix_norm(x),
    "nuc": lambda x: L.matrix_norm(x, "nuc"),
    "1": lambda x: L.norm(x, 1, (-2, -1)),
    "2": lambda x: L.matrix_norm(x, 2, keepdim=True),
    "cov": lambda x: torch.cov(x[0]),
    "corrcoef": lambda x: torch.corrcoef(x[0]),
    "trace": lambda x: torch.trace(x[0]),
    "sum_to_size": lambda x: x.sum_to_size(3, 1),
}


@pytest.mark.filterwarnings("ignore:.*degrees of freedom:UserWarning")  # of one entry: torch's own, everywhere
@pytest.mark.parametrize("name", OF_AXES)
@given(st.data())
def test_a_reduction_over_axes_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Over any of them, with ties, kept or not; the gradient of an extremum is shared as torch shares it."""
    shape = data.draw(st.sampled_from(SHAPES[:3]))
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), min_size=1, unique=True))
    keepdim = data.draw(st.booleans())
    holds(data, lambda x: OF_AXES[name](x, dim=axes, keepdim=keepdim), shape)


@pytest.mark.parametrize("name", OF_AN_AXIS)
@given(st.data())
def test_a_reduction_along_an_axis_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Its values, and its indices, which are those of the whole axis."""
    shape = data.draw(st.sampled_from(SHAPES[:3]))
    dim, keepdim = data.draw(st.integers(-len(shape), len(shape) - 1)), data.draw(st.booleans())
    holds(data, lambda x: tuple_of(OF_AN_AXIS[name](x, dim, keepdim=keepdim)), shape)


@pytest.mark.parametrize("name", ALONG)
@given(st.data())
def test_a_function_along_an_axis_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """What is cumulated, sorted or taken from neighbours."""
    shape = data.draw(st.sampled_from(SHAPES[:3]))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    holds(data, lambda x: tuple_of(ALONG[name](x, dim)), shape)


@pytest.mark.parametrize("name", WHOLE)
@given(st.data())
def test_a_reduction_of_all_entries_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """A number of a tensor, and of a number."""
    holds(data, lambda x: tuple_of(WHOLE[name](x)), data.draw(st.sampled_from(SHAPES)))


@pytest.mark.parametrize("name", MATRICES)
@given(st.data())
def test_a_reduction_of_matrices_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Norms of stacks of matrices, covariances, traces."""
    holds(data, MATRICES[name], (2, 3, 4), tolerance=1e-11)


def tuple_of(given: Any) -> Any:
    """Return torch's named tuples as plain ones."""
    return tuple(given) if isinstance(given, tuple) else given


@given(st.data())
def test_sums_of_nothing_are_those_of_one_process(data: st.DataObject) -> None:
    """Of a batch of none, and of whole numbers, truth values and complex numbers."""
    holds(data, lambda x: (x.sum(0), x.prod(0), x.mean(1), x.logsumexp(0), x.any(0), x.all()), (0, 4))
    holds(data, lambda x: (x.sum(0), x.prod(1), x.amax(0), x.max(), x.any(1)), torch.arange(12).reshape(3, 4))
    holds(data, lambda x: (x.sum(0), x.amin(0), x.any(), x.all(1)), torch.arange(12).reshape(3, 4) > 4)
    complex_numbers = torch.complex(normal(3, 4), normal(3, 4, seed=1)).detach().requires_grad_()
    holds(data, lambda x: (x.sum(0), x.mean(), x.var(1), x.prod(), x.norm()), complex_numbers)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@given(st.data())
def test_half_precision_is_summed_in_single(dtype: torch.dtype, data: st.DataObject) -> None:
    """Sums of many terms are as near as torch's own."""
    x = normal(64, 9, dtype=dtype)
    holds(data, lambda x: (x.mean(0), x.std(1), L.vector_norm(x, 2, 0), L.vector_norm(x, 3), x.softmax(0)), x)


@pytest.mark.parametrize("name", ["amax", "prod", "norm of order 3.5", "norm of order inf", "all", "logsumexp"])
def test_a_reduction_sends_no_tensor(name: str) -> None:
    """Along a split axis, a rank sends a number for each result, and not what is reduced."""
    function = {**OF_AXES, "prod": lambda x, dim: x.prod(dim[0])}[name]

    def main(world: World) -> int:
        x = distribute_tensor(normal(1000, 2), Grid(world, rows=2), rows=Split(0))
        return max(moved.forward.sent for moved in explain(lambda: function(x, dim=[0])).moved)

    assert max(simulate(2, main)) <= 2 * 2 * 8


@pytest.mark.serial
def test_the_gradient_of_an_extremum_is_shared_evenly() -> None:
    """By all entries that have it, on all ranks alike: here by three, of which one rank has two."""
    x = torch.tensor([5.0, 5.0, 1.0, 5.0]).double().requires_grad_()
    for function in (torch.amax, torch.max):
        agrees(Layouts(2, {"rows": 2}, ({"rows": Split(0)},)), function, x)


@pytest.mark.serial
@pytest.mark.parametrize(
    "layout",
    [
        Layouts(2, {"p": 2}, ({"p": Split(0)}, {"p": Split(0)})),
        Layouts(3, {"p": 3}, ({"p": Split(1, [(0, 1), (1, 3), (3, 4)])}, {"p": Replicated()})),
        Layouts(4, {"p": 2, "q": 2}, ({"p": Split(0), "q": Split(1)}, {"p": Split(1), "q": Replicated()})),
    ],
    ids=["rows", "columns", "both"],
)
def test_a_second_derivative_of_a_reduction_is_that_of_one_process(layout: Layouts) -> None:
    """Products, norms and extrema are differentiated twice."""

    def function(x: Any, y: Any) -> Any:
        total = (x * y).prod(0).sum() + (x * y).amax(1).pow(3).sum() + L.vector_norm(x * y, 3)
        return torch.autograd.grad(total, x, create_graph=True)[0]

    agrees(layout, function, normal(3, 4), normal(3, 4, seed=1), tolerance=1e-11)
