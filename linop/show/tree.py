"""An expression, drawn as the tree that it is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.core.parts import parts
from linop.core.scale import Scale
from linop.show.space_name import space_name


@checked
def tree(operator: LinearOperator) -> str:
    """Return an expression as a tree, one operator a line: its name and its two spaces, and below it its `parts`.

    Parameters
    ----------
    operator : LinearOperator
        The expression.

    Returns
    -------
    str
        Lines, without one at the end. Spaces have short names; see `linop.show.space_name`. Below 30 levels, lines
        are moved to the right no more: their level is written in front of them.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Identity, Matrix
    >>> A = Matrix(np.ones((3, 2)))
    >>> print(tree(A.H @ A + 0.5 * Identity(A.domain)))
    Sum : R^2 -> R^2
    ├── Compose : R^2 -> R^2
    │   ├── Adjoint : R^3 -> R^2
    │   │   └── Matrix(3x2) : R^2 -> R^3
    │   └── Matrix(3x2) : R^2 -> R^3
    └── 0.5 * : R^2 -> R^2
        └── Identity : R^2 -> R^2
    """
    return "\n".join(_lines(operator))


@singledispatch
def heading(operator: LinearOperator) -> str:
    """Return what a line of the tree calls an operator: what it is by itself, without its parts.

    Examples
    --------
    >>> from linop import Diagonal
    >>> D = Diagonal([1.0, 2.0])
    >>> heading(D), heading(D + D)
    ('Diagonal([1.0, 2.0])', 'Sum')
    """
    return type(operator).__name__ if parts(operator) else str(operator)


@heading.register
def _(operator: Scale) -> str:
    return f"{operator.scalar:g} *"


DRAWN = 30
"""How many levels are drawn."""


def _lines(operator: LinearOperator) -> Iterator[str]:
    """Give the lines of a tree: each part's are moved to the right, and tied to this operator."""
    waiting = [(operator, "", "", 0)]
    while waiting:
        node, first, rest, level = waiting.pop()
        before = first if level <= DRAWN else f"level {level}: "
        yield f"{before}{heading(node)} : {space_name(node.domain)} -> {space_name(node.codomain)}"
        for k, part in enumerate(reversed(parts(node))):
            ties = ("└── ", "    ") if k == 0 else ("├── ", "│   ")
            drawn = (rest + ties[0], rest + ties[1]) if level < DRAWN else ("", "")
            waiting.append((part, *drawn, level + 1))
