"""What becomes of torch's layers."""

from __future__ import annotations

import copy
import inspect
import operator
from collections.abc import Mapping
from typing import Any

import torch

import torch_bridge.nn
from distdl_ops import DistributedSpace, Split
from linop import SpaceError
from torch_bridge.nn.sequential.rebuilt import Rebuilt, Rule, Spread, tensor

# -- rules -------------------------------------------------------------------------------------------------------------


def same_name(kind: str) -> Rule:
    """Return the rule of a layer: the distributed one of this name, with its attributes as arguments."""

    def rule(build: Rebuilt, module: torch.nn.Module, x: Any) -> Spread:
        x = tensor(x)
        if build.name() in build.made:
            seen, layer, codomain = build.made[build.name()]
            if seen == x.space:
                return build.apply(layer, codomain, x)
            if module.state_dict():
                raise SpaceError(f"it is called twice, on {seen} and on {x.space}")
        distributed = getattr(torch_bridge.nn, kind)
        takes, wanted = inspect.signature(distributed).parameters, build.arguments()
        if "in_axis" in takes and not {"in_axis", "out_axis"} & wanted.keys():
            channels = x.space.ndim - 1 if kind == "Linear" else 0
            wanted |= _along_channels(x.space, channels, getattr(module, "groups", 1))
        target = None if "codomain" in takes else wanted.pop("codomain", None)
        layer = distributed(**_arguments(module, takes), domain=x.space, **wanted)
        y = build.apply(layer, layer.codomain, x)
        return y if target is None else build.move(y, target)

    return rule


def _arguments(module: torch.nn.Module, takes: Mapping[str, object]) -> dict[str, Any]:
    """Return what a layer was made with, as far as the distributed one takes it; the rest must be torch's default."""
    found = {}
    for name, parameter in inspect.signature(type(module)).parameters.items():
        if name in ("device", "dtype") or name.startswith("_") or not hasattr(module, name):
            continue
        value = getattr(module, name)
        if name == "bias":  # of a norm without weights, there is none to ask for
            value = value is not None or getattr(module, "weight", None) is None
        if name in takes:
            found[name] = value
        elif value != parameter.default:
            raise SpaceError(f"{name}={value} is not known")
    if isinstance(module, torch.nn.Upsample):
        found["mode"] = module.mode  # of the classes that are made with fewer arguments
        found["align_corners"] = module.align_corners
    return found


def _along_channels(space: DistributedSpace, channels: int, groups: int) -> dict[str, str]:
    """Return along which grid axis a weight lies: its columns, or its groups, as the channels that it acts on."""
    along = [name for name, role in space.roles.items() if isinstance(role, Split) and role.axis == channels]
    return {"in_axis" if groups == 1 else "out_axis": name for name in along}


def elementwise(build: Rebuilt, module: torch.nn.Module, x: Any) -> Spread:
    """Keep a layer as it is: it acts on each entry by itself."""
    x = tensor(x)
    layer = build.made[build.name()][1] if build.name() in build.made else copy.deepcopy(module)
    if getattr(module, "inplace", False):
        build.require_last_use()
        vars(layer)["inplace"] = False  # here, the tensor may be used again: to be moved
    y = build.apply(layer, x.space, x)
    return build.move(y, build.arguments().get("codomain", x.space))


def axiswise(build: Rebuilt, module: torch.nn.Module, x: Any) -> Spread:
    """Keep a layer as it is that acts along one axis, which every rank is given whole."""
    dim = -3 if isinstance(module, torch.nn.Softmax2d) else getattr(module, "dim", None)
    return elementwise(build, module, build.whole(tensor(x), dim))


def attention(
    build: Rebuilt,
    module: torch.nn.MultiheadAttention,
    query: Any,
    key: Any,
    value: Any,
    key_padding_mask: Any = None,
    need_weights: bool = True,  # noqa: ARG001  (none are returned: who uses them is told)
    attn_mask: Any = None,
    average_attn_weights: bool = True,  # noqa: ARG001  (torch has it here)
    is_causal: bool = False,
) -> tuple[Spread, None]:
    """Make the distributed layer; it returns no weights."""
    _require_no_masks(key_padding_mask, attn_mask, is_causal)
    query, key, value = tensor(query), tensor(key), tensor(value)
    layer = torch_bridge.nn.MultiheadAttention(
        *(module.embed_dim, module.num_heads, module.dropout, module.in_proj_bias is not None),
        *(module.bias_k is not None, module.add_zero_attn, module.kdim, module.vdim, module.batch_first),
        domain=query.space,
        key_domain=key.space,
        value_domain=value.space,
        **build.arguments(),
    )
    found = build.apply(layer, layer.codomain, query, key, value)
    return build.call(operator.getitem, layer.codomain, found, 0), None


