"""The state of an optimizer of a distributed model, as of the sequential model's optimizer.

An optimizer keeps tensors for each parameter: momenta, say, which have its shape, and lie where it lies; and numbers,
such as the count of steps, which are the same on every rank. So the state of a parameter is re-sharded as the parameter
is. Its form is that of `torch.distributed.checkpoint.state_dict.get_optimizer_state_dict`: keyed by names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from distdl_ops.worlds.agreement import agreed
from linop import SpaceError
from torch_bridge.nn.parameters import stored_in, world_of
from torch_bridge.state.stored import Stored
from torch_bridge.state.values import fingerprint

OptimizerState = dict[str, Any]
"""``{"state": {name: {key: value}}, "param_groups": [{"params": [name], ...}]}``"""


def gather_optimizer_state(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> OptimizerState:
    """Return the state of the sequential model's optimizer, on every rank. Collective.

    Parameters
    ----------
    model : torch.nn.Module
        The distributed model.
    optimizer : torch.optim.Optimizer
        Of its parameters.

    Returns
    -------
    dict
        As `torch.distributed.checkpoint.state_dict.get_optimizer_state_dict` returns it, and its companion
        ``set_optimizer_state_dict`` and `load_optimizer_state` take it.

    Raises
    ------
    SpaceError
        On every rank, when the optimizer has other parameters than the model, or keeps something for a parameter that
        has neither its shape nor none.
    AgreementError
        When the optimizers of the ranks differ, or replicas do.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import Linear
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (6,), "float32", p=Split(0))
    ...     model = Linear(6, 4, domain=x, in_axis="p")
    ...     optimizer = torch.optim.Adam(model.parameters())
    ...     model(torch.ones(1, *x.shape)).sum().backward()
    ...     optimizer.step()
    ...     here = optimizer.state[model.weight]["exp_avg"]
    ...     whole = gather_optimizer_state(model, optimizer)["state"]["weight"]["exp_avg"]
    ...     return tuple(here.shape), tuple(whole.shape)
    >>> simulate(2, main)[0]
    ((4, 3), (4, 6))
    """
    parts, stored = optimizer_parts(model, optimizer)
    state = {
        name: {key: stored[name, key].gather(value) if (name, key) in stored else value for key, value in kept.items()}
        for name, kept in parts["state"].items()
    }
    return {**parts, "state": state}


def load_optimizer_state(model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]) -> None:
    """Set an optimizer of a distributed model from the state of the sequential model's. Collective.

    Parameters
    ----------
    model : torch.nn.Module
        The distributed model, in any layout.
    optimizer : torch.optim.Optimizer
        Of its parameters, in the same groups.
    state : mapping
        As `gather_optimizer_state` or `torch.distributed.checkpoint.state_dict.get_optimizer_state_dict` returns it,
        the same on every rank.

    Raises
    ------
    SpaceError
        On every rank, when groups, names or shapes are not the model's.
    AgreementError
        When the states of the ranks have different ones.

    Examples
    --------
    >>> from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import Linear
    >>> alone = torch.nn.Linear(6, 4)
    >>> optimizer = torch.optim.SGD(alone.parameters(), momentum=0.9)
    >>> alone(torch.ones(1, 6)).sum().backward()
    >>> optimizer.step()
    >>> state = get_optimizer_state_dict(alone, optimizer)
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (6,), "float32", p=Split(0))
    ...     model = Linear(6, 4, domain=x, in_axis="p")
    ...     optimizer = torch.optim.SGD(model.parameters(), momentum=0.9)
    ...     load_optimizer_state(model, optimizer, state)
    ...     return tuple(optimizer.state[model.weight]["momentum_buffer"].shape)
    >>> simulate(2, main)[0]
    (4, 3)
    """

    def parts() -> OptimizerState:
        stored = stored_in(model)
        return {
            **state,
            "state": {
                name: {key: _part(f"{key} of {name}", stored.get(name), value) for key, value in kept.items()}
                for name, kept in state["state"].items()
            },
        }

    set_optimizer_parts(model, optimizer, parts)


def optimizer_parts(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[OptimizerState, dict[tuple[str, str], Stored]]:
    """Return this rank's part of the state, keyed by names, and how each tensor that is spread lies. Collective."""
    stored = stored_in(model)
    found: dict[tuple[str, str], Stored] = {}

    def build() -> OptimizerState:
        names = _names(model, optimizer)
        state: dict[str, dict[str, Any]] = {}
        for parameter, name in names.items():
            kept = optimizer.state.get(parameter, {})
            for key, value in kept.items():
                is_number = not isinstance(value, torch.Tensor) or value.ndim == 0
                if name in stored and isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                    found[name, key] = stored[name]
                elif not (is_number or name not in stored):
                    raise SpaceError(
                        f"optimizer state: expected {key} of {name} to be a number, or to have the parameter's shape "
                        f"as its {stored[name].space} lies; found shape {tuple(value.shape)}"
                    )
            if kept:
                state[name] = {k: v.detach().clone() if isinstance(v, torch.Tensor) else v for k, v in kept.items()}
        groups = [{**group, "params": [names[p] for p in group["params"]]} for group in optimizer.param_groups]
        return {"state": state, "param_groups": groups}

    def describe(parts: OptimizerState) -> str:
        state = {
            name: {key: "a tensor" if (name, key) in found else _told(value) for key, value in kept.items()}
            for name, kept in parts["state"].items()
        }
        return f"{state}, {parts['param_groups']}"

    return agreed(world_of(model), "optimizer state", build, describe), found


