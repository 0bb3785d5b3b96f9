"""Ranks never exchange numbers of different calls: those of another function, or of another application of one.

Each program is run on simulated ranks, or on those of a job; rank 0 differs from the others.
"""

from collections.abc import Callable

import pytest
import torch

from distdl_ops import AgreementError, Copies, DistributedSpace, Grid, Movement, Replicated, Split, World
from distdl_ops.testing import on_ranks
from torch_bridge import as_function
from torch_bridge.function import Function

several = pytest.mark.parametrize("ranks", [2, 3], indirect=True)


def gather(world: World) -> Function:
    """Return a function whose values and gradients depend on all ranks."""
    S = DistributedSpace(Grid(world, p=world.size), (world.size,), p=Split(0))
    return as_function(Movement(S, S.with_roles(p=Copies())))


def leaf() -> torch.Tensor:
    return torch.ones(1, dtype=torch.float64, requires_grad=True)


def use_one_of_two_results(world: World, odd: bool) -> None:
    f = gather(world)
    a, b = f(leaf()), f(leaf())
    (a if odd else b).sum().backward()


def differentiate_in_another_order(world: World, odd: bool) -> None:
    f = gather(world)
    a, b = f(leaf()).sum(), f(leaf()).sum()
    for loss in (a, b) if odd else (b, a):
        loss.backward()


def differentiate_two_functions_in_another_order(world: World, odd: bool) -> None:
    a, b = gather(world)(leaf()).sum(), gather(world)(leaf()).sum()
    for loss in (a, b) if odd else (b, a):
        loss.backward()


def leave_out_a_function(world: World, odd: bool) -> None:
    functions = [gather(world) for _ in range(3)]
    for k in (0, 2) if odd else (0, 1):
        functions[k](leaf())


def take_functions_in_another_order(world: World, odd: bool) -> None:
    f, g = gather(world), gather(world)
    for function in (f, g) if odd else (g, f):
        function(leaf())


def leave_out_a_backward_pass(world: World, odd: bool) -> None:
    f = gather(world)
    for k in range(2):
        loss = f(leaf()).sum()
        if k or odd:
            loss.backward()


def take_second_derivatives_of_another_call(world: World, odd: bool) -> None:
    f = gather(world)
    penalties = []
    for x in (leaf(), leaf()):
        (gradient,) = torch.autograd.grad((f(x) ** 2).sum(), x, create_graph=True)
        penalties.append((gradient**2).sum())
    penalties[odd].backward()


def call_from_another_place(world: World, odd: bool) -> None:
    gather(world)(leaf(), place="layer1" if odd else "layer2")


PROGRAMS = [
    use_one_of_two_results,
    differentiate_in_another_order,
    differentiate_two_functions_in_another_order,
    leave_out_a_function,
    take_functions_in_another_order,
    leave_out_a_backward_pass,
    take_second_derivatives_of_another_call,
    call_from_another_place,
]


@several
@pytest.mark.parametrize("program", PROGRAMS)
def test_calls_that_differ(ranks: int, program: Callable[[World, bool], None]) -> None:
    """All ranks raise the same error, which names the calls; afterwards, functions old and new are right."""

    def main(world: World) -> tuple[str, list[float]]:
        before = gather(world)
        if world.rank == 0:
            before.next_call()  # as if it had been called once more there
        with pytest.raises(AgreementError) as caught:  # noqa: PT012
            program(world, world.rank == 0)
            world.allgather(0, "the next operation")
        sums = []
        for f in (before, gather(world)):
            x = leaf()
            y = f(x)
            (y.sum() * 3).backward()
            assert x.grad is not None
            sums.append(x.grad.item() + y.sum().item())
        return str(caught.value), sums

    results = on_ranks(ranks, main)
    assert len({message for message, _ in results}) == 1
    assert results[0][1] == [4 * ranks] * 2
    assert " of function " in results[0][0]


@several
def test_programs_that_are_alike(ranks: int) -> None:
    """Functions called and differentiated in any order, the same on all ranks: the right gradients."""

    def main(world: World) -> list[float]:
        S = DistributedSpace(Grid(world, p=world.size), (1,), p=Copies())
        f, g = (as_function(Movement(S, S.with_roles(p=role))) for role in (Replicated(), Copies()))
        x = [leaf() for _ in range(3)]
        y = [f(x[0]), g(x[1]), f(x[2], place="twice")]
        for k in (2, 0, 1):
            y[k].sum().backward(retain_graph=True)
        y[0].sum().backward()
        return [part.grad.item() for part in x if part.grad is not None]

    assert on_ranks(ranks, main) == [[2, ranks, 1]] * ranks
