"""Softmax and losses.

A softmax has its axis whole on each rank. A loss is computed entry by entry, or sample by sample; then it is summed, or
averaged with torch's own weights, over all ranks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from torch_bridge.tensors.axes import bring_together, settle
from torch_bridge.tensors.call import SCALE_FREE, Call, Plan, Spec, gather, results_of, rule
from torch_bridge.tensors.rules.entrywise import broadcast, entrywise
from torch_bridge.tensors.rules.names import known


@rule(*known("softmax", "log_softmax", "softmin", "_softmax", "_log_softmax"), F.softmax, F.log_softmax, F.softmin)
def softmax(call: Call, x: Spec, dim: int | None = None, *_: Any, **kwargs: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1  # as torch chooses it
    source = bring_together(x.placement, [x.axis(dim)])
    return Plan([source], source)


@rule(F.glu, *known("glu"))
def glu(call: Call, x: Spec, dim: int = -1) -> Plan:
    """Halves of an axis that is whole on each rank."""
    axis = x.axis(dim)
    source = bring_together(x.placement, [axis])
    labels = [None if a == axis else a for a in range(x.ndim)]
    assignment = settle(call.grid, [(source, labels)])
    return Plan([source], results_of(call, lambda shape: assignment.placement(shape, labels)))


@rule(F.gumbel_softmax)
def gumbel(call: Call, *_: Any, **__: Any) -> Any:
    """As torch writes it: random numbers, and a softmax."""
    from torch_bridge.tensors.context import composite

    return composite(F.gumbel_softmax)


def reduction_of(reduction: str, size_average: Any, reduce: Any) -> str:
    """Return how a loss is reduced, the deprecated arguments included."""
    if size_average is None and reduce is None:
        return reduction
    average, reduced = size_average is None or size_average, reduce is None or reduce
    return "none" if not reduced else "mean" if average else "sum"


def finished(losses: Any, reduction: str) -> Any:
    """Return the losses of entries, their sum or their mean."""
    return losses.mean() if reduction == "mean" else losses.sum() if reduction == "sum" else losses


ENTRYWISE = (
    F.mse_loss,
    F.l1_loss,
    F.smooth_l1_loss,
    F.huber_loss,
    F.soft_margin_loss,
    F.hinge_embedding_loss,
    F.poisson_nll_loss,
    F.binary_cross_entropy,
    F.binary_cross_entropy_with_logits,
    F.margin_ranking_loss,
    F.kl_div,
)
"""Losses whose value at an entry depends on that entry of each argument."""


@rule(*ENTRYWISE)
def entries(call: Call, *args: Any, **kwargs: Any) -> Any:
    """Entry by entry, then the sum or the mean over all ranks."""
    kwargs = dict(kwargs)
    function = call.function
    position = {F.margin_ranking_loss: None}.get(function)
    names = _parameters(function)
    given = dict(zip(names, args, strict=False)) | kwargs
    reduction = reduction_of(given.get("reduction", "mean"), given.get("size_average"), given.get("reduce"))
    del position
    if reduction == "none" and call.kwargs.get("reduction") == "none":
        return _losses(call)

    def composed(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(names, args, strict=False)) | kwargs
        for name in ("reduction", "size_average", "reduce"):
            given.pop(name, None)
        losses = function(**given, reduction="none")
        if reduction == "batchmean":
            return losses.sum() / given["input"].shape[0]
        return finished(losses, reduction)

    return composed


def _losses(call: Call) -> Plan:
    """Return the plan of a loss without a reduction."""
    return entrywise(call)


def _parameters(function: Any) -> list[str]:
    code = function.__code__
    return list(code.co_varnames[: code.co_argcount])


SCALE_FREE.difference_update(ENTRYWISE)


def classes(x: Spec) -> int:
    """Return the axis of the classes."""
    return 0 if x.ndim == 1 else 1


@rule(F.nll_loss, F.cross_entropy, F.nll_loss2d if hasattr(F, "nll_loss2d") else F.nll_loss)
def nll(call: Call, x: Spec, target: Spec, *args: Any, **kwargs: Any) -> Any:
    """Sample by sample with the classes whole; the mean is weighted by class, and leaves out what is ignored."""
    function = call.function
    names = _parameters(function)
    given = dict(zip(names, call.args, strict=False)) | kwargs
    reduction = reduction_of(given.get("reduction", "mean"), given.get("size_average"), given.get("reduce"))
    weight, ignored, smoothing = given.get("weight"), given.get("ignore_index", -100), given.get("label_smoothing", 0.0)
    axis = classes(x)
    probable = target.ndim == x.ndim and target.dtype.is_floating_point
    call.meta()

    if reduction == "none" and call.kwargs.get("reduction") == "none" and given.get("reduce") is None:
        labels = list(range(x.ndim))
        others = labels if probable else [a for a in labels if a != axis]
        operands = [(x.placement, labels), (target.placement, others)]
        assignment = settle(call.grid, operands, whole=[axis])
        targets = [assignment.placement(x.shape, labels), assignment.placement(target.shape, others)]
        targets += [assignment.placement(spec.shape, [None]) for spec in call.operands[2:]]
        rest = [a for a in labels if a != axis]
        return Plan(targets, results_of(call, lambda shape: assignment.placement(shape, rest)))

    def composed(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(names, args, strict=False)) | kwargs
        for name in ("reduction", "size_average", "reduce"):
            given.pop(name, None)
        losses = function(**given, reduction="none")
        if reduction != "mean":
            return finished(losses, reduction)
        of = given["target"]
        if probable:
            return losses.sum() / (losses.numel())
        counted = of != ignored
        if given.get("weight") is None:
            return losses.sum() / counted.sum()
        chosen = F.embedding(torch.where(counted, of, torch.zeros_like(of)), given["weight"].unsqueeze(1)).squeeze(-1)
        return losses.sum() / torch.where(counted, chosen, torch.zeros_like(chosen)).sum()

    del weight, smoothing
    return composed


PER_SAMPLE = {
    F.multilabel_margin_loss: 1,
    F.multi_margin_loss: 1,
    F.cosine_embedding_loss: 1,
    F.triplet_margin_loss: 1,
    F.multilabel_soft_margin_loss: 1,
    F.triplet_margin_with_distance_loss: 1,
}
"""Losses whose value at a sample depends on all of the sample's entries, along the last axis."""


