"""Softmax and losses.

Along a split axis, a softmax is made of the ranks' greatest entries and sums of exponentials. A loss is computed entry
by entry, or sample by sample; then it is summed, or averaged with torch's own weights, over all ranks.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from torch_bridge.tensors import context
from torch_bridge.tensors.axes import labelled
from torch_bridge.tensors.call import SCALE_FREE, Call, Plan, Spec, gather, rule
from torch_bridge.tensors.rules.entrywise import broadcast, entrywise
from torch_bridge.tensors.rules.names import known
from torch_bridge.tensors.rules.reductions import HALF, one_whole
from torch_bridge.tensors.rules.whole import along


@rule(*known("softmax", "log_softmax", "softmin", "_softmax", "_log_softmax"))
def softmax(call: Call, x: Spec, dim: int | None = None, *_: Any, dtype: Any = None, **__: Any) -> Any:
    """Along a split axis, the greatest entry and the sum of the exponentials are those of all ranks."""
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1  # as torch chooses it
    axis, name = x.axis(dim), call.function.__name__
    if axis not in x.placement.cut_axes or name.startswith("_") or not x.numel():
        return one_whole(call, x, axis)
    lowered = context.autocast() is not None and x.dtype != torch.float64
    given = dtype if isinstance(dtype, torch.dtype) else torch.float32 if lowered else x.dtype

    def composed(x: Any, *_: Any, **__: Any) -> Any:
        with torch.autocast("cpu", enabled=False):
            x = x.to(torch.float32 if given in HALF else given)
            x = -x if name == "softmin" else x
            x = x - x.detach().amax(axis, keepdim=True)
            if name == "log_softmax":
                return (x - x.exp().sum(axis, keepdim=True).log()).to(given)
            x = x.exp()
            return (x / x.sum(axis, keepdim=True)).to(given)

    return composed


@rule(torch.ops.aten._safe_softmax, torch.ops.aten._safe_softmax.default)
def safe_softmax(call: Call, x: Spec, dim: int, *_: Any, **__: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    return one_whole(call, x, dim)


@rule(*known("_softmax_backward_data", "_log_softmax_backward_data"))
def softmax_gradient(call: Call, x: Spec, y: Spec, dim: int, *_: Any, **__: Any) -> Plan:
    """Along an axis that is whole on each rank."""
    return along(call, [x.axis(dim)])


@rule(*known("glu"))
def glu(call: Call, x: Spec, dim: int = -1) -> Plan:
    """Halves of an axis that is whole on each rank."""
    return one_whole(call, x, dim)


@rule(F.gumbel_softmax)
def gumbel(call: Call, *_: Any, **__: Any) -> Any:
    """As torch writes it: random numbers, and a softmax."""
    return context.composite(F.gumbel_softmax)


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
    reduction = _reduction(call)
    if reduction == "none" and call.kwargs.get("reduction") == "none":
        return entrywise(call)

    def reduced(losses: Any, given: dict[str, Any]) -> Any:
        return losses.sum() / given["input"].shape[0] if reduction == "batchmean" else finished(losses, reduction)

    return by_samples(call, reduced)


def by_samples(call: Call, reduced: Any) -> Any:
    """Return a loss as its values at entries or samples, which ``reduced(losses, arguments)`` adds up."""
    function, names = call.function, _parameters(call.function)

    def composed(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(names, args, strict=False)) | kwargs
        for name in ("reduction", "size_average", "reduce"):
            given.pop(name, None)
        return reduced(function(**given, reduction="none"), given)

    return composed


def _reduction(call: Call) -> str:
    """Return how a call of a loss is reduced, the deprecated arguments included."""
    given = dict(zip(_parameters(call.function), call.args, strict=False)) | call.kwargs
    average, reduce = given.get("size_average"), given.get("reduce")
    if average is None and reduce is None:
        return str(given.get("reduction", "mean"))
    return "none" if reduce is False else "sum" if average is False else "mean"


def _parameters(function: Any) -> list[str]:
    code = function.__code__
    return list(code.co_varnames[: code.co_argcount])


SCALE_FREE.difference_update(ENTRYWISE)


@rule(F.nll_loss, F.cross_entropy)
def nll(call: Call, x: Spec, target: Spec, *args: Any, **kwargs: Any) -> Any:
    """Sample by sample with the classes whole; the mean is weighted by class, and leaves out what is ignored."""
    given = dict(zip(_parameters(call.function), call.args, strict=False)) | kwargs
    ignored, reduction, axis = given.get("ignore_index", -100), _reduction(call), 0 if x.ndim == 1 else 1
    probable = target.ndim == x.ndim and target.dtype.is_floating_point
    call.meta()
    if reduction == "none" and call.kwargs.get("reduction") == "none":
        labels = [None if a == axis else a for a in range(x.ndim)]
        samples = [a for a in labels if a is not None]
        return labelled(call, [labels, labels if probable else samples, *[[None]] * len(call.operands[2:])], samples)

    def reduced(losses: Any, given: dict[str, Any]) -> Any:
        if reduction != "mean" or probable:
            return losses.sum() / losses.numel() if reduction == "mean" else finished(losses, reduction)
        of = given["target"]
        counted = of != ignored
        if given.get("weight") is None:
            return losses.sum() / counted.sum()
        chosen = F.embedding(torch.where(counted, of, torch.zeros_like(of)), given["weight"].unsqueeze(1)).squeeze(-1)
        return losses.sum() / torch.where(counted, chosen, torch.zeros_like(chosen)).sum()

    return by_samples(call, reduced)


@rule(F.multilabel_margin_loss, F.multi_margin_loss)
def margins(call: Call, x: Spec, target: Spec, *args: Any, **kwargs: Any) -> Any:
    """Sample by sample with the classes whole."""
    reduction = _reduction(call)
    call.meta()
    if reduction != "none" or call.kwargs.get("reduction") != "none":
        return by_samples(call, lambda losses, _: finished(losses, reduction))
    if x.ndim == 1:
        return gather(call)
    others = ["n", None] if call.function is F.multilabel_margin_loss else ["n"]
    return labelled(call, [["n", None], others, *[[None]] * len(call.operands[2:])], ["n"])


@rule(F.cosine_embedding_loss)
def cosine_embedding(call: Call, *_: Any, **__: Any) -> Any:
    """By the cosine of two samples, which are whole on each rank."""
    reduction = _reduction(call)
    call.meta()

    def composed(input1: Any, input2: Any, target: Any, margin: float = 0, *_: Any, **__: Any) -> Any:
        tiny = 1e-12  # torch's own
        dot, one, two = ((a * b).sum(-1) for a, b in ((input1, input2), (input1, input1), (input2, input2)))
        cosine = dot / ((one + tiny) * (two + tiny)).sqrt()
        zero = torch.zeros_like(cosine)
        losses = torch.where(target == 1, 1 - cosine, zero)
        losses = losses + torch.where(target == -1, (cosine - margin).clamp(min=0), zero)
        return finished(losses, reduction)

    return composed


@rule(F.triplet_margin_loss)
def triplet(call: Call, *_: Any, **__: Any) -> Any:
    """By distances of samples, which are whole on each rank."""
    reduction = _reduction(call)
    call.meta()

    def composed(
        anchor: Any,
        positive: Any,
        negative: Any,
        margin: float = 1.0,
        p: float = 2,
        eps: float = 1e-6,
        swap: bool = False,
        *_: Any,
        **__: Any,
    ) -> Any:
        near, far = (F.pairwise_distance(anchor, other, p, eps) for other in (positive, negative))
        far = torch.minimum(far, F.pairwise_distance(positive, negative, p, eps)) if swap else far
        return finished((margin + near - far).clamp(min=0), reduction)

    return composed


@rule(*known("cosine_similarity", "pairwise_distance"))
def similarity(call: Call, x: Spec, y: Spec, *args: Any, **kwargs: Any) -> Any:
    """Along an axis that is whole on each rank, after broadcasting."""
    cosine = call.function.__name__ == "cosine_similarity"
    dim = (args[0] if args else kwargs.get("dim", 1)) if cosine else -1
    keep = not cosine and bool(kwargs.get("keepdim", args[2] if len(args) > 2 else False))
    ndim, labels, _ = broadcast(call)
    axis = dim % ndim
    labels = [[None if a == axis else a for a in names] for names in labels]
    return labelled(call, labels, [None if a == axis else a for a in range(ndim) if keep or a != axis])


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
    channel = [None] if weight.numel() == 1 else [1 if x.ndim > 1 else 0]
    return labelled(call, [range(x.ndim), channel[: weight.ndim]], range(x.ndim))


@rule(*known("dist"))
def dist(call: Call, x: Spec, y: Spec, p: Any = 2) -> Any:
    """The norm of a difference."""
    return lambda x, y, p=2: torch.linalg.vector_norm(x - y, p)
