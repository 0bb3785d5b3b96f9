"""Arrays that change their partition, as an application writes it with mpi4py: what `movements.py` compares with.

Each returns a fresh array and leaves its argument alone, as ours do.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from by_hand import exchange
from mpi4py import MPI


class Recut:
    """A vector in one partition to another: `before` and `after` are where ranks begin, and the end."""

    def __init__(self, communicator: Any, before: Sequence[int], after: Sequence[int]) -> None:
        self.comm, rank = communicator, communicator.Get_rank()
        self.sends, self.receives = (
            self._parts(mine[rank : rank + 2], them) for mine, them in ((before, after), (after, before))
        )
        self.rank, self.entries = rank, after[rank + 1] - after[rank]

    def _parts(self, mine: Sequence[int], theirs: Sequence[int]) -> list[slice]:
        """Return what this rank has in common with each."""
        start, stop = mine
        ends = [min(max(cut, start), stop) - start for cut in theirs]
        return [slice(a, b) for a, b in itertools.pairwise(ends)]

    def collective(self, x: np.ndarray) -> np.ndarray:
        """Alltoallv."""
        y = np.empty(self.entries)
        sent, received = (
            ([s.stop - s.start for s in parts], [s.start for s in parts]) for parts in (self.sends, self.receives)
        )
        self.comm.Alltoallv([x, sent], [y, received])
        return y

    def messages(self, x: np.ndarray) -> np.ndarray:
        """Isend and Irecv; what stays is copied."""
        y = np.empty(self.entries)
        arriving, leaving = (
            {k: array[s] for k, s in enumerate(parts) if s.stop > s.start and k != self.rank}
            for array, parts in ((y, self.receives), (x, self.sends))
        )
        requests = exchange(self.comm, arriving, leaving)
        y[self.receives[self.rank]] = x[self.sends[self.rank]]
        MPI.Request.Waitall(requests)
        return y


class Transpose:
    """Rows of a matrix to columns (axis 0 to axis 1), or back."""

    def __init__(self, communicator: Any, shape: tuple[int, int], axis: int) -> None:
        self.comm, self.rank, self.size = communicator, communicator.Get_rank(), communicator.Get_size()
        cut, other = shape[axis] // self.size, shape[1 - axis] // self.size
        self.axis = axis
        before = (cut, shape[1]) if axis == 0 else (shape[0], cut)
        self.after = (shape[0], other) if axis == 0 else (other, shape[1])
        self.block = (cut, other) if axis == 0 else (other, cut)
        self.sends = [self._type(before, 1 - axis, k * other) for k in range(self.size)]
        self.receives = [self._type(self.after, axis, k * cut) for k in range(self.size)]

    def _type(self, shape: tuple[int, int], axis: int, start: int) -> Any:
        starts = (start, 0) if axis == 0 else (0, start)
        return MPI.DOUBLE.Create_subarray(shape, self.block, starts).Commit()

    def typed(self, x: np.ndarray) -> np.ndarray:
        """Alltoallw with derived datatypes."""
        y = np.empty(self.after)
        ones, zeros = [1] * self.size, [0] * self.size
        self.comm.Alltoallw([x, (ones, zeros), self.sends], [y, (ones, zeros), self.receives])
        return y

    def packed(self, x: np.ndarray) -> np.ndarray:
        """Alltoall of packed blocks."""
        sent = np.stack(np.split(x, self.size, axis=1 - self.axis))
        received = np.empty_like(sent)
        self.comm.Alltoall(sent, received)
        return np.concatenate(list(received), axis=self.axis)

    def messages(self, x: np.ndarray) -> np.ndarray:
        """Isend and Irecv of packed blocks; the own one is copied once."""
        y = np.empty(self.after)
        others = [(self.rank + k) % self.size for k in range(1, self.size)]
        targets, sources = np.split(y, self.size, axis=self.axis), np.split(x, self.size, axis=1 - self.axis)
        arriving = {other: np.empty(self.block) for other in others}
        requests = exchange(self.comm, arriving, {other: np.ascontiguousarray(sources[other]) for other in others})
        targets[self.rank][...] = sources[self.rank]
        MPI.Request.Waitall(requests)
        for other in others:
            targets[other][...] = arriving[other]
        return y


class Halo:
    """A halo of one entry on all inner sides: axis after axis, so that corners come with the second one.

    Parameters
    ----------
    communicator : MPI.Comm
        All ranks.
    lengths : tuple of int
        Of the process grid, one for each axis of the array.
    """

    def __init__(self, communicator: Any, lengths: tuple[int, ...]) -> None:
        self.comm = communicator.Create_cart(lengths)
        self.axes = [axis for axis, length in enumerate(lengths) if length > 1]

    def _slabs(self, y: np.ndarray, axis: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the slabs of one entry that lie so deep below both ends of an axis."""
        before = (slice(None),) * axis
        low, high = depth, y.shape[axis] - 1 - depth
        return y[(*before, slice(low, low + 1))], y[(*before, slice(high, high + 1))]

    def _swap(self, axis: int, slabs: tuple[np.ndarray, np.ndarray]) -> list[tuple[int, np.ndarray]]:
        """Send slabs to the neighbours below and above; return theirs, with the side that they come from."""
        neighbours = self.comm.Shift(axis, 1)
        there = [side for side in (0, 1) if neighbours[side] != MPI.PROC_NULL]
        arriving = [(side, np.empty(slabs[side].shape)) for side in there]
        receives = {neighbours[side]: buffer for side, buffer in arriving}
        sends = {neighbours[side]: np.ascontiguousarray(slabs[side]) for side in there}
        MPI.Request.Waitall(exchange(self.comm, receives, sends))
        return arriving

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the array with its halo; zeros beyond the tensor."""
        inside = tuple(slice(1, 1 + n) if axis in self.axes else slice(n) for axis, n in enumerate(x.shape))
        y = np.zeros([n + 2 * (axis in self.axes) for axis, n in enumerate(x.shape)])
        y[inside] = x
        for axis in self.axes:
            for side, found in self._swap(axis, self._slabs(y, axis, 1)):
                self._slabs(y, axis, 0)[side][...] = found
        return y

    def adjoint(self, y: np.ndarray) -> np.ndarray:
        """Return the array without its halo, which is added to the neighbours'; the last axis first."""
        x = y
        for axis in reversed(self.axes):
            arriving = self._swap(axis, self._slabs(x, axis, 0))
            x = x[(*(slice(None),) * axis, slice(1, -1))]
            x = x.copy() if axis == self.axes[-1] else x  # then it is no view of the argument
            for side, found in arriving:
                self._slabs(x, axis, 0)[side][...] += found
        return np.ascontiguousarray(x)
