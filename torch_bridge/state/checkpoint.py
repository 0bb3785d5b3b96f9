"""Checkpoints of torch.distributed.checkpoint: every rank writes what it holds, and reads what it needs.

A space says which box of a tensor a rank holds, and on which rank a replicated one counts: these boxes are the chunks
of the checkpoint. Reading takes the boxes of another space, on any grid of any number of ranks; or, in one process,
torch's own functions. What is written is what `torch.distributed.checkpoint` writes.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar, final

import torch
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner, create_default_local_save_plan
from torch.distributed.checkpoint.filesystem import FileSystemWriter
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, Metadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import SavePlan, TensorWriteData, WriteItem, WriteItemType

from distdl_ops import World
from distdl_ops.worlds.agreement import AgreementError, agreed
from torch_bridge.state.metadata import Key, Place, Shape, read_metadata
from torch_bridge.state.stored import Part, boxes, counts_here, differing
from torch_bridge.state.values import readable, require_alike, same_path
from torch_bridge.tensors.placement import Placement

T = TypeVar("T")


def write_checkpoint(
    what: str, path: str | PathLike[str], world: World, state: Mapping[str, Any], extra: Mapping[str, Any] | None = None
) -> None:
    """Write a checkpoint. Collective.

    Parameters
    ----------
    what : str
        Who writes, for errors.
    path : path
        Of a folder, the same on every rank.
    world : World
        The ranks that write.
    state : mapping
        Nested dicts and lists of `Part`, and of values that are the same on every rank.
    extra : mapping, optional
        A value of its own, the same on every rank: what is loaded does not depend on it.

    Raises
    ------
    TypeError
        When a value could not be read again.
    AgreementError
        On every rank, when paths, values or replicas differ, or some ranks cannot write.
    FileExistsError
        When there is a checkpoint already.
    """
    folder = Path(same_path(world, what, path))
    parts: dict[Key, Part] = {}

    def prepare() -> tuple[dict[str, Any], dict[str, Any]]:
        values: dict[str, Any] = {}
        plain = _without_parts(what, (), state, parts, values)
        if not isinstance(extra, Mapping | None):
            raise TypeError(f"{what}: extra: expected a mapping, found {type(extra).__name__}")
        values["extra"] = readable(f"{what}: extra", dict(extra or {}))
        plain["extra"] = (values["extra"],)  # a tuple is kept in one piece
        return plain, values

    tensors, values = agreed(world, what, prepare, describe=lambda _: "done")
    require_alike(world, what, values)
    differ = differing(world, what, parts)
    if differ:
        raise AgreementError(f"{what}: the replicas of {', '.join('.'.join(map(str, key)) for key in differ)} differ")
    writer, planner = FileSystemWriter(folder, overwrite=False), _SaveParts(parts)

    def plan() -> SavePlan:
        if (folder / ".metadata").exists():
            raise FileExistsError(f"{what}: there is a checkpoint in {folder}")
        writer.set_up_storage_writer(world.rank == 0)
        planner.set_up_planner(tensors, writer.storage_meta(), world.rank == 0)
        return writer.prepare_local_plan(planner.create_local_plan())

    def share() -> tuple[SavePlan, Metadata]:
        everyones, metadata = planner.create_global_plan(plans)
        return writer.prepare_global_plan(everyones)[world.rank], metadata

    def finish() -> None:
        if world.rank != 0:
            return
        for rank, results in enumerate(written):
            for result in results:
                file = folder / result.storage_data.relative_path
                end = result.storage_data.offset + result.storage_data.length
                if not file.exists() or file.stat().st_size < end:
                    raise FileNotFoundError(
                        f"{what}: {file}, which rank {rank} has written, is not there in full on rank 0: expected a "
                        "file system that all ranks see"
                    )
        writer.finish(metadata, written)  # the catalogue is renamed into its place: the last step

    plans = world.allgather(_on_all(world, what, plan), what)
    shares, metadata = _on_all(world, what, share)
    written = world.allgather(
        _on_all(world, what, lambda: writer.write_data(planner.finish_plan(shares), planner).wait()), what
    )
    _on_all(world, what, finish)


@final
class Checkpoint:
    """A checkpoint that has been written. Not collective: each rank reads what it needs.

    Parameters
    ----------
    path : path
        Of its folder.

    Attributes
    ----------
    shapes : dict
        What it contains, by where that is in the nested state: shapes of tensors, None for everything else.

    Raises
    ------
    FileNotFoundError, ValueError
        When a file is missing or cannot be read, and names it.
    """

    def __init__(self, path: str) -> None:
        self._folder = Path(path)
        self._entries = read_metadata(self._folder / ".metadata")
        self.shapes = {key: entry.shape for key, entry in self._entries.items()}

    def read(self, key: Key, placement: Placement | None = None) -> Any:
        """Return a value; of a tensor, this rank's part where it is to lie so, else the whole.

        Parameters
        ----------
        key : tuple
            Where it is in the nested state.
        placement : Placement, optional
            How a tensor is to lie.
        """
        entry = self._entries[key]
        if entry.shape is None:
            ((_, _, place),) = entry.chunks
            return self._load(place)
        value = torch.zeros(entry.shape if placement is None else placement.local_shape, dtype=entry.dtype)
        whole = tuple((0, extent) for extent in entry.shape)
        wanted = [(whole, (...,))] if placement is None else boxes(placement)
        for offsets, sizes, place in entry.chunks:
            chunk: torch.Tensor | None = None
            for box, index in wanted:
                common = [
                    (max(a, start), min(b, start + size))
                    for (a, b), start, size in zip(box, offsets, sizes, strict=True)
                ]
                if any(first >= last for first, last in common):
                    continue
                chunk = self._chunk(place, sizes) if chunk is None else chunk
                target = tuple(slice(first - a, last - a) for (first, last), (a, _) in zip(common, box, strict=True))
                source = tuple(slice(a - start, b - start) for (a, b), start in zip(common, offsets, strict=True))
                value[index][target] = chunk[source]
        return value

    def _chunk(self, place: Place, shape: Shape) -> torch.Tensor:
        """Return a tensor that lies in a file."""
        chunk = self._load(place)
        if not isinstance(chunk, torch.Tensor) or tuple(chunk.shape) != shape or chunk.layout != torch.strided:
            raise ValueError(f"{self._folder / place.file} does not contain the tensor of shape {shape} that it should")
        return chunk

    def _load(self, place: Place) -> Any:
        """Return what lies in a file, without running anything that it says."""
        file = self._folder / place.file
        with _naming(file), file.open("rb") as stream:
            stream.seek(place.start)
            content = stream.read(place.length)
            if len(content) < place.length:
                raise EOFError(f"it ends after {place.start + len(content)} bytes")
            return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def read_extra(what: str, path: str, world: World) -> dict[str, Any]:
    """Return what was saved as `extra`; nothing, with a warning, where it cannot be read. Collective."""

    def read() -> tuple[dict[str, Any], str]:
        saved = Checkpoint(path)
        if ("extra",) not in saved.shapes:
            return {}, ""
        try:
            (extra,) = saved.read(("extra",))
            return dict(extra), ""
        except Exception as error:
            return {}, f"{what}: extra is left out: {error}"

    extra, fault = _on_all(world, what, read)
    faults = [each for each in world.allgather(fault, what) if each]
    if faults:
        warnings.warn(faults[0], RuntimeWarning, stacklevel=3)
        return {}
    return extra


class _SaveParts(DefaultSavePlanner):
    """Writes the boxes that this rank holds of each tensor, where it counts; all else is rank 0's to write."""

    def __init__(self, known: Mapping[Key, Part]) -> None:
        super().__init__(flatten_sharded_tensors=False)
        self.known = known

    def create_local_plan(self) -> SavePlan:
        items: list[WriteItem] = []
        self.parts: dict[tuple[str, torch.Size | None], torch.Tensor] = {}
        for name, value in self.state_dict.items():
            part = self.known.get(self.mappings[name])
            if part is None:
                if self.is_coordinator:
                    items += create_default_local_save_plan({name: value}, is_coordinator=True).items
            elif counts_here(part.placement):
                properties = TensorProperties.create_from_tensor(value)
                for box, where in boxes(part.placement):
                    chunk = ChunkStorageMetadata(torch.Size([a for a, _ in box]), torch.Size([b - a for a, b in box]))
                    data = TensorWriteData(chunk, properties, torch.Size(part.placement.shape))
                    index = MetadataIndex(name, chunk.offsets)
                    items.append(WriteItem(index, WriteItemType.SHARD, tensor_data=data))
                    self.parts[name, chunk.offsets] = value[where]
        self.plan = SavePlan(items, planner_data=self.mappings)
        return self.plan

    def lookup_object(self, index: MetadataIndex) -> Any:
        return self.parts.get((index.fqn, index.offset), self.state_dict[index.fqn])


def _without_parts(what: str, key: Key, state: Any, parts: dict[Key, Part], values: dict[str, Any]) -> Any:
    """Return a nested state with parts as tensors; note how these are stored, and all values by their names."""
    if isinstance(state, Part):
        parts[key] = state
        return state.tensor
    if isinstance(state, Mapping):
        return {name: _without_parts(what, (*key, name), each, parts, values) for name, each in state.items()}
    if isinstance(state, list):
        return [_without_parts(what, (*key, k), each, parts, values) for k, each in enumerate(state)]
    name = ".".join(map(str, key))
    values[name] = readable(f"{what}: {name}", state)
    return values[name]


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Let errors name a file that cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        words = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ValueError(f"{file} cannot be read. {words}") from error


def _on_all(world: World, what: str, action: Callable[[], T]) -> T:
    """Do something on every rank: all of them go on, or all of them raise. Collective."""
    return agreed(world, what, action, describe=lambda _: "done")
