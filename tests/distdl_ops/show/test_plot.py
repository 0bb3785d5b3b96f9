"""The picture of a matrix has the entries of A and of A.H, and lines between the ranks."""

from typing import Any

import numpy as np
import pytest

from distdl_ops import At, Copies, DistributedSpace, Grid, HaloExchange, Movement, Replicated, Split, World, plot_matrix
from distdl_ops.testing import on_ranks
from linop import Euclidean, LinearOperator, Product, Weighted, matrix
from linop.show.plot import boundaries

pytest.importorskip("matplotlib")


def test_matrices_stand_side_by_side(ranks: int) -> None:
    """The two pictures are the matrix and its conjugate transpose; lines begin where a rank's coordinates begin."""

    def main(world: World) -> None:
        S = DistributedSpace(Grid(world, p=world.size), (9,), p=Split(0))
        H = HaloExchange(S, {0: (1, 1)})
        figure = plot_matrix(H)
        left, right = figure.axes[:2]
        np.testing.assert_array_equal(left.images[0].get_array(), matrix(H))
        np.testing.assert_array_equal(right.images[0].get_array(), matrix(H).T)
        assert (left.get_title(), right.get_title()) == (str(H), f"{H}.H")
        assert [text.get_text() for text in left.get_xticklabels()] == [str(k) for k in range(world.size)]
        below = [line.get_ydata()[0] + 0.5 for line in left.get_lines() if line.get_ydata()[0] == line.get_ydata()[1]]
        assert below == boundaries(H.codomain)

    on_ranks(ranks, main)


def test_boundaries_are_those_of_ranks(ranks: int) -> None:
    """Blocks begin where ranks do; a replicated vector is one block, and a rank that holds nothing has none."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=world.size), (8,), p=Copies())
        weighted = Weighted(S, 2.0)
        spaces = (S, S.with_roles(p=Replicated()), S.with_roles(p=At(0)), weighted, Product(S, Euclidean(3)))
        return [boundaries(space) for space in spaces]

    each = [8 * k for k in range(1, ranks)]
    assert on_ranks(ranks, main) == [[each, [], [], each, [*each, 8 * ranks]]] * ranks


def test_titles_of_products_have_parentheses(ranks: int) -> None:
    """The adjoint of a product is that of all of it; what is its own adjoint has one name."""

    def main(world: World) -> list[list[str]]:
        S = DistributedSpace(Grid(world, p=world.size), (6,), p=Split(0))
        C = S.with_roles(p=Copies())
        A: LinearOperator = Movement(C, C.with_roles(p=Replicated())) @ Movement(S, C)
        return [[ax.get_title() for ax in plot_matrix(B).axes[:2]] for B in (A, A.H @ A, Movement(S, C))]

    for product, symmetric, movement in on_ranks(ranks, main):
        assert product[1] == f"({product[0]}).H"
        assert symmetric[0] == symmetric[1]
        assert movement == ["AllGather(p)", "AllGather(p).H = ReduceScatter(p)"]
