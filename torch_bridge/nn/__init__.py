"""Distributed layers: movements and ordinary torch layers, composed as their formula says.

Names, arguments and defaults are torch's; beside them each layer takes the spaces in which its input arrives (and its
output leaves, where there is a choice).
"""

from torch_bridge.nn.adaptive import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveAvgPool3d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    AdaptiveMaxPool3d,
)
from torch_bridge.nn.attention import MultiheadAttention
from torch_bridge.nn.checkpoint import load_checkpoint, save_checkpoint
from torch_bridge.nn.conv import Conv1d, Conv2d, Conv3d
from torch_bridge.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from torch_bridge.nn.data_parallel import DataParallel
from torch_bridge.nn.dropout import Dropout, Dropout1d, Dropout2d, Dropout3d
from torch_bridge.nn.embedding import Embedding
from torch_bridge.nn.explanation import explain
from torch_bridge.nn.flatten import Flatten
from torch_bridge.nn.gradients import clip_grad_norm_, grad_norm
from torch_bridge.nn.linear import Linear
from torch_bridge.nn.loss import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from torch_bridge.nn.lp_pool import LPPool1d, LPPool2d, LPPool3d
from torch_bridge.nn.mlp import MLP
from torch_bridge.nn.norm import (
    BatchNorm1d,
    BatchNorm2d,
    BatchNorm3d,
    GroupNorm,
    InstanceNorm1d,
    InstanceNorm2d,
    InstanceNorm3d,
    LayerNorm,
    RMSNorm,
)
from torch_bridge.nn.optimizer_state import gather_optimizer_state, load_optimizer_state
from torch_bridge.nn.parameters import gather_state, load_state, movements, parameter_spaces
from torch_bridge.nn.pixel_shuffle import PixelShuffle, PixelUnshuffle
from torch_bridge.nn.pool import AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d
from torch_bridge.nn.sequential.distribute import distribute
from torch_bridge.nn.spectral_conv import SequentialSpectralConv, SpectralConv1d, SpectralConv2d, SpectralConv3d
from torch_bridge.nn.tensor_file import load_safetensors, save_safetensors
from torch_bridge.nn.transformer import TransformerEncoderLayer
from torch_bridge.nn.upsample import Upsample

__all__ = [
    "MLP",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "BatchNorm3d",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "CrossEntropyLoss",
    "DataParallel",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "Embedding",
    "Flatten",
    "GroupNorm",
    "HuberLoss",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "InstanceNorm3d",
    "KLDivLoss",
    "L1Loss",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "LayerNorm",
    "Linear",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MultiheadAttention",
    "NLLLoss",
    "PixelShuffle",
    "PixelUnshuffle",
    "RMSNorm",
    "SequentialSpectralConv",
    "SmoothL1Loss",
    "SpectralConv1d",
    "SpectralConv2d",
    "SpectralConv3d",
    "TransformerEncoderLayer",
    "Upsample",
    "clip_grad_norm_",
    "distribute",
    "explain",
    "gather_optimizer_state",
    "gather_state",
    "grad_norm",
    "load_checkpoint",
    "load_optimizer_state",
    "load_safetensors",
    "load_state",
    "movements",
    "parameter_spaces",
    "save_checkpoint",
    "save_safetensors",
]
