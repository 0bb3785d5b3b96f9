"""Simulated ranks: they end with their caller, cost about as much as there are of them, and lose no message."""

import contextvars
import decimal
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from distdl_ops import (
    AgreementError,
    At,
    DistributedSpace,
    Grid,
    HaloExchange,
    Movement,
    RankFailedError,
    Replicated,
    Split,
    World,
    simulate,
)
from distdl_ops.testing import on_ranks
from distdl_ops.worlds import threads

pytestmark = pytest.mark.serial


# -- the caller is interrupted -----------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _keyboard_interrupts() -> Iterator[None]:
    """Let Ctrl-C raise, also where the tests run in the background of a shell, which ignores it there."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, previous)


def interrupt() -> None:
    """Press Ctrl-C: the caller's thread raises."""
    os.kill(os.getpid(), signal.SIGINT)


def communicates(world: World) -> None:
    """Exchange messages without end."""
    while True:
        world.allgather(0, "a step")


def computes(world: World) -> None:
    """Compute without end, and without a message."""
    while True:
        pass


def catches(world: World) -> None:
    """Communicate, and go on after an error as long as there is none of another kind."""
    while True:
        try:
            world.allgather(0, "a step")
        except RankFailedError:
            break


@pytest.mark.parametrize("size", [1, 2, 5])
@pytest.mark.parametrize("program", [communicates, computes, catches])
def test_an_interrupt_ends_all_ranks(size: int, program: Callable[[World], None]) -> None:
    """Ctrl-C is raised again, and no rank is left, whether ranks communicate or compute."""

    def main(world: World) -> None:
        if world.rank == 0:
            interrupt()
        program(world)

    with pytest.raises(KeyboardInterrupt):
        simulate(size, main)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rank ")]


def test_what_a_signal_handler_raises_ends_all_ranks() -> None:
    """An exception of any type, raised in the caller's thread, is the one that the caller gets."""

    def handler(*_: object) -> None:
        raise LookupError("time is over")

    def main(world: World) -> None:
        if world.rank == 0:
            os.kill(os.getpid(), signal.SIGUSR1)
        communicates(world)

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        with pytest.raises(LookupError, match="time is over"):
            simulate(3, main)
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("rank ")]
    assert simulate(2, lambda world: world.allgather(world.rank, "the next one")) == [[0, 1], [0, 1]]


