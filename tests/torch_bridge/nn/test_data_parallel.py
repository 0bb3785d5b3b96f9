"""Data parallelism with replicated and sharded weights equals training on the whole batch; norms count once."""

import copy
import weakref
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import AgreementError, At, Copies, DistributedSpace, Grid, Movement, Replicated, Split, World, balanced
from distdl_ops.testing import on_ranks, world_sizes
from linop import SpaceError, assert_adjoint
from torch_bridge import Operator, nn
from torch_bridge.testing import CLOSE, normal


class Network(torch.nn.Module):
    """A network with a parameter of each number of axes, one of which two layers share."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Sequential(torch.nn.Conv1d(2, 3, 3), torch.nn.GELU(), torch.nn.Flatten())
        self.inner, self.again = torch.nn.Linear(9, 9), torch.nn.Linear(9, 9)
        self.again.weight = self.inner.weight
        self.drop = torch.nn.Dropout(0.5)
        self.scale = torch.nn.Parameter(torch.tensor(1.5))
        self.frozen = torch.nn.Parameter(torch.tensor([2.0]), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result, shape (batch, 9)."""
        return self.scale * self.drop(self.again(self.inner(self.first(x)).tanh())) + self.frozen


def network() -> Network:
    """Return a network in evaluation, in double precision, the same on every rank of a job."""
    found = Network().double().eval()
    for k, parameter in enumerate(found.parameters()):
        parameter.data = normal(k, tuple(parameter.shape))
    return found


class Watched(torch.nn.Linear):
    """A layer that keeps a weak reference to the weight it has been computed with."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result."""
        self.used = weakref.ref(self.weight.untyped_storage())
        return super().forward(x)


@pytest.mark.parametrize("role", [Replicated(), Split(0)])
def test_copies_live_as_long_as_they_are_needed(ranks: int, role: Any) -> None:
    """They are given up after the forward pass and made again, or kept; the gradients are the same, twice as well."""

    def main(world: World) -> None:
        found = []
        for again in (True, False):
            inner = Watched(4, 4, dtype=torch.float64)
            with torch.no_grad():
                inner.weight.copy_(normal(0, (4, 4)))
                inner.bias.copy_(normal(1, (4,)))
            model = nn.DataParallel(inner, grid=Grid(world, p=ranks), p=role, reshard_after_forward=again)
            x = normal(2, (3, 4)).requires_grad_()
            y = model(x).sin().sum()
            assert (inner.used() is None) == again
            (slope,) = torch.autograd.grad(y, x, create_graph=True)
            slope.square().sum().backward()
            found.append([slope, x.grad, model.weight.grad, model.bias.grad])
        for a, b in zip(*found, strict=True):
            assert torch.equal(a, b)

    on_ranks(ranks, main)


def test_weights_that_change_before_the_backward_pass(ranks: int) -> None:
    """Their copies cannot be made again: an error on every rank, as torch has it, instead of a wrong gradient."""

    def main(world: World) -> None:
        model = nn.DataParallel(torch.nn.Linear(2, 2), grid=Grid(world, p=ranks), p=Split(0))
        y = model(torch.ones(1, 2, requires_grad=True)).sum()
        with torch.no_grad():
            model.weight.mul_(2)
        with pytest.raises(RuntimeError, match="DataParallel: weight has been changed between"):
            y.backward()

    on_ranks(ranks, main)


@given(world_sizes(), st.data(), st.integers(1, 6), st.sampled_from([1.0, 2.0, 3.0, float("inf")]))
def test_data_parallelism(size: int, data: st.DataObject, batch: int, norm_type: float) -> None:
    """A batch in uneven shares, weights replicated or split along any axes: gradients, norm, and clipping."""
    rows = data.draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0]))
    axes = {"rows": rows, "cols": size // rows}
    kinds = st.sampled_from([Replicated(), Split(0), Split(1)])
    roles = data.draw(st.fixed_dictionaries({}, optional={"rows": kinds}))
    if roles.get("rows") != Split(0):
        roles["cols"] = data.draw(st.sampled_from([Replicated(), Split(0)]))
    whole, x = network(), normal(20, (batch, 2, 5))
    alike = copy.deepcopy(whole)
    loss = (alike(x) ** 2).sum() / batch
    loss.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in alike.parameters() if p.grad is not None], norm_type)

    def main(world: World) -> None:
        grid = Grid(world, **axes)
        model = nn.DataParallel(copy.deepcopy(whole), grid=grid, **roles).eval()
        S = DistributedSpace(Grid(world, ranks=size), (1,), ranks=Copies())
        total = Operator(Movement(S, S.with_roles(ranks=Replicated())))
        own = x[slice(*balanced(batch, size)[world.rank])]
        found = total((model(own) ** 2).sum().reshape(1)).sum() / batch
        torch.testing.assert_close(found.detach(), loss.detach(), **CLOSE)
        found.backward()
        spaces = nn.parameter_spaces(model)
        expected = dict(alike.named_parameters())
        state = nn.gather_state(model)
        assert set(spaces) == set(state) == set(expected)
        for name, parameter in model.named_parameters():
            assert torch.equal(state[name], expected[name])
            assert parameter.requires_grad == expected[name].requires_grad
            if parameter.requires_grad:
                torch.testing.assert_close(parameter.grad, spaces[name].from_global(expected[name].grad), **CLOSE)
                assert spaces[name].consistent(parameter.grad)
        torch.testing.assert_close(nn.grad_norm(model, norm_type), norm, **CLOSE)
        before = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        torch.testing.assert_close(nn.clip_grad_norm_(model, 0.1, norm_type), norm, **CLOSE)
        for name, p in model.named_parameters():
            if p.grad is not None:
                torch.testing.assert_close(p.grad, before[name] * (0.1 / (norm + 1e-6)).clamp(max=1), **CLOSE)

    on_ranks(size, main)


