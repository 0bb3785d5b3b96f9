r"""Interpolation to any size in all of torch's modes, sampling on a grid, and shuffles of pixels and channels.

.. math:: y = (W_1 \otimes \ldots \otimes W_d)\, H x

Interpolation is separable: along each axis it is a matrix with a few entries in each row, read off torch's own
interpolation of a few combs. Along a split axis, a rank has the rows of its results, and H brings it the entries that
they see; along the others, torch's own function runs.
"""

from __future__ import annotations

import math
from typing import Any, final

import torch
import torch.nn.functional as F

from distdl_ops import Split
from distdl_ops.layouts.intervals import Interval
from distdl_ops.layouts.roles import Role
from torch_bridge.tensors.axes import bring_together, settle
from torch_bridge.tensors.call import Call, Plan, Spec, gather, results_of
from torch_bridge.tensors.call import rule_of_intervals as rule
from torch_bridge.tensors.placement import Placement, place
from torch_bridge.tensors.rules.extents import carried, coarse, fine, held_here
from torch_bridge.tensors.rules.names import known

C = torch._C._nn


@final
class Rows:
    """The matrix of an interpolation along one axis, by rows.

    Parameters
    ----------
    function : callable
        Interpolates tensors of shape (combs, 1, extent) along their last axis.
    extent : int
        How many entries there are.
    results : int
        How many rows.
    dtype : torch.dtype
        In which torch computes the weights.

    Attributes
    ----------
    index, weight : torch.Tensor
        Which entries each row sees, and their weights; the first index is the lowest.
    """

    def __init__(self, function: Any, extent: int, results: int, dtype: torch.dtype) -> None:
        reach = 4 * math.ceil(max(1.0, extent / max(results, 1))) + 4
        period = min(extent, 2 * reach)
        combs = (torch.arange(extent)[None] % period == torch.arange(period)[:, None]).to(dtype)
        seen = function(combs[:, None])[:, 0].mT
        first = ((torch.arange(results, dtype=torch.float64) + 0.5) * extent / max(results, 1)).long() - reach
        entries = first.clamp(min=0, max=extent - period)[:, None] + torch.arange(period)
        weights = seen.gather(1, entries % period)
        hit = weights != 0
        low = hit.to(torch.int64).argmax(1)
        self.most = int(hit.sum(1).max()) if results else 0
        high = period - hit.flip(1).to(torch.int64).argmax(1)
        self.most = int((high - low).max()) if results else 0
        take = torch.minimum(low[:, None] + torch.arange(self.most), high[:, None] - 1)
        self.index = entries.gather(1, take)
        self.weight = weights.gather(1, take) * (low[:, None] + torch.arange(self.most) < high[:, None])

    def needed(self, results: Interval) -> Interval:
        """Return the entries that an interval of results sees."""
        if results[0] == results[1]:
            return 0, 0
        rows = self.index[slice(*results)]
        return int(rows.min()), int(rows.max()) + 1


def separable(call: Call, x: Spec, sizes: dict[int, int], along: Any, rest: Any) -> Plan:
    """Return the plan of a separable interpolation.

    Parameters
    ----------
    sizes : dict
        The number of results along each axis that is interpolated.
    along : callable
        ``along(axis, combs)`` interpolates combs of shape (combs, 1, extent) as torch does the axis.
    rest : callable
        ``rest(part, sizes)`` interpolates the axes in `sizes`, and keeps the others.
    """
    source = bring_together(x.placement, ())
    shape = tuple(sizes.get(axis, extent) for axis, extent in enumerate(x.shape))
    roles = {
        name: carried(role, role.axis, x.shape[role.axis], shape[role.axis]) if isinstance(role, Split) else role
        for name, role in source.roles.items()
    }
    results = place(call.grid, shape, roles)
    seen: dict[str, Role] = dict(source.roles)
    matrices: dict[int, Rows] = {}
    dtype = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    for name, role in results.roles.items():
        if isinstance(role, Split) and role.axis in sizes and call.grid.axes[name] > 1:
            matrix = matrices[role.axis] = Rows(
                lambda combs, a=role.axis: along(a, combs), x.shape[role.axis], shape[role.axis], dtype
            )
            seen[name] = Split(role.axis, [matrix.needed(interval) for interval in role.intervals], gaps=True)
    target = place(call.grid, tuple(x.shape), seen)
    entries, held = held_here(target), held_here(results)
    terms = [
        (
            axis,
            (matrix.index[slice(*held[axis])] - entries[axis][0]).unbind(1),
            matrix.weight[slice(*held[axis])].unbind(1),
        )
        for axis, matrix in matrices.items()
    ]
    unsplit = {axis: size for axis, size in sizes.items() if axis not in matrices}
    if not matrices:
        return Plan([source], results)

    def compute(_: Call, part: torch.Tensor) -> torch.Tensor:
        given = part.dtype
        part = part.to(dtype)
        for axis, indices, weights in terms:
            beside = (-1, *(1,) * (part.ndim - 1 - axis))
            part = sum(
                part.index_select(axis, index.to(part.device)) * weight.to(part).reshape(beside)
                for index, weight in zip(indices, weights, strict=True)
            )
        return (rest(part, unsplit) if unsplit else part).to(given)

    return Plan([target], results, compute)


