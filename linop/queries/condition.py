r"""The condition number of an operator: its largest singular value over its smallest.

By the bidiagonalisation of Golub and Kahan (SIAM J. Numer. Anal. 2 (1965) 205) with full reorthogonalisation: from a
random v_1, orthonormal v_j and u_j with

.. math:: A v_j = \alpha_j u_j + \beta_{j-1} u_{j-1}, \qquad A^H u_j = \alpha_j v_j + \beta_j v_{j+1}.

So :math:`A V_k = U_k B_k` with an upper bidiagonal B_k, whose singular values lie between the smallest and the largest
of A. They come without squaring: the smallest one is good to a rounding of the largest, where the eigenvalues of
``A.H @ A`` would know its square that well.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from linop import arrays
from linop.arguments import Positive, checked
from linop.arrays import Vector
from linop.blocks.kron import Kron
from linop.core.operator import LinearOperator
from linop.core.scale import Scale
from linop.errors import ConvergenceError
from linop.queries.claims import is_isometry
from linop.queries.norm import is_known_everywhere, moduli
from linop.queries.seeds import stream
from linop.query import Answer, query
from linop.solve.inverse import Inverse
from linop.solve.loop import normalised
from linop.spaces import Seed, Space


@checked
@query
def condition_estimate(operator: LinearOperator, *, iterations: Positive = 100, seed: Seed = 0) -> float:
    """Estimate the condition number: the ratio of the largest and the smallest singular value.

    With respect to the inner products of the spaces. Between spaces of different sizes, there are as many singular
    values as the smaller one has coordinates. Exact for isometries and their adjoints, for diagonals (where weights are
    diagonal, too), and for multiples, inverses and Kronecker products of these.

    Parameters
    ----------
    operator : LinearOperator
        A.
    iterations : int, optional
        How many steps to take, at most: each applies A and ``A.H`` once, and keeps one vector of each space.
    seed : int or tuple of int, optional
        Where the start is drawn from; the same seed gives the same estimate.

    Returns
    -------
    float
        *Never more than the condition number*, but for rounding; and all of it, when there are as many steps as
        coordinates. Infinite where the smallest singular value is no more than what rounding makes of zero, ``8 (1 +
        sqrt(d)) eps`` of the largest for d roundings (``eps``, where it is exact): nothing tells it from zero.

    Raises
    ------
    ConvergenceError
        When results are not finite.

    Examples
    --------
    >>> from linop import Diagonal, Matrix
    >>> round(condition_estimate(Matrix([[1.0, 1.0], [0.0, 1.0]])), 4), condition_estimate(Diagonal([1.0, -8.0]))
    (2.618, 8.0)
    """
    known = is_isometry(operator) or is_isometry(operator.H)
    if 0 in (operator.domain.size, operator.codomain.size) or is_known_everywhere(operator.domain, known):
        return 1.0
    values, noise = moduli(operator), float(np.finfo(operator.domain.dtype).eps)
    if values is None:
        wide = operator.domain.size > operator.codomain.size
        values = _singular_values(operator.H if wide else operator, iterations, seed)
        noise *= 8 * (1 + math.sqrt(max(operator.roundings, values.size)))
    return float(values.max() / values.min()) if values.min() > noise * values.max() else math.inf


@condition_estimate.register
def _(operator: Scale, **options: Any) -> Answer[float]:
    if not operator.commutes or operator.scalar == 0:
        return _unknown(operator, **options)
    return (yield operator.operator)


@condition_estimate.register
def _(operator: Inverse, **options: Any) -> Answer[float]:  # noqa: ARG001  (those of the operator, too)
    return (yield operator.operator)


@condition_estimate.register
def _(operator: Kron, **options: Any) -> Answer[float]:
    """Singular values multiply, unless there are more of the product: of a tall operator with a wide one."""
    sizes = [(A.domain.size, A.codomain.size) for A in operator.operators]
    if not (all(n <= m for n, m in sizes) or all(n >= m for n, m in sizes)):
        return _unknown(operator, **options)
    found = 1.0
    for A in operator.operators:
        found *= yield A
    return found


def _unknown(operator: LinearOperator, **options: Any) -> float:
    answer: Callable[..., float] = condition_estimate.dispatch(LinearOperator)
    return answer(operator, **options)


def _singular_values(operator: LinearOperator, iterations: int, seed: Seed) -> np.ndarray:
    """Return the singular values of B_k, for as many steps as there are iterations, or coordinates in the domain."""
    adjoint, domain, codomain = operator.H, operator.domain, operator.codomain
    _, v = normalised(domain, domain.normal(stream(seed)))
    right, left = [v], list[Vector]()
    alphas, betas = list[float](), list[float]()
    while True:
        alpha, u = normalised(codomain, _orthogonal(codomain, operator(right[-1]), left))
        alphas.append(alpha)
        left.append(u)
        beta, v = normalised(domain, _orthogonal(domain, adjoint(u), right))
        if not math.isfinite(alpha + beta):
            raise ConvergenceError(f"condition_estimate of {operator!r}: a number is not finite")
        # Beyond an invariant space there are only copies of singular values that were found.
        noise = 10 * arrays.precision(v) * max(alphas + betas)
        if len(alphas) == min(iterations, domain.size) or alpha <= noise or beta <= noise:
            break
        betas.append(beta)
        right.append(v)
    return np.linalg.svd(np.diag(alphas) + np.diag(betas, 1), compute_uv=False)


def _orthogonal(space: Space, x: Vector, basis: list[Vector]) -> Vector:
    """Return what is orthogonal to an orthonormal basis of a vector; twice is enough."""
    for v in 2 * basis:
        x = arrays.axpy(-space.inner(v, x), v, x)
    return x
