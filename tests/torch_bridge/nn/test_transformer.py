"""A transformer's layer across ranks equals torch's, in value and in all gradients."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Role, Split, World
from distdl_ops.testing import on_ranks, splits, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.nn import gather_state
from torch_bridge.testing import assert_equal_sequential, layouts


class Causal(torch.nn.Module):
    """A layer in which nobody sees what comes later."""

    def __init__(self, layer: torch.nn.Module, **masks: Any) -> None:
        super().__init__()
        self.layer, self.masks = layer, masks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.layer(x, is_causal=True, **self.masks)
        return y


@settings(max_examples=15)
@given(
    st.data(),
    world_sizes(),
    st.sampled_from(["model", None]),
    st.sampled_from(["time", None]),
    st.sampled_from(["relu", "gelu", torch.nn.functional.silu]),
)
def test_transformer_encoder_layer(
    data: st.DataObject, size: int, model_axis: str | None, ring_axis: str | None, activation: Any
) -> None:
    """With heads, hidden features, sequences and batch along any axes, normalised before or behind."""
    axes, left = {}, size
    for name in data.draw(st.permutations(["model", "time", "batch"])):
        axes[name] = data.draw(st.integers(1, left))
        left //= axes[name]
    heads, length, hidden = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5)))
    shape = (data.draw(st.integers(1, 3)), length, 4 * heads)
    norm_first, bias = data.draw(st.booleans()), data.draw(st.booleans())
    along = data.draw(st.sampled_from([axis for axis in ("time", model_axis) if axis]))
    roles: dict[str, Role] = data.draw(layouts({n: k for n, k in axes.items() if n != along}, shape, [0]))
    roles[along] = data.draw(splits(1, length, axes[along], once=True))
    options = {"dropout": 0.0, "activation": activation, "norm_first": norm_first, "bias": bias}

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = nn.TransformerEncoderLayer(
            *(4 * heads, heads, hidden), **options, domain=domain, model_axis=model_axis, ring_axis=ring_axis
        )
        plain = torch.nn.TransformerEncoderLayer(4 * heads, heads, hidden, **options, batch_first=True).double()
        mask = torch.nn.Transformer.generate_square_subsequent_mask(length, dtype=torch.float64)
        # The variance of few entries may be small: its root divides roundings.
        close = {"rtol": 1e-10, "atol": 1e-10}
        assert_equal_sequential(Causal(layer), Causal(plain, src_mask=mask), domain, domain, batch=(), close=close)

    on_ranks(size, main)


@pytest.mark.parametrize("ranks", [1, 2, 3], indirect=True)
def test_parameters_begin_as_the_sequential_ones(ranks: int) -> None:
    """From the same seed, the layer has torch's names, shapes and values, its gathered state torch's order."""
    torch.manual_seed(3)
    expected = torch.nn.TransformerEncoderLayer(8, 4, 6).state_dict()

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (5, 8), "float32", p=Split(0))
        if world.rank == 0:
            torch.manual_seed(3)
        layer = nn.TransformerEncoderLayer(8, 4, 6, domain=domain, model_axis="p")
        for state in (gather_state(layer), gather_state(copy.deepcopy(layer))):
            assert list(state) == list(expected)
            for name, value in expected.items():
                assert torch.equal(state[name], value)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"d_model": 5}, r"expected a domain of shape \(\.\.\., length, 5\)"),
        ({"nhead": 4}, "divisible"),
        ({"batch_first": False}, "batch_first=True"),
        ({"activation": "tanh"}, "activation should be relu/gelu"),
        ({"activation": torch.nn.PReLU()}, "without parameters"),
    ],
)
def test_what_cannot_be(ranks: int, arguments: dict[str, Any], complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank, and the error names it."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (4, 6), p=Split(0))
        with pytest.raises(SpaceError, match=f"TransformerEncoderLayer on .*{complaint}"):
            nn.TransformerEncoderLayer(**{"d_model": 6, "nhead": 3, **arguments}, domain=domain)

    on_ranks(ranks, main)
