"""What torch's functions need: one family of rules a file."""

from torch_bridge.tensors.call import DIRECT, IN_PLACE, RULES, VIEWS
from torch_bridge.tensors.rules import attention as attention
from torch_bridge.tensors.rules import attributes as attributes
from torch_bridge.tensors.rules import entrywise as entrywise
from torch_bridge.tensors.rules import foreach as foreach
from torch_bridge.tensors.rules import indexing as indexing
from torch_bridge.tensors.rules import norms as norms
from torch_bridge.tensors.rules import padding as padding
from torch_bridge.tensors.rules import products as products
from torch_bridge.tensors.rules import random as random
from torch_bridge.tensors.rules import reductions as reductions
from torch_bridge.tensors.rules import resampling as resampling
from torch_bridge.tensors.rules import shapes as shapes
from torch_bridge.tensors.rules import softmax as softmax
from torch_bridge.tensors.rules import whole as whole
from torch_bridge.tensors.rules import windows as windows
from torch_bridge.tensors.rules.names import in_place

for _changing, _fresh in list(in_place(list(RULES))):
    if _fresh not in VIEWS and _changing not in RULES and _changing not in IN_PLACE and _changing not in DIRECT:
        IN_PLACE[_changing] = _fresh  # what changes a tensor's shape in place is refused