def set_optimizer_parts(model: torch.nn.Module, optimizer: torch.optim.Optimizer, parts: Any) -> None:
    """Set an optimizer from this rank's part of a state, which ``parts()`` returns or refuses. Collective."""

    def build() -> OptimizerState:
        found: OptimizerState = parts()
        names = _names(model, optimizer)
        numbers = {name: k for k, name in enumerate(names.values())}
        unknown = sorted(set(found["state"]) - set(numbers))
        if unknown:
            raise SpaceError(f"load_optimizer_state: expected state of parameters {sorted(numbers)}, found {unknown}")
        groups = []
        for group in optimizer.param_groups:
            own = [names[p] for p in group["params"]]
            alike = [g for g in found["param_groups"] if sorted(g["params"]) == sorted(own)]
            if len(alike) != 1:
                told = [sorted(g["params"]) for g in found["param_groups"]]
                raise SpaceError(f"load_optimizer_state: expected a group of {sorted(own)}, found {told}")
            groups.append({**alike[0], "params": [numbers[name] for name in own]})
        return {"state": {numbers[name]: kept for name, kept in found["state"].items()}, "param_groups": groups}

    ready = agreed(
        world_of(model),
        "load_optimizer_state",
        build,
        lambda found: f"{ {k: sorted(kept) for k, kept in found['state'].items()} }, {found['param_groups']}",
    )
    optimizer.load_state_dict(ready)


def _told(value: Any) -> object:
    """Return what tells a value from others: of a tensor, no more than its first digits are printed."""
    many = isinstance(value, torch.Tensor) and value.numel() > 1
    return f"a tensor with fingerprint {fingerprint(value)}" if many else value


def _part(what: str, stored: Stored | None, value: Any) -> Any:
    """Return this rank's part of something that is kept for a parameter."""
    if not isinstance(value, torch.Tensor) or stored is None or (value.ndim == 0 and stored.shape):
        return value
    if tuple(value.shape) != stored.shape:
        raise SpaceError(f"load_optimizer_state: {what}: expected shape {stored.shape}, found {tuple(value.shape)}")
    return stored.lay_out(value)


def _names(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[torch.Tensor, str]:
    """Return the name of each of an optimizer's parameters, in its order."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    own = [p for group in optimizer.param_groups for p in group["params"]]
    strange = [tuple(p.shape) for p in own if p not in names]
    if strange:
        raise SpaceError(f"optimizer state: expected parameters of the model, found others of shapes {strange}")
    return {parameter: names[parameter] for parameter in own}
