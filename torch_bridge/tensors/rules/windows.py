r"""Convolutions, poolings, unfoldings: each result sees a window of the tensor.

.. math:: y = R\,\mathrm{conv}(H x,\; C w)

H brings each rank what the windows of its results see: one movement, the halo exchange. C gives each rank the weights
that it uses; where input channels are split, R adds up the terms of all ranks, later, when the sum is needed. One
formula serves all dimensions. Along axes that are not split, torch's own padding serves.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any, final

import torch
import torch.nn.functional as F

from distdl_ops import At, Copies, Split
from distdl_ops.compositions.stencils.windows import Continuation, View, Window, roles_seen, views_here
from distdl_ops.layouts.intervals import Interval
from distdl_ops.layouts.roles import Role
from torch_bridge.tensors.axes import Labels, bring_together, settle
from torch_bridge.tensors.call import Call, Plan, results_of
from torch_bridge.tensors.call import rule_of_intervals as rule
from torch_bridge.tensors.movement import move_between
from torch_bridge.tensors.placement import Placement, place
from torch_bridge.tensors.rules.extents import carried, coarse, fine, held_here

C = torch._C._nn

MODES: dict[str, str] = {"zero": "constant", "periodic": "circular", "reflect": "reflect", "edge": "replicate"}


def each(sizes: Any, axes: int) -> tuple[int, ...]:
    """Return a size for each axis, from what torch takes: one number, or one for each, or one for all in a list."""
    given: tuple[int, ...] = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    return given * axes if len(given) == 1 else given


@final
class Halo:
    """From a tensor as it lies to what the windows of each rank see of it.

    Parameters
    ----------
    source : Placement
        How the tensor lies along axes that have no window.
    results : Placement
        Of what the windows give; which windows are a rank's.
    windows : mapping of int to Window
        By axis of the tensor.
    boundary : {"zero", "periodic", "reflect", "edge"}
        What lies beyond the tensor.
    value : float, optional
        What a rank continues it with where the boundary is "edge"; by default, the entry at the end.
    pads : bool, optional
        Whether axes that are whole are continued as well, where torch's function does not do so itself.

    Attributes
    ----------
    target : Placement
        How the tensor must lie.
    split : set of int
        The axes whose windows this brings. Along the others, the tensor is whole, and continued where the padding is
        not the same on both sides.
    """

    def __init__(
        self,
        source: Placement,
        results: Placement,
        windows: Mapping[int, Window],
        boundary: Continuation = "zero",
        value: float | None = None,
        pads: bool = False,
    ) -> None:
        grid = results.grid
        names = {
            name: role.axis
            for name, role in results.roles.items()
            if isinstance(role, Split) and role.axis in windows and grid.axes[name] > 1
        }
        self.split = set(names.values())
        own = {a: w for a, w in windows.items() if a in self.split or pads or w.padding[0] != w.padding[1]}
        seen = roles_seen(results, own, source.shape, boundary)  # type: ignore[arg-type]
        self.target = place(grid, source.shape, {**source.roles, **{name: seen[name] for name in names}})
        views = views_here(results, own, source.shape, boundary)  # type: ignore[arg-type]
        for axis in own.keys() - self.split:  # also where a grid axis of length one splits it
            extent, sides = source.shape[axis], own[axis].padding
            views[axis] = View((0, extent), sides, (0, extent + sum(sides)))
        widths = [
            views[axis].widths if axis in own else (0, 0)
            for axis in reversed(range(min(own, default=0), len(source.shape)))
        ]
        self.widths = [width for pair in widths for width in pair]
        self.crop = tuple(slice(*views[axis].crop) if axis in own else slice(None) for axis in range(len(source.shape)))
        self.crops = any(
            axis in own and views[axis].crop != (0, sum(views[axis].widths) + views[axis].held[1] - views[axis].held[0])
            for axis in own
        )
        self.mode, self.value = MODES[boundary] if value is None else "constant", value
        self.padding = {a: 0 if a in own else w.padding[0] for a, w in windows.items()}

    def __call__(self, part: torch.Tensor) -> torch.Tensor:
        """Return what this rank's windows see, from what the movement brings."""
        if any(self.widths):
            part = F.pad(part, self.widths, self.mode, self.value)
        return part[self.crop] if self.crops else part


