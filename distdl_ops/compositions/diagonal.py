"""Multiplication of a distributed tensor by an array, entry by entry.

=========  ==========================================================
map        ``(D x)_i = d_i x_i``; every rank multiplies what it holds by its part of d
adjoint    that of ``Local(Diagonal)``: the conjugate entries
matrix     diag(E d), with the embedding E of the space
=========  ==========================================================
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from distdl_ops.compositions.local import Local
from distdl_ops.compositions.shared import fingerprint, held, settled
from distdl_ops.spaces import DistributedSpace
from linop import Diagonal, SpaceError
from linop.arguments import checked


@checked
def DistributedDiagonal(entries: npt.ArrayLike, space: DistributedSpace) -> Local:
    """Return ``Local(Diagonal)`` with this rank's part of the entries. Collective to build; applied without any.

    Parameters
    ----------
    entries : array_like, broadcasts to the shape of the tensor
        d, real or complex; the same on every rank, which copies its part. Integers become float64.
    space : DistributedSpace
        Domain and codomain, in any roles: of copies, each is multiplied; where intervals leave the tensor, d is zero.

    Raises
    ------
    SpaceError
        When the entries are not finite, do not broadcast to the shape, or are complex where the arrays are real.
    AgreementError
        When the ranks pass other entries.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Split(0))
    ...     D = DistributedDiagonal([1.0, 2.0, 3.0], S)
    ...     return str(D), D(S.from_global(np.array([10.0, 10.0, 10.0]))).tolist()
    >>> simulate(2, main)
    [('Local(Diagonal([1.0, 2.0]))', [10.0, 20.0]), ('Local(Diagonal([3.0]))', [30.0])]
    """

    def build() -> np.ndarray:
        part = Diagonal(entries).entries
        try:
            laid_out = np.broadcast_to(part, space.global_shape)
        except ValueError:
            raise SpaceError(
                f"expected entries that broadcast to shape {space.global_shape}, found shape {part.shape}"
            ) from None
        if part.dtype.kind == "c" and space.dtype.kind != "c":
            raise SpaceError(f"entries of {part.dtype} need a space of complex arrays")
        return laid_out

    part = settled("DistributedDiagonal", space, build, fingerprint, once=False)
    return Local(space, space, Diagonal(space.from_global(part), held(space)))
