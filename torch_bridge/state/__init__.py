"""Files of distributed state: checkpoints and files of tensors.

A distributed tensor is given by this rank's part and how it lies; everything else is the same on every rank. Each rank
writes and reads what it holds. What is saved can be loaded again, or is refused before anything is written; an old
file is intact until the new one is whole; and nothing that is read runs as a program.
"""

from torch_bridge.state.modules import load_checkpoint as load_checkpoint
from torch_bridge.state.modules import load_safetensors as load_safetensors
from torch_bridge.state.modules import save_checkpoint as save_checkpoint
from torch_bridge.state.modules import save_safetensors as save_safetensors
