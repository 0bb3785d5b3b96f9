"""Functions that rearrange entries are those of one process, on any layout."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from harness import holds
from hypothesis import given

CASES: dict[str, tuple[Any, ...]] = {
    "permute": (lambda x: x.permute(2, 0, 1), (3, 4, 2)),
    "transpose": (lambda x: (x.transpose(0, -1), x.mT, x[0].T, x.movedim(0, 2)), (3, 4, 2)),
    "heads": (lambda x: x.view(2, 3, 2, 3).transpose(1, 2).reshape(4, 3, 3), (2, 3, 6)),
    "merge": (lambda x: (x.flatten(1), x.flatten(), x.reshape(-1, 2)), (3, 4, 2)),
    "split an axis": (lambda x: (x.unflatten(1, (3, 2)), x.view(2, 2, -1)), (4, 6)),
    "nothing": (lambda x: (x.view(0, 2, 2), x.reshape(-1, 4), x.permute(1, 0)), (0, 4)),
    "one": (lambda x: (x.view(2, 3), x.squeeze(), x.squeeze(0), x.unsqueeze(-1)), (1, 6, 1)),
    "a number": (lambda x: (x.view(1), x.reshape(1, 1), x.expand(3)), ()),
    "another dtype": (lambda x: x.view(torch.int64), torch.arange(12.0).double().reshape(3, 4)),
    "expand": (lambda x: x.expand(2, -1, 3) * 2 + x.expand_as(x), (4, 1)),
    "repeat": (lambda x: (x.repeat(2, 1, 1), x.tile(2), x.repeat_interleave(2, 0)), (3, 2)),
    "chunk": (lambda x: (*x.chunk(3, 1), *x.split([1, 3], 1), *x.tensor_split(2), *x.unbind(0)), (3, 4)),
    "cat": (lambda x, y: torch.cat([x, y, x], 1), (3, 2), (3, 4)),
    "cat of nothing": (lambda x, y: torch.cat([x, y]), (0,), (3, 4)),
    "stack": (lambda x, y: (torch.stack([x, y], 1), torch.hstack([x, y]), torch.dstack([x, y])), (3, 4), (3, 4)),
    "stack vectors": (lambda x, y: (torch.vstack([x, y]), torch.column_stack([x, y])), (4,), (4,)),
    "narrow": (lambda x: (x.narrow(0, 1, 2), x.select(1, -1), x[..., 1:3], x[::2, None, -1]), (3, 4)),
    "unfold": (lambda x: x.unfold(1, 3, 2), (3, 7)),
    "roll": (lambda x: (x.roll(2, 0), x.flip(0, 1), x.rot90(), x.fliplr()), (3, 4)),
    "diagonal": (lambda x: (x.diagonal(1), x.diagonal(0, 1, 2), torch.linalg.diagonal(x, offset=-1)), (3, 4, 4)),
    "diag": (lambda x: (x.diag(1), x[0].diag(), x.diagflat(), x.diag_embed(1), torch.trace(x)), (3, 4)),
    "triangle": (lambda x: (x.tril(), x.triu(1), x.tril(-1)), (2, 5, 4)),
    "meshgrid": (lambda x, y: torch.meshgrid(x, y, indexing="xy"), (3,), (4,)),
    "block_diag": (torch.block_diag, (2, 3), (3, 1)),
    "at least": (lambda x: (torch.atleast_2d(x), torch.atleast_3d(x), *torch.atleast_1d(x, x[0])), (4,)),
    "scatter": (lambda x, y: (x.select_scatter(y, 1, 2), x.slice_scatter(y[:, None], 1, 1, 2)), (3, 4), (3,)),
    "diagonal scatter": (lambda x, y: torch.diagonal_scatter(x, y), (3, 4), (3,)),
    "broadcast": (lambda x, y: tuple(torch.broadcast_tensors(x, y)), (3, 1), (4,)),
    "complex": (lambda x: torch.view_as_real(torch.view_as_complex(x)) * 2, (3, 4, 2)),
    "contiguous": (lambda x: x.T.contiguous().clone().T, (3, 4)),
    "cartesian": (lambda x, y: (torch.cartesian_prod(x, y), torch.combinations(x)), (3,), (2,)),
}


@pytest.mark.parametrize("name", CASES)
@given(st.data())
def test_a_rearrangement_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Entries and their gradients go where torch puts them."""
    function, *given = CASES[name]
    holds(data, function, *given)
