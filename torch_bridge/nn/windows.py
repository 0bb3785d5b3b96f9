r"""Which input a rank needs for its part of the output of a convolution or pooling.

Output entry o sees the input entries :math:`s o - p + d\,[0, k)` for stride s, padding p, dilation d and kernel k. So
an interval of outputs needs an interval of inputs. It may reach into the neighbours' intervals, stop short of the
rank's own, or leave the tensor where there is padding: one movement, from the input as it lies to these intervals,
brings all of that, and its adjoint takes the gradients back.
"""

from __future__ import annotations

from dataclasses import dataclass

from distdl_ops import DistributedSpace, Role, Split, balanced
from distdl_ops.intervals import Interval
from linop import SpaceError

Pair = int | tuple[int, int]
"""A size for height and width, or one for each."""


@dataclass(frozen=True)
class Window:
    """The window of a convolution or pooling along one axis.

    Attributes
    ----------
    kernel, stride, padding, dilation : int
        In entries, as torch defines them.
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1

    def output_extent(self, extent: int) -> int:
        """Return how many windows fit in an axis of this extent."""
        return (extent + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    def needed(self, outputs: Interval) -> Interval:
        """Return the input interval that an interval of outputs sees; empty for an empty one."""
        first = outputs[0] * self.stride - self.padding
        if outputs[0] == outputs[1]:
            return first, first
        return first, (outputs[1] - 1) * self.stride - self.padding + self.dilation * (self.kernel - 1) + 1


def window_pair(name: str, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> tuple[Window, Window]:
    """Return the windows along height and width, from sizes as torch takes them: one number, or one for each.

    Raises
    ------
    SpaceError
        When a size is no whole number, padding is negative, or another one is not positive.
    """
    sizes = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    pairs = []
    for size, found in sizes.items():
        pair = (found, found) if isinstance(found, int) else found
        least = 0 if size == "padding" else 1
        if not isinstance(pair, tuple) or len(pair) != 2 or not all(isinstance(n, int) and n >= least for n in pair):
            raise SpaceError(f"{name}: expected {size} to be {least} or more, one number or a pair, found {found!r}")
        pairs.append(pair)
    height, width = (Window(*along) for along in zip(*pairs, strict=True))
    return height, width


def window_spaces(
    name: str, domain: DistributedSpace, channels: int, windows: tuple[Window, Window]
) -> tuple[DistributedSpace, DistributedSpace]:
    """Return the spaces of the input that windows see, and of the output, for images whose height and width are split.

    Parameters
    ----------
    name : str
        The layer, for errors.
    domain : DistributedSpace
        Of images of shape (channels, height, width). Height and width may be split.
    channels : int
        Channels of the output.
    windows : tuple of Window
        Along height and width.

    Returns
    -------
    seen : DistributedSpace
        The input, in the intervals that the windows of each rank see.
    codomain : DistributedSpace
        The output, in balanced intervals.

    Raises
    ------
    SpaceError
        When the images have another number of axes, split channels, are copied, or are smaller than the windows.
    """
    if len(domain.global_shape) != 3:
        raise SpaceError(f"{name}: expected images of shape (channels, height, width), found {domain}")
    extents = [w.output_extent(n) for w, n in zip(windows, domain.global_shape[1:], strict=True)]
    if min(extents) < 1:
        raise SpaceError(f"{name}: the windows do not fit into the images of {domain}")
    seen: dict[str, Role] = {}
    left: dict[str, Role] = {}
    for axis, role in domain.roles.items():
        if not domain.layout.holds_once_along(axis):
            raise SpaceError(f"{name}: expected each entry once, found {axis}={role} in {domain}")
        seen[axis], left[axis] = role, role
        if isinstance(role, Split):
            if role.axis == 0:
                raise SpaceError(f"{name}: the channels must not be split, found {axis}={role} in {domain}")
            outputs = balanced(extents[role.axis - 1], domain.grid.axes[axis])
            window = windows[role.axis - 1]
            seen[axis] = Split(role.axis, [window.needed(interval) for interval in outputs])
            left[axis] = Split(role.axis, outputs)
    codomain = DistributedSpace(domain.grid, (channels, *extents), domain.dtype, **left)
    return domain.with_roles(**seen), codomain
