"""No rank leaves the others in a backward pass: whatever it ignores, holds, or requires."""

import contextlib
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.checkpoint import checkpoint

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DeadlockError,
    DistributedSpace,
    Grid,
    HaloExchange,
    Movement,
    Replicated,
    Split,
    World,
)
from distdl_ops.testing import Draft, drafts_of_one_tensor, on_ranks, world_sizes
from distdl_ops.worlds.start import in_job
from torch_bridge import Operator, as_function, tie, tied
from torch_bridge.token import ANYONE


def space(world: World, **roles: Any) -> DistributedSpace:
    return DistributedSpace(Grid(world, rows=world.size), (6, 2), **(roles or {"rows": Split(0)}))


def vector(S: Any, seed: int, batch: tuple[int, ...] = ()) -> torch.Tensor:
    return torch.from_numpy(np.asarray(S.integers(seed, batch)))


@st.composite
def chains(draw: st.DrawFn) -> tuple[int, tuple[Draft, ...], int]:
    size = draw(world_sizes())
    return size, draw(drafts_of_one_tensor(size, 4)), draw(st.integers(0, 2**12 - 1))


@given(chains(), st.sampled_from(["in a block", "by the block's function", "by its results"]))
def test_any_rank_ignores_anything(drawn: tuple[int, tuple[Draft, ...], int], how: str) -> None:
    """In a chain R -> S -> T with a branch S -> U, each rank uses what it likes; gradients are exact, nobody waits."""
    size, drafts, bits = drawn

    def main(world: World) -> list[str]:
        R, S, T, U = (draft.on(world) for draft in drafts)
        A, B, C = Movement(R, S), Movement(S, T), Movement(S, U)
        uses = [bool(bits >> (3 * world.rank + k) & 1) for k in range(3)]
        x = vector(R, 0).requires_grad_(uses[2])
        g, h = vector(T, 1) * uses[0], vector(U, 2) * uses[1]
        with tied(world) if how != "by its results" else contextlib.nullcontext(tie) as bind:
            y = as_function(A)(x)
            z, w = as_function(B)(y), as_function(C)(y)
            loss = torch.zeros((), dtype=torch.float64)
            if uses[0]:
                loss = loss + (g.conj() * z).sum().real
            if uses[1]:
                loss = loss + (h.conj() * w).sum().real
            tied_loss = {
                "in a block": lambda: tie(loss),
                "by the block's function": lambda: bind(loss),
                "by its results": lambda: tie(loss, z, w),
            }[how]()
            if tied_loss.requires_grad:  # it does not, where one rank is alone and ignores everything
                tied_loss.backward()
        expected = A.H(B.H(g) + C.H(h))
        if x.grad is None:  # one rank alone has nothing to take part in
            return [] if not uses[2] or (size == 1 and not expected.any()) else ["no gradient"]
        return [] if uses[2] and torch.equal(x.grad, expected) else ["gradient"]

    # Where a replicated vector's cotangent is not one vector, the adjoint is still the sum that its movements make.
    assert on_ranks(size, main) == [[]] * size


def test_inputs_that_require_no_gradient(ranks: int) -> None:
    """Without a block: the result requires a gradient on every rank, and every rank runs the adjoint."""

    def main(world: World) -> None:
        S = space(world)
        A = HaloExchange(S, {0: (1, 1)})
        x = vector(S, 0).requires_grad_(world.rank == 0)
        y = as_function(A)(x)
        assert y.requires_grad == (ranks > 1 or world.rank == 0)
        g = vector(A.codomain, 1)
        y.backward(g)
        expected = A.H(g)
        assert (x.grad is None) == (world.rank > 0)
        assert world.rank > 0 or torch.equal(x.grad, expected)
        with torch.no_grad():
            assert not as_function(A)(x).requires_grad

    on_ranks(ranks, main)


def test_ranks_that_hold_nothing(ranks: int) -> None:
    """A broadcast from one rank and a sum back: ranks whose arrays have no entries take part in every pass."""

    def main(world: World) -> None:
        S = space(world, rows=At(0))
        B = Movement(S, S.with_roles(rows=Copies()))
        x = vector(S, 0).requires_grad_()
        model = torch.nn.Sequential(Operator(B), torch.nn.Tanh(), Operator(B.H), torch.nn.Tanh())
        model(x).sum().backward()
        whole = x.detach().clone().requires_grad_()
        torch.tanh(ranks * torch.tanh(whole)).sum().backward()
        torch.testing.assert_close(x.grad, whole.grad, rtol=1e-13, atol=1e-13)  # sums of up to four numbers

    on_ranks(ranks, main)


