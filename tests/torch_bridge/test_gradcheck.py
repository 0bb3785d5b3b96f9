"""A check of gradients over all ranks: it passes what is right, and names the rank, input and ratio of what is not."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    Copies,
    DistributedGather,
    DistributedSpace,
    Grid,
    HaloExchange,
    Movement,
    Replicated,
    Shift,
    Split,
    World,
    simulate,
)
from distdl_ops.testing import Draft, drafts_of_one_tensor, on_ranks, world_sizes
from linop import SpaceError
from torch_bridge import as_function, distribute, distribute_tensor
from torch_bridge.gradcheck import GradientReport, spmd_gradcheck


def space(world: World, **roles: Any) -> DistributedSpace:
    return DistributedSpace(Grid(world, rows=world.size), (7, 2), **(roles or {"rows": Split(0)}))


def vector(S: Any, seed: int) -> torch.Tensor:
    return (
        torch.from_numpy(np.asarray(S.integers(seed)))
        .to(torch.complex128 if S.dtype.kind == "c" else torch.float64)
        .requires_grad_()
    )


@st.composite
def movements(draw: st.DrawFn) -> tuple[int, tuple[Draft, ...]]:
    size = draw(world_sizes())
    return size, draw(drafts_of_one_tensor(size))


@given(movements())
def test_right_movements(drawn: tuple[int, tuple[Draft, ...]]) -> None:
    """Every movement passes, with what is nonlinear before and after it, in any layout, real and complex."""
    size, (s, t) = drawn

    def main(world: World) -> GradientReport:
        S, T = s.on(world), t.on(world)
        f = as_function(Movement(S, T))
        return spmd_gradcheck(lambda x: torch.sin(f(x**3)), [vector(S, 0) / 4], world, domains=[S], codomains=[T])

    assert all(on_ranks(size, main))


class Scaled(torch.autograd.Function):
    """A function whose gradient is wrong by a factor."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factor: float) -> torch.Tensor:
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.factor * g, None


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.001, 2.0])
def test_names_what_is_wrong(factor: float, ranks: int) -> None:
    """One rank's gradient of one input is off by a factor: these three are named, on every rank."""

    def main(world: World) -> GradientReport:
        S = space(world)
        f = as_function(HaloExchange(S, {0: (1, 1)}))
        wrong = factor if world.rank == ranks - 1 else 1.0
        x, y = vector(S, 0), vector(S, 1)
        return spmd_gradcheck(lambda x, y: f(x * torch.sin(Scaled.apply(y, wrong))), [x, y], world)

    reports = on_ranks(ranks, main)
    assert len(set(reports)) == 1
    (found,) = reports[0].wrong
    assert not reports[0].passed
    assert (found.rank, found.name) == (ranks - 1, "input 1")
    assert abs(found.ratio - factor) < 1e-5
    assert f"rank {ranks - 1}, input 1" in str(reports[0])


def test_data_that_go_to_the_wrong_rank(ranks: int) -> None:
    """A gradient that goes on around the ring, instead of back, is wrong on all ranks; each by itself looks right."""

    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor, shift: Any) -> torch.Tensor:
            ctx.shift = shift
            return shift(x.detach())

        @staticmethod
        def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, None]:
            return ctx.shift(g), None

    def main(world: World) -> GradientReport:
        S = DistributedSpace(Grid(world, rows=ranks), (2,), rows=Copies())
        shift = Shift(S, 1, "rows")
        right = spmd_gradcheck(as_function(shift), [vector(S, 0)], world)
        assert right, str(right)
        return spmd_gradcheck(lambda x: Wrong.apply(x, shift), [vector(S, 0)], world)

    for report in on_ranks(ranks, main):
        assert report.passed == (ranks <= 2)  # two steps around the ring lead back there
        assert [found.rank for found in report.wrong] == ([] if ranks <= 2 else list(range(ranks)))


def test_an_all_reduce_for_an_all_sum_reduce(ranks: int) -> None:
    """The same kernel forward; which gradient is right is told by the roles, and the ratio by the number of ranks."""

    def main(world: World) -> list[GradientReport]:
        S = space(world, rows=Copies())
        functions = [as_function(Movement(S, S.with_roles(rows=role))) for role in (Replicated(), Copies())]
        return [
            spmd_gradcheck(f, [vector(S, 0)], world, codomains=[role])
            for f in functions
            for role in (Replicated(), Copies())
        ]

    for right, wrong, also_wrong, also_right in on_ranks(ranks, main):
        assert right
        assert also_right
        assert wrong.passed == also_wrong.passed == (ranks == 1)
        if ranks > 1:
            assert [found.rank for found in also_wrong.wrong] == list(range(ranks))
            assert all(abs(found.ratio - ranks) < 1e-5 for found in also_wrong.wrong)


def test_replicas_that_differ(ranks: int) -> None:
    """A replicated input whose copies get different gradients, and outputs that are not one vector, are named."""

    def main(world: World) -> tuple[GradientReport, GradientReport]:
        S = space(world, rows=Replicated())
        factor = 3.0 if world.rank == 1 else 1.0
        x = vector(S, 0)
        gradient = spmd_gradcheck(lambda x: Scaled.apply(x, factor), [x], world, domains=[Replicated()], codomains=[S])
        output = spmd_gradcheck(lambda x: factor * x, [x], world, domains=[S], codomains=[Replicated()])
        return gradient, output

    for gradient, output in on_ranks(ranks, main):
        assert gradient.passed == output.passed == (ranks == 1)
        if ranks > 1:
            assert [(found.rank, found.name) for found in gradient.wrong] == [(1, "input 0")]
            assert gradient.differing == ("the gradient of input 0 differs between the replicas on ranks 0 and 1",)
            assert "output 0 differs between the replicas on ranks 0 and 1" in output.differing


