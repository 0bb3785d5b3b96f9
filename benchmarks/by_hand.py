"""The movements as an application writes them with mpi4py: what `movements.py` compares with.

Each returns a fresh array and leaves its argument alone, as ours do. Vectors have `entries` on each rank; what one rank
has alone stands on rank 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mpi4py import MPI


def exchange(communicator: Any, receives: Mapping[int, np.ndarray], sends: Mapping[int, np.ndarray]) -> list[Any]:
    """Start to receive from some ranks and to send to some; return the requests."""
    requests = [communicator.Irecv(buffer, rank) for rank, buffer in receives.items()]
    return requests + [communicator.Isend(buffer, rank) for rank, buffer in sends.items()]


class ByHand:
    """Where it stands, and what all ways have in common."""

    def __init__(self, communicator: Any, entries: int) -> None:
        self.comm, self.entries = communicator, entries
        self.rank, self.size = communicator.Get_rank(), communicator.Get_size()
        self.others = [rank for rank in range(self.size) if rank != self.rank]
        self.first = self.rank == 0

    def at_root(self, entries: int) -> np.ndarray:
        """Return room on rank 0, and an array of size zero elsewhere."""
        return np.empty(entries if self.first else 0)


class Collectives(ByHand):
    """By MPI's collectives, blocking or not."""

    def __init__(self, communicator: Any, entries: int, *, blocking: bool = True) -> None:
        super().__init__(communicator, entries)
        self.blocking, self.counts = blocking, np.full(self.size, entries)

    def _call(self, name: str, *arguments: Any) -> None:
        if self.blocking:
            getattr(self.comm, name)(*arguments)
        else:
            getattr(self.comm, f"I{name.lower()}")(*arguments).Wait()

    def broadcast(self, x: np.ndarray) -> np.ndarray:
        """Return rank 0's vector on all."""
        y = x.copy() if self.first else np.empty(self.entries)
        self._call("Bcast", y, 0)
        return y

    def sum_reduce(self, x: np.ndarray) -> np.ndarray:
        """Return the sum on rank 0."""
        y = self.at_root(self.entries)
        self._call("Reduce", x, y if self.first else None, MPI.SUM, 0)
        return y

    def all_reduce(self, x: np.ndarray) -> np.ndarray:
        """Return the sum on all ranks."""
        y = np.empty(self.entries)
        self._call("Allreduce", x, y, MPI.SUM)
        return y

    def scatter(self, x: np.ndarray) -> np.ndarray:
        """Return this rank's part of rank 0's."""
        y = np.empty(self.entries)
        self._call("Scatterv", [x, self.counts] if self.first else None, y, 0)
        return y

    def gather(self, x: np.ndarray) -> np.ndarray:
        """Return all parts on rank 0."""
        y = self.at_root(self.size * self.entries)
        self._call("Gatherv", x, [y, self.counts] if self.first else None, 0)
        return y

    def all_gather(self, x: np.ndarray) -> np.ndarray:
        """Return all parts on all ranks."""
        y = np.empty(self.size * self.entries)
        self._call("Allgatherv", x, [y, self.counts])
        return y

    def reduce_scatter(self, x: np.ndarray) -> np.ndarray:
        """Return this rank's part of the sum."""
        y = np.empty(self.entries)
        self._call("Reduce_scatter", x, y, self.counts, MPI.SUM)
        return y

    def prefix_sum(self, x: np.ndarray) -> np.ndarray:
        """Return the sum over the ranks up to this one."""
        y = np.empty(self.entries)
        self._call("Scan", x, y, MPI.SUM)
        return y


class Messages(ByHand):
    """By messages, and what else no collective does."""

    def broadcast(self, x: np.ndarray) -> np.ndarray:
        """Return rank 0's vector on all."""
        return self._from_root([x] * self.size)

    def scatter(self, x: np.ndarray) -> np.ndarray:
        """Return this rank's part of rank 0's."""
        return self._from_root(np.split(x, self.size))

    def _from_root(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        y = np.empty(self.entries)
        if self.first:
            requests = exchange(self.comm, {}, {other: parts[other] for other in self.others})
            y[...] = parts[0]
        else:
            requests = exchange(self.comm, {0: y}, {})
        MPI.Request.Waitall(requests)
        return y

    def sum_reduce(self, x: np.ndarray) -> np.ndarray:
        """Return the sum on rank 0."""
        arriving = {other: np.empty(self.entries) for other in self.others if self.first}
        requests = exchange(self.comm, arriving, {} if self.first else {0: x})
        y = x.copy() if self.first else np.empty(0)
        MPI.Request.Waitall(requests)
        for part in arriving.values():
            y += part
        return y

    def gather(self, x: np.ndarray) -> np.ndarray:
        """Return all parts on rank 0."""
        y = self.at_root(self.size * self.entries)
        parts = np.split(y, self.size)
        arriving = {other: parts[other] for other in self.others if self.first}
        requests = exchange(self.comm, arriving, {} if self.first else {0: x})
        if self.first:
            parts[0][...] = x
        MPI.Request.Waitall(requests)
        return y

    def all_reduce(self, x: np.ndarray) -> np.ndarray:
        """Return the sum on all ranks: everyone sums a part, and sends it to all."""
        y = np.empty(self.entries)
        self._spread(self._sum_part(np.array_split(x, self.size)), np.array_split(y, self.size))
        return y

    def all_gather(self, x: np.ndarray) -> np.ndarray:
        """Return all parts on all ranks."""
        y = np.empty(self.size * self.entries)
        self._spread(x, np.split(y, self.size))
        return y

    def reduce_scatter(self, x: np.ndarray) -> np.ndarray:
        """Return this rank's part of the sum."""
        return self._sum_part(np.split(x, self.size))

    def _spread(self, mine: np.ndarray, parts: Sequence[np.ndarray]) -> None:
        requests = exchange(self.comm, {o: parts[o] for o in self.others}, dict.fromkeys(self.others, mine))
        parts[self.rank][...] = mine
        MPI.Request.Waitall(requests)

    def _sum_part(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        arriving = {other: np.empty_like(parts[self.rank]) for other in self.others}
        requests = exchange(self.comm, arriving, {other: parts[other] for other in self.others})
        y = parts[self.rank].copy()
        MPI.Request.Waitall(requests)
        for part in arriving.values():
            y += part
        return y

    def prefix_sum(self, x: np.ndarray) -> np.ndarray:
        """Return the sum over the ranks up to this one, from rank to rank."""
        y = x.copy()
        if self.rank > 0:
            before = np.empty_like(x)
            self.comm.Recv(before, self.rank - 1)
            y += before
        if self.rank < self.size - 1:
            self.comm.Send(y, self.rank + 1)
        return y

    def move(self, x: np.ndarray) -> np.ndarray:
        """Return rank 0's vector on the last rank."""
        y = np.empty(self.entries if self.rank == self.size - 1 else 0)
        if self.first:
            self.comm.Send(x, self.size - 1)
        elif y.size:
            self.comm.Recv(y, 0)
        return y

    def shift(self, x: np.ndarray) -> np.ndarray:
        """Return the vector of the rank before."""
        y = np.empty_like(x)
        self.comm.Sendrecv(x, (self.rank + 1) % self.size, 0, y, (self.rank - 1) % self.size)
        return y

    def pick(self, x: np.ndarray) -> np.ndarray:
        """Return what all have, on rank 0."""
        return x.copy() if self.first else np.empty(0)

    def slice(self, x: np.ndarray) -> np.ndarray:
        """Return this rank's part of what all have."""
        return np.split(x, self.size)[self.rank].copy()
