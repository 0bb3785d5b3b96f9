"""Slices, index arrays, tables and what is scattered are those of one process, on any layout."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
import torch.nn.functional as F
from harness import holds
from hypothesis import given

ROWS, PLACES = torch.tensor([2, 0, 2, 1]), torch.tensor([[1, 0], [3, 1]])
FULL = torch.tensor([[1, 0, 2, 0], [2, 2, 1, 0], [0, 1, 1, 1]])

CASES: dict[str, tuple[Any, ...]] = {
    "slices": (lambda x: (x[1:], x[::2, 1:-1], x[..., -1], x[1], x[None, 2:, :, None]), (3, 4, 2)),
    "an array": (lambda x, i: x[i], (3, 4), ROWS),
    "an array along the last axis": (lambda x, i: x[:, i], (2, 3), ROWS),
    "two arrays": (lambda x, i: x[i, i], (3, 4, 2), ROWS),
    "arrays apart": (lambda x, i: x[i, :, i.clamp(max=1)], (3, 4, 2), ROWS),
    "arrays that are broadcast": (lambda x, i, j: x[i[:2, None], :, j.clamp(max=1)[0]], (3, 4, 2), ROWS, PLACES),
    "a number and an array": (lambda x, i: x[0, :, i], (2, 4, 3), ROWS),
    "an array after dots": (lambda x, i: x[..., i, 0:1], (2, 3, 4), ROWS),
    "a list": (lambda x: (x[[2, 0]], x[:, [1, 1, 0]], x[[0, 1], [1, 2]]), (3, 4)),
    "a matrix of places": (lambda x, j: x[:, j], (2, 4, 3), PLACES),
    "a table of positions": (lambda x, j: x[j.view(-1)].view(2, 2, -1), (4, 3), PLACES),
    "a mask": (lambda x: (x[x > 0].sum(), x[x[:, 0] > 0]), (3, 4)),
    "classes": (lambda x, i: x[torch.arange(4), i], (4, 3), ROWS),
    "index_select": (lambda x, i: (x.index_select(0, i), x.index_select(-1, i)), (3, 3), ROWS),
    "gather": (lambda x, i: (x.gather(1, i), x.take_along_dim(i, 1), x.gather(0, i[:2])), (3, 4), FULL),
    "take": (lambda x, i: x.take(i), (3, 4), PLACES),
    "where": (lambda x, i: torch.where(i > 0, x, 0.0), (3, 4), FULL),
    "embedding": (lambda i, w: F.embedding(i, w, padding_idx=1), PLACES, (4, 3)),
    "one_hot": (lambda i: (F.one_hot(i, 5), F.one_hot(i)), PLACES),
    "index_add": (lambda x, i, y: x.index_add(0, i, y, alpha=2), (3, 2), ROWS, (4, 2)),
    "index_copy": (lambda x, i, y: x.index_copy(1, i[1:], y), (2, 3), ROWS, (2, 3)),
    "index_fill": (lambda x, i: x.index_fill(1, i[:2], 2.0), (2, 3), ROWS),
    "scatter": (lambda x, i, y: (x.scatter(1, i[:, 2:], y), x.scatter_add(0, i, x)), (3, 4), FULL, (3, 2)),
    "scatter_reduce": (lambda x, i, y: x.scatter_reduce(0, i, y, "amax"), (3, 4), FULL, (3, 4)),
    "masked_scatter": (lambda x, y: x.masked_scatter(x > 0, y), (3, 4), (3, 4)),
    "lookups": (lambda x, b: (torch.bucketize(x, b.sort().values), torch.isin(x.round(), b.round())), (3, 4), (4,)),
    "orders": (lambda x: (x.nonzero().sum(), torch.unique(x.detach().round()), x.argsort(0)), (3, 4)),
    "index_put": (lambda x, i, y: torch.index_put(x, (i,), y, accumulate=True), (3, 2), ROWS, (4, 2)),
}

CHANGES: dict[str, Any] = {
    "a slice": lambda x, y: x.__setitem__((slice(None), slice(1, 3)), y[:, :2]),
    "a number": lambda x, y: x.__setitem__((0, Ellipsis), 2.0),
    "an array": lambda x, y: x.__setitem__(torch.tensor([2, 0]), y[:2]),
    "a mask": lambda x, y: x.__setitem__(y > 0, 0.0),
    "by a product": lambda x, y: x[1:].mul_(y[1:]),
    "a masked fill": lambda x, y: x.masked_fill_(y > 0, 3.0),
}


@pytest.mark.parametrize("name", CASES)
@given(st.data())
def test_what_is_indexed_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Values, and gradients that are added up where an entry is chosen twice."""
    function, *given = CASES[name]
    holds(data, function, *given)


@pytest.mark.parametrize("name", CHANGES)
@given(st.data())
def test_what_is_set_is_that_of_one_process(name: str, data: st.DataObject) -> None:
    """Entries are replaced where they lie, with the gradients of both."""

    def changed(x: Any, y: Any) -> Any:
        x = x * 1
        CHANGES[name](x, y)
        return x

    holds(data, changed, (3, 4), (3, 4))