# -- messages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3])
def test_a_message_that_nobody_takes(size: int) -> None:
    """When all ranks have ended, it is an error that names who has sent it to whom, and what it is."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=size), (2,), p=At(0))
        A = Movement(S, S.with_roles(p=At(size - 1)))
        if world.rank == 0:
            A(np.ones(2))

    with pytest.raises(AgreementError, match=rf"rank 0: has sent to rank {size - 1} in Move\(p\)"):
        simulate(size, main)


def test_a_broadcast_that_one_rank_leaves_out() -> None:
    """The root waits for nobody; what it has sent to a rank that has ended is an error all the same."""

    def main(world: World) -> None:
        if world.rank != 2:
            world.broadcast(np.zeros(1), 0, "a broadcast")

    with pytest.raises(AgreementError, match=r"rank 0: has sent to rank 2 in a broadcast \(operation 1\)"):
        simulate(3, main)


def test_a_rank_that_sends_nothing() -> None:
    """Where a message is expected from a rank that is in the same operation and sends none, all ranks raise."""

    def main(world: World) -> None:
        receives = [(0, np.zeros(1))] if world.rank == 1 else []
        world.exchange([], receives, "an exchange").finish()
        world.allgather(0, "the next one")

    with pytest.raises(AgreementError, match="rank 1: in an exchange"):
        simulate(2, main)


def test_operations_of_another_kind() -> None:
    """A broadcast and an all-gather that call themselves alike are told apart."""

    def main(world: World) -> None:
        if world.rank:
            world.allgather(0, "this")
        else:
            world.broadcast(np.zeros(1), 0, "this")
            world.allgather(0, "that")

    with pytest.raises(AgreementError):
        simulate(2, main)


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "complex64"])
def test_ranks_with_arrays_of_different_libraries(ranks: int, dtype: str) -> None:
    """What a rank passes, and what it gets, are arrays of one library, whatever the other ranks use."""

    def main(world: World) -> bool:
        library = torch if world.rank % 2 else np
        S = DistributedSpace(Grid(world, p=ranks), (2 * ranks,), dtype if "int" not in dtype else "float64", p=Split(0))
        x = (np.arange(2.0) + 2 * world.rank).astype(dtype)
        y = Movement(S, S.with_roles(p=Replicated()))(torch.as_tensor(x) if library is torch else x)
        total = library.zeros(2, dtype=getattr(library, dtype))
        world.allreduce(library.ones(2, dtype=getattr(library, dtype)), total, "a sum")
        assert total.tolist() == [ranks] * 2
        return isinstance(y, torch.Tensor if library is torch else np.ndarray) and y.tolist() == list(range(2 * ranks))

    assert on_ranks(ranks, main) == [True] * ranks


def test_an_operation_costs_each_rank_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """How often a rank waits does not depend on how many there are: each is woken only when it can go on."""
    turns = {}
    pass_turn = threads._Simulation._pass_turn

    def count(simulation: threads._Simulation) -> None:
        turns[simulation.size] = turns.get(simulation.size, 0) + 1
        pass_turn(simulation)

    def main(world: World) -> float:
        S = DistributedSpace(Grid(world, p=world.size), (4 * world.size,), p=Split(0))
        return float(HaloExchange(S, {0: (1, 1)})(np.ones(S.shape)).sum())

    monkeypatch.setattr(threads._Simulation, "_pass_turn", count)
    for size in (8, 64, 512):
        assert sum(simulate(size, main)) == 6 * size - 2
        assert turns[size] <= 10 * size


# -- state of the process ----------------------------------------------------------------------------------------------

VARIABLE: contextvars.ContextVar[int] = contextvars.ContextVar("VARIABLE", default=0)


def state() -> tuple[object, ...]:
    """Return what a caller may have set."""
    filters = [(kind, category) for kind, _, category, *_ in warnings.filters]
    return VARIABLE.get(), np.geterr(), decimal.getcontext().prec, np.get_printoptions()["precision"], filters


def change(rank: int) -> None:
    """Set all of it, to what differs between ranks."""
    VARIABLE.set(100 + rank)
    np.seterr(all="ignore", divide="raise" if rank else "print")
    decimal.getcontext().prec = 5 + rank
    warnings.simplefilter("error", category=(DeprecationWarning, UserWarning, FutureWarning, BytesWarning)[rank])


def test_ranks_begin_in_the_callers_state(ranks: int) -> None:
    """What the caller has set holds on every rank; what a rank sets holds there, and nowhere else."""

    def main(world: World) -> tuple[object, ...]:
        before = state()
        change(world.rank)
        changed = state()
        for _ in range(3):
            world.allgather(0, "others run")
            assert state() == changed
        return before

    token = VARIABLE.set(7)
    try:
        with (
            np.errstate(divide="raise", over="ignore"),
            decimal.localcontext(prec=11),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("error", category=ResourceWarning)
            expected, filters = state(), warnings.filters
            assert simulate(ranks, main) == [expected] * ranks
            assert state() == expected
            assert warnings.filters is filters
    finally:
        VARIABLE.reset(token)


def test_warnings_are_caught_on_the_rank_that_catches_them(ranks: int) -> None:
    """Blocks that overlap in time, on ranks that take turns, catch each its own."""

    def main(world: World) -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            world.allgather(0, "others begin a block")
            warnings.warn(f"of rank {world.rank}", stacklevel=1)
            world.allgather(0, "others end theirs")
        return [str(warning.message) for warning in caught]

    filters = list(warnings.filters)
    assert simulate(ranks, main) == [[f"of rank {rank}"] for rank in range(ranks)]
    assert warnings.filters == filters


def test_a_failing_rank_leaves_the_callers_state(ranks: int) -> None:
    """Also then, nothing comes back to the caller."""

    def main(world: World) -> None:
        change(world.rank)
        np.random.seed(1)  # noqa: NPY002
        world.allgather(0, "others run")
        raise KeyError("mine")

    expected, numbers = state(), np.random.get_state()  # noqa: NPY002
    with pytest.raises(KeyError, match="mine"):
        simulate(ranks, main)
    assert state() == expected
    assert str(np.random.get_state()) == str(numbers)  # noqa: NPY002


def test_each_rank_draws_from_its_own_global_generator(ranks: int) -> None:
    """NumPy's global generator goes on on every rank as the caller's would, and the caller's as if there were none."""

    def main(world: World) -> list[float]:
        drawn = []
        for _ in range(3):
            drawn.append(np.random.random())  # noqa: NPY002
            world.allgather(0, "others draw")
        return drawn

    np.random.seed(4)  # noqa: NPY002
    np.random.standard_normal()  # noqa: NPY002  (the second number of this pair is kept by NumPy)
    began = np.random.get_state()  # noqa: NPY002
    expected, normal = [np.random.random() for _ in range(3)], np.random.standard_normal()  # noqa: NPY002
    np.random.set_state(began)  # noqa: NPY002
    assert simulate(ranks, main) == [expected] * ranks
    assert [np.random.random() for _ in range(3)] == expected  # noqa: NPY002
    assert np.random.standard_normal() == normal  # noqa: NPY002
