"""
DistributedDCT
==============

The cosine transform, pencil by pencil: along the axis that each rank has all of, then, after a repartition, along the
other. The lines are between the parts of the ranks.
"""

import numpy as np
from pictures import side_by_side, zone_plate

from distdl_ops import DistributedDCT, DistributedSpace, Grid, Split, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (32, 32), p=Split(0))
    C = DistributedDCT(S)
    x = zone_plate(32)
    return ("x", x, S), ("moduli of C x", np.abs(C.codomain.to_global(C(S.from_global(x)))), C.codomain)


figure = side_by_side(*simulate(4, main)[0])
