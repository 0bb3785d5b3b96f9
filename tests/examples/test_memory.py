"""The memory of tensors is counted as long as they live."""

import pytest
import torch
from memory import Memory

pytestmark = pytest.mark.serial


def test_counts_what_lives() -> None:
    """Tensors count once, with their views, until the last one is gone."""
    with Memory() as memory:
        x = torch.ones(100, dtype=torch.float64)
        assert memory.now == 800
        view = x.reshape(10, 10)[1:]
        assert memory.now == 800
        y = torch.zeros(50)
        del x, y
        assert (memory.now, memory.peak) == (800, 1000)
        del view
        assert (memory.now, memory.peak) == (0, 1000)
