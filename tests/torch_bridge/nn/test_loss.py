"""Distributed losses equal torch's, in value and in all gradients, on every rank."""

import warnings
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import Copies, DistributedSpace, Grid, Replicated, Split, World
from distdl_ops.testing import grids, on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import nn
from torch_bridge.testing import CLOSE, layouts, normal

ENTRYWISE: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "MSELoss": ({}, lambda x: x, lambda t: t),
    "L1Loss": ({}, lambda x: x, lambda t: t),
    "HuberLoss": ({"delta": 0.7}, lambda x: x, lambda t: t),
    "SmoothL1Loss": ({"beta": 0.7}, lambda x: x, lambda t: t),
    "BCELoss": ({}, torch.sigmoid, torch.sigmoid),
    "BCEWithLogitsLoss": ({}, lambda x: x, torch.sigmoid),
    "KLDivLoss": ({"log_target": True}, lambda x: x, lambda t: t),
}
"""Arguments, and what makes inputs and targets of any numbers."""


def check(world: World, layer: Any, whole: torch.nn.Module, domain: DistributedSpace, x: Any, targets: Any) -> None:
    """Hold a loss against the sequential one; `targets` are this rank's and all of them."""
    part, x = domain.from_global(x).requires_grad_(), x.clone().requires_grad_()
    own, everyones = targets
    value, found = whole(x, everyones), layer(part, own)
    if layer.reduction == "none":
        places = value.ndim - (x.ndim - domain.ndim)
        cotangent = normal(3, tuple(value.shape))
        space = domain if places == domain.ndim else None
        if space is None:  # the losses of places are replicated along the grid axes of the classes
            roles = {n: Replicated() if isinstance(r, Split) and r.axis == 0 else r for n, r in domain.roles.items()}
            alone = DistributedSpace(domain.grid, (1, *domain.global_shape[1:]), **roles)
            axis = x.ndim - domain.ndim

            def part_of(tensor: torch.Tensor) -> torch.Tensor:
                return alone.from_global(tensor.unsqueeze(axis)).sum(axis)
        else:
            part_of = domain.from_global
        torch.testing.assert_close(found.detach(), part_of(value.detach()), **CLOSE)
        found.backward(part_of(cotangent))
        value.backward(cotangent)
    else:
        torch.testing.assert_close(found.detach(), value.detach(), **CLOSE)
        assert len({v.item() for v in world.allgather(found.detach(), "loss")}) == 1
        (2 * found).backward()
        (2 * value).backward()
    torch.testing.assert_close(part.grad, domain.from_global(x.grad), **CLOSE)


@pytest.mark.parametrize("name", list(ENTRYWISE))
@given(st.data(), world_sizes(), st.sampled_from([(), (3,), (2, 1)]))
def test_losses_of_entries(name: str, data: st.DataObject, size: int, batch: tuple[int, ...]) -> None:
    """Means, sums, and losses without reduction."""
    shape = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    arguments, of_input, of_target = ENTRYWISE[name]
    words = ["mean", "sum", "none", *["batchmean"] * (name == "KLDivLoss")]
    arguments = {**arguments, "reduction": data.draw(st.sampled_from(words))}
    x, target = of_input(normal(0, (*batch, *shape))), of_target(normal(1, (*batch, *shape)))

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, name)(**arguments, domain=domain)
        targets = (domain.from_global(target), target)
        check(world, layer, getattr(torch.nn, name)(**arguments), domain, x, targets)

    with warnings.catch_warnings():  # torch: this mean is none of divergences, that is why there is "batchmean"
        warnings.filterwarnings("ignore", ".*batchmean.*")
        on_ranks(size, main)


@pytest.mark.parametrize("name", ["CrossEntropyLoss", "NLLLoss"])
@given(st.data(), world_sizes(), st.booleans())
def test_losses_of_classes(name: str, data: st.DataObject, size: int, weighted: bool) -> None:
    """Classes and places are split in any intervals; weights, ignored places, and smoothed labels."""
    shape = (data.draw(st.integers(1, 6)), *data.draw(st.lists(st.integers(1, 4), max_size=2)))
    axes = data.draw(grids(size, 2))
    roles = data.draw(layouts(axes, shape, range(len(shape))))
    arguments: dict[str, Any] = {
        "weight": normal(5, shape[:1]).abs() if weighted else None,
        "reduction": data.draw(st.sampled_from(["mean", "sum", "none"])),
        "ignore_index": data.draw(st.sampled_from([-100, 0])),
    }
    if name == "CrossEntropyLoss":
        arguments["label_smoothing"] = data.draw(st.sampled_from([0.0, 0.3]))
    batch = 3
    x = normal(0, (batch, *shape)) * data.draw(st.sampled_from([1, 300]))
    draw = torch.Generator().manual_seed(data.draw(st.integers(0, 9)))
    target = torch.randint(shape[0], (batch, *shape[1:]), generator=draw)
    if arguments["ignore_index"] == 0 and shape[0] > 1:
        target[0] = 1  # something is left
    elif arguments["ignore_index"] == 0:
        arguments["ignore_index"] = -100

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, **axes), shape, **roles)
        layer = getattr(nn, name)(**arguments, domain=domain)
        own = target
        if len(shape) > 1:
            here = domain.layout.intervals_at(world.rank) or ((0, 0),) * len(shape)
            own = target[(slice(None), *(slice(*interval) for interval in here[1:]))]
        check(world, layer, getattr(torch.nn, name)(**arguments), domain, x, (own, target))

    on_ranks(size, main)


def test_scores_that_rule_classes_out(ranks: int) -> None:
    """A score of minus infinity, on any rank, excludes its class, and gives no gradient."""
    x = normal(0, (2, 5))
    x[:, [0, 4]] = -torch.inf
    target = torch.tensor([1, 3])

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (5,), p=Split(0))
        check(world, nn.CrossEntropyLoss(domain=domain), torch.nn.CrossEntropyLoss(), domain, x, (target, target))

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
def test_arguments_that_do_not_fit(ranks: int) -> None:
    """The error names the loss, on every rank; also of a target on one rank that is no class."""

    def main(world: World) -> None:
        domain = DistributedSpace(Grid(world, p=ranks), (4, 6), p=Split(1))
        for build, complaint in (
            (lambda: nn.MSELoss(reduction="most", domain=domain), "MSELoss on .*reduction"),
            (lambda: nn.MSELoss(domain=domain.with_roles(p=Copies())), "MSELoss on .*each entry once"),
            (lambda: nn.NLLLoss(torch.ones(3), domain=domain), "NLLLoss.*4 classes"),
        ):
            with pytest.raises(SpaceError, match=complaint):
                build()
        target = torch.full((2, *domain.shape[1:]), 4 if world.rank == 1 else 3)
        with pytest.raises(SpaceError, match="targets from 0 to 3"):
            nn.CrossEntropyLoss(domain=domain)(torch.zeros((2, *domain.shape)), target)
        with pytest.raises(SpaceError, match="probabilities are not taken"):
            nn.CrossEntropyLoss(domain=domain)(torch.zeros((2, *domain.shape)), torch.zeros((2, *domain.shape)))

    on_ranks(ranks, main)
