r"""Channels into space, and back, of images that are split over a grid.

.. math:: y = P M x

P rearranges what a rank holds, r x r channels to each of r x r pixels, or the reverse. M brings each rank whole sets of
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch

from distdl_ops import DistributedSpace, Role, Split, balanced
from distdl_ops.compositions.shared import settled
from distdl_ops.intervals import Interval
from linop import SpaceError
from torch_bridge.nn.layer import moving, nothing
from torch_bridge.nn.windows import per_axis, require_images


class Shuffle(torch.nn.Module):
    """A rearrangement of channels and pixels. Abstract: `PixelShuffle` or `PixelUnshuffle`.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: split along the same grid axes, into balanced intervals of whole sets.
    """

    def _build(
        self, domain: DistributedSpace, factor: int, name: str, *, sets: tuple[int, int], into: tuple[int, int]
    ) -> None:
        """Make the movement: sets of so many channels and pixels along an axis, into so many."""

        def check() -> None:
            per_axis(name, factor, 1)
            require_images(domain, 2)
            if domain.global_shape[0] % sets[0] or any(n % sets[1] for n in domain.global_shape[1:]):
                raise SpaceError(f"expected channels in sets of {sets[0]} and pixels in sets of {sets[1]}")

        settled(type(self).__name__, domain, check, lambda _: f"{name}={factor}")
        counts = [n // (sets[0] if axis == 0 else sets[1]) for axis, n in enumerate(domain.global_shape)]

        def cut(each: tuple[int, int]) -> dict[str, Role]:
            roles: dict[str, Role] = dict(domain.roles)
            for grid_axis, role in domain.roles.items():
                if isinstance(role, Split):
                    parts = balanced(counts[role.axis], domain.grid.axes[grid_axis])
                    roles[grid_axis] = Split(
                        role.axis, [_times(part, each[role.axis > 0]) for part in parts], gaps=True
                    )
            return roles

        shape = tuple(n * (into[0] if axis == 0 else into[1]) for axis, n in enumerate(counts))
        self.codomain = DistributedSpace(domain.grid, shape, domain.dtype, domain.field, **cut(into))
        self.align = moving(domain, domain.with_roles(**cut(sets)))
        self.factor = factor

    def rearranged(self, x: torch.Tensor, rearrange: Callable[[torch.Tensor, int], torch.Tensor]) -> torch.Tensor:
        """Return what becomes of a tensor in whole sets; of an empty one, torch would leave the shape as it is."""
        shape = (*x.shape[: x.ndim - 3], *self.codomain.shape)
        x = self.align(x)
        return nothing(shape, x) if x.numel() == 0 else rearrange(x, self.factor)


def _times(interval: Interval, factor: int) -> Interval:
    return factor * interval[0], factor * interval[1]


@final
class PixelShuffle(Shuffle):
    """`torch.nn.PixelShuffle` of images that are split over a grid. Collective to build.

    Parameters
    ----------
    upscale_factor
        As for `torch.nn.PixelShuffle`.
    domain : DistributedSpace
        Of the input, with shape (channels, height, width). Any of them may be split, into any intervals.

    Raises
    ------
    SpaceError
        When the input does not fit the layer.

    Examples
    --------
    Twelve channels on two ranks are three sets of four: one of them moves.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     layer = PixelShuffle(2, domain=DistributedSpace(Grid(world, p=2), (12, 4, 4), p=Split(0)))
    ...     return layer.align.operator.codomain.roles, layer.codomain.shape
    >>> simulate(2, main)
    [({'p': Split(0, [(0, 8), (8, 12)])}, (2, 8, 8)), ({'p': Split(0, [(0, 8), (8, 12)])}, (1, 8, 8))]
    """

    def __init__(self, upscale_factor: int, *, domain: DistributedSpace) -> None:
        super().__init__()
        channels = upscale_factor**2 if isinstance(upscale_factor, int) and upscale_factor > 0 else 1
        self._build(domain, upscale_factor, "upscale_factor", sets=(channels, 1), into=(1, upscale_factor))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the larger images: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``."""
        return self.rearranged(x, torch.nn.functional.pixel_shuffle)


@final
class PixelUnshuffle(Shuffle):
    """`torch.nn.PixelUnshuffle` of images that are split over a grid. Collective to build.

    Parameters
    ----------
    downscale_factor
        As for `torch.nn.PixelUnshuffle`.
    domain : DistributedSpace
        Of the input, with shape (channels, height, width). Any of them may be split, into any intervals.

    Raises
    ------
    SpaceError
        When the input does not fit the layer.

    Examples
    --------
    Six rows on two ranks are three pairs: one of them moves.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     layer = PixelUnshuffle(2, domain=DistributedSpace(Grid(world, rows=2), (1, 6, 6), rows=Split(1)))
    ...     return layer.align.operator.codomain.roles, layer.codomain.shape
    >>> simulate(2, main)
    [({'rows': Split(1, [(0, 4), (4, 6)])}, (4, 2, 3)), ({'rows': Split(1, [(0, 4), (4, 6)])}, (4, 1, 3))]
    """

    def __init__(self, downscale_factor: int, *, domain: DistributedSpace) -> None:
        super().__init__()
        factor = downscale_factor if isinstance(downscale_factor, int) and downscale_factor > 0 else 1
        self._build(domain, downscale_factor, "downscale_factor", sets=(1, factor), into=(factor**2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the smaller images: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``."""
        return self.rearranged(x, torch.nn.functional.pixel_unshuffle)
