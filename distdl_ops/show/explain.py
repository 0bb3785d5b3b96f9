"""An expression in words: its steps, what they send, what is simpler, and why that is the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from distdl_ops.advice.cost import ParallelCost
from distdl_ops.layouts.describe import in_words, short
from distdl_ops.spaces import DistributedSpace
from linop import Compose, Cost, LinearOperator, Rewriting, Space, cost, derivation, parts
from linop.arguments import checked
from linop.show.space_name import space_name

WIDTH = 60
"""Longer expressions are cut where they stand beside others."""


@checked
def explain(operator: LinearOperator) -> Explanation:
    """Return what an expression sends, step by step, what `linop.simplify` makes of it, and why. Collective.

    Parameters
    ----------
    operator : LinearOperator
        An expression on distributed spaces.

    Returns
    -------
    Explanation
        Prints as a text.

    Examples
    --------
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Movement, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=4), (100,), p=Split(0))
    ...     C = S.with_roles(p=Copies())
    ...     return str(explain(Movement(S, C) @ Movement(C, S)))
    >>> print(simulate(4, main)[0])
    AllGather(p) @ ReduceScatter(p)
       messages  bytes sent  step
              3         600  ReduceScatter(p) : (100,) p=Copies() -> (100,) p=Split(0)
              3         600  AllGather(p) : (100,) p=Split(0) -> (100,) p=Copies()
              6        1200  together
    <BLANKLINE>
    is the same as
    <BLANKLINE>
    AllSumReduce(p)
       messages  bytes sent  step
              3        2400  AllSumReduce(p) : (100,) p=Copies() -> (100,) p=Copies()
    <BLANKLINE>
    because
    <BLANKLINE>
    AllGather(p) @ ReduceScatter(p) = AllSumReduce(p)
       ``M(S, T) M(R, S) = M(R, T) diag(E_R d_S)``, where S holds entries d_S times; a number comes to the front.
    """
    simpler, rewritings = derivation(operator)
    return Explanation(operator, simpler, tuple(rewritings))


@final
@dataclass(frozen=True, repr=False)
class Explanation:
    """What is to be said of an expression.

    Attributes
    ----------
    before, after : LinearOperator
        The expression, and what `linop.simplify` makes of it.
    rewritings : tuple of Rewriting
        How one becomes the other.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Movement, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (4, 4), p=Split(0))
    ...     T = S.with_roles(p=Split(1))
    ...     found = explain(Movement(T, S) @ Movement(S, T))
    ...     return str(found.before), str(found.after), len(found.rewritings)
    >>> simulate(2, main)[0]
    ('AllToAll(p) @ AllToAll(p)', 'Identity', 1)
    """

    before: LinearOperator
    after: LinearOperator
    rewritings: tuple[Rewriting, ...]

    def __str__(self) -> str:
        if self.before == self.after:
            return f"{_steps(self.before)}\n\nis as simple as the rules make it"
        why = [
            f"{short(str(step.before), WIDTH)} = {short(str(step.after), WIDTH)}\n   {step.why}"
            for step in self.rewritings
        ]
        reasons = "\n".join(dict.fromkeys(why))
        return f"{_steps(self.before)}\n\nis the same as\n\n{_steps(self.after)}\n\nbecause\n\n{reasons}"

    __repr__ = __str__


def steps_of(operator: LinearOperator) -> list[LinearOperator]:
    """Return the operators that are no expressions, in the order in which they are applied.

    Examples
    --------
    >>> from linop import Diagonal
    >>> D, E = Diagonal([1.0, 2.0]), Diagonal([3.0, 4.0])
    >>> steps_of(2 * (D @ E) + E) == [E, D, E]
    True
    """
    steps: list[LinearOperator] = []
    todo = [operator]
    while todo:
        inside = parts(part := todo.pop())
        if not inside:
            steps.append(part)
        todo += inside if isinstance(part, Compose) else inside[::-1]
    return steps


def _steps(operator: LinearOperator) -> str:
    """Return an expression, and a line for each of its steps."""
    steps = steps_of(operator)
    lines = [str(operator), f"   {'messages':>8}{'bytes sent':>12}  step"]
    lines += [_line(cost(step), f"{step} : {_name(step.domain)} -> {_name(step.codomain)}") for step in steps]
    if len(steps) > 1:
        lines.append(_line(cost(operator), "together"))
    return "\n".join(lines)


def _line(spent: Cost, what: str) -> str:
    messages, sent = (spent.messages, spent.sent) if isinstance(spent, ParallelCost) else (0, 0)
    return f"   {messages:>8}{sent:>12}  {what}"


def _name(space: Space) -> str:
    """Return how a space lies on its grid; that it has weights, and which, is not told."""
    plain = space.unweighted
    return in_words(plain.layout) if isinstance(plain, DistributedSpace) else space_name(space)
