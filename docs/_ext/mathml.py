"""Formulas as MathML, which browsers draw themselves, by docutils.

The usual renderers fetch a script from the network, or need a LaTeX installation. A browser needs a font that knows how
formulas are set, and not every system has one; so the site brings its own, STIX Two Math, which lies in the package
ziamath. It is cut down to the characters of formulas, and lies in the style sheet itself: browsers load no font from
another file of a site that is opened from disk.
"""

import base64
import io
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from sphinx.util import logging

logger = logging.getLogger(__name__)

STAR = "\u2217"
"""A star in the middle of the line. The one on the keyboard is high already; an exponent would be raised twice."""


def mathml(node: nodes.math | nodes.math_block, block: bool) -> str:
    """Return a formula as MathML; warn of what docutils does not know, or reads otherwise than LaTeX."""
    formula = node.astext()
    if re.search(r"frac\d\d", formula):
        logger.warning("%s: numerator and denominator need braces", formula, location=node)
    try:
        found: str = tex2mathml(formula.replace(r"\dots", r"\ldots"), as_block=block)
    except MathError as error:
        logger.warning("%s: %s", formula, error, location=node)
        return formula
    found = found.replace("<mo>*</mo>", f"<mo>{STAR}</mo>")
    if r"\left" not in formula:  # else these are as high as what stands between them
        found = re.sub("<mo>([⟨⟩‖|])</mo>", r'<mo stretchy="false">\1</mo>', found)
    return found


def visit_math(self: Any, node: nodes.math) -> None:
    """Write a formula in a line."""
    self.body.append(mathml(node, block=False))
    raise nodes.SkipNode


def visit_displaymath(self: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    self.body.append(f'<div class="math">{mathml(node, block=True)}</div>\n')
    raise nodes.SkipNode


CHARACTERS = [
    *range(0x20, 0x250),  # Latin
    *range(0x300, 0x370),  # accents
    *range(0x370, 0x400),  # Greek
    *range(0x2000, 0x2070),  # spaces, dashes, dots
    *range(0x2100, 0x2300),  # letterlike symbols, arrows, operators
    *range(0x2308, 0x230C),  # floor and ceiling
    *range(0x27E6, 0x27EC),  # brackets
    *range(0x1D400, 0x1D800),  # mathematical alphabets
]
"""What is kept of the font."""


def style() -> str:
    """Return a style sheet with the font in it."""
    font = TTFont(io.BytesIO(files("ziamath").joinpath("fonts/STIXTwoMath-Regular.ttf").read_bytes()))
    subsetter = Subsetter(Options(layout_features=["*"]))
    subsetter.populate(unicodes=CHARACTERS)
    subsetter.subset(font)
    font.flavor = "woff"
    memory = io.BytesIO()
    font.save(memory)
    source = f"url(data:font/woff;base64,{base64.b64encode(memory.getvalue()).decode()})"
    return (
        "/* STIX Two Math, copyright The STIX Fonts Project Authors, SIL Open Font License 1.1. */\n"
        f"@font-face {{ font-family: 'Formulas'; src: {source} format('woff'); }}\n"
        "math { font-size: 1.1em; }\n"
        "math { font-family: 'Formulas', 'STIX Two Math', 'Cambria Math', 'Latin Modern Math', math; }\n"
    )


def write_style(app: Any, error: Exception | None) -> None:
    """Write the style sheet beside those of the theme."""
    if error is None:
        (Path(app.outdir) / "_static" / "formulas.css").write_text(style(), encoding="utf-8")


def setup(app: Any) -> dict[str, Any]:
    """Make the renderer known to Sphinx, and its font to the pages."""
    app.add_css_file("formulas.css")
    app.connect("build-finished", write_style)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
