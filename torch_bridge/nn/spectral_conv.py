r"""Spectral convolutions, the layers of Fourier neural operators: a matrix of its own for each of the low modes.

.. math:: y = S^* D\,(W \cdot A x), \quad (W \cdot X)_{o,k} = \sum_i W_{i,o,k} X_{i,k}

A is the real Fourier transform along all spatial axes, of which only low modes are kept: of the last axis the
frequencies 0 to m - 1, of every other one -m to m - 1. S is the same transform of the output's space, divided by the
number of points, and D counts each mode as often as it stands in the whole spectrum: once or, with its mirror image,
twice. So :math:`S^* D` is the inverse transform of a spectrum that is zero elsewhere: neither an adjoint nor an inverse
is written down.

A transform needs its axis whole. So A is a chain of transforms and movements between them, each after the modes that
are not wanted are gone: what moves is small. In the end channels are whole and modes are split, and so is W, which is
stored once.

Sources: Z. Li et al., *Fourier Neural Operator for Parametric Partial Differential Equations*, ICLR 2021,
arXiv:2010.08895. T. J. Grady et al., *Model-parallel Fourier neural operators as learned surrogates for large-scale
parametric PDEs*, Computers & Geosciences 178 (2023) 105402: there, modes are dropped before axes are exchanged.
"""

from __future__ import annotations

from functools import partial
from typing import Any, final

import numpy as np
import torch

from distdl_ops import DistributedSpace, Role, Split
from distdl_ops.compositions.pencils import stages
from distdl_ops.compositions.shared import carried_roles, local, moved, require_codomain, settled
from linop import FFT, RFFT, Euclidean, Identity, LinearOperator, RealPart, Restriction, SpaceError
from linop.operators.fft import Norm
from torch_bridge.module import Operator
from torch_bridge.nn.docstrings import documented
from torch_bridge.nn.layer import Layer, nothing, parameter_space, torch_dtype
from torch_bridge.nn.windows import PerAxis, per_axis, require_images


@final
class SequentialSpectralConv(torch.nn.Module):
    """A spectral convolution in one process, in any number of dimensions: what the distributed ones are equal to.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    modes : tuple of int
        m for each spatial axis: the last one keeps m frequencies, the others 2 m.
    device, dtype : optional
        Of the weight, as torch's layers take them; the dtype is a real one.

    Attributes
    ----------
    weight : parameter, shape (in_channels, out_channels, 2 m_1, ..., m_d, 2)
        Real and imaginary parts: a real tensor, which changes its precision with the network. Along each axis
        frequencies are in the order of `numpy.fft`: 0 to m - 1, then -m to -1.

    Examples
    --------
    >>> layer = SequentialSpectralConv(1, 1, (2,))
    >>> layer.weight.data[:] = torch.tensor([1.0, 0.0])       # the mean and the first wave stay as they are
    >>> torch.set_printoptions(precision=1, sci_mode=False)
    >>> layer(torch.tensor([[8.0, 0, 0, 0, 0, 0, 0, 0]])).detach()
    tensor([[ 3.0,  2.4,  1.0, -0.4, -1.0, -0.4,  1.0,  2.4]])
    >>> torch.set_printoptions(profile="default")
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: tuple[int, ...],
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.modes = modes
        kept = [2 * m for m in modes[:-1]] + list(modes[-1:])
        numbers = torch.rand(in_channels, out_channels, *kept, 2, device=device, dtype=dtype)
        self.weight = torch.nn.Parameter(numbers / (in_channels * out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result: from shape ``(*batch, in_channels, ...)`` to ``(*batch, out_channels, ...)``.

        Parameters
        ----------
        x : tensor of real numbers
        """
        axes = tuple(range(-len(self.modes), 0))
        extents = x.shape[-len(self.modes) :]
        spectrum = torch.fft.rfftn(x, dim=axes)
        kept = (_frequencies(n, m, axis == -1) for n, m, axis in zip(extents, self.modes, axes, strict=True))
        places: tuple[Any, ...] = (..., *map(torch.from_numpy, np.ix_(*kept)))
        products = mixed(spectrum[places], torch.view_as_complex(self.weight))
        y = products.new_zeros(*products.shape[: axes[0]], *spectrum.shape[axes[0] :])
        y[places] = products
        if len(axes) > 1:
            y = torch.fft.ifftn(y, dim=axes[:-1])
        found: torch.Tensor = torch.fft.irfft(y, n=extents[-1], dim=-1)
        return found


