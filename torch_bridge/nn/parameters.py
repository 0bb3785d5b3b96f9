"""The parameters of a distributed model, as those of the sequential one."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from distdl_ops import DistributedSpace, Movement
from linop import SpaceError
from torch_bridge.module import Operator
from torch_bridge.nn.layer import Layer


def parameter_spaces(model: torch.nn.Module) -> dict[str, DistributedSpace]:
    """Return the space of every parameter, by its name in the model's ``state_dict``.

    Parameters
    ----------
    model : torch.nn.Module
        The distributed model.

    Examples
    --------
    >>> from distdl_ops import At, DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import Linear
    >>> def layer(world):
    ...     grid = Grid(world, rows=2, cols=2)
    ...     x = DistributedSpace(grid, (6,), "float32", rows=At(0), cols=Split(0))
    ...     y = DistributedSpace(grid, (4,), "float32", rows=Split(0), cols=At(0))
    ...     return Linear(6, 4, domain=x, codomain=y, out_axis="rows", in_axis="cols")
    >>> simulate(4, lambda world: parameter_spaces(layer(world))["weight"].roles)[0]
    {'rows': Split(0, [(0, 2), (2, 4)]), 'cols': Split(1, [(0, 3), (3, 6)])}
    """
    return {
        f"{prefix}.{name}" if prefix else name: space
        for prefix, module in model.named_modules()
        if isinstance(module, Layer)
        for name, space in module.parameter_spaces.items()
    }


def movements(model: torch.nn.Module) -> dict[str, Movement]:
    """Return every movement in a model, by the name of the module that applies it.

    Parameters
    ----------
    model : torch.nn.Module
        The distributed model.

    Examples
    --------
    >>> from distdl_ops import At, DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import Linear
    >>> def layer(world):
    ...     grid = Grid(world, rows=2, cols=2)
    ...     x = DistributedSpace(grid, (6,), "float32", rows=At(0), cols=Split(0))
    ...     y = DistributedSpace(grid, (4,), "float32", rows=Split(0), cols=At(0))
    ...     return Linear(6, 4, domain=x, codomain=y, out_axis="rows", in_axis="cols")
    >>> simulate(4, lambda world: {name: str(M) for name, M in movements(layer(world)).items()})[0]
    {'bring.movement': 'Broadcast(rows)', 'reduce': 'SumReduce(cols)'}
    """
    operators = {name: module.operator for name, module in model.named_modules() if isinstance(module, Operator)}
    return {name: operator for name, operator in operators.items() if isinstance(operator, Movement)}


def gather_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the sequential model's ``state_dict``, on every rank. Collective.

    Parameters
    ----------
    model : torch.nn.Module
        The distributed model.

    Raises
    ------
    AgreementError
        When the replicas of a parameter or buffer differ between ranks.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Replicated, simulate
    >>> from torch_bridge.nn import Linear
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (6,), p=Replicated())
    ...     model = Linear(6, 4, domain=x, out_axis="p")
    ...     plain = torch.nn.Linear(6, 4).double()
    ...     plain.load_state_dict(gather_state(model))
    ...     return plain.weight[2 * world.rank : 2 * world.rank + 2].equal(model.weight)
    >>> simulate(2, main)
    [True, True]
    """
    spaces = _state_spaces(model)
    return {
        name: own.detach().clone() if (space := spaces[name]) is None else space.to_global(own.detach())
        for name, own in model.state_dict().items()
    }


def load_state(model: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Set the parameters and buffers of a distributed model from the sequential model's ``state_dict``.

    Parameters
    ----------
    model : torch.nn.Module
        The distributed model.
    state : mapping of name to tensor
        Whole parameters, with the shapes of the sequential model, the same on every rank.

    Raises
    ------
    SpaceError
        When names or shapes are not the model's.

    Examples
    --------
    >>> from distdl_ops import At, DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import Linear
    >>> def layer(world):
    ...     grid = Grid(world, rows=2, cols=2)
    ...     x = DistributedSpace(grid, (6,), "float32", rows=At(0), cols=Split(0))
    ...     y = DistributedSpace(grid, (4,), "float32", rows=Split(0), cols=At(0))
    ...     return Linear(6, 4, domain=x, codomain=y, out_axis="rows", in_axis="cols")
    >>> plain = torch.nn.Linear(6, 4)
    >>> def main(world):
    ...     model = layer(world)
    ...     load_state(model, plain.state_dict())
    ...     return model.weight.detach().equal(plain.weight[2:, :3])     # the block of the last row, first column
    >>> simulate(4, main)
    [False, False, True, False]
    """
    spaces = _state_spaces(model)
    if set(state) != set(spaces):
        raise SpaceError(f"load_state: expected the parameters {sorted(spaces)}, found {sorted(state)}")
    with torch.no_grad():
        for name, own in model.state_dict().items():
            space, whole = spaces[name], state[name].detach().to(own.dtype)
            own.copy_(whole if space is None else space.from_global(whole))


def _state_spaces(model: torch.nn.Module) -> dict[str, DistributedSpace | None]:
    """Return the space of every entry of a model's ``state_dict``; None for what is the same on every rank."""
    found: dict[str, DistributedSpace | None] = dict.fromkeys(model.state_dict())
    for prefix, module in model.named_modules():
        for name, space in (
            {**module.parameter_spaces, **module.buffer_spaces}.items() if isinstance(module, Layer) else ()
        ):
            found[f"{prefix}.{name}" if prefix else name] = space
    return found
