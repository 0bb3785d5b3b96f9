"""What the strategies share: an operator with the matrix of a function, and spaces over the same field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.spaces import Euclidean, Product, Space
from linop.testing.asserting import dense
from linop.testing.expressions import Expression
from linop.testing.spaces import shapes


def with_twin(operator: LinearOperator, function: Callable[[Any], Any]) -> Expression:
    """Return an operator with the matrix of a function, which is to be the same map made in another way.

    Parameters
    ----------
    operator : LinearOperator
        On spaces in one process.
    function : callable
        Takes a NumPy array of the domain (a tuple of them, of a product) to one of the codomain; see `dense`.

    Raises
    ------
    SpaceError
        When the function's results are no vectors of the codomain: its shape, too, is to be found in another way.
    """
    X, Y = operator.domain, operator.codomain
    result = function(X.zeros())
    Y.check(result, operator)
    if Y.batch(result) != ():
        raise SpaceError(f"{operator!r}: the function makes a batch {Y.batch(result)} of one vector")
    return Expression(operator, dense(function, X, Y))


def spaces_like(space: Euclidean, *, same_dtype: bool = False) -> st.SearchStrategy[Space]:
    """Return spaces of arrays, and of pairs of them, over the field of a space and in its precision.

    Parameters
    ----------
    space : Euclidean
        Where it is real, arrays are real or complex.
    same_dtype : bool, optional
        Whether all arrays have the dtype of the space's.
    """
    arrays = arrays_like(space, same_dtype=same_dtype)
    return arrays | st.builds(Product, arrays, arrays)


def arrays_like(space: Euclidean, *, same_dtype: bool = False) -> st.SearchStrategy[Euclidean]:
    """Return spaces of arrays of up to two axes; see `spaces_like`."""
    dtypes = [space.dtype]
    if space.field == "real" and not same_dtype:
        dtypes = [space.coordinate_dtype, np.result_type(space.coordinate_dtype, np.complex64)]
    return st.builds(Euclidean, shapes(max_ndim=2, max_extent=3), st.sampled_from(dtypes), st.just(space.field))
