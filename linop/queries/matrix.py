"""The matrix of an operator in the coordinates of its two spaces.

Column `i` is the image of basis vector `i`: what the operator *does*, not what it says of itself.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from linop.arguments import checked
from linop.core.operator import LinearOperator


@checked
@singledispatch
def matrix(operator: LinearOperator) -> np.ndarray:
    """Return the matrix of an operator in the coordinates of its two spaces.

    The operator is applied once, to all basis vectors as a batch. Meant for small operators: on spaces that are spread
    over processes, every process receives the whole matrix.

    Parameters
    ----------
    operator : LinearOperator
        The operator.

    Returns
    -------
    numpy array, shape (codomain.size, domain.size)
        Column `i` holds the coordinates of ``A(domain.basis(i))``.

    Examples
    --------
    >>> from linop import Euclidean, Identity
    >>> matrix(2 * Identity(Euclidean(2))).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """
    columns = operator(operator.domain.basis())
    return operator.codomain.to_coordinates(columns).T.copy()
