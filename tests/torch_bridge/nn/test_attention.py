"""Attention across ranks equals torch's, by heads, by all-to-all and by ring, in value and in all gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedSpace, Grid, Replicated, Role, Split, World
from distdl_ops.testing import on_ranks, splits, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.nn import gather_state, movements
from torch_bridge.testing import assert_equal_sequential, layouts, normal


class Attending(torch.nn.Module):
    """The first result of attention, to itself or to keys and values, with some masks."""

    def __init__(self, attention: torch.nn.Module, *others: torch.Tensor, **masks: Any) -> None:
        super().__init__()
        self.attention, self.others, self.masks = attention, others, masks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        key, value = self.others or (x, x)
        y: torch.Tensor = self.attention(x, key, value, need_weights=False, **self.masks)[0]
        return y

    def __deepcopy__(self, memo: dict[int, Any]) -> Attending:
        return Attending(copy.deepcopy(self.attention), *self.others, **self.masks)


@st.composite
def axis_lengths(draw: st.DrawFn, size: int) -> dict[str, int]:
    """Draw a grid for heads, sequences and batch."""
    axes = {}
    for name in draw(st.permutations(["heads", "time", "batch"])):
        axes[name] = draw(st.integers(1, size))
        size //= axes[name]
    return axes


@st.composite
def layouts_of_sequences(
    draw: st.DrawFn, axes: dict[str, int], shape: tuple[int, ...], along: str | None
) -> dict[str, Role]:
    """Draw layouts of (..., length, features) whose length is split along one axis of the grid, or none."""
    others = {name: length for name, length in axes.items() if name != along}
    roles = draw(layouts(others, shape, range(len(shape) - 2)))
    if along is not None:
        roles[along] = draw(splits(len(shape) - 2, shape[-2], axes[along], once=True))
    return roles


@st.composite
def masks(draw: st.DrawFn, sequences: tuple[int, ...], heads: int, length: int, keys: int) -> dict[str, Any]:
    """Draw masks as torch takes them; each query sees the first key, for torch gives NaN where it sees none."""
    found: dict[str, Any] = {}
    count = int(torch.tensor(sequences).prod())
    seed = draw(st.integers(0, 99))
    kind = draw(st.sampled_from([None, "causal", "bool", "float", "each"]))
    shape = (count * heads, length, keys) if kind == "each" else (length, keys)
    if kind == "causal":
        found = {"is_causal": True}
    elif kind == "float":
        found["attn_mask"] = normal(seed, shape)
    elif kind is not None:
        found["attn_mask"] = normal(seed, shape) > 0
        found["attn_mask"][..., 0] = False
    if draw(st.booleans()):
        found["key_padding_mask"] = normal(seed + 1, (*sequences, keys)) > 1
        found["key_padding_mask"][..., 0] = False
    return found


def of_torch(found: dict[str, Any], length: int, keys: int) -> dict[str, Any]:
    """Return masks for torch's layer: it wants a causal one written out, and all of one kind."""
    given_ = {name: mask for name, mask in found.items() if name != "is_causal"}
    if "is_causal" in found:
        given_["attn_mask"] = torch.ones(length, keys, dtype=torch.bool).triu(1)
    if len({mask.dtype for mask in given_.values()}) > 1:
        given_["key_padding_mask"] = torch.zeros(given_["key_padding_mask"].shape, dtype=torch.float64).masked_fill(
            given_["key_padding_mask"], -torch.inf
        )
    return given_


