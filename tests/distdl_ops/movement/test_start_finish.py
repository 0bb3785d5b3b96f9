"""The halves of a movement are adjoints of each other, and work goes between them in both directions."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    Copies,
    DistributedSpace,
    Finish,
    Grid,
    HaloExchange,
    InFlight,
    Movement,
    Replicated,
    Split,
    Start,
    World,
)
from distdl_ops.testing import drafts_of_one_tensor, on_ranks, world_sizes
from linop import (
    BlockDiagonal,
    FunctionOperator,
    Identity,
    LinearOperator,
    SpaceError,
    VStack,
    check,
    check_adjoint,
    matrix,
)


def halo(world: World, n: int = 8, width: int = 1) -> tuple[DistributedSpace, DistributedSpace]:
    """Return the two spaces of a halo exchange."""
    S = DistributedSpace(Grid(world, p=world.size), (n,), p=Split(0))
    return S, HaloExchange(S, {0: (width, width)}).codomain


def with_work(S: DistributedSpace, T: DistributedSpace, work: LinearOperator) -> LinearOperator:
    """Return x -> (M(S, T) x, work x), with the work done while messages travel."""
    in_flight = InFlight(S, T)
    landing = BlockDiagonal(Finish(S, T), Identity(work.codomain))
    return landing @ BlockDiagonal(Identity(in_flight), work) @ VStack(Start(S, T), Identity(S))


@given(st.data())
def test_the_halves_make_the_movement(data: st.DataObject) -> None:
    """Finish(S, T) Start(S, T) == M(S, T), with the same adjoint, between any two spaces, in batches too."""
    size = data.draw(world_sizes())
    s, t = data.draw(drafts_of_one_tensor(size))

    def main(world: World) -> list[str]:
        S, T = s.on(world), t.on(world)
        A, M = Finish(S, T) @ Start(S, T), Movement(S, T)
        x, y = S.integers(1, (2,)), T.integers(2, (2,))
        faults = {
            "forward": A(x).tobytes() == M(x).tobytes(),
            "adjoint": A.H(y).tobytes() == M.H(y).tobytes(),
            "expression": Finish(T, S) @ Start(T, S) == A.H and A.H.H == A,
            "check": bool(check_adjoint(A)),
        }
        return [fault for fault, fine in faults.items() if not fine]

    assert on_ranks(size, main) == [[]] * size


@given(st.data())
def test_work_between_the_halves(data: st.DataObject) -> None:
    """The whole, with any other movement as the work, passes all checks."""
    size = data.draw(world_sizes())
    s, t, u = data.draw(drafts_of_one_tensor(size, 3))

    def main(world: World) -> list[str]:
        S, T, U = (draft.on(world) for draft in (s, t, u))
        A, B = with_work(S, T, Movement(S, U)), VStack(Movement(S, T), Movement(S, U))
        x = S.integers(1)
        y = A.codomain.integers(2)
        faults = [str(report) for report in check(A) if report.passed is False]
        same = all(np.array_equal(a, b) for a, b in zip(A(x), B(x), strict=True))
        return faults + ["differs"] * (not (same and np.array_equal(A.H(y), B.H(y))))

    assert on_ranks(size, main) == [[]] * size


def test_work_is_done_while_messages_travel(ranks: int) -> None:
    """In both directions, everything has been sent and nothing has been received when the work is done."""

    def main(world: World) -> list[tuple[str, bool, bool]]:
        S, T = halo(world)
        seen: list[tuple[str, bool, bool]] = []
        flying: list[Any] = []
        before = [0]

        def look(way: str) -> Any:
            def work(x: np.ndarray) -> np.ndarray:
                neighbours = (world.rank > 0) + (world.rank < world.size - 1)
                seen.append((way, world.traffic.messages - before[0] == neighbours, flying[-1].arrived))
                return 2 * x

            return work

        def note(f: Any) -> Any:
            flying.append(f)
            return f

        in_flight = InFlight(S, T)
        work = FunctionOperator(S, S, look("forward"), look("adjoint"))
        A = (
            BlockDiagonal(Finish(S, T), Identity(S))
            @ BlockDiagonal(FunctionOperator(in_flight, in_flight, note, note), work)
            @ VStack(Start(S, T), Identity(S))
        )
        for operator in (A, A.H):
            before[0] = world.traffic.messages
            operator(operator.domain.integers(1))
        return seen

    assert on_ranks(ranks, main) == [[("forward", True, False), ("adjoint", True, False)]] * ranks


def test_tensors_arrive_in_any_order(ranks: int) -> None:
    """Several tensors that the same operator has started, with other operators in between, are not mixed up."""

    def main(world: World) -> bool:
        S, T = halo(world)
        U = S.with_roles(p=Copies())
        there, gather = Movement(S, T), Movement(S, U)
        vectors = [S.integers(k) for k in range(20)]
        flying = [Start(S, T)(x) for x in vectors[:10]]
        others = [Start(S, U)(x) for x in vectors[10:]]
        between = gather(vectors[0])
        backwards = [Finish(S, T)(f) for f in reversed(flying)]
        found = [Finish(S, U)(f) for f in others]
        return (
            all(np.array_equal(y, there(x)) for x, y in zip(vectors[:10], reversed(backwards), strict=True))
            and all(np.array_equal(y, gather(x)) for x, y in zip(vectors[10:], found, strict=True))
            and np.array_equal(between, gather(vectors[0]))
        )

    assert on_ranks(ranks, main) == [True] * ranks


def test_a_tensor_that_nobody_finishes(ranks: int) -> None:
    """It is lost, and what comes after it is right: its messages are taken for nothing else."""

    def main(world: World) -> bool:
        S, T = halo(world, 4096, 1)
        A, x = Movement(S, T), S.integers(0)
        expected = A(x)
        for k in range(40):
            Start(S, T)(S.integers(k))
        return all(np.array_equal(A(x), expected) for _ in range(40))

    assert on_ranks(ranks, main) == [True] * ranks


def test_what_cannot_arrive(ranks: int) -> None:
    """A tensor that has arrived, that is on its way elsewhere, or is none in flight, is refused on all ranks."""

    def main(world: World) -> list[str]:
        S, T = halo(world)
        U = S.with_roles(p=Replicated())
        start, arrived = Start(S, T), Start(S, T)(S.integers(0))
        Finish(S, T)(arrived)
        told = []
        for operator, make in [
            (Finish(S, U), lambda: start(S.integers(0))),
            (Finish(T, S), lambda: start(S.integers(0))),
            (Finish(S, T), lambda: np.zeros(S.global_shape)),
            (Finish(S, T), lambda: arrived),
        ]:
            with pytest.raises(SpaceError) as caught:
                operator(make())
            told.append(str(caught.value))
        return told

    for elsewhere, back, none, again in on_ranks(ranks, main):
        assert "found a tensor that is in flight by " in elsewhere
        assert "found a tensor that is in flight by " in back
        assert "expected what Start returns, found ndarray" in none
        assert "found a tensor that has arrived already" in again


def test_nobody_holds_what_is_in_flight(ranks: int) -> None:
    """The space of the logical tensor makes no vectors and pairs none."""

    def main(world: World) -> list[str]:
        S, T = halo(world)
        in_flight = InFlight(S, T)
        f = Start(S, T)(S.integers(0))
        told = []
        for call in [
            lambda: in_flight.dot(f, f),
            in_flight.zeros,
            lambda: in_flight.integers(0),
            lambda: in_flight.to_coordinates(f),
            lambda: in_flight.basis(0),
            lambda: in_flight.locate(0),
        ]:
            with pytest.raises(SpaceError) as caught:
                call()
            told.append(str(caught.value))
        Finish(S, T)(f)
        return told

    for told in on_ranks(ranks, main):
        assert len(told) == 6
        assert all("nobody holds a tensor in flight; Finish it first" in each for each in told)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_that_disagree_while_a_tensor_travels(ranks: int) -> None:
    """Then it cannot arrive any more: all ranks raise, and the world can be used again."""

    def main(world: World) -> tuple[str, str, bool]:
        S, T = halo(world)
        A, B = Movement(S, T), Movement(S, S.with_roles(p=Copies()))
        x = S.integers(0)
        f = Start(S, T)(x)
        with pytest.raises(AgreementError) as first:
            (A if world.rank == 0 else B)(x)
        with pytest.raises(AgreementError) as second:
            Finish(S, T)(f)
        y = Finish(S, T)(Start(S, T)(x))
        return str(first.value), str(second.value), np.array_equal(y, A(x))

    found = on_ranks(ranks, main)
    assert found == found[:1] * ranks
    first, second, right = found[0]
    assert "HaloExchange(p)" in first
    assert "AllGather(p)" in first
    assert "started before the ranks disagreed, and cannot finish" in second
    assert right


def test_matrix_and_words(ranks: int) -> None:
    """The whole has the movement's matrix, and its parts say what they are."""

    def main(world: World) -> tuple[bool, str]:
        S, T = halo(world)
        A = Finish(S, T) @ Start(S, T)
        return np.array_equal(matrix(A), matrix(Movement(S, T))), str(A)

    assert on_ranks(ranks, main) == [(True, "Finish(HaloExchange(p)) @ Start(HaloExchange(p))")] * ranks
