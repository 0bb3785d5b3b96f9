"""Questions to ask of an operator: one question, one file, each open to answers of your own.

Most are single-dispatch functions: ``cost.register(MyOperator)`` teaches one to answer for a class, without a change to
that class.

==========================================  ==================================================================
`matrix` `diagonal` `trace`                 what it is in coordinates
`norm_estimate` `condition_estimate`        how much it magnifies, and how unevenly
`eigenvalue_bounds`                         where the spectrum of a self-adjoint one lies
`is_self_adjoint` ... `is_diagonal`         what is known of it
`cost`                                      what one application takes
`parts`                                     what it is made of; all of the others ask that
`tree` `latex` `notebook` `plot_matrix`     how it is shown
==========================================  ==================================================================
"""

from linop.queries.claims import (
    is_diagonal,
    is_isometry,
    is_positive,
    is_projection,
    is_self_adjoint,
    is_unitary,
)
from linop.queries.condition import condition_estimate
from linop.queries.cost import Cost, cost
from linop.queries.diagonal import diagonal
from linop.queries.display import notebook
from linop.queries.eigenvalues import eigenvalue_bounds
from linop.queries.latex import latex
from linop.queries.matrix import matrix
from linop.queries.norm import norm_estimate
from linop.queries.parts import parts
from linop.queries.plot import plot_matrix
from linop.queries.space_name import space_name
from linop.queries.trace import TraceEstimate, hutchinson, trace
from linop.queries.tree import tree

__all__ = [
    "Cost",
    "TraceEstimate",
    "condition_estimate",
    "cost",
    "diagonal",
    "eigenvalue_bounds",
    "hutchinson",
    "is_diagonal",
    "is_isometry",
    "is_positive",
    "is_projection",
    "is_self_adjoint",
    "is_unitary",
    "latex",
    "matrix",
    "norm_estimate",
    "notebook",
    "parts",
    "plot_matrix",
    "space_name",
    "trace",
    "tree",
]
