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
    DistributedCumulativeSum,
    DistributedSpace,
    Grid,
    HaloExchange,
    Local,
    Movement,
    Replicated,
    Role,
    Shift,
    Split,
    World,
    balanced,
    explain,
    scaling,
)
from distdl_ops.testing import Draft, drafts_of_one_tensor, on_ranks, world_sizes
from linop import Conjugation, Euclidean, LinopError, SpaceError, assert_adjoint, check, simplify

NAMES = [
    "axes",
    "axis",
    "boundary",
    "domain",
    "dtype",
    "field",
    "grid",
    "like",
    "name",
    "ranks",
    "roles",
    "self",
    "shape",
]
NAMES += ["source", "space", "steps", "target", "value", "world", "class", "not a word"]


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


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
@pytest.mark.parametrize("role", [Replicated(), Copies()])
@pytest.mark.parametrize("dtype", ["float64", "float16", "complex64"])
def test_copies_that_have_drifted(ranks: int, role: Role, dtype: str) -> None:
    """Where what ranks hold of one entry differs, to_global raises on every rank; signs of zero are no difference."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=ranks), (3,), dtype, p=role)
        x = np.array([1.0, np.nan, -0.0 if world.rank else 0.0]).astype(dtype)
        np.testing.assert_array_equal(S.to_global(x), np.array([1, np.nan, 0]).astype(dtype))
        x[0] += world.rank == ranks - 1
        with pytest.raises(AgreementError, match=rf"to_global: .*rank {ranks - 1}: "):
            S.to_global(x)
        world.allgather(0, "goes on")

    on_ranks(ranks, main)


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
        ((5,), {"rows": Split(0), "cols": Split(0, [(0, 1)] * 9)}, "split along rows before"),
        ((5,), {"rows": Split(0), "cols": Split(0, [(0, 1)])}, "no interval"),
        ((99,), {"rows": Split(0, [(0, 2)] * 4), "cols": At(0)}, "intervals"),
        ((5,), {"rows": Copies(), "cols": Split(0, [(1, 5)])}, "entry 0 of 5 lies in no interval"),
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
        with pytest.raises(LinopError, match=complaint) as caught:
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
        A = Movement(S, S.with_roles(rows=Copies()))
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
            with pytest.raises((SpaceError, AgreementError)) as caught:
                A(x)
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


# -- real spaces of complex tensors ------------------------------------------------------------------------------------


def over_the_reals(layout: Draft, world: World) -> DistributedSpace:
    """Return the space of a draft over the real numbers."""
    return DistributedSpace(Grid(world, **layout.axes), layout.shape, layout.dtype, "real", **layout.roles)


@given(layouts_on_ranks())
def test_real_spaces_have_two_coordinates_for_a_complex_entry(drawn: tuple[int, Draft]) -> None:
    """They are those of the real and the imaginary part, rank after rank, as in one process; a real one has one."""
    size, layout = drawn
    parts = 2 if layout.dtype.startswith("complex") else 1
    embedding = np.kron(layout.embedding(), np.eye(parts))
    V = Euclidean(layout.shape, layout.dtype, "real")
    tensor = V.integers(0)

    def main(world: World) -> None:
        S = over_the_reals(layout, world)
        assert S.size == len(embedding)
        x, z = S.from_global(tensor), S.integers(1, (2,))
        coordinates = S.to_coordinates(x)
        assert coordinates.dtype == S.coordinate_dtype == V.coordinate_dtype
        np.testing.assert_array_equal(coordinates, embedding @ V.to_coordinates(tensor))
        np.testing.assert_array_equal(S.from_coordinates(S.to_coordinates(z)), z)
        assert S.from_coordinates(S.to_coordinates(z)).dtype == S.dtype
        if S.size:
            S.check(S.basis(S.size - 1))
            np.testing.assert_array_equal(S.to_coordinates(S.basis()), np.eye(S.size))

    on_ranks(size, main)


@given(layouts_on_ranks())
def test_real_spaces_pair_coordinates(drawn: tuple[int, Draft]) -> None:
    """The pairing is the real part of the complex one: a float, also of batches, counting replicas once."""
    size, layout = drawn

    def main(world: World) -> None:
        R, C = over_the_reals(layout, world), layout.on(world)
        x, y = R.integers(0, (2,)), R.integers(1, (2,))
        assert isinstance(R.dot(x[0], y[0]), float)
        assert R.dot(x[0], y[0]) == C.dot(x[0], y[0]).real
        np.testing.assert_array_equal(R.dot(x, y), np.vecdot(R.to_coordinates(x), R.to_coordinates(y)))
        assert R.norm(x[0]) == C.norm(x[0])
        real = x.real
        assert R.dot(real[0], real[0]) == C.dot(real[0], real[0])

    on_ranks(size, main)


def test_coordinates_of_real_spaces_are_found(ranks: int) -> None:
    """Reports name the rank, the index and the part."""

    def main(world: World) -> list[str]:
        S = DistributedSpace(Grid(world, rows=ranks), (2 * ranks,), complex, "real", rows=Split(0))
        with pytest.raises(SpaceError, match="does not exist"):
            S.locate(S.size)
        return [S.locate(i) for i in (0, S.size - 1)]

    expected = ["rank 0, index (0,) (real part)", f"rank {ranks - 1}, index (1,) (imaginary part)"]
    assert on_ranks(ranks, main) == [expected] * ranks


def test_the_field_is_kept(ranks: int) -> None:
    """By other roles, by movements and halos, and on the way to the logical tensor; it tells spaces apart."""

    def main(world: World) -> None:
        grid = Grid(world, rows=ranks)
        C = DistributedSpace(grid, (4,), complex, rows=Split(0))
        R = DistributedSpace(grid, (4,), complex, "real", rows=Split(0))
        assert R != C
        assert (R.field, C.field) == ("real", "complex")
        assert repr(R) == repr(C).replace("complex128", "complex128, field='real'")
        assert DistributedSpace(grid, (4,), complex, "complex", rows=Split(0)) == C
        assert DistributedSpace(grid, (4,), field="real", rows=Split(0)) == DistributedSpace(grid, (4,), rows=Split(0))
        assert R.with_roles(rows=Copies()).field == R.everywhere().field == "real"
        A = HaloExchange(R, {0: (1, 1)}).H @ Movement(
            R.with_roles(rows=Copies()), HaloExchange(R, {0: (1, 1)}).codomain
        )
        assert {space.field for space in (A.domain, A.codomain)} == {"real"}
        assert check(A)
        x = np.arange(4) + 1j
        np.testing.assert_array_equal(R.to_global(R.from_global(x)), x)

    on_ranks(ranks, main)


def test_real_linear_operators(ranks: int) -> None:
    """Conjugation is linear over the real numbers only: every check passes there, and it is refused elsewhere."""

    def main(world: World) -> None:
        grid = Grid(world, rows=ranks)
        R = DistributedSpace(grid, (2 * ranks,), complex, "real", rows=Split(0))
        C = Conjugation(Euclidean(R.shape, complex, "real"))
        A = 2 * Local(R, R, C) @ Movement(R.with_roles(rows=At(0)), R)
        reports = check(A)
        assert reports, str(reports)
        complex_space = DistributedSpace(grid, (2 * ranks,), complex, rows=Split(0))
        with pytest.raises(SpaceError, match="another field"):
            Local(complex_space, complex_space, C)
        with pytest.raises(SpaceError, match="field"):
            Movement(R, complex_space)
        with pytest.raises(SpaceError, match="field"):
            Local(R, complex_space, C)

    on_ranks(ranks, main)


@pytest.mark.parametrize(("dtype", "field"), [("f8", "complex"), ("c16", "rational")])
def test_fields_that_do_not_exist_are_refused(ranks: int, dtype: str, field: Any) -> None:
    """A field is that of the dtype, or the real one; the same error on every rank."""

    def main(world: World) -> str:
        with pytest.raises(LinopError, match="make no space over the field") as caught:
            DistributedSpace(Grid(world, rows=ranks), (4,), dtype, field, rows=Split(0))
        return str(caught.value)

    assert len(set(on_ranks(ranks, main))) == 1


@pytest.mark.parametrize("name", NAMES)
def test_an_axis_of_a_grid_has_any_name(ranks: int, name: str) -> None:
    """No argument of the library is in its way: in grids, spaces, and what is built of them."""

    def main(world: World) -> list[float]:
        grid = Grid(world, **{name: ranks})
        S = DistributedSpace(grid, (8,), np.float32, **{name: Split(0)})
        assert DistributedSpace(grid, (8,), dtype=np.float32, roles={name: Split(0)}) == S
        T = S.with_roles(**{name: Replicated()})
        assert T == S.with_roles({name: Replicated()}) == S.like(roles={name: Replicated()})
        A = Shift(S, 1, name)
        A = Movement(A.codomain, T) @ A @ HaloExchange(S, {0: (1, 1)}).H @ HaloExchange(S, {0: (1, 1)})
        assert_adjoint(A + Movement(S, T) @ DistributedCumulativeSum(S))
        simplify(A)
        str(explain(A))
        scaling(Movement(S, T), [ranks, 2 * ranks], axis=name)
        return Movement(S, T)(S.from_global(np.ones(8, np.float32))).tolist()

    assert on_ranks(ranks, main) == [[1.0] * 8] * ranks
