"""Functions of lists of tensors, which optimizers use: each tensor by itself."""

from __future__ import annotations

from typing import Any

import torch

from torch_bridge.compat import plain
from torch_bridge.tensors import context
from torch_bridge.tensors.call import direct
from torch_bridge.tensors.tensor import DistributedTensor


def one_by_one(name: str) -> Any:
    """Return a function of lists as the function of tensors that it applies to each."""
    base = name.removeprefix("_foreach_")
    changing = base.endswith("_")
    fresh = base.removesuffix("_")
    single: Any = {"norm": torch.linalg.vector_norm, "zero": torch.Tensor.zero_, "copy": torch.Tensor.copy_}.get(fresh)
    if single is None or (changing and fresh not in ("zero", "copy")):
        single = getattr(torch.Tensor, base, None) or getattr(torch, base, None)
    if single is None and fresh == "powsum":
        single = _powsum
    if single is None:
        single = _assigned(getattr(torch, fresh))

    def each(tensors: Any, *args: Any, **kwargs: Any) -> Any:
        def item(given: Any, k: int) -> Any:
            return given[k] if isinstance(given, list | tuple) else given

        if fresh in ("addcdiv", "addcmul") and len(args) > 2:
            args, kwargs = args[:2], {**kwargs, "value": args[2]}
        if fresh in ("addcdiv", "addcmul") and "scalars" in kwargs:
            kwargs = {("value" if n == "scalars" else n): v for n, v in kwargs.items()}
        results = [
            single(tensor, *(item(a, k) for a in args), **{n: item(v, k) for n, v in kwargs.items()})
            for k, tensor in enumerate(tensors)
        ]
        return None if changing else results

    return each


def _powsum(x: Any, power: Any = 2, **_: Any) -> Any:
    """Return the sum of powers of absolute values."""
    return x.abs().pow(power).sum()


def _assigned(function: Any) -> Any:
    """Return a function that writes its result into its first argument."""

    def assigned(x: Any, *args: Any, **kwargs: Any) -> Any:
        return x.copy_(function(x, *args, **kwargs))

    return assigned


for _name in dir(torch):
    if _name.startswith("_foreach_"):
        direct(getattr(torch, _name))(one_by_one(_name))


def _fused(function: Any) -> Any:
    """Return a fused optimizer's step, which is a function of entries: each list's tensors lie as the parameters do."""

    def fused(params: Any, *lists: Any, **kwargs: Any) -> None:
        def lies_as(given: Any) -> Any:
            if not isinstance(given, list | tuple) or len(given) != len(params):
                return given
            return [
                value.redistribute(p._placement)
                if isinstance(value, DistributedTensor) and isinstance(p, DistributedTensor) and value.shape == p.shape
                else value
                for value, p in zip(given, params, strict=True)
            ]

        gradients, *states = lists
        for given in (*states, *kwargs.values()):
            for value, p in zip(given if isinstance(given, list | tuple) else (), params, strict=False):
                if (
                    isinstance(p, DistributedTensor)
                    and getattr(value, "shape", None) == p.shape
                    and (not isinstance(value, DistributedTensor) or value._placement is not p._placement)
                ):
                    raise context.refused(
                        f"{function.__name__}: the optimizer's state lies in another way than its parameter "
                        f"({p._placement}); make the optimizer after distribute, or use foreach=True"
                    )
        with plain():
            function(params, lies_as(gradients), *states, **kwargs)

    return fused


for _name in ("_fused_adam_", "_fused_adamw_", "_fused_sgd_", "_fused_adagrad_"):
    if hasattr(torch, _name):
        direct(getattr(torch, _name))(_fused(getattr(torch, _name)))


@direct(torch._amp_foreach_non_finite_check_and_unscale_)
def unscale(gradients: Any, found_inf: Any, inverse_scale: Any) -> None:
    """Gradients are unscaled; what is not finite on one rank is not finite for all."""
    for gradient in gradients:
        finite = torch.isfinite(gradient).all()
        found_inf.copy_(torch.maximum(found_inf, (~finite).to(found_inf.dtype)))
        gradient.mul_(inverse_scale)


__all__ = ["DistributedTensor"]
