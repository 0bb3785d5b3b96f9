"""Functions that draw random numbers.

What replaces all entries of a tensor (``normal_``, torch's initialisation) gives the numbers of one process: the whole
tensor is drawn on every rank, and each keeps its part. Masks of dropout, which come at every step, are made part by
part; see `torch_bridge.tensors.random`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from torch_bridge.tensors import context
from torch_bridge.tensors.call import ALWAYS, DIRECT, Call, Plan, Spec, gather, rule, wrap
from torch_bridge.tensors.movement import move_between
from torch_bridge.tensors.random import seed, uniform
from torch_bridge.tensors.rules.names import known

T: Any = torch.Tensor


def _dropped(name: str) -> Any:
    """Return the rule of a dropout whose mask has an entry for each entry, or for each of the first axes."""

    def dropout(call: Call, x: Spec, p: float = 0.5, *args: Any, **kwargs: Any) -> Any:
        """The mask at an entry, or a channel, follows from its place: nothing is sent."""
        training = kwargs.get("training", kwargs.get("train", args[0] if args else name not in ("feature_dropout",)))
        inplace = bool(kwargs.get("inplace", args[1] if len(args) > 1 else False))
        call.meta()

        def composed(x: Any, *_: Any, **__: Any) -> Any:
            if not training or p == 0:
                return x
            if p == 1:
                result = x * torch.zeros_like(x)
            else:
                kept = mask(x, p, name)
                if "alpha" in name:
                    alpha = -1.7580993408473766
                    a = ((alpha**2 * p + 1) * (1 - p)) ** -0.5
                    result = torch.where(kept, x, torch.full_like(x, alpha)) * a - alpha * a * p
                else:
                    result = x * kept.to(x.dtype) / (1 - p)
            return context.assign(x, result) if inplace else result

        return composed

    return dropout


def mask(x: Any, p: float, name: str) -> Any:
    """Return which entries a dropout keeps: the same on any layout; of whole channels where the name says so."""
    channels = "1d" in name or "2d" in name or "3d" in name or "feature" in name
    drawn = x
    if channels:
        batched = x.dim() == {"1": 3, "2": 4, "3": 5}.get(name[name.find("d") - 1], x.dim())
        if "feature" in name:
            batched = True
        drawn = x.detach()[(slice(None),) * (2 if batched else 1) + (slice(0, 1),) * (x.dim() - (2 if batched else 1))]
    return torch.rand_like(drawn, dtype=torch.float64) >= p


for _name in (
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_dropout",
    "feature_alpha_dropout",
):
    _functions = known(_name)
    rule(*_functions)(_dropped(_name))
    ALWAYS.update(_functions)


@rule(*known("rand_like"))
def rand_like(call: Call, x: Spec, *_: Any, dtype: Any = None, **__: Any) -> Plan:
    """A number for each entry, the same on any layout."""
    placement = x.placement.finished() if x.placement.partial else x.placement

    def drawn(_: Call, part: torch.Tensor) -> torch.Tensor:
        return uniform(placement, seed()).to(dtype or part.dtype)

    return Plan([placement], placement, drawn, skip=False)


ALWAYS.update(known("rand_like"))


def _drawn_whole(call: Call, *_: Any, **__: Any) -> Any:
    """The whole is drawn on every rank, which keeps its part: the numbers of one process."""
    function = call.function

    def drawn(x: Any, *args: Any, **kwargs: Any) -> Any:
        placement = x._placement.finished() if x._placement.partial else x._placement
        whole = torch.empty(tuple(placement.shape), dtype=x.dtype)
        given = [a.full_tensor().to_local() if hasattr(a, "full_tensor") else a for a in args]
        result = function(whole, *given, **kwargs)
        if function.__name__.endswith("_") and not function.__name__.endswith("__"):
            with torch.no_grad():
                part = wrap(move_between(placement.whole(), placement)(whole), placement)
            return x.copy_(part)
        return wrap(move_between(placement.whole(), placement)(result).clone(), placement)

    return drawn


for _name in ("normal_", "uniform_", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "random_"):
    rule(getattr(T, _name))(_drawn_whole)
rule(*known("randn_like", "randint_like"))(_drawn_whole)


@rule(
    *known(
        "bernoulli",
        "multinomial",
        "poisson",
        "binomial",
        "fractional_max_pool2d",
        "fractional_max_pool3d",
        "normal",
        "_standard_gamma",
        "_sample_dirichlet",
    ),
    F.fractional_max_pool2d,
    F.fractional_max_pool3d,
)
def whole(call: Call, *_: Any, **__: Any) -> Plan:
    """Drawn from the whole arguments, on every rank alike."""
    return gather(call)


@rule(*known("rrelu"), F.rrelu)
def rrelu(call: Call, x: Spec, *_: Any, **__: Any) -> Any:
    """Drawn from the whole tensor, on every rank alike; in place where the call says so."""
    inplace = call.function is F.rrelu and (call.args[4:5] == (True,) or call.kwargs.get("inplace", False))
    if not inplace:
        return gather(call)

    def changed(x: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("inplace", None)
        return context.assign(x, F.rrelu(x, *args[:3], **kwargs))

    return changed


__all__ = ["DIRECT"]
