"""
HaloExchange
============

Each rank gets the entries beside its interval from its neighbours. The adjoint adds what has become of them to those
of their owners.
"""

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=3), (9,), p=Split(0))
    A = HaloExchange(S, {0: (1, 1)})
    return draw(A.H @ A)


figure = simulate(3, main)[0]
