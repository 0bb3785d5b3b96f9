"""A distributed model in words: its layers, the spaces between them, and what each movement sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
import torch.fx

from distdl_ops import DistributedSpace, Finish, Start
from distdl_ops.cost import ParallelCost
from distdl_ops.words import in_words
from linop import LinearOperator, Space, cost
from torch_bridge.module import Operator
from torch_bridge.nn.data_parallel import DataParallel


def explain(model: torch.nn.Module) -> ModelExplanation:
    r"""Return what each layer of a model sends, forward and backward. No communication.

    Counted is one application of each movement to one vector: of an activation, that is one sample of a batch, of which
    all are sent together; of a weight, one step. What a layer applies several times is counted once.

    Parameters
    ----------
    model : torch.nn.Module
        The distributed model.

    Returns
    -------
    ModelExplanation
        Prints as a text: the largest numbers over the ranks, as `linop.cost` finds them.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge import nn
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, p=2), (1, 8, 8), "float32", p=Split(1))
    ...     conv = nn.Conv2d(1, 4, 3, padding=1, bias=False, domain=images)
    ...     return str(nn.explain(torch.nn.Sequential(conv, torch.nn.ReLU())))
    >>> print("\n".join(line[:78].rstrip() for line in simulate(2, main)[0].splitlines()))
                  forward            backward
       messages     bytes  messages     bytes  layer
                                               0 (Conv2d) -> (4, 8, 8) p=Split(1)
              1        32         1        32     bring.movement: HaloExchange(p)
              0         0         1       144     copy_weight: Copy(p) : (4, 1, 3,
              1        32         2       176  together
    """
    found: list[LayerExplanation] = []
    for name, module in model.named_modules():
        if isinstance(module, torch.fx.GraphModule) or any(_inside(name, layer.name) for layer in found):
            continue  # the layers of it are told, or it is a part of one
        steps = tuple(
            Step(where, operator, cost(operator) + ParallelCost(), cost(operator.dual) + ParallelCost())
            for where, operator in _operators(module).items()
        )
        codomain = getattr(module, "codomain", None)
        if isinstance(codomain, DistributedSpace) or isinstance(module, (DataParallel, Operator)):
            space = codomain if isinstance(codomain, DistributedSpace) else None
            found.append(LayerExplanation(name, type(module).__name__, space, steps))
    return ModelExplanation(tuple(found))


@final
@dataclass(frozen=True)
class Step:
    """A movement in a layer, or another operator.

    Attributes
    ----------
    name : str
        In the layer.
    operator : LinearOperator
        What is applied.
    forward, backward : ParallelCost
        The largest over the ranks.
    """

    name: str
    operator: LinearOperator
    forward: ParallelCost
    backward: ParallelCost


@final
@dataclass(frozen=True)
class LayerExplanation:
    """A layer.

    Attributes
    ----------
    name, kind : str
        In the model, and of its class.
    codomain : DistributedSpace or None
        Of its output; None where it is not known.
    steps : tuple of Step
        Its movements, and other operators between ranks.
    """

    name: str
    kind: str
    codomain: DistributedSpace | None
    steps: tuple[Step, ...]


@final
@dataclass(frozen=True, repr=False)
class ModelExplanation:
    """What is to be said of a model.

    Attributes
    ----------
    layers : tuple of LayerExplanation
        In the order of the model.
    """

    layers: tuple[LayerExplanation, ...]

    @property
    def forward(self) -> ParallelCost:
        """What all movements send together in a forward pass."""
        return sum((step.forward for layer in self.layers for step in layer.steps), ParallelCost())

    @property
    def backward(self) -> ParallelCost:
        """What they send in a backward pass."""
        return sum((step.backward for layer in self.layers for step in layer.steps), ParallelCost())

    def __str__(self) -> str:
        lines = [f"   {'forward':>18}  {'backward':>18}", "   messages     bytes  messages     bytes  layer"]
        for layer in self.layers:
            space = f" -> {in_words(layer.codomain.layout)}" if layer.codomain is not None else ""
            lines.append(f"{'':42} {layer.name} ({layer.kind}){space}".rstrip())
            for step in layer.steps:
                source, target = _name(step.operator.domain), _name(step.operator.codomain)
                told = f"{step.name}: {step.operator}" if step.name else str(step.operator)
                lines.append(_line(step.forward, step.backward, f"   {told} : {source} -> {target}"))
        lines.append(_line(self.forward, self.backward, "together"))
        return "\n".join(lines)

    __repr__ = __str__


def _line(forward: ParallelCost, backward: ParallelCost, what: str) -> str:
    return f"   {forward.messages:>8}{forward.sent:>10}  {backward.messages:>8}{backward.sent:>10}  {what}"


def _inside(name: str, layer: str) -> bool:
    """Say whether a module is one of a layer's."""
    return layer == "" or name.startswith(f"{layer}.")


def _operators(module: torch.nn.Module) -> dict[str, LinearOperator]:
    """Return the operators of a layer, by their names in it.

    The halves of a movement are left out: a layer that has them has the whole as well, and applies either.
    """
    found: Mapping[str, torch.nn.Module] = dict(module.named_modules())
    if isinstance(module, DataParallel):
        found = module._copies
    operators = {name: part.operator for name, part in found.items() if isinstance(part, Operator)}
    return {name: operator for name, operator in operators.items() if not isinstance(operator, (Start, Finish))}


def _name(space: Space) -> str:
    """Return how a space lies on its grid."""
    return in_words(space.layout) if isinstance(space, DistributedSpace) else str(space)
