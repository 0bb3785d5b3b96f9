"""A workspace lends each block to one at a time, and keeps no more than was lent at once."""

import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops.worlds.workspace import SMALL, Workspace

pytestmark = pytest.mark.serial

LIKE = {"double": np.zeros(1), "single": np.zeros(1, np.float32), "torch": torch.zeros(1)}


@given(st.lists(st.tuples(st.integers(0, 4 * SMALL), st.integers(0, 3)), max_size=40))
def test_as_much_is_kept_as_was_lent_at_once(steps: list[tuple[int, int]]) -> None:
    """However blocks are borrowed and given back: what is lent is as large as asked for, and nobody else's."""
    workspace, like = Workspace(), np.zeros(1)
    lent: list[np.ndarray] = []
    every: list[weakref.ref[np.ndarray]] = []
    most = 0
    for size, back in steps:
        block = workspace.borrow(size, like)
        assert block.shape[0] >= size
        assert block.dtype == like.dtype
        assert not any(np.shares_memory(block, other) for other in lent)
        if all(known() is not block for known in every):
            every.append(weakref.ref(block))
        lent.append(block)
        most = max(most, sum(other.size for other in lent if other.size > SMALL))
        for _ in range(min(back, len(lent))):
            workspace.give_back(lent.pop(0))
        del block
        kept = {id(known()): known().size for known in every if known() is not None}  # type: ignore[union-attr]
        assert sum(kept.values()) <= most + sum(other.size for other in lent if other.size <= SMALL)


@pytest.mark.parametrize("kind", LIKE)
def test_a_block_is_lent_again(kind: str) -> None:
    """To whoever needs no more of the same library and dtype; not to others, and small ones not at all."""
    workspace = Workspace()
    block = workspace.borrow(SMALL + 10, LIKE[kind])
    workspace.give_back(block)
    for other, like in LIKE.items():
        again = workspace.borrow(SMALL + 5, like)
        assert (again is block) == (other == kind)
    small = workspace.borrow(SMALL, LIKE[kind])
    workspace.give_back(small)
    assert workspace.borrow(SMALL, LIKE[kind]) is not small
