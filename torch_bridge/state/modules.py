"""Files of modules that `torch_bridge.distribute` has laid out, and of their optimizers: as of the sequential ones."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch
from torch import nn

from distdl_ops import World
from distdl_ops.worlds.agreement import agreed
from linop import SpaceError
from torch_bridge.compat import plain
from torch_bridge.state.checkpoint import Checkpoint, read_extra, write_checkpoint
from torch_bridge.state.metadata import Key
from torch_bridge.state.stored import Part
from torch_bridge.state.tensor_file import read_tensors, write_tensors
from torch_bridge.state.values import same_path
from torch_bridge.tensors.call import wrap
from torch_bridge.tensors.distribute import state_in_parts
from torch_bridge.tensors.placement import Placement
from torch_bridge.tensors.placement import replicated as on_every_rank
from torch_bridge.tensors.tensor import DistributedTensor


def save_checkpoint(
    path: str | PathLike[str],
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Save a distributed module, and its optimizer, as the sequential ones. Collective.

    Each rank writes what it holds, once; nothing is gathered. What is interrupted leaves no checkpoint: a folder is one
    when all ranks have written.

    Parameters
    ----------
    path : path
        Of a folder, the same on every rank, on a file system that all of them see. It must hold no checkpoint yet.
    model : torch.nn.Module
        A module that `torch_bridge.distribute` has laid out.
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
    >>> from distdl_ops import Grid, Split, simulate
    >>> from torch_bridge import distribute
    >>> def model(world):
    ...     return distribute(torch.nn.Linear(6, 4), Grid(world, p=world.size), {"weight": dict(p=Split(1))})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = simulate(2, lambda world: save_checkpoint(folder, model(world), extra={"epoch": 7}))
    ...     simulate(3, lambda world: load_checkpoint(folder, model(world)))
    [{'epoch': 7}, {'epoch': 7}, {'epoch': 7}]
    """
    what = "save_checkpoint"
    world = world_of(what, model)
    state: dict[str, Any] = {"model": {name: _part(value) for name, value in state_in_parts(model).items()}}
    if optimizer is not None:
        state["optimizer"] = agreed(world, what, lambda: _optimizer_state(what, model, optimizer), lambda _: "done")
    write_checkpoint(what, path, world, state, extra)


