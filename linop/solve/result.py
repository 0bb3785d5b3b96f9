"""What a solver returns, and what it tells a callback on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from linop.arrays import Vector
from linop.solve.scalars import Number


@final
@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """What a solver found. True when it converged.

    Attributes
    ----------
    x : vector
        The solution, or the last iterate; fresh. Of `linop.solve.lanczos`, a tuple of vectors.
    converged : bool
        Whether the tolerance was reached, judged by a residual that was computed from `x`, not only by recurrence.
    reason : str
        Why the solver stopped, in words.
    iterations : int
        How many steps were made.
    residuals : tuple of float
        The norm of the residual at the start and after each step; each solver says what its residual is. Of a batch of
        right-hand sides, each entry is an array with one norm for each.
    values : tuple of float
        Eigenvalues or singular values, where the solver looks for them.
    dual : vector or None
        The dual vector, where the solver has one.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal
    >>> from linop.solve import cg
    >>> result = cg(Diagonal([2.0, 4.0]), np.array([2.0, 4.0]))
    >>> bool(result), result.iterations, result.x.round(6).tolist()
    (True, 2, [1.0, 1.0])
    """

    x: Vector
    converged: bool
    reason: str
    iterations: int
    residuals: tuple[Number, ...]
    values: tuple[float, ...] = ()
    dual: Vector | None = None

    def __bool__(self) -> bool:
        return self.converged

    def __repr__(self) -> str:
        verdict = "converged" if self.converged else "not converged"
        steps = "1 iteration" if self.iterations == 1 else f"{self.iterations} iterations"
        return f"Result({verdict} after {steps}, residual {np.max(self.residuals[-1]):.1e}: {self.reason})"


@final
@dataclass(frozen=True, eq=False)
class State:
    """What a callback is told after each step.

    Attributes
    ----------
    iteration : int
        How many steps were made, from 1.
    x : vector
        The iterate; not to be changed.
    residual : float
        The norm of its residual, as the recurrence has it; of a batch, an array with one norm for each vector.
    values : tuple of float
        Eigenvalues or singular values, where the solver looks for them.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Diagonal
    >>> from linop.solve import cg
    >>> steps = []
    >>> result = cg(Diagonal([1.0, 2.0]), np.ones(2), callback=lambda state: steps.append(state.iteration))
    >>> steps
    [1, 2]
    """

    iteration: int
    x: Vector
    residual: Number
    values: tuple[float, ...] = ()
