r"""Adaptive poolings of images that are split over a grid: the number of results is given, not the window.

.. math:: y = \mathrm{pool}(H x)

Of n entries and m results, result o sees the entries from :math:`\lfloor o n / m \rfloor` to
:math:`\lceil (o + 1) n / m \rceil`. H brings each rank those of its results.
"""

from __future__ import annotations

from typing import final

import torch

from distdl_ops import DistributedSpace, Split
from distdl_ops.compositions.shared import carried_roles, settled
from distdl_ops.intervals import Interval
from linop import SpaceError
from torch_bridge.nn.docstrings import documented
from torch_bridge.nn.layer import moving, nothing
from torch_bridge.nn.windows import per_axis, require_images

OutputSize = int | None | tuple[int | None, ...]
"""Results along all spatial axes, or along each; None keeps the extent."""


class AdaptivePool(torch.nn.Module):
    """An adaptive pooling. Abstract: the final classes are named as torch's.

    Parameters
    ----------
    output_size
        As for torch's layer of the same name.
    domain : DistributedSpace
        Of the input, with shape (channels, ..., height, width). Any of them may be split, into any intervals.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: split along the same grid axes, into balanced intervals, or the same where an extent is kept.

    Raises
    ------
    SpaceError
        When the input does not fit the layer, or a size is out of range.
    """

    spatial: int

    def __init__(self, output_size: OutputSize, *, domain: DistributedSpace) -> None:
        super().__init__()

        def check() -> tuple[int, ...]:
            require_images(domain, self.spatial)
            channels, *extents = domain.global_shape
            sizes = output_size if isinstance(output_size, tuple) else (output_size,) * self.spatial
            sizes = sizes if len(sizes) == self.spatial else ()
            wanted = tuple(n if m is None else m for m, n in zip(sizes, extents, strict=bool(sizes)))
            return channels, *per_axis("output_size", wanted, self.spatial)

        shape = settled(type(self).__name__, domain, check, repr)
        self.codomain = DistributedSpace(domain.grid, shape, domain.dtype, domain.field, **carried_roles(domain, shape))
        seen = {
            name: Split(
                role.axis,
                [_needed(held, domain.global_shape[role.axis], shape[role.axis]) for held in role.intervals],
                gaps=True,
            )
            for name, role in self.codomain.roles.items()
            if isinstance(role, Split) and role.axis
        }
        target = domain.with_roles(**{**self.codomain.roles, **seen})
        self.movement = moving(domain, target)
        rank = domain.grid.world.rank
        results = self.codomain.layout.intervals_at(rank) or ((0, 0),) * len(shape)
        entries = target.layout.intervals_at(rank) or ((0, 0),) * len(shape)
        self.windows = [
            [(a - first, b - first) for a, b in (_needed((o, o + 1), n, m) for o in range(*held))]
            for (first, _), held, n, m in list(zip(entries, results, domain.global_shape, shape, strict=True))[1:]
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the results: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``."""
        shape = (*x.shape[: x.ndim - self.spatial - 1], *self.codomain.shape)
        x = self.movement(x)
        if x.numel() == 0:
            return nothing(shape, x)
        return self.pooled(x.reshape(-1, *x.shape[-self.spatial - 1 :])).reshape(shape)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Return the results of this rank, from all that their windows see."""
        raise NotImplementedError


def _needed(results: Interval, extent: int, count: int) -> Interval:
    """Return the entries that an interval of results sees, of so many entries and results."""
    first, last = results[0] * extent // count, -(-results[1] * extent // count)
    return (first, first) if results[0] == results[1] else (first, last)


class AdaptiveAvgPool(AdaptivePool):
    """An adaptive average pooling: a matrix of means along each axis. Abstract."""

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Return the means."""
        for axis, windows in enumerate(self.windows, start=-self.spatial):
            means = x.new_zeros(len(windows), x.shape[axis])
            for row, (start, stop) in zip(means, windows, strict=True):
                row[start:stop] = 1 / (stop - start)
            x = (x.movedim(axis, -1) @ means.mT).movedim(-1, axis)
        return x


class AdaptiveMaxPool(AdaptivePool):
    """An adaptive max pooling. Abstract.

    Parameters
    ----------
    output_size, return_indices
        As for torch's layer of the same name; indices are not returned.
    domain : DistributedSpace
        Of the input, with shape (channels, ..., height, width). Any of them may be split, into any intervals.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: split along the same grid axes, into balanced intervals, or the same where an extent is kept.

    Raises
    ------
    SpaceError
        When the input does not fit the layer, or a size is out of range.
    """

    def __init__(self, output_size: OutputSize, return_indices: bool = False, *, domain: DistributedSpace) -> None:
        if return_indices:
            raise SpaceError(f"{type(self).__name__}: the indices of maxima are not returned")
        super().__init__(output_size, domain=domain)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maxima: of windows that are made equally long, by the last entry again."""
        index: list[torch.Tensor] = []
        for axis, windows in enumerate(self.windows):
            longest = max(stop - start for start, stop in windows)
            entries = [[min(start + k, stop - 1) for k in range(longest)] for start, stop in windows]
            ones = [1] * (2 * self.spatial)
            ones[axis], ones[self.spatial + axis] = len(windows), longest
            index.append(torch.tensor(entries, device=x.device).reshape(ones))
        everything: list[slice | torch.Tensor] = [slice(None), slice(None), *index]
        return x[tuple(everything)].flatten(-self.spatial).max(-1).values


@final
@documented
class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """`torch.nn.AdaptiveAvgPool1d` on sequences that are split over a grid. Collective to build.

    Examples
    --------
    The entries that each rank's results see: the result in the middle sees both ranks'.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (1, 8), p=Split(1))
    ...     layer = AdaptiveAvgPool1d(3, domain=x)
    ...     return layer.movement.operator.codomain.roles, layer.codomain.roles
    >>> simulate(2, main)[0]
    ({'p': Split(1, [(0, 6), (5, 8)])}, {'p': Split(1, [(0, 2), (2, 3)])})
    """

    spatial = 1


@final
@documented
class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """`torch.nn.AdaptiveAvgPool2d` on images that are split over a grid. Collective to build.

    Examples
    --------
    A mean of each channel, as before the last layer of many networks: it lies on the first rank.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (3, 8, 8), rows=Split(1))
    ...     return AdaptiveAvgPool2d(1, domain=images).codomain.shape
    >>> simulate(2, main)
    [(3, 1, 1), (3, 0, 1)]
    """

    spatial = 2


@final
@documented
class AdaptiveAvgPool3d(AdaptiveAvgPool):
    """`torch.nn.AdaptiveAvgPool3d` on volumes that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     volumes = DistributedSpace(Grid(world, p=2), (1, 8, 6, 6), p=Split(1))
    ...     return AdaptiveAvgPool3d((4, 2, None), domain=volumes).codomain
    >>> simulate(2, main)[0]
    DistributedSpace(Grid(p=2), float64, (1, 4, 2, 6) p=Split(1))
    """

    spatial = 3


@final
@documented
class AdaptiveMaxPool1d(AdaptiveMaxPool):
    """`torch.nn.AdaptiveMaxPool1d` on sequences that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (1, 8), p=Split(1))
    ...     return AdaptiveMaxPool1d(3, domain=x)(x.from_global(torch.arange(8.0)[None])).tolist()
    >>> simulate(2, main)
    [[[2.0, 5.0]], [[7.0]]]
    """

    spatial = 1


@final
@documented
class AdaptiveMaxPool2d(AdaptiveMaxPool):
    """`torch.nn.AdaptiveMaxPool2d` on images that are split over a grid. Collective to build.

    Examples
    --------
    Where no window cuts across ranks, nothing moves:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import movements
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (3, 8, 8), rows=Split(1))
    ...     layer = AdaptiveMaxPool2d((4, 3), domain=images)
    ...     return layer.codomain.shape, movements(layer)
    >>> simulate(2, main)[0]
    ((3, 2, 3), {})
    """

    spatial = 2


@final
@documented
class AdaptiveMaxPool3d(AdaptiveMaxPool):
    """`torch.nn.AdaptiveMaxPool3d` on volumes that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     volumes = DistributedSpace(Grid(world, p=2), (1, 9, 6, 6), p=Split(1))
    ...     layer = AdaptiveMaxPool3d(4, domain=volumes)
    ...     return str(layer.movement.operator), layer.codomain.shape
    >>> simulate(2, main)[0]
    ('HaloExchange(p)', (1, 2, 4, 4))
    """

    spatial = 3
