"""What cannot be computed is refused: on all ranks, in words, with the place, and the world can be used afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from distdl_ops import Grid, RankFailedError, Split, World, simulate
from torch_bridge.tensors import UnsupportedError, distribute, distribute_tensor, explain

pytestmark = pytest.mark.serial

REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a function without rule": (lambda x: x.resize_(2), "resize_"),
    "a branch": (lambda x: 1 if (x > 0)[:, 0] else 2, "looks at the numbers"),
    "numbers of a part": (lambda x: x.tolist(), "looks at the numbers"),
    "a gradient of torch.func": (torch.func.grad(lambda y: (y * y).sum()), "torch.func.grad"),
    "a map of torch.func": (torch.func.vmap(lambda y: y.sum()), "torch.func.vmap"),
    "a map over what is captured": (lambda x: torch.func.vmap(lambda y: (x * y).sum())(torch.ones(3)), "torch.func"),
    "a tangent": (lambda x: torch.func.jvp(lambda y: y * y, (x,), (x,)), "_make_dual"),
    "gradients in a batch": (
        lambda x: torch.autograd.grad(x.requires_grad_().sum(), x, torch.ones(3), is_grads_batched=True),
        "is_grads_batched",
    ),
    "a pickle": (lambda x: x.__reduce_ex__(2), "pickling"),
    "a change of a copy": (lambda x: x.t().reshape(12).zero_(), "reshape"),
    "memory of one rank": (lambda x: x.set_(torch.ones(3, 4).untyped_storage()), "x.copy_(values)"),
    "an array": (lambda x: x.numpy(), "x.full_tensor()"),
    "another library's view": (lambda x: torch.utils.dlpack.from_dlpack(x), "x.full_tensor()"),
    "what is looked for": (lambda x: 1.0 in x, "x.full_tensor()"),
    "sparse": (lambda x: x.to_sparse(), "x.redistribute(rows=Replicated())"),
    "quantised": (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8), "torch_bridge.replicated()"),
}
"""Functions of a tensor that is split, and what the message says."""


@pytest.mark.parametrize("what", REFUSED)
def test_all_ranks_refuse_alike(what: str) -> None:
    """Every rank raises the same error, which names the function, the layout and the line; the world is usable."""
    function, words = REFUSED[what]

    def main(world: World) -> tuple[str, float]:
        grid = Grid(world, rows=3)
        x = distribute_tensor(torch.ones(3, 4), grid, rows=Split(0))
        with pytest.raises(UnsupportedError) as raised:
            function(x)
        return str(raised.value), x.sum().item()

    results = simulate(3, main)
    assert len({message for message, _ in results}) == 1
    message, total = results[0]
    assert words in message
    assert __file__ in message
    assert total == 12.0


class Odd(nn.Module):
    """A module that calls what cannot be computed on parts."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return nothing useful."""
        return F.relu(x).resize_(3)


def test_a_refusal_names_the_module_the_layout_the_line_and_the_remedy() -> None:
    """The message has all that a user needs to mend the program."""

    def main(world: World) -> str:
        grid = Grid(world, rows=2)
        model = distribute(nn.Sequential(nn.Linear(4, 4), nn.ModuleDict({"odd": Odd()})["odd"]), grid)
        with pytest.raises(UnsupportedError) as raised:
            model(distribute_tensor(torch.ones(2, 4), grid, rows=Split(0)))
        return str(raised.value)

    first, second = simulate(2, main)
    assert first == second
    for words in (
        "resize_",
        "rows=Split(0)",
        "module '1'",
        "return F.relu(x).resize_(3)",
        "redistribute",
        "replicated()",
    ):
        assert words in first


class Obstacles(nn.Module):
    """A module with several obstacles."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), Odd()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what depends on numbers, after other obstacles."""
        if (x > 0)[0, 0]:
            raise AssertionError("a dry run has no numbers")
        x = self.first(x).detach()
        x.sum(1).tolist()
        self.second(x)
        if x.sum() > 1:
            raise AssertionError("a dry run has no numbers")
        return x[x > 0]


def test_a_dry_run_lists_all_obstacles_with_their_places() -> None:
    """Looks at numbers and functions without rule are found, up to a shape that follows from them."""

    def main(world: World) -> tuple[str, ...]:
        grid = Grid(world, rows=2)
        with torch.device("meta"):
            model, x = Obstacles(), torch.ones(2, 4)
        return explain(distribute(model, grid), distribute_tensor(x, grid, rows=Split(0))).obstacles

    results = simulate(2, main)
    assert results[0] == results[1]
    lines = ["x.sum(1).tolist()", "return F.relu(x).resize_(3)", "return x[x > 0]"]
    modules = ["'Obstacles'", "'second'", "'Obstacles'"]
    assert len(results[0]) == len(lines)
    for obstacle, line, module in zip(results[0], lines, modules, strict=True):
        assert obstacle.endswith(line)
        assert f"in module {module}" in obstacle


def test_an_error_of_torch_names_the_obstacles_before_it() -> None:
    """Where a program is wrong by itself, explaining it raises the same error, with notes."""

    def main(world: World) -> list[str]:
        grid = Grid(world, rows=2)
        x = distribute_tensor(torch.ones(2, 4), grid, rows=Split(0))
        with pytest.raises(RuntimeError, match="cannot be multiplied") as raised:
            explain(lambda x: x.clone().resize_(2, 4) @ torch.ones(3, 3), x)
        return raised.value.__notes__

    for notes in simulate(2, main):
        assert len(notes) == 1
        assert "resize_" in notes[0]


def test_an_error_on_one_rank_is_raised_on_all() -> None:
    """The others do not wait for a rank that has failed in the middle of its program."""

    def main(world: World) -> None:
        x = distribute_tensor(torch.ones(4, 4), Grid(world, rows=2), rows=Split(0))
        for step in range(3):
            if step == 1 and world.rank == 1:
                raise ValueError("no more data")
            x = x @ x.full_tensor()  # type: ignore[assignment]

    with pytest.raises((ValueError, RankFailedError), match="no more data"):
        simulate(2, main)
