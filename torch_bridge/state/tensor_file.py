"""Files of the safetensors format: whole tensors by their names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch

from distdl_ops import World
from distdl_ops.worlds.agreement import AgreementError, agreed
from linop import SpaceError
from torch_bridge.state.stored import Part, boxes, differing, on_rank_0
from torch_bridge.state.values import require_alike, same_path
from torch_bridge.tensors.placement import Placement


def write_tensors(
    what: str,
    path: str | PathLike[str],
    world: World,
    tensors: Mapping[str, torch.Tensor | Part],
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
    tensors : mapping of name to Part or tensor
        This rank's parts; plain tensors are the same on every rank.

    Raises
    ------
    AgreementError
        On every rank, when paths, tensors or their replicas differ, or rank 0 cannot write.
    """
    from safetensors.torch import save_file

    file = Path(same_path(world, what, path))
    parts = {name: value for name, value in tensors.items() if isinstance(value, Part)}
    require_alike(world, what, {name: value for name, value in tensors.items() if name not in parts})
    differ = differing(world, what, parts)
    if differ:
        raise AgreementError(f"{what}: the replicas of {', '.join(differ)} differ")
    whole = {name: on_rank_0(value) if isinstance(value, Part) else value for name, value in tensors.items()}

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
    placements: Mapping[str, Placement],
    tied: Mapping[str, str],
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
        Parts of the shapes and dtypes that are wanted, on any device, the meta device included.
    placements : mapping of name to Placement
        How tensors lie; others are the same on every rank.
    tied : mapping of name to name
        Names of one tensor: for each, the first one. One of them is enough in the file.

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
                return _parts(what, file, tensors, placements, tied)
        except (SafetensorError, OSError) as error:
            raise ValueError(f"{what}: {name_of_file} cannot be read. {type(error).__name__}: {error}") from error

    return agreed(world, what, read, describe=lambda _: "done")


def _parts(
    what: str,
    file: Any,
    tensors: Mapping[str, torch.Tensor],
    placements: Mapping[str, Placement],
    tied: Mapping[str, str],
) -> dict[str, torch.Tensor]:
    """Return this rank's parts of the tensors in an open file."""
    names = set(file.keys())
    missing = {tied.get(name, name) for name in tensors} - {tied.get(name, name) for name in names}
    if missing or names - set(tensors):
        raise SpaceError(f"{what}: expected the parameters {sorted(tensors)}, found {sorted(names)}")
    parts = {}
    for name, value in tensors.items():
        if name not in names:
            continue  # another name of the same tensor is there
        placement = placements.get(name)
        shape = tuple(value.shape) if placement is None else placement.shape
        slices = file.get_slice(name)
        if tuple(slices.get_shape()) != shape:
            raise SpaceError(f"{what}: {name}: expected shape {shape}, found {slices.get_shape()}")
        if placement is None or not shape:
            parts[name] = file.get_tensor(name)
            continue
        parts[name] = torch.zeros(placement.local_shape, dtype=value.dtype)
        for box, where in boxes(placement):
            parts[name][where] = slices[tuple(slice(*interval) for interval in box)]
    return parts
