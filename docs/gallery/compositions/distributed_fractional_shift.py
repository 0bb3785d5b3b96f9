"""
DistributedFractionalShift
==========================

A wave, shifted by three and a half entries across four ranks.
"""

import numpy as np
from pictures import by_rank

from distdl_ops import DistributedFractionalShift, DistributedSpace, Grid, Split, simulate

t = np.arange(32)
wave = np.exp(-((t - 12) ** 2) / 20)


def main(world):
    S = DistributedSpace(Grid(world, p=4), (32,), p=Split(0))
    x = S.from_global(wave)
    places = S.from_global(t)
    return (places, x), (places, DistributedFractionalShift(S, 3.5)(x))


before, after = zip(*simulate(4, main), strict=True)
figure = by_rank(("x", before), ("shifted by 3.5", after))
