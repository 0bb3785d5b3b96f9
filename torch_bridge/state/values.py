"""Values that are saved beside tensors: which can be, and whether all ranks have the same."""

from __future__ import annotations

import hashlib
import io
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from distdl_ops import World
from distdl_ops.worlds.agreement import AgreementError, agreed

EXPECTED = "numbers, text, tensors (torch.as_tensor of an array), and lists, tuples and dicts of them"
"""What can be read again without running code."""


def same_path(world: World, what: str, path: str | PathLike[str]) -> str:
    """Return an absolute path, which must be the same on every rank. Collective."""

    def absolute() -> str:
        if not isinstance(path, str | PathLike):
            raise TypeError(f"{what}: expected a path, found {path!r}")
        return str(Path(path).absolute())

    return agreed(world, f"{what}: path", absolute)


def require_alike(world: World, what: str, values: Mapping[str, Any]) -> None:
    """Raise an AgreementError, on every rank, that names the values which differ between ranks. Collective."""
    everyones = world.allgather({name: fingerprint(value) for name, value in values.items()}, what)
    names = sorted({name for each in everyones for name in each})
    differ = [name for name in names if len({each.get(name) for each in everyones}) > 1]
    if differ:
        raise AgreementError(f"{what}: expected the same on every rank, found that {', '.join(differ)} differ")


def fingerprint(value: Any) -> str:
    """Return what tells a value of numbers, text and tensors from others."""
    digest = hashlib.sha256()
    for piece in _pieces(value):
        digest.update(len(piece).to_bytes(8, "little") + piece)
    return digest.hexdigest()


def _pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type != "meta":
        bits = value.detach().cpu().resolve_conj().resolve_neg().contiguous().reshape(-1)
        yield f"{value.dtype} {tuple(value.shape)}".encode()
        yield bits.view(torch.uint8).numpy().tobytes() if bits.numel() else b""
    elif isinstance(value, Mapping):
        yield f"{type(value).__name__} of {len(value)}".encode()
        for key, each in value.items():
            yield from (repr(key).encode(), *_pieces(each))
    elif isinstance(value, list | tuple):
        yield f"{type(value).__name__} of {len(value)}".encode()
        for each in value:
            yield from _pieces(each)
    else:
        yield repr(value).encode("utf-8", "backslashreplace")


def readable(what: str, value: Any) -> Any:
    """Return a value as it is saved: numbers of NumPy as Python's, tensors in memory of their own.

    Raises
    ------
    TypeError
        When it could not be read again.
    """
    try:
        plain_value = _plain(what, value)
        saved = io.BytesIO()
        torch.save(plain_value, saved)
        saved.seek(0)
        torch.load(saved, weights_only=True)
    except RecursionError:
        raise TypeError(f"{what}: expected {EXPECTED}, found one that contains itself, or is too deep") from None
    except Exception as error:
        if isinstance(error, TypeError) and str(error).startswith(what):
            raise
        raise TypeError(f"{what}: expected {EXPECTED}; what it contains cannot be read again: {error}") from error
    return plain_value


def _plain(what: str, value: Any) -> Any:
    """Return a value without numbers of NumPy; raise where a part of it is known not to be readable."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, complex, str, bytes):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if type(value) in (list, tuple):
        return type(value)(_plain(f"{what}[{k}]", each) for k, each in enumerate(value))
    if type(value) in (dict, OrderedDict):
        return type(value)((_plain(what, key), _plain(f"{what}[{key!r}]", each)) for key, each in value.items())
    if isinstance(value, torch.dtype | torch.device | torch.Size):
        return value
    raise TypeError(f"{what}: expected {EXPECTED}, found {type(value).__name__}")
