"""GMRES: any square operator, by the method of Arnoldi.

With ``beta v_1 = r``, an orthonormal basis V_k of the Krylov space of A M grows by making ``A M v_k`` orthogonal to it,
so ``A M V_k = V_{k+1} H_k``, H_k upper Hessenberg. The iterate is ``x + M V_k y`` with y minimising ``|H_k y - beta
e_1|``, the norm of the residual, by one plane rotation for each step. M is a preconditioner on the right, so that
residuals are those of ``A x = b``. After `restart` steps the basis is given up, and the method starts from the iterate.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from linop import arrays
from linop.arguments import Nonnegative, Positive, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.solve.basis import Basis
from linop.solve.loop import Callback, Settings, Step, Steps, solve
from linop.solve.result import Result
from linop.solve.scalars import Number, broken, hypot, ratio


@checked
def gmres(
    A: LinearOperator,
    b: Vector,
    *,
    x0: Vector | None = None,
    preconditioner: LinearOperator | None = None,
    restart: Positive = 30,
    tolerance: Nonnegative = 1e-8,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Solve ``A x = b`` by GMRES, for any A from a space to itself.

    The residual does not increase. One vector is kept for each step between two restarts.

    Parameters
    ----------
    A : LinearOperator
        From a space to itself.
    b : vector of the space
        The right-hand side, or a batch of them, which are solved together, each with steps of its own; the tolerance
        holds for each. The iterates are in its library and precision.
    x0 : vector of the space, optional
        Where to start; zero by default.
    preconditioner : LinearOperator, optional
        M, from the space to itself, any; the nearer to the inverse of A, the fewer steps. It is applied on the right,
        so that residuals are those of ``A x = b``.
    restart : int, optional
        After how many steps to give up the basis and to start anew. Fewer take less memory and more steps, or do not
        converge at all.
    tolerance, absolute : float, optional
        Stop where the norm of ``b - A x`` is at most ``tolerance`` times that of b, or at most ``absolute``.
    iterations : int, optional
        How many steps to take at most; ten for each coordinate, and at least a hundred, by default.
    callback : function, optional
        Called after each step with a `State`, whose iterate costs as much as the step; stops the solver when it returns
        True (on all processes alike).
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Result
        Its residuals are the norms of ``b - A x``.

    Raises
    ------
    SpaceError
        When A does not map a space to itself, or a vector is none of that space.
    ValueError
        When a tolerance or a number of steps is none.

    References
    ----------
    Saad and Schultz, GMRES: a generalized minimal residual algorithm for solving nonsymmetric linear systems, SIAM J.
    Sci. Stat. Comput. 7 (1986) 856.

    Examples
    --------
    >>> from linop import Matrix
    >>> gmres(Matrix([[1.0, 2.0], [-1.0, 1.0]]), np.array([5.0, 1.0])).x.round(6).tolist()
    [1.0, 2.0]
    """
    settings = Settings(
        "gmres",
        A,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        preconditioner=preconditioner,
        options=(x0 is None, restart),
    )
    settings.require_square()
    b, x0 = settings.vectors(b, x0)
    length = min(int(restart), A.domain.size)
    return solve(partial(_recurrence, M=preconditioner, restart=length), A, b, x0, settings)


def _recurrence(A: LinearOperator, x: Vector, r: Vector, M: LinearOperator | None, restart: int) -> Steps:
    residual = A.domain.norm(r)
    yield Step(x, residual)
    while True:
        cycle = _Cycle(A, M, x, r, restart)
        for _ in range(restart):
            if not cycle.extend():
                return "breakdown: the Krylov space is exhausted; the operator is singular"
            yield Step(partial(cycle.iterate, len(cycle.triangle)), cycle.residual)
        x = cycle.iterate(restart)
        r = cycle.remainder()


class _Cycle:
    """The steps between two restarts."""

    def __init__(self, A: LinearOperator, M: LinearOperator | None, x: Vector, r: Vector, restart: int) -> None:
        self.A, self.M, self.x = A, M, x
        self.basis = Basis(A.domain, r, restart + 1)
        size = A.domain.norm(r)
        self.basis.put(r, size)
        self.residual: Number = size
        self.right: list[Number] = [size]
        self.triangle: list[list[Number]] = []
        self.rotations: list[tuple[Number, Number]] = []

    def extend(self) -> bool:
        """Add a vector to the basis; say whether there is a new iterate."""
        k = len(self.triangle)
        v = self.basis[k]
        w = self.A(v if self.M is None else self.M(v))
        coefficients, w, below = self.basis.orthogonal(w)
        self.basis.put(w, below)
        column: list[Number] = list(coefficients)
        for i, (c, s) in enumerate(self.rotations):
            column[i], column[i + 1] = c * column[i] + s * column[i + 1], c * column[i + 1] - np.conj(s) * column[i]
        size = hypot(abs(column[k]), below)
        if broken(size == 0, self.residual > 0):
            return False
        # (c, s; -conj(s), c) takes (a, below) to (., 0): c = |a| / size, s = a / |a| * below / size
        modulus = abs(column[k])
        phase = np.where(modulus == 0, 1.0, ratio(column[k], modulus))[()]
        c, s = ratio(modulus, size), phase * ratio(below, size)
        self.rotations.append((c, s))
        column[k] = phase * size
        self.right.append(-np.conj(s) * self.right[k])
        self.right[k] = c * self.right[k]
        self.triangle.append(column)
        self.residual = abs(self.right[k + 1])
        if not isinstance(self.residual, np.ndarray):
            self.residual = float(self.residual)
        return True

    def iterate(self, count: int) -> Vector:
        """Return the iterate after so many steps: solve with the triangle."""
        y: list[Number] = list(self.right[:count])
        for i in reversed(range(count)):
            for j in range(i + 1, count):
                y[i] = y[i] - self.triangle[j][i] * y[j]
            y[i] = ratio(y[i], self.triangle[i][i])
        step = self.basis.combine(np.stack([np.asarray(number) for number in y]))
        return arrays.axpy(1.0, step if self.M is None else self.M(step), self.x)

    def remainder(self) -> Vector:
        """Return the residual of the last iterate: the rotations undone, on the last unit vector times its length."""
        count = len(self.triangle)
        found: list[Number] = [*(0.0 * number for number in self.right[:count]), self.right[count]]
        for i in reversed(range(count)):
            c, s = self.rotations[i]
            found[i], found[i + 1] = c * found[i] - s * found[i + 1], np.conj(s) * found[i] + c * found[i + 1]
        return self.basis.combine(np.stack([np.asarray(number) for number in found]))