@rule(F.interpolate)
def _interpolate(
    call: Call,
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Plan:
    """All modes; each axis is interpolated as torch interpolates it alone."""
    shape = tuple(call.meta().shape)
    if not input.numel():
        return gather(call)
    axes = input.ndim - 2
    if antialias:  # torch's filter along one axis is not what it is along two
        source = bring_together(input.placement, range(2, input.ndim))
        return Plan([source], place(call.grid, shape, source.roles))

    def one(given: Any, k: int) -> Any:
        return given[k] if isinstance(given, tuple | list | torch.Size) else given

    options: dict[str, Any] = {"align_corners": align_corners, "recompute_scale_factor": recompute_scale_factor}

    def along(axis: int, combs: torch.Tensor) -> torch.Tensor:
        scale, results = one(scale_factor, axis - 2), shape[axis] if size is not None else None
        if mode == "bicubic":  # in two dimensions only: along the other, one entry stays one
            sizes: dict[str, Any] = {
                "size": None if results is None else (results, 1),
                "scale_factor": None if scale is None else (float(scale), 1.0),
            }
            return F.interpolate(combs[..., None], mode=mode, **sizes, **options)[..., 0]
        linear = "linear" if mode in ("bilinear", "trilinear") else mode
        return F.interpolate(combs, results, scale, linear, **options)

    def rest(part: torch.Tensor, unsplit: dict[int, int]) -> torch.Tensor:
        if size is not None:
            sizes = [unsplit.get(axis, part.shape[axis]) for axis in range(2, 2 + axes)]
            return F.interpolate(part, sizes, None, mode, **options)
        scales = [float(one(scale_factor, axis - 2)) if axis in unsplit else 1.0 for axis in range(2, 2 + axes)]
        return F.interpolate(part, None, scales, mode, **options)

    return separable(call, input, {axis: shape[axis] for axis in range(2, 2 + axes)}, along, rest)


@rule(torch.grid_sampler, torch.grid_sampler_2d, torch.grid_sampler_3d, F.grid_sample)
def _grid_sample(call: Call, input: Any, grid: Any, *_: Any, **__: Any) -> Plan:
    """A sample may see any entry of its image: images are whole, samples may be split."""
    space: list[Any] = [f"out {k}" for k in range(input.ndim - 2)]
    names = [["n", "c", *[None] * (input.ndim - 2)], ["n", *space, None]]
    assignment = settle(
        call.grid, [(spec.placement, labels) for spec, labels in zip((input, grid), names, strict=True)]
    )
    targets = [assignment.placement(spec.shape, labels) for spec, labels in zip((input, grid), names, strict=True)]
    if call.operands[0] is not input:
        targets.reverse()
    return Plan(targets, results_of(call, lambda shape: assignment.placement(shape, ["n", "c", *space])))


@rule(F.affine_grid, torch.affine_grid_generator)
def _affine_grid(call: Call, theta: Any, size: Any, align_corners: bool | None = None) -> Plan:
    """Each rank makes the grids of its transformations."""
    source = bring_together(theta.placement, (1, 2))
    results = results_of(call, lambda shape: place(call.grid, shape, source.roles))
    sizes = [source.local_shape[0], *tuple(size)[1:]]
    return Plan([source], results, lambda _, part: torch.affine_grid_generator(part, sizes, bool(align_corners)))


@rule(*known("pixel_shuffle"))
def _pixel_shuffle(call: Call, input: Any, upscale_factor: int) -> Plan:
    """Each entry becomes a block: intervals of space are as many times longer; blocks of channels stay together."""
    shape, channel = tuple(call.meta().shape), input.ndim - 3
    middle = coarse(bring_together(input.placement, ()), channel, upscale_factor**2)
    results = fine(fine(middle, channel + 1, upscale_factor), channel + 2, upscale_factor)
    assert results.shape == shape
    return Plan([fine(middle, channel, upscale_factor**2)], results)


@rule(*known("pixel_unshuffle"))
def _pixel_unshuffle(call: Call, input: Any, downscale_factor: int) -> Plan:
    """Each block becomes an entry: blocks stay together."""
    shape, channel = tuple(call.meta().shape), input.ndim - 3
    middle = bring_together(input.placement, ())
    for axis in (channel + 1, channel + 2):
        middle = coarse(middle, axis, downscale_factor)
    target = fine(fine(middle, channel + 1, downscale_factor), channel + 2, downscale_factor)
    results: Placement = fine(middle, channel, downscale_factor**2)
    assert results.shape == shape
    return Plan([target], results)


@rule(*known("channel_shuffle", "native_channel_shuffle"))
def _channel_shuffle(call: Call, input: Any, groups: int) -> Plan:
    """Channels are whole."""
    source = bring_together(input.placement, [1])
    return Plan([source], results_of(call, lambda _: source))