@given(st.data(), world_sizes(), st.sampled_from(["heads", None]), st.sampled_from(["time", None]))
def test_self_attention(data: st.DataObject, size: int, head_axis: str | None, ring_axis: str | None) -> None:
    """With heads and sequences along any axes, in any intervals, all-to-all or ring, any masks, any output layout."""
    axes = data.draw(axis_lengths(size))
    heads, each, length = data.draw(st.tuples(st.integers(1, 5), st.integers(1, 2), st.integers(1, 7)))
    batched = data.draw(st.booleans())
    lead = () if batched else (data.draw(st.integers(1, 3)),)
    shape = (*lead, length, heads * each)
    along = data.draw(st.sampled_from([axis for axis in ("time", head_axis) if axis] + [None] * (not ring_axis)))
    roles = data.draw(layouts_of_sequences(axes, shape, along))
    target = data.draw(st.none() | layouts_of_sequences(axes, shape, data.draw(st.sampled_from([None, "time"]))))
    batch = (2,) if batched else ()
    found = data.draw(masks((*batch, *lead), heads, length, length))
    bias, overlap = data.draw(st.tuples(st.booleans(), st.booleans()))

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        domain = DistributedSpace(grid, shape, **roles)
        codomain = target and DistributedSpace(grid, shape, **target)
        layer = nn.MultiheadAttention(
            *(heads * each, heads),
            bias=bias,
            domain=domain,
            codomain=codomain,
            head_axis=head_axis,
            ring_axis=ring_axis,
            overlap=overlap,
        )
        plain = torch.nn.MultiheadAttention(heads * each, heads, bias=bias, batch_first=True).double()
        sequential = Attending(plain, **of_torch(found, length, length))
        assert_equal_sequential(Attending(layer, **found), sequential, domain, layer.codomain, batch=batch)

    on_ranks(size, main)


