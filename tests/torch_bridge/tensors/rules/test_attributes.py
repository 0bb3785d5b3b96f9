"""Attributes and methods of the tensor as an object are those of the whole tensor."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from harness import Layouts, layouts, normal
from hypothesis import given

from distdl_ops import Grid, World
from distdl_ops.testing import on_ranks
from torch_bridge.tensors import UnsupportedError, distribute_tensor

SAME = ["shape", "ndim", "dtype", "requires_grad", "is_leaf", "nbytes", "device", "layout", "is_sparse"]
CALLED: dict[str, Any] = {
    "size": lambda x: (x.size(), x.size(-1), x.dim(), x.numel(), x.nelement(), len(x), x.element_size()),
    "kinds": lambda x: (x.is_floating_point(), x.is_complex(), torch.is_tensor(x), isinstance(x, torch.Tensor)),
    "views": lambda x: (x.T.shape, x.mT.shape, x.data.shape, x.detach().requires_grad, x.real.shape),
    "iteration": lambda x: [row.shape for row in x],
    "numbers": lambda x: (x.sum().item(), float(x.detach().sum()), bool((x > -100).all()), f"{x.sum().item():.3f}"),
    "gradients": lambda x: (x.sum().backward(), x.grad.shape, x.grad.requires_grad)[1:],
}


@given(layouts((3, 4)))
def test_attributes_are_those_of_the_whole(layout: Layouts) -> None:
    """Shapes, kinds and numbers are the same as in one process, on every rank."""
    x = normal(3, 4)
    expected = {name: getattr(x, name) for name in SAME}
    called = {name: function(normal(3, 4)) for name, function in CALLED.items()}

    def main(world: World) -> None:
        part: Any = distribute_tensor(x.detach(), Grid(world, **layout.axes), **layout.roles[0]).requires_grad_()
        for name, value in expected.items():
            assert getattr(part, name) == value, name
        for name, value in called.items():
            assert str(CALLED[name](part)) == str(value) or CALLED[name](part) == pytest.approx(value), name
        if not part._placement.replicated:
            for look in (
                torch.Tensor.tolist,
                torch.Tensor.numpy,
                lambda x: float(x[0, 0]) if len(x) > 99 else x.tolist(),
            ):
                with pytest.raises(UnsupportedError):
                    look(part.detach())

    on_ranks(layout.size, main)
