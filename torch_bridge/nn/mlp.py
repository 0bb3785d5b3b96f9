r"""A multilayer perceptron whose weights lie by rows and by columns in turn.

.. math:: y = R_2\,W_2\,f(W_1 B_1 x + b_1) + b_2, \ldots

Along one axis of the grid, the first weight is cut into rows, so that each rank has some of the hidden features, and
the second into columns, which need just these: nothing moves in between. B_1 makes copies of the input, and R_2 adds up
what the ranks have found; where sequences are split along the axis, they are all-gather and reduce-scatter. The next
two layers go on like that.

Source: M. Shoeybi et al., *Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism*,
2019, arXiv:1909.08053.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import final

import torch

from distdl_ops import DistributedSpace
from distdl_ops.compositions.shared import carried_roles, require_codomain, settled
from linop import SpaceError
from torch_bridge.nn.dropout import Dropout
from torch_bridge.nn.linear import Linear
from torch_bridge.nn.parameters import begin_as, drawing_nothing


@final
class MLP(torch.nn.Sequential):
    """Linear layers with an activation between them; their weights lie by rows and by columns in turn. Collective.

    The modules are those of ``torchvision.ops.MLP``: linear layer, activation, dropout, and so on; no activation after
    the last linear layer.

    Parameters
    ----------
    in_channels : int
        Features of the input.
    hidden_channels : sequence of int
        Features after each of the linear layers, one or more.
    activation_layer : callable, optional
        Makes an activation; it acts on each entry by itself.
    bias : bool, optional
        Whether the linear layers have one.
    dropout : float, optional
        The probability.
    domain : DistributedSpace
        Of the input, with shape (..., in_channels); its features are split along `axis` only.
    codomain : DistributedSpace, optional
        Of the output, on the same grid. By default it lies as the input.
    axis : str, optional
        The grid axis along which the weights lie. By default they are whole.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output.

    Raises
    ------
    SpaceError
        When the spaces do not fit the layers.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Replicated, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (3, 4), p=Replicated())
    ...     model = MLP(4, [16, 4], domain=x, axis="p")
    ...     return [tuple(weight.shape) for weight in model.parameters()], model.codomain == x
    >>> simulate(2, main)[0]
    ([(8, 4), (8,), (4, 8), (4,)], True)
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: Sequence[int],
        activation_layer: Callable[[], torch.nn.Module] = torch.nn.ReLU,
        bias: bool = True,
        dropout: float = 0.0,
        *,
        domain: DistributedSpace,
        codomain: DistributedSpace | None = None,
        axis: str | None = None,
    ) -> None:
        widths = (in_channels, *hidden_channels)
        shapes = [(*domain.global_shape[:-1], width) for width in widths]

        def sequential() -> torch.nn.Sequential:
            layers: list[torch.nn.Module] = []
            for before, after in pairwise(widths):
                layers += [torch.nn.Linear(before, after, bias), activation_layer(), torch.nn.Dropout(dropout)]
            return torch.nn.Sequential(*layers[:-2], layers[-1])

        def check() -> None:
            if len(widths) < 2:
                raise SpaceError("expected hidden channels, found none")
            if domain.global_shape != shapes[0]:
                raise SpaceError(f"expected a domain of shape (..., {in_channels})")
            require_codomain(domain, codomain, shapes[-1], domain.dtype)
            require_no_parameters(activation_layer())

        settled(
            "MLP",
            domain,
            check,
            lambda _: f"{widths}, {name_of(activation_layer)}, {bias}, {dropout}, {codomain}, {axis}",
        )
        layers: list[torch.nn.Module] = []
        space, last = domain, len(widths) - 2
        with drawing_nothing(domain.grid.world):
            for k, (before, after) in enumerate(pairwise(widths)):
                target = codomain if k == last else None
                if target is None and (k == last or k % 2):
                    roles = carried_roles(domain, shapes[k + 1])
                    target = DistributedSpace(domain.grid, shapes[k + 1], domain.dtype, domain.field, **roles)
                along = {"in_axis" if k % 2 else "out_axis": axis}
                linear = Linear(before, after, bias, domain=space, codomain=target, **along)
                space = linear.codomain
                layers += [linear, activation_layer(), Dropout(dropout, domain=space)]
        super().__init__(*layers[:-2], layers[-1])
        self.codomain = space
        begin_as(self, domain.grid.world, sequential)


def require_no_parameters(activation: object) -> None:
    """Raise when an activation has parameters: each rank would have some of its own."""
    if isinstance(activation, torch.nn.Module) and any(True for _ in activation.parameters()):
        raise SpaceError(f"expected an activation without parameters, found {activation}")


def name_of(activation: object) -> str:
    """Return what an activation is called on every rank: not by its place in memory."""
    return activation if isinstance(activation, str) else getattr(activation, "__qualname__", type(activation).__name__)