@pytest.mark.serial
def test_without_a_block_a_rank_that_ignores_a_result_is_named() -> None:
    """Then the others cannot go on: an error says who waits for whom."""

    def main(world: World) -> None:
        S = space(world)
        y = as_function(HaloExchange(S, {0: (1, 1)}))(vector(S, 0).requires_grad_())
        if world.rank == 0:
            y.sum().backward()

    with pytest.raises(DeadlockError, match=r"rank 0: waits for rank 1 in HaloExchange.*; rank 1: has ended"):
        on_ranks(2, main)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # torch's compiler uses what torch deprecates
def test_results_of_compiled_functions_are_passed_to_tie(ranks: int) -> None:
    """They hand on no token; as further arguments, they are gone through nevertheless, with zeros."""
    torch._dynamo.reset()

    def main(world: World) -> None:
        S = space(world)
        A = HaloExchange(S, {0: (1, 1)})
        x = vector(S, 0).requires_grad_()
        with tied(world) as tie:
            y = torch.compile(as_function(A), fullgraph=True, backend="aot_eager")(x)
            loss = y.sum() if world.rank == 0 else torch.zeros((), dtype=torch.float64)
            tie(loss, y).backward()
        expected = A.H(torch.full(y.shape, float(world.rank == 0), dtype=torch.float64))
        assert torch.equal(x.grad, expected)

    on_ranks(ranks, main)


def test_second_derivatives(ranks: int) -> None:
    """A penalty on the gradient: where a rank ignores it, the adjoint pass is gone through nevertheless."""

    def main(world: World) -> None:
        S = space(world)
        A = HaloExchange(S, {0: (1, 1)})
        B = Movement(A.codomain, A.codomain.with_roles(rows=Replicated()))
        f, g = as_function(A), as_function(B)
        mask = float(world.rank == 0)
        x = vector(S, 0).requires_grad_()
        with tied(world) as tie:
            y = f(x)
            g(y)  # everybody ignores it
            (gradient,) = torch.autograd.grad(tie((y**2).sum() / 2), x, create_graph=True)
            penalty = (gradient**2).sum() / 2 if mask else torch.zeros((), dtype=torch.float64)
            tie(penalty, gradient).backward()
        N = A.H @ A
        assert torch.equal(gradient.detach(), N(x.detach()))
        assert torch.equal(x.grad, N(mask * N(x.detach())))

    on_ranks(ranks, main)


def apply_another_operator(world: World) -> None:
    S = space(world)
    H, G = HaloExchange(S, {0: (1, 1)}), Movement(S, S.with_roles(rows=Copies()))
    with tied(world) as tie:
        tie(as_function(H if world.rank == 0 else G)(vector(S, 0).requires_grad_()).sum()).backward()


def apply_one_operator_more(world: World) -> None:
    S = space(world)
    f, x = as_function(HaloExchange(S, {0: (1, 1)})), vector(S, 0).requires_grad_()
    with tied(world) as tie:
        y = [f(x) for _ in range(2 if world.rank == 0 else 1)]
        tie(y[-1].sum()).backward()


def apply_in_another_order(world: World) -> None:
    S = space(world)
    H, G = HaloExchange(S, {0: (1, 1)}), Movement(S, S.with_roles(rows=Copies()))
    with tied(world) as tie:
        x = vector(S, 0).requires_grad_()
        f, g = map(as_function, (H, G) if world.rank == 0 else (G, H))
        tie(f(x).sum() + g(x).sum()).backward()


def tie_without_backward(world: World) -> None:
    S = space(world)
    with tied(world) as tie:
        loss = tie(as_function(HaloExchange(S, {0: (1, 1)}))(vector(S, 0).requires_grad_()).sum())
        if world.rank == 0:
            loss.backward()


@pytest.mark.parametrize(
    ("program", "others"),
    [
        (apply_another_operator, "AllGather"),
        (apply_one_operator_more, "HaloExchange.*H : "),
        (apply_in_another_order, "AllGather"),
        (tie_without_backward, "the next operation"),
    ],
)
def test_graphs_that_depend_on_the_rank(ranks: int, program: Callable[[World], None], others: str) -> None:
    """Another operator, one more, another order, no backward pass: the same error everywhere names both sides."""

    def main(world: World) -> tuple[str, float]:
        if ranks == 1:
            program(world)
            return "", 1.0
        with pytest.raises(AgreementError, match=f"rank 0: in HaloExchange.*rows.*: in {others}") as caught:  # noqa: PT012
            program(world)
            world.allgather(0, "the next operation")  # where a rank learns of it that has not waited for rank 0
        S = space(world, rows=Copies())  # the world goes on working
        total = Movement(S, S)(torch.ones(S.shape))
        return str(caught.value), float(total[0, 0])

    results = on_ranks(ranks, main)
    assert len(set(results)) == 1
    assert results[0][1] == ranks


