"""Torch's modes, default dtype and generators on simulated ranks: as on ranks that are processes."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest
import torch
from torch.overrides import TorchFunctionMode

from distdl_ops import World, simulate

pytestmark = pytest.mark.serial


class Counts(TorchFunctionMode):
    """Counts functions."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        Counts.count += 1
        return function(*args, **(kwargs or {}))


def state() -> tuple[object, ...]:
    """Return what a caller may have set."""
    autocast = [(torch.is_autocast_enabled(name), torch.get_autocast_dtype(name)) for name in ("cpu", "cuda")]
    grad = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_cache_enabled()
    return grad, autocast, torch.get_default_dtype(), torch.ones(1).dtype, torch.ones(1).device.type


BLOCKS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "nothing": ExitStack,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast to bfloat16": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "autocast to float16 without a cache": lambda: torch.autocast("cpu", dtype=torch.float16, cache_enabled=False),
    "device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("block", BLOCKS)
def test_the_callers_modes_hold_on_every_rank(ranks: int, block: str) -> None:
    """What a caller sets with a block holds on the ranks, also after others have run."""

    def main(world: World) -> tuple[object, ...]:
        before = state()
        world.allgather(0, "others run")
        assert state() == before
        return before

    with BLOCKS[block]():
        expected = state()
        assert simulate(ranks, main) == [expected] * ranks
        assert state() == expected


def test_a_function_mode_of_the_caller_sees_what_ranks_do(ranks: int) -> None:
    """Every rank's calls of torch go through it."""
    Counts.count = 0
    with Counts():
        simulate(ranks, lambda _: float(torch.ones(2).sum()))
    assert Counts.count >= 2 * ranks


def test_hooks_of_saved_tensors_hold_on_every_rank(ranks: int) -> None:
    """Tensors that autograd keeps are packed by the caller's hook."""
    packed = []

    def pack(x: torch.Tensor) -> torch.Tensor:
        packed.append(x)
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        simulate(ranks, lambda _: torch.ones(2, requires_grad=True).exp())
    assert len(packed) == ranks


def test_what_a_rank_sets_stays_there(ranks: int) -> None:
    """Modes, autocast and the default dtype of one rank are neither another's nor the caller's."""

    def main(world: World) -> None:
        odd = world.rank % 2 == 1
        torch.set_grad_enabled(odd)
        torch.set_default_dtype(torch.float64 if odd else torch.float16)
        torch.set_autocast_enabled("cpu", odd)
        changed = state()
        for _ in range(3):
            world.allgather(0, "others run")
            assert state() == changed

    expected = state()
    simulate(ranks, main)
    assert state() == expected


def test_each_rank_has_a_default_generator(ranks: int) -> None:
    """Seeded alike, ranks draw alike, whenever they take turns; each begins where the caller's generator is."""

    def main(world: World) -> tuple[list[float], list[float]]:
        goes_on = torch.rand(2).tolist()
        torch.manual_seed(0)
        drawn = []
        for _ in range(3):
            drawn.append(float(torch.rand(1)))
            world.allgather(0, "others draw")
        return goes_on, drawn

    torch.manual_seed(0)
    expected = [float(torch.rand(1)) for _ in range(3)]
    torch.manual_seed(9)
    began = torch.get_rng_state()
    goes_on = torch.rand(2).tolist()
    torch.set_rng_state(began)
    assert simulate(ranks, main) == [(goes_on, expected)] * ranks
    assert torch.rand(2).tolist() == goes_on


def test_dropout_is_the_same_on_every_rank(ranks: int) -> None:
    """A module that draws, on ranks that wait between its steps, draws what one process would."""

    def main(world: World) -> list[float]:
        x = torch.ones(8)
        for _ in range(3):
            x = torch.nn.functional.dropout(x, 0.3)
            world.allgather(0, "others draw")
        result: list[float] = x.tolist()
        return result

    torch.manual_seed(3)
    (expected,) = simulate(1, main)
    assert simulate(ranks, main) == [expected] * ranks
