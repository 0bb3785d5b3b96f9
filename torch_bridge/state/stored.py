"""Where a part of a tensor lies in the whole one."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from distdl_ops import DistributedSpace
from distdl_ops.intervals import Interval
from linop import SpaceError

Box = tuple[Interval, ...]
"""From where to where, along each axis."""


class Stored(NamedTuple):
    """How a tensor is spread: the space of what the ranks store, and the shape of the whole tensor in a file.

    The shape is the space's, or that of a stack of matrices which lie one below the other in the file.
    """

    space: DistributedSpace
    shape: tuple[int, ...]

    def gather(self, own: torch.Tensor) -> torch.Tensor:
        """Return the whole tensor, of this rank's part."""
        whole: torch.Tensor = self.space.to_global(own)
        return whole.reshape(self.shape)

    def lay_out(self, whole: torch.Tensor) -> torch.Tensor:
        """Return this rank's part of the whole tensor."""
        part: torch.Tensor = self.space.from_global(whole.reshape(self.space.global_shape))
        return part

    def boxes(self) -> list[tuple[Box, tuple[int, ...]]]:
        """Return the boxes of the whole tensor that this rank holds, and the index of each in its part."""
        here = self.space.layout.intervals_at(self.space.grid.world.rank)
        if here is None or any(start == stop for start, stop in here):
            return []
        extents = self.space.global_shape
        if self.shape == extents:
            return [(here, ())]
        if self.shape != (math.prod(extents[:2]), *extents[2:]):
            raise SpaceError(f"expected a stack of tensors with shape {self.shape}, found {self.space}")
        stack, (start, stop), *rest = here
        height = extents[1]
        return [(((k * height + start, k * height + stop), *rest), (k - stack[0],)) for k in range(*stack)]
