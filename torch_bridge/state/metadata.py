"""The catalogue of a checkpoint of torch.distributed.checkpoint, read without running what it says.

The file ``.metadata`` is a pickle, which may name any function to be called. This one is read with stand-ins: only the
names that torch writes are known, and each of them makes a record here.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple, final

import torch

DTYPES = {name: value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
"""Torch's dtypes by their names."""

METADATA = "torch.distributed.checkpoint.metadata"
RECORDS = {
    *((METADATA, f"{name}StorageMetadata") for name in ("Tensor", "Bytes", "Chunk")),
    *((METADATA, name) for name in ("Metadata", "MetadataIndex", "StorageMeta", "TensorProperties")),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
}
"""Classes whose objects have attributes."""

VALUES = {
    ("torch", "Size"),
    ("torch.serialization", "_get_layout"),
    (METADATA, "_MEM_FORMAT_ENCODING"),
    *(("pathlib", name) for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
    *(("pathlib._local", name) for name in ("PosixPath", "WindowsPath")),
}
"""What is made of its arguments."""

Key = tuple[Any, ...]
"""Where something is in a nested state."""

Shape = tuple[int, ...]


@final
class Place(NamedTuple):
    """Where bytes lie: in which file of the folder, from where, and how many."""

    file: str
    start: int
    length: int


@final
class Entry(NamedTuple):
    """Something that was saved.

    Attributes
    ----------
    dtype, shape
        Of a tensor; None of anything else.
    chunks : list of (offsets, shape, place)
        The boxes that a tensor was saved in; of anything else, its one place.
    """

    dtype: torch.dtype | None
    shape: Shape | None
    chunks: list[tuple[Shape, Shape, Place]]


def read_metadata(file: Path) -> dict[Key, Entry]:
    """Return what a checkpoint contains.

    Raises
    ------
    FileNotFoundError
        When there is none.
    ValueError
        When the file is not the catalogue of a checkpoint.
    """
    with file.open("rb") as stream:
        try:
            return _entries(vars(_Reader(stream).load()))
        except Exception as error:
            words = f"{type(error).__name__}: {error}".partition("\n")[0]
            raise ValueError(f"{file} cannot be read as the catalogue of a checkpoint. {words}") from error


class _Record:
    """An object of a class that is only known by name: its attributes, or a tuple of them."""

    values: tuple[Any, ...] = ()

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple):
            self.values = state
        else:
            vars(self).update(state)


class _Reader(pickle.Unpickler):
    """Makes records of what a catalogue may contain, and refuses everything else."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._made: dict[tuple[str, str], Any] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return a stand-in, which is made for this file and for nothing else."""
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        key = module, name
        if key not in self._made:
            if key in RECORDS:
                self._made[key] = type(name, (_Record,), {})
            elif key in VALUES:
                self._made[key] = _arguments()
            elif key == ("collections", "OrderedDict"):
                self._made[key] = type(name, (dict,), {})
            else:
                raise pickle.UnpicklingError(f"it names {module}.{name}, which no catalogue contains")
        return self._made[key]


def _arguments() -> Callable[..., Any]:
    """Return a function that returns its arguments: of one alone, that one."""
    return lambda *values: values[0] if len(values) == 1 else values


def _entries(metadata: dict[str, Any]) -> dict[Key, Entry]:
    """Return what a catalogue contains, of its records; raise where anything is of another type."""
    places: dict[tuple[str, Shape | None], Place] = {}
    for index, info in metadata["storage_data"].items():
        where, fields = vars(index), vars(info)
        if fields.get("transform_descriptors"):
            raise ValueError(f"files are transformed by {fields['transform_descriptors']}, which is not supported")
        offset = where.get("offset")
        places[where["fqn"], None if offset is None else _shape(offset)] = Place(
            _inside(fields["relative_path"]), *_shape((fields["offset"], fields["length"]))
        )
    keys = metadata.get("planner_data") or {}
    entries: dict[Key, Entry] = {}
    for name, record in metadata["state_dict_metadata"].items():
        key, fields = tuple(keys.get(name, (name,))), vars(record)
        if type(record).__name__ == "BytesStorageMetadata":
            entries[key] = Entry(None, None, [((), (), places[name, None])])
            continue
        dtype = _dtype(fields["properties"])
        chunks = [(_shape(vars(chunk)["offsets"]), _shape(vars(chunk)["sizes"])) for chunk in fields["chunks"]]
        located = [(offsets, sizes, places[name, offsets]) for offsets, sizes in chunks]
        entries[key] = Entry(dtype, _shape(fields["size"]), located)
    return entries


def _dtype(properties: Any) -> torch.dtype:
    """Return the dtype among the properties of a tensor."""
    (dtype,) = [value for value in (*properties.values, *vars(properties).values()) if isinstance(value, torch.dtype)]
    return dtype


def _shape(values: Any) -> Shape:
    """Return numbers that are none below zero."""
    lengths = tuple(values)
    if not all(type(value) is int and value >= 0 for value in lengths):
        raise ValueError(f"expected extents, found {lengths!r}")
    return lengths


def _inside(name: Any) -> str:
    """Return a path that stays in the folder of the checkpoint."""
    if type(name) is not str or any(
        path.is_absolute() or path.drive or ".." in path.parts for path in (PurePosixPath(name), PureWindowsPath(name))
    ):
        raise ValueError(f"expected a file in the folder of the checkpoint, found {name!r}")
    return name
