"""What a notebook shows of an operator."""

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop.show.display import notebook
from linop.show.latex import latex
from linop.show.tree import tree
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from(draw(spaces_of_a_tree()))
    return draw(expressions(draw(spaces), draw(spaces)))


@given(trees())
def test_three_ways(expression: Expression) -> None:
    """Plain text is the repr; HTML shows the tree, with nothing that is taken for a tag; LaTeX is displayed."""
    A = expression.operator
    shown = notebook(A)
    assert set(shown) == {"text/plain", "text/html", "text/latex"}
    assert shown["text/plain"] == repr(A)
    inside = shown["text/html"].removeprefix("<pre>").removesuffix("</pre>")
    assert "<" not in inside
    assert ">" not in inside
    assert html.unescape(inside) == tree(A)
    assert shown["text/latex"] == f"$${latex(A)}$$"
