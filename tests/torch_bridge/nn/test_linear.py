"""A distributed linear layer equals torch's, however its weight is cut, in value and in all gradients."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedSpace, Grid, Replicated, Role, Split, World
from distdl_ops.testing import on_ranks, splits, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import assert_equal_sequential, layouts


@st.composite
def feature_layouts(draw: st.DrawFn, axes: dict[str, int], shape: tuple[int, ...], named: list[str]) -> dict[str, Role]:
    """Draw layouts whose last axis is split along one of some grid axes, or not, and the others along any."""
    along = draw(st.sampled_from([None, *named]))
    others = {name: length for name, length in axes.items() if name != along}
    roles = draw(layouts(others, shape, range(len(shape) - 1)))
    if along is not None:
        roles[along] = draw(splits(len(shape) - 1, shape[-1], axes[along], once=True))
    return roles


@given(st.data(), world_sizes(), st.sampled_from([("rows", None), (None, "cols"), ("rows", "cols"), (None, None)]))
def test_linear(data: st.DataObject, size: int, along: tuple[str | None, str | None]) -> None:
    """By rows, by columns, in blocks or whole; sequences in any intervals; the result is brought to any layout."""
    axes, left = {}, size
    for name in ("rows", "cols", "sequence"):
        axes[name] = data.draw(st.integers(1, left))
        left //= axes[name]
    inputs, outputs = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    lead = tuple(data.draw(st.lists(st.integers(1, 4), max_size=2)))
    named = [axis for axis in along if axis]
    source = data.draw(feature_layouts(axes, (*lead, inputs), named))
    target = data.draw(st.none() | feature_layouts(axes, (*lead, outputs), named))
    bias = data.draw(st.booleans())

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        domain = DistributedSpace(grid, (*lead, inputs), **source)
        codomain = target and DistributedSpace(grid, (*lead, outputs), **target)
        layer = nn.Linear(inputs, outputs, bias, domain=domain, codomain=codomain, out_axis=along[0], in_axis=along[1])
        assert codomain is None or layer.codomain == codomain
        sequential = torch.nn.Linear(inputs, outputs, bias).double()
        assert_equal_sequential(layer, sequential, domain, layer.codomain)

    on_ranks(size, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_the_movements_are_those_of_the_textbook(ranks: int) -> None:
    """Tensor parallelism moves nothing before its columns and adds up after its rows; with sequences, it gathers."""

    def main(world: World) -> list[list[str]]:
        grid = Grid(world, p=ranks)
        found = []
        for role in (Replicated(), Split(0)):
            x = DistributedSpace(grid, (8, 6), p=role)
            first = nn.Linear(6, 12, domain=x, out_axis="p")
            second = nn.Linear(12, 6, domain=first.codomain, codomain=x, in_axis="p")
            assert first.weight.shape[1] == 6
            assert second.weight.shape[0] == 6
            found.append([str(first.bring.movement.operator), str(second.reduce.operator)])
        return found

    for found in on_ranks(ranks, main):
        assert found == [["Copy(p)", "AllReduce(p)"], ["AllGather(p)", "ReduceScatter(p)"]]


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
@pytest.mark.parametrize(
    ("role", "arguments", "complaint"),
    [
        (Split(1), {}, "along the weight's axes only, found p="),
        (Copies(), {}, "each entry once"),
        (Split(0), {"out_axis": "q"}, "no axis 'q'"),
        (Split(0), {"out_axis": "p", "in_axis": "p"}, "two axes"),
        (Split(0), {"in_features": 5}, r"domain of shape \(\.\.\., 5\)"),
    ],
)
def test_spaces_that_do_not_fit(ranks: int, role: Role, arguments: dict[str, Any], complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank, and the error names it."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (4, 6), p=role)
        with pytest.raises(SpaceError, match=f"Linear on .*{complaint}"):
            nn.Linear(**{"in_features": 6, "out_features": 3, **arguments}, domain=domain)

    on_ranks(ranks, main)
