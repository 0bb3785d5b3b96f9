"""The parameters of a distributed model, as those of the sequential one."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from distdl_ops import DistributedSpace, Movement
from linop import SpaceError
from torch_bridge.module import Operator
from torch_bridge.nn.layer import Layer


def parameter_spaces(model: torch.nn.Module) -> dict[str, DistributedSpace]:
    """Return the space of every parameter, by its name in the model's ``state_dict``."""
    return {
        f"{prefix}.{name}" if prefix else name: space
        for prefix, module in model.named_modules()
        if isinstance(module, Layer)
        for name, space in module.parameter_spaces.items()
    }


def movements(model: torch.nn.Module) -> dict[str, Movement]:
    """Return every movement in a model, by the name of the module that applies it."""
    operators = {name: module.operator for name, module in model.named_modules() if isinstance(module, Operator)}
    return {name: operator for name, operator in operators.items() if isinstance(operator, Movement)}


def gather_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the sequential model's ``state_dict``, on every rank. Collective.

    Raises
    ------
    AgreementError
        When the replicas of a parameter differ between ranks.
    """
    own = dict(model.named_parameters())
    return {name: space.to_global(own[name].detach()) for name, space in parameter_spaces(model).items()}


def load_state(model: torch.nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Set the parameters of a distributed model from the sequential model's ``state_dict``.

    Parameters
    ----------
    model : torch.nn.Module
        The distributed model.
    state : mapping of name to tensor
        Whole parameters, the same on every rank.

    Raises
    ------
    SpaceError
        When names or shapes are not the model's.
    """
    spaces = parameter_spaces(model)
    if set(state) != set(spaces):
        raise SpaceError(f"load_state: expected the parameters {sorted(spaces)}, found {sorted(state)}")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(spaces[name].from_global(state[name].detach().to(parameter.dtype)))
