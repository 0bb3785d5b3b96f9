"""
DistributedRFFT
===============

The Fourier transform of real tensors: half a spectrum says all.
"""

import numpy as np
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedRFFT, DistributedSpace, Grid, Split, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (32, 32), p=Split(0))
    F = DistributedRFFT(S, norm="ortho")
    x = zone_plate(32)
    spectrum = F.codomain.to_global(F(S.from_global(x)))
    return ("x", x, S), ("moduli of F x", np.abs(spectrum), F.codomain)


figure = side_by_side(*simulate(4, main)[0])
