"""Operators of any library as ours: what checks, the fixture and the command take as it is.

An operator of SciPy's or PyLops', or a matrix, knows its spaces. Functions do not: a pair of them comes with two
spaces. Other libraries teach their kinds of functions to `adopt`, a single-dispatch function, as `torch_bridge` does
for `torch.autograd.Function` and `torch.nn.Module`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import singledispatch
from importlib import import_module
from typing import Any

import numpy as np

from linop.core.operator import LinearOperator
from linop.errors import ArgumentTypeError
from linop.interop.pylops import from_pylops
from linop.interop.scipy import from_scipy
from linop.operators.matrices.function import FunctionOperator
from linop.spaces import Space

BRIDGES = {"torch": "torch_bridge"}
"""Which package teaches the functions of a library to `adopt`."""


@singledispatch
def adopt(thing: Any, domain: Space | None, codomain: Space | None) -> LinearOperator | None:
    """Return an operator of another library as one of ours; None where it is none.

    Parameters
    ----------
    thing : object
        What may be an operator.
    domain, codomain : Space, optional
        Its spaces, as far as they are given.

    Examples
    --------
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> import numpy as np
    >>> adopt(aslinearoperator(np.eye(2)), None, None).domain
    Euclidean((2,), float64)
    """
    libraries = {kind.__module__.partition(".")[0] for kind in type(thing).__mro__}
    if "pylops" in libraries:
        return from_pylops(thing, domain, codomain)
    is_matrix = hasattr(thing, "tocsr") or (isinstance(thing, np.ndarray) and thing.ndim == 2)
    if is_matrix or all(hasattr(thing, name) for name in ("matvec", "rmatvec", "shape")):
        return from_scipy(thing, domain, codomain)
    return None


@adopt.register
def _(thing: LinearOperator, domain: Space | None, codomain: Space | None) -> LinearOperator:
    if domain is not None or codomain is not None:
        raise ArgumentTypeError(f"{thing!r}: an operator has its own spaces, found others besides")
    return thing


def operator_of(name: str, thing: Any, *more: Any) -> LinearOperator:
    """Return an operator of any library, or a pair of functions, as one of ours.

    Parameters
    ----------
    name : str
        Of what asks for it, for errors.
    thing : object
        An operator of linop's, SciPy's or PyLops'; a function of torch's, with its domain; or a function, with its
        adjoint and the two spaces. All may be in one tuple.
    *more : object
        What comes with it.

    Raises
    ------
    TypeError
        When it is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> print(operator_of("check", np.flip, np.flip, Euclidean(3), Euclidean(3)))
    flip
    """
    if isinstance(thing, tuple) and not more:
        thing, *more = thing  # type: ignore[assignment]
    for library, bridge in BRIDGES.items():
        if library in sys.modules:  # whose functions these may be
            import_module(bridge)
    if all(isinstance(space, Space | None) for space in more) and len(more) < 3:
        found = adopt(thing, *more, *[None] * (2 - len(more)))
        if found is not None:
            return found
    if len(more) == 3 and callable(thing) and callable(more[0]) and all(isinstance(X, Space) for X in more[1:]):
        adjoint: Callable[[Any], Any] = more[0]
        return FunctionOperator(more[1], more[2], thing, adjoint, name=getattr(thing, "__name__", "function"))
    given = ", ".join(type(each).__name__ for each in more if each is not None)
    raise ArgumentTypeError(
        f"{name}: expected operator to be a linear operator (of linop, SciPy or PyLops), a matrix, a function of "
        f"torch's with its domain, or a function with its adjoint, domain and codomain; found {thing!r}"
        + (f" with {given}" if given else "")
    )
