"""`torch.compile` on distributed tensors: what has one is run as it is written, the rest is compiled.

A compiler reads a tensor's shape from its memory, and would take a rank's part for the whole tensor. So distributed
tensors are objects to it that it does not look into. It is told so when something is compiled for the first time: to
import it takes longer than all of this library.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from torch_bridge.compat import leave_alone_when_compiling
from torch_bridge.tensors.tensor import DistributedTensor

_compile: Any = torch.compile


@functools.wraps(_compile)
def compile(*args: Any, **kwargs: Any) -> Any:  # noqa: A001
    """Compile a function or module, as `torch.compile` does."""
    leave_alone_when_compiling(DistributedTensor)
    return _compile(*args, **kwargs)


torch.compile = compile
