"""The norm of an operator: the largest singular value, with respect to the inner products of its spaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron
from linop.core.operator import LinearOperator
from linop.core.scale import Scale
from linop.core.zero import Zero
from linop.errors import ConvergenceError
from linop.operators.entrywise.diagonal import Diagonal
from linop.queries.claims import is_isometry
from linop.queries.diagonal import acts_on_coordinates, diagonal, ones
from linop.queries.seeds import stream
from linop.queries.weights import has_diagonal_weights
from linop.query import Answer, query
from linop.solve.eigen.power_iteration import power_iteration
from linop.spaces import Euclidean, Product, Seed, Space


@checked
@query
def norm_estimate(
    operator: LinearOperator, *, iterations: Whole = 100, tolerance: Nonnegative = 1e-6, seed: Seed = 0
) -> float:
    """Estimate the norm of an operator: the largest ``norm(A x)`` for ``norm(x) = 1``.

    Exact for isometries and their adjoints, for diagonals (where weights are diagonal, too), for zero, and for
    multiples, direct sums and Kronecker products of these. Else it comes from `linop.solve.power_iteration` with ``A.H
    @ A``, which applies A and ``A.H`` once a step. It is ``norm(A x)`` for some x of length one, so *never more than
    the norm*, but for rounding. How much less depends on luck: after k steps from a random start in n real coordinates
    without weights, the relative error in the squared norm is below ``0.9 ln(n) / (k - 1)`` in the mean, whatever the
    operator; and it is much smaller where the largest singular values are apart.

    Parameters
    ----------
    operator : LinearOperator
        A.
    iterations : int, optional
        How many steps to take, at most.
    tolerance : float, optional
        Stop where ``A.H A x`` is a multiple of x up to that, relative to its norm.
    seed : int or tuple of int, optional
        Where the start is drawn from; the same seed gives the same estimate.

    Returns
    -------
    float
        The same on every process, where spaces are spread over several.

    Raises
    ------
    ConvergenceError
        When results are not finite.

    References
    ----------
    Kuczynski and Wozniakowski, SIAM J. Matrix Anal. Appl. 13 (1992) 1094.

    Examples
    --------
    >>> from linop import Diagonal, Euclidean, Matrix, Weighted
    >>> round(norm_estimate(Matrix([[3.0, 0.0], [4.0, 1.0]])), 4), norm_estimate(Diagonal([1.0, -2.0]))
    (5.0645, 2.0)
    >>> X = Euclidean(1)
    >>> round(norm_estimate(Matrix([[1.0]], X, Weighted(X, 9.0))), 4)
    3.0
    """
    if 0 in (operator.domain.size, operator.codomain.size):
        return 0.0
    if is_known_everywhere(operator.domain, is_isometry(operator) or is_isometry(operator.H)):
        return 1.0
    factors = moduli(operator)
    if factors is not None:
        return float(factors.max())
    result = power_iteration(operator, singular=True, seed=stream(seed), tolerance=tolerance, iterations=iterations)
    if not result.values:
        raise ConvergenceError(f"norm_estimate of {operator!r}: {result.reason}")
    return result.values[0]


def moduli(operator: LinearOperator) -> np.ndarray | None:
    """Return the singular values of a diagonal operator, as they stand on the diagonal; None where they are not known.

    The weights have to be diagonal, too, and the same on both sides; and the space in one process.

    Examples
    --------
    >>> from linop import Diagonal
    >>> moduli(2 * Diagonal([1j, -3.0])).tolist()
    [2.0, 6.0]
    """
    space = operator.domain
    if space != operator.codomain or not (has_diagonal_weights(space) and is_local(space)):
        return None
    if isinstance(operator, Diagonal):  # also in a real space of complex arrays, where complex entries mix coordinates
        operator = Diagonal(np.abs(operator.entries), space)
    return np.abs(diagonal(operator)) if acts_on_coordinates(operator) else None


def is_local(space: Space) -> bool:
    """Say whether the vectors of a space are in one process, so that their coordinates need not be brought together."""
    plain = space.unweighted
    return all(map(is_local, plain.parts)) if isinstance(plain, Product) else isinstance(plain, Euclidean)


def is_known_everywhere(space: Space, known: bool) -> bool:
    """Say whether something is known on all processes that hold entries of a vector, the same on every process.

    Constants that are spread over processes may show one what they do not show another, and none may go on alone.
    """
    if is_local(space):
        return known
    one = ones(space)
    return bool(space.dot(arrays.scale(float(known), one), one) == space.dot(one, one))


@norm_estimate.register
def _(operator: Scale, **options: Any) -> Answer[float]:
    if not operator.commutes:  # c times the identity of a real space of complex arrays, mostly
        return _unknown(operator, **options)
    return abs(operator.scalar) * (yield operator.operator)


@norm_estimate.register
def _(operator: BlockDiagonal, **options: Any) -> Answer[float]:  # noqa: ARG001  (those of the blocks, too)
    largest = 0.0
    for block in operator.operators:
        largest = max(largest, (yield block))
    return largest


@norm_estimate.register
def _(operator: Kron, **options: Any) -> Answer[float]:  # noqa: ARG001  (the same)
    found = 1.0
    for A in operator.operators:
        found *= yield A
    return found


@norm_estimate.register
def _(operator: Zero, **options: Any) -> float:  # noqa: ARG001  (nothing to estimate)
    return 0.0


def _unknown(operator: LinearOperator, **options: Any) -> float:
    answer: Callable[..., float] = norm_estimate.dispatch(LinearOperator)
    return answer(operator, **options)
