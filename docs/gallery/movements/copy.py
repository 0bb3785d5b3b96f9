"""
Copy
====

From one vector that all ranks store to copies, independent from then on: what happens to the weights of data parallel
training. Nothing is sent; the adjoint is the all-reduce of the gradients.
"""

from distdl_ops import Copies, Copy, DistributedSpace, Grid, Replicated, draw, simulate


def main(world):
    S = DistributedSpace(Grid(world, p=4), (8,), p=Replicated())
    A = Copy(S, S.with_roles(p=Copies()))
    return draw(A.H @ A)


figure = simulate(4, main)[0]
