"""Public models, unchanged, over data and in space: loss, gradients and statistics beside one process.

Models are those of torchvision and timm that are installed, by name, with random weights::

    python benchmarks/public_models.py torchvision.resnet18 timm.vit_tiny_patch16_224
    python benchmarks/public_models.py torchvision.mobilenet_v2 --grid data=2,rows=2 rows=2,cols=2

For each, a line of a table: right, refused with the reason, or WRONG with what differs most. Numbers are right
when they differ by no more than 1e-9 of the largest one, or than thirty times what a change of the weights by roundings
makes, and by 1e-3 at most. Weights that are constant at first are moved off, so that no branch is without effect.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import sys
from typing import Any

import torch
from torch import nn

from distdl_ops import Grid, Split, World, simulate
from torch_bridge import DistributedTensor, UnsupportedError, distribute, distribute_tensor

AXES = {"data": 0, "rows": 2, "cols": 3}
"""The axis of a batch of images that each grid axis splits."""

Numbers = dict[str, torch.Tensor]


def build(name: str, extent: int) -> nn.Module:
    """Return a model of torchvision or timm by its name, the same each time, without dropout, in float64."""
    library, _, model = name.partition(".")
    torch.manual_seed(0)
    made: nn.Module
    if library == "torchvision":
        arguments = {"image_size": extent} if model.startswith("vit") else {}
        made = importlib.import_module("torchvision.models").get_model(model, weights=None, num_classes=10, **arguments)
    elif library == "timm":
        sized = {"img_size": extent} if model.startswith(("vit", "deit", "mixer")) else {}
        made = importlib.import_module("timm").create_model(model, pretrained=False, num_classes=10, **sized)
    else:
        raise ValueError(f"{name}: expected torchvision.MODEL or timm.MODEL")
    for part in made.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0
    made.double()
    with torch.no_grad():
        for parameter in made.parameters():
            if (parameter == parameter.flatten()[0]).all():
                parameter.add_(torch.randn(parameter.shape, dtype=torch.float64), alpha=0.1)
    return made


def step(model: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> Numbers:
    """Return the loss, the outputs, all gradients and running statistics of a step."""
    outputs = model(images)
    outputs = outputs["out"] if isinstance(outputs, dict) else outputs
    loss = nn.functional.cross_entropy(outputs.flatten(2).mean(2) if outputs.ndim > 2 else outputs, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    return {
        "loss": _whole(loss),
        "outputs": _whole(outputs),
        **{f"gradient of {name}": _whole(p.grad) for name, p in model.named_parameters() if p.grad is not None},
        **{name: _whole(buffer) for name, buffer in model.named_buffers() if buffer.is_floating_point()},
    }


def _whole(x: torch.Tensor) -> torch.Tensor:
    return (x.full_tensor().to_local() if isinstance(x, DistributedTensor) else x).detach().clone()


def farthest(some: Numbers, others: Numbers) -> tuple[float, str]:
    """Return the largest relative difference of two steps, and of what; gradients beside the largest of all."""
    if some.keys() != others.keys():
        return float("inf"), "the names"
    steepest = max(float(x.abs().max()) for name, x in others.items() if name.startswith("gradient"))

    def apart(name: str) -> float:
        size = max(float(others[name].abs().max()), 1e-4 * steepest if name.startswith("gradient") else 1e-300)
        return float((some[name] - others[name]).abs().max()) / size

    return max((apart(name), name) for name in others)


def compare(name: str, extent: int, axes: dict[str, int]) -> str:
    """Return the result of a model on a grid, in words."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, 3, extent, extent, dtype=torch.float64, generator=generator)
    labels = torch.randint(10, (3,), generator=generator)
    model = build(name, extent)
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1 + 1e-15 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator))
    models = [copy.deepcopy(model) for _ in range(_product(axes))]
    expected = step(model, images, labels)
    tolerance = max(1e-9, min(1e-3, 30 * farthest(step(changed, images, labels), expected)[0]))

    def main(world: World) -> Numbers:
        grid = Grid(world, **axes)
        roles: dict[str, Any] = {axis: Split(AXES[axis]) for axis in axes}
        targets = distribute_tensor(labels, grid, **{axis: role for axis, role in roles.items() if role.axis == 0})
        return step(distribute(models[world.rank], grid), distribute_tensor(images, grid, **roles), targets)

    try:
        results = simulate(len(models), main)
    except UnsupportedError as error:
        return f"refused: {error}"
    difference, what = max(farthest(result, expected) for result in results)
    return f"right, {difference:.0e}" if difference <= tolerance else f"WRONG: {what} differs by {difference:.0e}"


def _product(axes: dict[str, int]) -> int:
    return torch.Size(axes.values()).numel()


def grid_axes(text: str) -> dict[str, int]:
    """Return the lengths of grid axes, of a text like ``data=2,rows=2``."""
    axes = {name: int(length) for name, _, length in (part.partition("=") for part in text.split(","))}
    unknown = [name for name in axes if name not in AXES]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected the axes {', '.join(AXES)}, found {unknown[0]!r}")
    return axes


def main(arguments: list[str] | None = None) -> int:
    """Print a table, and return the exit status: 1 when a number is wrong."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("models", nargs="+", metavar="LIBRARY.MODEL")
    parser.add_argument("--grid", type=grid_axes, nargs="+", default=[{"data": 2}, {"rows": 2}])
    parser.add_argument("--extent", type=int, default=64, help="rows and columns of an image")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    wrong = False
    for name in options.models:
        for axes in options.grid:
            result = compare(name, options.extent, axes)
            wrong = wrong or result.startswith("WRONG")
            print(f"{name:40} {' '.join(f'{axis}={n}' for axis, n in axes.items()):16} {result}", flush=True)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
