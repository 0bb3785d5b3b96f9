r"""Entries of a distributed tensor at any indices, each rank its own.

=========  ==========================================================
map        :math:`y_k = x_{i_k}` for the indices :math:`i_k` of the rank that holds :math:`y_k`
adjoint    :math:`x_i = \sum y_k` over all k, on all ranks, with :math:`i_k = i`
matrix     one 1 in each row
=========  ==========================================================

Who holds an entry follows from the layout, so that a rank knows whom to ask. At the beginning, all tell each other
how many entries they want from whom, and then which. An application is one sparse exchange: what goes between two ranks
is each entry that one wants of the other, once: what a rank takes several times, it repeats by itself, and the adjoint
adds it up before it is sent. No exchange sends less.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple, final

import numpy as np
import numpy.typing as npt

from distdl_ops.advice.cost import ParallelCost, cost_table, traffic
from distdl_ops.grid import Grid
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.roles import Split
from distdl_ops.layouts.runs import Run
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.transfer.operation_name import OperationName
from distdl_ops.worlds.agreement import agreed
from distdl_ops.worlds.world import Traffic
from linop import Cost, LinearOperator, SpaceError, arrays, claims, cost, rule
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.operators.indexing.gather import Gather


class Summary(NamedTuple):
    """What all ranks know of one: how much it sends and receives, and what follows from its indices."""

    entries: int
    messages_out: int
    messages_in: int
    rows_out: int
    rows_in: int
    additions: int
    rounds: int
    multiplicity: int
    digest: int


@final
class DistributedGather(LinearOperator):
    """The map ``x -> x[indices]``, each rank with its own indices. Its adjoint adds up. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Each entry is held by one rank, in any layout.
    indices : array_like of int, or tuple of these
        This rank's: for each of the tensor's first axes an array, all of one shape. The axes after them are carried
        along, and are not split. An index may occur more than once, on one rank or on several; none is negative. A
        single array is for the first axis.
    codomain : DistributedSpace, optional
        Where the results lie: what this rank holds of it has the shape of the index arrays, followed by the axes that
        are carried along. Not replicated. By default one axis of all results, rank after rank, on a grid of all ranks.

    Raises
    ------
    SpaceError
        When indices are outside the tensor, or of another shape than what the codomain has for them; or when several
        ranks hold an entry.
    AgreementError
        When only some ranks have such arguments.

    Examples
    --------
    >>> from distdl_ops import simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (5,), rows=Split(0))
    ...     A = DistributedGather(S, [4, 0, 4] if world.rank == 0 else [4])
    ...     return A(S.from_global(np.arange(5.0))).tolist(), A.H(np.ones(A.codomain.shape)).tolist()
    >>> simulate(2, main)
    [([4.0, 0.0, 4.0], [1.0, 0.0, 0.0]), ([4.0], [0.0, 3.0])]
    """

    domain: DistributedSpace
    codomain: DistributedSpace

    @checked
    def __init__(
        self,
        domain: DistributedSpace,
        indices: npt.ArrayLike | tuple[npt.ArrayLike, ...],
        codomain: DistributedSpace | None = None,
    ) -> None:
        require_spaces("DistributedGather", domain)
        world = domain.grid.world
        index, shape = agreed(world, "DistributedGather", lambda: _checked(domain, indices, codomain), lambda _: domain)
        carried = domain.global_shape[len(index) :]
        if codomain is None:
            counts = world.allgather(index[0].size, "DistributedGather")
            ends = np.concatenate([[0], np.cumsum(counts)])
            pieces = [(int(a), int(b)) for a, b in itertools.pairwise(ends)]
            grid = Grid(world, ranks=world.size)
            roles = {"ranks": Split(0, pieces)}
            codomain = DistributedSpace(grid, (int(ends[-1]), *carried), domain.dtype, domain.field, **roles)
        super().__init__(domain, codomain)
        self.index = index
        self._width = math.prod(carried)
        own = domain.shape[: len(index)]
        rows = math.prod(own)
        owner, row = _owners(domain.layout, index, world.size)
        stride = rows if not owner.size else int(row.max()) + 1
        wanted, places = np.unique(owner * stride + row, return_inverse=True)
        ranks = wanted // max(stride, 1)
        self._wanted = {int(r): int(n) for r, n in zip(*np.unique(ranks, return_counts=True), strict=True)}
        asked = self._ask(ranks, wanted % max(stride, 1))
        self._serves = {r: rows_of.size for r, rows_of in asked.items()}
        self._serve = Gather(np.concatenate([np.zeros(0, np.int64), *asked.values()]), rows, axis=-2)
        self._repeat = Gather(places.reshape(-1), wanted.size, axis=-2)
        self._own = own
        taken = self._collect(np.ones((places.size, 1)), "DistributedGather: how often")
        self._multiplicity = int(taken.max(initial=0))
        self._summaries = tuple(world.allgather(self._summarise(shape), "DistributedGather"))
        self._operation = OperationName(f"DistributedGather : {domain} -> {codomain}", domain.ndim)

    def _ask(self, owner: np.ndarray, row: np.ndarray) -> dict[int, np.ndarray]:
        """Tell every rank which of its rows are wanted, and return which of this one are, by rank."""
        world = self.domain.grid.world
        everyone = world.allgather(self._wanted, "DistributedGather: how many")
        me = world.rank
        requests = {rank: np.ascontiguousarray(row[owner == rank]) for rank in self._wanted}
        arriving = {rank: np.empty(w[me], np.int64) for rank, w in enumerate(everyone) if me in w and rank != me}
        sends = [(rank, rows) for rank, rows in requests.items() if rank != me]
        world.exchange(sends, list(arriving.items()), "DistributedGather: which").finish()
        if me in requests:
            arriving[me] = requests[me]
        return dict(sorted(arriving.items()))

    def _summarise(self, shape: tuple[int, ...]) -> Summary:
        me = self.domain.grid.world.rank
        out = [n for rank, n in self._serves.items() if rank != me]
        inward = [n for rank, n in self._wanted.items() if rank != me]
        digest = zlib.crc32(repr(shape).encode())
        for array in self.index:
            digest = zlib.crc32(np.ascontiguousarray(array).data, digest)
        entries = math.prod(self.domain.shape) + math.prod(self.codomain.shape)
        return Summary(
            entries,
            len(out),
            len(inward),
            sum(out),
            sum(inward),
            self._serve.additions + self._repeat.additions,
            self._serve.rounds + self._repeat.rounds,
            self._multiplicity,
            digest,
        )

    @property
    def everyone(self) -> tuple[Summary, ...]:
        """What is known of every rank."""
        return self._summaries

    exact = True  # entries are moved, and added up by the adjoint

    @property
    def roundings(self) -> int:
        """Number of roundings: one for each round of the adjoint's sums, of the rank that has most."""
        return max(told.rounds for told in self._summaries)

    @property
    def gain(self) -> float:
        """The root of how often an entry is taken at most: that of the largest column sum."""
        return math.sqrt(max(1, *(told.multiplicity for told in self._summaries)))

    @property
    def claims(self) -> Claims:
        """A coisometry where no entry is taken twice, unitary where each is taken once."""
        if self.domain.size and any(
            told.multiplicity > 1 for told in self._summaries
        ):  # of rows, which may have no entries
            return claims.NONE
        return claims.UNITARY if self.domain.size == self.codomain.size else frozenset({claims.COISOMETRY})

    def _apply(self, x: Array) -> Array:
        batch = self.domain.batch(x)
        rows = arrays.reshape(x, (*batch, math.prod(self._own), self._width))
        arrived = self._travel(self._serve.take(rows), self._serves, self._wanted, self._operation.of(x))
        return arrays.reshape(self._repeat.take(arrived), (*batch, *self.codomain.shape))

    def _apply_dual(self, y: Array) -> Array:
        batch = self.codomain.batch(y)
        rows = arrays.reshape(y, (*batch, self._repeat.index.size, self._width))
        what = f"{self._operation.of(_like_domain(y, batch, self.domain.ndim))}, adjoint"
        return arrays.reshape(self._collect(rows, what), (*batch, *self.domain.shape))

    def _collect(self, rows: Array, what: str) -> Array:
        """Return the sums of results that were taken from each row: first on this rank, then over all."""
        return self._serve.accumulate(self._travel(self._repeat.accumulate(rows), self._wanted, self._serves, what))

    def _travel(self, rows: Array, outgoing: dict[int, int], incoming: dict[int, int], what: str) -> Array:
        """Send rows, in the order of their ranks, and return those that arrive, in the order of theirs."""
        world = self.domain.grid.world
        xp, me, width = arrays.namespace(rows), world.rank, int(rows.shape[-1])
        batch = tuple(rows.shape[:-2])
        pieces = dict(zip(outgoing, _cut(rows, list(outgoing.values())), strict=True))
        arriving = {
            rank: arrays.empty((*batch, count, width), like=rows) for rank, count in incoming.items() if rank != me
        }
        sends = [(rank, arrays.copy(piece)) for rank, piece in pieces.items() if rank != me and width]
        receives = [(rank, piece) for rank, piece in arriving.items() if width]
        world.exchange(sends, receives, what).finish()
        found = [pieces[rank] if rank == me else arriving[rank] for rank in incoming]
        return xp.concat(found, axis=-2) if found else arrays.zeros((*batch, 0, width), like=rows)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, tuple(summary.digest for summary in self._summaries))

    def __str__(self) -> str:
        return "DistributedGather"


