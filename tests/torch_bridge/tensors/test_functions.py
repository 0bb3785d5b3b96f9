"""A user's `torch.autograd.Function`, and hooks, see whole tensors on any layout."""

from __future__ import annotations

from typing import Any

import torch
from harness import Layouts, agrees, layouts, normal
from hypothesis import given
from torch import nn

from distdl_ops import Grid, Split, World, simulate
from torch_bridge.tensors import distribute, distribute_tensor


class Cube(torch.autograd.Function):
    """Entries to the third power; the result is saved."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        y = x**3
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        x, y = ctx.saved_tensors
        return g * 3 * y / x


class Scaled(torch.autograd.Function):
    """Rows times their sums' mean, and the mean: two results, a number, a transposed layout in the gradient."""

    @staticmethod
    def forward(x: Any, w: Any, factor: float) -> Any:
        mean = x.sum() / x.shape[0]
        return factor * x @ w, mean

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        x, w, ctx.factor = inputs
        ctx.save_for_backward(x, w)

    @staticmethod
    def backward(ctx: Any, g: Any, h: Any) -> Any:
        x, w = ctx.saved_tensors
        return ctx.factor * g @ w.T + (h / x.shape[0]).expand(x.shape), (ctx.factor * g.T @ x).T, None


class Straight(torch.autograd.Function):
    """The sign, whose gradient is the identity's; the gradient is looked at as a whole."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return x.sign()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g / g.abs().max()


@given(layouts((4, 3), (3, 2)))
def test_a_function_of_a_users_is_that_of_one_process(layout: Layouts) -> None:
    """Its results and gradients are those of the whole tensors, whatever it saves and returns."""

    def function(x: Any, w: Any) -> Any:
        y, mean = Scaled.apply(Cube.apply(x), w, 0.5)  # type: ignore[no-untyped-call]
        return y, mean, Straight.apply(x)  # type: ignore[no-untyped-call]

    agrees(layout, function, normal(4, 3), normal(3, 2))


@given(layouts((4, 3)))
def test_a_function_is_differentiated_twice(layout: Layouts) -> None:
    """The gradient of the gradient is that of one process."""

    def function(x: Any) -> Any:
        x = x * 1.0 if x.requires_grad else x.requires_grad_()
        (g,) = torch.autograd.grad(Cube.apply(x).sum(), x, create_graph=True)  # type: ignore[no-untyped-call]
        return g

    agrees(layout, function, normal(4, 3))


def test_hooks_of_modules_see_whole_gradients() -> None:
    """A backward hook may use the mean of all samples' gradients."""
    layer, x = nn.Linear(3, 2).double(), normal(4, 3)

    def gradient(layer: Any, x: Any) -> tuple[torch.Tensor, list[torch.Size]]:
        shapes = []

        def hook(_: Any, into: Any, out: Any) -> Any:
            shapes.extend([into[0].shape, out[0].shape])
            return (into[0] - into[0].mean() + out[0].sum(),)

        handle = layer.register_full_backward_hook(hook)
        layer.register_full_backward_pre_hook(lambda _, out: (out[0] * out[0].abs().max(),))
        (layer(x) ** 2).sum().backward()
        handle.remove()
        return x.grad, shapes

    expected, shapes = gradient(layer, x.detach().clone().requires_grad_())

    def main(world: World) -> None:
        torch.manual_seed(0)
        whole = nn.Linear(3, 2).double()
        whole.load_state_dict({name: value.detach() for name, value in layer.state_dict().items()})
        grid = Grid(world, data=2)
        given = distribute_tensor(x.detach(), grid, data=Split(0)).requires_grad_()
        found, of = gradient(distribute(whole, grid), given)
        assert of == shapes
        torch.testing.assert_close(found.full_tensor().to_local(), expected)  # type: ignore[attr-defined]

    simulate(2, main)
