"""Functions of lists of tensors, as optimizers use them, are those of one process; each tensor has its layout."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from harness import holds
from hypothesis import given

FRESH: dict[str, Any] = {
    "add": lambda x, y: torch._foreach_add(x, y, alpha=2),
    "mul": lambda x, y: torch._foreach_mul(x, [2.0, 3.0]),
    "div": lambda x, y: torch._foreach_div(x, torch._foreach_add(torch._foreach_mul(y, y), 1.0)),
    "lerp": lambda x, y: torch._foreach_lerp(x, y, 0.3),
    "addcmul": lambda x, y: torch._foreach_addcmul(x, x, y, [0.5, 2.0]),
    "addcdiv": lambda x, y: torch._foreach_addcdiv(x, x, torch._foreach_exp(y), value=0.5),
    "norm": lambda x, y: torch._foreach_norm(x, 2),
    "maximum": lambda x, y: torch._foreach_maximum(x, y),
    "sqrt": lambda x, y: torch._foreach_sqrt(torch._foreach_abs(x)),
    "pow": lambda x, y: torch._foreach_pow(x, 2),
}

CHANGING: dict[str, Any] = {
    "add_": lambda x, y: torch._foreach_add_(x, y, alpha=2),
    "mul_": lambda x, y: torch._foreach_mul_(x, 3.0),
    "lerp_": lambda x, y: torch._foreach_lerp_(x, y, 0.3),
    "addcdiv_": lambda x, y: torch._foreach_addcdiv_(x, x, torch._foreach_exp(y), 0.5),
    "copy_": lambda x, y: torch._foreach_copy_(x, y),
    "zero_": lambda x, y: torch._foreach_zero_(x),
    "sqrt_": lambda x, y: torch._foreach_sqrt_(torch._foreach_abs(x)),
}

SHAPES = [(3, 4), (5,), (3, 4), (5,)]


@pytest.mark.parametrize("name", FRESH)
@given(st.data())
def test_a_function_of_lists_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Each result, with the gradients of all."""
    holds(data, lambda *given: FRESH[name](list(given[:2]), list(given[2:])), *SHAPES)


@pytest.mark.parametrize("name", CHANGING)
@given(st.data())
def test_lists_are_changed_as_in_one_process(name: str, data: st.DataObject) -> None:
    """Each tensor is changed where it lies."""

    def changed(*given: Any) -> Any:
        x = [t.detach().clone() for t in given[:2]]
        CHANGING[name](x, list(given[2:]))
        return x

    with torch.no_grad():
        holds(data, changed, *SHAPES)
