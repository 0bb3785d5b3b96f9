"""The method of Lanczos with full reorthogonalisation: a few extreme eigenvalues of a self-adjoint operator.

From a start v_1, the orthonormal basis V_k of the Krylov space grows by::

    beta_k v_{k+1} = A v_k - alpha_k v_k - beta_{k-1} v_{k-1}       so  A V_k = V_k T_k + beta_k v_{k+1} e_k^T

An eigenvector s of the tridiagonal T_k gives the Ritz vector ``V_k s``, whose residual has the norm ``beta_k |s_k|``.
Rounding would let the basis lose its orthogonality as eigenvectors converge; so every new vector is made orthogonal to
all before it, twice.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal, final

import numpy as np

from linop import arrays
from linop.arguments import Nonnegative, Positive, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError
from linop.solve.eigen.power_iteration import start_vector
from linop.solve.loop import Callback, Settings, Step, Steps, normalised, random, run
from linop.solve.result import Result
from linop.spaces import Seed

RESIDUAL = "the residuals of the eigenvectors are below the tolerance"
WHOLE_SPACE = "breakdown: the Krylov space is the whole space; rounding keeps the residuals above the tolerance"

Which = Literal["largest", "smallest", "magnitude"]


@checked
def lanczos(
    A: LinearOperator,
    count: Positive = 1,
    *,
    which: Which = "largest",
    start: Vector | None = None,
    like: Vector | None = None,
    seed: Seed = 0,
    tolerance: Nonnegative = 1e-8,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Find extreme eigenvalues of a self-adjoint operator, and their eigenvectors, by the method of Lanczos.

    One vector is kept for each step. Of an eigenvalue with several eigenvectors, one is found: the start's part of the
    eigenspace; more, where the Krylov space is exhausted before there are `count` eigenvalues.

    Parameters
    ----------
    A : LinearOperator
        From a space to itself, self-adjoint with respect to `Space.inner`.
    count : int, optional
        How many eigenvalues.
    which : {"largest", "smallest", "magnitude"}, optional
        Which ones, and in which order: the largest ones first, the smallest ones first, or those of largest modulus.
    start : vector of the domain, optional
        Where to start; drawn at random by default.
    like : vector, optional
        Its library, device and precision are those of the start that is drawn.
    seed : int or tuple of int, optional
        What the start is drawn from.
    tolerance, absolute : float, optional
        Stop where every residual ``|A v - theta v|`` is at most ``tolerance |A|`` (with the largest absolute Ritz value
        for ``|A|``), or at most ``absolute``. The error of theta is at most that, and of the order of its square.
    iterations : int, optional
        How many steps to take at most; 100 and 20 for each eigenvalue by default. The number of coordinates always is
        a limit.
    callback : function, optional
        Called after each step with a `State`, whose x is the newest vector of the basis; stops the solver when it
        returns True (on all processes alike).
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Result
        `x` is the tuple of the eigenvectors, of length one and orthogonal; `values` are the eigenvalues in the same
        order, and the residuals are the largest of their ``|A v - theta v|``.

    Raises
    ------
    SpaceError
        When A does not map a space to itself, or the start is no vector of it.
    ValueError
        When there are not that many eigenvalues, the start is zero, or a tolerance or the number of iterations is none.

    References
    ----------
    Golub and Van Loan, Matrix Computations (4th edition, Johns Hopkins, 2013), sections 10.1 and 10.3; Parlett, The
    Symmetric Eigenvalue Problem (SIAM, 1998), section 6.9, for why twice is enough.

    Examples
    --------
    >>> from linop import Diagonal
    >>> result = lanczos(Diagonal([3.0, 1.0, -4.0, 2.0]), 2)
    >>> [round(value, 6) for value in result.values]
    [3.0, 2.0]
    >>> abs(result.x[0]).round(6).tolist()
    [1.0, 0.0, 0.0, 0.0]
    """
    limit = 100 + 20 * count if iterations is None else iterations
    settings = Settings(
        "lanczos", A, tolerance, absolute, limit, callback, progress, options=(count, which, start is None, seed)
    )
    settings.require_square()
    if count > A.domain.size:
        raise ArgumentError(f"{settings}: expected from 1 to {A.domain.size} eigenvalues, found {count}")
    v = start_vector(settings, start, like, seed)
    krylov = _Krylov(A, v, count, which, seed)

    def reached(step: Step, norm: float) -> str | None:
        enough = len(step.values) == count and step.residual <= max(absolute, tolerance * norm)
        return RESIDUAL if enough else None

    result = run(krylov.steps(), v, reached, settings)
    return replace(result, x=tuple(map(krylov.ritz_vector, range(len(result.values)))))


@final
class _Krylov:
    """The basis V_k, the matrix T_k, and the Ritz pairs that are wanted."""

    def __init__(self, A: LinearOperator, v: Vector, count: int, which: Which, seed: Seed) -> None:
        self.A, self.count, self.which = A, count, which
        self.seeds = seed if isinstance(seed, tuple) else (seed,)
        self.basis = [v]
        self.alphas: list[float] = []
        self.betas: list[float] = []
        self.coefficients: np.ndarray[Any, Any] = np.empty((0, 0))

    def steps(self) -> Steps:
        """Yield the newest vector of the basis, the Ritz values, and their largest residual."""
        X, eps = self.A.domain, arrays.precision(self.basis[0])
        while True:
            v = self.basis[-1]
            w = self.A(v)
            self.alphas.append(X.inner(v, w).real)
            beta, v_next = normalised(X, self.orthogonal(w))
            if not math.isfinite(self.alphas[-1] + beta):
                self.alphas.pop()
                return "breakdown: a number is not finite"
            values = self.ritz_values()
            norm = float(np.abs(values).max())
            last = float(np.abs(self.coefficients[-1]).max())
            # Through a norm, so that processes whose LAPACKs differ in the last bit decide alike.
            residual = X.norm(arrays.scale(max(beta * last, eps * norm), v))
            yield Step(v, residual, norm=norm, values=tuple(values[: self.count].tolist()))
            if len(self.basis) == X.size:
                return WHOLE_SPACE
            if beta <= 10 * eps * norm:  # the Krylov space is invariant: go on with another one, orthogonal to it
                beta, (_, v_next) = 0.0, normalised(X, self.orthogonal(random(X, (*self.seeds, len(self.basis)), v)))
            self.betas.append(beta)
            self.basis.append(v_next)

    def orthogonal(self, w: Vector) -> Vector:
        """Return what is orthogonal to the basis of a vector."""
        for v in 2 * self.basis:
            w = arrays.axpy(-self.A.domain.inner(v, w), v, w)
        return w

    def ritz_values(self) -> np.ndarray[Any, Any]:
        """Return the eigenvalues of T_k, those that are wanted first, and keep the wanted eigenvectors."""
        from scipy.linalg import eigh_tridiagonal

        values, vectors = eigh_tridiagonal(self.alphas, self.betas)
        keys = {"largest": -values, "smallest": values, "magnitude": -np.abs(values)}
        order = np.argsort(keys[self.which], kind="stable")
        self.coefficients = vectors[:, order[: self.count]]
        return np.asarray(values[order])

    def ritz_vector(self, i: int) -> Vector:
        """Return the Ritz vector of a wanted value."""
        coefficients = self.coefficients[:, i].tolist()  # one fewer than the basis has vectors, after a breakdown
        terms = [arrays.scale(c, v) for c, v in zip(coefficients, self.basis, strict=False)]
        total = terms[0]
        for term in terms[1:]:
            total = arrays.add(total, term)
        return arrays.without_scalars(total)
