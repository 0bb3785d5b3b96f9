"""The parameters of a distributed model, as those of the sequential one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch

from distdl_ops import DistributedSpace, Movement, World
from linop import SpaceError
from torch_bridge.module import Operator
from torch_bridge.nn.layer import Layer, from_rank_0
from torch_bridge.state.stored import Stored
from torch_bridge.state.values import require_alike


def parameter_spaces(model: torch.nn.Module) -> dict[str, DistributedSpace]:
    """Return the space of every parameter, by its name in the model's ``state_dict``.

    A parameter that is a stack of matrices lies in a space of three axes; its entries are in the same row-major order.

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
    stored = stored_in(model)
    alike = {name: value for name, value in model.state_dict().items() if name not in stored}
    if alike:
        require_alike(world_of(model), "gather_state", alike)
    return {
        name: stored[name].gather(own.detach()) if name in stored else own.detach().clone()
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
    ...     return model.weight.detach().equal(plain.weight[2:, :3])  # the block of the last row, first column
    >>> simulate(4, main)
    [False, False, True, False]
    """
    stored, names = stored_in(model), set(model.state_dict())
    if set(state) != names:
        raise SpaceError(f"load_state: expected the parameters {sorted(names)}, found {sorted(state)}")
    for name, found in stored.items():
        if tuple(state[name].shape) != found.shape:
            raise SpaceError(
                f"load_state: expected {name} to have shape {found.shape}, found {tuple(state[name].shape)}"
            )
    parts = {name: stored[name].lay_out(whole.detach()) if name in stored else whole for name, whole in state.items()}
    set_parts(model, parts)


def set_parts(model: torch.nn.Module, parts: Mapping[str, torch.Tensor]) -> None:
    """Set the parameters and buffers of a distributed model from this rank's parts of them, by name."""
    with torch.no_grad():
        for name, own in model.state_dict().items():
            own.copy_(parts[name])


def begin_as(model: torch.nn.Module, world: World, sequential: Callable[[], torch.nn.Module]) -> None:
    """Set the parameters to what the sequential layer would begin with: drawn on rank 0, and moved. Collective.

    Parameters
    ----------
    model : torch.nn.Module
        Of distributed layers, which were made without drawing from the generator for good; see `drawing_nothing`.
    world : World
        Of its spaces.
    sequential : callable
        Makes the sequential layer.
    """
    drawn = sequential().state_dict() if world.rank == 0 else {}
    parts = model.state_dict()
    with torch.no_grad():
        for name, (space, _) in stored_in(model).items():
            parts[name].copy_(from_rank_0(space, drawn[name].reshape(space.global_shape) if drawn else None))


def drawing_nothing(world: World) -> AbstractContextManager[None]:
    """Return a block after which torch's global generator is as it was before: on rank 0, which alone draws."""
    return torch.random.fork_rng(devices=[], enabled=world.rank == 0)


def stored_in(model: torch.nn.Module) -> dict[str, Stored]:
    """Return what is a vector in a model's ``state_dict``; all else is the same on every rank."""
    return {
        f"{prefix}.{name}" if prefix else name: Stored(space, module.sequential_shapes.get(name, space.global_shape))
        for prefix, module in model.named_modules()
        if isinstance(module, Layer)
        for name, space in {**module.parameter_spaces, **module.buffer_spaces}.items()
    }


def world_of(model: torch.nn.Module) -> World:
    """Return the ranks of a distributed model.

    Raises
    ------
    SpaceError
        When it has no distributed parameters.
    """
    spaces = parameter_spaces(model)
    if not spaces:
        raise SpaceError("expected a model with distributed layers, found none; torch has functions for others")
    return next(iter(spaces.values())).grid.world
