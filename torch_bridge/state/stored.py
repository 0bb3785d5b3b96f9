"""Which boxes of a whole tensor a rank holds, and whether replicas are the same."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping
from typing import NamedTuple, TypeVar

import torch

from distdl_ops import At, DistributedSpace, Grid, Movement, World
from distdl_ops.layouts.intervals import Interval
from torch_bridge.state.values import fingerprint
from torch_bridge.tensors.placement import Placement

Box = tuple[Interval, ...]
"""From where to where, along each axis."""

Name = TypeVar("Name", bound=Hashable)


class Part(NamedTuple):
    """What this rank holds of a tensor, as a plain tensor, and how the tensor lies."""

    tensor: torch.Tensor
    placement: Placement


def boxes(placement: Placement) -> list[tuple[Box, tuple[slice, ...]]]:
    """Return the boxes of the whole tensor that this rank holds, and where each is in its part."""
    pieces = placement.layout.pieces_at(placement.grid.world.rank)
    if pieces is None:
        return []
    return [
        (
            tuple((run.start, run.start + run.length) for run in runs),
            tuple(slice(run.local, run.local + run.length) for run in runs),
        )
        for runs in itertools.product(*pieces)
    ]


def counts_here(placement: Placement) -> bool:
    """Say whether this rank's part counts: of replicas, one does."""
    rank = placement.grid.world.rank
    return placement.layout.counted_rank(rank) == rank


def differing(world: World, what: str, parts: Mapping[Name, Part]) -> list[Name]:
    """Return the names of tensors whose replicas are not the same, bit by bit. Collective."""
    everyones = world.allgather([_digest(part.tensor) for part in parts.values()], what)
    return [
        name
        for k, (name, (_, placement)) in enumerate(parts.items())
        if any(
            everyones[rank][k] != everyones[placement.layout.counted_rank(rank)][k]
            for rank in placement.grid.places.members
        )
    ]


def _digest(tensor: torch.Tensor) -> str:
    """Return what tells a tensor from others; there are many patterns of bits for zero and for what is no number."""
    if tensor.is_floating_point() or tensor.is_complex():
        tensor = tensor + 0
        tensor = torch.where(tensor.isnan(), torch.full_like(tensor, float("nan")), tensor)
    return fingerprint(tensor)


def on_rank_0(part: Part) -> torch.Tensor:
    """Return the whole tensor on rank 0, and an empty one on the others. Collective."""
    tensor, placement = part
    if not placement.shape:  # a number is the same everywhere
        return tensor
    world, dtype = placement.grid.world, "complex128" if tensor.is_complex() else "float64"
    target = DistributedSpace(Grid(world, ranks=world.size), placement.shape, dtype, ranks=At(0))
    movement = Movement(placement.space(dtype), target)
    whole: torch.Tensor = movement(tensor.view(torch.uint8) if tensor.dtype == torch.bool else tensor)
    return whole.view(torch.bool) if tensor.dtype == torch.bool else whole
