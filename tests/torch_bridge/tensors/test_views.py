"""A change of a view changes what it is a view of, also where its entries were moved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from harness import Layouts, agrees, layouts, normal
from hypothesis import given

from distdl_ops import Grid, Split, World, simulate
from torch_bridge.tensors import UnsupportedError, distribute_tensor

VIEWS: dict[str, Callable[[Any], Any]] = {
    "view": lambda x: x.view(2, 12),
    "row": lambda x: x[1],
    "columns": lambda x: x[:, 2:4],
    "transposed": lambda x: x.t(),
    "chunk": lambda x: x.chunk(2)[0],
    "chunk along the other axis": lambda x: x.chunk(4, 1)[2],
    "diagonal": lambda x: x.diagonal(),
    "view of a view": lambda x: x.T.view(6, 2, 2)[0],
    "unbound": lambda x: x.unbind(0)[2],
    "column": lambda x: x.select(1, 3),
    "narrow": lambda x: x.narrow(0, 1, 2),
    "split": lambda x: x.split([1, 3])[1],
    "axes of length one": lambda x: x.unsqueeze(0).squeeze(),
}
SEVERAL = ("chunk", "chunk along the other axis", "unbound", "split")
"""Views that torch does not change where gradients are recorded, as a function returns several of them."""

CHANGES: dict[str, Callable[[Any, Any], Any]] = {
    "add_": lambda view, y: view.add_(y.numel()),
    "zero_": lambda view, _: view.zero_(),
    "copy_": lambda view, y: view.copy_(y.sum()),
    "*=": lambda view, _: view.__imul__(3),
    "[...]": lambda view, y: view.__setitem__(..., y.mean()),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("view", VIEWS)
@given(layouts((4, 6), (3,), largest=3))
def test_a_change_of_a_view_changes_the_tensor(view: str, change: str, layout: Layouts) -> None:
    """The tensor that is viewed has the change, and gradients go through it."""

    def changed(x: Any, y: Any) -> Any:
        x = x * 1.0
        CHANGES[change](VIEWS[view](x), y)
        return x

    grad = view not in SEVERAL
    agrees(layout, changed, normal(4, 6, grad=grad), normal(3, grad=grad))


def test_a_sum_that_is_not_carried_out_has_views() -> None:
    """A view of terms of a sum is one of the sum, and changes it."""

    def main(world: World) -> list[float]:
        grid = Grid(world, rows=2)
        x = distribute_tensor(torch.arange(6.0).reshape(2, 3), grid, rows=Split(1))
        y = x @ distribute_tensor(torch.ones(3), grid, rows=Split(0))
        y.view(1, 2).add_(1)
        y[0] += 1
        return y.tolist()  # type: ignore[no-any-return]

    assert simulate(2, main) == [[5.0, 13.0]] * 2


def test_what_may_be_a_copy_or_a_view_is_not_changed() -> None:
    """Whether `reshape` copies depends on the order in memory: a change of its result is refused on all ranks."""

    def main(world: World) -> str:
        x = distribute_tensor(torch.ones(4, 6), Grid(world, rows=2), rows=Split(1))
        with pytest.raises(UnsupportedError) as raised:
            x.reshape(24).add_(1)
        return str(raised.value)

    assert all("reshape" in message and "add_" in message for message in simulate(2, main))
