r"""Convolution of images that are split in height and width.

.. math:: y = \mathrm{conv}(H x,\; C w) + C b

H brings each rank the input that its windows see: the halo exchange, with zeros where it leaves the image. C gives each
rank its copy of the weights. Backward, the adjoint of H adds the halo's gradients to their owners, and that of C sums
the gradients of the weights over all ranks.
"""

from __future__ import annotations

from typing import final

import torch

from distdl_ops import DistributedSpace, Movement, Split
from linop import SpaceError
from torch_bridge.module import Operator
from torch_bridge.nn.layer import Layer, nothing, shared_parameter
from torch_bridge.nn.windows import Pair, window_pair, window_spaces


@final
class Conv2d(Layer):
    """`torch.nn.Conv2d` on images that are split over a grid. Collective to build.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        As for `torch.nn.Conv2d`; padding is with zeros.
    domain : DistributedSpace
        Of the input, with shape (in_channels, height, width). Height and width may be split, into any intervals.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: split along the same grid axes, into balanced intervals.

    Raises
    ------
    SpaceError
        When the input does not fit the layer, or a size is out of range.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (1, 8, 8), "float32", rows=Split(1))
    ...     layer = Conv2d(1, 2, kernel_size=3, padding=1, domain=images)
    ...     y = layer(torch.ones(5, *images.shape))                                    # a batch of five
    ...     return str(layer.exchange_halo.operator), tuple(y.shape)
    >>> simulate(2, main)[0]
    ('HaloExchange(rows)', (5, 2, 4, 8))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        windows = window_pair("Conv2d", kernel_size, stride, padding, dilation)
        seen, self.codomain = window_spaces("Conv2d", domain, out_channels, windows)
        if domain.global_shape[0] != in_channels:
            raise SpaceError(f"Conv2d: expected images with {in_channels} channels, found {domain}")
        self.groups = groups
        self.stride = tuple(window.stride for window in windows)
        self.dilation = tuple(window.dilation for window in windows)
        split = {role.axis for role in domain.roles.values() if isinstance(role, Split)}
        # Along a split axis the halo exchange has padded already: zeros are what it finds outside the tensor.
        self.padding = tuple(0 if axis in split else w.padding for axis, w in zip((1, 2), windows, strict=True))
        self.exchange_halo = Operator(Movement(domain, seen))
        kernel = windows[0].kernel, windows[1].kernel

        def sequential(device: str) -> torch.nn.Module:
            return torch.nn.Conv2d(in_channels, out_channels, kernel, groups=groups, bias=bias, device=device)

        sequential("meta")  # raises where the channels do not fit the groups
        weight, self.copy_weight = shared_parameter(domain, (out_channels, in_channels // groups, *kernel))
        parameters = {"weight": weight}
        if bias:
            parameters["bias"], self.copy_bias = shared_parameter(domain, (out_channels,))
        self.add_parameters(parameters, sequential)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the convolution: from shape ``(batch, *domain.shape)`` to ``(batch, *codomain.shape)``."""
        x, weight = self.exchange_halo(x), self.copy_weight(self.weight)
        bias = self.copy_bias(self.bias) if "bias" in self.parameter_spaces else None
        if x.numel() == 0:
            held = (x, weight) if bias is None else (x, weight, bias)
            return nothing((*x.shape[:-3], *self.codomain.shape), *held)
        images = x.reshape(-1, *x.shape[-3:])
        y = torch.nn.functional.conv2d(images, weight, bias, self.stride, self.padding, self.dilation, self.groups)
        return y.reshape(*x.shape[:-3], *y.shape[1:])
