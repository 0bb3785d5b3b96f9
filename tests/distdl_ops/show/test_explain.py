"""An explanation says what is sent, what is simpler, and which rules say so."""

import pytest
from hypothesis import given

from distdl_ops import Copies, DistributedSpace, Explanation, Grid, Movement, Replicated, Split, World, explain
from distdl_ops.advice.cost import ParallelCost
from distdl_ops.show.explain import steps_of
from distdl_ops.testing import Tree, on_ranks, worlds_and_trees
from linop import LinearOperator, cost, simplify
from linop.rewriting.rules import like_terms


@given(worlds_and_trees())
def test_explanations_add_up(drawn: tuple[int, Tree]) -> None:
    """What the steps of an expression send is what all of it sends; the last word is that of simplify."""
    size, tree = drawn

    def main(world: World) -> None:
        A = tree.on(world)
        found = explain(A)
        assert found.before == A
        assert found.after == simplify(A)
        for B in (found.before, found.after):
            total = sum((cost(step) for step in steps_of(B)), ParallelCost())
            whole = cost(B) + ParallelCost()
            assert (total.messages, total.sent) == (whole.messages, whole.sent)
        for rewriting in found.rewritings:
            assert rewriting.why in str(found)

    on_ranks(size, main)


def test_an_explanation_names_the_rule(ranks: int) -> None:
    """A repartition there and back is nothing, because every entry comes back once."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, p=world.size), (6, 4), p=Split(0))
        T = S.with_roles(p=Split(1))
        return repr(explain(Movement(T, S) @ Movement(S, T)))

    for text in on_ranks(ranks, main):
        assert text.startswith("AllToAll(p) @ AllToAll(p)\n")
        assert "is the same as\n\nIdentity\n" in text
        assert "because" in text
        assert "c E_R E_R* = c I" in text


def test_what_is_simple_is_said_to_be(ranks: int) -> None:
    """Where no rule applies, the explanation says so."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, p=world.size), (6, 4), p=Split(0))
        return str(explain(Movement(S, S.with_roles(p=Copies()))))

    assert all(text.endswith("is as simple as the rules make it") for text in on_ranks(ranks, main))


def test_sums_are_told_term_by_term(ranks: int) -> None:
    """Two equal terms are one movement with a number, by the rule of like terms."""

    def main(world: World) -> tuple[bool, int]:
        S = DistributedSpace(Grid(world, p=world.size), (6, 4), p=Split(0))
        A: LinearOperator = Movement(S, S.with_roles(p=Replicated()))
        found: Explanation = explain(A + A)
        return any(step.rule is like_terms for step in found.rewritings), len(steps_of(found.before))

    assert on_ranks(ranks, main) == [(True, 2)] * ranks


@pytest.mark.serial
def test_a_line_has_every_number() -> None:
    """A table has a line for each step, and one for all of them together."""

    def main(world: World) -> str:
        S = DistributedSpace(Grid(world, p=3), (6, 4), p=Split(0))
        C = S.with_roles(p=Copies())
        return str(explain(Movement(C, S) @ Movement(S, C)))

    from distdl_ops import simulate

    lines = simulate(3, main)[0].splitlines()
    assert lines[2].split()[:3] == ["2", "128", "AllGather(p)"]
    assert lines[3].split()[:3] == ["2", "128", "ReduceScatter(p)"]
    assert lines[4].split() == ["4", "256", "together"]
