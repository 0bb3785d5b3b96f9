r"""What each rank sees of images, for its part of the results of a convolution or pooling.

.. math:: H = \text{crop} \cdot \text{pad} \cdot M

M is one movement, the halo exchange: from the images as they lie to the intervals that the windows of each rank see.
What a rank must make itself beyond the ends of the images, it pads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, final

import torch

from distdl_ops import DistributedSpace, Role
from distdl_ops.windows import Continuation, Window, roles_seen, views_here
from linop import SpaceError
from torch_bridge.nn.layer import moving

PerAxis = int | tuple[int, ...]
"""A size for all axes, or one for each."""

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
"""What torch's convolutions find beyond the images."""

CONTINUATIONS: dict[str, Continuation] = {
    "zeros": "zero",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "periodic",
}
"""What these are called here."""


def per_axis(size: str, found: Any, axes: int, least: int = 1) -> tuple[int, ...]:
    """Return a size for each axis, from what torch takes: one number, or one for each.

    Raises
    ------
    SpaceError
        When one is no whole number, or less than `least`.
    """
    sizes = (found,) * axes if isinstance(found, int) else tuple(found) if isinstance(found, (tuple, list)) else ()
    if len(sizes) != axes or not all(isinstance(n, int) and n >= least for n in sizes):
        raise SpaceError(f"expected {size} to be {least} or more, one number or {axes}, found {found!r}")
    return sizes


def require_images(domain: DistributedSpace, spatial: int) -> None:
    """Raise unless a space is one of images: channels and so many spatial axes."""
    if len(domain.global_shape) != spatial + 1:
        raise SpaceError(f"expected images of shape (channels, {spatial} spatial axes)")


def results_of(windows: Mapping[int, Window], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of what windows give, of images of a shape.

    Raises
    ------
    SpaceError
        When no window fits.
    """
    found = tuple(windows[axis].results(n) if axis in windows else n for axis, n in enumerate(shape))
    if any(found[axis] < 1 for axis in windows):
        raise SpaceError(f"the windows do not fit into images of shape {shape}")
    return found


@final
class Halo(torch.nn.Module):
    """From images as they lie to what the windows of each rank see of them, padded. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        The images.
    results : DistributedSpace
        What the windows give: it says which windows are a rank's.
    windows : mapping of int to Window
        For each axis of the images that has one.
    boundary : {"zero", "periodic", "reflect", "edge"}
        What lies beyond the images.
    value : float, optional
        What a rank pads with where the boundary is "edge"; by default, the entry at the end.
    roles : mapping of str to Role, optional
        Of what is seen, instead of those that follow from the results.
    """

    def __init__(
        self,
        domain: DistributedSpace,
        results: DistributedSpace,
        windows: Mapping[int, Window],
        boundary: Continuation = "zero",
        value: float | None = None,
        roles: Mapping[str, Role] | None = None,
    ) -> None:
        super().__init__()
        shape = domain.global_shape
        seen = {**roles_seen(results, windows, shape, boundary), **(roles or {})}
        target = DistributedSpace(results.grid, shape, domain.dtype, domain.field, **seen)
        self.movement = moving(domain, target)
        views = views_here(results, windows, shape, boundary)
        self.ndim = len(shape)
        # Torch counts the widths from the last axis.
        self.widths = [width for axis in sorted(views, reverse=True) for width in views[axis].widths]
        self.crop: tuple[slice, ...] = tuple(slice(*views[axis].crop) for axis in sorted(views))
        modes = {"zero": "constant", "periodic": "circular", "reflect": "reflect", "edge": "replicate"}
        self.mode = modes[boundary] if value is None else "constant"
        self.value = value

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what this rank's windows see, as images with one batch axis, or an empty tensor."""
        return self.continued(self.movement(x))

    def continued(self, x: torch.Tensor) -> torch.Tensor:
        """Return what this rank's windows see, from what the movement brings."""
        if x.numel() == 0:
            return x
        x = self.padded(x.reshape(-1, *x.shape[x.ndim - self.ndim :]), self.widths)
        cropped: torch.Tensor = x[(slice(None), slice(None), *self.crop)] if self.crop else x
        return cropped

    def padded(self, x: torch.Tensor, widths: list[int]) -> torch.Tensor:
        """Return images with what lies beyond their ends, in widths as torch counts them."""
        return torch.nn.functional.pad(x, widths, self.mode, self.value) if any(widths) else x
