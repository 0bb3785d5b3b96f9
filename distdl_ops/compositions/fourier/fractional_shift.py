"""A distributed tensor shifted periodically by any number of entries, whole or not.

=========  ==========================================================
map        ``Movement @ Local(FractionalShift) @ Movement``: the axis is made whole, shifted, and split again
adjoint    that of the product: the shift by -s
matrix     that of `linop.FractionalShift` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

from distdl_ops.compositions.fourier.fft import along_stages
from distdl_ops.compositions.fourier.pencils import stages
from distdl_ops.compositions.shared import moved, require_codomain, settled, whole
from distdl_ops.spaces import DistributedSpace
from linop import Euclidean, FractionalShift, Identity, LinearOperator
from linop.arguments import checked
from linop.operators.axes import checked_axes
from linop.operators.spectral.fractional_shift import shift_spectrum


@checked
def DistributedFractionalShift(
    domain: DistributedSpace, shift: float, axis: int = -1, *, codomain: DistributedSpace | None = None
) -> LinearOperator:
    """Return the shift of a periodic tensor by any number of entries: `linop.FractionalShift`, laid out. Collective.

    Parameters
    ----------
    domain : DistributedSpace
        Tensors with entries; holds each once.
    shift, axis
        As for `linop.FractionalShift`; the axis is one of the tensor.
    codomain : DistributedSpace, optional
        How the result is to lie; as the domain, by default.

    Raises
    ------
    SpaceError
        When `linop.FractionalShift` raises, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (4, 3), rows=Split(0))
    ...     A = DistributedFractionalShift(S, 1.0, axis=0)
    ...     x = np.arange(12.0).reshape(4, 3)
    ...     return bool(np.allclose(S.to_global(A(S.from_global(x))), np.roll(x, 1, 0)))
    >>> simulate(2, main)
    [True, True]
    """
    codomain = domain if codomain is None else codomain

    def build() -> int:
        shift_spectrum("DistributedFractionalShift", whole(domain), shift, axis)
        require_codomain(domain, codomain, domain.global_shape, domain.dtype)
        return checked_axes("DistributedFractionalShift", whole(domain), (axis,))[0]

    along = settled("DistributedFractionalShift", domain, build, lambda found: f"axis={found}, {shift=}, {codomain=}")

    def shifted(X: Euclidean, some: tuple[int, ...]) -> LinearOperator:
        return FractionalShift(X, shift, along) if some and X.size else Identity(X)

    A, end = along_stages(domain, stages(domain.roles, domain.global_shape, (along,)), shifted)
    return moved(end, codomain) @ A
