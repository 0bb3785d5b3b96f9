"""How a notebook shows an operator: as its tree, or as a formula."""

from __future__ import annotations

import html

from linop import upward
from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.show.latex import latex
from linop.show.tree import tree


@upward.notebook.register(LinearOperator)
@checked
def notebook(operator: LinearOperator) -> dict[str, str]:
    r"""Return what Jupyter may show for an operator, by media type; the front end takes the richest that it can.

    Parameters
    ----------
    operator : LinearOperator
        The operator.

    Returns
    -------
    dict of str
        ``text/plain``: its `repr`. ``text/html``: its `tree`. ``text/latex``: the formula, displayed; see `latex`.

    Examples
    --------
    >>> from linop import Euclidean, Identity
    >>> shown = notebook(2 * Identity(Euclidean(3)))
    >>> shown["text/latex"]
    '$$2\\,I$$'
    >>> print(shown["text/html"])
    <pre>2 * : R^3 -&gt; R^3
    └── Identity : R^3 -&gt; R^3</pre>
    """
    return {
        "text/plain": repr(operator),
        "text/html": f"<pre>{html.escape(tree(operator))}</pre>",
        "text/latex": f"$${latex(operator)}$$",
    }
