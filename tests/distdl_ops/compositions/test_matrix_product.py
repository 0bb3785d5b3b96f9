"""The distributed product with a matrix is that of the logical vector, however the blocks of the matrix lie."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import (
    AgreementError,
    At,
    Copies,
    DistributedMatrix,
    DistributedSpace,
    Grid,
    Replicated,
    Role,
    Split,
    World,
)
from distdl_ops.testing import Draft, drafts, grids, on_ranks, world_sizes
from linop import Euclidean, Identity, Kron, LinearOperator, LinopError, Matrix, SpaceError, check
from linop.testing import DTYPES


@dataclass(frozen=True)
class Case:
    """A matrix, and how vectors lie before and after it."""

    size: int
    domain: Draft
    codomain: Draft
    entries: np.ndarray

    @property
    def serial(self) -> LinearOperator:
        m, n = self.entries.shape
        A = Matrix(self.entries, Euclidean(n, self.domain.dtype), Euclidean(m, self.domain.dtype))
        behind = self.domain.shape[1:]
        return Kron(A, Identity(Euclidean(behind, self.domain.dtype))) if behind else A


@st.composite
def cases(draw: st.DrawFn, roles: tuple[type[Role], ...] = (At, Split, Replicated)) -> Case:
    size = draw(world_sizes())
    axes, dtype = draw(grids(size)), draw(st.sampled_from(DTYPES))
    m, n = draw(st.integers(0, 6)), draw(st.integers(0, 6))
    behind = tuple(draw(st.lists(st.integers(0, 3), max_size=2)))
    domain = draw(drafts(axes, (n, *behind), dtype, roles=roles, once=True))
    if Copies not in roles:  # more grid axes than tensor axes
        domain.roles.update({name: Replicated() for name, role in domain.roles.items() if role == Copies()})
    codomain = draw(drafts(axes, (m, *behind), dtype))
    entries = np.random.default_rng(draw(st.integers(0, 99))).integers(-4, 5, (m, n)).astype(float)
    return Case(size, domain, codomain, entries * (1 - 2j) if dtype.startswith("complex") else entries)


@given(case=cases(), by_function=st.booleans())
def test_equals_the_serial_product(case: Case, by_function: bool, assert_laid_out: Any) -> None:
    """From any layout that holds each entry once to any layout: exactly, and so is the adjoint."""

    def main(world: World) -> None:
        given = (lambda rows, columns: case.entries[rows, columns]) if by_function else case.entries
        A = DistributedMatrix(given, case.domain.on(world), case.codomain.on(world))
        assert A.exact
        assert_laid_out(A, case.serial)

    on_ranks(case.size, main)


@given(case=cases(roles=(At, Split, Copies, Replicated)))
def test_copies_are_multiplied_where_they_are(case: Case) -> None:
    """From copies too, A E_X = E_Y W and every check passes; or all ranks refuse, for copies would be added up."""

    def main(world: World) -> str:
        X, Y = case.domain.on(world), case.codomain.on(world)
        try:
            A = DistributedMatrix(case.entries, X, Y)
        except SpaceError:
            assert Copies() in X.roles.values()
            with pytest.raises(SpaceError, match=r"would be added up|would add up copies") as caught:
                DistributedMatrix(case.entries, X, Y)
            return str(caught.value)
        x = case.serial.domain.integers(0, (2,))
        np.testing.assert_array_equal(A(X.from_global(x)), Y.from_global(case.serial(x)))
        reports = check(A)
        assert reports, str(reports)
        return ""

    assert len(set(on_ranks(case.size, main))) == 1


@pytest.mark.parametrize(
    ("source", "target", "formula", "sent"),
    [
        (Replicated(), Split(0), "Local(Matrix(3x6)) @ Copy(p)", (0, 0)),
        (Copies(), Split(0), "Local(Matrix(3x6))", (0, 0)),
        (At(0), Split(0), "Local(Matrix(3x6)) @ Broadcast(p)", (48, 0)),
        (Split(0), Split(0), "ReduceScatter(p) @ Local(Matrix(6x3))", (24, 24)),
        (Split(0), Replicated(), "AllReduce(p) @ Local(Matrix(6x3))", (48, 48)),
        (Split(0), Copies(), "AllSumReduce(p) @ Local(Matrix(6x3))", (48, 48)),
        (Split(0), At(1), "SumReduce(p) @ Local(Matrix(6x3))", (48, 0)),
        (Copies(), Copies(), "Local(Matrix(6x6))", (0, 0)),
        (Replicated(), Replicated(), "Local(Matrix(6x6))", (0, 0)),
        (Replicated(), Copies(), "Copy(p) @ Local(Matrix(6x6))", (0, 0)),
    ],
)
@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_formulas(ranks: int, source: Role, target: Role, formula: str, sent: tuple[int, int]) -> None:
    """Column-parallel, row-parallel and replicated products read as they are, and send no more than that, in bytes."""

    def main(world: World) -> tuple[str, int, int]:
        X, Y = (DistributedSpace(Grid(world, p=2), (6,), p=role) for role in (source, target))
        A = DistributedMatrix(np.arange(36).reshape(6, 6), X, Y)
        before = world.traffic.messages, world.traffic.bytes
        A._apply(X.integers(0))
        return str(A), world.traffic.messages - before[0], world.traffic.bytes - before[1]

    messages = [size // 8 > 0 for size in sent]
    assert on_ranks(ranks, main) == [(formula, sends, size) for sends, size in zip(messages, sent, strict=True)]


@pytest.mark.parametrize(("m", "n", "moved"), [(2, 8, "ReduceScatter(p)"), (8, 2, "AllGather(p)")])
@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_the_shorter_vector_moves(ranks: int, m: int, n: int, moved: str) -> None:
    """Where both are split, the result of few rows is reduced, the argument of few columns gathered."""

    def main(world: World) -> str:
        grid = Grid(world, p=ranks)
        X, Y = DistributedSpace(grid, (n,), p=Split(0)), DistributedSpace(grid, (m,), p=Split(0))
        return str(DistributedMatrix(np.ones((m, n)), X, Y))

    assert all(moved in found for found in on_ranks(ranks, main))


@pytest.mark.parametrize("ranks", [4], indirect=True)
def test_two_dimensional_product(ranks: int) -> None:
    """On two axes of a grid every rank has one block; x is broadcast along one axis, y reduced along the other."""

    def main(world: World) -> tuple[str, tuple[int, int]]:
        grid = Grid(world, rows=2, cols=2)
        X = DistributedSpace(grid, (6, 3), rows=At(0), cols=Split(0, [(0, 5), (5, 6)]))
        Y = DistributedSpace(grid, (4, 3), rows=Split(0), cols=At(1))
        asked = []

        def block(rows: slice, columns: slice) -> np.ndarray:
            asked.append((rows.start, columns.start))
            return np.arange(24.0).reshape(4, 6)[rows, columns]

        A = DistributedMatrix(block, X, Y)
        (corner,) = asked  # of each rank, its block and nothing else
        x = np.arange(18.0).reshape(6, 3)
        np.testing.assert_array_equal(Y.to_global(A(X.from_global(x))), np.arange(24.0).reshape(4, 6) @ x)
        return str(A).partition(" @ Local")[0] + str(A).rpartition(")) @ ")[2], corner

    found = on_ranks(ranks, main)
    assert {names for names, _ in found} == {"SumReduce(cols)Broadcast(rows)"}
    assert [corner for _, corner in found] == [(0, 0), (0, 5), (2, 0), (2, 5)]


def test_torch(ranks: int) -> None:
    """Every check passes for tensors of torch in single precision."""

    def main(world: World) -> None:
        grid = Grid(world, p=ranks)
        X, Y = DistributedSpace(grid, (5, 2), p=Split(0)), DistributedSpace(grid, (4, 2), p=Replicated())
        reports = check(DistributedMatrix(np.arange(20).reshape(4, 5), X, Y), like=torch.zeros(1))
        assert reports, str(reports)

    on_ranks(ranks, main)


def test_what_does_not_fit_is_refused(ranks: int) -> None:
    """Other shapes, grids, dtypes and fields, complex entries in real spaces: the same error on every rank."""

    def main(world: World) -> list[str]:
        grid = Grid(world, p=ranks)
        X, Y = DistributedSpace(grid, (5,), p=Split(0)), DistributedSpace(grid, (4,), p=Split(0))
        W = np.ones((4, 5))
        elsewhere = DistributedSpace(Grid(world, q=ranks), (4,), q=Split(0))
        single = DistributedSpace(grid, (4,), np.float32, p=Split(0))
        behind = DistributedSpace(grid, (4, 2), p=Split(0))
        realified = [DistributedSpace(grid, (n,), complex, "real", p=Split(0)) for n in (5, 4)]
        messages = []
        for arguments, complaint in (
            ((W.T, X, Y), r"expected a matrix of shape \(4, 5\), found \(5, 4\)"),
            ((W[0], X, Y), "to be a matrix of numbers"),
            ((W * 1j, X, Y), "needs spaces of complex arrays"),
            ((W, X, elsewhere), "expected one grid"),
            ((W, X, single), "dtypes float64 and float32 differ"),
            ((W, X, behind), "the same axes behind"),
            ((W, *realified), "expected real spaces of real arrays"),
        ):
            with pytest.raises(LinopError, match=complaint) as caught:
                DistributedMatrix(*arguments)
            assert str(caught.value).startswith(f"DistributedMatrix on {arguments[1]}: ")
            messages.append(str(caught.value))
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_what_would_be_added_up_is_refused(ranks: int) -> None:
    """Copies that would have to move, overlapping intervals, and copies kept beside partial sums."""

    def main(world: World) -> list[str]:
        grid = Grid(world, p=ranks, q=1)
        X, Y = DistributedSpace(grid, (4,), p=Copies(), q=At(0)), DistributedSpace(grid, (4,), p=Copies(), q=At(0))
        overlapping = X.with_roles(p=Split(0, [(0, 4)] * ranks))
        messages = []
        for source, target in (
            (X, Y.with_roles(p=Replicated())),
            (X, Y.with_roles(p=At(0))),
            (overlapping, Y),
            (X, Y.with_roles(q=Replicated())),
            (X.with_roles(q=Split(0)), Y),
        ):
            with pytest.raises(SpaceError, match=r"added up|add up") as caught:
                DistributedMatrix(np.ones((4, 4)), source, target)
            assert str(source) in str(caught.value)
            assert str(target) in str(caught.value)
            messages.append(str(caught.value))
        return messages

    results = on_ranks(ranks, main)
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("ranks", [2, 3, 4], indirect=True)
def test_ranks_with_other_entries(ranks: int) -> None:
    """Entries are the same on all ranks; a function that returns another block on one of them stops all."""

    def main(world: World) -> None:
        X = DistributedSpace(Grid(world, p=ranks), (4,), p=Split(0))
        last = world.rank == ranks - 1
        with pytest.raises(AgreementError, match="checksum"):
            DistributedMatrix(np.full((4, 4), float(last)), X, X)
        for function in (
            lambda rows, columns: np.ones((9, 9)) if last else np.ones((4, 4))[rows, columns],
            lambda rows, columns: np.ones((4, 4))[rows, columns] * (1j if last else 1),
        ):
            with pytest.raises(AgreementError, match=f"rank {ranks - 1}: .*expected a block of shape"):
                DistributedMatrix(function, X, X)

    on_ranks(ranks, main)


def test_what_is_no_space_is_refused() -> None:
    """The error names the operator."""
    with pytest.raises(LinopError, match=r"DistributedMatrix.* to be a DistributedSpace, found None"):
        DistributedMatrix(np.ones((1, 1)), None, None)  # type: ignore[arg-type]
