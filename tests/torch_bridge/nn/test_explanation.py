"""An explanation of a model has every movement in it, with what it costs in both directions."""

import torch

from distdl_ops import Copies, DistributedSpace, Grid, Movement, Shift, Split, World
from distdl_ops.testing import on_ranks
from linop import cost
from torch_bridge import Operator, nn


def test_every_movement_is_told_once(ranks: int) -> None:
    """With its costs, in the layer that it belongs to; and they add up."""

    def main(world: World) -> None:
        images = DistributedSpace(Grid(world, p=ranks), (3, 9, 8), "float32", p=Split(1))
        conv = nn.Conv2d(3, 4, 3, domain=images)
        pool = nn.LPPool2d(2, 3, 1, domain=conv.codomain)
        norm = nn.BatchNorm2d(4, domain=pool.codomain)
        turn = Operator(Movement(norm.codomain, norm.codomain.with_roles(p=Split(0))))
        model = torch.nn.Sequential(torch.nn.Sequential(conv, torch.nn.ReLU(), pool), norm, turn)
        found = nn.explain(model)
        assert [(layer.name, layer.kind) for layer in found.layers] == [
            ("0.0", "Conv2d"),
            ("0.2", "LPPool2d"),
            ("1", "BatchNorm2d"),
            ("2", "Operator"),
        ]
        assert [layer.codomain for layer in found.layers[:3]] == [conv.codomain, pool.codomain, norm.codomain]
        steps = {f"{layer.name}.{s.name}".rstrip("."): s for layer in found.layers for s in layer.steps}
        expected = nn.movements(model)
        assert {name: step.operator for name, step in steps.items()} == expected
        for name, step in steps.items():
            for one, operator in ((step.forward, expected[name]), (step.backward, expected[name].dual)):
                assert (one.messages, one.sent) == (cost(operator).messages, cost(operator).sent)
        assert found.forward.sent == sum(step.forward.sent for step in steps.values())
        assert found.backward.messages == sum(step.backward.messages for step in steps.values())
        told = ["0.0 (Conv2d) -> (4, 7, 6) p=Split(1)", "together", *(str(step.operator) for step in steps.values())]
        assert not [word for word in told if word not in str(found)]

    on_ranks(ranks, main)


def test_data_parallel(ranks: int) -> None:
    """Copies of weights are told: an all-gather forward, a reduce-scatter backward, of each parameter."""

    def main(world: World) -> None:
        model = nn.DataParallel(torch.nn.Linear(12, 12, bias=False), grid=Grid(world, p=ranks), p=Split(0))
        ((step,),) = [layer.steps for layer in nn.explain(model).layers]
        assert step.name == "weight"
        assert step.operator.codomain.roles == {"p": Copies()}
        assert step.forward.sent == step.backward.sent == 4 * 144 // ranks * (ranks - 1)

    on_ranks(ranks, main)


def test_rings(ranks: int) -> None:
    """Other operators than movements are told, too: here the shift of keys and values."""

    def main(world: World) -> None:
        x = DistributedSpace(Grid(world, p=ranks), (8, 8), p=Split(0))
        (layer,) = nn.explain(nn.MultiheadAttention(8, 2, domain=x, ring_axis="p")).layers
        shifts = [step for step in layer.steps if isinstance(step.operator, Shift)]
        assert ranks == 1 or shifts
        assert all(step.forward.messages == 1 for step in shifts)

    on_ranks(ranks, main)


def test_what_overlaps_is_told_once(ranks: int) -> None:
    """A layer that computes while messages travel sends what it sends otherwise."""

    def main(world: World) -> None:
        grid = Grid(world, p=ranks)
        x, images = DistributedSpace(grid, (8, 8), p=Split(0)), DistributedSpace(grid, (1, 9, 9), p=Split(1))
        told = [
            nn.explain(layer)
            for overlap in (False, True)
            for layer in (
                nn.MultiheadAttention(8, 2, domain=x, ring_axis="p", overlap=overlap),
                nn.Conv2d(1, 1, 3, domain=images, overlap=overlap),
            )
        ]
        assert [str(found) for found in told[2:]] == [str(found) for found in told[:2]]

    on_ranks(ranks, main)


def test_nothing_to_tell() -> None:
    """Of a model without distributed layers."""
    found = nn.explain(torch.nn.Sequential(torch.nn.Linear(1, 1)))
    assert found.layers == ()
    assert found.forward.messages == found.backward.messages == 0
