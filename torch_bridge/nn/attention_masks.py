"""What is masked of the blocks of scores that a rank computes: parts of masks of whole sequences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, final

import torch

from distdl_ops import DistributedSpace
from linop import SpaceError


class Mask(NamedTuple):
    """What is masked of a block of scores.

    Attributes
    ----------
    added : tensor or None
        What to add to the scores.
    nothing : bool
        Whether no query may see any key.
    triangular : bool
        Whether the rest is that, of the whole sequences, keys are left out that come after the query.
    """

    added: torch.Tensor | None
    nothing: bool = False
    triangular: bool = False


@final
class Masks:
    """The parts of whole masks that belong to a rank's blocks of scores, in the order in which keys pass by.

    Parameters
    ----------
    queries : DistributedSpace
        As they lie for attention: shape (..., length, sets, heads in a set, features).
    keys : sequence of DistributedSpace
        Of the same shape but for the length, as they pass by.
    """

    def __init__(self, queries: DistributedSpace, keys: Sequence[DistributedSpace]) -> None:
        *self.lead, self.length, self.sets, self.size, _ = queries.global_shape
        self.keys = keys[0].global_shape[-4]
        *self.lead_here, self.rows, self.sets_here, self.heads_here, _ = _held(queries)
        self.columns = [_held(block)[-4] for block in keys]

    def check(
        self, batch: tuple[int, ...], key_padding_mask: torch.Tensor | None, attn_mask: torch.Tensor | None
    ) -> None:
        """Raise unless the masks are ones of whole sequences."""
        sequences = math.prod(batch) * math.prod(self.lead)
        plane = (self.length, self.keys)
        for name, mask, shapes in (
            ("key_padding_mask", key_padding_mask, [(*batch, *self.lead, self.keys)]),
            ("attn_mask", attn_mask, [plane, (sequences * self.sets * self.size, *plane)]),
        ):
            if mask is None:
                continue
            if tuple(mask.shape) not in shapes:
                raise SpaceError(f"expected {name} of shape {' or '.join(map(str, shapes))}, found {tuple(mask.shape)}")
            if not (mask.dtype == torch.bool or mask.is_floating_point()):
                raise SpaceError(f"expected {name} of bool or floating-point numbers, found {mask.dtype}")
            if mask.requires_grad:
                raise SpaceError(f"expected {name} without gradient: each rank has that of its own scores only")

    def __call__(
        self,
        batch: tuple[int, ...],
        key_padding_mask: torch.Tensor | None,
        attn_mask: torch.Tensor | None,
        is_causal: bool,
    ) -> Iterator[Mask]:
        """Yield what is masked of each block, in a shape that goes with (*batch, ..., heads, queries, keys)."""
        lead = (*(slice(None) for _ in batch), *self.lead_here)
        for columns in self.columns:
            found = []
            if attn_mask is not None and attn_mask.ndim == 2:
                found.append(_added(attn_mask[self.rows, columns]))
            elif attn_mask is not None:
                split = attn_mask.reshape(*batch, *self.lead, self.sets, self.size, self.length, self.keys)
                part = split[(*lead, self.sets_here, self.heads_here, self.rows, columns)]
                found.append(_added(part.flatten(-4, -3)))
            if key_padding_mask is not None:
                found.append(_added(key_padding_mask[(*lead, columns)])[..., None, None, :])
            last = self.rows.stop - 1
            if is_causal and columns.start <= last and columns.stop - 1 > self.rows.start:
                if not found and self.rows == slice(0, self.length) and columns == slice(0, self.keys):
                    yield Mask(None, triangular=True)
                    continue
                rows, cols = (torch.arange(some.start, some.stop) for some in (self.rows, columns))
                found.append(_added(cols > rows[:, None]))
            added = torch.stack(torch.broadcast_tensors(*found)).sum(0) if found else None
            yield Mask(added, nothing=is_causal and columns.start > last)


def _added(mask: torch.Tensor) -> torch.Tensor:
    """Return what a mask adds to scores: minus infinity where it is true."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=torch.float32, device=mask.device).masked_fill(mask, -torch.inf)


def _held(space: DistributedSpace) -> list[slice]:
    """Return what this rank holds of each axis of a tensor."""
    here = space.layout.intervals_at(space.grid.world.rank) or ((0, 0),) * space.ndim
    return [slice(*interval) for interval in here]
