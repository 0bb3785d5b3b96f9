"""What becomes of functions, and of the methods of tensors."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch

import torch_bridge.nn
from distdl_ops import Copies, DistributedSpace, Role, Split
from linop import SpaceError
from torch_bridge.nn.sequential.rebuilt import BATCH, Rebuilt, Rule, Spread, axis_of, replicated_unless, tensor


def entry_by_entry(function: Callable[..., Any] | str, *, in_place: bool = False) -> Rule:
    """Return the rule of a function of each entry, of one tensor or of several, that are broadcast."""

    def rule(build: Rebuilt, *args: Any, **kwargs: Any) -> Any:
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, Spread)]
        if not tensors:
            if any(x is BATCH for x in args):
                raise SpaceError("the extent of the batch is not known yet")
            return function(*args, **kwargs) if callable(function) else getattr(args[0], function)(*args[1:], **kwargs)
        if in_place or kwargs.pop("inplace", False):
            build.require_last_use()
        strange = [
            x for x in (*args, *kwargs.values()) if not isinstance(x, (Spread, int, float, complex, str, type(None)))
        ]
        if strange:
            raise SpaceError(f"expected tensors and numbers, found {strange[0]!r}")
        shapes = [x.space.global_shape for x in tensors]
        leading = max(tensors, key=lambda x: math.prod(x.space.global_shape))
        larger = leading.space.global_shape
        if not all(len(s) == len(larger) and all(n in (1, m) for n, m in zip(s, larger, strict=True)) for s in shapes):
            raise SpaceError(f"expected tensors of shape {larger}, or 1 instead of some extents; found {shapes}")
        once = build.move(leading, replicated_unless(leading.space, lambda role: not isinstance(role, Copies)))

        def beside(x: Any) -> Any:
            return once if x is leading else build.move(x, _beside(x.space, once.space)) if isinstance(x, Spread) else x

        parts = [beside(x) for x in args]
        return build.call(function, once.space, *parts, **{key: beside(x) for key, x in kwargs.items()})

    return rule


def _beside(space: DistributedSpace, larger: DistributedSpace) -> DistributedSpace:
    """Return how a tensor lies so that each rank has what it needs beside its part of a larger one."""
    if space.grid != larger.grid:
        raise SpaceError(f"expected tensors on one grid, found {space.grid} and {larger.grid}")
    roles: dict[str, Role] = {
        name: Copies() if isinstance(r, Split) and space.global_shape[r.axis] != larger.global_shape[r.axis] else r
        for name, r in larger.roles.items()
    }
    return space if roles == space.roles else space.with_roles(**roles)


def as_layer(kind: str, names: str) -> Rule:
    """Return the rule of a function that is a layer without parameters, whose arguments have these names."""

    def rule(build: Rebuilt, x: Any, *args: Any, **kwargs: Any) -> Spread:
        x = tensor(x)
        arguments = {**dict(zip(names.split(), args, strict=False)), **kwargs}
        arguments = {key: tuple(v) if isinstance(v, list) else v for key, v in arguments.items()}
        if arguments.pop("antialias", False):
            raise SpaceError("antialias=True is not known")
        layer = getattr(torch_bridge.nn, kind)(**arguments, domain=x.space)
        return build.apply(layer, layer.codomain, x)

    return rule


def along_axis(function: Callable[..., Any] | str) -> Rule:
    """Return the rule of a function along one axis, which every rank is given whole."""

    def rule(build: Rebuilt, x: Any, dim: Any = None, **kwargs: Any) -> Spread:
        x = build.whole(tensor(x), dim)
        return build.call(function, x.space, x, dim=dim, **kwargs)

    return rule


def concatenation(build: Rebuilt, tensors: Sequence[Any], dim: int = 0, *, axis: int | None = None) -> Spread:
    """Concatenate what each rank holds: along an axis that it has whole, of tensors that lie alike along the others."""
    parts = [tensor(x) for x in tensors]
    dim = dim if axis is None else axis
    first = parts[0].space
    along = axis_of(first, dim)
    roles = replicated_unless(
        first, lambda role: not (isinstance(role, Copies) or (isinstance(role, Split) and role.axis == along))
    ).roles
    for x in parts:
        others = [n for a, n in enumerate(x.space.global_shape) if a != along]
        if others != [n for a, n in enumerate(first.global_shape) if a != along] or x.space.grid != first.grid:
            raise SpaceError(f"expected tensors that differ in axis {dim} only, found {first} and {x.space}")
    moved = [build.move(x, x.space.with_roles(**roles)) for x in parts]
    shape = list(first.global_shape)
    shape[along] = sum(x.space.global_shape[along] for x in parts)
    space = DistributedSpace(first.grid, tuple(shape), first.dtype, first.field, **roles)
    # A rank that holds nothing has no extent along any axis, and concatenates all the same.
    return build.call(torch.cat, space, moved, dim=along - first.ndim)


def flatten(build: Rebuilt, x: Any, start_dim: int = 0, end_dim: int = -1) -> Spread:
    """Flatten, as `torch.flatten`."""
    x = tensor(x)
    layer = torch_bridge.nn.Flatten(start_dim, end_dim, domain=x.space)
    return build.apply(layer, layer.codomain, x)


def reshape(build: Rebuilt, x: Any, *shape: Any) -> Spread:
    """Flatten everything but the batch; other shapes are refused."""
    x = tensor(x)
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
    whole = math.prod(x.space.global_shape)
    unknown = [n for n in sizes if n is BATCH or n == -1]
    if len(sizes) == 2 and sizes[1] in (-1, whole) and (sizes[0] is BATCH or (sizes[0] == -1 and len(unknown) == 1)):
        return flatten(build, x, 1)
    raise SpaceError(f"expected everything but the batch to be flattened, found shape {sizes}")


def mean(build: Rebuilt, x: Any, dim: Any = None, keepdim: bool = False) -> Spread:
    """Return the means over all spatial axes, as an adaptive pooling."""
    x = tensor(x)
    spatial = x.space.ndim - 1
    dims = dim if isinstance(dim, (tuple, list)) else (dim,)
    if not 1 <= spatial <= 3 or not all(isinstance(d, int) for d in dims):
        raise SpaceError(f"expected means over the spatial axes of images, found dim={dim}")
    if sorted(axis_of(x.space, d) for d in dims) != list(range(1, spatial + 1)):
        raise SpaceError(f"expected means over the spatial axes of images, found dim={dim}")
    layer = getattr(torch_bridge.nn, f"AdaptiveAvgPool{spatial}d")(1, domain=x.space)
    y = build.apply(layer, layer.codomain, x)
    return y if keepdim else flatten(build, y, 1)


def size(build: Rebuilt, x: Any, dim: int | None = None) -> Any:  # noqa: ARG001
    """Return the extents of the whole tensor, which are known but for the batch's."""
    extents = (BATCH, *tensor(x).space.global_shape)
    return extents if dim is None else extents[dim]


