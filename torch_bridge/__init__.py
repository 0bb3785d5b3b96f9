"""A thin bridge from linear operators to PyTorch: one autograd function for a whole composed operator.

The backward pass of ``as_function(A)`` is ``A.dual``, whatever A is composed of; nothing else is needed for a gradient
to cross process boundaries. `tie` and `tied` keep ranks together whose graphs differ, `spmd_gradcheck` checks anybody's
gradient over all ranks at once, `torch_bridge.worlds` runs operators on a process group of torch.distributed, and
`DistributedTensor` runs any program of torch on tensors that know how they lie over the ranks.
"""

from distdl_ops import __version__ as __version__
from torch_bridge import requirements  # noqa: F401  (first of all: it says what to install)
from torch_bridge.differentiable import from_torch
from torch_bridge.function import as_function
from torch_bridge.gradcheck import spmd_gradcheck
from torch_bridge.module import Operator
from torch_bridge.spectral_conv import SpectralConv
from torch_bridge.state import load_checkpoint, load_safetensors, save_checkpoint, save_safetensors
from torch_bridge.tensors import (
    DistributedTensor,
    Explanation,
    UnsupportedError,
    distribute,
    distribute_tensor,
    explain,
    replicated,
    rule,
)
from torch_bridge.token import tie, tied

__all__ = [
    "DistributedTensor",
    "Explanation",
    "Operator",
    "SpectralConv",
    "UnsupportedError",
    "as_function",
    "distribute",
    "distribute_tensor",
    "explain",
    "from_torch",
    "load_checkpoint",
    "load_safetensors",
    "replicated",
    "rule",
    "save_checkpoint",
    "save_safetensors",
    "spmd_gradcheck",
    "tie",
    "tied",
]
