"""Convolution of a distributed tensor with a kernel that changes along an axis.

=========  ==========================================================
map        ``y = sum_j h_j * (w_j x)``: every rank receives what its results see
adjoint    that of ``Local(NonStationaryConvolution) @ Movement``
matrix     that of `linop.NonStationaryConvolution` between the two embeddings
=========  ==========================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import numpy as np
import numpy.typing as npt

from distdl_ops.compositions.shared import (
    fingerprint,
    interval_here,
    local,
    moved,
    require_codomain,
    result_space,
    settled,
    space_seen,
    whole,
)
from distdl_ops.compositions.stencils.windows import Window
from distdl_ops.spaces import DistributedSpace
from linop import Convolution, Diagonal, Euclidean, LinearOperator, Zero
from linop.arguments import checked
from linop.operators.stencils.non_stationary_convolution import KernelsAtPlaces, kernels_at_places


@checked
def DistributedNonStationaryConvolution(
    domain: DistributedSpace,
    kernels: npt.ArrayLike,
    places: Sequence[float],
    axis: int = -1,
    *,
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return ``Local(sum of convolutions) @ Movement``: `linop.NonStationaryConvolution`, laid out. Collective.

    Parameters
    ----------
    domain : DistributedSpace
        Holds each entry once.
    kernels, places, axis
        As for `linop.NonStationaryConvolution`; the same on every rank, and the axis is one of the tensor.
    codomain : DistributedSpace, optional
        How the result is to lie; as the domain, by default.

    Raises
    ------
    SpaceError
        When `linop.NonStationaryConvolution` raises, copies or overlaps would be added up, or the codomain has another
        shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (5,), rows=Split(0))
    ...     A = DistributedNonStationaryConvolution(S, [[0.0, 1.0, 0.0], [1.0, 1.0, 1.0]], [1, 3])
    ...     return S.to_global(A(S.from_global(np.array([0.0, 0.0, 1.0, 0.0, 0.0])))).tolist()
    >>> simulate(2, main)[0]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    codomain = domain if codomain is None else codomain

    def build() -> KernelsAtPlaces:
        require_codomain(domain, codomain, domain.global_shape, domain.dtype)
        return kernels_at_places("DistributedNonStationaryConvolution", whole(domain), kernels, places, axis)

    along, given, where = settled(
        "DistributedNonStationaryConvolution",
        domain,
        build,
        lambda found: f"axis={found[0]}, {fingerprint(found[1])}, {fingerprint(found[2])}, {codomain=}",
    )
    half = given.shape[1] // 2
    window = Window(given.shape[1], padding=(half, half))
    result = result_space(domain, codomain, domain.global_shape, domain.dtype)
    seen = space_seen(result, domain.global_shape, {along: window.needed})
    line = [-1 if k == along else 1 for k in range(len(domain.global_shape))]
    width = 0 if result.split_axes(along) else half  # where the axis is whole, a rank has no halo

    def convolved(X: Euclidean, Y: Euclidean) -> LinearOperator:
        if Y.size == 0:
            return Zero(X, Y)
        index = np.clip(np.arange(*interval_here(seen, along)), 0, domain.global_shape[along] - 1)  # zeros beyond
        padding = [(width, width) if k == along else (0, 0) for k in range(X.ndim)]

        def term(j: int) -> LinearOperator:
            weights = np.interp(index, where, np.eye(len(where))[j]).reshape(line)
            convolution = Convolution(X, given[j].reshape(line), padding=padding, codomain=Y)
            return convolution @ Diagonal(np.broadcast_to(weights, X.shape), X)

        return reduce(add, map(term, range(len(given))))

    return moved(result, codomain) @ local(seen, result, convolved) @ moved(domain, seen)
