"""How much memory a rank needs for its tensors: counted, so that it is the same on every machine and every run."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Memory(TorchDispatchMode):
    """Counts the bytes of all tensors that this rank makes within a block, as long as they live.

    Attributes
    ----------
    now, peak : int
        Bytes.
    """

    now: int
    peak: int

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for part in found if isinstance(found, (tuple, list)) else (found,):
            if isinstance(part, torch.Tensor):
                self.count(part)
        return found

    def count(self, tensor: torch.Tensor) -> None:
        """Count a tensor, if its memory is not known yet."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.known:
            self.known.add(key)
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.forget, key, storage.nbytes())

    def forget(self, key: int, size: int) -> None:
        """Take memory that has been freed out of the count."""
        self.known.discard(key)
        self.now -= size