def _cut(rows: Array, counts: Sequence[int]) -> list[Array]:
    """Return consecutive pieces of rows."""
    ends = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).tolist()
    return [rows[..., start:stop, :] for start, stop in itertools.pairwise(ends)]


def _checked(
    domain: DistributedSpace, indices: Any, codomain: DistributedSpace | None
) -> tuple[tuple[np.ndarray, ...], tuple[int, ...]]:
    """Return this rank's indices, flat, and their shape; raise where they do not fit."""
    name = f"DistributedGather on {domain}"
    for line, role in domain.roles.items():
        if domain.grid.axes[line] > 1 and (role.replicated or not domain.layout.holds_once_along(line)):
            raise SpaceError(f"{name}: expected each entry on one rank, found {line}={role!r}")
    given = indices if isinstance(indices, tuple) else (indices,)
    found = [np.asarray(index) for index in given]
    found = [index.astype(np.int64) if index.size == 0 else index for index in found]
    if not 1 <= len(found) <= len(domain.global_shape):
        raise SpaceError(f"{name}: expected indices for one of its axes or more, found {len(found)}")
    if any(index.dtype.kind not in "iu" for index in found):
        raise SpaceError(f"{name}: expected arrays of integers, found {[str(index.dtype) for index in found]}")
    if any(index.shape != found[0].shape for index in found):
        raise SpaceError(f"{name}: expected arrays of one shape, found {[index.shape for index in found]}")
    for axis, (index, extent) in enumerate(zip(found, domain.global_shape, strict=False)):
        if index.size and not (index.min() >= 0 and index.max() < extent):
            worst = index.min() if index.min() < 0 else index.max()
            raise SpaceError(f"{name}: expected indices from 0 to {extent - 1} for axis {axis}, found {worst}")
    carried = domain.global_shape[len(found) :]
    split = [role.axis is not None and role.axis >= len(found) for role in domain.roles.values()]
    if any(parts > 1 and beyond for parts, beyond in zip(domain.grid.axes.values(), split, strict=True)):
        raise SpaceError(f"{name}: expected indices for every axis that is split, found some for {len(found)} axes")
    shape = found[0].shape
    if codomain is not None:
        require_spaces("DistributedGather", codomain)
        if codomain.grid.world is not domain.grid.world:
            raise SpaceError(f"{name}: expected a codomain on a grid over the same world, found {codomain}")
        if (codomain.dtype, codomain.field) != (domain.dtype, domain.field):
            raise SpaceError(f"{name}: expected a codomain of {domain.dtype}, found {codomain}")
        for line, role in codomain.roles.items():
            if role.replicated and codomain.grid.axes[line] > 1:
                raise SpaceError(f"{name}: expected a codomain that is not replicated, found {line}={role!r}")
        if math.prod(codomain.shape) == 0 and found[0].size * math.prod(carried) == 0:
            return tuple(index.reshape(-1).astype(np.int64) for index in found), shape
        if codomain.shape != (*shape, *carried):
            raise SpaceError(
                f"{name}: expected indices of shape {codomain.shape[: codomain.ndim - len(carried)]} for {codomain}, "
                f"found {shape}"
            )
    return tuple(index.reshape(-1).astype(np.int64) for index in found), shape


