"""What torch's functions need: one family of rules a file."""

from torch_bridge.tensors.rules import attributes as attributes
from torch_bridge.tensors.rules import entrywise as entrywise
from torch_bridge.tensors.rules import products as products
from torch_bridge.tensors.rules import reductions as reductions
from torch_bridge.tensors.rules import shapes as shapes
