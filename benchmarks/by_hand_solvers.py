"""CGLS and a first derivative as one writes them with NumPy and mpi4py: what `distributed_solvers.py` compares with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from mpi4py import MPI

Map = Callable[[np.ndarray], np.ndarray]


def cgls(
    communicator: Any, forward: Map, adjoint: Map, b: np.ndarray, iterations: int
) -> tuple[np.ndarray, list[float]]:
    """Return the solution and the times: CGLS as one writes it, with two reductions in an iteration."""

    def total(*numbers: float) -> np.ndarray:
        found = np.array(numbers)
        communicator.Allreduce(MPI.IN_PLACE, found)
        return found

    r = b.copy()
    s = adjoint(r)
    x, p = np.zeros_like(s), s.copy()
    (squared,) = total(np.vdot(s, s))
    residuals, times = [], []
    for _ in range(iterations):
        q = forward(p)
        (image,) = total(np.vdot(q, q))
        alpha = squared / image
        x += alpha * p
        r -= alpha * q
        s = adjoint(r)
        before = squared
        squared, residual = total(np.vdot(s, s), np.vdot(r, r))
        p *= squared / before
        p += s
        residuals.append(residual**0.5)
        times.append(time.perf_counter())
    return x, times


class Derivative:
    """The difference to the entry before, over ranks; the very first entry has none."""

    def __init__(self, communicator: Any) -> None:
        self.comm, rank, size = communicator, communicator.Get_rank(), communicator.Get_size()
        self.first = int(rank == 0)
        self.below = rank - 1 if rank > 0 else MPI.PROC_NULL
        self.above = rank + 1 if rank < size - 1 else MPI.PROC_NULL

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return ``x[i] - x[i - 1]``."""
        halo = np.zeros(1)
        requests = [self.comm.Irecv(halo, self.below), self.comm.Isend(x[-1:], self.above)]
        y = np.empty(x.size - self.first)
        np.subtract(x[1:], x[:-1], out=y[1 - self.first :])
        MPI.Request.Waitall(requests)
        if not self.first:
            y[0] = x[0] - halo[0]
        return y

    def adjoint(self, y: np.ndarray) -> np.ndarray:
        """Return what a difference adds to its entry, less what the next one takes from it."""
        halo = np.zeros(1)
        requests = [self.comm.Irecv(halo, self.above), self.comm.Isend(y[:1], self.below)]
        x = np.empty(y.size + self.first)
        np.subtract(y[:-1], y[1:], out=x[self.first : -1])
        if self.first:
            x[0] = -y[0]
        MPI.Request.Waitall(requests)
        x[-1] = y[-1] - halo[0]
        return x
