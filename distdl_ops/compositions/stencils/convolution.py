r"""Correlation of a distributed tensor with a kernel, and convolution: with strides, dilation, padding and channels.

=========  ==========================================================
map        ``y_i = sum_k c_k x_(s i + d k - p)``: every rank receives what its results see, and correlates that
adjoint    that of ``Local(Correlation) @ Movement``: halos go back to their owners, and are added there
matrix     that of `linop.Correlation` between the two embeddings
=========  ==========================================================

The movement is the halo exchange, from the tensor as it lies to intervals that are computed for every rank from its
results: uneven and empty parts, kernels wider than a neighbour's part, and strides are ordinary cases. What lies beyond
the tensor is zero, or the tensor again, its mirror image, or its last entry.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy.typing as npt

from distdl_ops.compositions.shared import fingerprint, local, moved, require_codomain, result_space, settled, whole
from distdl_ops.compositions.stencils.windows import CONTINUATIONS, Continuation, View, Window, roles_seen, views_here
from distdl_ops.spaces import DistributedSpace
from linop import Convolution, Correlation, Euclidean, Identity, LinearOperator, Padding, Restriction, SpaceError
from linop.arguments import checked
from linop.operators.stencils.correlation import PerAxis, Widths


@checked
def DistributedCorrelation(
    domain: DistributedSpace,
    kernel: npt.ArrayLike,
    *,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    padding: Widths = 0,
    groups: int = 1,
    boundary: Continuation = "zero",
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return ``Local(Correlation) @ Movement``: `linop.Correlation`, laid out. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Tensors of shape ``(*spatial)``, or with channels ``(channels_in, *spatial)``; holds each entry once, split
        along any spatial axes.
    kernel : array_like
        As many axes as the tensor: no channels. One more: shape ``(channels_out, channels_in / groups, *extents)``. The
        same on every rank.
    stride, dilation, padding, groups
        As for `linop.Correlation`.
    boundary : {"zero", "periodic", "reflect", "edge"}, optional
        What the padding is made of, as for `linop.Padding`.
    codomain : DistributedSpace, optional
        How the result is to lie; it says which results a rank computes. By default, as the domain: in the same
        intervals along an axis that keeps its extent, else in balanced ones.

    Raises
    ------
    SpaceError
        When `linop.Correlation` or `linop.Padding` raises, channels are split, copies or overlaps would be added up, or
        the codomain has another shape.
    AgreementError
        When the ranks pass other arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (5,), rows=Split(0))
    ...     A = DistributedCorrelation(S, [1.0, 0.0, -1.0], padding=1)
    ...     y = A(S.from_global(np.array([1.0, 2.0, 4.0, 8.0, 16.0])))
    ...     return str(A), S.to_global(y).tolist()
    >>> simulate(2, main)[0]
    ('Local(Correlation(3)) @ HaloExchange(rows)', [-2.0, -3.0, -6.0, -12.0, 8.0])
    """

    def serial(X: Euclidean) -> Correlation:
        return Correlation(X, kernel, stride=stride, dilation=dilation, padding=padding, groups=groups)

    return _laid_out("DistributedCorrelation", serial, domain, boundary, codomain)


@checked
def DistributedConvolution(
    domain: DistributedSpace,
    kernel: npt.ArrayLike,
    *,
    stride: PerAxis = 1,
    dilation: PerAxis = 1,
    padding: Widths = 0,
    groups: int = 1,
    boundary: Continuation = "zero",
    codomain: DistributedSpace | None = None,
) -> LinearOperator:
    """Return the convolution ``y_i = sum_k kernel_k x_(i - k)``: the correlation with the mirrored kernel. Collective.

    Parameters
    ----------
    domain, kernel, stride, dilation, padding, groups, boundary, codomain
        As for `DistributedCorrelation` and `linop.Convolution`.

    Raises
    ------
    SpaceError, AgreementError
        As `DistributedCorrelation` does.

    Examples
    --------
    >>> import numpy as np
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (3,), rows=Split(0))
    ...     A = DistributedConvolution(S, [1.0, 10.0], padding="full")
    ...     return A(S.from_global(np.array([1.0, 2.0, 3.0]))).tolist()
    >>> simulate(2, main)
    [[1.0, 12.0], [23.0, 30.0]]
    """

    def serial(X: Euclidean) -> Correlation:
        return Convolution(X, kernel, stride=stride, dilation=dilation, padding=padding, groups=groups)

    return _laid_out("DistributedConvolution", serial, domain, boundary, codomain)


