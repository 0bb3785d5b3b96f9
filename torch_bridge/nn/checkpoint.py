"""Checkpoints of torch.distributed.checkpoint: every rank writes what it holds, and reads what it needs.

A space says which box of a tensor a rank holds, and on which rank a replicated one counts: these boxes are the chunks
of the checkpoint. Reading takes the boxes of another space, on any grid of any number of ranks; or, in one process,
torch's own functions. The steps are those of `torch.distributed.checkpoint`, between the ranks of a `World`.
"""

from __future__ import annotations

import io
import pathlib
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, TypeVar

import torch
from torch.distributed.checkpoint.default_planner import (
    DefaultLoadPlanner,
    DefaultSavePlanner,
    create_default_local_save_plan,
)
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import (
    LoadItemType,
    LoadPlan,
    ReadItem,
    SavePlan,
    TensorWriteData,
    WriteItem,
    WriteItemType,
)
from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list

from distdl_ops import World
from distdl_ops.worlds.agreement import AgreementError, agreed
from linop import SpaceError
from torch_bridge.nn.optimizer_state import optimizer_parts, set_optimizer_parts
from torch_bridge.nn.parameters import Stored, set_parts, stored_in, world_of

T = TypeVar("T")

Path = tuple[Any, ...]
"""Where something is in a nested state."""


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
        Numbers, text, tensors, and lists and dicts of them, the same on every rank: which epoch it is, say.

    Raises
    ------
    AgreementError
        On every rank, when the replicas of a tensor differ, or some ranks cannot write.
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
    world = world_of(model)
    stored: dict[Path, Stored] = {("model", name): found for name, found in stored_in(model).items()}
    state: dict[str, Any] = {"model": {name: value.detach() for name, value in model.state_dict().items()}}
    if optimizer is not None:
        state["optimizer"], found = optimizer_parts(model, optimizer)
        stored |= {("optimizer", "state", *where): tensor for where, tensor in found.items()}
    state["extra"] = (dict(extra or {}),)  # a tuple is kept in one piece
    differ = [where for where, tensor in stored.items() if not tensor.space.consistent(_at(state, where))]
    if differ:
        raise AgreementError(f"save_checkpoint: the replicas of {', '.join('.'.join(w) for w in differ)} differ")

    writer, planner = FileSystemWriter(path, overwrite=False), _SaveParts(stored)

    def plan() -> SavePlan:
        if (pathlib.Path(path) / ".metadata").exists():
            raise FileExistsError(f"save_checkpoint: there is a checkpoint in {path}")
        writer.set_up_storage_writer(world.rank == 0)
        planner.set_up_planner(state, writer.storage_meta(), world.rank == 0)
        return writer.prepare_local_plan(planner.create_local_plan())

    def share() -> tuple[SavePlan, Metadata]:
        everyones, metadata = planner.create_global_plan(plans)
        return writer.prepare_global_plan(everyones)[world.rank], metadata

    plans = world.allgather(_on_all(world, plan), "save_checkpoint")
    own, metadata = _on_all(world, share)
    written = _on_all(world, lambda: writer.write_data(planner.finish_plan(own), planner).wait())
    results = world.allgather(written, "save_checkpoint")
    _on_all(world, lambda: writer.finish(metadata, results) if world.rank == 0 else None)


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
        What was saved as `extra`.

    Raises
    ------
    SpaceError
        On every rank, when names or shapes are not the model's. Nothing is changed then.
    AgreementError
        When some ranks cannot read.

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
    stored: dict[Path, Stored] = {("model", name): tensor for name, tensor in own.items()}
    reader = FileSystemReader(path)

    def read() -> dict[Path, Any]:
        metadata = reader.read_metadata()
        paths = metadata.planner_data or {}
        entries = metadata.state_dict_metadata
        names = {where[1] for where in paths.values() if where[0] == "model"}
        expected = set(model.state_dict())
        if names != expected:
            raise SpaceError(f"load_checkpoint: expected the parameters {sorted(expected)}, found {sorted(names)}")
        wanted = {"model", "extra"} if optimizer is None else {"model", "extra", "optimizer"}
        here = {name: where for name, where in paths.items() if where[0] in wanted}
        for name, where in here.items():
            found = entries[name]
            if not isinstance(found, TensorStorageMetadata):
                continue
            if where[:2] == ("optimizer", "state") and where[2] in own and found.size:  # no count of steps
                stored[where] = own[where[2]]
            if where in stored and tuple(found.size) != stored[where].shape:
                raise SpaceError(
                    f"load_checkpoint: {name}: expected shape {stored[where].shape}, found {tuple(found.size)}"
                )
        planner = _LoadParts({name: stored.get(where) for name, where in here.items()})
        reader.set_up_storage_reader(metadata, world.rank == 0)
        planner.set_up_planner({}, metadata, world.rank == 0)
        reader.read_data(planner.create_local_plan(), planner).wait()
        return {where: planner.state_dict[name] for name, where in here.items()}

    found = _on_all(world, read)
    if optimizer is not None:
        state: dict[str, dict[str, Any]] = {}
        groups: dict[int, dict[str, Any]] = {}
        for where, value in found.items():
            if where[:2] == ("optimizer", "state"):
                state.setdefault(where[2], {})[where[3]] = value
            elif where[:2] == ("optimizer", "param_groups"):
                groups.setdefault(where[2], {})[where[3]] = value
        whole = {"state": state, "param_groups": [groups[k] for k in sorted(groups)]}
        set_optimizer_parts(model, optimizer, lambda: whole)
    set_parts(model, {where[1]: value for where, value in found.items() if where[0] == "model"})
    (extra,) = found.get(("extra",), ({},))
    return dict(extra)


