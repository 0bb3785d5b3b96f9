"""`torch.compile` on distributed tensors: what has one is run as it is written, the rest is compiled.

A compiler reads a tensor's shape from its memory, and would take a rank's part for the whole tensor. So distributed
tensors are objects to it that it does not look into. It is told so when something is compiled for the first time: to
import it takes longer than all of this library.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from torch_bridge.compat import compiler_of, leave_alone_when_compiling
from torch_bridge.tensors import program
from torch_bridge.tensors.tensor import DistributedTensor

_compile: Any = torch.compile


@functools.wraps(_compile)
def compile(model: Any = None, *, fullgraph: bool = False, **options: Any) -> Any:  # noqa: A001
    """Compile a function or module, as `torch.compile` does.

    What is called with distributed tensors is one graph with ``fullgraph``, and is run as it is written without.
    """
    leave_alone_when_compiling(DistributedTensor)
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, **options)
    made = _compile(model, fullgraph=fullgraph, **options)
    if options.get("disable"):
        return made
    module = isinstance(model, torch.nn.Module)
    otherwise: Any = made.forward if module else made
    compiler = compiler_of(options.get("backend"), options.get("mode"), options.get("options"))
    whole = program.Programs(model, otherwise, compiler)
    as_it_is = torch.compiler.disable(model.__call__ if module else model)

    def run(*args: Any, **kwargs: Any) -> Any:
        if fullgraph:
            return whole(*args, **kwargs)
        distributed = program.has_distributed(model, args, kwargs)
        return (as_it_is if distributed else otherwise)(*args, **kwargs)

    if module:
        made.forward = run
        return made
    return functools.wraps(model)(run)


torch.compile = compile