def carried_along(source: Placement, shape: tuple[int, ...], windows: Mapping[int, Window]) -> Placement:
    """Return how results lie: where an axis has a window, a result goes where the middle of its window is."""

    def results(role: Role) -> Role:
        if not isinstance(role, Split) or role.axis not in windows:
            return role
        window = windows[role.axis]

        def cut(entry: int) -> int:
            return -(-(2 * entry + 2 * window.padding[0] - window.reach) // (2 * window.stride))

        return carried(role, role.axis, source.shape[role.axis], shape[role.axis], cut)

    return place(source.grid, shape, {name: results(role) for name, role in source.roles.items()})


# -- convolutions ------------------------------------------------------------------------------------------------------


def _laid_out(
    call: Call, x: Any, weight: Any, bias: Any, groups: int, inputs: int, outputs: int, shape: tuple[int, ...]
) -> tuple[Placement, Placement, Placement | None, Placement, bool]:
    """Return how images, weight, bias and results of a convolution lie, and whether this rank adds the bias.

    Spatial axes of the results are split as those of the images; they may have another extent: see `carried_along`.
    `inputs` and `outputs` are the weight's axes. Groups of channels run together.
    """
    channel = x.ndim - weight.ndim + 1
    batch: list[Any] = ["b"] * channel
    space: list[Any] = list(range(weight.ndim - 2))
    grouped = groups > 1
    names: list[Any] = [None] * weight.ndim
    names[inputs], names[outputs] = (None, None) if grouped else ("i", "o")
    if grouped:
        names[0] = "g"
    x_names, y_names = [*batch, names[0] if grouped else "i", *space], [*batch, names[0] if grouped else "o", *space]
    channels = shape[channel]
    units = {
        "x": x.shape[channel] // groups if grouped else 1,
        "w": weight.shape[0] // groups if grouped else 1,
        "y": channels // groups if grouped else 1,
    }
    operands: list[tuple[Placement, Labels]] = [
        (coarse(x.placement, channel, units["x"]), x_names),
        (coarse(weight.placement, 0, units["w"]), names),
    ]
    if bias is not None:
        operands.append((coarse(bias.placement, 0, units["y"]), y_names[channel : channel + 1]))
    assignment = settle(call.grid, operands)
    shapes = [list(placement.shape) for placement, _ in operands]
    source = fine(assignment.placement(shapes[0], x_names), channel, units["x"])
    used = fine(assignment.placement(shapes[1], names), 0, units["w"])
    middle = [*x.shape[:channel], channels // units["y"], *x.shape[channel + 1 :]]
    results = fine(assignment.placement(middle, y_names), channel, units["y"])
    contracted = [name for name, (label, _) in assignment.splits.items() if label == "i"]
    added = None
    if bias is not None:
        added = fine(assignment.placement(shapes[2], y_names[channel : channel + 1]), 0, units["y"])
        added = added.having({name: At() for name in contracted})
    coordinates = call.grid.coordinates
    return source, used, added, results, coordinates is not None and all(coordinates[name] == 0 for name in contracted)


def nothing(shape: tuple[int, ...], *parts: torch.Tensor | None) -> Any:
    """Return zeros that are made of parts without entries: these keep their place in the graph."""
    sums = [part.sum() for part in parts if part is not None]
    return sum(sums, start=sums[0].new_zeros(shape)) if sums else 0


def _windows(x: Any, weight: Any, stride: Any, padding: Any, dilation: Any) -> dict[int, Window]:
    """Return the windows of a convolution, by axis of the images."""
    axes = weight.ndim - 2
    kernels, strides, dilations = tuple(weight.shape[2:]), each(stride, axes), each(dilation, axes)
    if padding == "same":
        reach = [d * (k - 1) for d, k in zip(dilations, kernels, strict=True)]
        paddings = [(n // 2, n - n // 2) for n in reach]
    else:
        paddings = [(n, n) for n in each(0 if padding == "valid" else padding, axes)]
    sizes = zip(kernels, strides, paddings, dilations, strict=True)
    return {x.ndim - axes + k: Window(*along) for k, along in enumerate(sizes)}


@rule(torch.conv1d, torch.conv2d, torch.conv3d)
def _convolution(
    call: Call,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Plan:
    """Batch and space are split as those of the images; channels as those of images or weight."""
    shape = tuple(call.meta().shape)
    windows = _windows(input, weight, stride, padding, dilation)
    source, used, added, middle, adds = _laid_out(call, input, weight, bias, groups, 1, 0, shape)
    results = carried_along(middle, shape, windows)
    halo = Halo(source, results, windows)
    channel = input.ndim - weight.ndim + 1
    local_groups = max(1, results.local_shape[channel] // (shape[channel] // groups)) if groups > 1 else 1
    convolve = getattr(torch, f"conv{weight.ndim - 2}d")
    ones = (1,) * (weight.ndim - 2)
    paddings, strides, dilations = (
        tuple(halo.padding.values()),
        each(stride, weight.ndim - 2),
        each(dilation, weight.ndim - 2),
    )

    def compute(_: Call, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        if x.shape[channel] == 0:  # a sum of no terms: torch refuses it
            added_here: Any = b.reshape(-1, *ones) if adds and b is not None else nothing((), b)
            return nothing(results.local_shape, x, w) + added_here  # type: ignore[no-any-return]
        if b is not None and not adds:
            w, b = w + b.sum(), None  # of no entries: it keeps the bias in the graph
        return convolve(halo(x), w, b, strides, paddings, dilations, local_groups)  # type: ignore[no-any-return]

    return Plan([halo.target, used, *([added] if added is not None else [])], results, compute, skip=True)


def _middle(window: Window, entry: int) -> int:
    """Return a result in the middle of those that an entry is spread over."""
    return entry * window.stride - window.padding[0] + (window.reach + 1 - window.stride) // 2


def _spread_into(window: Window, results: Interval) -> Interval:
    """Return the entries that are spread into an interval of results; at least one, unless it is empty."""
    below = window.padding[0]
    first = -((window.reach - results[0] - below) // window.stride)
    last = (results[1] - 1 + below) // window.stride + 1
    return (0, 0) if results[0] == results[1] else (first, max(last, first + 1))


@rule(torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)
def _transposed_convolution(
    call: Call,
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Plan:
    """Entry i is spread over the results s i - p + d [0, k): each rank needs what is spread into its results."""
    shape = tuple(call.meta().shape)
    axes = weight.ndim - 2
    windows = _windows(input, weight, stride, padding, dilation)
    source, used, added, middle, adds = _laid_out(call, input, weight, bias, groups, 0, 1, shape)
    roles, seen = dict(middle.roles), dict(source.roles)
    for name, role in middle.roles.items():
        if isinstance(role, Split) and role.axis in windows:
            window = windows[role.axis]
            roles[name] = carried(
                role,
                role.axis,
                input.shape[role.axis],
                shape[role.axis],
                functools.partial(_middle, window),
            )
    results = place(call.grid, shape, roles)
    moved = {}
    for name, role in results.roles.items():
        if isinstance(role, Split) and role.axis in windows and call.grid.axes[name] > 1:
            moved[role.axis] = windows[role.axis]
            seen[name] = Split(
                role.axis, [_spread_into(windows[role.axis], interval) for interval in role.intervals], gaps=True
            )
    target = place(call.grid, tuple(input.shape), seen)
    entries, held = held_here(target), held_here(results)
    crop, widths = [slice(None)] * input.ndim, [(0, 0)] * input.ndim
    for axis, window in moved.items():
        first = entries[axis][0] * window.stride - window.padding[0]
        last = (entries[axis][1] - 1) * window.stride - window.padding[0] + window.reach + 1
        below = max(0, first - held[axis][0])
        crop[axis] = slice(held[axis][0] - first + below, held[axis][1] - first + below)
        widths[axis] = (below, max(0, held[axis][1] - last))
    more = [width for pair in reversed(widths) for width in pair]
    sides = [
        (0, 0) if axis in moved else (w.padding[0], p)
        for (axis, w), p in zip(windows.items(), each(output_padding, axes), strict=True)
    ]
    channel, ones = input.ndim - axes - 1, (1,) * axes
    local_groups = max(1, results.local_shape[channel] // (shape[channel] // groups)) if groups > 1 else 1
    spread = getattr(torch, f"conv_transpose{axes}d")
    paddings, extras = zip(*sides, strict=True)
    strides, dilations = each(stride, axes), each(dilation, axes)

    def compute(_: Call, x: torch.Tensor, w: torch.Tensor, b: torch.Tensor | None = None) -> torch.Tensor:
        if x.shape[channel] == 0:  # a sum of no terms: torch refuses it
            added_here: Any = b.reshape(-1, *ones) if adds and b is not None else nothing((), b)
            return nothing(results.local_shape, x, w) + added_here  # type: ignore[no-any-return]
        if b is not None and not adds:
            w, b = w + b.sum(), None
        y = spread(x, w, None if any(more) else b, strides, paddings, extras, local_groups, dilations)
        y = (F.pad(y, more) if any(more) else y)[tuple(crop)] if moved else y
        return y if b is None or not any(more) else y + b.reshape(-1, *ones)

    return Plan([target, used, *([added] if added is not None else [])], results, compute)


@rule(torch.convolution)
def _any_convolution(call: Call, *_: Any, **__: Any) -> Any:
    """A composition: one of the above."""

    def composed(
        input: Any,
        weight: Any,
        bias: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        transposed: bool,
        output_padding: Any,
        groups: int,
    ) -> Any:
        if transposed:
            spread = getattr(torch, f"conv_transpose{weight.ndim - 2}d")
            return spread(input, weight, bias, stride, padding, output_padding, groups, dilation)
        return getattr(torch, f"conv{weight.ndim - 2}d")(input, weight, bias, stride, padding, dilation, groups)

    return composed


@rule(torch.conv_tbc)
def _convolution_of_time_first(call: Call, *_: Any, **__: Any) -> Any:
    """A composition: time, batch, channels in another order."""

    def composed(input: Any, weight: Any, bias: Any, pad: int = 0) -> Any:
        y = torch.conv1d(input.permute(1, 2, 0), weight.permute(2, 1, 0), bias, padding=pad)
        return y.permute(2, 0, 1)

    return composed


# -- poolings ----------------------------------------------------------------------------------------------------------


def pooling_window(kernel: int, stride: int, padding: int, dilation: int, extent: int, results: int) -> Window:
    """Return a window whose padding reaches to the end of the last one: with `ceil_mode`, it may reach further."""
    reach = dilation * (kernel - 1)
    above = (results - 1) * stride + reach + 1 - extent - padding
    return Window(kernel, stride, (padding, max(padding, above)), dilation)


def _pooling(
    x: Any, axes: int, shape: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1
) -> tuple[dict[int, Window], Placement, Placement]:
    """Return the windows of a pooling by axis, how the tensor lies, and how its results do."""
    kernels = each(kernel_size, axes)
    strides = kernels if stride is None or stride == () or stride == [] else each(stride, axes)
    sizes = zip(kernels, strides, each(padding, axes), each(dilation, axes), strict=True)
    first = x.ndim - axes
    windows = {first + k: pooling_window(*along, x.shape[first + k], shape[first + k]) for k, along in enumerate(sizes)}
    source = bring_together(x.placement, ())
    return windows, source, carried_along(source, shape, windows)


class _Local:
    """Windows as torch takes them where this rank's part has been continued along split axes."""

    def __init__(self, windows: dict[int, Window], halo: Halo, padding: Any) -> None:
        self.kernel = tuple(window.kernel for window in windows.values())
        self.stride = tuple(window.stride for window in windows.values())
        self.dilation = tuple(window.dilation for window in windows.values())
        self.padding = tuple(
            0 if axis in halo.split else p for axis, p in zip(windows, each(padding, len(windows)), strict=True)
        )


def _only_split(windows: dict[int, Window], results: Placement) -> dict[int, Window]:
    """Return the windows along axes that are split: along others torch's own padding and `ceil_mode` serve."""
    return {axis: window for axis, window in windows.items() if axis in results.cut_axes}


def _least(dtype: torch.dtype) -> float:
    return -math.inf if dtype.is_floating_point else torch.iinfo(dtype).min


def _max_pooling(axes: int, with_indices: bool) -> Any:
    """Return the rule of a max pooling; beyond the ends is minus infinity."""

    def pooling(
        call: Call,
        input: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Plan:
        """Maxima of windows: space is split, a halo is sent; beyond the ends is minus infinity."""
        pooled = call.meta()
        shape = tuple((pooled[0] if isinstance(pooled, tuple) else pooled).shape)
        windows, source, results = _pooling(input, axes, shape, kernel_size, stride, padding, dilation)
        split = _only_split(windows, results)
        halo = Halo(source, results, split, "edge", _least(input.dtype))
        local = _Local(windows, halo, padding)
        indices = with_indices or return_indices
        pool = getattr(F, f"max_pool{axes}d")
        held = held_here(results)
        starts = [split[axis].needed(held[axis])[0] if axis in split else 0 for axis in windows]
        extents = tuple(input.shape[axis] for axis in windows)

        def compute(_: Call, x: torch.Tensor) -> Any:
            x = halo(x)
            y = pool(x, local.kernel, local.stride, local.padding, local.dilation, ceil_mode, return_indices=indices)
            if not indices or not split:
                return y
            flat = torch.zeros_like(y[1])
            coordinates = torch.unravel_index(y[1], x.shape[x.ndim - axes :])
            for along, start, extent, window in zip(coordinates, starts, extents, windows.values(), strict=True):
                entry = along + start
                entry = torch.where(entry < 0, entry % window.dilation, entry)  # all of this window is minus infinity
                flat = flat * extent + entry
            return y[0], flat

        return Plan([halo.target], (results, results) if indices else results, compute)

    return pooling


def _average_pooling(axes: int) -> Any:
    """Return the rule of an average pooling: torch's own, times what its count is too large."""

    def pooling(
        call: Call,
        input: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Plan:
        """Means of windows: space is split, a halo is sent; each is over what torch counts."""
        shape = tuple(call.meta().shape)
        windows, source, results = _pooling(input, axes, shape, kernel_size, stride, padding)
        split = _only_split(windows, results)
        halo = Halo(source, results, split)
        local = _Local(windows, halo, padding)
        held = held_here(results)
        sides = dict(zip(windows, each(padding, axes), strict=True))
        factor = torch.ones((), dtype=torch.float64)
        for axis, window in split.items() if divisor_override is None else ():
            edge = sides[axis] if count_include_pad else 0
            first = torch.arange(*held[axis], dtype=torch.float64) * window.stride - sides[axis]
            counts = (first + window.kernel).clamp(max=input.shape[axis] + edge) - first.clamp(min=-edge)
            factor = factor * (window.kernel / counts).reshape(-1, *[1] * (input.ndim - 1 - axis))
        factor = factor.to(input.dtype)
        scales = bool((factor != 1).any())
        pool = getattr(F, f"avg_pool{axes}d")
        more = () if axes == 1 else (divisor_override,)

        def compute(_: Call, x: torch.Tensor) -> torch.Tensor:
            y: torch.Tensor = pool(
                halo(x), local.kernel, local.stride, local.padding, ceil_mode, count_include_pad, *more
            )
            return y * factor.to(y) if scales else y

        return Plan([halo.target], results, compute)

    return pooling


for _n in (1, 2, 3):
    rule(getattr(F, f"avg_pool{_n}d"))(_average_pooling(_n))
    rule(getattr(F, f"max_pool{_n}d"), getattr(torch, f"max_pool{_n}d"))(_max_pooling(_n, False))
    rule(
        getattr(F, f"max_pool{_n}d_with_indices"),
        getattr(C, f"max_pool{_n}d_with_indices", None) or torch.max_pool1d_with_indices,
    )(_max_pooling(_n, True))


def _seen(results: Interval, extent: int, count: int) -> Interval:
    """Return the entries that an interval of an adaptive pooling's results sees, of so many entries and results."""
    first, last = results[0] * extent // count, -(-results[1] * extent // count)
    return (first, first) if results[0] == results[1] else (first, last)


def _adaptive(
    call: Call, input: Any, source: Placement, results: Placement, axes: int
) -> tuple[Placement, dict[int, list[Interval]]]:
    """Return how the tensor must lie, and along split axes, what each result of this rank sees of its part."""
    roles: dict[str, Role] = dict(source.roles)
    first = input.ndim - axes
    along = {
        r.axis: name
        for name, r in results.roles.items()
        if isinstance(r, Split) and r.axis >= first and call.grid.axes[name] > 1
    }
    for axis, name in along.items():
        role: Any = results.roles[name]
        roles[name] = Split(
            axis, [_seen(held, input.shape[axis], results.shape[axis]) for held in role.intervals], gaps=True
        )
    target = place(call.grid, tuple(input.shape), roles)
    entries, held = held_here(target), held_here(results)
    return target, {
        axis: [
            tuple(end - entries[axis][0] for end in _seen((o, o + 1), input.shape[axis], results.shape[axis]))  # type: ignore[misc]
            for o in range(*held[axis])
        ]
        for axis in along
    }


def _means(windows: list[Interval], extent: int, like: torch.Tensor) -> torch.Tensor:
    """Return the matrix of the means over some intervals of an axis."""
    means = like.new_zeros(len(windows), extent)
    for row, (start, stop) in zip(means, windows, strict=True):
        row[start:stop] = 1 / (stop - start)
    return means


def _adaptive_average(axes: int) -> Any:
    """Return the rule of an adaptive average pooling: along split axes a matrix of means.

    Where there are fewer results than ranks, no image moves: each rank has a term of every mean.
    """

    def pooling(call: Call, input: Any, output_size: Any) -> Plan:
        """Means of so many windows: a halo is sent, or terms are summed where there are fewer results than ranks."""
        shape = tuple(call.meta().shape)
        first = input.ndim - axes
        source = bring_together(input.placement, ())
        few = {
            name: r.axis
            for name, r in source.roles.items()
            if isinstance(r, Split)
            and r.axis >= first
            and shape[r.axis] < len(r.intervals)
            and shape[r.axis] != input.shape[r.axis]
        }
        if any(not math.prod(shape) for _ in few):
            few = {}
        spread = [name for name in source.roles if name in few]
        kept = place(
            call.grid,
            shape,
            {
                name: carried(role, role.axis, input.shape[role.axis], shape[role.axis])
                if isinstance(role, Split)
                else role
                for name, role in bring_together(source, set(few.values())).roles.items()
            },
        )
        target, windows = _adaptive(call, input, source, kept, axes)
        target = target.having({name: source.roles[name] for name in spread})
        partial = kept.having({name: Copies() for name in spread})
        entries = held_here(target)
        terms = {}
        for axis in few.values():
            whole = torch.zeros(shape[axis], input.shape[axis], dtype=torch.float64)
            for o, row in enumerate(whole):
                start, stop = _seen((o, o + 1), input.shape[axis], shape[axis])
                row[start:stop] = 1 / (stop - start)
            terms[axis] = whole[:, slice(*entries[axis])]
        pool = getattr(F, f"adaptive_avg_pool{axes}d")
        sizes = tuple(partial.local_shape[first:])
        rest = any(axis not in windows and axis not in terms for axis in range(first, input.ndim))

        def compute(_: Call, x: torch.Tensor) -> torch.Tensor:
            dtype = x.dtype
            if terms and dtype in (torch.float16, torch.bfloat16):
                x = x.float()
            for axis, inner in windows.items():
                x = (x.movedim(axis, -1) @ _means(inner, x.shape[axis], x).mT).movedim(-1, axis)
            for axis, matrix in terms.items():
                x = (x.movedim(axis, -1) @ matrix.to(x).mT).movedim(-1, axis)
            if rest:
                x = pool(x, sizes) if x.numel() else nothing((*x.shape[:first], *sizes), x)
            return (move_between(partial, kept)(x) if terms else x).to(dtype)

        return Plan([target], kept, compute, skip=not terms)

    return pooling


def _adaptive_maximum(axes: int, with_indices: bool) -> Any:
    """Return the rule of an adaptive max pooling; with indices, images are brought together."""

    def pooling(call: Call, input: Any, output_size: Any, return_indices: bool = False) -> Plan:
        """Maxima of so many windows: a halo is sent; with indices, space is whole."""
        first = input.ndim - axes
        if with_indices or return_indices:
            source = bring_together(input.placement, range(first, input.ndim))
            return Plan([source], results_of(call, lambda shape: place(call.grid, shape, source.roles)))
        shape = tuple(call.meta().shape)
        source = bring_together(input.placement, ())
        results = place(
            call.grid,
            shape,
            {
                name: carried(role, role.axis, input.shape[role.axis], shape[role.axis])
                if isinstance(role, Split)
                else role
                for name, role in source.roles.items()
            },
        )
        target, windows = _adaptive(call, input, source, results, axes)
        pool = getattr(F, f"adaptive_max_pool{axes}d")
        sizes = tuple(results.local_shape[first:])

        def compute(_: Call, x: torch.Tensor) -> torch.Tensor:
            for axis, inner in windows.items():
                longest = max(stop - start for start, stop in inner)
                index = torch.tensor(
                    [[min(start + k, stop - 1) for k in range(longest)] for start, stop in inner], device=x.device
                )
                x = x.index_select(axis, index.flatten()).unflatten(axis, index.shape).max(axis + 1).values
            return x if len(windows) == axes else pool(x, sizes)

        return Plan([target], results, compute)

    return pooling


rule(torch.adaptive_avg_pool1d)(_adaptive_average(1))
for _n in (2, 3):
    rule(getattr(F, f"adaptive_avg_pool{_n}d"), getattr(C, f"adaptive_avg_pool{_n}d"))(_adaptive_average(_n))
for _n in (1, 2, 3):
    rule(getattr(F, f"adaptive_max_pool{_n}d"))(_adaptive_maximum(_n, False))
    rule(
        getattr(F, f"adaptive_max_pool{_n}d_with_indices"),
        getattr(C, f"adaptive_max_pool{_n}d", None) or torch.adaptive_max_pool1d,
    )(_adaptive_maximum(_n, True))


# -- unfolding ---------------------------------------------------------------------------------------------------------


@rule(F.unfold, C.im2col)
def _unfold(call: Call, input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Plan:
    """Rows of windows follow one another in the last axis: it is split as the images' rows are."""
    shape = tuple(call.meta().shape)
    kernels, channel, rows = each(kernel_size, 2), input.ndim - 3, input.ndim - 2
    sizes = zip(kernels, each(stride, 2), each(padding, 2), each(dilation, 2), strict=True)
    windows = dict(enumerate((Window(k, s, (p, p), d) for k, s, p, d in sizes), rows))
    source = bring_together(input.placement, [rows + 1])
    count = [windows[axis].results(input.shape[axis]) for axis in (rows, rows + 1)]
    images = carried_along(source, (*input.shape[:rows], *count), windows)
    halo = Halo(source, images, windows)
    strides, dilations = each(stride, 2), each(dilation, 2)
    paddings = tuple(halo.padding.values())
    results = fine(
        fine(place(call.grid, (*images.shape[:rows], count[0]), images.roles), rows, count[1]),
        channel,
        math.prod(kernels),
    )
    assert results.shape == shape

    def compute(_: Call, x: torch.Tensor) -> torch.Tensor:
        return F.unfold(halo(x), kernels, dilations, paddings, strides)

    return Plan([halo.target], results, compute)


@rule(F.fold, C.col2im)
def _fold(
    call: Call, input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Plan:
    """Batch and channels stay split; the windows of an image are brought together."""
    channel, entries = input.ndim - 2, math.prod(each(kernel_size, 2))
    middle = coarse(bring_together(input.placement, [channel + 1]), channel, entries)
    shape = tuple(call.meta().shape)
    return Plan([fine(middle, channel, entries)], place(call.grid, shape, middle.roles))


def _unpooling(axes: int) -> Any:
    """Return the rule of an unpooling: a maximum may go anywhere in its image, which is brought together."""

    def unpooling(call: Call, input: Any, *_: Any, **__: Any) -> Plan:
        """A maximum may go anywhere in its image, which is whole; batch and channels stay split."""
        source = bring_together(input.placement, range(input.ndim - axes, input.ndim))
        return Plan([source] * 2, results_of(call, lambda shape: place(call.grid, shape, source.roles)))

    return unpooling


for _n in (1, 2, 3):
    rule(getattr(F, f"max_unpool{_n}d"))(_unpooling(_n))
for _n in (2, 3):
    rule(getattr(C, f"max_unpool{_n}d"))(_unpooling(_n))
