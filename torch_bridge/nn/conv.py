r"""Convolutions of images that are split in space, in channels, or both.

.. math:: y = R\,\mathrm{conv}(H x,\; C w) + C b

H brings each rank the input that its windows see: the halo exchange. C gives each rank its copy, or its block, of the
weights; R adds up what blocks of input channels give. Backward, the adjoint of H adds the halo's gradients to their
owners, and that of C sums the gradients of the weights over all ranks that use them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, final

import torch

from distdl_ops import DistributedSpace
from distdl_ops.windows import Window
from linop import SpaceError
from torch_bridge.nn.blocks import BlockLayer
from torch_bridge.nn.docstrings import documented
from torch_bridge.nn.windows import CONTINUATIONS, PaddingMode, PerAxis, per_axis, require_images, results_of

Padding = PerAxis | Literal["valid", "same"]
"""How many entries stand around the images; "same" keeps their extents."""


class Conv(BlockLayer):
    """A convolution of images. Abstract: `Conv1d`, `Conv2d` or `Conv3d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode
        As for torch's layer of the same name.
    domain : DistributedSpace
        Of the input, with shape (in_channels, ..., height, width). Spatial axes may be split, into any intervals.
    codomain : DistributedSpace, optional
        Of the output, on the same grid, in any layout. By default it is split along the same grid axes, into balanced
        intervals, or the same where an extent is kept.
    out_axis, in_axis : str, optional
        The grid axes along which the output channels and the input channels of the weight lie. By default it is whole.
        Groups of channels lie along `out_axis`, with the input channels that they see.
    overlap : bool, optional
        Whether results that see no halo are computed while halos travel, forward and backward. The others, at the
        border, are convolutions of their own then: it pays where a network is slow and images are large.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output.

    Raises
    ------
    SpaceError
        When the spaces do not fit the layer, or a size is out of range.
    """

    sequential: Callable[..., torch.nn.Module]
    spatial: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        *,
        domain: DistributedSpace,
        codomain: DistributedSpace | None = None,
        out_axis: str | None = None,
        in_axis: str | None = None,
        overlap: bool = False,
    ) -> None:
        super().__init__()
        sizes = (kernel_size, stride, padding, dilation)

        def sequential(device: str) -> torch.nn.Module:
            # A stride keeps torch from "same", and is none of the weights' business: it is judged by `windows_of`.
            return self.sequential(
                *(in_channels, out_channels, per_axis("kernel_size", kernel_size, self.spatial)),
                groups=groups,
                bias=bias,
                padding_mode=padding_mode,
                device=device,
            )

        def geometry(_: torch.nn.Module) -> tuple[tuple[int, ...], dict[int, Window]]:
            require_images(domain, self.spatial)
            channels, *extents = domain.global_shape
            if channels != in_channels:
                raise SpaceError(f"expected images with {in_channels} channels, found {channels}")
            windows = windows_of(self.spatial, *sizes)
            largest = {"reflect": -1, "circular": 0}.get(padding_mode)
            for n, window in zip(extents, windows, strict=True):
                if largest is not None and max(window.padding) > n + largest:
                    raise SpaceError(f"{padding_mode} padding of {max(window.padding)} is too much for extent {n}")
            along = dict(enumerate(windows, start=1))
            return (out_channels, *results_of(along, domain.global_shape)[1:]), along

        self.stride: tuple[int, ...]
        self.dilation: tuple[int, ...]
        self._build(
            sequential,
            domain,
            codomain,
            geometry,
            channels=0,
            groups=groups,
            boundary=CONTINUATIONS.get(padding_mode, "zero"),
            out_axis=out_axis,
            in_axis=in_axis,
            overlaps=overlap,
        )
        windows = windows_of(self.spatial, *sizes)
        self.each = out_channels // groups
        self.stride = tuple(window.stride for window in windows)
        self.dilation = tuple(window.dilation for window in windows)

    def product(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the convolution of what a rank sees."""
        groups = math.ceil(len(weight) / self.each)  # those of this block, or a part of the only one
        convolve = getattr(torch.nn.functional, f"conv{self.spatial}d")
        y: torch.Tensor = convolve(x, weight, None, self.stride, 0, self.dilation, groups)
        return y


def windows_of(axes: int, kernel: PerAxis, stride: PerAxis, padding: Padding, dilation: PerAxis) -> tuple[Window, ...]:
    """Return the windows along the spatial axes, from sizes as torch takes them.

    Raises
    ------
    SpaceError
        When a size is no whole number, padding is negative, or another one is not positive.
    """
    kernels, strides = per_axis("kernel_size", kernel, axes), per_axis("stride", stride, axes)
    dilations = per_axis("dilation", dilation, axes)
    if padding == "same":
        if any(s != 1 for s in strides):
            raise SpaceError(f"padding 'same' needs stride 1, found {stride}")
        reach = [d * (k - 1) for d, k in zip(dilations, kernels, strict=True)]
        paddings = [(n // 2, n - n // 2) for n in reach]
    else:
        paddings = [(n, n) for n in per_axis("padding", 0 if padding == "valid" else padding, axes, least=0)]
    return tuple(Window(*along) for along in zip(kernels, strides, paddings, dilations, strict=True))


@final
@documented
class Conv1d(Conv):
    """`torch.nn.Conv1d` on sequences that are split over a grid. Collective to build.

    Examples
    --------
    What the windows of each rank see, of sixteen entries on two ranks. Beyond these are zeros.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (2, 16), p=Split(1))
    ...     layer = Conv1d(2, 3, 5, padding="same", dilation=2, domain=x)
    ...     return layer.bring.movement.operator.codomain.roles
    >>> simulate(2, main)[0]
    {'p': Split(1, [(-4, 12), (4, 20)])}
    """

    sequential, spatial = torch.nn.Conv1d, 1


@final
@documented
class Conv2d(Conv):
    """`torch.nn.Conv2d` on images that are split over a grid. Collective to build.

    Examples
    --------
    Input channels that are split, and images that are wanted in rows: the partial sums are reduced and scattered.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     channels = DistributedSpace(Grid(world, p=2), (4, 8, 8), p=Split(0))
    ...     rows = DistributedSpace(channels.grid, (6, 8, 8), p=Split(1))
    ...     layer = Conv2d(4, 6, 3, padding=1, domain=channels, codomain=rows, in_axis="p")
    ...     y = layer(torch.ones(5, *channels.shape, dtype=torch.float64))
    ...     return str(layer.reduce.operator), tuple(layer.weight.shape), tuple(y.shape)
    >>> simulate(2, main)[0]
    ('ReduceScatter(p)', (6, 2, 3, 3), (5, 6, 4, 8))
    """

    sequential, spatial = torch.nn.Conv2d, 2


@final
@documented
class Conv3d(Conv):
    """`torch.nn.Conv3d` on volumes that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     volumes = DistributedSpace(Grid(world, p=2, q=2), (1, 9, 9, 9), p=Split(1), q=Split(3))
    ...     layer = Conv3d(1, 4, 3, stride=2, padding=1, padding_mode="replicate", domain=volumes)
    ...     return layer.codomain.shape
    >>> simulate(4, main)
    [(4, 3, 5, 3), (4, 3, 5, 2), (4, 2, 5, 3), (4, 2, 5, 2)]
    """

    sequential, spatial = torch.nn.Conv3d, 3
