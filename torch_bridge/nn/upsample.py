r"""Interpolation of images that are split over a grid, to any size, in all of torch's modes.

.. math:: y = (W_1 \otimes \ldots \otimes W_d)\, H x

Interpolation is separable: along each axis it is a matrix with a few entries in each row. The matrix is read off
torch's own interpolation of unit vectors. A rank has the rows of its results; H brings it the entries that they see.
"""

from __future__ import annotations

from typing import Any, final

import torch

from distdl_ops import DistributedSpace, Split
from distdl_ops.compositions.shared import carried_roles, settled
from distdl_ops.intervals import Interval
from linop import SpaceError
from torch_bridge.nn.layer import moving, nothing, torch_dtype

SPATIAL = {"linear": (1,), "bilinear": (2,), "bicubic": (2,), "trilinear": (3,)}
"""How many spatial axes images have in some modes; in the others, one to three."""

MODES = ("nearest", "nearest-exact", "area", *SPATIAL)
"""All modes."""


@final
class Upsample(torch.nn.Module):
    """`torch.nn.Upsample` of images that are split over a grid; to a smaller size, too. Collective to build.

    Parameters
    ----------
    size, scale_factor, mode, align_corners, recompute_scale_factor
        As for `torch.nn.Upsample`; mode "area", "nearest-exact" as for `torch.nn.functional.interpolate`.
    domain : DistributedSpace
        Of the input, with shape (channels, ..., height, width). Any of them may be split, into any intervals.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: split along the same grid axes, into balanced intervals, or the same where an extent is kept.

    Raises
    ------
    SpaceError
        When the input does not fit the layer.
    ValueError
        When torch does not take the arguments.

    Examples
    --------
    The entries that each rank's results see:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (1, 8, 8), rows=Split(1))
    ...     layer = Upsample(scale_factor=2, mode="bilinear", domain=images)
    ...     return layer.movement.operator.codomain.roles, layer.codomain.shape
    >>> simulate(2, main)[0]
    ({'rows': Split(1, [(0, 5), (3, 8)])}, (1, 8, 16))
    """

    def __init__(
        self,
        size: int | tuple[int, ...] | None = None,
        scale_factor: float | tuple[float, ...] | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        spatial = domain.ndim - 1

        def check() -> list[torch.Tensor]:
            if mode not in MODES or spatial not in SPATIAL.get(mode, (1, 2, 3)):
                raise SpaceError(
                    f"expected a mode of {', '.join(MODES)} that is one for {spatial} spatial axes, found {mode!r}"
                )
            found = []
            for axis, extent in enumerate(domain.global_shape[1:]):
                arguments: dict[str, Any] = {
                    "size": size[axis] if isinstance(size, tuple) and len(size) == spatial else size,
                    "scale_factor": scale_factor[axis]
                    if isinstance(scale_factor, tuple) and len(scale_factor) == spatial
                    else scale_factor,
                    "align_corners": align_corners,
                    "recompute_scale_factor": recompute_scale_factor,
                }
                found.append(_matrix(extent, mode, torch_dtype(domain), **arguments))
            return found

        def describe(matrices: list[torch.Tensor]) -> str:
            return f"mode={mode}, align_corners={align_corners}, to {[tuple(m.shape) for m in matrices]}"

        matrices = settled("Upsample", domain, check, describe)
        shape = (domain.global_shape[0], *(matrix.shape[0] for matrix in matrices))
        roles = carried_roles(domain, shape)
        self.codomain = DistributedSpace(domain.grid, shape, domain.dtype, domain.field, **roles)
        ends = [_ends(matrix) for matrix in matrices]
        seen = {
            name: Split(role.axis, [_needed(ends[role.axis - 1], interval) for interval in role.intervals], gaps=True)
            for name, role in self.codomain.roles.items()
            if isinstance(role, Split) and role.axis > 0
        }
        target = domain.with_roles(**{**self.codomain.roles, **seen})
        self.movement = moving(domain, target)
        rank = domain.grid.world.rank
        results = self.codomain.layout.intervals_at(rank) or ((0, 0),) * domain.ndim
        entries = target.layout.intervals_at(rank) or ((0, 0),) * domain.ndim
        for axis, (matrix, end, held, kept) in enumerate(zip(matrices, ends, results[1:], entries[1:], strict=True)):
            first, last = end[0][slice(*held)], end[1][slice(*held)]
            longest = int((last - first).max()) if len(first) else 0
            index = torch.minimum(first[:, None] + torch.arange(longest), last[:, None] - 1)
            weight = matrix[slice(*held)].gather(1, index)
            weight = weight * (first[:, None] + torch.arange(longest) < last[:, None])
            self.register_buffer(f"index_{axis}", index - kept[0], persistent=False)
            self.register_buffer(f"weight_{axis}", weight, persistent=False)
        self.spatial = spatial

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the interpolated images: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``."""
        shape = (*x.shape[: x.ndim - self.spatial - 1], *self.codomain.shape)
        x = self.movement(x)
        if x.numel() == 0:
            return nothing(shape, x)
        for axis in range(self.spatial):
            index, weight = self.get_buffer(f"index_{axis}"), self.get_buffer(f"weight_{axis}").to(x.dtype)
            where, beside = x.ndim - self.spatial + axis, (-1, *(1,) * (self.spatial - 1 - axis))
            terms = zip(index.unbind(1), weight.unbind(1), strict=True)
            x = torch.stack([x.index_select(where, i) * w.reshape(beside) for i, w in terms]).sum(0)
        return x


def _matrix(extent: int, mode: str, dtype: torch.dtype, **arguments: Any) -> torch.Tensor:
    """Return the matrix of an interpolation along one axis: its columns are what becomes of unit vectors."""
    units = torch.eye(extent, dtype=dtype)[:, None]
    if mode == "bicubic":  # exists in two dimensions only; along the other, there is nothing to interpolate
        for key in ("size", "scale_factor"):
            if arguments[key] is not None:
                arguments[key] = (arguments[key], 1)
        return torch.nn.functional.interpolate(units[..., None], mode=mode, **arguments)[:, 0, :, 0].mT
    mode = "linear" if mode in SPATIAL else mode
    return torch.nn.functional.interpolate(units, mode=mode, **arguments)[:, 0].mT


def _ends(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the first entry that each row of a matrix sees, and the one after the last."""
    sees = (matrix != 0).to(torch.int64)
    return sees.argmax(1), matrix.shape[1] - sees.flip(1).argmax(1)


def _needed(ends: tuple[torch.Tensor, torch.Tensor], results: Interval) -> Interval:
    """Return the entries that an interval of results sees."""
    if results[0] == results[1]:
        return 0, 0
    return int(ends[0][slice(*results)].min()), int(ends[1][slice(*results)].max())
