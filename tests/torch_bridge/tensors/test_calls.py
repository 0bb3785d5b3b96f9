"""Ranks never exchange numbers of different calls of distributed tensors: another block, another order, one left out.

Each program is run on simulated ranks, or on those of a job; rank 0 differs from the others.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

from distdl_ops import AgreementError, DistributedSpace, Grid, Split, World, simulate
from distdl_ops.testing import on_ranks
from torch_bridge.tensors import DistributedTensor, distribute, distribute_tensor

several = pytest.mark.parametrize("ranks", [2, 3], indirect=True)


def leaf(world: World) -> Any:
    return distribute_tensor(torch.ones(6, 6), Grid(world, p=world.size), p=Split(0)).requires_grad_()


def turned(x: Any) -> Any:
    return x.redistribute(p=Split(1)) * 2


def linear(weight: Any) -> Any:
    return F.linear(distribute_tensor(torch.ones(6, 6), weight.space.grid, p=Split(0)), weight)


def row_product(weight: Any) -> Any:
    x = distribute_tensor(torch.ones(6, 6), weight.space.grid, p=Split(1))
    return F.linear(x, weight.redistribute(p=Split(1))) ** 2


FUNCTIONS = [turned, linear, row_product]


def use_one_of_two_results(world: World, f: Callable[[Any], Any], odd: bool) -> None:
    a, b = f(leaf(world)), f(leaf(world))
    (a if odd else b).sum().backward()


def differentiate_in_another_order(world: World, f: Callable[[Any], Any], odd: bool) -> None:
    a, b = (f(leaf(world)).sum() for _ in range(2))
    for loss in (a, b) if odd else (b, a):
        loss.backward()


def leave_out_a_block(world: World, f: Callable[[Any], Any], odd: bool) -> None:
    leaves = [leaf(world) for _ in range(3)]
    for k in (0, 2) if odd else (0, 1):
        f(leaves[k]).sum().item()


def take_blocks_in_another_order(world: World, f: Callable[[Any], Any], odd: bool) -> None:
    one, other = leaf(world), leaf(world)
    for x in (one, other) if odd else (other, one):
        f(x)


def leave_out_a_backward_pass(world: World, f: Callable[[Any], Any], odd: bool) -> None:
    for k in range(2):
        loss = f(leaf(world)).sum()
        if k or odd:
            loss.backward()


def call_another_function_before(world: World, f: Callable[[Any], Any], odd: bool) -> None:
    x = leaf(world)
    f(torch.sin(x) if odd else torch.cos(x))


PROGRAMS = [
    use_one_of_two_results,
    differentiate_in_another_order,
    leave_out_a_block,
    take_blocks_in_another_order,
    leave_out_a_backward_pass,
    call_another_function_before,
]


@several
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_calls_that_differ(ranks: int, program: Callable[..., None], function: Callable[[Any], Any]) -> None:
    """All ranks raise the same error, which names the calls; afterwards, values and gradients are right."""

    def main(world: World) -> tuple[str, list[float]]:
        with pytest.raises(AgreementError) as caught:  # noqa: PT012
            program(world, function, world.rank == 0)
            world.allgather(0, "the next operation")
        x = leaf(world)
        (function(x).sum() * 3).backward()
        return str(caught.value), x.grad.full_tensor().to_local().tolist()

    results = on_ranks(ranks, main)
    assert len({message for message, _ in results}) == 1
    assert " of function " in results[0][0]
    x = torch.ones(6, 6, requires_grad=True)
    product = F.linear(torch.ones(6, 6), x)
    y = {turned: x * 2, linear: product, row_product: product**2}[function]
    (y.sum() * 3).backward()
    assert x.grad is not None
    assert all(gradient == x.grad.tolist() for _, gradient in results)


@several
def test_the_name_of_a_weight(ranks: int) -> None:
    """The error names the weights of the layers that ranks were in."""

    def main(world: World) -> str:
        net = torch.nn.Sequential(*(torch.nn.Linear(6, 6) for _ in range(3)))
        distribute(net, Grid(world, p=world.size), parameters={"*.weight": {"p": Split(0)}})
        space = DistributedSpace(Grid(world, p=world.size), (2 * world.size, 6), "float32", p=Split(0))
        x = DistributedTensor.from_local(torch.ones(2, 6), space)
        with pytest.raises(AgreementError) as caught:  # noqa: PT012
            net[2 if world.rank == 0 else 1](x)
            world.allgather(0, "the next operation")
        return str(caught.value)

    messages = on_ranks(ranks, main)
    assert len(set(messages)) == 1
    assert "(1.weight)" in messages[0]
    assert "(2.weight)" in messages[0]


@pytest.mark.serial
@pytest.mark.parametrize("samples", [1, 3])
def test_a_checkpoint_runs_again_on_all_ranks(samples: int) -> None:
    """Also on ranks that have no sample: what the others send when they compute again is expected."""
    layer = torch.nn.Sequential(torch.nn.Conv1d(1, 2, 3, padding=1), torch.nn.Tanh(), torch.nn.Conv1d(2, 1, 3)).double()
    x = torch.arange(6.0 * samples).double().reshape(samples, 1, 6).sin()
    expected = torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))

    def main(world: World) -> None:
        grid = Grid(world, data=2, rows=2)
        model = distribute(copy.deepcopy(layer), grid)
        part = distribute_tensor(x, grid, data=Split(0), rows=Split(2)).requires_grad_()
        checkpoint(model, part, use_reentrant=False).square().sum().backward()
        for p, gradient in zip(model.parameters(), expected, strict=True):
            torch.testing.assert_close(p.grad.full_tensor().to_local(), gradient)  # type: ignore[union-attr]

    simulate(4, main)


ARGUMENTS: list[Callable[[Any, int], Any]] = [
    lambda x, k: x * (2.0 + k),
    lambda x, k: x * (-1 - k),
    lambda x, k: torch.add(x, x, alpha=1 + k),
    lambda x, k: x[:, k],
    lambda x, k: x[:, -1 - k],
    lambda x, k: F.dropout(x, 0.2 + 0.1 * k),
    lambda x, k: x.clamp(min=0.1 * k),
    lambda x, k: torch.clamp(x, max=0.1 * k),
    lambda x, k: x.clone().mul_(2 + k),
]


@several
@pytest.mark.parametrize("function", ARGUMENTS)
def test_arguments_that_differ(ranks: int, function: Callable[[Any, int], Any]) -> None:
    """Where a rank computes with another number, all ranks raise when they next wait, and say that a call differed."""

    def main(world: World) -> str:
        x = distribute_tensor(torch.ones(6, 6), Grid(world, p=world.size), p=Split(0))
        with pytest.raises(AgreementError) as caught:
            function(x, int(world.rank == 0)).sum().item()
        return str(caught.value)

    messages = on_ranks(ranks, main)
    assert len(set(messages)) == 1
    assert "an earlier call differed" in messages[0]


@several
def test_equal_arguments(ranks: int) -> None:
    """Numbers that are equal on all ranks agree, NaN, complex ones and NumPy's too, whichever objects they are."""

    def main(world: World) -> list[complex]:
        x = distribute_tensor(torch.ones(6, 6), Grid(world, p=world.size), p=Split(0))
        numbers = [float("nan"), complex(1, float("nan")), 1 + 2j, np.float32(0.5), np.float64(np.nan), True]
        return [(x * number).sum().item() for number in [*numbers, torch.tensor(2.0)]]

    results = on_ranks(ranks, main)
    assert len({repr(result) for result in results}) == 1
    assert results[0][2] == 36 + 72j
    assert results[0][-1] == 72
