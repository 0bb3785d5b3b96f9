"""Functions that change their argument change it on any layout, also where its entries come together for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from harness import Layouts, agrees, layouts, normal
from hypothesis import given

CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "addmv_": lambda x, y: x[:, 0].addmv_(y, y[0] * 2),
    "masked_scatter_": lambda x, y: x.masked_scatter_(y > 0, y),
    "rrelu_": lambda x, _: torch.rrelu_(x, 0.2, 0.2),
    "rrelu(inplace=True)": lambda x, _: F.rrelu(x, inplace=True),
    "fill_": lambda x, _: x.fill_(value=2.0),
    "cumsum_": lambda x, _: x.cumsum_(0),
    "tril_": lambda x, _: x.tril_(),
    "scatter_": lambda x, y: x.scatter_(1, y.argsort(1), y),
    "index_add_": lambda x, y: x.index_add_(0, torch.tensor([2, 0]), y[:2]),
    "index_fill_": lambda x, _: x.index_fill_(1, torch.tensor([1]), 3.0),
    "index_reduce_": lambda x, y: x.index_reduce_(0, torch.tensor([2, 0]), y[:2], "prod"),
    "cumprod_": lambda x, _: x.cumprod_(1),
    "renorm_": lambda x, _: x.renorm_(2, 0, 0.5),
}


@pytest.mark.filterwarnings("ignore:index_reduce:UserWarning")  # in beta, says torch
@pytest.mark.parametrize("change", CHANGES)
@given(layouts((3, 4), (3, 4), largest=3))
def test_the_argument_is_changed(change: str, layout: Layouts) -> None:
    """The changed tensor and its gradients are those of one process."""

    def changed(x: Any, y: Any) -> Any:
        x = x * 1.0
        CHANGES[change](x, y)
        return x

    agrees(layout, changed, normal(3, 4), normal(3, 4, seed=1))
