"""The discrete Fourier transform of a distributed tensor.

=========  ==========================================================
map        ``... @ Local(FFT) @ Movement @ Local(FFT)``: along the axes that are whole, then along others, made whole
adjoint    that of the product: in reverse order, the inverse transforms with the mirrored norm, and the movements back
matrix     that of `linop.FFT` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from distdl_ops.compositions.fourier.pencils import Stage, ends_of, stages
from distdl_ops.compositions.local import Local
from distdl_ops.compositions.shared import held, moved, require_codomain, settled, whole
from distdl_ops.spaces import DistributedSpace
from linop import FFT, Euclidean, Identity, LinearOperator
from linop.arguments import checked
from linop.operators.spectral.fft import Norm


@checked
def DistributedFFT(
    domain: DistributedSpace,
    axes: int | Sequence[int] | None = None,
    *,
    norm: Norm = "backward",
    inverse: bool = False,
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return the discrete Fourier transform of complex tensors, pencil by pencil: `linop.FFT`, laid out. Collective.

    Parameters
    ----------
    domain : DistributedSpace
        Of complex tensors, over the complex or the real numbers; holds each entry once.
    axes : int or sequence of int, optional
        The axes of the tensor to transform, each once; all of them by default.
    norm, inverse
        As for `linop.FFT`.
    codomain : DistributedSpace, optional
        How the result is to lie. By default, as it lies at the end, where the last axes were transformed: a movement
        back would be wasted where the inverse transform follows, and begins there.

    Raises
    ------
    SpaceError
        When `linop.FFT` raises, copies or overlaps would be added up, or the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (4, 2), complex, rows=Split(0))
    ...     F = DistributedFFT(S)
    ...     y = F(S.from_global(np.ones((4, 2))))
    ...     return str(F), F.codomain.to_global(y).real.ravel().tolist()
    >>> simulate(2, main)[0]
    ('Local(FFT(axes=(0,))) @ AllToAll(rows) @ Local(FFT(axes=(1,)))', [8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    """

    def build() -> tuple[int, ...]:
        serial = FFT(whole(domain), axes, norm=norm, inverse=inverse)
        require_codomain(domain, codomain, domain.global_shape, domain.dtype)
        return serial.axes

    chosen = settled(
        "DistributedFFT", domain, build, lambda chosen: f"axes={chosen}, {norm=}, inverse={bool(inverse)}, {codomain=}"
    )

    pencils = stages(domain.roles, domain.global_shape, chosen, towards=ends_of(codomain))
    F, end = along_stages(domain, pencils, lambda X, some: FFT(X, some, norm=norm, inverse=inverse))
    return moved(end, codomain) @ F


def along_stages(
    domain: DistributedSpace,
    stages_of_axes: Iterable[Stage],
    transform: Callable[[Euclidean, tuple[int, ...]], LinearOperator],
) -> tuple[LinearOperator, DistributedSpace]:
    """Return the product of movements and local transforms through some stages, and its codomain. Collective.

    Parameters
    ----------
    domain : DistributedSpace
        Where to begin.
    found : iterable of Stage
        See `stages`.
    transform : callable
        Takes what a rank holds and the axes to transform, and returns the local operator.
    """
    A: LinearOperator = Identity(domain)
    space = domain
    for stage in stages_of_axes:
        before, space = space, staged(space, stage)
        X = held(space)
        some = tuple(axis for axis in stage.axes if X.shape[axis] > 0)  # a rank that holds nothing transforms nothing
        A = Local(space, space, transform(X, some)) @ moved(before, space) @ A
    return A, space


def staged(space: DistributedSpace, stage: Stage) -> DistributedSpace:
    """Return how tensors lie in a stage."""
    return space.like(roles=stage.roles)
