r"""Transposed convolutions of images that are split in space, in channels, or both.

.. math:: y = R\,\mathrm{crop}\,\mathrm{conv}^T(M x,\; C w) + C b

Entry i of the input is spread over the results :math:`s\,i - p + d\,[0, k)`. M brings each rank the entries that are
spread into its results; what they give beyond these is cropped. C gives each rank its copy, or its block, of the
weights; R adds up what blocks of input channels give.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, final

import torch

from distdl_ops import DistributedSpace, Role, Split
from distdl_ops.intervals import Interval
from distdl_ops.windows import Continuation, Window
from linop import SpaceError
from torch_bridge.nn.blocks import BlockLayer
from torch_bridge.nn.conv import windows_of
from torch_bridge.nn.docstrings import documented
from torch_bridge.nn.layer import moving
from torch_bridge.nn.windows import PerAxis, per_axis, require_images


class ConvTranspose(BlockLayer):
    """A transposed convolution of images. Abstract: `ConvTranspose1d`, `ConvTranspose2d` or `ConvTranspose3d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode
        As for torch's layer of the same name.
    domain, codomain, out_axis, in_axis
        As for `Conv2d`.

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
    rows = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: PerAxis = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: PerAxis = 1,
        padding_mode: Literal["zeros"] = "zeros",
        *,
        domain: DistributedSpace,
        codomain: DistributedSpace | None = None,
        out_axis: str | None = None,
        in_axis: str | None = None,
    ) -> None:
        super().__init__()

        def sequential(device: str) -> torch.nn.Module:
            return self.sequential(
                *(in_channels, out_channels, per_axis("kernel_size", kernel_size, self.spatial)),
                groups=groups,
                bias=bias,
                padding_mode=padding_mode,
                device=device,
            )

        def windows() -> tuple[Window, ...]:
            return windows_of(self.spatial, kernel_size, stride, padding, dilation)

        def geometry(_: torch.nn.Module) -> tuple[tuple[int, ...], dict[int, Window]]:
            require_images(domain, self.spatial)
            channels, *extents = domain.global_shape
            if channels != in_channels:
                raise SpaceError(f"expected images with {in_channels} channels, found {channels}")
            more = per_axis("output_padding", output_padding, self.spatial, least=0)
            found = []
            for n, window, extra in zip(extents, windows(), more, strict=True):
                if extra >= max(window.stride, window.dilation):
                    raise SpaceError(f"expected output_padding below stride or dilation, found {output_padding}")
                found.append((n - 1) * window.stride - sum(window.padding) + window.reach + 1 + extra)
            if min(found) < 1:
                raise SpaceError(f"nothing is left of images of shape {domain.global_shape}")
            return (out_channels, *found), dict(enumerate(windows(), start=1))

        self._build(
            *(sequential, domain, codomain, geometry),
            channels=0,
            groups=groups,
            out_axis=out_axis,
            in_axis=in_axis,
        )
        self.stride = tuple(window.stride for window in windows())
        self.dilation = tuple(window.dilation for window in windows())
        self.each = in_channels // groups

    def _bring(
        self,
        domain: DistributedSpace,
        sums: DistributedSpace,
        windows: dict[int, Window],
        boundary: Continuation,  # noqa: ARG002  (zeros)
        part: dict[str, Role],
    ) -> torch.nn.Module:
        seen: dict[str, Role] = {
            name: Split(
                role.axis, [_spread_into(windows[role.axis], interval) for interval in role.intervals], gaps=True
            )
            if isinstance(role, Split) and role.axis in windows
            else role
            for name, role in sums.roles.items()
        }
        target = domain.with_roles(**{**seen, **part})
        rank, nowhere = domain.grid.world.rank, ((0, 0),) * domain.ndim
        entries = (target.layout.intervals_at(rank) or nowhere)[1:]
        results = (sums.layout.intervals_at(rank) or nowhere)[1:]
        # What these entries are spread over, and the own results in it; on either side of it, zeros.
        self.crop: list[slice] = []
        self.widths: list[int] = []
        for window, held, own in zip(windows.values(), entries, results, strict=True):
            first = held[0] * window.stride - window.padding[0]
            last = (held[1] - 1) * window.stride - window.padding[0] + window.reach + 1
            below = max(0, first - own[0])
            self.crop.append(slice(own[0] - first + below, own[1] - first + below))
            self.widths = [below, max(0, own[1] - last), *self.widths]  # torch counts them from the last axis
        return moving(domain, target)

    def product(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return this rank's results of the transposed convolution of what it sees."""
        spread = getattr(torch.nn.functional, f"conv_transpose{self.spatial}d")
        groups = math.ceil(len(weight) / self.each)  # those of this block, or a part of the only one
        images = x.reshape(-1, *x.shape[-self.spatial - 1 :])
        y = spread(images, weight, None, self.stride, 0, 0, groups, self.dilation)
        if any(self.widths):
            y = torch.nn.functional.pad(y, self.widths)
        own: torch.Tensor = y[(slice(None), slice(None), *self.crop)]
        return own


def _spread_into(window: Window, results: Interval) -> Interval:
    """Return the entries that are spread into an interval of results."""
    below = window.padding[0]
    first = -((window.reach - results[0] - below) // window.stride)
    last = (results[1] - 1 + below) // window.stride + 1
    return (0, 0) if results[0] == results[1] or first >= last else (first, last)


@final
@documented
class ConvTranspose1d(ConvTranspose):
    """`torch.nn.ConvTranspose1d` on sequences that are split over a grid. Collective to build.

    Examples
    --------
    Which entries are spread into the results of each rank:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (2, 8), p=Split(1))
    ...     layer = ConvTranspose1d(2, 3, 4, stride=2, padding=1, domain=x)
    ...     return layer.bring.operator.codomain.roles, layer.codomain.global_shape
    >>> simulate(2, main)[0]
    ({'p': Split(1, [(-1, 5), (3, 9)])}, (3, 16))
    """

    sequential, spatial = torch.nn.ConvTranspose1d, 1


@final
@documented
class ConvTranspose2d(ConvTranspose):
    """`torch.nn.ConvTranspose2d` on images that are split over a grid. Collective to build.

    Examples
    --------
    Where each entry gives a block of its own, no image moves:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import movements
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (8, 4, 4), rows=Split(1))
    ...     layer = ConvTranspose2d(8, 4, 2, stride=2, domain=images)
    ...     return layer.codomain.shape, {name: str(movement) for name, movement in movements(layer).items()}
    >>> simulate(2, main)[0]
    ((4, 4, 8), {'copy_weight': 'Copy(rows)', 'copy_bias': 'Copy(rows)'})
    """

    sequential, spatial = torch.nn.ConvTranspose2d, 2


@final
@documented
class ConvTranspose3d(ConvTranspose):
    """`torch.nn.ConvTranspose3d` on volumes that are split over a grid. Collective to build.

    Examples
    --------
    By output channels, each rank has a block of the weight, and its own channels of the result:

    >>> from distdl_ops import DistributedSpace, Grid, Replicated, simulate
    >>> def main(world):
    ...     volumes = DistributedSpace(Grid(world, p=2), (4, 3, 3, 3), p=Replicated())
    ...     layer = ConvTranspose3d(4, 6, 3, domain=volumes, out_axis="p")
    ...     return tuple(layer.weight.shape), layer.codomain.shape
    >>> simulate(2, main)[0]
    ((4, 3, 3, 3, 3), (3, 5, 5, 5))
    """

    sequential, spatial = torch.nn.ConvTranspose3d, 3
