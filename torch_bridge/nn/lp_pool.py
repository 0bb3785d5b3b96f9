r"""Power-average poolings of images that are split over a grid.

.. math:: y = \Bigl(\sum_{i \in \text{window}} x_i^p\Bigr)^{1/p} = \bigl(k\, A x^p\bigr)^{1/p}

A is the average pooling, k the number of entries in a window.
"""

from __future__ import annotations

import math
from typing import final

import torch

from distdl_ops import DistributedSpace
from torch_bridge.nn.docstrings import documented
from torch_bridge.nn.pool import AvgPool, AvgPool1d, AvgPool2d, AvgPool3d
from torch_bridge.nn.windows import PerAxis


class LPPool(torch.nn.Module):
    """A power-average pooling. Abstract: `LPPool1d`, `LPPool2d` or `LPPool3d`.

    Parameters
    ----------
    norm_type, kernel_size, stride, ceil_mode
        As for torch's layer of the same name.
    domain : DistributedSpace
        Of the input, with shape (channels, ..., height, width). Any of them may be split, into any intervals.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: split along the same grid axes.

    Raises
    ------
    SpaceError
        When the input does not fit the layer, or a size is out of range.
    """

    average: type[AvgPool]

    def __init__(
        self,
        norm_type: float,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        ceil_mode: bool = False,
        *,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        self.norm_type = float(norm_type)
        self.pool = self.average(kernel_size, stride, 0, ceil_mode, domain=domain)
        self.codomain = self.pool.codomain
        self.entries = math.prod(window.kernel for window in self.pool.windows)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the powers' roots: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``."""
        means: torch.Tensor = self.pool(x.pow(self.norm_type))
        # Through the absolute value, torch has no gradient at zero, where that of the root is infinite.
        return (means.sign() * means.abs().relu() * self.entries).pow(1 / self.norm_type)


@final
@documented
class LPPool1d(LPPool):
    """`torch.nn.LPPool1d` on sequences that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (1, 4), p=Split(1))
    ...     return LPPool1d(2, 2, domain=x)(x.from_global(torch.tensor([[3.0, 4.0, 5.0, 12.0]]))).tolist()
    >>> simulate(2, main)
    [[[5.0]], [[13.0]]]
    """

    average = AvgPool1d


@final
@documented
class LPPool2d(LPPool):
    """`torch.nn.LPPool2d` on images that are split over a grid. Collective to build.

    Examples
    --------
    With p = 1, the sums of windows; here, none of them cuts across ranks:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (1, 6, 3), rows=Split(1))
    ...     layer = LPPool2d(1, 3, domain=images)
    ...     return layer(torch.ones(images.shape)).tolist(), layer.pool.halo.movement
    >>> simulate(2, main)[0]
    ([[[9.0]]], Identity())
    """

    average = AvgPool2d


@final
@documented
class LPPool3d(LPPool):
    """`torch.nn.LPPool3d` on volumes that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     volumes = DistributedSpace(Grid(world, p=2), (3, 8, 8, 8), p=Split(1))
    ...     return LPPool3d(2, 3, stride=1, domain=volumes).codomain
    >>> simulate(2, main)[0]
    DistributedSpace(Grid(p=2), float64, (3, 6, 6, 6) p=Split(1))
    """

    average = AvgPool3d
