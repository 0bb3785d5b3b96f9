r"""Padding, rolling and flipping: each result is an entry of the tensor, or what lies beyond it.

A result o of a padded axis is the entry o - p: a window of one entry. So an interval of results needs an interval of
entries, and what a rank needs beyond the ends it makes itself, or is brought where the tensor goes on periodically.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from distdl_ops import Split
from distdl_ops.compositions.stencils.windows import Continuation, Window
from distdl_ops.layouts.roles import Role
from torch_bridge.tensors.axes import bring_together
from torch_bridge.tensors.call import Call, Plan, gather
from torch_bridge.tensors.call import rule_of_intervals as rule
from torch_bridge.tensors.placement import place
from torch_bridge.tensors.rules.names import known
from torch_bridge.tensors.rules.windows import Halo, carried_along

BOUNDARIES: dict[str, Continuation] = {
    "constant": "edge",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "periodic",
}
"""What torch's modes of padding are called here; constants stand in place of the entry at the end."""


def padded(call: Call, x: Any, pad: Sequence[int], mode: str, value: float | None) -> Plan:
    """Return the plan of a padding: a rank at the end holds what is beyond it."""
    shape = tuple(call.meta().shape)
    sides = list(zip(pad[::2], pad[1::2], strict=True))
    windows = {
        x.ndim - 1 - k: Window(1, 1, (int(below), int(above)))
        for k, (below, above) in enumerate(sides)
        if below or above
    }
    source = bring_together(x.placement, ())
    if mode != "constant" and min(pad, default=0) < 0:
        source = bring_together(source, windows)
    if not x.numel():
        return gather(call)
    results = carried_along(source, shape, windows)
    if not source.cut_axes & set(windows):
        return Plan([source], results)
    constant = (0.0 if value is None else value) if mode == "constant" else None
    split = {axis: window for axis, window in windows.items() if axis in results.cut_axes}
    halo = Halo(source, results, split, BOUNDARIES[mode], constant)
    rest = [0 if x.ndim - 1 - k in split else end for k, pair in enumerate(sides) for end in pair]
    if mode != "constant":
        halo.widths = [*halo.widths, *[0] * (len(pad) - len(halo.widths))]

    def compute(_: Call, part: torch.Tensor) -> torch.Tensor:
        part = halo(part)
        return F.pad(part, rest, mode, value) if any(rest) else part

    return Plan([halo.target], results, compute)


@rule(F.pad, torch._C._nn.pad)
def _pad(call: Call, input: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Plan:
    """In torch's modes."""
    return padded(call, input, tuple(pad), mode, value)


@rule(torch.constant_pad_nd)
def _constant_pad_nd(call: Call, input: Any, pad: Any, value: float = 0) -> Plan:
    """With a number."""
    return padded(call, input, tuple(pad), "constant", value)


@rule(*known("roll"))
def _roll(call: Call, input: Any, shifts: Any, dims: Any = ()) -> Plan:
    """Along split axes, the interval that has come to each rank is brought to it, around the end."""
    dims = (dims,) if isinstance(dims, int) else tuple(dims or ())
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if not dims or not input.numel():
        return gather(call)
    call.meta()
    source = bring_together(input.placement, ())
    steps: dict[int, int] = {}
    for dim, shift in zip(dims, shifts, strict=True):
        axis = input.axis(dim)
        steps[axis] = (steps.get(axis, 0) + shift) % input.shape[axis]
    roles: dict[str, Role] = {
        name: Split(role.axis, role.intervals.widened(steps[role.axis], -steps[role.axis]), "periodic")
        if isinstance(role, Split) and steps.get(role.axis) and call.grid.axes[name] > 1
        else role
        for name, role in source.roles.items()
    }
    rest = {axis: shift for axis, shift in steps.items() if shift and axis not in source.cut_axes}

    def compute(_: Call, part: torch.Tensor) -> torch.Tensor:
        return torch.roll(part, list(rest.values()), list(rest)) if rest else part

    return Plan([place(call.grid, tuple(input.shape), roles)], source, compute, skip=False)


def _flipped(call: Call, x: Any, axes: Sequence[int]) -> Plan:
    """Return the plan of a flip: each rank needs the mirror image of its interval."""
    source = bring_together(x.placement, ())
    roles: dict[str, Role] = {
        name: Split(
            role.axis, [(x.shape[role.axis] - stop, x.shape[role.axis] - start) for start, stop in role.intervals]
        )
        if isinstance(role, Split) and role.axis in axes
        else role
        for name, role in source.roles.items()
    }
    return Plan(
        [place(call.grid, tuple(x.shape), roles)], source, lambda _, part: torch.flip(part, tuple(axes)), skip=False
    )


@rule(*known("flip"))
def _flip(call: Call, input: Any, *dims: Any, **named: Any) -> Plan:
    """Along any axes."""
    call.meta()
    given = named.get("dims", dims[0] if len(dims) == 1 else dims)
    return _flipped(call, input, [input.axis(dim) for dim in ((given,) if isinstance(given, int) else given)])


@rule(*known("fliplr"))
def _fliplr(call: Call, input: Any) -> Plan:
    """Along the second axis."""
    call.meta()
    return _flipped(call, input, [1])


@rule(*known("flipud"))
def _flipud(call: Call, input: Any) -> Plan:
    """Along the first axis."""
    call.meta()
    return _flipped(call, input, [0])
