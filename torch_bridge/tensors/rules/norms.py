r"""Normalisations: by moments over axes that may be split.

.. math:: y = \frac{x - m}{\sqrt{v + \epsilon}}\, C w + C b, \quad m = \mathrm{mean}(x),\ v = \mathrm{mean}((x - m)^2)

A mean is a sum on each rank, and the sum of these few numbers over the ranks that have a share in it: from copies to
copies, which is its own adjoint, so that the gradients of m and v follow. Where nothing is split that a mean is over,
each rank calls torch's own function.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, final

import torch
import torch.nn.functional as F

from distdl_ops import Copies, Replicated, Split
from distdl_ops.compositions.stencils.windows import Window
from torch_bridge.compat import plain
from torch_bridge.tensors import context
from torch_bridge.tensors.axes import bring_together, settle
from torch_bridge.tensors.call import Call, Plan, gather
from torch_bridge.tensors.call import rule_of_intervals as rule
from torch_bridge.tensors.movement import move_between
from torch_bridge.tensors.placement import Placement, place
from torch_bridge.tensors.rules.windows import Halo

WIDE = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
"""What is summed in another dtype, as torch does."""


@final
class Mean:
    """The mean over some axes of a tensor: on every rank, of what it has a share in.

    Parameters
    ----------
    x : Placement
        How the tensor lies.
    axes : collection of int
        Over which.
    groups : int, optional
        Along axis 1, if there are any, there is a mean for each of so many groups of entries.

    Attributes
    ----------
    local : bool
        Whether each rank has everything that its means are of.
    """

    def __init__(self, x: Placement, axes: Collection[int], groups: int = 0) -> None:
        shape = [1 if axis in axes else extent for axis, extent in enumerate(x.shape)]
        over = {*axes, 1} if groups else set(axes)
        if groups:
            shape[1] = groups
        summed = {
            name: Copies() if isinstance(role, Split) and role.axis in over else role for name, role in x.roles.items()
        }
        self.sums = place(x.grid, tuple(shape), summed)
        self.axes = tuple(axes)
        self.count = math.prod(x.shape) // max(1, math.prod(shape))
        names = [name for name, role in summed.items() if isinstance(role, Copies)]
        gathered = {
            name: Split(0)
            if name in names
            else Split(role.axis + 2, role.intervals)
            if isinstance(role, Split)
            else role
            for name, role in summed.items()
        }
        ranks = place(x.grid, (math.prod(x.grid.axes[name] for name in names), 3, *shape), gathered)
        self.gather = move_between(ranks, ranks.having(dict.fromkeys(names, Replicated())))
        self.local = not any(isinstance(role, Copies) and x.grid.axes[name] > 1 for name, role in summed.items())
        self.add_up = move_between(self.sums, self.sums)
        pair = place(x.grid, (*shape, 2), summed)
        self.add_up_two = move_between(pair, pair)
        self.member: torch.Tensor | None = None
        if groups:
            held = x.layout.intervals_at(x.grid.world.rank) or ((0, 0),) * len(x.shape)
            self.member = torch.arange(*held[1]) // (x.shape[1] // groups)
            self.groups = groups

    def __call__(self, part: torch.Tensor) -> torch.Tensor:
        """Return the means, in a shape that goes with that of the part."""
        return self.spread(
            self.add_up(self.fold(part.sum(self.axes, keepdim=True) if self.axes else part)) / self.count
        )

    def fold(self, sums: torch.Tensor) -> torch.Tensor:
        """Return sums over the entries of a group, of sums over some axes."""
        if self.member is None:
            return sums
        shape = (sums.shape[0], self.groups, *sums.shape[2:])
        return sums.new_zeros(shape).index_add(1, self.member.to(sums.device), sums)

    def spread(self, means: torch.Tensor) -> torch.Tensor:
        """Return the means of the group of each entry."""
        return means if self.member is None else means.index_select(1, self.member.to(means.device))

    def moments(self, part: torch.Tensor, call: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Return means and variances, one of each group. One message, in which no large mean cancels."""
        count = math.prod(part.shape[axis] for axis in self.axes)
        sums = part.sum(self.axes, keepdim=True) if self.axes else part
        average = sums / max(count, 1)
        squares = (part - average).square_()  # two passes are several times as fast as torch.var_mean
        squares = squares.sum(self.axes, keepdim=True) if self.axes else squares
        counts = torch.full_like(average, count)
        held = _merged(counts, average, squares, self.fold, self.spread)
        total, average, squares = self.gather.run(torch.stack(held)[None], call).unbind(1)
        counts, average, squares = _merged(total, average, squares, lambda x: x.sum(0), lambda x: x)
        return average, squares / counts.clamp(min=1)