def load_checkpoint(
    path: str | PathLike[str], model: nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> dict[str, Any]:
    """Load a distributed module, and its optimizer, in any layout on any number of ranks. Collective.

    Each rank reads what it needs. A module on the ``meta`` device gets its numbers part by part: no rank ever holds
    the whole model. Make the optimizer of such a module after its weights are loaded, then load once more with it.

    Parameters
    ----------
    path : path
        Of a folder that `save_checkpoint` has written, or ``torch.distributed.checkpoint.save`` of a sequential model:
        ``{"model": model.state_dict(), "optimizer": get_optimizer_state_dict(model, optimizer)}``.
    model : torch.nn.Module
        A module that `torch_bridge.distribute` has laid out.
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
    >>> from distdl_ops import Grid, Split, simulate
    >>> from torch_bridge import distribute
    >>> def train(world, path, *, goes_on):
    ...     model = distribute(torch.nn.Linear(6, 4), Grid(world, p=world.size), {"weight": dict(p=Split(1))})
    ...     optimizer = torch.optim.Adam(model.parameters())
    ...     if goes_on:
    ...         load_checkpoint(path, model, optimizer)
    ...     model(torch.ones(1, 6)).sum().backward()
    ...     optimizer.step()
    ...     if not goes_on:
    ...         save_checkpoint(path, model, optimizer)
    ...     return int(optimizer.state[model.bias]["step"])
    >>> with tempfile.TemporaryDirectory() as path:
    ...     _ = simulate(2, lambda world: train(world, path, goes_on=False))
    ...     simulate(3, lambda world: train(world, path, goes_on=True))
    [2, 2, 2]
    """
    what = "load_checkpoint"
    world = world_of(what, model)
    folder = same_path(world, what, path)
    state = state_in_parts(model)

    def read() -> tuple[dict[str, Any], Any]:
        saved = Checkpoint(folder)
        names = {key[1] for key in saved.shapes if key[0] == "model"}
        if names != set(state):
            raise SpaceError(f"{what}: expected the parameters {sorted(state)}, found {sorted(names)}")
        values: dict[Key, Any] = {}
        for key, shape in saved.shapes.items():
            if key[0] == "model":
                value = state[key[1]]
                if shape is not None and isinstance(value, torch.Tensor) and shape != tuple(value.shape):
                    raise SpaceError(f"{what}: {key[1]}: expected shape {tuple(value.shape)}, found {shape}")
                values[key] = saved.read(key, _placement(value) if shape is not None else None)
        kept = None if optimizer is None else _read_optimizer(what, saved, model, optimizer)
        return _nested(values)["model"], kept

    parts, kept = agreed(world, what, read, describe=lambda _: "done")
    if optimizer is not None:
        optimizer.load_state_dict(kept)
    set_parts(model, parts)
    return read_extra(what, folder, world)


def save_safetensors(path: str | PathLike[str], model: nn.Module) -> None:
    """Save the sequential model's ``state_dict``, which ``safetensors.torch.load_file`` returns. Collective.

    Rank 0 writes, and must have the memory for it: each tensor is gathered there, and nowhere else.

    Parameters
    ----------
    path : path
        Of the file.
    model : torch.nn.Module
        A module that `torch_bridge.distribute` has laid out.

    Raises
    ------
    AgreementError
        On every rank, when paths or the replicas of a tensor differ, or rank 0 cannot write. A file that was there
        before is as it was then.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from safetensors.torch import load_file
    >>> from distdl_ops import Grid, Split, simulate
    >>> from torch_bridge import distribute
    >>> def main(world):
    ...     save_safetensors(file, distribute(torch.nn.Linear(6, 4), Grid(world, p=2), {"weight": dict(p=Split(1))}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "model.safetensors"
    ...     _ = simulate(2, main)
    ...     sorted((name, tuple(value.shape)) for name, value in load_file(file).items())
    [('bias', (4,)), ('weight', (4, 6))]
    """
    what = "save_safetensors"
    world = world_of(what, model)
    tensors = {name: _part(value) for name, value in state_in_parts(model).items() if isinstance(value, torch.Tensor)}
    write_tensors(what, path, world, tensors)


def load_safetensors(path: str | PathLike[str], model: nn.Module) -> None:
    """Load a distributed module from a file of the sequential model's ``state_dict``. Collective.

    Each rank reads what it needs, part by part, also into a module on the ``meta`` device.

    Parameters
    ----------
    path : path
        Of a file that `save_safetensors` or ``safetensors.torch.save_file`` has written.
    model : torch.nn.Module
        A module that `torch_bridge.distribute` has laid out, in any layout.

    Raises
    ------
    SpaceError
        On every rank, when names or shapes are not the model's. Nothing is changed then.
    FileNotFoundError, ValueError
        When the file is missing or cannot be read.
    AgreementError
        When ranks name different paths, or some of them cannot read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from safetensors.torch import save_file
    >>> from distdl_ops import Grid, Split, simulate
    >>> from torch_bridge import distribute
    >>> def main(world):
    ...     with torch.device("meta"):
    ...         model = torch.nn.Linear(6, 4)
    ...     model = distribute(model, Grid(world, p=2), {"weight": dict(p=Split(1))})
    ...     load_safetensors(file, model)
    ...     return model.weight[0].to_local().tolist()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "model.safetensors"
    ...     save_file({"weight": torch.arange(24.0).reshape(4, 6), "bias": torch.zeros(4)}, file)
    ...     simulate(2, main)
    [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    """
    what = "load_safetensors"
    world = world_of(what, model)
    state = {name: value for name, value in state_in_parts(model).items() if isinstance(value, torch.Tensor)}
    placements = {name: value._placement for name, value in state.items() if isinstance(value, DistributedTensor)}
    set_parts(model, read_tensors(what, path, world, state, placements, _tied(model)))


def world_of(what: str, model: nn.Module) -> World:
    """Return the ranks of a distributed module.

    Raises
    ------
    SpaceError
        When nothing in it is distributed.
    """
    for tensor in (*model.parameters(), *model.buffers()):
        if isinstance(tensor, DistributedTensor):
            return tensor._placement.grid.world
    raise SpaceError(
        f"{what}: expected a module that torch_bridge.distribute has laid out, found no "
        "DistributedTensor among its parameters and buffers; torch has functions for others"
    )


def set_parts(model: nn.Module, parts: Mapping[str, Any]) -> None:
    """Set parameters and buffers from this rank's parts of them, by name; those on the ``meta`` device are made."""
    made: dict[int, Any] = {}
    for name, part in parts.items():
        path, _, last = name.rpartition(".")
        module = model.get_submodule(path)
        store = module._parameters if last in module._parameters else module._buffers
        if last not in store:
            module.set_extra_state(part)
            continue
        tensor: Any = store[last]
        if id(tensor) in made:
            store[last] = made[id(tensor)][1]
        elif tensor.is_meta:
            made[id(tensor)] = tensor, _with_numbers(tensor, part)
            store[last] = made[id(tensor)][1]
        else:
            with torch.no_grad(), plain():
                tensor.copy_(part)
    for tensors in (module._parameters for module in model.modules()):  # other names of what was on the meta device
        for last, tensor in tensors.items():
            if tensor is not None and id(tensor) in made:
                tensors[last] = made[id(tensor)][1]
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            module._init_flat_weights()


def _with_numbers(tensor: Any, part: torch.Tensor) -> Any:
    """Return what stands in place of a parameter or buffer on the meta device."""
    known = dict(tensor.__dict__)
    numbers: Any = part.to(tensor.dtype)
    if isinstance(tensor, DistributedTensor):
        numbers = wrap(numbers, tensor._placement)
    if isinstance(tensor, nn.Parameter):
        numbers = nn.Parameter(numbers, requires_grad=tensor.requires_grad)
    numbers.__dict__.update(known)
    return numbers


def _tied(model: nn.Module) -> dict[str, str]:
    """Return, for each name of a parameter or buffer, the first name of the same tensor."""
    first: dict[int, str] = {}
    named = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    return {name: first.setdefault(id(tensor), name) for name, tensor in named}


def _placement(value: Any) -> Placement | None:
    return value._placement if isinstance(value, DistributedTensor) else None


def _part(value: Any) -> Any:
    """Return a distributed tensor as this rank's part; all else as it is."""
    if not isinstance(value, DistributedTensor):
        return value
    value = value.detach()
    if value._placement.partial:
        value = value.redistribute(value._placement.finished())
    return Part(value.to_local(), value._placement)


# -- the state of an optimizer: keyed by names, as torch.distributed.checkpoint.state_dict has it ---------------------


def _optimizer_state(what: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Return this rank's parts of an optimizer's state."""
    names = _names(what, model, optimizer)
    state = {name: _parts(optimizer.state[p]) for p, name in names.items() if optimizer.state.get(p)}
    groups = [{**group, "params": [names[p] for p in group["params"]]} for group in optimizer.param_groups]
    return {"state": state, "param_groups": groups}


def _parts(kept: Any) -> Any:
    """Return nested state with parts in place of distributed tensors."""
    if isinstance(kept, Mapping):
        return {name: _parts(value) for name, value in kept.items()}
    if isinstance(kept, list):
        return [_parts(value) for value in kept]
    return _part(kept)


def _read_optimizer(what: str, saved: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer) -> Any:
    """Return an optimizer's state as its ``load_state_dict`` takes it, each tensor as its parameter lies."""
    names = _names(what, model, optimizer)
    parameters: dict[str, Any] = {name: parameter for parameter, name in names.items()}
    numbers = {name: k for k, name in enumerate(parameters)}
    values: dict[Key, Any] = {}
    for key, shape in saved.shapes.items():
        if key[0] != "optimizer":
            continue
        if key[1] != "state" or len(key) < 3:  # with no state yet, an empty dict is kept in one piece
            values[key] = saved.read(key)
            continue
        if key[2] not in numbers:
            raise SpaceError(f"{what}: expected optimizer state of the parameters {sorted(numbers)}, found {key[2]!r}")
        parameter = parameters[key[2]]
        if shape is None or key[-1] == "step" or not isinstance(parameter, DistributedTensor):
            values[key] = saved.read(key)
            continue
        placement = parameter._placement
        if shape != placement.shape:
            placement = on_every_rank(placement.grid, shape)
        values[key] = wrap(saved.read(key, placement), placement)
    stored = _nested(values)["optimizer"]
    groups = []
    for group in optimizer.param_groups:
        names_of_group = [names[p] for p in group["params"]]
        alike = [g for g in stored["param_groups"] if sorted(g["params"]) == sorted(names_of_group)]
        if len(alike) != 1:
            others = [sorted(g["params"]) for g in stored["param_groups"]]
            raise SpaceError(f"{what}: expected a group of {sorted(names_of_group)}, found {others}")
        groups.append({**alike[0], "params": [numbers[name] for name in names_of_group]})
    return {"state": {numbers[name]: kept for name, kept in stored["state"].items()}, "param_groups": groups}


def _names(what: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[torch.Tensor, str]:
    """Return the name of each of an optimizer's parameters, in its order."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    strange = [tuple(p.shape) for p in parameters if p not in names]
    if strange:
        raise SpaceError(f"{what}: expected an optimizer of the model's parameters, found others of shapes {strange}")
    return {parameter: names[parameter] for parameter in parameters}


def _nested(values: Mapping[Key, Any]) -> Any:
    """Return nested dicts and lists, of what lies at each key."""
    root: dict[Any, Any] = {}
    for key, value in values.items():
        inner = root
        for step in key[:-1]:
            inner = inner.setdefault(step, {})
        inner.setdefault(key[-1], value)
    return _with_lists(root)


def _with_lists(node: Any) -> Any:
    """Return nested dicts with lists in place of those whose keys count from 0."""
    if type(node) is not dict:
        return node
    inner = {name: _with_lists(value) for name, value in node.items()}
    if inner and list(inner) == list(range(len(inner))):
        return list(inner.values())
    return inner