def _laid_out(
    name: str,
    serial: Callable[[Euclidean], Correlation],
    domain: DistributedSpace,
    boundary: Continuation,
    codomain: DistributedSpace | None,
) -> LinearOperator:
    """Return a correlation in one process, laid out over the ranks of its domain."""

    def build() -> Correlation:
        correlation = serial(whole(domain))
        require_codomain(domain, codomain, correlation.codomain.shape, domain.dtype)
        if boundary not in CONTINUATIONS:
            raise SpaceError(f"boundary is one of {', '.join(map(repr, CONTINUATIONS))}, found {boundary!r}")
        channels = len(domain.global_shape) - len(correlation.stride)
        for axis, role in domain.roles.items():
            if role.axis is not None and role.axis < channels:
                raise SpaceError(f"the channels must not be split, found {axis}={role!r}")
        spatial = domain.global_shape[channels:]
        if boundary != "zero" and any(
            n == 0 and any(pair) for n, pair in zip(spatial, correlation.padding, strict=True)
        ):
            raise SpaceError("an axis without entries has nothing to repeat; only zeros can be put around it")
        return correlation

    def describe(correlation: Correlation) -> str:
        sizes = ", ".join(
            f"{name}={getattr(correlation, name)}" for name in ("stride", "dilation", "padding", "groups")
        )
        return f"kernel {fingerprint(correlation.kernel)}, {sizes}, boundary={boundary!r}, codomain={codomain!r}"

    spec = settled(name, domain, build, describe)
    shape, channels = domain.global_shape, len(domain.global_shape) - len(spec.stride)
    extents = spec.kernel.shape[-len(spec.stride) :] if spec.stride else ()
    sizes = zip(extents, spec.stride, spec.padding, spec.dilation, strict=True)
    windows = {axis: Window(*along) for axis, along in enumerate(sizes, start=channels)}

    result = result_space(domain, codomain, spec.codomain.shape, domain.dtype, unsplit=range(channels))
    # The field's name for this movement is halo exchange; where results lie on another grid, it is a repartition, too.
    seen = DistributedSpace(
        result.grid, shape, domain.dtype, domain.field, **roles_seen(result, windows, shape, boundary)
    )
    views = views_here(result, windows, shape, boundary)

    def correlate(X: Euclidean, Y: Euclidean) -> LinearOperator:
        # A rank holds all channels or, where it holds nothing, none.
        kernel = spec.kernel[: Y.shape[0], : X.shape[0] // spec.groups] if channels else spec.kernel
        zeros = [views[axis].widths if boundary == "zero" else (0, 0) for axis in windows]
        C = Identity(X) if boundary == "zero" else continuation(X, views, boundary)
        K = Correlation(
            *(C.codomain, kernel),
            stride=spec.stride,
            dilation=spec.dilation,
            padding=zeros,
            groups=spec.groups,
            codomain=Y,
        )
        return K @ C

    return moved(result, codomain) @ local(seen, result, correlate) @ moved(domain, seen)


def continuation(X: Euclidean, views: dict[int, View], boundary: Continuation) -> LinearOperator:
    """Return ``Restriction @ Padding``: from what a rank holds of a tensor, what its results see beyond its ends."""
    widths = [views[axis].widths if axis in views else (0, 0) for axis in range(X.ndim)]
    C: LinearOperator = Identity(X)
    if any(map(any, widths)):
        C = Padding(X, widths, boundary=boundary)
    crop = [slice(*views[axis].crop) if axis in views else slice(None) for axis in range(X.ndim)]
    if any(n != len(range(n)[s]) for n, s in zip(C.codomain.shape, crop, strict=True)):
        C = Restriction(C.codomain, tuple(crop)) @ C
    return C
