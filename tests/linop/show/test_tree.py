"""A tree can be read back: nothing of an expression is lost in its picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Identity, LinearOperator, Matrix, Scale
from linop.core.parts import parts
from linop.show.space_name import space_name
from linop.show.tree import tree
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


def depths(text: str) -> list[tuple[int, str]]:
    """Read a tree: for each line how deep it is, and what it says; after checking that the lines of the boxes meet."""
    found: list[tuple[int, str]] = []
    previous = ""
    for line in text.splitlines():
        said = line.lstrip("│├└─ ")
        boxes = line[: len(line) - len(said)]
        assert len(boxes) % 4 == 0
        for k in range(0, len(boxes), 4):
            column = boxes[k : k + 4]
            assert column in ("├── ", "└── ", "│   ", "    ")
            # A line goes on downwards just below where it has come from above, or below a parent's name.
            above = previous[k : k + 4]
            assert (above in ("├── ", "│   ") or k == 4 * found[-1][0]) == (column != "    ")
        previous = boxes
        found.append((len(boxes) // 4, said))
    return found


def expected(operator: LinearOperator, depth: int = 0) -> list[tuple[int, str]]:
    """Walk an expression as the tree should."""
    name = f"{operator.scalar:g} *" if isinstance(operator, Scale) else type(operator).__name__
    if not parts(operator):
        name = str(operator)
    line = f"{name} : {space_name(operator.domain)} -> {space_name(operator.codomain)}"
    return [(depth, line)] + [pair for part in parts(operator) for pair in expected(part, depth + 1)]


@given(trees())
def test_every_node_has_a_line(expression: Expression) -> None:
    """One line for each node, in the order in which it is written, as far to the right as it is deep."""
    assert depths(tree(expression.operator)) == expected(expression.operator)


def test_example() -> None:
    """Boxes tie parts to what is made of them."""
    A = Matrix([[1.0, 2.0, 3.0]])
    assert tree(2 * A.H @ A - Identity(Euclidean(3))).splitlines() == [
        "Sum : R^3 -> R^3",
        "├── 2 * : R^3 -> R^3",
        "│   └── Compose : R^3 -> R^3",
        "│       ├── Adjoint : R^1 -> R^3",
        "│       │   └── Matrix(1x3) : R^3 -> R^1",
        "│       └── Matrix(1x3) : R^3 -> R^1",
        "└── -1 * : R^3 -> R^3",
        "    └── Identity : R^3 -> R^3",
    ]
