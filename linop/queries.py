"""Questions to ask of an operator."""

from __future__ import annotations

import numpy as np

from linop.operator import LinearOperator


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
    basis = operator.domain.from_coordinates(np.eye(operator.domain.size, dtype=operator.domain.dtype))
    return operator.codomain.to_coordinates(operator(basis)).T.copy()