def _merged(counts: Any, means: Any, squares: Any, add: Any, spread: Any) -> tuple[Any, Any, Any]:
    """Return counts, means, and sums of squared distances from them, of several samples together (Chan et al. 1983)."""
    total = add(counts)
    average = add(counts * means) / total.clamp(min=1)
    return total, average, add(squares + counts * (means - spread(average)).square())


class Channelwise(torch.autograd.Function):
    r"""A normalisation by moments of each channel, or of groups of them, with a weight and a bias of each channel.

    It saves its argument and the moments, as torch's kernels do, and sends one message each way:

    .. math:: dx = \frac{1}{\sqrt{v + \epsilon}} (w g - \mathrm{mean}(w g) - \hat x\, \mathrm{mean}(w g \hat x)).
    """

    @staticmethod
    def forward(ctx: Any, part: Any, weight: Any, bias: Any, mean: Mean, eps: float) -> tuple[torch.Tensor, ...]:
        """Return this rank's part of the result, and the moments."""
        wide = part.to(WIDE.get(part.dtype, part.dtype))
        recorder = context.recorder.get()
        if recorder is not None:
            recorder.moves(mean.gather, wide.element_size(), ctx.needs_input_grad[0], mean.add_up_two)
        ctx.call = mean.gather.next_call(wide)
        average, variance = mean.moments(wide, ctx.call)
        rows, (w, b, m, v) = _rows(mean, part, wide.dtype, weight, bias, average, variance)
        y = torch.batch_norm(rows, w, b, m, v, False, 0.0, eps, False) if part.numel() else rows.clone()
        ctx.mean, ctx.eps = mean, eps
        ctx.save_for_backward(part, weight, bias, average, variance)
        ctx.mark_non_differentiable(average, variance)
        return y.reshape(part.shape), average, variance

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor, *_: Any) -> Any:
        """Return this rank's gradients."""
        with plain():
            part, weight, bias, average, variance = ctx.saved_tensors
            if torch.is_grad_enabled():
                needed = [x for x, wanted in zip((part, weight, bias), ctx.needs_input_grad, strict=False) if wanted]
                y = _composed(part, weight, bias, ctx.mean, ctx.eps)[0]
                made = iter(torch.autograd.grad(y, needed, gradient, create_graph=True))
                return *(next(made) if wanted else None for wanted in ctx.needs_input_grad[:3]), None, None
            mean, dtype = ctx.mean, average.dtype
            x, (w, _, m, v) = _rows(mean, part.to(dtype), dtype, weight, bias, average, variance)
            g = gradient.to(dtype).reshape(x.shape)
            if part.numel():
                dx, dw, db = torch.ops.aten.native_batch_norm_backward(
                    g, x, w, m, v, None, None, False, ctx.eps, [True, True, True]
                )
            else:  # of no entries, torch's kernel divides by zero
                dx, dw, db = g.clone(), torch.zeros_like(w), torch.zeros_like(w)
            channels = [part.shape[0] if 0 not in mean.axes else 1, part.shape[1]]
            ones = [1] * (part.ndim - 2)
            sums = torch.stack([mean.fold((s * w).reshape(*channels, *ones)) for s in (db, dw)], -1)
            first, second = (
                mean.spread(s).reshape(1, -1, *[1] * (x.ndim - 2))
                for s in (mean.add_up_two.run(sums, ctx.call.backward) / mean.count).unbind(-1)
            )
            r = torch.rsqrt(v + ctx.eps).reshape(first.shape)
            dx.sub_(r * first).addcmul_(x - m.reshape(first.shape), second * r * r, value=-1)
            of_channels = [
                None if of is None else s.reshape(channels).sum(0).to(of.dtype) for s, of in ((dw, weight), (db, bias))
            ]
            return dx.reshape(part.shape).to(part.dtype), *of_channels, None, None


