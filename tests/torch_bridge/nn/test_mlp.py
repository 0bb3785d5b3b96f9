"""A perceptron across ranks equals the sequential one; its weights lie by rows and by columns in turn."""

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Replicated, Split, World
from distdl_ops.testing import on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.nn import gather_state, movements
from torch_bridge.testing import assert_equal_sequential, layouts


def sequential(widths: list[int], bias: bool = True, dropout: float = 0.0) -> torch.nn.Sequential:
    """Return what torchvision.ops.MLP is."""
    modules: list[torch.nn.Module] = []
    for before, after in itertools.pairwise(widths):
        modules += [torch.nn.Linear(before, after, bias), torch.nn.GELU(), torch.nn.Dropout(dropout)]
    return torch.nn.Sequential(*modules[:-2], modules[-1])


@given(st.data(), world_sizes(), st.lists(st.integers(1, 6), min_size=2, max_size=5), st.booleans())
def test_mlp(data: st.DataObject, size: int, widths: list[int], bias: bool) -> None:
    """Of any depth, with inputs and outputs in any layout, it equals the sequential one."""
    first = data.draw(st.integers(1, size))
    axes = {"p": first, "q": size // first}
    length = data.draw(st.integers(1, 5))
    axis = data.draw(st.sampled_from(["p", None]))
    roles = data.draw(layouts(axes, (length, widths[0]), [0]))
    target = data.draw(st.none() | layouts(axes, (length, widths[-1]), [0]))

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        domain = DistributedSpace(grid, (length, widths[0]), **roles)
        codomain = target and DistributedSpace(grid, (length, widths[-1]), **target)
        model = nn.MLP(widths[0], widths[1:], torch.nn.GELU, bias, domain=domain, codomain=codomain, axis=axis)
        assert model.codomain.roles == (codomain or domain).roles
        assert_equal_sequential(model, sequential(widths, bias).double(), domain, model.codomain)

    on_ranks(size, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_the_movements_are_those_of_the_textbook(ranks: int) -> None:
    """Between rows and columns nothing moves; sequences are gathered before, and scattered behind."""

    def main(world: World) -> list[list[str]]:
        found = []
        for role in (Replicated(), Split(0)):
            domain = DistributedSpace(Grid(world, p=ranks), (12, 12), p=role)
            model = nn.MLP(12, [24, 12], domain=domain, axis="p")
            found.append([str(m) for name, m in movements(model).items() if "copy" not in name])
        return found

    for found in on_ranks(ranks, main):
        assert found == [["Copy(p)", "AllReduce(p)"], ["AllGather(p)", "ReduceScatter(p)"]]


@pytest.mark.parametrize("ranks", [1, 2], indirect=True)
def test_parameters_begin_as_the_sequential_ones(ranks: int) -> None:
    """From the same seed, the perceptron begins with the sequential values, dropout or not."""
    torch.manual_seed(3)
    expected = sequential([4, 6, 5, 2], dropout=0.5).state_dict()

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (3, 4), "float32", p=Split(0))
        if world.rank == 0:
            torch.manual_seed(3)
        state = gather_state(nn.MLP(4, [6, 5, 2], torch.nn.GELU, dropout=0.5, domain=domain, axis="p"))
        assert list(state) == list(expected)
        for name, value in expected.items():
            assert torch.equal(state[name], value)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"hidden_channels": []}, "MLP on .*expected hidden channels"),
        ({"in_channels": 5}, r"MLP on .*domain of shape \(\.\.\., 5\)"),
        ({"activation_layer": torch.nn.PReLU}, "MLP on .*without parameters, found PReLU"),
        ({"axis": "q"}, "no axis 'q'"),
    ],
)
def test_what_cannot_be(ranks: int, arguments: dict[str, Any], complaint: str) -> None:
    """A perceptron that cannot be is refused on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (4, 6), p=Split(0))
        with pytest.raises(SpaceError, match=complaint):
            nn.MLP(**{"in_channels": 6, "hidden_channels": [3], **arguments}, domain=domain)

    on_ranks(ranks, main)