@pytest.mark.serial
def test_a_rank_that_only_sends_once_more() -> None:
    """It does not wait before the backward pass; there, an error says for whom and in which operation."""

    def main(world: World) -> None:
        S = space(world, rows=At(0))
        f, x = as_function(Movement(S, S.with_roles(rows=Copies()))), vector(S, 0).requires_grad_()
        with tied(world) as tie:
            y = [f(x) for _ in range(2 if world.rank == 0 else 1)]
            tie(y[-1].sum()).backward()

    with pytest.raises(DeadlockError, match=r"rank 0: waits for rank 1 in SumReduce\(rows\).*; ranks? 1.*: has ended"):
        on_ranks(3, main)


def test_one_operator_many_times(ranks: int) -> None:
    """Used twice, on several shapes in one graph, in train and eval, with changing batches: no sub-world is made."""

    def main(world: World) -> None:
        S = space(world)
        A = HaloExchange(S, {0: (1, 1)})
        module = Operator(A)
        x, z = vector(S, 0, (2,)).requires_grad_(), vector(S, 1, (3, 2)).requires_grad_()
        with mock.patch.object(world, "sub", side_effect=AssertionError("a world was made")):
            for _ in range(3):
                x.grad = z.grad = None
                with tied(world) as tie:
                    y = [module(x), module(z), module(x[:1]), module(x)]
                    tie(sum(part.sum() for part in y[world.rank % 2 :: 2])).backward()
                with torch.no_grad():
                    module.eval()(z)
                module.train()
        ones = [torch.full(part.shape, float(k % 2 == world.rank % 2), dtype=torch.float64) for k, part in enumerate(y)]
        expected = A.H(ones[0]) + A.H(ones[3])
        expected[:1] += A.H(ones[2])
        assert torch.equal(x.grad, expected)
        of_z = A.H(ones[1])
        assert (z.grad is None) if ranks == 1 else torch.equal(z.grad, of_z)

    on_ranks(ranks, main)


def test_transforms_in_a_block(ranks: int) -> None:
    """Operators inside a transform hand on no token, and are right."""

    def main(world: World) -> None:
        S = space(world)
        A = HaloExchange(S, {0: (1, 1)})
        f = as_function(A)
        x, w = vector(S, 0), vector(A.codomain, 1)
        with tied(world) as tie:
            leaf = x.clone().requires_grad_()
            f(leaf)
            gradient = torch.func.grad(lambda x: (w * f(x)).sum())(x)
            batch = torch.func.vmap(f)(x.expand(2, *x.shape))
            # Torch counts the levels of forward mode for all threads together, so that simulated ranks disturb them.
            tangent = torch.func.jvp(f, (x,), (x,))[1] if ranks == 1 or in_job() else A(x)
            tie(f(leaf).sum()).backward()
        ones = torch.ones_like(w)
        for found, expected in ((gradient, A.H(w)), (batch[1], A(x)), (tangent, A(x)), (leaf.grad, A.H(ones))):
            assert torch.equal(found.detach(), expected)

    on_ranks(ranks, main)


def test_blocks_of_other_worlds(ranks: int) -> None:
    """A block ties the operators of its world only; blocks may be nested, and what ends early is forgotten."""

    def main(world: World) -> None:
        S = space(world)
        f = as_function(HaloExchange(S, {0: (1, 1)}))
        x = vector(S, 0).requires_grad_()
        with tied(world) as outer:
            f(x)
            with tied(world) as inner:
                f(x)
                f(x)
            assert (outer.token is ANYONE, inner.token is ANYONE) == (ranks == 1, True)
            outer(f(x).sum()).backward()

    on_ranks(ranks, main)


def test_checkpoints_in_a_block(ranks: int) -> None:
    """What is computed again in the backward pass is computed on every rank, also where the rank ignores the result."""

    def main(world: World) -> list[bool]:
        S = space(world)
        H = HaloExchange(S, {0: (1, 1)})
        f = as_function(H.H @ H)

        def model(x: torch.Tensor) -> torch.Tensor:
            return f(torch.sin(f(x)))

        def gradient(run: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
            x = vector(S, 0).requires_grad_()
            y = run(x)
            tie(y.sum() if world.rank == 0 else torch.zeros((), dtype=torch.float64), y).backward()
            return x.grad

        expected = gradient(model)
        with tied(world):
            found = [gradient(lambda x: checkpoint(model, x, use_reentrant=False)) for _ in range(3)]
        return [torch.equal(x, expected) for x in found]

    assert on_ranks(ranks, main) == [[True] * 3] * ranks
