"""Functions of entries are those of one process, on any layout, with broadcasting."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from harness import holds, normal
from hypothesis import given

OF_ONE: dict[str, Any] = {
    "activations": lambda x: F.gelu(x) + F.silu(x) + F.leaky_relu(x, 0.3) + F.elu(x) + F.hardswish(x) + F.softplus(x),
    "roots": lambda x: (x * x + 1).sqrt().log().rsqrt(),
    "bounds": lambda x: (x.clamp(-0.5, 0.5), x.clamp(min=x.detach() * 0.5), F.threshold(x, 0.1, 2.0)),
    "tests": lambda x: (x > 0, x.isnan(), x.sign(), x.round(decimals=1), torch.isclose(x, x * 1)),
    "conversions": lambda x: (
        x.float(),
        x.to(torch.int64),
        x.to(torch.complex64).abs(),
        x.bool(),
        x.type_as(x.float()),
    ),
    "special": lambda x: torch.special.erfcx(x) + torch.special.ndtr(x) + torch.i0(x) + torch.sinc(x),
    "two results": lambda x: tuple(torch.frexp(x.detach())),
    "like": lambda x: (torch.zeros_like(x), torch.full_like(x, 3), torch.ones_like(x, dtype=torch.int32)),
    "where": lambda x: torch.where(x > 0, x, x * x) + x.masked_fill(x < 0, 2.0),
    "complex": lambda x: torch.view_as_real(torch.complex(x, x * 2).exp().conj().resolve_conj()),
    "numbers on either side": lambda x: 2 - x / 3 + 1 / (x * x + 1) + (2**x) % 3,
}

OF_TWO: dict[str, Any] = {
    "arithmetic": lambda x, y: x * y + x - y / (x * x + 1),
    "alpha": lambda x, y: torch.add(x, y, alpha=3),
    "extrema": lambda x, y: torch.maximum(x, y) + torch.fmin(x, y) + torch.max(x, y),
    "powers": lambda x, y: (x * x + 1) ** y + torch.atan2(x, y) + torch.hypot(x, y),
    "lerp": lambda x, y: x.lerp(y, 0.3) + torch.addcmul(x, x, y, value=0.5),
    "comparisons": lambda x, y: (x < y, torch.logical_or(x > 0, y > 0), x.eq(y)),
    "logarithms": lambda x, y: torch.logaddexp(x, y) + torch.xlogy(x, y * y + 1),
    "another dtype": lambda x, y: x.float() * y,
}

PAIRS = [((3, 4), (3, 4)), ((3, 4), (4,)), ((2, 3, 1), (3, 4)), ((3, 4), ()), ((0, 4), (1, 4)), ((1, 1), (3, 1))]


@pytest.mark.parametrize("name", OF_ONE)
@given(st.data())
def test_a_function_of_one_tensor_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Its values, dtypes and gradients; also of batches of one and of none."""
    holds(
        data,
        OF_ONE[name],
        data.draw(st.sampled_from([(3, 4), (1, 5), (0, 4), (4, 2, 3), ()])),
        tolerance=1e-6 * (name == "conversions") or 1e-12,
    )


@pytest.mark.parametrize("name", OF_TWO)
@given(st.data())
def test_a_function_of_two_tensors_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """An entry that is used for many has the sum of their gradients."""
    holds(data, OF_TWO[name], *data.draw(st.sampled_from(PAIRS)), tolerance=1e-6 * (name == "another dtype") or 1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int32, torch.bool])
@given(st.data())
def test_any_dtype_is_that_of_one_process(dtype: torch.dtype, data: st.DataObject) -> None:
    """Half precision, whole numbers and truth values promote as torch's do."""
    x = (normal(3, 4, grad=False) * 3).to(dtype)
    holds(
        data, lambda x, y: (x * y, x / 2, x == y, x | (y > 0) if not x.is_floating_point() else x + y), x, x[:1].clone()
    )


@given(st.data())
def test_terms_of_a_sum_stay_terms_through_what_is_linear(data: st.DataObject) -> None:
    """Products that are contracted over split axes are added, scaled and rectified as those of one process."""
    holds(data, lambda x, w, b: torch.relu(2 * (x @ w) + b) - (x @ w), (3, 4), (4, 2), (2,))
