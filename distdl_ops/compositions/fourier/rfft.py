"""The discrete Fourier transform of a distributed tensor of real numbers.

=========  ==========================================================
map        ``... @ Local(FFT) @ Movement @ Local(RFFT) @ Movement``: first along the axis that is halved, made whole
adjoint    that of the product, with respect to the real pairing of half spectra; see `linop.RFFT`
matrix     that of `linop.RFFT` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from distdl_ops.compositions.fourier.fft import along_stages, staged
from distdl_ops.compositions.fourier.pencils import ends_of, stages
from distdl_ops.compositions.shared import local, moved, require_codomain, settled, whole
from distdl_ops.spaces import DistributedSpace
from linop import FFT, RFFT, Euclidean, LinearOperator, RealPart, SpaceError
from linop.arguments import checked
from linop.operators.spectral.fft import Norm, checked_norm
from linop.operators.spectral.rfft import checked_last


@checked
def DistributedRFFT(
    domain: DistributedSpace,
    axes: int | Sequence[int] | None = None,
    *,
    norm: Norm = "backward",
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return the transform of real tensors to half spectra, pencil by pencil: `linop.RFFT`, laid out. Collective.

    Parameters
    ----------
    domain : DistributedSpace
        Of real tensors; holds each entry once.
    axes : int or sequence of int, optional
        The axes of the tensor to transform, each once; all of them by default. The last one named is halved.
    norm : {"backward", "ortho", "forward"}, optional
        As for `linop.RFFT`.
    codomain : DistributedSpace, optional
        How the half spectra are to lie: a real space of complex tensors, ``field="real"``. By default, as they lie at
        the end, where the last axes were transformed.

    Raises
    ------
    SpaceError
        When `linop.RFFT` raises, copies or overlaps would be added up, or the codomain has another shape or field.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     return DistributedRFFT(DistributedSpace(Grid(world, rows=2), (4, 3), rows=Split(0)))
    >>> F = simulate(2, main)[0]
    >>> print(F)
    Local(FFT(axes=(0,))) @ AllToAll(rows) @ Local(RFFT(axes=(1,)))
    >>> F.codomain
    DistributedSpace(Grid(rows=2), complex128, field='real', (4, 2) rows=Split(1))
    """

    def build() -> tuple[tuple[int, ...], tuple[int, ...]]:
        X = whole(domain)
        if X.dtype.kind != "f":
            raise SpaceError(f"expected real arrays, found {X.dtype}; DistributedFFT transforms complex ones")
        chosen = checked_last("RFFT", X, axes)
        checked_norm("RFFT", X, norm)
        half = tuple(n // 2 + 1 if axis == chosen[-1] else n for axis, n in enumerate(X.shape))
        require_codomain(domain, codomain, half, dtype)
        return chosen, half

    dtype = np.result_type(domain.dtype, np.complex64)
    (*_, last), half = chosen = settled(
        "DistributedRFFT", domain, build, lambda chosen: f"axes={chosen[0]}, {norm=}, {codomain=}"
    )
    first, *others = stages(*(domain.roles, domain.global_shape, chosen[0]), first=last, towards=ends_of(codomain))
    start = staged(domain, first)
    spectra = DistributedSpace(start.grid, half, dtype, "real", **start.roles)

    def transform(X: Euclidean, Y: Euclidean) -> LinearOperator:
        if X.shape[last] == 0:  # a rank that holds nothing has no points to transform, only an array to make complex
            return RealPart(Y).dual
        return RFFT(X, (*(axis for axis in first.axes if axis != last), last), norm=norm, codomain=Y)

    R = local(start, spectra, transform) @ moved(domain, start)
    F, end = along_stages(spectra, others, lambda X, some: FFT(X, some, norm=norm))
    return moved(end, codomain) @ F @ R
