"""What torch's functions need: one family of rules a file."""

from torch_bridge.tensors.rules import attributes as attributes
from torch_bridge.tensors.rules import entrywise as entrywise
