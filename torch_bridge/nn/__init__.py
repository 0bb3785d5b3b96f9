"""Distributed layers: movements and ordinary torch layers, composed as their formula says.

Names, arguments and defaults are torch's; beside them each layer takes the spaces in which its input arrives (and its
output leaves, where there is a choice).
"""

from torch_bridge.nn.conv import Conv1d, Conv2d, Conv3d
from torch_bridge.nn.linear import Linear
from torch_bridge.nn.loss import CrossEntropyLoss
from torch_bridge.nn.parameters import gather_state, load_state, movements, parameter_spaces
from torch_bridge.nn.pool import AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d

__all__ = [
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "CrossEntropyLoss",
    "Linear",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "gather_state",
    "load_state",
    "movements",
    "parameter_spaces",
]