@rule(F.multilabel_margin_loss, F.multi_margin_loss)
def margins(call: Call, x: Spec, target: Spec, *args: Any, **kwargs: Any) -> Any:
    """Sample by sample with the classes whole."""
    function = call.function
    names = _parameters(function)
    given = dict(zip(names, call.args, strict=False)) | kwargs
    reduction = reduction_of(given.get("reduction", "mean"), given.get("size_average"), given.get("reduce"))
    call.meta()
    if reduction == "none" and call.kwargs.get("reduction") == "none" and given.get("reduce") is None:
        labels = ["n", "c"] if x.ndim == 2 else ["c"]
        if x.ndim == 1:
            return gather(call)
        others = labels if function is F.multilabel_margin_loss else labels[:-1]
        assignment = settle(call.grid, [(x.placement, labels), (target.placement, others)], whole=["c"])
        targets = [assignment.placement(x.shape, labels), assignment.placement(target.shape, others)]
        targets += [assignment.placement(spec.shape, [None]) for spec in call.operands[2:]]
        return Plan(targets, results_of(call, lambda shape: assignment.placement(shape, labels[:-1])))

    def composed(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(names, args, strict=False)) | kwargs
        for name in ("reduction", "size_average", "reduce"):
            given.pop(name, None)
        return finished(function(**given, reduction="none"), reduction)

    return composed


@rule(*known("cosine_similarity", "pairwise_distance"), F.cosine_similarity, F.pairwise_distance)
def similarity(call: Call, x: Spec, y: Spec, *args: Any, **kwargs: Any) -> Any:
    """Along an axis that is whole on each rank, after broadcasting."""
    cosine = call.function.__name__ == "cosine_similarity"
    dim = (args[0] if args else kwargs.get("dim", 1)) if cosine else -1
    keep = not cosine and bool(kwargs.get("keepdim", args[2] if len(args) > 2 else False))
    ndim, labels, _ = broadcast(call)
    axis = dim % ndim
    assignment = settle(
        call.grid, [(spec.placement, names) for spec, names in zip(call.operands, labels, strict=True)], whole=[axis]
    )
    result = [None if a == axis else a for a in range(ndim) if keep or a != axis]
    targets = [assignment.placement(spec.shape, names) for spec, names in zip(call.operands, labels, strict=True)]
    return Plan(targets, results_of(call, lambda shape: assignment.placement(shape, result)))


@rule(F.gaussian_nll_loss)
def gaussian(call: Call, *_: Any, **__: Any) -> Any:
    """As its formula: the variance is bounded from below without a gradient."""

    def composed(
        input: Any,
        target: Any,
        var: Any,
        full: bool = False,
        eps: float = 1e-6,
        reduction: str = "mean",
    ) -> Any:
        if not isinstance(var, torch.Tensor):
            var = torch.full_like(input, var)
        if bool((var < 0).any()):
            raise ValueError("var has negative entry/entries")
        if var.shape != input.shape and input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        with torch.no_grad():
            less = (eps - var).clamp(min=0)
        var = var + less
        losses = 0.5 * (torch.log(var) + (input - target) ** 2 / var)
        if full:
            losses = losses + 0.9189385332046727
        return finished(losses, reduction)

    return composed


@rule(*known("prelu"))
def prelu(call: Call, x: Spec, weight: Spec) -> Any:
    """A slope for all entries, or for each channel."""
    labels = list(range(x.ndim))
    channel = [None] if weight.numel() == 1 else [1 if x.ndim > 1 else 0]
    assignment = settle(call.grid, [(x.placement, labels), (weight.placement, channel[: weight.ndim])])
    placement = assignment.placement(x.shape, labels)
    call.meta()
    return Plan([placement, assignment.placement(weight.shape, channel[: weight.ndim])], placement)


@rule(*known("dist"))
def dist(call: Call, x: Spec, y: Spec, p: Any = 2) -> Any:
    """The norm of a difference."""
    return lambda x, y, p=2: torch.linalg.vector_norm(x - y, p)
