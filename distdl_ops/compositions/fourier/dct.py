"""The discrete cosine transform of a distributed tensor.

=========  ==========================================================
map        ``... @ Local(DCT) @ Movement @ Local(DCT)``: along the axes that are whole, then along others, made whole
adjoint    that of the product: in reverse order, the inverse transforms, and the movements back
matrix     that of `linop.DCT` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence

from distdl_ops.compositions.fourier.fft import along_stages
from distdl_ops.compositions.fourier.pencils import ends_of, stages
from distdl_ops.compositions.shared import moved, require_codomain, settled, whole
from distdl_ops.spaces import DistributedSpace
from linop import DCT, LinearOperator
from linop.arguments import checked, renamed


@renamed(inverted="inverse")
@checked
def DistributedDCT(
    domain: DistributedSpace,
    axes: int | Sequence[int] | None = None,
    *,
    inverse: bool = False,
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return the orthonormal cosine transform, pencil by pencil: `linop.DCT`, laid out. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Tensors with entries; holds each once.
    axes, inverse
        As for `linop.DCT`; axes are those of the tensor.
    codomain : DistributedSpace, optional
        How the result is to lie. By default, as it lies at the end, where the last axes were transformed.

    Raises
    ------
    SpaceError
        When `linop.DCT` raises, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (4, 2), rows=Split(0))
    ...     C = DistributedDCT(S)
    ...     return str(C), C.codomain.to_global(C(S.from_global(np.ones((4, 2))))).round(9).tolist()[0]
    >>> simulate(2, main)[0]
    ('Local(DCT(0)) @ AllToAll(rows) @ Local(DCT(1))', [2.828427125, 0.0])
    """

    def build() -> tuple[int, ...]:
        serial = DCT(whole(domain), axes, inverse=inverse)
        require_codomain(domain, codomain, domain.global_shape, domain.dtype)
        return serial.axes

    along = settled("DistributedDCT", domain, build, lambda found: f"axes={found}, {inverse=}, {codomain=}")
    pencils = stages(domain.roles, domain.global_shape, along, towards=ends_of(codomain))
    C, end = along_stages(domain, pencils, lambda X, some: DCT(X, some, inverse=inverse))
    return moved(end, codomain) @ C
