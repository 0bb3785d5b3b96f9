"""Tensors that know their space: any program of torch, unmodified, on any layout."""

from torch_bridge.tensors import compiling as compiling
from torch_bridge.tensors import functions as functions
from torch_bridge.tensors import rules as rules
from torch_bridge.tensors import transforms as transforms
from torch_bridge.tensors.call import Call as Call
from torch_bridge.tensors.call import Plan as Plan
from torch_bridge.tensors.call import Spec as Spec
from torch_bridge.tensors.call import rule as rule
from torch_bridge.tensors.context import UnsupportedError as UnsupportedError
from torch_bridge.tensors.context import replicated as replicated
from torch_bridge.tensors.distribute import distribute as distribute
from torch_bridge.tensors.explain import Explanation as Explanation
from torch_bridge.tensors.explain import explain as explain
from torch_bridge.tensors.ring import sequence_attention as sequence_attention
from torch_bridge.tensors.tensor import DistributedTensor as DistributedTensor
from torch_bridge.tensors.tensor import distribute_tensor as distribute_tensor

__all__ = ["Call", "Plan", "Spec"]
"""What rules are written with; all else is in `torch_bridge`."""