@given(st.data(), world_sizes(), st.sampled_from(["heads", None]), st.sampled_from(["time", None]))
def test_attention_to_others(data: st.DataObject, size: int, head_axis: str | None, ring_axis: str | None) -> None:
    """Keys and values of other widths, however they lie, are attended to; their gradients are the sequential ones."""
    axes = data.draw(axis_lengths(size))
    heads, length, keys = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)))
    widths = data.draw(st.sampled_from([(2 * heads, 2 * heads), (3, 2)]))
    lead = (data.draw(st.integers(1, 3)),)
    shapes = [(*lead, length, 2 * heads), (*lead, keys, widths[0]), (*lead, keys, widths[1])]
    alongs = [data.draw(st.sampled_from([axis for axis in ("time", head_axis) if axis]))]
    alongs += [data.draw(st.sampled_from([None, *axes])) for _ in range(2)]
    roles = [data.draw(layouts_of_sequences(axes, shape, along)) for shape, along in zip(shapes, alongs, strict=True)]
    found = data.draw(masks(lead, heads, length, keys))

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        spaces = [DistributedSpace(grid, shape, **own) for shape, own in zip(shapes, roles, strict=True)]
        domain, key_domain, value_domain = spaces
        layer = nn.MultiheadAttention(
            *(2 * heads, heads),
            kdim=widths[0],
            vdim=widths[1],
            domain=domain,
            key_domain=key_domain,
            value_domain=value_domain,
            head_axis=head_axis,
            ring_axis=ring_axis,
        )
        wholes = [normal(k, shape).requires_grad_() for k, shape in enumerate(shapes[1:], start=5)]
        parts = [space.from_global(x.detach()).requires_grad_() for space, x in zip(spaces[1:], wholes, strict=True)]
        plain = torch.nn.MultiheadAttention(2 * heads, heads, kdim=widths[0], vdim=widths[1], batch_first=True).double()
        sequential = Attending(plain, *wholes, **of_torch(found, length, keys))
        assert_equal_sequential(Attending(layer, *parts, **found), sequential, domain, layer.codomain, batch=())
        for space, part, whole in zip(spaces[1:], parts, wholes, strict=True):
            torch.testing.assert_close(part.grad, space.from_global(whole.grad), rtol=1e-12, atol=1e-12)

    on_ranks(size, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_the_movements_are_those_of_the_textbook(ranks: int) -> None:
    """Heads: an all-reduce, or all-gather and reduce-scatter; sequences: an all-to-all there and back, or a ring."""

    def main(world: World) -> list[list[str]]:
        grid = Grid(world, p=ranks)
        found = []
        for role, way in [
            (Replicated(), {"head_axis": "p"}),
            (Split(0), {"head_axis": "p"}),
            (Split(0), {}),
            (Split(0), {"ring_axis": "p"}),
        ]:
            domain = DistributedSpace(grid, (12, 12), p=role)
            layer = nn.MultiheadAttention(12, 12, domain=domain, **way)
            assert way.get("head_axis") is None or layer.in_proj_weight.shape == (3, 12 // ranks, 12)
            weights = {"copies.in_proj_weight", "copies.in_proj_bias", "out_proj.copy_weight", "out_proj.copy_bias"}
            found.append([str(m) for name, m in movements(layer).items() if name not in weights])
            found[-1] += [str(shift.operator) for shift in layer.ring.shifts]
        return found

    for found in on_ranks(ranks, main):
        assert found == [
            ["Copy(p)", "AllReduce(p)"],
            ["AllGather(p)", "ReduceScatter(p)"],
            [*["Repartition(p)"] * 4],
            ["Shift(p, 1)"] * (ranks - 1),
        ]


@pytest.mark.parametrize("ranks", [1, 2, 3], indirect=True)
def test_parameters_begin_as_the_sequential_ones(ranks: int) -> None:
    """From the same seed, the layer begins with torch's values, and leaves the generator where torch's does."""
    torch.manual_seed(3)
    expected = torch.nn.MultiheadAttention(6, 3, kdim=4).state_dict()
    after = torch.rand(())

    def main(world: World) -> torch.Tensor:
        domain = DistributedSpace(Grid(world, p=ranks), (5, 6), "float32", p=Split(0))
        keys = DistributedSpace(domain.grid, (2, 4), "float32", p=Split(0))
        values = DistributedSpace(domain.grid, (2, 6), "float32", p=Split(0))
        if world.rank == 0:
            torch.manual_seed(3)
        layer = nn.MultiheadAttention(6, 3, kdim=4, domain=domain, key_domain=keys, value_domain=values, head_axis="p")
        drawn = torch.rand(()) if world.rank == 0 else after
        state = gather_state(layer)
        assert list(state) == list(expected)
        for name, value in expected.items():
            assert torch.equal(state[name], value)
        return drawn

    assert all(torch.equal(found, after) for found in on_ranks(ranks, main))


@pytest.mark.parametrize("ranks", [1, 2, 3, 4], indirect=True)
def test_its_state_goes_to_any_other_layout(ranks: int) -> None:
    """The stacked weight is gathered as torch's, and loaded with heads elsewhere; other shapes are refused."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (5, 12), p=Split(0))
        first = nn.MultiheadAttention(12, 6, domain=domain, head_axis="p")
        second = nn.MultiheadAttention(12, 6, domain=domain, ring_axis="p")
        state = gather_state(first)
        assert state["in_proj_weight"].shape == (36, 12)
        nn.load_state(second, state)
        x = domain.from_global(normal(0, (5, 12)))
        torch.testing.assert_close(first(x, x, x)[0], second(x, x, x)[0], rtol=1e-12, atol=1e-12)
        state["in_proj_weight"] = state["in_proj_weight"].reshape(3, 12, 12)
        with pytest.raises(SpaceError, match=r"in_proj_weight to have shape \(36, 12\), found \(3, 12, 12\)"):
            nn.load_state(second, state)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [1, 2, 4], indirect=True)
@pytest.mark.parametrize("way", [{"head_axis": "p"}, {"ring_axis": "p"}, {}])
@pytest.mark.parametrize("role", [Split(0), Replicated()])
def test_dropout(ranks: int, way: dict[str, str], role: Role) -> None:
    """A quarter of the weights is dropped, on every rank others; where all store the output, it is the same."""
    identity = {
        "in_proj_weight": torch.zeros(24, 8),  # all keys have the same weight, and all values are one
        "in_proj_bias": torch.cat([torch.zeros(16), torch.ones(8)]),
        "out_proj.weight": torch.eye(8),
        "out_proj.bias": torch.zeros(8),
    }

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (40, 8), p=role)
        layer = nn.MultiheadAttention(8, 4, 0.25, domain=domain, **way)
        nn.load_state(layer, identity)
        x = torch.ones(10, *domain.shape, dtype=torch.float64)
        whole = domain.to_global(layer(x, x, x)[0].detach())  # raises where replicas differ
        kept = whole[..., ::2] * (40 * 0.75)
        torch.testing.assert_close(kept, kept.round(), rtol=0, atol=1e-9)
        # The mean of 64 000 numbers of variance 3/16 has a standard deviation of 0.0017.
        assert abs(kept.mean() / 40 - 0.75) < 0.01
        sequences = kept.movedim(1, 0).flatten(1)
        assert len({tuple(row.tolist()) for row in sequences}) == 40
        layer.eval()
        torch.testing.assert_close(layer(x, x, x)[0], x, rtol=1e-12, atol=0)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
def test_queries_that_see_nothing(ranks: int) -> None:
    """They give zeros before the last projection, on every way."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (4, 6), p=Split(0))
        x = domain.from_global(normal(0, (4, 6)))
        mask = torch.ones(4, 4, dtype=torch.bool)
        for way in ({"head_axis": "p"}, {"ring_axis": "p"}, {}):
            layer = nn.MultiheadAttention(6, 3, domain=domain, **way)
            assert not layer(x, x, x, attn_mask=mask)[0].any()

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
@pytest.mark.parametrize(
    ("role", "arguments", "complaint"),
    [
        (Split(1), {}, "along the heads' axis only, found p="),
        (Copies(), {}, "each entry once"),
        (Split(0), {"head_axis": "q"}, "no axis 'q'"),
        (Split(0), {"head_axis": "p", "ring_axis": "p"}, "two axes"),
        (Split(0), {"ring_axis": "one"}, "along it only, found p="),
        (Split(0), {"embed_dim": 5}, r"domain of shape \(4, 5\)"),
        (Split(0), {"num_heads": 4}, "divisible"),
        (Split(0), {"kdim": 5}, r"key_domain of shape \(4, 5\)"),
        (Split(0), {"batch_first": False}, "batch_first=True"),
        (Split(0), {"add_bias_kv": True}, "add_bias_kv=False"),
        (Split(0), {"add_zero_attn": True}, "add_zero_attn=False"),
        (Split(0), {"dropout": 2.0}, "dropout probability"),
    ],
)
def test_what_cannot_be(ranks: int, role: Role, arguments: dict[str, Any], complaint: str) -> None:
    """A layer that cannot be is refused when it is built, on every rank, and the error names it."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks, one=1), (4, 6), p=role, one=Replicated())
        with pytest.raises(SpaceError, match=f"MultiheadAttention on .*{complaint}"):
            nn.MultiheadAttention(**{"embed_dim": 6, "num_heads": 3, **arguments}, domain=domain)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"need_weights": True}, "need_weights=False"),
        (
            {"attn_mask": torch.ones(4, 3, dtype=torch.bool)},
            r"attn_mask of shape \(4, 4\) or \(3, 4, 4\), found \(4, 3\)",
        ),
        ({"key_padding_mask": torch.ones(2, 4)}, r"key_padding_mask of shape \(4,\)"),
        ({"attn_mask": torch.ones(4, 4, dtype=torch.int64)}, "bool or floating-point"),
        ({"attn_mask": torch.ones(4, 4, requires_grad=True)}, "without gradient"),
    ],
)
def test_what_cannot_be_asked(ranks: int, arguments: dict[str, Any], complaint: str) -> None:
    """Masks that do not fit, and weights, are refused in a call, on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (4, 6), p=Split(0))
        layer = nn.MultiheadAttention(6, 3, domain=domain)
        x = torch.ones(domain.shape, dtype=torch.float64)
        with pytest.raises(SpaceError, match=f"MultiheadAttention: .*{complaint}"):
            layer(x, x, x, **arguments)

    on_ranks(ranks, main)
