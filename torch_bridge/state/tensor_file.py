"""Files of the safetensors format: whole tensors by their names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from distdl_ops import At, DistributedSpace, Grid, Movement, World
from distdl_ops.worlds.agreement import AgreementError, agreed
from linop import SpaceError
from torch_bridge.state.stored import Stored
from torch_bridge.state.values import require_alike, same_path


def write_tensors(
    what: str,
    path: str | PathLike[str],
    world: World,
    tensors: Mapping[str, torch.Tensor],
    stored: Mapping[str, Stored],
) -> None:
    """Write tensors into one file: rank 0 does, where each is gathered. Collective.

    Parameters
    ----------
    what : str
        Who writes, for errors.
    path : path
        Of the file. One that is there already is replaced when the new one is whole.
    world : World
        The ranks.
    tensors : mapping of name to tensor
        This rank's parts.
    stored : mapping of name to Stored
        How tensors are spread; others are the same on every rank.

    Raises
    ------
    AgreementError
        On every rank, when paths, tensors or their replicas differ, or rank 0 cannot write.
    """
    from safetensors.torch import save_file

    file = Path(same_path(world, what, path))
    require_alike(world, what, {name: value for name, value in tensors.items() if name not in stored})
    differ = [name for name, tensor in stored.items() if not tensor.space.consistent(tensors[name])]
    if differ:
        raise AgreementError(f"{what}: the replicas of {', '.join(differ)} differ")
    whole = {name: _on_rank_0(stored[name], value) if name in stored else value for name, value in tensors.items()}

    def write() -> None:
        if world.rank != 0:
            return
        growing = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            save_file({name: value.contiguous().clone() for name, value in whole.items()}, growing)
            with growing.open("rb+") as stream:
                os.fsync(stream.fileno())
            growing.replace(file)
        finally:
            growing.unlink(missing_ok=True)

    agreed(world, what, write, describe=lambda _: "done")


def read_tensors(
    what: str,
    path: str | PathLike[str],
    world: World,
    tensors: Mapping[str, torch.Tensor],
    stored: Mapping[str, Stored],
) -> dict[str, torch.Tensor]:
    """Return tensors from a file: of those that are spread, this rank's parts. Collective.

    Parameters
    ----------
    what : str
        Who reads, for errors.
    path : path
        Of the file.
    world : World
        The ranks.
    tensors : mapping of name to tensor
        Parts of the shapes and dtypes that are wanted.
    stored : mapping of name to Stored
        How tensors are spread.

    Raises
    ------
    SpaceError
        On every rank, when the file has other names or shapes.
    FileNotFoundError, ValueError
        When the file is missing or cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    name_of_file = same_path(world, what, path)

    def read() -> dict[str, torch.Tensor]:
        if not Path(name_of_file).exists():
            raise FileNotFoundError(f"{what}: there is no file {name_of_file}")
        try:
            with safe_open(name_of_file, framework="pt") as file:
                return _parts(what, file, tensors, stored)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{what}: {name_of_file} cannot be read. {type(error).__name__}: {error}") from error

    return agreed(world, what, read, describe=lambda _: "done")


def _parts(
    what: str, file: Any, tensors: Mapping[str, torch.Tensor], stored: Mapping[str, Stored]
) -> dict[str, torch.Tensor]:
    """Return this rank's parts of the tensors in an open file."""
    if set(file.keys()) != set(tensors):
        raise SpaceError(f"{what}: expected the parameters {sorted(tensors)}, found {sorted(file.keys())}")
    parts = {}
    for name, value in tensors.items():
        shape = stored[name].shape if name in stored else tuple(value.shape)
        found = file.get_slice(name)
        if tuple(found.get_shape()) != shape:
            raise SpaceError(f"{what}: {name}: expected shape {shape}, found {found.get_shape()}")
        if not shape or name not in stored:
            parts[name] = file.get_tensor(name)
            continue
        parts[name] = torch.empty_like(value)
        for box, where in stored[name].boxes():
            parts[name][where] = found[tuple(slice(*interval) for interval in box)]
    return parts


def _on_rank_0(stored: Stored, part: torch.Tensor) -> torch.Tensor:
    """Return the whole tensor on rank 0, and nothing on the others. Collective."""
    space, world = stored.space, stored.space.grid.world
    if not space.global_shape:  # a number is the same everywhere
        return part
    target = DistributedSpace(Grid(world, ranks=world.size), space.global_shape, space.dtype, ranks=At(0))
    whole: torch.Tensor = Movement(space, target)(part)
    return whole.reshape(stored.shape) if world.rank == 0 else whole