def _rows(mean: Mean, part: Any, dtype: Any, weight: Any, bias: Any, *moments: Any) -> tuple[torch.Tensor, list[Any]]:
    """Return a part with one channel for all that has its own moments; weights, biases and moments of these."""
    images = 1 if 0 in mean.axes else part.shape[0]
    size = images * part.shape[1]
    rows = part if 0 in mean.axes else part.reshape(1, size, math.prod(part.shape[2:]))
    w, b = (
        torch.full((size,), value, dtype=dtype, device=part.device) if x is None else x.to(dtype).repeat(images)
        for x, value in ((weight, 1.0), (bias, 0.0))
    )
    return rows, [w, b, *(mean.spread(x).reshape(-1) for x in moments)]


def _composed(
    part: Any, weight: Any, bias: Any, mean: Mean, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what `Channelwise` returns, as a composition of torch's functions: it has derivatives of any order."""
    y, average, variance = standardized(part, mean, eps)
    return _scaled(y, weight, bias, part.ndim - 2, part.dtype), average, variance


def channelwise(
    part: Any, weight: Any, bias: Any, mean: Mean, eps: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a normalised part, means and variances."""
    if torch.autograd.forward_ad._current_level >= 0:
        return _composed(part, weight, bias, mean, eps)
    return Channelwise.apply(part, weight, bias, mean, eps)  # type: ignore[no-any-return, no-untyped-call]


def standardized(part: torch.Tensor, mean: Mean, eps: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return a part less its mean, over its deviation; the mean; and the variance.

    It takes two passes, so that a large mean does not matter.
    """
    wide = part.to(WIDE.get(part.dtype, part.dtype))
    average = mean(wide)
    centered = wide - average
    variance = mean(centered * centered)
    return centered * torch.rsqrt(variance + eps), average, variance


def _scaled(
    y: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, ones: int, dtype: torch.dtype
) -> torch.Tensor:
    """Return numbers times a weight plus a bias, which have so many axes less at the end."""
    if weight is not None:
        y = y * weight.reshape(*weight.shape, *[1] * ones)
    if bias is not None:
        y = y + bias.reshape(*bias.shape, *[1] * ones)
    return y.to(dtype)


def _beside(call: Call, source: Placement, spec: Any, axes: Sequence[int]) -> Placement:
    """Return how numbers are used beside a tensor along some of whose axes they lie."""
    return settle(call.grid, [(source, range(len(source.shape)))]).placement(spec.shape, axes)


def _at(call: Call, spec: Any) -> int | None:
    """Return which of the operands an argument is; None of none."""
    return next((k for k, operand in enumerate(call.operands) if operand is spec), None)


def _part(parts: Sequence[torch.Tensor], k: int | None) -> torch.Tensor | None:
    return None if k is None else parts[k]


def _channelwise(
    call: Call,
    axes: Collection[int],
    x: Any,
    weight: Any,
    bias: Any,
    means: Any,
    variances: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn: bool,
) -> Plan:
    """Return the plan of a batch or an instance normalisation: moments of channels, or of each image's channels."""
    if x.ndim < 2:
        return gather(call)  # torch takes an empty tensor without channels
    source = bring_together(x.placement, ())
    mean = Mean(source, axes)
    channels = {name: role for name, role in source.roles.items() if isinstance(role, Split) and role.axis == 1}
    targets: list[Any] = [source] * len(call.operands)
    w, b, m, v = (_at(call, spec) for spec in (weight, bias, means, variances))
    for k in (w, b, m, v):
        if k is not None:
            targets[k] = _beside(call, source, call.operands[k], [1])
    empty = not math.prod(x.shape)
    kept = {
        k: place(
            call.grid,
            (x.shape[1],),
            {
                name: Split(0, channels[name].intervals) if name in channels else whole
                for name, whole in call.operands[k].placement.whole().roles.items()
            },
        )
        for k in (m, v)
        if k is not None and training and not empty
    }
    for k, placement in kept.items():
        targets[k] = placement
    batches = place(
        call.grid,
        (x.shape[0], x.shape[1]),
        {
            name: r if isinstance(r, Split) and r.axis < 2 else kept_role
            for (name, r), kept_role in zip(source.roles.items(), source.whole().roles.values(), strict=True)
        },
    )
    over_batch = Mean(batches, [0])
    unbiased = mean.count / (mean.count - 1) if mean.count > 1 else math.nan

    def compute(called: Call, *parts: torch.Tensor) -> torch.Tensor:
        part, stats = parts[0], {}
        y, stats[m], stats[v] = channelwise(part, _part(parts, w), _part(parts, b), mean, eps)
        with torch.no_grad():
            for k, target in kept.items():
                statistic = stats[k].detach() * (unbiased if k == v else 1)
                statistic = statistic.flatten(1)
                if 0 not in axes:
                    statistic = over_batch(statistic.reshape(batches.local_shape))
                _update(called.operands[k], parts[k], statistic.reshape(-1), momentum, target)
        return y

    def local(called: Call, *parts: torch.Tensor) -> torch.Tensor:
        names = [_part(parts, k) for k in (w, b, m, v)]
        if parts[0].numel():
            y: torch.Tensor = call.function(parts[0], *names, training, momentum, eps, cudnn)
        else:
            y = _scaled(parts[0], names[0], names[1], x.ndim - 2, parts[0].dtype)
        for k, target in kept.items():
            _write_back(called.operands[k], parts[k], target)
        return y

    alone = not training or empty or (mean.local and (0 in axes or not kept or over_batch.local))
    return Plan(targets, source, local if alone else compute, skip=False)


def _update(value: Any, part: torch.Tensor, statistic: torch.Tensor, momentum: float, target: Placement) -> None:
    """Let a statistic of this batch enter a running one."""
    part.mul_(1 - momentum).add_(statistic.to(part.dtype), alpha=momentum)
    _write_back(value, part, target)


def _write_back(value: Any, part: torch.Tensor, target: Placement) -> None:
    """Move a running statistic, changed where it was used, to where it is kept: of a plain tensor, on every rank."""
    kept = getattr(value, "_placement", None) or target.whole()
    if target is not kept:
        with torch.no_grad():
            value.copy_(move_between(target, kept)(part.detach()))


@rule(torch.batch_norm)
def _batch_norm(
    call: Call,
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Plan:
    """Moments over everything but channels."""
    axes = [axis for axis in range(input.ndim) if axis != 1]
    return _channelwise(
        call, axes, input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled
    )


@rule(torch.instance_norm)
def _instance_norm(
    call: Call,
    input: Any,
    weight: Any,
    bias: Any,
    running_mean: Any,
    running_var: Any,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Plan:
    """Moments of each channel of each image."""
    return _channelwise(
        call,
        range(2, input.ndim),
        input,
        weight,
        bias,
        running_mean,
        running_var,
        use_input_stats,
        momentum,
        eps,
        cudnn_enabled,
    )


def _normalized(
    call: Call,
    mean: Mean,
    source: Placement,
    weight: Any,
    bias: Any,
    axes: Sequence[int],
    eps: float,
    centers: bool,
    local: Any = None,
) -> Plan:
    """Return the plan of a normalisation whose weight and bias lie along some axes of the tensor."""
    targets: list[Any] = [source] * len(call.operands)
    w, b = _at(call, weight), _at(call, bias)
    for k in (w, b):
        if k is not None:
            targets[k] = _beside(call, source, call.operands[k], axes)
    if mean.local or not math.prod(source.shape):
        return Plan(targets, source, local)
    ones = len(source.shape) - 1 - axes[-1]

    def compute(_: Call, *parts: torch.Tensor) -> torch.Tensor:
        part = parts[0]
        if axes == [1]:
            return channelwise(part, _part(parts, w), _part(parts, b), mean, eps)[0]
        if centers:
            y = standardized(part, mean, eps)[0]
        else:
            wide = part.to(WIDE.get(part.dtype, part.dtype))
            y = wide * torch.rsqrt(mean(wide * wide) + eps)
        return _scaled(y, _part(parts, w), _part(parts, b), ones, part.dtype)

    return Plan(targets, source, compute, skip=False)


@rule(torch.group_norm)
def _group_norm(
    call: Call,
    input: Any,
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Plan:
    """Moments of each group of channels of each image; a group may lie on several ranks."""
    call.meta()
    source = bring_together(input.placement, ())
    mean = Mean(source, range(2, input.ndim), num_groups)
    size = input.shape[1] // num_groups
    cuts = {
        end % size
        for role in source.splits(1).values()
        if isinstance(role, Split)
        for pair in role.intervals
        for end in pair
    }
    space = any(axis > 1 for axis in source.cut_axes)
    mean.local = not space and cuts <= {0}
    groups = source.local_shape[1] // size
    w, b = _at(call, weight), _at(call, bias)

    def local(_: Call, *parts: torch.Tensor) -> torch.Tensor:
        return torch.group_norm(parts[0], groups, _part(parts, w), _part(parts, b), eps)

    return _normalized(call, mean, source, weight, bias, [1], eps, True, local)


@rule(torch.layer_norm)
def _layer_norm(
    call: Call,
    input: Any,
    normalized_shape: Any,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Plan:
    """Moments over the last axes."""
    call.meta()
    source = bring_together(input.placement, ())
    axes = range(input.ndim - len(tuple(normalized_shape)), input.ndim)
    return _normalized(call, Mean(source, axes), source, weight, bias, axes, eps, True)


@rule(torch.rms_norm, F.rms_norm)
def _rms_norm(call: Call, input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Plan:
    """Mean squares over the last axes."""
    call.meta()
    source = bring_together(input.placement, ())
    axes = range(input.ndim - len(tuple(normalized_shape)), input.ndim)
    least = torch.finfo(WIDE.get(input.dtype, input.dtype)).eps if eps is None else eps
    return _normalized(call, Mean(source, axes), source, weight, None, axes, least, False)


@rule(F.local_response_norm)
def _local_response_norm(
    call: Call, input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Plan:
    """Each channel sees some channels on either side: a halo of them."""
    call.meta()
    source = bring_together(input.placement, ())
    below = size // 2
    halo = Halo(source, source, {1: Window(size, 1, (below, (size - 1) // 2))})
    if 1 not in halo.split:
        return Plan([source], source)
    kept = slice(below, below + source.local_shape[1])

    def compute(_: Call, x: torch.Tensor) -> torch.Tensor:
        return F.local_response_norm(halo(x), size, alpha, beta, k)[:, kept]

    return Plan([halo.target], source, compute)


@rule(torch._weight_norm)
def _weight_norm(call: Call, v: Any, g: Any, dim: int = 0) -> Any:
    """A composition: the norm over all axes but one."""

    def composed(v: Any, g: Any, dim: int = 0) -> Any:
        axes = [axis for axis in range(v.ndim) if axis != dim % v.ndim] if dim != -1 else list(range(v.ndim))
        return v * (g / torch.linalg.vector_norm(v, 2, axes, keepdim=True))

    return composed


def _together(call: Call, *_: Any, **__: Any) -> Plan:
    """What also returns moments, and changes running statistics, is computed on every rank."""
    plan = gather(call)

    def compute(called: Call, *parts: torch.Tensor) -> Any:
        before = [part._version for part in parts]
        result = called.run(*parts)
        for k, part in enumerate(parts):
            if k and (part._version != before[k] or not part.requires_grad):
                _write_back(called.operands[k], part, plan.targets[k])
        return result

    plan.compute, plan.skip = compute, False
    return plan


rule(
    torch.native_layer_norm,
    torch.native_group_norm,
    torch.native_batch_norm,
    torch._C._VariableFunctions._native_batch_norm_legit,
    torch.ops.aten._batch_norm_with_update,
    torch.ops.aten._batch_norm_with_update.default,
    torch.ops.aten._native_batch_norm_legit,
    torch.ops.aten._native_batch_norm_legit.default,
)(_together)
