"""Distributed spaces: who holds what, pairing, sampling, and what they refuse on every rank alike."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DistributedSpace,
    Grid,
    Replicated,
    Split,
    World,
    balanced,
)
from distdl_ops.testing import Draft, drafts_of_one_tensor, on_ranks, world_sizes
from linop import SpaceError


@st.composite
def layouts_on_ranks(draw: st.DrawFn) -> tuple[int, Draft]:
    size = draw(world_sizes())
    return size, draw(drafts_of_one_tensor(size, 1))[0]


@given(layouts_on_ranks())
def test_embedding(drawn: tuple[int, Draft]) -> None:
    """from_global is the embedding of the definition, and size counts its rows."""
    size, layout = drawn
    extent = int(np.prod(layout.shape, dtype=int))
    tensor = np.arange(1, extent + 1, dtype=layout.dtype).reshape(layout.shape)

    def main(world: World) -> tuple[int, np.ndarray]:
        S = layout.on(world)
        return S.size, S.to_coordinates(S.from_global(tensor))

    embedding = layout.embedding()
    for found, coordinates in on_ranks(size, main):
        assert found == len(embedding)
        np.testing.assert_array_equal(coordinates, embedding @ tensor.ravel())


@given(layouts_on_ranks(), st.sampled_from([(), (2,), (0,)]))
def test_there_and_back(drawn: tuple[int, Draft], batch: tuple[int, ...]) -> None:
    """to_global returns the tensor, on every rank of the world, where every entry is held."""
    size, layout = drawn
    extent = int(np.prod(layout.shape, dtype=int))
    tensor = np.arange(1, extent + 1, dtype=layout.dtype).reshape(layout.shape)
    tensor = np.broadcast_to(tensor, (*batch, *layout.shape))
    held = layout.embedding().any(axis=0).reshape(layout.shape)

    def main(world: World) -> np.ndarray:
        S = layout.on(world)
        return S.to_global(S.from_global(tensor))

    for found in on_ranks(size, main):
        np.testing.assert_array_equal(found, np.where(held, tensor, 0))


@given(layouts_on_ranks())
def test_dot_counts_replicas_once(drawn: tuple[int, Draft]) -> None:
    """The pairing is that of the coordinates, the same number on every rank, for batches too."""
    size, layout = drawn

    def main(world: World) -> tuple[Any, Any, Any]:
        S = layout.on(world)
        x, y = S.integers(0, (2,)), S.integers(1, (2,))
        expected = [np.vdot(a, b) for a, b in zip(S.to_coordinates(x), S.to_coordinates(y), strict=True)]
        return S.dot(x[0], y[0]), S.dot(x, y), expected

    for one, both, expected in on_ranks(size, main):
        assert one == expected[0]
        np.testing.assert_array_equal(both, expected)


@given(layouts_on_ranks())
def test_coordinates_and_sampling(drawn: tuple[int, Draft]) -> None:
    """Coordinates go there and back; replicas are drawn alike, other ranks differently."""
    size, layout = drawn

    def main(world: World) -> tuple[bool, bool]:
        S = layout.on(world)
        x = S.integers(5, (2,))
        return bool(np.array_equal(S.from_coordinates(S.to_coordinates(x)), x)), S.consistent(x)

    assert on_ranks(size, main) == [(True, True)] * size


def test_copies_are_drawn_differently(ranks: int) -> None:
    """Independent copies are independent."""

    def main(world: World) -> list[float]:
        S = DistributedSpace(Grid(world, rows=ranks), (5,), rows=Copies())
        return S.normal(0).tolist()

    drawn = on_ranks(ranks, main)
    assert len({tuple(x) for x in drawn}) == ranks


def test_replicas_that_differ_are_found(ranks: int) -> None:
    """Consistency compares the bits of replicas, and of nothing else."""

    def main(world: World) -> tuple[bool, bool]:
        grid = Grid(world, rows=ranks)
        x = np.full(3, float(world.rank))
        replicated, copies = (DistributedSpace(grid, (3,), rows=role) for role in (Replicated(), Copies()))
        return replicated.consistent(x), copies.consistent(x)

    assert on_ranks(ranks, main) == [(ranks == 1, True)] * ranks


def test_copies_that_differ_have_no_tensor(ranks: int) -> None:
    """to_global raises on every rank when the vector is the layout of no tensor."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, rows=ranks), (3,), rows=Copies())
        x = np.full(3, float(world.rank))
        if ranks == 1:
            assert S.to_global(x).tolist() == [0, 0, 0]
            return ""
        with pytest.raises(AgreementError, match="not the layout of one tensor") as caught:
            S.to_global(x)
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


def test_ranks_outside_the_grid_hold_nothing(ranks: int) -> None:
    """They have arrays of size zero with the batch axes, and see the same dot and the same tensor."""

    def main(world: World) -> tuple[tuple[int, ...], float, list[float]]:
        S = DistributedSpace(Grid(world, rows=1), (2, 3), rows=Split(0))
        x = S.from_global(np.ones((4, 2, 3)))
        return x.shape, S.dot(x[0], x[0]), S.to_global(x)[0].ravel().tolist()

    for rank, (shape, dot, tensor) in enumerate(on_ranks(ranks, main)):
        assert shape == ((4, 2, 3) if rank == 0 else (4, 0, 0))
        assert dot == 6
        assert tensor == [1] * 6


