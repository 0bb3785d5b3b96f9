"""
DistributedFFT
==============

The Fourier transform, pencil by pencil: along the axis that each rank has all of, then, after a repartition, along
the other. The lines are between the parts of the ranks.
"""

import numpy as np
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedFFT, DistributedSpace, Grid, Split, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (32, 32), complex, p=Split(0))
    F = DistributedFFT(S, norm="ortho")
    x = zone_plate(32)
    spectrum = F.codomain.to_global(F(S.from_global(x)))
    return ("x", x, S), ("moduli of F x", np.abs(spectrum), F.codomain)


figure = side_by_side(*simulate(4, main)[0])
