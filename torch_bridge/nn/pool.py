r"""Max pooling of images that are split in height and width.

.. math:: y = \mathrm{maxpool}(H x)

H brings each rank the input that its windows see. Windows that cut across ranks, and outputs that do not divide evenly,
are ordinary cases: H then moves entries to the rank that needs them.
"""

from __future__ import annotations

from dataclasses import astuple
from typing import final

import torch

from distdl_ops import DistributedSpace, Movement
from torch_bridge.module import Operator
from torch_bridge.nn.layer import nothing
from torch_bridge.nn.windows import Pair, window_pair, window_spaces


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
        When the input does not fit the layer, or a size is out of range.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (1, 8, 8), "float32", rows=Split(1))
    ...     layer = MaxPool2d(2, domain=images)
    ...     return tuple(layer(torch.ones(5, *images.shape)).shape)                    # a batch of five
    >>> simulate(2, main)[0]
    (5, 1, 2, 4)
    """

    def __init__(
        self, kernel_size: Pair, stride: Pair | None = None, dilation: Pair = 1, *, domain: DistributedSpace
    ) -> None:
        super().__init__()
        self.windows = window_pair("MaxPool2d", kernel_size, kernel_size if stride is None else stride, 0, dilation)
        channels = domain.global_shape[0] if domain.global_shape else 0
        seen, self.codomain = window_spaces("MaxPool2d", domain, channels, self.windows)
        self.exchange_halo = Operator(Movement(domain, seen))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maxima: from shape ``(batch, *domain.shape)`` to ``(batch, *codomain.shape)``."""
        x = self.exchange_halo(x)
        if x.numel() == 0:
            return nothing((*x.shape[:-3], *self.codomain.shape), x)
        kernel, stride, padding, dilation = zip(*map(astuple, self.windows), strict=True)
        images = x.reshape(-1, *x.shape[-3:])
        y = torch.nn.functional.max_pool2d(images, kernel, stride, padding, dilation)
        return y.reshape(*x.shape[:-3], *y.shape[1:])
