r"""The product of a fixed matrix with a distributed vector.

=========  ==========================================================
map        ``y = W x``: every rank multiplies its block of W by the part of x that meets it
adjoint    that of ``Movement @ Local(Matrix) @ Movement``: the conjugate transposes of the blocks, the movements back
matrix     that of W between the two embeddings
=========  ==========================================================

How the work is shared along an axis of the grid follows from the roles of x and y there:

======================  ==========================  ==========================  ==============================
x                       y                           blocks of W                 what moves
======================  ==========================  ==========================  ==============================
split                   any                         columns, as x is split      y is summed: a sum-reduce,
                                                                                reduce-scatter or all-reduce
any                     split                       rows, as y is split         x is copied: a broadcast,
                                                                                all-gather, or nothing
`Copies`                `Copies`                    all of W                    nothing: each copy on its own
any                     any                         all of W, where y is wanted  x or y
======================  ==========================  ==========================  ==============================

With both split, the shorter one of x and y moves. Of a grid with two axes, x split along one and y along the other,
each rank has a block of W: x is broadcast along the second axis, y reduced along the first. These are the row-parallel,
the column-parallel and the two-dimensional product: R. A. van de Geijn and J. Watts, *SUMMA: scalable universal matrix
multiplication algorithm*, Concurrency: Practice and Experience 9 (1997) 255-274.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from distdl_ops.compositions.shared import fingerprint, local, moved, settled
from distdl_ops.layouts.roles import Copies, Replicated, Role, Split
from distdl_ops.layouts.runs import Run
from distdl_ops.movement.movement import Movement
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import Euclidean, Identity, Kron, LinearOperator, Matrix, SpaceError
from linop.arguments import checked

Block = Callable[[slice, slice], npt.ArrayLike]
"""Returns the entries of a matrix in some rows and columns."""


@checked
def DistributedMatrix(
    entries: npt.ArrayLike | Block, domain: DistributedSpace, codomain: DistributedSpace
) -> LinearOperator:
    """Return ``Movement @ Local(Matrix) @ Movement``: every rank holds a block of the matrix. Collective to build.

    Parameters
    ----------
    entries : array_like, shape (m, n), or callable
        W, real or complex; the same on every rank, which copies its block. Or a function of two slices, that returns
        the entries in these rows and columns: no rank needs the whole matrix then. Integers become float64.
    domain : DistributedSpace
        Of x, of shape (n,), or (n, ...) for many columns at once; each entry once, or copies that are all multiplied
        where they are.
    codomain : DistributedSpace
        Of y, of shape (m,), or (m, ...) with the axes of x behind; on the same grid.

    Raises
    ------
    SpaceError
        When the entries are no matrix between the two spaces, or copies of x would be added up.
    AgreementError
        When the ranks pass other entries.

    Examples
    --------
    >>> from distdl_ops import At, DistributedSpace, Grid, Split, simulate
    >>> W = np.arange(8.0).reshape(2, 4)
    >>> def main(world):
    ...     grid = Grid(world, rows=2, cols=2)
    ...     X = DistributedSpace(grid, (4,), rows=At(0), cols=Split(0))
    ...     Y = DistributedSpace(grid, (2,), rows=Split(0), cols=At(0))
    ...     A = DistributedMatrix(W, X, Y)
    ...     return str(A), Y.to_global(A(X.from_global(np.ones(4)))).tolist()
    >>> simulate(4, main)[0]
    ('SumReduce(cols) @ Local(Matrix(1x2)) @ Broadcast(rows)', [6.0, 22.0])
    """
    name = "DistributedMatrix"
    require_spaces(name, domain, codomain)

    def build() -> np.ndarray | None:
        m, n = _sizes(domain, codomain)
        if callable(entries):
            return None
        whole_matrix = Matrix(entries).entries
        if whole_matrix.shape != (m, n):
            raise SpaceError(f"to {codomain}: expected a matrix of shape {(m, n)}, found {whole_matrix.shape}")
        if whole_matrix.dtype.kind == "c" and domain.dtype.kind != "c":
            raise SpaceError(f"a matrix of {whole_matrix.dtype} needs spaces of complex arrays")
        return whole_matrix

    def describe(whole_matrix: np.ndarray | None) -> str:
        return f"{codomain!r}, {'a function' if whole_matrix is None else fingerprint(whole_matrix)}"

    whole_matrix = settled(name, domain, build, describe, once=False)
    shares = _shares(domain, codomain)
    seen = domain.with_roles(**{axis: columns for axis, (columns, _) in shares.items()})
    sums = codomain.with_roles(**{axis: rows for axis, (_, rows) in shares.items()})
    world = domain.grid.world
    partial = agreed(world, name, lambda: _partial(domain, seen, sums, codomain))
    across, down = (_held(space) for space in (seen, sums))
    given = entries if whole_matrix is None else whole_matrix
    block = agreed(
        world, name, lambda: _block(given, down, across, domain), describe=lambda whole_matrix: whole_matrix.dtype
    )

    def multiply(X: Euclidean, Y: Euclidean) -> LinearOperator:
        A = Matrix(block, Euclidean(X.shape[0], X.dtype), Euclidean(Y.shape[0], Y.dtype))
        return A if X.ndim == 1 else Kron(A, Identity(Euclidean(X.shape[1:], X.dtype)))

    reduce = Movement(sums, codomain) if partial else moved(sums, codomain)
    return reduce @ local(seen, sums, multiply) @ moved(domain, seen)


def _sizes(domain: DistributedSpace, codomain: DistributedSpace) -> tuple[int, int]:
    """Return how many rows and columns a matrix between two spaces has; raise where there is none."""
    X, Y = domain.global_shape, codomain.global_shape
    if not X or not Y or X[1:] != Y[1:]:
        raise SpaceError(
            f"to {codomain}: expected shapes (n, ...) and (m, ...) with the same axes behind, found {X}, {Y}"
        )
    if domain.grid != codomain.grid:
        raise SpaceError(f"to {codomain}: expected one grid, found {domain.grid} and {codomain.grid}")
    if domain.dtype != codomain.dtype:
        raise SpaceError(f"to {codomain}: the dtypes {domain.dtype} and {codomain.dtype} differ")
    if (domain.field, codomain.field) != (("complex",) * 2 if domain.dtype.kind == "c" else ("real",) * 2):
        raise SpaceError(f"to {codomain}: expected real spaces of real arrays, or complex spaces")
    return Y[0], X[0]


def _shares(domain: DistributedSpace, codomain: DistributedSpace) -> dict[str, tuple[Role, Role]]:
    """Return, for each axis of the grid, the roles of the part of x that a block meets, and of its product.

    Where x is split and the product is copies, these are partial sums.
    """
    target = {
        axis: _by_itself(codomain, axis)
        if role.axis is None or codomain.layout.holds_once_along(axis)
        else Split(role.axis)
        for axis, role in codomain.roles.items()
    }
    pairs = {axis: (_by_itself(domain, axis), target[axis]) for axis in domain.roles}
    by_y = {y.axis for x, y in pairs.values() if y.axis is not None and not _is_split(x)}
    y_moves = codomain.global_shape[0] <= domain.global_shape[0]  # where both are split, the shorter one does
    shares: dict[str, tuple[Role, Role]] = {}
    for axis, (x, y) in pairs.items():
        if _is_split(x) and (y_moves or not _is_split(y)):
            shares[axis] = x, Copies()
        elif _is_split(y):
            shares[axis] = Copies(), y
        elif y.axis is not None:
            shares[axis] = y, y
        elif x.axis is not None and x.axis not in by_y:
            shares[axis] = x, x
        elif x == y == Copies():
            shares[axis] = x, y
        else:
            place = next(
                (role for role in (y, x) if role.axis is None and role not in (Copies(), Replicated())), Replicated()
            )
            shares[axis] = place, place
    return shares


def _is_split(role: Role) -> bool:
    """Say whether a role splits the axis that the matrix acts on."""
    return role.axis == 0


def _by_itself(space: DistributedSpace, name: str) -> Role:
    """Return the role along a grid axis; of one that divides what others give, what can stand without these."""
    role = space.roles[name]
    nested = role.axis is not None and space.split_axes(role.axis)[0] != name
    return role.plain() if nested else role


def _partial(
    domain: DistributedSpace, seen: DistributedSpace, sums: DistributedSpace, codomain: DistributedSpace
) -> list[str]:
    """Return the grid axes along which the products are partial sums.

    Raise where a movement around the products would add up copies that are vectors of their own.
    """
    where = f"DistributedMatrix : {domain} -> {codomain}"
    copied = [axis for axis in domain.roles if not domain.layout.holds_once_along(axis)]
    for axis in copied:
        if domain != seen or domain.roles[axis].axis is not None:
            raise SpaceError(
                f"{where}: the product needs x as {seen}; {axis}={domain.roles[axis]!r} holds entries more than once, "
                f"and they would be added up; expected one vector, replicated along {axis!r}"
            )
    copies = [axis for axis, role in sums.roles.items() if role == Copies()]
    kept = [axis for axis in copies if seen.roles[axis] == Copies()]
    partial = [axis for axis in copies if axis not in kept]
    if kept and (partial or sums != codomain):
        raise SpaceError(
            f"{where}: the products come as {sums}, and a movement from there would add up copies along {kept[0]!r}, "
            f"which are vectors of their own"
        )
    return partial


def _held(space: DistributedSpace) -> list[Run]:
    """Return the runs of the first tensor axis that this rank holds; an empty one where it holds nothing."""
    pieces = space.layout.pieces_at(space.grid.world.rank)
    return (pieces[0] if pieces else []) or [Run(0, 0, 0)]


def _block(entries: Any, rows: list[Run], columns: list[Run], domain: DistributedSpace) -> np.ndarray:
    """Return a copy of this rank's block; raise where a function returns something else."""
    if not callable(entries):
        place = (
            np.concatenate([np.arange(start, start + length) for _, start, length in run]) for run in (rows, columns)
        )
        return Matrix(entries[np.ix_(*place)]).entries
    parts = [[_part(entries, row, column, domain) for column in columns] for row in rows]
    return Matrix(np.block(parts)).entries


def _part(entries: Block, row: Run, column: Run, domain: DistributedSpace) -> np.ndarray:
    """Return what a function returns for a run of rows and one of columns; raise where that is something else."""
    rows, columns = slice(row.start, row.start + row.length), slice(column.start, column.start + column.length)
    block = Matrix(entries(rows, columns)).entries
    expected = row.length, column.length
    if block.shape != expected or (block.dtype.kind == "c" and domain.dtype.kind != "c"):
        raise SpaceError(
            f"DistributedMatrix on {domain}: expected a block of shape {expected} for rows {(rows.start, rows.stop)} "
            f"and columns {(columns.start, columns.stop)}, complex only where the spaces are, found {block.dtype} of "
            f"shape {block.shape}"
        )
    return block
