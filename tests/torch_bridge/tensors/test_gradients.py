"""Sums of gradients travel while the backward pass computes; whoever looks at a gradient sees that of one process."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from distdl_ops import AgreementError, Copies, DistributedSpace, Grid, Replicated, Split, World
from distdl_ops.testing import on_ranks
from torch_bridge.tensors import DistributedTensor, distribute, distribute_tensor, gradients

several = pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
together = pytest.mark.parametrize("limit", [1, 300, gradients.TOGETHER])
"""Bytes from which gradients travel: each alone, some together, all of them together."""

LAYOUTS: list[dict[str, dict[str, Any]]] = [{}, {"*": {"data": Split(0)}}, {"1.*": {"data": Split(0)}}]
"""Weights that every rank has; split ones; both."""


class Twice(nn.Module):
    """A layer that is used two times."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layer of the layer."""
        return self.layer(torch.sin(self.layer(x)))  # type: ignore[no-any-return]


def net() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Linear(5, 6), Twice(), nn.Tanh(), nn.LayerNorm(6), nn.Linear(6, 7), nn.Linear(7, 1)
    ).double()


def samples() -> torch.Tensor:
    return torch.randn(8, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


def whole(x: Any) -> torch.Tensor:
    """Return a tensor as one process has it."""
    return (x.full_tensor().to_local() if isinstance(x, DistributedTensor) else x).detach().clone()


def grads(model: nn.Module) -> list[torch.Tensor]:
    return [torch.zeros(1) if p.grad is None else whole(p.grad) for p in model.parameters()]


def loss(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return model(x).square().sum()  # type: ignore[no-any-return]


# -- programs: what people do with gradients ---------------------------------------------------------------------------


def once(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    loss(model, x).backward()
    return grads(model)


def accumulated(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    for k in range(3):
        (k * loss(model, x)).backward()
    return grads(model)


def asked_for(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    return [whole(g) for g in torch.autograd.grad(loss(model, x), list(model.parameters()))]


def of_some_weights(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    some = list(model.parameters())[1::2]
    loss(model, x).backward(inputs=some)
    return grads(model)


def differentiated_twice(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    first = torch.autograd.grad(loss(model, x), list(model.parameters()), create_graph=True)
    sum(g.square().sum() for g in first).backward()  # type: ignore[union-attr]
    return grads(model)


def kept_graph(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    value = loss(model, x)
    value.backward(retain_graph=True)
    value.backward()
    return grads(model)


def hooked(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    for p in list(model.parameters())[::2]:
        p.register_hook(lambda g: (seen.append(whole(g)), 2 * g)[1])
    loss(model, x).backward()
    return grads(model) + sorted(seen, key=lambda g: float(g.norm()))


def hooked_at_the_node(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    seen: list[torch.Tensor] = []
    nodes = [p.view_as(p).grad_fn.next_functions[0][0] for p in model.parameters()]  # type: ignore[union-attr]
    nodes[0].register_prehook(lambda g: seen.append(torch.tensor(float(g[0].square().sum() > 0))))
    nodes[1].register_hook(lambda *_: seen.append(torch.tensor(float(model[0].bias.grad is not None))))
    loss(model, x).backward()
    return grads(model) + seen


def stepped_in_the_pass(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    def step(p: torch.Tensor) -> None:
        assert p.grad is not None
        with torch.no_grad():
            p.sub_(p.grad)
        p.grad = None

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(step)
    loss(model, x).backward()
    return [whole(p) for p in model.parameters()]


def checkpointed(model: nn.Sequential, x: torch.Tensor, *, reentrant: bool = False) -> list[torch.Tensor]:
    y = checkpoint(model[1:4], model[0](x), use_reentrant=reentrant)
    model[4:](y).square().sum().backward()
    return grads(model)


def checkpointed_reentrant(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    return checkpointed(model, x, reentrant=True)


def after_an_error(model: nn.Sequential, x: torch.Tensor) -> list[torch.Tensor]:
    def refuse(_: torch.Tensor) -> None:
        raise KeyError("a hook")

    y = model[0](x)
    y.register_hook(refuse)
    with pytest.raises(KeyError, match="a hook"):
        model[1:](y).square().sum().backward()
    model.zero_grad()
    loss(model, x).backward()
    return grads(model)


PROGRAMS = [
    once,
    accumulated,
    asked_for,
    of_some_weights,
    differentiated_twice,
    kept_graph,
    hooked,
    hooked_at_the_node,
    stepped_in_the_pass,
    checkpointed,
    checkpointed_reentrant,
    after_an_error,
]

Program = Callable[[nn.Sequential, torch.Tensor], list[torch.Tensor]]


def beside_one_process(ranks: int, program: Program, layouts: dict[str, Any], hosts: tuple[int, ...] = ()) -> None:
    """Assert that a program finds what it finds on plain tensors."""

    def main(world: World) -> list[torch.Tensor]:
        if hosts:
            world.simulation.hosts = hosts  # type: ignore[attr-defined]
        grid = Grid(world, data=world.size)
        return program(distribute(net(), grid, layouts), distribute_tensor(samples(), grid, data=Split(0)))

    expected = program(net(), samples())
    for found in on_ranks(ranks, main):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)  # sums of dozens of terms, reordered


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("layouts", LAYOUTS, ids=["replicated", "split", "both"])
def test_gradients_are_those_of_one_process(ranks: int, program: Program, layouts: dict[str, Any]) -> None:
    """Whatever is done with gradients, of which some travel alone and some together."""
    with mock.patch.object(gradients, "TOGETHER", 300):
        beside_one_process(ranks, program, layouts)


@several
@together
@pytest.mark.parametrize("layouts", LAYOUTS, ids=["replicated", "split", "both"])
def test_gradients_that_travel_together(ranks: int, layouts: dict[str, Any], limit: int) -> None:
    """However many travel together, and whether a split weight's is among them."""
    with mock.patch.object(gradients, "TOGETHER", limit), mock.patch.object(gradients, "SUMMED_WHOLE", 60):
        beside_one_process(ranks, accumulated, layouts)


@pytest.mark.serial
@pytest.mark.parametrize("limit", [1, 300])
@pytest.mark.parametrize("hosts", [(0, 0, 1, 1), (0, 1, 1, 0), (0, 1, 2, 3), (0, 0, 1, 2), (0, 0, 1, 1, 2, 2)])
@pytest.mark.parametrize("layouts", LAYOUTS, ids=["replicated", "split", "both"])
def test_on_several_hosts(hosts: tuple[int, ...], layouts: dict[str, Any], limit: int) -> None:
    """So they are where ranks are on several hosts."""
    with mock.patch("distdl_ops.movement.summation.SMALL", 16), mock.patch.object(gradients, "TOGETHER", limit):
        beside_one_process(len(hosts), accumulated, layouts, hosts)


@several
@pytest.mark.parametrize("layouts", LAYOUTS[:2], ids=["replicated", "split"])
def test_gradients_are_under_way_while_the_pass_goes_on(ranks: int, layouts: dict[str, Any]) -> None:
    """The last layer's leave before the first layer's are computed, and nobody waits for them until the pass ends."""

    def main(world: World) -> tuple[int, bool, bool]:
        grid = Grid(world, data=world.size)
        model = distribute(net(), grid, layouts, reshard=False)
        value = model[0](distribute_tensor(samples(), grid, data=Split(0)))
        value.register_hook(lambda _: seen.extend((world.traffic.messages, model[5].weight.grad)))
        value = model[1:](value).square().sum()
        seen: list[Any] = []
        before = world.traffic.messages
        value.backward()
        return seen[0] - before, seen[1] is None, model[5].weight.grad is not None

    with mock.patch.object(gradients, "TOGETHER", 1):
        for sent, under_way, arrived in on_ranks(ranks, main):
            assert sent >= 2 * (ranks - 1)
            assert under_way
            assert arrived


@several
@pytest.mark.parametrize("ahead", [0, 8 * 6 * 5, 1 << 20])
def test_weights_are_gathered_ahead(ranks: int, ahead: int) -> None:
    """While the backward pass computes with one weight, the next one is on its way, if the memory limit allows it."""

    def main(world: World) -> tuple[int, list[torch.Tensor]]:
        grid = Grid(world, data=world.size)
        model = distribute(net(), grid, {"*.weight": {"data": Split(0)}}, ahead=ahead)
        needed = model[0].weight._placement.state.needed
        most = 0

        def count(_: Any) -> None:
            nonlocal most
            most = max(most, sum(one._started is not None for call in needed for one in call))

        x = distribute_tensor(samples(), grid, data=Split(0))
        for layer in model:
            x = layer(x)
            x.register_hook(count)
        x.square().sum().backward()
        assert not needed
        return most, grads(model)

    expected = once(net(), samples())
    for most, found in on_ranks(ranks, main):
        assert most == (1 if ahead else 0)
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@several
def test_small_gradients_are_one_message(ranks: int) -> None:
    """A model's small gradients are one message to each other rank, split weights' among them."""

    def main(world: World) -> int:
        grid = Grid(world, data=world.size)
        model = distribute(net(), grid, {"1.*": {"data": Split(0)}}, reshard=False)
        value = loss(model, distribute_tensor(samples(), grid, data=Split(0)))
        before = world.traffic.messages
        value.backward()
        return world.traffic.messages - before

    assert on_ranks(ranks, main) == [ranks - 1] * ranks


@several
@together
def test_another_order_is_an_error(ranks: int, limit: int) -> None:
    """Ranks whose gradients come in another order raise the same error; afterwards gradients are right."""

    def main(world: World) -> tuple[str, list[torch.Tensor]]:
        grid = Grid(world, data=world.size)
        model = distribute(net(), grid)
        x = distribute_tensor(samples(), grid, data=Split(0))
        layers = [nn.Linear(5, 5, bias=False, dtype=torch.float64) for _ in range(2)]
        pair = [distribute(layer, grid) for layer in layers]
        with pytest.raises(AgreementError) as caught:  # noqa: PT012
            values = [layer(x).square().sum() for layer in pair]
            for value in values if world.rank else reversed(values):
                value.backward()
            world.allgather(0, "the next operation")
        return str(caught.value), once(model, x)

    expected = once(net(), samples())
    with mock.patch.object(gradients, "TOGETHER", limit):
        results = on_ranks(ranks, main)
    assert len({message for message, _ in results}) == 1
    assert "backward pass of" in results[0][0]
    for _, found in results:
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@several
def test_another_order_behind_the_first_gradient_is_an_error(ranks: int) -> None:
    """Gradients that travel together are told apart one by one: here the first is the same on all ranks, no other."""

    def main(world: World) -> str:
        grid = Grid(world, data=world.size)
        x = distribute_tensor(samples(), grid, data=Split(0))
        layers = [distribute(nn.Linear(5, 5, bias=False, dtype=torch.float64), grid) for _ in range(3)]
        results = {k: layers[k](x) for k in ([1, 0, 2] if world.rank else [0, 1, 2])}
        with pytest.raises(AgreementError) as caught:  # noqa: PT012
            torch.autograd.backward([results[k] for k in range(3)], [x] * 3)
            world.allgather(0, "the next operation")
        return str(caught.value)

    messages = on_ranks(ranks, main)
    assert len(set(messages)) == 1
    assert "gradients after it" in messages[0]


@several
def test_an_error_on_one_rank_while_gradients_travel(ranks: int) -> None:
    """A rank that raises in its backward pass leaves nobody waiting: all others raise, in words."""

    def main(world: World) -> str:
        grid = Grid(world, data=world.size)
        model = distribute(net(), grid)
        y = model[0](distribute_tensor(samples(), grid, data=Split(0)))

        def refuse(_: torch.Tensor) -> None:
            if world.rank == 0:
                raise KeyError("only here")

        y.register_hook(refuse)
        try:
            model[1:](y).square().sum().backward()
        except KeyError:
            with pytest.raises(AgreementError) as caught:
                world.allgather(0, "what this rank does next")
            return str(caught.value)
        except AgreementError as error:
            return str(error)
        raise AssertionError("no rank goes on alone")

    with mock.patch.object(gradients, "TOGETHER", 100):
        (message,) = set(on_ranks(ranks, main))
    assert "what this rank does next" in message
    assert "gradients" in message


@several
def test_ranks_outside_of_the_grid(ranks: int) -> None:
    """Ranks that hold nothing take no part, and have a gradient of size zero."""

    def main(world: World) -> list[list[float]]:
        grid = Grid(world, data=1)
        space = DistributedSpace(grid, (2, 3), "float64", data=Replicated())
        x = DistributedTensor.from_local(torch.ones(space.shape, dtype=torch.float64), space)
        leaf = DistributedTensor.from_local(torch.ones(space.shape, dtype=torch.float64), space).detach()
        leaf.requires_grad_()
        y = leaf.redistribute(data=Copies()).to_local() * x.to_local()
        y.backward(torch.ones_like(y))
        return leaf.grad.to_local().tolist()  # type: ignore[union-attr, operator, no-any-return]

    first, *others = on_ranks(ranks, main)
    assert first == [[1.0] * 3] * 2
    assert others == [[]] * (ranks - 1)
