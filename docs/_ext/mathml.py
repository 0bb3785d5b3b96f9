"""Formulas as MathML, which browsers draw themselves, by docutils.

The usual renderers fetch a script from the network, or need a LaTeX installation.
"""

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)

STAR = "\u2217"
"""A star in the middle of the line. The one on the keyboard is high already; an exponent would be raised twice."""


def mathml(node: nodes.math | nodes.math_block, block: bool) -> str:
    """Return a formula as MathML; warn where it has a command that docutils does not know."""
    try:
        found: str = tex2mathml(node.astext().replace(r"\dots", r"\ldots"), as_block=block)
        return found.replace("<mo>*</mo>", f"<mo>{STAR}</mo>")
    except MathError as error:
        logger.warning("%s: %s", node.astext(), error, location=node)
        return node.astext()


def visit_math(self: Any, node: nodes.math) -> None:
    """Write a formula in a line."""
    self.body.append(mathml(node, block=False))
    raise nodes.SkipNode


def visit_displaymath(self: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    self.body.append(f'<div class="math">{mathml(node, block=True)}</div>\n')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Make the renderer known to Sphinx."""
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
