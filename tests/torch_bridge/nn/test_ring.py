"""Parts that travel round a ring: everyone sees all of them, and their gradients come home."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedSpace, Grid, Replicated, World
from distdl_ops.testing import on_ranks, splits, world_sizes
from torch_bridge.nn.ring import Ring
from torch_bridge.testing import normal


@given(st.data(), world_sizes(), st.booleans())
def test_ring(data: st.DataObject, size: int, overlap: bool) -> None:
    """In any intervals, parts come in the order of the ring, with their spaces; gradients are sums over all ranks.

    Also where a rank makes no use of what passes by.
    """
    p = data.draw(st.integers(1, size))
    extent = data.draw(st.integers(0, 6))
    split = data.draw(splits(0, extent, p, once=True))
    lazy = data.draw(st.integers(0, p - 1))

    def main(world: World) -> None:
        grid = Grid(world, p=p, q=size // p)
        domain = DistributedSpace(grid, (extent, 2), p=split, q=Replicated())
        ring = Ring(domain, "p", overlap)
        whole, weights = normal(0, (3, extent, 2)), normal(1, (p, 3, extent, 2))
        x = domain.from_global(whole).requires_grad_()
        here = grid.coordinates["p"] if grid.coordinates else None
        seen = torch.zeros((), dtype=torch.float64)
        for space, part in zip(ring.spaces, ring(x), strict=True):
            assert torch.equal(part, space.from_global(whole))
            used = part * space.from_global(weights[here]) if here not in (None, lazy) else part.reshape(-1)[:0]
            seen = seen + used.sum()
        seen.backward()
        expected = weights.sum(0) - weights[lazy]
        torch.testing.assert_close(x.grad, domain.from_global(expected), rtol=1e-13, atol=1e-13)

    on_ranks(size, main)


def test_without_an_axis() -> None:
    """Only the own part passes by."""

    def main(world: World) -> None:
        x = torch.ones(2)
        (found,) = Ring(DistributedSpace(Grid(world, p=world.size), (2,), p=Copies()), None)(x)
        assert found is x

    on_ranks(1, main)
