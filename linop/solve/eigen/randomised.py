r"""Singular values, traces and diagonals from a few random vectors.

For random vectors :math:`\Omega`, the range of :math:`A \Omega` is near the space of the first singular vectors, so an
orthonormal basis Q of it gives :math:`A \approx Q Q^* A`. What is left of the trace, :math:`\mathrm{tr} (1 - Q Q^*) A
(1 - Q Q^*)`, has small entries, and few samples are enough for it: Hutch++.

References: Halko, Martinsson and Tropp, SIAM Rev. 53 (2011) 217; Meyer, Musco, Musco and Woodruff, Hutch++: optimal
stochastic trace estimation, SOSA 2021; Bekas, Kokiopoulou and Saad, Appl. Numer. Math. 57 (2007) 1214, for diagonals.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from linop import arrays
from linop.arguments import checked
from linop.arrays import Scalar, Vector
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError, SpaceError
from linop.solve.basis import Basis
from linop.solve.loop import random
from linop.spaces import Seed, Space


class SingularValues(NamedTuple):
    """The first singular values, largest first, and their vectors: ``A v = s u`` and ``A.H u = s v``, nearly.

    Parameters
    ----------
    left : tuple of vectors of the codomain
        u, orthonormal.
    values : numpy array, shape ``(count,)``
        s.
    right : tuple of vectors of the domain
        v, orthonormal.

    Examples
    --------
    >>> from linop import Diagonal
    >>> found = randomised_svd(Diagonal([1.0, 3.0, 2.0]), 1)
    >>> found.values.round(6).tolist(), abs(found.right[0]).round(6).tolist()
    ([3.0], [0.0, 1.0, 0.0])
    """

    left: tuple[Vector, ...]
    values: np.ndarray
    right: tuple[Vector, ...]


@checked
def randomised_svd(
    A: LinearOperator, count: int, *, oversampling: int = 8, power: int = 2, like: Vector | None = None, seed: Seed = 0
) -> SingularValues:
    """Return the first singular values and vectors, in the inner products of the two spaces.

    Parameters
    ----------
    A : LinearOperator
        From X to Y.
    count : int
        How many.
    oversampling : int, optional
        How many more random vectors to take.
    power : int, optional
        How often to apply ``A A.H``: the error falls as the ratio of the first value that is left out to the last one
        that is not, to the power ``2 power + 1``.
    like : vector, optional
        Its library, device and precision are those of the vectors.
    seed : int or tuple of int, optional
        What the vectors are drawn from; the same ones however X is spread over processes.

    Returns
    -------
    SingularValues
        As many as there are values that are not zero, to rounding; the vectors are orthonormal.

    Raises
    ------
    ArgumentError
        When a number is none.

    Examples
    --------
    >>> from linop import Matrix
    >>> A = Matrix(np.outer([3.0, 4.0], [0.0, 1.0, 0.0]))
    >>> randomised_svd(A, 2).values.round(6).tolist()
    [5.0]
    """
    A._agree("randomised_svd", (count, oversampling, power, seed))
    X, Y = A.domain, A.codomain
    most = min(X.size, Y.size)
    for name, number, least in (("count", count, 1), ("oversampling", oversampling, 0), ("power", power, 0)):
        if number < least:
            raise ArgumentError(f"randomised_svd of {A!r}: expected a {name} of {least} or more, found {number}")
    samples = min(count + oversampling, most)
    left = _range(Y, [A(x) for x in _drawn(X, samples, like, seed)])
    for _ in range(power):
        right = _range(X, [A.H(y) for y in left])
        left = _range(Y, [A(x) for x in right])
    # A.H Q = V B, with orthonormal V: A is nearly Q B.H V.H
    images = [A.H(y) for y in left]
    right = _range(X, images)
    core = np.array([[X.inner(v, x) for x in images] for v in right]).reshape(len(right), len(left))
    u, values, vh = np.linalg.svd(core.conj().T, full_matrices=False)
    kept = min(count, int(np.sum(values > arrays.precision(images[0]) * most * values[0]))) if values.size else 0
    return SingularValues(
        tuple(_mixed(left, u[:, k]) for k in range(kept)),
        values[:kept],
        tuple(_mixed(right, vh[k].conj()) for k in range(kept)),
    )


@checked
def hutchpp(A: LinearOperator, *, samples: int = 48, like: Vector | None = None, seed: Seed = 0) -> Scalar:
    """Estimate the trace by Hutch++: exact for operators whose rank is at most a third of the samples.

    For positive operators the error falls as one over the number of applications, and not as its root only, as that of
    `linop.hutchinson` does.

    Parameters
    ----------
    A : LinearOperator
        From a space to itself; the weights do not matter.
    samples : int, optional
        How many applications of A, three or more: a third each for a basis, its own trace, and what is left.
    like : vector, optional
        Its library, device and precision are those of the vectors.
    seed : int or tuple of int, optional
        What the vectors are drawn from; the same ones however the space is spread over processes.

    Returns
    -------
    float or complex
        Complex in a complex space.

    Examples
    --------
    >>> from linop import Matrix
    >>> round(hutchpp(Matrix(np.full((50, 50), 2.0)), samples=6), 6)
    100.0
    """
    A._agree("hutchpp", (samples, seed))
    X = _require_square("hutchpp", A)
    third = samples // 3
    if third < 1:
        raise ArgumentError(f"hutchpp of {A!r}: expected three samples or more, found {samples}")
    basis = _basis(X, [A(x) for x in _drawn(X, min(third, X.size), like, seed, (1,))])
    total = sum(X.dot(q, A(q)) for q in basis)
    if len(basis) == X.size:
        return total
    rest = [_without(X, basis, z) for z in _drawn(X, third, like, seed, (2,), signs=True)]
    return total + sum(X.dot(z, A(z)) for z in rest) / third


@checked
def diagonal_estimate(A: LinearOperator, *, samples: int = 48, like: Vector | None = None, seed: Seed = 0) -> Vector:
    """Estimate the diagonal of an operator, as a vector of the space: spread as the space is.

    The diagonal of ``Q Q* A`` is computed, with a basis Q of the range of a few random vectors; the rest is the mean of
    ``conj(z) (1 - Q Q*) A z`` over random signs z, whose variance at an entry is what stands beside it in its row.

    Parameters
    ----------
    A : LinearOperator
        From a space to itself; the weights do not matter.
    samples : int, optional
        How many applications of A and of its adjoint, three or more.
    like : vector, optional
        Its library, device and precision are those of the vectors.
    seed : int or tuple of int, optional
        What the vectors are drawn from; the same ones however the space is spread over processes.

    Returns
    -------
    vector of the space

    Examples
    --------
    >>> from linop import Diagonal
    >>> diagonal_estimate(Diagonal([1.0, 2.0, 3.0])).round(6).tolist()
    [1.0, 2.0, 3.0]
    """
    A._agree("diagonal_estimate", (samples, seed))
    X = _require_square("diagonal_estimate", A)
    third = samples // 3
    if third < 1:
        raise ArgumentError(f"diagonal_estimate of {A!r}: expected three samples or more, found {samples}")
    basis = _basis(X, [A(x) for x in _drawn(X, min(third, X.size), like, seed, (1,))])
    total: Vector = X.zeros(like=basis[0] if basis else like)
    for q in basis:  # (Q Q* A)_ii = sum_q q_i conj(A* q)_i
        total = arrays.add(total, arrays.each(_times_conjugate, q, A.dual(q)))
    if len(basis) == X.size:
        return total
    for z in _drawn(X, third, like, seed, (2,), signs=True):
        image = _without(X, basis, A(z))
        total = arrays.axpy(1 / third, arrays.each(_times_conjugate, image, z), total)
    return total


def _times_conjugate(a: Vector, b: Vector) -> Vector:
    return a * arrays.namespace(b).conj(b) if arrays.kind(b) == "complex" else a * b


def _require_square(name: str, A: LinearOperator) -> Space:
    """Return the space without weights; raise where domain and codomain have other vectors."""
    if A.domain.unweighted != A.codomain.unweighted:
        raise SpaceError(f"{name} of {A!r}: expected an operator from a space to itself")
    return A.domain.unweighted


def _drawn(
    space: Space, count: int, like: Vector | None, seed: Seed, stream: tuple[int, ...] = (), *, signs: bool = False
) -> list[Vector]:
    """Return random vectors; with entries of modulus one, if signs are wanted."""
    seeds = seed if isinstance(seed, tuple) else (seed,)
    vectors = [random(space, (*seeds, *stream, k), like) for k in range(count)]
    return [arrays.each(lambda part: _sign(part, space.field), x) for x in vectors] if signs else vectors


def _sign(x: Vector, field: str) -> Vector:
    xp = arrays.namespace(x)
    if arrays.kind(x) == "real":
        return xp.sign(x)
    if field == "real":  # a sign for each coordinate
        return xp.sign(xp.real(x)) + 1j * xp.sign(xp.imag(x))
    size = xp.abs(x)
    return x / xp.astype(xp.where(size == 0, xp.ones_like(size), size), x.dtype)


def _basis(space: Space, vectors: list[Vector]) -> list[Vector]:
    return _range(space, vectors)


def _range(space: Space, vectors: list[Vector]) -> list[Vector]:
    """Return an orthonormal basis of the span of vectors, to rounding."""
    if not vectors:
        return []
    basis = Basis(space, vectors[0], len(vectors))
    noise = 100 * arrays.precision(vectors[0])
    for x in vectors:
        _, rest, size = basis.orthogonal(x)
        if size > noise * space.norm(x):
            basis.append(rest)
    return [basis[k] for k in range(basis.size)]


def _without(space: Space, basis: list[Vector], x: Vector) -> Vector:
    """Return what is orthogonal to a basis of a vector."""
    for q in 2 * basis:
        x = arrays.axpy(-space.inner(q, x), q, x)
    return x


def _mixed(vectors: list[Vector], coefficients: np.ndarray) -> Vector:
    total = arrays.scale(coefficients[0].item(), vectors[0])
    for c, v in zip(coefficients[1:].tolist(), vectors[1:], strict=True):
        total = arrays.axpy(c, v, total)
    return total
