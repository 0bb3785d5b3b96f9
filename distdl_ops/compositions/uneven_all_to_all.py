r"""An all-to-all with uneven counts: every rank gives each other one as many of its entries as it likes.

=========  ==========================================================
map        rank s cuts its rows into pieces, one for each rank; rank t has the pieces for it, in the order of s
adjoint    every piece goes back
matrix     a permutation of the rows that are sent
=========  ==========================================================

That is what a mixture of experts sends: each token to the rank of its expert.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distdl_ops.compositions.gather import DistributedGather
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import SpaceError
from linop.arguments import checked


@checked
def UnevenAllToAll(domain: DistributedSpace, counts: Sequence[int]) -> DistributedGather:
    """Return the exchange of consecutive rows: the first ``counts[0]`` go to rank 0, and so on. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Rows along the first axis, split over the ranks; the other axes are not split.
    counts : sequence of int
        This rank's: how many of its rows go to each rank of the world. Together as many as it holds.

    Returns
    -------
    DistributedGather
        Its codomain has the rows in the order of the ranks that they come from; its adjoint is the way back.

    Raises
    ------
    SpaceError
        When the counts are not as many as there are ranks, or not as many together as there are rows.
    AgreementError
        When only some ranks have such counts.

    Examples
    --------
    >>> from distdl_ops import Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (5,), p=Split(0))
    ...     A = UnevenAllToAll(S, [1, 2] if world.rank == 0 else [2, 0])
    ...     return A(S.from_global(np.arange(5.0))).tolist()
    >>> simulate(2, main)
    [[0.0, 3.0, 4.0], [1.0, 2.0]]
    """
    require_spaces("UnevenAllToAll", domain)
    world = domain.grid.world

    def build() -> list[int]:
        split = {role.axis for role in domain.roles.values() if role.axis is not None}
        if split - {0}:
            raise SpaceError(f"UnevenAllToAll on {domain}: expected rows along axis 0, found splits of {sorted(split)}")
        rows = domain.shape[0] if domain.ndim and 0 not in domain.shape[:1] else 0
        found = np.asarray(counts)
        if found.shape != (world.size,) or found.dtype.kind not in "iu" or found.min() < 0 or found.sum() != rows:
            raise SpaceError(
                f"UnevenAllToAll on {domain}: expected {world.size} numbers of rows, {rows} together, found {counts!r}"
            )
        return [int(n) for n in found]

    mine = agreed(world, "UnevenAllToAll", build, lambda _: domain)
    pieces = []
    for rank, sent in enumerate(world.allgather(mine, "UnevenAllToAll")):
        runs = (domain.layout.pieces_at(rank) or [[]])[0]
        held = np.concatenate([np.zeros(0, np.int64), *(np.arange(start, start + n) for _, start, n in runs)])
        before = sum(sent[: world.rank])
        pieces.append(held[before : before + sent[world.rank]])
    return DistributedGather(domain, np.concatenate(pieces))