def transformer_layer(
    build: Rebuilt,
    module: torch.nn.TransformerEncoderLayer,
    src: Any,
    src_mask: Any = None,
    src_key_padding_mask: Any = None,
    is_causal: bool = False,
) -> Spread:
    """Make the distributed layer of what torch's consists of."""
    _require_no_masks(src_mask, src_key_padding_mask, is_causal)
    x, attn = tensor(src), module.self_attn
    layer = torch_bridge.nn.TransformerEncoderLayer(
        *(attn.embed_dim, attn.num_heads, module.linear1.out_features, module.dropout.p, module.activation),
        *(module.norm1.eps, attn.batch_first, module.norm_first, module.linear1.bias is not None),
        domain=x.space,
        **build.arguments(),
    )
    return build.apply(layer, layer.codomain, x)


def transformer(
    build: Rebuilt,
    module: torch.nn.TransformerEncoder,
    src: Any,
    mask: Any = None,
    src_key_padding_mask: Any = None,
    is_causal: bool | None = None,
) -> Spread:
    """Make its layers, one after the other, and the norm."""
    _require_no_masks(mask, src_key_padding_mask, is_causal)
    x = tensor(src)
    for name, part in [*((f"layers.{k}", layer) for k, layer in enumerate(module.layers)), ("norm", module.norm)]:
        if part is None:
            continue
        if type(part) not in LAYERS:
            raise SpaceError(f"{name} ({type(part).__name__}) is not known")
        with build.part(name):
            x = LAYERS[type(part)](build, part, x)
    return x


def _require_no_masks(*masks: Any) -> None:
    """Raise when there is a mask."""
    if any(mask is not None and mask is not False for mask in masks):
        raise SpaceError("masks are not known")


# -- the table ---------------------------------------------------------------------------------------------------------

SAME_NAME = (
    *(f"{kind}{d}d" for kind in ("Conv", "ConvTranspose", "MaxPool", "AvgPool", "LPPool") for d in (1, 2, 3)),
    *(f"{kind}{d}d" for kind in ("AdaptiveAvgPool", "AdaptiveMaxPool") for d in (1, 2, 3)),
    *(f"{kind}{d}d" for kind in ("BatchNorm", "InstanceNorm", "Dropout") for d in (1, 2, 3)),
    *("Linear", "Embedding", "LayerNorm", "RMSNorm", "GroupNorm", "Dropout", "Flatten", "Upsample"),
    *("PixelShuffle", "PixelUnshuffle"),
)
"""Torch's layers that have a distributed one of the same name."""

ELEMENTWISE = (
    *("ReLU", "ReLU6", "LeakyReLU", "ELU", "CELU", "SELU", "GELU", "SiLU", "Mish", "Sigmoid", "LogSigmoid", "Tanh"),
    *("Softplus", "Softsign", "Tanhshrink", "Softshrink", "Hardshrink", "Hardtanh", "Hardsigmoid", "Hardswish"),
    *("Threshold", "Identity"),
)
"""Those that act on each entry by itself, without parameters."""

LAYERS: dict[type[torch.nn.Module], Rule] = {
    **{getattr(torch.nn, name): same_name(name) for name in SAME_NAME},
    torch.nn.UpsamplingNearest2d: same_name("Upsample"),
    torch.nn.UpsamplingBilinear2d: same_name("Upsample"),
    **{getattr(torch.nn, name): elementwise for name in ELEMENTWISE},
    torch.nn.MultiheadAttention: attention,
    torch.nn.TransformerEncoderLayer: transformer_layer,
    torch.nn.TransformerEncoder: transformer,
    torch.nn.Softmax: axiswise,
    torch.nn.LogSoftmax: axiswise,
    torch.nn.Softmin: axiswise,
    torch.nn.Softmax2d: axiswise,
}
"""What becomes of a layer, by its type; of a subclass nothing is known, for it may do something else."""
