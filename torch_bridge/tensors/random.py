"""Random numbers that do not depend on the layout.

Each function draws one number from torch's default generator, which is in the same state on all ranks; with it, the
number at an entry is a function of the entry's place in the whole tensor. So each rank makes its part alone, and a
recomputation, a resumption, or any other layout gives the same numbers.

The function is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014),
which passes the statistical tests of BigCrush as a counter-based generator. The counter is the place; the number drawn
flips its bits. (A compiler that knows places, and wants to multiply them out, stops at the bits.)
"""

from __future__ import annotations

import torch

from torch_bridge.compat import without_dispatch_modes
from torch_bridge.tensors import context
from torch_bridge.tensors.placement import Placement

_GOLDEN = -7046029254386353131  # 2**64 / the golden ratio, as a signed number
_FIRST, _SECOND = -4658895280553007687, -7723592293110705685


def seed() -> int | torch.Tensor:
    """Return a number from torch's default generator; where a program is recorded, as an input of it."""
    with without_dispatch_modes():
        drawn = int(torch.randint(-(2**63), 2**63 - 1, (), dtype=torch.int64))
    recorder = context.recording()
    return drawn if recorder is None else recorder.seed(drawn)


def places(placement: Placement) -> torch.Tensor:
    """Return, for each entry of this rank's part, its place in the whole tensor, in row-major order."""
    pieces = placement.layout.pieces_at(placement.grid.world.rank)
    index = torch.zeros(placement.local_shape, dtype=torch.int64)
    step = 1
    for axis in reversed(range(len(placement.shape))):
        runs = [] if pieces is None else pieces[axis]
        numbers = (
            torch.cat([torch.arange(run.start, run.start + run.length) for run in runs])
            if runs
            else torch.zeros(0, dtype=torch.int64)
        )
        shape = [1] * len(placement.shape)
        shape[axis] = -1
        index = index + numbers.reshape(shape) * step if index.numel() else index
        step *= placement.shape[axis]
    return index


def _shifted(x: torch.Tensor, by: int) -> torch.Tensor:
    """Shift bits to the right, zeros coming in from the left."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def bits(placement: Placement, seed: int | torch.Tensor, stream: int = 0) -> torch.Tensor:
    """Return 64 random bits for each entry of this rank's part."""
    x = ((places(placement) + 1) ^ seed) * _GOLDEN + stream * _FIRST
    x = (x ^ _shifted(x, 30)) * _FIRST
    x = (x ^ _shifted(x, 27)) * _SECOND
    return x ^ _shifted(x, 31)


def uniform(placement: Placement, seed: int | torch.Tensor, stream: int = 0) -> torch.Tensor:
    """Return numbers from 0 (included) to 1 (excluded) for each entry of this rank's part, in double precision."""
    return _shifted(bits(placement, seed, stream), 11).to(torch.float64) * 2.0**-53