@pytest.mark.parametrize(
    ("shape", "roles", "complaint"),
    [
        ((4,), {}, "every grid axis needs a role"),
        ((4,), {"rows": 3, "cols": At(0)}, "every grid axis needs a role"),
        ((4,), {"rows": At(9), "cols": At(0)}, "expected an index below"),
        ((4,), {"rows": At(-1), "cols": At(0)}, "expected an index below"),
        ((4,), {"rows": Split(1), "cols": At(0)}, "the tensor has axes 0 to 0"),
        ((4,), {"rows": Split(0), "cols": Split(0)}, "split along"),
        ((4,), {"rows": Split(0, [(0, 1)] * 9), "cols": At(0)}, "intervals, found 9"),
        ((4,), {"rows": Split(0), "cols": At(0), "depth": At(0)}, "no axis 'depth'"),
        ((0,), {"rows": Split(0, [(0, 1)] * 4, "periodic"), "cols": At(0)}, "intervals|periodic"),
        ((-1,), {"rows": Copies(), "cols": At(0)}, "zero or more"),
    ],
)
def test_what_is_no_space_is_refused(ranks: int, shape: Any, roles: Any, complaint: str) -> None:
    """The error names the grid, the role and what was expected; all ranks raise the same."""

    def main(world: World) -> str:
        grid = Grid(world, rows=ranks, cols=1)
        with pytest.raises(SpaceError, match=complaint) as caught:
            DistributedSpace(grid, shape, **roles)
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_a_number_that_some_ranks_do_not_hold_is_refused(ranks: int) -> None:
    """An array of no axes cannot be empty."""

    def main(world: World) -> None:
        with pytest.raises(SpaceError, match="use shape"):
            DistributedSpace(Grid(world, rows=ranks), (), rows=At(0))
        with pytest.raises(SpaceError, match="use shape"):
            DistributedSpace(Grid(world, rows=1), (), rows=Copies())

    on_ranks(ranks, main)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_arguments_that_fit_on_some_ranks_only(ranks: int) -> None:
    """A vector that one rank refuses, or another batch or dtype there, is the same error on every rank."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks), (2 * ranks,), rows=Split(0))
        last = world.rank == ranks - 1
        vectors = [
            np.ones(3 if last else 2),
            np.ones(2, complex if last else float),
            np.ones((3, 2) if last else (4, 2)),
            np.ones(2, np.float32 if last else np.float64),
            None if last else np.ones(2),
        ]
        messages = []
        for x in vectors:
            with pytest.raises(SpaceError) as caught:
                S.check(x, "A")
            messages.append(str(caught.value))
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)
    assert all(f"rank {ranks - 1}: " in message for message in results[0])


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_that_describe_different_spaces(ranks: int) -> None:
    """Other shapes, dtypes, roles or errors on one rank: all ranks raise, and say who has what."""

    def main(world: World) -> list[str]:
        grid = Grid(world, rows=ranks)
        last = world.rank == ranks - 1
        descriptions: list[tuple[Any, Any, Any]] = [
            ((5,) if last else (6,), "f8", Split(0)),
            ((6,), "f4" if last else "f8", Split(0)),
            ((6,), "f8", At(0) if last else Split(0)),
            ((6,), "f8", Split(3) if last else Split(0)),
        ]
        messages = []
        for shape, dtype, role in descriptions:
            with pytest.raises(AgreementError) as caught:
                DistributedSpace(grid, shape, dtype, rows=role)
            messages.append(str(caught.value))
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)
    assert all("the ranks disagree" in message for message in results[0])


def test_equality(ranks: int) -> None:
    """The same grid, shape, dtype and roles are the same space; balanced intervals may be written out."""

    def main(world: World) -> list[bool]:
        grid = Grid(world, rows=ranks)
        S = DistributedSpace(grid, (7,), rows=Split(0))
        written = DistributedSpace(Grid(world, rows=ranks), (7,), rows=Split(0, balanced(7, ranks)))
        return [
            written == S,
            hash(written) == hash(S),
            str(written) == str(S),
            S.with_roles(rows=Copies()) != S,
            DistributedSpace(grid, (7,), np.float32, rows=Split(0)) != S,
        ]

    assert on_ranks(ranks, main) == [[True] * 5] * ranks


@given(st.integers(0, 30), st.integers(1, 9))
def test_balanced(length: int, parts: int) -> None:
    """Balanced intervals cover the range in order, and their lengths differ by one at most, the longer ones first."""
    intervals = balanced(length, parts)
    assert [i for start, stop in intervals for i in range(start, stop)] == list(range(length))
    lengths = [stop - start for start, stop in intervals]
    assert len(lengths) == parts
    assert lengths == sorted(lengths, reverse=True)
    assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("interval", [(3, 1), (1,), 5, ("a", 2), (0.5, 2)])
def test_what_is_no_interval_is_refused(interval: Any) -> None:
    """An interval is a pair of integers in order."""
    with pytest.raises(ValueError, match="interval"):
        Split(0, [interval])
    with pytest.raises(ValueError, match="boundary"):
        Split(0, boundary="reflect")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        At(0.5)  # type: ignore[arg-type]
