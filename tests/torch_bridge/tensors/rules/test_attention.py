"""Attention on random layouts, in each of the ways in which a sequence is brought together."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from harness import Layouts, agrees, layouts, normal
from hypothesis import given

from distdl_ops import Grid, Split, World, simulate
from torch_bridge.tensors import distribute_tensor, sequence_attention

pytestmark = pytest.mark.serial  # on three ranks, of which some have nothing

WAYS = ("gather", "ring", "all-to-all")
SHAPE = (2, 3, 5, 4)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("way", WAYS)
@given(layouts(SHAPE, SHAPE, SHAPE))
def test_attention_is_that_of_one_process(way: str, causal: bool, layout: Layouts) -> None:
    """Queries, keys and values lie in any way."""

    def attend(q: Any, k: Any, v: Any) -> Any:
        with sequence_attention(way):
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=0.7)

    agrees(layout, attend, *(normal(*SHAPE, seed=seed) for seed in range(3)))


SPLITS = [Split(2), Split(2, [(0, 1), (1, 5), (5, 5)]), Split(2, [(2, 5), (0, 0), (0, 2)])]


@pytest.mark.parametrize("mask", ["none", "causal", "hides", "adds", "a row"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("way", WAYS)
def test_a_sequence_that_is_split_has_masks(way: str, dtype: torch.dtype, mask: str) -> None:
    """Balanced, uneven and empty parts, in any order; masks are split or whole; half precision is summed in single."""
    inputs = [normal(*SHAPE, seed=seed, dtype=dtype) for seed in range(3)]
    masks = {
        "hides": torch.ones(2, 1, 5, 5, dtype=torch.bool).tril(1),
        "adds": normal(5, 5, seed=9, dtype=dtype, grad=False),
        "a row": torch.tensor([True, False, True, True, True]).expand(2, 1, 5, 5).contiguous(),
    }
    for role in SPLITS:
        roles = tuple({"rows": role} for _ in range(3))

        def attend(q: Any, k: Any, v: Any, *given: Any) -> Any:
            with sequence_attention(way):
                return F.scaled_dot_product_attention(q, k, v, *given, is_causal=mask == "causal")

        more = [masks[mask]] if mask in masks else []
        agrees(Layouts(3, {"rows": 3}, (*roles, {})[: 3 + len(more)]), attend, *inputs, *more)


def sent(way: str, causal: bool) -> list[int]:
    """Return how many bytes each of four ranks sends, forward and backward."""

    def main(world: World) -> int:
        x = distribute_tensor(normal(1, 1, 8, 2).detach(), Grid(world, rows=4), rows=Split(2)).requires_grad_()
        before = world.traffic.bytes
        with sequence_attention(way):
            y = F.scaled_dot_product_attention(x, x, x, is_causal=causal)
        y.to_local().sum().backward()
        return world.traffic.bytes - before

    return simulate(4, main)


def test_a_ring_sends_no_block_that_a_causal_mask_hides() -> None:
    """A rank sends its block, keys and values, to those that see it; twice, and they send gradients back."""
    block = 2 * 2 * 2 * 8
    assert sent("ring", causal=False) == [3 * 3 * block] * 4
    assert sent("ring", causal=True) == [(2 * (3 - rank) + rank) * block for rank in range(4)]


def test_heads_in_place_of_a_sequence_need_enough_heads() -> None:
    """With fewer heads than ranks, keys and values are gathered."""
    assert sent("all-to-all", causal=True) == sent("gather", causal=True)


def test_an_unknown_way_is_refused() -> None:
    """The ways are named."""
    with pytest.raises(ValueError, match="all-to-all"), sequence_attention("spiral"):
        pass
