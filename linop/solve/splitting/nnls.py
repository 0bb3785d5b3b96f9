"""Least squares without negative entries."""

from __future__ import annotations

from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.solve.loop import Callback
from linop.solve.proximal.elementary import nonnegative
from linop.solve.result import Result
from linop.solve.splitting.ista import fista


@checked
def nnls(
    A: LinearOperator,
    b: Vector,
    *,
    x0: Vector | None = None,
    lipschitz: Nonnegative | None = None,
    tolerance: Nonnegative = 1e-8,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Minimise ``|A x - b|`` among the real vectors without negative entries, by `fista` with restarts.

    In a space with weights these must be diagonal, for the projection to be that of each entry.

    Parameters
    ----------
    A, b, x0, lipschitz, tolerance, absolute, iterations, callback, progress
        As for `fista`.

    Returns
    -------
    Result
        As that of `fista`.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Matrix
    >>> nnls(Matrix([[1.0, 1.0], [0.0, 1.0]]), np.array([1.0, -1.0])).x.round(6).tolist()
    [1.0, 0.0]
    """
    return fista(
        A,
        b,
        nonnegative(),
        x0=x0,
        lipschitz=lipschitz,
        restart=True,
        tolerance=tolerance,
        absolute=absolute,
        iterations=iterations,
        callback=callback,
        progress=progress,
    )
