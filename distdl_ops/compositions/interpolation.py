r"""The values of a distributed grid at points between its nodes, each rank with its own points.

=========  ==========================================================
map        the sum over the corners of a cell of the entries there, times hats, as `linop.Interpolation`
adjoint    values spread to the corners of their cells, and added up
matrix     at most :math:`2^d` entries in each row
=========  ==========================================================
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from distdl_ops.compositions.sparse_matrix import DistributedSparseMatrix
from distdl_ops.spaces import DistributedSpace, require_spaces
from distdl_ops.worlds.agreement import agreed
from linop import LinearOperator, SpaceError
from linop.arguments import checked, renamed, show
from linop.errors import ArgumentTypeError
from linop.operators.grids.interpolation import Boundary


@renamed(outside="boundary")
@checked
def DistributedInterpolation(
    domain: DistributedSpace,
    points: npt.ArrayLike,
    *,
    boundary: Boundary = "error",
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return linear interpolation at scattered points: a `DistributedSparseMatrix`. Collective to build.

    Sums along rays are one such operator after another: interpolate at points of all rays, and add up.

    Parameters
    ----------
    domain : DistributedSpace
        Each entry is held by one rank.
    points : array_like, shape ``(count, axes)``
        This rank's, in units of the grid: node 0 lies at 0.0. Any number, also none.
    boundary : {"error", "zero", "edge"}, optional
        What points outside the grid get: they are refused, get zero, or the value at the nearest point of its edge.
    codomain : DistributedSpace, optional
        Where the values lie: this rank holds as many as it has points. By default one axis of all values, rank after
        rank.

    Returns
    -------
    LinearOperator

    Raises
    ------
    SpaceError
        When points are of another shape, not finite, or outside the grid.
    AgreementError
        When only some ranks have such points.

    Examples
    --------
    >>> from distdl_ops import Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (4,), p=Split(0))
    ...     A = DistributedInterpolation(S, [[1.5], [0.0]] if world.rank == 0 else [[2.25]])
    ...     return A(S.from_global(np.array([0.0, 10.0, 20.0, 30.0]))).tolist()
    >>> simulate(2, main)
    [[15.0, 0.0], [22.5]]
    """
    require_spaces("DistributedInterpolation", domain)
    shape = domain.global_shape

    def build() -> np.ndarray:
        if np.iscomplexobj(points):
            raise ArgumentTypeError(f"DistributedInterpolation: expected points of real numbers, found {show(points)}")
        positions = np.asarray(points, np.float64)
        positions = positions.reshape(0, len(shape)) if positions.size == 0 else positions
        name = f"DistributedInterpolation on {domain}"
        if positions.ndim != 2 or positions.shape[1] != len(shape):
            raise SpaceError(f"{name}: expected points of shape (count, {len(shape)}), found {positions.shape}")
        if boundary not in ("error", "zero", "edge"):
            raise SpaceError(f"{name}: expected boundary to be 'error', 'zero' or 'edge', found {boundary!r}")
        last = np.array(shape) - 1
        inside = np.all((positions >= 0) & (positions <= last), axis=1)
        if (
            not np.all(np.isfinite(positions))
            or (positions.size and 0 in shape)
            or (boundary == "error" and not inside.all())
        ):
            worst = positions[~inside][0].tolist() if not inside.all() else positions[:1].tolist()
            raise SpaceError(f"{name}: expected finite points from 0 to {last.tolist()}, found {worst}")
        return positions

    positions = agreed(domain.grid.world, "DistributedInterpolation", build, lambda _: f"{domain!r}, {boundary}")
    return DistributedSparseMatrix(_hats(positions, shape, boundary), domain, codomain=codomain)


def _hats(points: np.ndarray, shape: tuple[int, ...], boundary: Boundary) -> object:
    """Return the matrix of the interpolation: products of hats at the corners of cells."""
    from scipy.sparse import coo_array

    last = np.array(shape) - 1
    inside = np.all((points >= 0) & (points <= last), axis=1)
    clipped = np.clip(points, 0, np.maximum(last, 0))
    cells = np.minimum(np.floor(clipped).astype(np.int64), np.maximum(last - 1, 0))
    fraction = clipped - cells
    rows, columns, values = [], [], []
    for corner in itertools.product((0, 1), repeat=len(shape)):
        weight = np.prod(np.where(corner, fraction, 1 - fraction), axis=1)
        if boundary == "zero":
            weight = weight * inside
        kept = np.flatnonzero(weight)
        rows.append(kept)
        node = (cells + np.array(corner, np.int64))[kept]
        columns.append(np.ravel_multi_index(tuple(node.T), shape) if kept.size else np.zeros(0, np.int64))
        values.append(weight[kept])
    place = (np.concatenate(rows), np.concatenate(columns))
    return coo_array((np.concatenate(values), place), shape=(len(points), int(np.prod(shape)))).tocsr()
