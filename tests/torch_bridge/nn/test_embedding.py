"""A distributed embedding equals torch's, in value and in the gradient of its table."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Role, Split, World
from distdl_ops.testing import on_ranks, splits, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, layouts


@given(st.data(), world_sizes(), st.integers(1, 6), st.integers(1, 4))
def test_embedding(data: st.DataObject, size: int, count: int, features: int) -> None:
    """Rows, columns and indices lie along any axes of a grid; the result is brought to any layout."""
    axes, left = {}, size
    for name in ("rows", "columns", "sequence"):
        axes[name] = data.draw(st.integers(1, left))
        left //= axes[name]
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=2).map(tuple))
    named = data.draw(
        st.fixed_dictionaries({}, optional={"row_axis": st.just("rows"), "column_axis": st.just("columns")})
    )
    source = data.draw(layouts(axes, shape, range(len(shape))))
    target = data.draw(st.none() | results(axes, (*shape, features), "column_axis" in named))
    padding = data.draw(st.none() | st.integers(-count, count - 1))
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 9)))
    indices = torch.randint(count, (2, *shape), generator=draw)

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        domain = DistributedSpace(grid, shape, **source)
        codomain = target and DistributedSpace(grid, (*shape, features), **target)
        layer = nn.Embedding(count, features, padding, domain=domain, codomain=codomain, **named)
        sequential = torch.nn.Embedding(count, features, padding).double()
        assert codomain is None or layer.codomain == codomain
        assert_equal_sequential(layer, sequential, domain, layer.codomain, x=indices)

    on_ranks(size, main)


@st.composite
def results(draw: st.DrawFn, axes: dict[str, int], shape: tuple[int, ...], columns: bool) -> dict[str, Role]:
    """Draw layouts of the result, whose features are split along the columns, if at all."""
    split = columns and draw(st.booleans())
    others = {name: length for name, length in axes.items() if not (split and name == "columns")}
    roles = draw(layouts(others, shape, range(len(shape) - 1)))
    if split:
        roles["columns"] = draw(splits(len(shape) - 1, shape[-1], axes["columns"], once=True))
    return roles


def test_begins_as_the_sequential_one(ranks: int) -> None:
    """From the same seed, the table begins as the sequential one, its padding row with zeros, however it is cut."""

    def main(world: World) -> torch.Tensor:
        domain = DistributedSpace(Grid(world, p=ranks), (6,), p=Split(0))
        return nn.gather_state(nn.Embedding(5, 3, 2, domain=domain, row_axis="p"))["weight"]

    torch.manual_seed(3)
    found = on_ranks(ranks, main)
    torch.manual_seed(3)
    expected = torch.nn.Embedding(5, 3, 2).weight.double()
    assert all(torch.equal(weight, expected) for weight in found)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"row_axis": "q"}, "no axis 'q'"),
        ({"row_axis": "p", "column_axis": "p"}, "two axes"),
        ({"padding_idx": 7}, "[Pp]adding"),
    ],
)
def test_arguments_that_do_not_fit(ranks: int, arguments: dict[str, Any], complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank, and the error names it."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (6,), p=Split(0))
        with pytest.raises(SpaceError, match=f"Embedding on .*{complaint}"):
            nn.Embedding(5, 3, **arguments, domain=domain)

    on_ranks(ranks, main)


@pytest.mark.parametrize("wrong", [-1, 5])
def test_indices_that_are_none(ranks: int, wrong: int) -> None:
    """An index beyond the table, on one rank, is an error on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (6,), p=Split(0))
        layer = nn.Embedding(5, 3, domain=domain, row_axis="p")
        indices = torch.full((6,), 4)
        indices[-1] = wrong
        with pytest.raises(SpaceError, match="indices from 0 to 4"):
            layer(indices[slice(*domain.layout.intervals_at(world.rank)[0])])

    on_ranks(ranks, main)