class SpectralConv(Layer):
    """A spectral convolution of images that are split in space. Abstract: the final classes say of how many axes.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of the input and of the output.
    modes : int or tuple of int
        m for all spatial axes, or for each: the last one keeps m frequencies, the others 2 m. See
        `SequentialSpectralConv`, which has the same weight.
    domain : DistributedSpace
        Of the input, with shape (in_channels, spatial axes), of which any may be split, as many as there are spatial
        axes.
    codomain : DistributedSpace, optional
        Of the output, with shape (out_channels, spatial axes), on the same grid. By default it is split as the input.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output.

    Raises
    ------
    SpaceError
        When the spaces do not fit the layer, or there are not so many modes.
    """

    spatial: int
    counts: torch.Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        modes: PerAxis,
        *,
        domain: DistributedSpace,
        codomain: DistributedSpace | None = None,
    ) -> None:
        super().__init__()

        def check() -> tuple[int, ...]:
            require_images(domain, self.spatial)
            if domain.dtype.kind != "f":
                raise SpaceError(f"expected real numbers, found {domain.dtype}")
            if domain.global_shape[0] != in_channels:
                raise SpaceError(f"expected a domain of shape ({in_channels}, ...)")
            require_codomain(domain, codomain, (out_channels, *domain.global_shape[1:]), domain.dtype)
            for space in (domain, codomain or domain):
                if space.grid != domain.grid:
                    raise SpaceError(f"expected a codomain on the same grid, found {space}")
                if sum(isinstance(role, Split) for role in space.roles.values()) > self.spatial:
                    raise SpaceError(
                        f"expected as many axes to be split as modes can be, {self.spatial}, found {space}"
                    )
            found = per_axis("modes", modes, self.spatial)
            for axis, (m, n) in enumerate(zip(found, domain.global_shape[1:], strict=True), start=1):
                most = n // 2 + 1 if axis == self.spatial else n // 2
                if m > most:
                    raise SpaceError(f"expected at most {most} modes along axis {axis} of {n} points, found {m}")
            return found

        name = f"SpectralConv{self.spatial}d"
        found = settled(name, domain, check, lambda found: f"{in_channels}, {out_channels}, {found}, {codomain}")
        shape = (out_channels, *domain.global_shape[1:])
        self.codomain = codomain or DistributedSpace(
            domain.grid, shape, domain.dtype, domain.field, **carried_roles(domain, shape)
        )
        A, modes_in = low_modes(domain, found, "backward", None)
        products = DistributedSpace(
            modes_in.grid, (out_channels, *modes_in.global_shape[1:]), modes_in.dtype, "real", **modes_in.roles
        )
        S, _ = low_modes(self.codomain, found, "forward", products)
        self.analysis, self.synthesis = Operator(A), Operator(S.dual)
        self.products = products.shape
        weight = (in_channels, out_channels, *products.global_shape[1:], 2)
        axes = {axis: axis + 1 for axis in range(1, domain.ndim)}
        real = DistributedSpace(domain.grid, products.global_shape, domain.dtype, **products.roles)
        space, self.copy_weight = parameter_space(real, weight, axes)
        here = products.layout.intervals_at(domain.grid.world.rank) or ((0, 0),)
        column = torch.arange(*here[-1])
        alone = (column == 0) | (2 * column == shape[-1])
        dtype = torch_dtype(domain)
        self.register_buffer("counts", torch.where(alone, 1, 2).to(dtype), persistent=False)
        self.add_parameters(
            {"weight": space},
            lambda device: SequentialSpectralConv(in_channels, out_channels, found, device, dtype),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``."""
        spectrum, weight = self.analysis(x), self.copy_weight(self.weight)
        if spectrum.numel() == 0 or weight.numel() == 0:
            batch = spectrum.shape[: spectrum.ndim - len(self.products)]
            y = nothing((*batch, *self.products), spectrum, weight)
        else:
            y = self.counts * mixed(spectrum, torch.view_as_complex(weight))
        found: torch.Tensor = self.synthesis(y)
        return found


@final
@documented
class SpectralConv1d(SpectralConv):
    """A spectral convolution of sequences that are split in time. Collective to build.

    Examples
    --------
    Where sequences are split, each rank transforms those of some channels.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (4, 64), p=Split(1))
    ...     layer = SpectralConv1d(4, 6, 8, domain=x)
    ...     return tuple(layer.weight.shape), tuple(layer(torch.ones(5, *x.shape, dtype=torch.float64)).shape)
    >>> simulate(2, main)[0]
    ((4, 6, 4, 2), (5, 6, 32))
    """

    spatial = 1


@final
@documented
class SpectralConv2d(SpectralConv):
    """A spectral convolution of images that are split in space. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, p=2), (3, 16, 16), "float32", p=Split(1))
    ...     layer = SpectralConv2d(3, 4, 5, domain=images)
    ...     return tuple(layer.weight.shape), str(layer.analysis.operator)
    >>> print(*simulate(2, main)[0])                                            # modes are dropped before they move
    (3, 4, 10, 3, 2) Local(Restriction... @ FFT(axes=(1,))) @ Repartition(p) @ Local(Restriction... @ RFFT(axes=(2,)))
    """

    spatial = 2


@final
@documented
class SpectralConv3d(SpectralConv):
    """A spectral convolution of volumes that are split in space. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import gather_state
    >>> def main(world):
    ...     volumes = DistributedSpace(Grid(world, p=2, q=2), (1, 8, 8, 8), p=Split(1), q=Split(2))
    ...     layer = SpectralConv3d(1, 2, (2, 2, 3), domain=volumes)
    ...     return layer.codomain.layout, tuple(gather_state(layer)["weight"].shape)
    >>> simulate(4, main)[0]
    ((2, 8, 8, 8) p=Split(1) q=Split(2), (1, 2, 4, 4, 3, 2))
    """

    spatial = 3


def mixed(spectrum: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return what the matrix of each mode makes of its channels: of shapes (..., i, k) and (i, o, k), (..., o, k)."""
    axes = weight.ndim - 2
    y = torch.einsum("...ik,iok->...ok", spectrum.flatten(-axes), weight.flatten(2))
    return y.reshape(*y.shape[:-1], *weight.shape[2:])


