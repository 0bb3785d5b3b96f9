"""Distributed dropout: replicas drop the same entries, parts their own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedSpace, Grid, Replicated, Split, World
from distdl_ops.testing import grids, on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import layouts, normal


@given(st.data(), world_sizes(), st.sampled_from([0.0, 0.4, 1.0]), st.integers(0, 3), st.booleans())
def test_dropout(data: st.DataObject, size: int, p: float, spatial: int, inplace: bool) -> None:
    """Replicas agree, all ranks drop the same channels, what is left is scaled, and so are the gradients."""
    shape = (3, *(data.draw(st.integers(1, 4)) for _ in range(spatial)))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    whole = data.draw(st.booleans()) and spatial > 0
    x = normal(0, (2, *shape))

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, f"Dropout{spatial}d" if whole else "Dropout")(p, inplace, domain=domain)
        part = domain.from_global(x).requires_grad_()
        for _ in range(2):
            part.grad = None
            y = layer(part.clone())
            y.sum().backward()
            mask = domain.to_global(part.grad)  # raises where replicas differ
            assert set(mask.unique().tolist()) <= ({0.0, 1 / (1 - p)} if p < 1 else {0.0})
            assert torch.equal(y.detach(), domain.from_global(x * mask))
            if whole:
                assert torch.equal(mask, mask.flatten(2)[..., 0].reshape(2, 3, *(1,) * spatial).expand_as(mask))
        assert torch.equal(layer.eval()(part.detach().clone()), domain.from_global(x))

    on_ranks(size, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_parts_differ_and_replicas_agree(ranks: int) -> None:
    """Parts and copies draw numbers of their own, replicas the same; every call and every layer draws new ones."""

    def main(world: World) -> list[list[float]]:
        grid = Grid(world, p=ranks)
        ones = torch.ones(200, dtype=torch.float64)
        found = []
        for role in (Replicated(), Copies(), Split(0)):
            domain = DistributedSpace(grid, (200 * (ranks if isinstance(role, Split) else 1),), p=role)
            layer = nn.Dropout(domain=domain)
            found += [layer(ones).tolist(), layer(ones).tolist()]
        return found

    everyones = on_ranks(ranks, main)
    for call in range(6):
        # Two masks of 200 entries are the same with a probability of 2 ** -200.
        different = {tuple(found[call]) for found in everyones}
        assert len(different) == (1 if call < 2 else ranks)
    assert len({tuple(mask) for mask in everyones[0]}) == 6


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_how_many_are_dropped(p: float) -> None:
    """As many as p says: 6 standard deviations are missed once in 500 million times."""

    def main(world: World) -> int:
        domain = DistributedSpace(Grid(world, p=world.size), (40_000,), p=Split(0))
        y = nn.Dropout(p, domain=domain)(torch.ones(domain.shape, dtype=torch.float64))
        return int((y == 0).sum())

    dropped = sum(on_ranks(2, main))
    assert abs(dropped - 40_000 * p) < 6 * (40_000 * p * (1 - p)) ** 0.5


def test_streams_follow_from_the_seed(ranks: int) -> None:
    """From the same seed of torch's generator, every rank drops the same entries again."""

    def main(world: World) -> list[float]:
        domain = DistributedSpace(Grid(world, p=ranks), (100,), p=Split(0))
        return nn.Dropout(domain=domain)(torch.ones(domain.shape, dtype=torch.float64)).tolist()

    torch.manual_seed(5)
    first = on_ranks(ranks, main)
    torch.manual_seed(5)
    assert on_ranks(ranks, main) == first
    assert on_ranks(ranks, main) != first


def test_arguments_that_do_not_fit(ranks: int) -> None:
    """What is no probability, or no image, is refused, on every rank."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (4, 6), p=Split(1))
        with pytest.raises(ValueError, match="probability"):
            nn.Dropout(1.5, domain=domain)
        with pytest.raises(SpaceError, match=r"Dropout2d on .*2 spatial axes"):
            nn.Dropout2d(domain=domain)

    on_ranks(ranks, main)
