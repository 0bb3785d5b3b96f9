r"""The trace of an operator: exactly, or by sampling.

The trace is the sum of the diagonal, in any coordinates: weights do not change it. Sampling is due to M. F. Hutchinson
(Commun. Stat. Simul. Comput. 19 (1990) 433): for random z with independent entries of modulus one,

.. math:: \mathrm{tr} A = \mathrm{E}\, \mathrm{dot}(z, A z),

with the variance :math:`2 \sum_{i \ne j} S_{ij}^2` for real A with the symmetric part S: the diagonal costs nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from linop import arrays
from linop.arguments import checked
from linop.arrays import Scalar, Vector
from linop.blocks.block import Block
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose
from linop.core.operator import LinearOperator
from linop.core.scale import Scale
from linop.core.sum import Sum
from linop.errors import ArgumentError
from linop.queries.diagonal import BLOCK, acts_on_coordinates, diagonal, on_the_diagonal, ones, require_square
from linop.queries.seeds import stream
from linop.query import Answer, query
from linop.spaces import Seed, Space

Method = Literal["exact", "hutchinson"]


@checked
@query
def trace(operator: LinearOperator, *, method: Method = "exact", samples: int = 64, seed: Seed = 0) -> Scalar:
    """Return the trace of an operator. On spaces that are spread over processes, collective.

    Either way, the traces of sums, multiples, adjoints, blocks and Kronecker products follow from those of their parts.

    Parameters
    ----------
    operator : LinearOperator
        From a space to itself; the weights do not matter.
    method : {"exact", "hutchinson"}, optional
        The sum of the `diagonal`, or an estimate for parts whose diagonal is not known at once; `hutchinson` says how
        far that is off.
    samples : int, optional
        How many vectors each estimate takes: one application each.
    seed : int or tuple of int, optional
        Where they are drawn from.

    Returns
    -------
    float or complex
        Complex in a complex space.

    Raises
    ------
    SpaceError
        When domain and codomain have other vectors.

    Examples
    --------
    >>> from linop import Euclidean, Identity, Matrix
    >>> A = Matrix([[1.0, 2.0], [3.0, 4.0]])
    >>> trace(A + 10 * Identity(Euclidean(2)))
    25.0
    >>> trace(A, method="hutchinson", samples=1000)           # 5, with a standard error of 0.16
    5.06
    """
    if method not in ("exact", "hutchinson"):
        raise ArgumentError(f"trace of {operator!r}: method must be exact or hutchinson, found {method!r}")
    if acts_on_coordinates(operator):
        one = ones(operator.domain)
        return operator.codomain.dot(one, operator(one))
    if method == "hutchinson":
        return hutchinson(operator, samples=samples, seed=seed).value
    found = diagonal(operator)
    return np.sum(found, dtype=np.result_type(found, np.float64)).item()


@final
@dataclass(frozen=True)
class TraceEstimate:
    """What `hutchinson` found.

    Attributes
    ----------
    value : float or complex
        The estimate: the mean of the samples.
    error : float
        Its standard error, estimated from the spread of the samples: the value is off by more than twice that about
        once in twenty times.
    samples : int
        How many there were.

    Examples
    --------
    >>> from linop import Diagonal, hutchinson
    >>> found = hutchinson(Diagonal([1.0, 2.0, 3.0]), samples=4)
    >>> found.value, found.error, found.samples
    (6.0, 0.0, 4)
    """

    value: Scalar
    error: float
    samples: int


@checked
def hutchinson(operator: LinearOperator, *, samples: int = 64, seed: Seed = 0) -> TraceEstimate:
    """Estimate the trace from random vectors, and how far the estimate is off; see the module.

    Parameters
    ----------
    operator : LinearOperator
        From a space to itself; the weights do not matter.
    samples : int, optional
        How many vectors: two or more, applied to in blocks.
    seed : int or tuple of int, optional
        Where they are drawn from: entries +-1, in complex spaces also +-i.

    Returns
    -------
    TraceEstimate
        The same for the same seed.

    Raises
    ------
    SpaceError
        When domain and codomain have other vectors.

    Examples
    --------
    >>> from linop import Matrix
    >>> found = hutchinson(Matrix([[1.0, 2.0], [3.0, 4.0]]), samples=1000)
    >>> found.value, round(found.error, 2)
    (5.06, 0.16)
    """
    operator._agree("hutchinson", (samples, seed))
    require_square("hutchinson", operator)
    if samples < 2:
        raise ArgumentError(f"hutchinson of {operator!r}: expected two samples or more, found {samples}")
    space = operator.domain
    each = max(BLOCK // max(space.size, 1), 1)
    found = []
    for block, start in enumerate(range(0, samples, each)):
        z = _signs(space, stream(seed, block), (min(each, samples - start),))
        found.append(np.asarray(operator.codomain.dot(z, operator(z))))
    values = np.concatenate(found)
    mean = values.mean()
    spread = math.sqrt(float(np.sum(np.abs(values - mean) ** 2)) / (samples - 1))
    return TraceEstimate(mean.item(), spread / math.sqrt(samples), samples)


def _signs(space: Space, seed: Seed, batch: tuple[int, ...]) -> Vector:
    """Return random vectors with independent coordinates of modulus one, for which arithmetic on integers is exact."""

    def sign(x: np.ndarray) -> np.ndarray:
        if x.dtype.kind != "c":
            return np.asarray(np.sign(x))
        if space.field == "real":
            return np.asarray(np.sign(x.real) + 1j * np.sign(x.imag), x.dtype)
        return np.asarray(np.where(x.imag > 0, np.sign(x.real), 1j * np.sign(x.real)), x.dtype)

    drawn: Vector = arrays.each(sign, space.integers(seed, batch))
    return drawn


@trace.register
def _(operator: Sum, **options: Any) -> Answer[Scalar]:  # noqa: ARG001  (those of the parts, too)
    total: Scalar = 0
    for term in operator.terms:
        total += yield term
    return total


@trace.register
def _(operator: Scale, **options: Any) -> Answer[Scalar]:
    return operator.scalar * (yield operator.operator) if operator.commutes else _unknown(operator, **options)


@trace.register
def _(operator: Adjoint, **options: Any) -> Answer[Scalar]:  # noqa: ARG001  (those of the part, too)
    return (yield operator.operator).conjugate()


@trace.register
def _(operator: Compose, **options: Any) -> Answer[Scalar]:
    """Factors may go round: ``tr(A B) = tr(B A)``, and the smallest space has the fewest basis vectors."""
    factors = operator.factors
    smallest = min(range(len(factors)), key=lambda k: factors[k].domain.size)
    if operator.domain != operator.codomain or factors[smallest].domain.size == operator.domain.size:
        return _unknown(operator, **options)
    return (yield Compose(*factors[smallest + 1 :], *factors[: smallest + 1]))


@trace.register
def _(operator: BlockDiagonal | Block, **options: Any) -> Answer[Scalar]:
    require_square("trace", operator)
    total: Scalar = 0
    for k, block in enumerate(on_the_diagonal(operator)):
        total += yield trace.about(block, **_apart(options, k))
    return total


@trace.register
def _(operator: Kron, **options: Any) -> Answer[Scalar]:
    if any(A.domain.unweighted != A.codomain.unweighted for A in operator.operators):
        return _unknown(operator, **options)
    found: Scalar = 1
    for k, A in enumerate(operator.operators):
        found *= yield trace.about(A, **_apart(options, k))
    return found


def _apart(options: dict[str, Any], k: int) -> dict[str, Any]:
    """Return the options with a seed of its own for part `k`: independent estimates may be multiplied."""
    seed = options.get("seed", 0)
    return {**options, "seed": (*(seed if isinstance(seed, tuple) else (seed,)), k)}


def _unknown(operator: LinearOperator, **options: Any) -> Scalar:
    return trace.dispatch(LinearOperator)(operator, **options)