def low_modes(
    domain: DistributedSpace, modes: tuple[int, ...], norm: Norm, codomain: DistributedSpace | None
) -> tuple[LinearOperator, DistributedSpace]:
    """Return the transform to the low modes, channels whole, and its codomain. Collective.

    Parameters
    ----------
    domain : DistributedSpace
        Of real tensors, of shape (channels, spatial axes).
    modes : tuple of int
        For each spatial axis.
    norm : {"backward", "forward"}
        As for `linop.RFFT`.
    codomain : DistributedSpace, optional
        How modes are to lie. By default as in the end, but that they are split instead of channels.
    """
    last = domain.ndim - 1
    A: LinearOperator = Identity(domain)
    space = domain
    dtype = np.result_type(domain.dtype, np.complex64)
    for stage in stages(domain.roles, domain.global_shape, range(1, domain.ndim), first=last):
        whole = space.with_roles(**stage.roles)
        A, space = moved(space, whole) @ A, whole
        for axis in sorted(stage.axes, reverse=True):
            places = _frequencies(space.global_shape[axis], modes[axis - 1], axis == last)
            shape = tuple(len(places) if k == axis else n for k, n in enumerate(space.global_shape))
            kept = DistributedSpace(domain.grid, shape, dtype, "real", **space.roles)
            A, space = (
                local(space, kept, partial(_transform, axis=axis, half=axis == last, places=places, norm=norm)) @ A,
                kept,
            )
    if codomain is None:
        free = [axis for axis in range(1, domain.ndim) if not _splits(space, axis)]
        ends: dict[str, Role] = {name: Split(free.pop()) for name in _splits(space, 0)}
        codomain = space.with_roles(**ends)
    return moved(space, codomain) @ A, codomain


def _transform(X: Euclidean, Y: Euclidean, axis: int, half: bool, places: np.ndarray, norm: Norm) -> LinearOperator:
    """Return a rank's transform along one axis, and restriction to some frequencies."""
    if X.shape[axis] == 0:  # a rank that holds nothing has no points to transform, only an array to make complex
        return RealPart(Y).dual if half else Identity(X)
    F = RFFT(X, axis, norm=norm) if half else FFT(X, axis, norm=norm)
    index = tuple(places if k == axis else slice(None) for k in range(X.ndim))
    return Restriction(F.codomain, index, codomain=Y) @ F


def _splits(space: DistributedSpace, axis: int) -> list[str]:
    """Return the grid axes, one at most, along which a tensor axis is split."""
    return [name for name, role in space.roles.items() if isinstance(role, Split) and role.axis == axis]


def _frequencies(points: int, modes: int, half: bool) -> np.ndarray:
    """Return where the low frequencies stand in a spectrum: those of a halved axis are not negative."""
    return np.arange(modes) if half else np.concatenate([np.arange(modes), np.arange(points - modes, points)])
