r"""A distributed sparse matrix: every rank has rows of it, and finds the columns that it needs by itself.

=========  ==========================================================
map        ``y = A x``, x split over the ranks, y where the rows of A are
adjoint    that of ``Local(SparseMatrix) @ DistributedGather``
matrix     the rows of all ranks, one below the other
=========  ==========================================================

A rank needs those entries of x whose columns its rows have. `DistributedGather` brings each once: the halo of the
matrix, known from its entries alone.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from distdl_ops.compositions.gather import DistributedGather
from distdl_ops.compositions.local import Local
from distdl_ops.compositions.shared import held
from distdl_ops.grid import Grid
from distdl_ops.layouts.roles import Split
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import LinearOperator, SpaceError, SparseMatrix
from linop.arguments import checked, show
from linop.errors import ArgumentTypeError


@checked
def DistributedSparseMatrix(
    rows: Any, domain: DistributedSpace, *, codomain: DistributedSpace | None = None
) -> LinearOperator:
    """Return ``Local(SparseMatrix) @ DistributedGather``, each rank with its rows. Collective to build.

    Parameters
    ----------
    rows : scipy.sparse array or matrix, shape ``(rows of this rank, entries of the tensor)``
        Columns are the places of the tensor's entries in row-major order.
    domain : DistributedSpace
        Each entry is held by one rank.
    codomain : DistributedSpace, optional
        Where the results lie: this rank holds as many entries as it has rows. By default one axis of all results, rank
        after rank.

    Returns
    -------
    LinearOperator

    Raises
    ------
    TypeError
        When the rows are not sparse.
    SpaceError
        When the number of columns, or of rows, is another one.
    AgreementError
        When only some ranks have such arguments.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> from distdl_ops import simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (3,), p=Split(0))
    ...     rows = [[2.0, 0.0, 1.0]] if world.rank == 0 else [[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    ...     A = DistributedSparseMatrix(csr_array(rows), S)
    ...     return A(S.from_global(np.array([1.0, 10.0, 100.0]))).tolist()
    >>> simulate(2, main)
    [[102.0], [10.0, 111.0]]
    """
    require_spaces("DistributedSparseMatrix", domain)
    world, size = domain.grid.world, int(np.prod(domain.global_shape))

    def build() -> tuple[Any, np.ndarray]:
        from scipy.sparse import csr_array, issparse

        given: Any = rows
        if not issparse(rows):
            raise ArgumentTypeError(
                f"DistributedSparseMatrix: expected rows to be a sparse matrix of scipy, found {show(rows)}"
            )
        if given.ndim != 2 or given.shape[1] != size:
            raise SpaceError(
                f"DistributedSparseMatrix on {domain}: expected rows of {size} columns, found shape {given.shape}"
            )
        if codomain is not None:
            require_spaces("DistributedSparseMatrix", codomain)
            if int(np.prod(codomain.shape)) != given.shape[0]:
                raise SpaceError(
                    f"DistributedSparseMatrix on {domain}: expected {int(np.prod(codomain.shape))} rows for "
                    f"{codomain}, found {given.shape[0]}"
                )
        entries: Any = csr_array(given)
        columns, place = np.unique(entries.indices, return_inverse=True)
        local: Any = csr_array((entries.data, place, entries.indptr), shape=(entries.shape[0], columns.size))
        return local, columns

    local, columns = agreed(world, "DistributedSparseMatrix", build, lambda _: domain)
    needed = tuple(np.unravel_index(columns, domain.global_shape)) if columns.size else (columns,) * domain.ndim
    gather = DistributedGather(domain, needed)
    counts = world.allgather(local.shape[0], "DistributedSparseMatrix")
    ends = [0, *itertools.accumulate(counts)]
    split = Split(0, list(itertools.pairwise(ends)))
    lines = DistributedSpace(Grid(world, ranks=world.size), (ends[-1],), domain.dtype, domain.field, ranks=split)
    product = agreed(
        world,
        "DistributedSparseMatrix",
        lambda: SparseMatrix(local, held(gather.codomain), held(lines)),
        lambda _: lines,
    )
    A = Local(gather.codomain, lines, product) @ gather
    if codomain is None:
        return A
    start = ends[world.rank]
    rows_held = np.arange(start, start + counts[world.rank]).reshape(codomain.shape)
    return DistributedGather(lines, rows_held, codomain) @ A  # every rank keeps what it has, in another shape
