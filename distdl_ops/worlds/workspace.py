"""Memory that is used again: touching it for the first time costs more than moving what is in it."""

from __future__ import annotations

from typing import Any, final

import array_api_compat

from linop import arrays
from linop.arrays import Array

SMALL = 8192
"""Entries up to which memory is not kept."""


@final
class Workspace:
    """Blocks of entries that an application borrows for what it packs. As much is kept as was borrowed at once.

    Examples
    --------
    >>> import numpy as np
    >>> workspace = Workspace()
    >>> block = workspace.borrow(10_000, like=np.zeros(3))
    >>> workspace.give_back(block)
    >>> workspace.borrow(9_000, like=np.zeros(3)) is block
    True
    """

    def __init__(self) -> None:
        self._kept: dict[Any, list[Array]] = {}
        self._out: dict[Any, int] = {}
        self._most: dict[Any, int] = {}

    def borrow(self, size: int, like: Array) -> Array:
        """Return an array of one axis with at least as many entries, of the library, dtype and device of `like`."""
        if size <= SMALL:
            return arrays.empty((size,), like=like)
        kind = _kind(like)
        kept = self._kept.setdefault(kind, [])
        fitting = [k for k, block in enumerate(kept) if block.shape[0] >= size]
        block = kept.pop(fitting[-1]) if fitting else arrays.empty((size,), like=like)
        self._out[kind] = self._out.get(kind, 0) + block.shape[0]
        self._most[kind] = max(self._most.get(kind, 0), self._out[kind])
        self._forget(kind)
        return block

    def give_back(self, block: Array) -> None:
        """Keep a block for the next time, instead of older ones."""
        if block.shape[0] <= SMALL:
            return
        kind = _kind(block)
        self._out[kind] -= block.shape[0]
        self._kept[kind].append(block)
        self._forget(kind)

    def _forget(self, kind: Any) -> None:
        """Let the oldest blocks go, until no more is kept and lent than was lent at once."""
        kept = self._kept[kind]
        while self._out[kind] + sum(old.shape[0] for old in kept) > self._most[kind]:
            kept.pop(0)


def _kind(x: Array) -> Any:
    return type(x), x.dtype, array_api_compat.device(x)
