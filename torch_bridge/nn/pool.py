r"""Poolings of images that are split over a grid.

.. math:: y = \mathrm{pool}(H x)

H brings each rank the input that its windows see. Windows that cut across ranks, and outputs that do not divide evenly,
are ordinary cases: H then moves entries to the rank that needs them. A mean is the sum of what H brings, with zeros
beyond the images, over the number that torch counts; a maximum finds minus infinity there.
"""

from __future__ import annotations

import math
from typing import final

import torch

from distdl_ops import DistributedSpace
from distdl_ops.compositions.shared import carried_roles, settled
from distdl_ops.windows import Continuation, Window
from linop import SpaceError
from torch_bridge.nn.docstrings import documented
from torch_bridge.nn.layer import nothing, torch_dtype
from torch_bridge.nn.windows import Halo, PerAxis, per_axis, require_images, results_of


class Pool(torch.nn.Module):
    """A pooling of images: each result is a function of a window. Abstract: `pooled` is this function.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: split along the same grid axes, into balanced intervals, or the same where an extent is kept.
    windows : tuple of Window
        Along the spatial axes. Their padding reaches as far as the last one.
    """

    spatial: int

    def _build(
        self,
        domain: DistributedSpace,
        kernel: PerAxis,
        stride: PerAxis | None,
        padding: PerAxis,
        dilation: PerAxis,
        ceil_mode: bool,
        boundary: Continuation = "zero",
        value: float | None = None,
    ) -> None:
        """Make the movement; arguments as torch takes them, and as `Halo` does."""

        def check() -> tuple[Window, ...]:
            require_images(domain, self.spatial)
            kernels = per_axis("kernel_size", kernel, self.spatial)
            strides = kernels if stride is None else per_axis("stride", stride, self.spatial)
            paddings = per_axis("padding", padding, self.spatial, least=0)
            dilations = per_axis("dilation", dilation, self.spatial)
            if any(2 * p > k for p, k in zip(paddings, kernels, strict=True)):
                raise SpaceError(f"expected padding of half the kernel at most, found {padding} and {kernel}")
            sizes = zip(kernels, strides, paddings, dilations, domain.global_shape[1:], strict=True)
            windows = tuple(pooling_window(*along, ceil_mode=ceil_mode) for along in sizes)
            results_of(dict(enumerate(windows, start=1)), domain.global_shape)
            return windows

        self.windows = settled(type(self).__name__, domain, check, repr)
        along = dict(enumerate(self.windows, start=1))
        shape = results_of(along, domain.global_shape)
        roles = carried_roles(domain, shape)
        self.codomain = DistributedSpace(domain.grid, shape, domain.dtype, domain.field, **roles)
        self.halo = Halo(domain, self.codomain, along, boundary, value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the results: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``."""
        shape = (*x.shape[: x.ndim - self.spatial - 1], *self.codomain.shape)
        x = self.halo(x)
        return nothing(shape, x) if x.numel() == 0 else self.pooled(x).reshape(shape)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Return the results of this rank, from all that their windows see."""
        raise NotImplementedError


def pooling_window(kernel: int, stride: int, padding: int, dilation: int, extent: int, *, ceil_mode: bool) -> Window:
    """Return a window whose padding reaches to the end of the last one, as torch counts them.

    With `ceil_mode`, a window may reach further than the padding, if it begins within it or the axis.

    Examples
    --------
    >>> pooling_window(2, 2, 0, 1, 5, ceil_mode=True)
    Window(kernel=2, stride=2, padding=(0, 1), dilation=1)
    """
    reach = dilation * (kernel - 1)
    steps = (extent + 2 * padding - reach - 1) / stride
    results = max(0, (math.ceil(steps) if ceil_mode else math.floor(steps)) + 1)
    if ceil_mode and (results - 1) * stride >= extent + padding:
        results -= 1
    above = (results - 1) * stride + reach + 1 - extent - padding
    return Window(kernel, stride, (padding, max(padding, above)), dilation)


class MaxPool(Pool):
    """A max pooling. Abstract: `MaxPool1d`, `MaxPool2d` or `MaxPool3d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode
        As for torch's layer of the same name; indices are not returned.
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

    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        dilation: PerAxis = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        if return_indices:
            raise SpaceError(f"{type(self).__name__}: the indices of maxima are not returned")
        # Beyond the images, the entry at the end would do as well; a padding of its own is simpler for a rank.
        self._build(domain, kernel_size, stride, padding, dilation, ceil_mode, "edge", -math.inf)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maxima."""
        kernel, stride, dilation = zip(*((w.kernel, w.stride, w.dilation) for w in self.windows), strict=True)
        pool = getattr(torch.nn.functional, f"max_pool{self.spatial}d")
        y: torch.Tensor = pool(x, kernel, stride, 0, dilation)
        return y


@final
@documented
class MaxPool1d(MaxPool):
    """`torch.nn.MaxPool1d` on sequences that are split over a grid. Collective to build.

    Examples
    --------
    Windows that cut across ranks: three ranks have 4, 3 and 3 of ten entries, and see 5, 3 and 3.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=3), (1, 10), p=Split(1))
    ...     layer = MaxPool1d(3, stride=2, ceil_mode=True, domain=x)
    ...     return layer(x.from_global(torch.arange(10.0)[None])).tolist()
    >>> simulate(3, main)
    [[[2.0, 4.0]], [[6.0, 8.0]], [[9.0]]]
    """

    spatial = 1


@final
@documented
class MaxPool2d(MaxPool):
    """`torch.nn.MaxPool2d` on images that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import movements
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (1, 8, 8), "float32", rows=Split(1))
    ...     layer = MaxPool2d(2, domain=images)
    ...     return tuple(layer(torch.ones(5, *images.shape)).shape), movements(layer)  # no window cuts across ranks
    >>> simulate(2, main)[0]
    ((5, 1, 2, 4), {})
    """

    spatial = 2


@final
@documented
class MaxPool3d(MaxPool):
    """`torch.nn.MaxPool3d` on volumes that are split over a grid. Collective to build.

    Examples
    --------
    Channels may be split as well:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     volumes = DistributedSpace(Grid(world, c=2, p=2), (6, 7, 7, 7), c=Split(0), p=Split(1))
    ...     layer = MaxPool3d(3, stride=2, padding=1, domain=volumes)
    ...     return str(layer.halo.movement.operator), layer.codomain.shape
    >>> simulate(4, main)[0]
    ('HaloExchange(p)', (3, 2, 4, 4))
    """

    spatial = 3


class AvgPool(Pool):
    """An average pooling. Abstract: `AvgPool1d`, `AvgPool2d` or `AvgPool3d`.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
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

    counts: torch.Tensor

    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        *,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        self._build(domain, kernel_size, stride, padding, 1, ceil_mode)
        here = self.codomain.layout.intervals_at(domain.grid.world.rank) or ((0, 0),) * (self.spatial + 1)
        counts = torch.ones((), dtype=torch_dtype(domain))
        for window, extent, interval in zip(self.windows, domain.global_shape[1:], here[1:], strict=True):
            edge = window.padding[0] if count_include_pad else 0
            first = torch.arange(*interval, dtype=counts.dtype) * window.stride - window.padding[0]
            inside = (first + window.kernel).clamp(max=extent + edge) - first.clamp(min=-edge)
            counts = counts[..., None] * inside
        if divisor_override is not None:
            counts = torch.full_like(counts, divisor_override)
        self.register_buffer("counts", counts, persistent=False)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sums over the numbers that torch divides by."""
        images = x if self.spatial > 1 else x[..., None, :]  # torch has no sums in one dimension
        ones = (1,) * (max(self.spatial, 2) - self.spatial)
        kernel, stride = ((*ones, *sizes) for sizes in zip(*((w.kernel, w.stride) for w in self.windows), strict=True))
        pool = torch.nn.functional.avg_pool3d if self.spatial == 3 else torch.nn.functional.avg_pool2d
        sums: torch.Tensor = pool(images, kernel, stride, divisor_override=1)
        return (sums if self.spatial > 1 else sums[..., 0, :]) / self.counts


@final
@documented
class AvgPool1d(AvgPool):
    """`torch.nn.AvgPool1d` on sequences that are split over a grid. Collective to build.

    Examples
    --------
    The first window has one entry beyond the sequence. It counts, unless it is told not to:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world, **arguments):
    ...     x = DistributedSpace(Grid(world, p=2), (1, 6), p=Split(1))
    ...     return AvgPool1d(2, padding=1, domain=x, **arguments)(torch.full(x.shape, 2.0)).tolist()
    >>> simulate(2, main), simulate(2, lambda world: main(world, count_include_pad=False))
    ([[[1.0, 2.0]], [[2.0, 1.0]]], [[[2.0, 2.0]], [[2.0, 2.0]]])
    """

    spatial = 1


@final
@documented
class AvgPool2d(AvgPool):
    """`torch.nn.AvgPool2d` on images that are split over a grid. Collective to build.

    Examples
    --------
    What the windows of each rank see, of nine rows on two ranks:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (1, 9, 9), rows=Split(1))
    ...     return AvgPool2d(3, domain=images).halo.movement.operator.codomain.roles
    >>> simulate(2, main)[0]
    {'rows': Split(1, [(0, 6), (6, 9)])}
    """

    spatial = 2


@final
@documented
class AvgPool3d(AvgPool):
    """`torch.nn.AvgPool3d` on volumes that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     volumes = DistributedSpace(Grid(world, p=2), (1, 4, 4, 4), p=Split(1))
    ...     x = volumes.from_global(torch.arange(64.0).reshape(1, 4, 4, 4))
    ...     return AvgPool3d((2, 4, 4), domain=volumes)(x).tolist()
    >>> simulate(2, main)
    [[[[[15.5]]]], [[[[47.5]]]]]
    """

    spatial = 3
