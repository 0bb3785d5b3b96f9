"""Checkpoints of a distributed model and its optimizer, as of the sequential ones."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch

from distdl_ops.worlds.agreement import agreed
from linop import SpaceError
from torch_bridge.nn.optimizer_state import optimizer_parts, set_optimizer_parts
from torch_bridge.nn.parameters import set_parts, stored_in, world_of
from torch_bridge.state.checkpoint import Checkpoint, Part, read_extra, write_checkpoint
from torch_bridge.state.metadata import Key
from torch_bridge.state.values import same_path


def save_checkpoint(
    path: str | PathLike[str],
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Save a distributed model, and its optimizer, as the sequential ones. Collective.

    Each rank writes what it holds, once; nothing is gathered. What is interrupted leaves no checkpoint: a folder is one
    when all ranks have written.

    Parameters
    ----------
    path : path
        Of a folder, the same on every rank, on a file system that all of them see. It must hold no checkpoint yet.
    model : torch.nn.Module
        The distributed model.
    optimizer : torch.optim.Optimizer, optional
        Of its parameters.
    extra : mapping, optional
        Numbers, text, tensors, and lists, tuples and dicts of them, the same on every rank: which epoch it is, say.
        Numbers of NumPy are saved as Python's.

    Raises
    ------
    TypeError
        When `extra`, or what the optimizer keeps, could not be read again. Nothing is written then.
    AgreementError
        On every rank, when paths, values or the replicas of a tensor differ, or some ranks cannot write.
    FileExistsError
        On every rank, when there is a checkpoint already.

    Notes
    -----
    In one process, the sequential model loads it by torch's own functions::

        from torch.distributed.checkpoint import load
        from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict

        state = {"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, optimizer)}
        load(state, checkpoint_id=path)
        model.load_state_dict(state["model"])
        set_optimizer_state_dict(model, optimizer, state["optimizer"])

    and what it saves is loaded by `load_checkpoint`.

    Examples
    --------
    >>> import tempfile
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import Linear
    >>> def model(world):
    ...     x = DistributedSpace(Grid(world, p=world.size), (6,), "float32", p=Split(0))
    ...     return Linear(6, 4, domain=x, in_axis="p")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = simulate(2, lambda world: save_checkpoint(folder, model(world), extra={"epoch": 7}))
    ...     simulate(3, lambda world: load_checkpoint(folder, model(world)))
    [{'epoch': 7}, {'epoch': 7}, {'epoch': 7}]
    """
    world, own = world_of(model), stored_in(model)
    state: dict[str, Any] = {
        "model": {
            name: Part(value.detach(), own[name]) if name in own else value
            for name, value in model.state_dict().items()
        }
    }
    if optimizer is not None:
        parts, stored = optimizer_parts(model, optimizer)
        state["optimizer"] = {
            "state": {
                name: {
                    key: Part(value, stored[name, key]) if (name, key) in stored else value
                    for key, value in kept.items()
                }
                for name, kept in parts["state"].items()
            },
            "param_groups": parts["param_groups"],
        }
    write_checkpoint("save_checkpoint", path, world, state, extra)


def load_checkpoint(
    path: str | PathLike[str], model: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> dict[str, Any]:
    """Load a distributed model, and its optimizer, in any layout on any number of ranks. Collective.

    Each rank reads what it needs.

    Parameters
    ----------
    path : path
        Of a folder that `save_checkpoint` has written, or ``torch.distributed.checkpoint.save`` of a sequential model:
        ``{"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, optimizer)}``.
    model : torch.nn.Module
        The distributed model.
    optimizer : torch.optim.Optimizer, optional
        Of its parameters, in the same groups.

    Returns
    -------
    dict
        What was saved as `extra`; tensors lie in the host's memory. Where it cannot be read, the model and the
        optimizer are loaded without it: a warning says why, and nothing is returned.

    Raises
    ------
    SpaceError
        On every rank, when names or shapes are not the model's. Nothing is changed then.
    FileNotFoundError, ValueError
        When a file is missing or cannot be read. No file is ever run as a program, whoever has written it.
    AgreementError
        When ranks name different paths, or some of them cannot read.

    Examples
    --------
    >>> import tempfile
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import Linear
    >>> def train(world, path, *, goes_on):
    ...     x = DistributedSpace(Grid(world, p=world.size), (6,), "float32", p=Split(0))
    ...     model = Linear(6, 4, domain=x, in_axis="p")
    ...     optimizer = torch.optim.Adam(model.parameters())
    ...     if goes_on:
    ...         load_checkpoint(path, model, optimizer)
    ...     model(torch.ones(1, *x.shape)).sum().backward()
    ...     optimizer.step()
    ...     if not goes_on:
    ...         save_checkpoint(path, model, optimizer)
    ...     return int(optimizer.state[model.bias]["step"])
    >>> with tempfile.TemporaryDirectory() as path:
    ...     _ = simulate(2, lambda world: train(world, path, goes_on=False))
    ...     simulate(3, lambda world: train(world, path, goes_on=True))
    [2, 2, 2]
    """
    world, own = world_of(model), stored_in(model)
    folder = same_path(world, "load_checkpoint", path)

    def read() -> dict[Key, Any]:
        saved = Checkpoint(folder)
        names = {key[1] for key in saved.shapes if key[0] == "model"}
        expected = set(model.state_dict())
        if names != expected:
            raise SpaceError(f"load_checkpoint: expected the parameters {sorted(expected)}, found {sorted(names)}")
        wanted = {"model"} if optimizer is None else {"model", "optimizer"}
        values = {}
        for key, shape in saved.shapes.items():
            if key[0] not in wanted:
                continue
            stored = own.get(key[1]) if key[0] == "model" else None
            if key[:2] == ("optimizer", "state") and shape:  # a number is a count of steps, say
                stored = own.get(key[2])
            if stored is not None and shape != stored.shape:
                found = ".".join(map(str, key))
                raise SpaceError(f"load_checkpoint: {found}: expected shape {stored.shape}, found {shape}")
            values[key] = saved.read(key, stored)
        return values

    values = agreed(world, "load_checkpoint", read, describe=lambda _: "done")
    if optimizer is not None:
        state: dict[str, dict[str, Any]] = {}
        groups: dict[int, dict[str, Any]] = {}
        for key, value in values.items():
            if key[:2] == ("optimizer", "state"):
                state.setdefault(key[2], {})[key[3]] = value
            elif key[:2] == ("optimizer", "param_groups"):
                groups.setdefault(key[2], {})[key[3]] = value
        whole = {"state": state, "param_groups": [groups[k] for k in sorted(groups)]}
        set_optimizer_parts(model, optimizer, lambda: whole)
    set_parts(model, {key[1]: value for key, value in values.items() if key[0] == "model"})
    return read_extra("load_checkpoint", folder, world)