def _owners(layout: Layout, index: tuple[np.ndarray, ...], ranks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rank that holds each indexed row, and which of its rows it is.

    Along each axis, the parts of the ranks are runs of entries; which part an entry is in, and where in it, says the
    last run that begins before it. The parts of all axes together say which rank.
    """
    if index[0].size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    axes = len(index)
    parts: list[dict[tuple[Run, ...], int]] = [{} for _ in range(axes)]
    holders: dict[tuple[int, ...], int] = {}
    for rank in range(min(ranks, layout.ranks)):
        pieces = layout.pieces_at(rank)
        if pieces is not None and all(pieces[:axes]):
            numbers = (part.setdefault(tuple(runs), len(part)) for part, runs in zip(parts, pieces, strict=False))
            holders[tuple(numbers)] = rank
    table = np.zeros([len(part) for part in parts], np.int64)
    for place, rank in holders.items():
        table[place] = rank
    row: np.ndarray = np.zeros(index[0].size, np.int64)
    found = []
    for part, i in zip(parts, index, strict=True):
        runs = np.array(sorted((start, local, number) for r, number in part.items() for local, start, _ in r), np.int64)
        starts, locals_, numbers = runs.T
        lengths = np.array([sum(run.length for run in runs) for runs in part], np.int64)
        last = np.searchsorted(starts, i, "right") - 1
        found.append(numbers[last])
        row = row * lengths[numbers[last]] + locals_[last] + i - starts[last]
    return table[tuple(found)], row


def _like_domain(y: Array, batch: tuple[int, ...], ndim: int) -> Array:
    """Return an array without entries, with batch axes before as many others: for the name of an application."""
    return arrays.zeros((*batch, *(0,) * ndim), like=y)


# -- cost and rules ----------------------------------------------------------------------------------------------------


def _numbers(operator: DistributedGather) -> np.ndarray:
    """Return for each rank the additions (of the adjoint), bytes in memory, messages, and bytes sent or received."""
    width, itemsize = operator._width, operator.domain.dtype.itemsize
    return np.array(
        [
            (
                0,
                itemsize * told.entries,
                max(told.messages_out, told.messages_in),
                itemsize * width * max(told.rows_out, told.rows_in),
            )
            for told in operator.everyone
        ],
        np.int64,
    ).T


@cost.register
def _(operator: DistributedGather) -> Cost:
    return ParallelCost(*(int(row.max()) for row in _numbers(operator)))


@cost_table.register
def _(operator: DistributedGather) -> np.ndarray:
    return _numbers(operator)


@traffic.register
def _(operator: DistributedGather) -> list[Traffic]:
    size = operator._width * operator.domain.dtype.itemsize
    return [
        Traffic(messages=told.messages_out if size else 0, bytes=size * told.rows_out) for told in operator.everyone
    ]


@rule(DistributedGather, DistributedGather)
def two_gathers(left: DistributedGather, right: DistributedGather) -> LinearOperator | None:
    """``x -> x[i] -> x[i][j]`` is ``x -> x[i[j]]``: the second one tells which indices of the first it takes."""
    axes = len(right.index)
    carried = right.domain.global_shape[axes:]
    if len(left.index) != len(left.domain.global_shape) - len(carried):
        return None
    places = left.domain
    shape = (*places.shape[: places.ndim - len(carried)], *(1,) * len(carried))
    found: list[np.ndarray] = []
    for index in right.index:
        spread = arrays.zeros(places.shape, like=index)
        spread[...] = index.reshape(shape) if index.size else 0
        taken = left._apply(spread)
        rows = taken.shape[: taken.ndim - len(carried)]
        found.append(taken.reshape(*rows, -1)[..., 0] if taken.size else np.zeros(rows, np.int64))
    return DistributedGather(right.domain, tuple(found), left.codomain)