def test_modules(ranks: int) -> None:
    """The parameters of a module are inputs; how distributed tensors lie is known."""

    def main(world: World) -> None:
        grid = Grid(world, rows=ranks, cols=1)
        torch.manual_seed(0)
        blocks = {"weight": {"rows": Split(0), "cols": Split(1)}, "bias": {"rows": Split(0)}}
        linear = distribute(torch.nn.Linear(5, 4).double(), grid, blocks)
        x = distribute_tensor(torch.ones(3, 5, dtype=torch.float64), grid, cols=Split(1)).requires_grad_()
        report = spmd_gradcheck(linear, [x], world)
        assert report, str(report)
        convolution = distribute(torch.nn.Conv2d(2, 3, 3, padding=1).double(), grid)
        images = torch.ones(2, 2, 6, 5, dtype=torch.float64)
        x = distribute_tensor(images, grid, rows=Split(2), cols=Split(3)).requires_grad_()
        report = spmd_gradcheck(convolution, [x], world)
        assert report, str(report)
        # As if every rank had a bias of its own, each would get the gradient of all.
        report = spmd_gradcheck(convolution, [x], world, parameters={"bias": Copies()})
        assert report.passed == (ranks == 1)
        assert {found.name for found in report.wrong} == (set() if ranks == 1 else {"bias"})

    on_ranks(ranks, main)


def test_inputs_that_are_changed_or_require_nothing(ranks: int) -> None:
    """A function may change its arguments; inputs without gradient stay where they are."""

    def main(world: World) -> GradientReport:
        S = space(world)
        f = as_function(HaloExchange(S, {0: (1, 1)}))
        x, c = vector(S, 0), vector(S, 1).detach()
        kept = x.detach().clone()
        report = spmd_gradcheck(lambda x, c: (f(x.mul_(c)), c), [x, c], world)
        assert torch.equal(x.detach(), kept)
        assert x.grad is None
        return report

    assert all(on_ranks(ranks, main))


@pytest.mark.serial
def test_places_that_do_not_fit() -> None:
    """As many as inputs and outputs, or an error says so."""

    def main(world: World) -> None:
        x = torch.ones(2, dtype=torch.float64, requires_grad=True)
        with pytest.raises(SpaceError, match="expected 1 domains"):
            spmd_gradcheck(torch.sin, [x], world, domains=[])
        with pytest.raises(SpaceError, match="expected 1 codomains"):
            spmd_gradcheck(torch.sin, [x], world, codomains=[Copies(), Copies()])

    on_ranks(1, main)


@pytest.mark.serial
def test_where_and_whether_by_a_factor() -> None:
    """One wrong entry is named with its index, and has no factor; a gradient that is three times too large has."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=2), (16,), p=Split(0))
        A = DistributedGather(S, np.arange(8) + (1 if world.rank == 0 else 8))
        x = torch.linspace(1, 2, 8, dtype=torch.float64).requires_grad_()

        class Wrong(torch.autograd.Function):
            @staticmethod
            def forward(_: Any, x: torch.Tensor) -> torch.Tensor:
                return torch.as_tensor(A(x.detach()))

            @staticmethod
            def backward(_: Any, *gradients: torch.Tensor) -> torch.Tensor:
                g: torch.Tensor = A.H(gradients[0].contiguous())
                if world.rank == 1:
                    g[0] = gradients[0][0]  # what rank 0 took of this entry is forgotten
                return g

        report = spmd_gradcheck(Wrong.apply, [x], world)
        assert not report
        (wrong,) = report.wrong
        assert (wrong.rank, wrong.name, wrong.ratio, wrong.entry) == (1, "input 0", None, (0,))
        assert "at (0,)" in str(report)

        class Triple(torch.autograd.Function):
            @staticmethod
            def forward(_: Any, x: torch.Tensor) -> torch.Tensor:
                return 2 * x

            @staticmethod
            def backward(_: Any, *gradients: torch.Tensor) -> torch.Tensor:
                return 6 * gradients[0]

        report = spmd_gradcheck(Triple.apply, [x], world)
        assert all(found.ratio == pytest.approx(3, rel=1e-4) for found in report.wrong)
        assert len(report.wrong) == 2

    simulate(2, main)


class OneSign(torch.autograd.Function):
    """A function whose gradient has one wrong sign."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        g = g.clone()
        g[0] = -g[0]
        return g


def test_a_wrong_entry_is_no_factor() -> None:
    """A factor is told only where the whole gradient has it; a function without gradients is not checked in silence."""

    def main(world: World) -> None:
        x = torch.arange(1.0, 4.0, dtype=torch.float64, requires_grad=True)
        report = spmd_gradcheck(OneSign.apply, [x], world)
        assert not report
        assert "times what it should be" not in str(report)
        with pytest.raises(ValueError, match="nothing to check"):
            spmd_gradcheck(torch.sin, [x.detach()], world)

    on_ranks(2, main)