class _SaveParts(DefaultSavePlanner):
    """Writes the boxes that this rank holds of each tensor, where it counts; all else is rank 0's to write."""

    def __init__(self, stored: Mapping[Path, Stored]) -> None:
        super().__init__(flatten_sharded_tensors=False)
        self.stored = stored

    def create_local_plan(self) -> SavePlan:
        items: list[WriteItem] = []
        self.parts: dict[tuple[str, torch.Size | None], torch.Tensor] = {}
        for name, value in self.state_dict.items():
            stored = self.stored.get(self.mappings[name])
            if stored is None:
                if self.is_coordinator:
                    items += create_default_local_save_plan({name: value}, is_coordinator=True).items
            elif stored.space.counts_here:
                properties = TensorProperties.create_from_tensor(value)
                for chunk, where in _chunks(stored):
                    data = TensorWriteData(chunk, properties, torch.Size(stored.shape))
                    index = MetadataIndex(name, chunk.offsets)
                    items.append(WriteItem(index, WriteItemType.SHARD, tensor_data=data))
                    self.parts[name, chunk.offsets] = value[where]
        self.plan = SavePlan(items, planner_data=self.mappings)
        return self.plan

    def lookup_object(self, index: MetadataIndex) -> Any:
        return self.parts.get((index.fqn, index.offset), self.state_dict[index.fqn])


class _LoadParts(DefaultLoadPlanner):
    """Reads, by name, the boxes that this rank holds of tensors that are spread, and all of everything else."""

    def __init__(self, stored: Mapping[str, Stored | None]) -> None:
        super().__init__(flatten_state_dict=False, flatten_sharded_tensors=False)
        self.stored = stored

    def create_local_plan(self) -> LoadPlan:
        assert self.metadata is not None
        items: list[ReadItem] = []
        self.parts: dict[tuple[str, torch.Size | None], torch.Tensor] = {}
        for name, stored in self.stored.items():
            found = self.metadata.state_dict_metadata[name]
            if isinstance(found, TensorStorageMetadata):
                shape = found.size if stored is None else stored.space.shape
                value = self.state_dict[name] = torch.zeros(shape, dtype=found.properties.dtype)
                origin = torch.Size([0] * len(found.size))
                for chunk, where in (
                    [(ChunkStorageMetadata(origin, found.size), ())] if stored is None else _chunks(stored)
                ):
                    items += create_read_items_for_chunk_list(name, found, [chunk])
                    self.parts[name, chunk.offsets] = value[where]
            else:
                none, index = torch.Size((0,)), MetadataIndex(name)
                items.append(ReadItem(LoadItemType.BYTE_IO, index, none, index, none, none))
        return LoadPlan(items)

    def load_bytes(self, read_item: ReadItem, value: io.BytesIO) -> None:
        # A checkpoint from somewhere else must not run programs here.
        self.state_dict[read_item.dest_index.fqn] = torch.load(value, weights_only=True)

    def lookup_tensor(self, index: MetadataIndex) -> torch.Tensor:
        return self.parts[index.fqn, index.offset]


def _chunks(stored: Stored) -> list[tuple[ChunkStorageMetadata, tuple[int, ...]]]:
    """Return the boxes of a tensor that this rank holds, and the index of each in its part."""
    return [
        (
            ChunkStorageMetadata(torch.Size([a for a, _ in box]), torch.Size([b - a for a, b in box])),
            where,
        )
        for box, where in stored.boxes()
    ]


def _on_all(world: World, action: Callable[[], T]) -> T:
    """Do something on every rank: all of them go on, or all of them raise. Collective."""
    return agreed(world, "checkpoint", action, describe=lambda _: "done")


def _at(state: Mapping[str, Any], where: Path) -> Any:
    return _at(state[where[0]], where[1:]) if where else state
