"""Transforms of `torch.func` on distributed tensors, which are refused where tensors are split.

A transform wraps its arguments in tensors of torch's own, which know this rank's part only: what is computed of them
would be that of a part, in silence.
"""

from __future__ import annotations

from typing import Any

from torch_bridge import compat
from torch_bridge.tensors import context
from torch_bridge.tensors.tensor import DistributedTensor


def _refusing(wrap: Any, transform: str) -> Any:
    """Return how a transform wraps a tensor, but a distributed one."""

    def wrapped(x: Any, *args: Any) -> Any:
        if isinstance(x, DistributedTensor) and not x._placement.replicated:
            raise context.refused(
                f"torch.func.{transform} of distributed tensors ({x._placement}): transforms of torch.func see one "
                "rank's part; use torch.autograd.grad, write the batch as an axis, or use x.full_tensor().to_local()"
            )
        return wrap(x, *args)

    return wrapped


compat.replace_transforms(_refusing)
