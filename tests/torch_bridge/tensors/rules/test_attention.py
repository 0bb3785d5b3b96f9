"""Attention on random layouts, in each of the ways in which a sequence is brought together."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from harness import Layouts, agrees, layouts, normal
from hypothesis import given

from distdl_ops import Grid, Split, World, simulate
from distdl_ops.testing import on_ranks
from torch_bridge.tensors import distribute_tensor, explain, sequence_attention

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
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
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


def test_a_ring_sends_no_block_that_a_causal_mask_hides() -> None:
    """Of p (p - 1) blocks, half are hidden, and not sent."""

    def main(world: World) -> int:
        x = distribute_tensor(normal(1, 1, 8, 2), Grid(world, rows=4), rows=Split(2))

        def elements() -> int:
            before = world.traffic.sent if hasattr(world, "traffic") else 0
            F.scaled_dot_product_attention(x, x, x, is_causal=True)
            return (world.traffic.sent if hasattr(world, "traffic") else 0) - before

        with sequence_attention("ring"):
            return elements()

    simulate(4, main)
