r"""Spectral convolutions, the layers of Fourier neural operators: a matrix of its own for each of the low modes.

.. math:: y = F^{-1} P^* (W \cdot P F x), \quad (W \cdot X)_{o,k} = \sum_i W_{i,o,k} X_{i,k}

F is the real Fourier transform along all spatial axes, and P keeps its low modes: of the last axis the frequencies 0 to
m - 1, of every other one -m to m - 1.

The module is made of torch's functions alone, so it runs on plain tensors and, unchanged, on distributed ones: where
space is split, an all-to-all brings each axis together, with channels or samples split in its place.

Source: Z. Li et al., *Fourier Neural Operator for Parametric Partial Differential Equations*, ICLR 2021,
arXiv:2010.08895.
"""

from __future__ import annotations

from typing import final

import torch

from linop.arguments import Positive, checked


@final
class SpectralConv(torch.nn.Module):
    """A spectral convolution, in any number of dimensions.

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
    >>> layer = SpectralConv(1, 1, (2,))
    >>> layer.weight.data[:] = torch.tensor([1.0, 0.0])       # the mean and the first wave stay as they are
    >>> torch.set_printoptions(precision=1, sci_mode=False)
    >>> layer(torch.tensor([[[8.0, 0, 0, 0, 0, 0, 0, 0]]])).detach()
    tensor([[[ 3.0,  2.4,  1.0, -0.4, -1.0, -0.4,  1.0,  2.4]]])
    >>> torch.set_printoptions(profile="default")
    """

    @checked
    def __init__(
        self,
        in_channels: Positive,
        out_channels: Positive,
        modes: tuple[Positive, ...],
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.modes = tuple(modes)
        kept = [2 * m for m in self.modes[:-1]] + list(self.modes[-1:])
        numbers = torch.rand(in_channels, out_channels, *kept, 2, device=device, dtype=dtype)
        self.weight = torch.nn.Parameter(numbers / (in_channels * out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result: from shape ``(batch, in_channels, ...)`` to ``(batch, out_channels, ...)``.

        Parameters
        ----------
        x : tensor of real numbers
        """
        d = len(self.modes)
        extents = x.shape[-d:]
        if any(m > n // 2 for m, n in zip(self.modes, extents, strict=True)):
            raise ValueError(
                f"SpectralConv: expected extents of at least twice the modes {self.modes}, found {tuple(extents)}"
            )
        spectrum = torch.fft.rfftn(x, dim=tuple(range(-d, 0)))[..., : self.modes[-1]]
        for axis, m in enumerate(self.modes[:-1], -d):
            size = spectrum.shape[axis]
            spectrum = torch.cat([spectrum.narrow(axis, 0, m), spectrum.narrow(axis, size - m, m)], axis)
        y = torch.einsum("bi...,io...->bo...", spectrum, torch.view_as_complex(self.weight))
        for axis, (m, n) in enumerate(zip(self.modes[:-1], extents[:-1], strict=True), -d):
            missing = list(y.shape)
            missing[axis] = n - 2 * m
            y = torch.cat([y.narrow(axis, 0, m), y.new_zeros(missing), y.narrow(axis, m, m)], axis)
        result: torch.Tensor = torch.fft.irfftn(y, s=extents, dim=tuple(range(-d, 0)))
        return result