def attribute(build: Rebuilt, x: Any, name: str) -> Any:
    """Return an attribute: the shape, or the number of axes."""
    found: dict[str, Callable[[], Any]] = {"shape": lambda: size(build, x), "ndim": lambda: dimensions(build, x)}
    if name not in found:
        raise SpaceError(f"the attribute {name} is not known")
    return found[name]()


def dimensions(build: Rebuilt, x: Any) -> int:  # noqa: ARG001
    """Return the number of axes, with that of the batch."""
    return tensor(x).space.ndim + 1


def item(build: Rebuilt, x: Any, index: Any) -> Any:  # noqa: ARG001
    """Return a part of a shape; tensors are not indexed."""
    if isinstance(x, Spread):
        raise SpaceError("a tensor that is spread over ranks is not indexed")
    return x[index]


def same(build: Rebuilt, x: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ARG001
    """Return the tensor itself: only its memory would change."""
    return tensor(x)


POOLING = "kernel_size stride padding dilation ceil_mode return_indices"
AVERAGE = "kernel_size stride padding ceil_mode count_include_pad divisor_override"
F = torch.nn.functional

ENTRY_BY_ENTRY = (
    *("relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "sigmoid", "logsigmoid", "tanh"),
    *("softplus", "softsign", "tanhshrink", "softshrink", "hardshrink", "hardtanh", "hardsigmoid", "hardswish"),
    *("exp", "log", "log1p", "expm1", "sqrt", "rsqrt", "square", "abs", "neg", "sin", "cos", "erf", "clamp", "pow"),
    *("add", "sub", "mul", "div", "maximum", "minimum"),
)
"""Functions of each entry, by their names in torch and in `torch.nn.functional`, and as methods."""

OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "pow", "neg")

FUNCTIONS: dict[Any, Rule] = {
    **{
        getattr(where, name): entry_by_entry(getattr(where, name))
        for where in (torch, F)
        for name in ENTRY_BY_ENTRY
        if hasattr(where, name)
    },
    **{getattr(operator, name): entry_by_entry(getattr(operator, name)) for name in OPERATORS},
    **{
        getattr(operator, f"i{name}"): entry_by_entry(getattr(operator, name), in_place=True)
        for name in ("add", "sub", "mul", "truediv")
    },
    **{getattr(F, f"max_pool{d}d"): as_layer(f"MaxPool{d}d", POOLING) for d in (1, 2, 3)},
    **{getattr(F, f"avg_pool{d}d"): as_layer(f"AvgPool{d}d", AVERAGE) for d in (1, 2, 3)},
    **{getattr(F, f"adaptive_avg_pool{d}d"): as_layer(f"AdaptiveAvgPool{d}d", "output_size") for d in (1, 2, 3)},
    **{getattr(F, f"adaptive_max_pool{d}d"): as_layer(f"AdaptiveMaxPool{d}d", "output_size") for d in (1, 2, 3)},
    F.interpolate: as_layer("Upsample", "size scale_factor mode align_corners recompute_scale_factor antialias"),
    F.pixel_shuffle: as_layer("PixelShuffle", "upscale_factor"),
    F.pixel_unshuffle: as_layer("PixelUnshuffle", "downscale_factor"),
    **{
        getattr(where, name): along_axis(getattr(where, name))
        for where in (torch, F)
        for name in ("softmax", "log_softmax")
    },
    torch.cat: concatenation,
    torch.concat: concatenation,
    torch.concatenate: concatenation,
    torch.flatten: flatten,
    torch.mean: mean,
    getattr: attribute,
    operator.getitem: item,
}
"""What becomes of a function."""

METHODS: dict[str, Rule] = {
    **{name: entry_by_entry(name) for name in ENTRY_BY_ENTRY if hasattr(torch.Tensor, name)},
    **{
        f"{name}_": entry_by_entry(name, in_place=True)
        for name in ENTRY_BY_ENTRY
        if hasattr(torch.Tensor, name) and hasattr(torch.Tensor, f"{name}_")
    },
    **{name: along_axis(name) for name in ("softmax", "log_softmax")},
    "flatten": flatten,
    "reshape": reshape,
    "view": reshape,
    "mean": mean,
    "size": size,
    "dim": dimensions,
    "contiguous": same,
}
"""What becomes of a tensor's method."""