def test_shards_are_a_fraction(ranks: int) -> None:
    """With sharded weights, a rank stores its shard of parameters, gradients and optimizer state, and no more."""

    def main(world: World) -> int:
        module = torch.nn.Linear(12, 12, bias=False)
        model = nn.DataParallel(module, grid=Grid(world, p=ranks), p=Split(0))
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.ones(1, 12)).sum().backward()
        optimizer.step()
        (state,) = optimizer.state.values()
        assert module.weight.numel() == 0
        assert model.weight.shape == model.weight.grad.shape == state["exp_avg"].shape
        return model.weight.numel()

    assert sum(on_ranks(ranks, main)) == 144


def test_begins_as_rank_0(ranks: int) -> None:
    """Whatever the modules of the other ranks began with."""

    def main(world: World) -> tuple[torch.Tensor, torch.Tensor]:
        module = torch.nn.Linear(2, 3, dtype=torch.float64)
        module.weight.data.fill_(world.rank + 1)
        model = nn.DataParallel(module, grid=Grid(world, p=ranks), p=Split(0))
        model.train()
        for name, space in nn.parameter_spaces(model).items():
            used = space.with_roles(p=Copies())
            assert_adjoint(Movement(space, used)), name
        return nn.gather_state(model)["weight"]

    for weight in on_ranks(ranks, main):
        assert torch.equal(weight, torch.ones(3, 2, dtype=torch.float64))


def test_training_and_evaluation_reach_the_module(ranks: int) -> None:
    """Dropout follows `train` and `eval`."""

    def main(world: World) -> None:
        model = nn.DataParallel(
            torch.nn.Sequential(torch.nn.Linear(4, 400), torch.nn.Dropout(0.5)), grid=Grid(world, p=ranks)
        )
        x = torch.ones(1, 4)
        assert not bool((model.eval()(x) == 0).any())
        assert bool((model.train()(x) == 0).any())

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3], indirect=True)
@pytest.mark.parametrize(
    ("make", "roles", "error", "complaint"),
    [
        (lambda _: torch.nn.BatchNorm1d(2), {}, SpaceError, "buffers .* running_mean"),
        (lambda _: torch.nn.Linear(1, 1), {"p": At(0)}, SpaceError, r"found p=At\(0\)"),
        (lambda _: torch.nn.Linear(1, 1), {"q": Replicated()}, SpaceError, "found q="),
        (lambda rank: torch.nn.Linear(1, 1 + rank), {}, AgreementError, "disagree"),
    ],
)
def test_modules_that_do_not_fit(ranks: int, make: Any, roles: Any, error: Any, complaint: str) -> None:
    """Buffers, other roles, and modules that differ are refused, on every rank."""

    def main(world: World) -> None:
        with pytest.raises(error, match=complaint):
            nn.DataParallel(make(world.rank), grid=Grid(world, p=ranks), **roles)

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2], indirect=True)
@pytest.mark.parametrize("intervals", [[(0, 5), (4, 9)], [(0, 5), (6, 9)]])
def test_parts_that_are_no_partition(ranks: int, intervals: Any) -> None:
    """An entry that lies on two ranks would count twice, and one on none would be lost."""

    def main(world: World) -> None:
        with pytest.raises(SpaceError, match="each entry of weight on one rank"):
            nn.DataParallel(torch.nn.Linear(1, 9), grid=Grid(world, p=2), p=Split(0, intervals, gaps=True))

    on_ranks(ranks, main)


@pytest.mark.parametrize("rank", [0, 1])
def test_a_norm_that_is_not_finite(ranks: int, rank: int) -> None:
    """One rank's gradient that is no number is an error on every rank, if wanted."""

    def main(world: World) -> None:
        model = nn.DataParallel(torch.nn.Linear(4, 4, bias=False), grid=Grid(world, p=ranks), p=Split(0))
        model.weight.grad = torch.full_like(model.weight, torch.nan if world.rank == rank % ranks else 1)
        with pytest.raises(RuntimeError, match="nan"):
            nn.clip_grad_norm_(model, 1.0, error_if_nonfinite=True)
        with pytest.raises(SpaceError, match="distributed layers"):
            nn.grad_norm(torch.nn.Linear(1, 1))

    on_ranks(ranks, main)
