r"""Max pooling of images that are split in height and width.

.. math:: y = \mathrm{maxpool}(H x)

H brings each rank the input that its windows see. Windows that cut across ranks, and outputs that do not divide evenly,
are ordinary cases: H then moves entries to the rank that needs them.
"""

from __future__ import annotations

from typing import final

import torch

from distdl_ops import DistributedSpace, Movement
from torch_bridge.module import Operator
from torch_bridge.nn.conv import Pair, pair
from torch_bridge.nn.layer import nothing
from torch_bridge.nn.windows import Window, window_spaces


@final
class MaxPool2d(torch.nn.Module):
    """`torch.nn.MaxPool2d`, without padding, on images that are split over a grid. Collective to build.

    Parameters
    ----------
    kernel_size, stride, dilation
        As for `torch.nn.MaxPool2d`.
    domain : DistributedSpace
        Of the input, with shape (channels, height, width). Height and width may be split, into any intervals.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: split along the same grid axes, into balanced intervals.

    Raises
    ------
    SpaceError
        When the input does not fit the layer.
    """

    def __init__(
        self, kernel_size: Pair, stride: Pair | None = None, dilation: Pair = 1, *, domain: DistributedSpace
    ) -> None:
        super().__init__()
        self.kernel, self.dilation = pair(kernel_size), pair(dilation)
        self.stride = self.kernel if stride is None else pair(stride)
        sizes = zip(self.kernel, self.stride, (0, 0), self.dilation, strict=True)
        height, width = (Window(*size) for size in sizes)
        channels = domain.global_shape[0] if domain.global_shape else 0
        seen, self.codomain = window_spaces("MaxPool2d", domain, channels, (height, width))
        self.exchange_halo = Operator(Movement(domain, seen))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maxima: from shape (batch, *domain.shape) to (batch, *codomain.shape)."""
        x = self.exchange_halo(x)
        if x.numel() == 0:
            return nothing((*x.shape[:-3], *self.codomain.shape), x)
        return torch.nn.functional.max_pool2d(x, self.kernel, self.stride, 0, self.dilation)
