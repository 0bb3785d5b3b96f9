"""LOBPCG: several extreme eigenvalues of a self-adjoint operator, in a memory that does not grow.

From a block of vectors X, with their residuals R = A X - X diag(theta), each step finds the best approximations
(Rayleigh and Ritz) among the combinations of three blocks: X, the preconditioned residuals M R, and the last step P.
All products of vectors of blocks are one batch of inner products, so a step takes a few reductions, however many
vectors there are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked, renamed
from linop.arrays import Array, Vector
from linop.core.operator import LinearOperator
from linop.errors import ArgumentError
from linop.solve.eigen.lanczos import RESIDUAL
from linop.solve.loop import Callback, Settings, Step, Steps, random, run
from linop.solve.result import Result
from linop.spaces import Seed, Space

DEPENDENT = 1e-12
"""Eigenvalues of a Gram matrix of vectors of length one that are smaller, relative to the largest, count as zero."""


@renamed(largest="which")
@checked
def lobpcg(
    A: LinearOperator,
    count: int = 1,
    *,
    which: Literal["largest", "smallest"] = "largest",
    preconditioner: LinearOperator | None = None,
    start: Vector | None = None,
    like: Vector | None = None,
    seed: Seed = 0,
    tolerance: Nonnegative = 1e-6,
    absolute: Nonnegative = 0.0,
    iterations: Whole | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Find the largest or smallest eigenvalues of a self-adjoint operator, and their eigenvectors, by LOBPCG.

    Eigenvalues with several eigenvectors are found as often as they occur. Next to `lanczos`, it keeps six blocks of
    `count` vectors only, takes a preconditioner, and needs more applications without one.

    Parameters
    ----------
    A : LinearOperator
        From a space to itself, self-adjoint with respect to `Space.inner`; it is applied to batches.
    count : int, optional
        How many eigenvalues.
    which : {"largest", "smallest"}, optional
        The eigenvalues to find: the largest or the smallest ones.
    preconditioner : LinearOperator, optional
        M, from the space to itself, self-adjoint and positive; for the smallest eigenvalues of a positive A, near to
        the inverse of A.
    start : batch of `count` vectors of the domain, optional
        Where to start; drawn at random by default.
    like : vector, optional
        Its library, device and precision are those of the start that is drawn.
    seed : int or tuple of int, optional
        What the start is drawn from; the same start however the space is spread over processes.
    tolerance, absolute : float, optional
        Stop where every residual ``|A v - theta v|`` is at most ``tolerance |A|`` (with the largest ``|A v|`` seen for
        ``|A|``), or at most ``absolute``.
    iterations : int, optional
        How many steps to take at most; ten for each coordinate, and at least a hundred, by default.
    callback : function, optional
        Called after each step with a `State`, whose x is a batch; stops the solver when it returns True (on all
        processes alike).
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    Result
        `x` is the tuple of the eigenvectors, of length one and orthogonal; `values` are the eigenvalues in the same
        order, the largest or smallest first, and the residuals are the largest of their ``|A v - theta v|``.

    Raises
    ------
    SpaceError
        When A does not map a space to itself, or the start is no batch of vectors of it.
    ArgumentError
        When there are not that many eigenvalues, or the vectors of the start depend on each other.

    References
    ----------
    Knyazev, Toward the optimal preconditioned eigensolver: locally optimal block preconditioned conjugate gradient
    method, SIAM J. Sci. Comput. 23 (2001) 517.

    Examples
    --------
    >>> from linop import Diagonal
    >>> result = lobpcg(Diagonal([3.0, 1.0, -4.0, 2.0, 3.0]), 2)
    >>> [round(value, 6) for value in result.values]
    [3.0, 3.0]
    """
    settings = Settings(
        "lobpcg",
        A,
        tolerance,
        absolute,
        iterations,
        callback,
        progress,
        preconditioner=preconditioner,
        options=(count, which, start is None),
    )
    settings.require_square()
    X = A.domain
    if not 1 <= count <= X.size:
        raise ArgumentError(f"{settings}: expected from 1 to {X.size} eigenvalues, found {count}")
    if start is None:
        seeds = seed if isinstance(seed, tuple) else (seed,)
        block = _stacked([random(X, (*seeds, k), like) for k in range(count)])
    else:
        block = settings.vector("start", X, start, (count,))
    block, size = _orthonormal(X, block)
    if size < count:
        raise ArgumentError(f"{settings}: expected a start of {count} independent vectors, found {size}")

    def reached(step: Step, norm: float) -> str | None:
        return RESIDUAL if step.residual <= max(absolute, tolerance * norm) else None

    result = run(_recurrence(A, block, preconditioner, largest=which == "largest"), block, reached, settings)
    vectors = tuple(arrays.each(lambda part, k=k: part[k, ...], result.x) for k in range(count))
    return replace(result, x=vectors)


def _recurrence(A: LinearOperator, block: Vector, M: LinearOperator | None, *, largest: bool) -> Steps:
    X = A.domain
    count = _length(block)
    image = A(block)
    values, turn = _ritz(X, block, image, count, largest=largest)
    block, image = _combine(turn, block), _combine(turn, image)
    direction: Vector = None
    while True:
        residual = arrays.axpy(-values, block, image)
        lengths = X.norm(residual)
        yield Step(block, float(lengths.max()), norm=float(X.norm(image).max()), values=tuple(values.tolist()))
        fresh = residual if M is None else M(residual)
        for _ in "twice":  # what is new about the residuals
            fresh = arrays.axpy(-1.0, _combine(gram(X, block, fresh), block), fresh)
        fresh, _ = _orthonormal(X, fresh)
        trial = _joined([block, fresh] if direction is None else [block, fresh, direction])
        trial, size = _orthonormal(X, trial)
        if size < count:
            return "breakdown: the vectors depend on each other"
        trial_image = A(trial)
        values, turn = _ritz(X, trial, trial_image, count, largest=largest)
        before, block, image = block, _combine(turn, trial), _combine(turn, trial_image)
        along = _combine(gram(X, before, block), before)
        direction, rank = _orthonormal(X, arrays.axpy(-1.0, along, block))
        direction = direction if rank else None


def gram(space: Space, left: Vector, right: Vector) -> np.ndarray:
    """Return the matrix of the inner products of the vectors of two batches, by one reduction.

    Examples
    --------
    >>> from linop import Euclidean
    >>> gram(Euclidean(2), np.eye(2), np.array([[1.0, 2.0]])).tolist()
    [[1.0], [2.0]]
    """
    rows = arrays.each(lambda part: part[:, None, ...], left)
    columns = arrays.each(lambda part: part[None, ...], right)
    return np.asarray(space.inner(rows, columns))


def _ritz(space: Space, block: Vector, image: Vector, count: int, *, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the wanted eigenvalues of A among the combinations of orthonormal vectors, and their coefficients."""
    matrix = gram(space, block, image)
    values, vectors = np.linalg.eigh((matrix + matrix.conj().T) / 2)
    order = slice(None, None, -1) if largest else slice(None)
    return values[order][:count], vectors[:, order][:, :count]


def _orthonormal(space: Space, block: Vector) -> tuple[Vector, int]:
    """Return orthonormal combinations of the vectors of a batch, as many as are independent, and their number."""
    for _ in "twice":  # the second time for what rounding has left
        lengths = space.norm(block)
        block = arrays.scale(np.where(lengths > 0, 1 / np.where(lengths > 0, lengths, 1.0), 0.0), block)
        values, vectors = np.linalg.eigh(gram(space, block, block))
        kept = values > DEPENDENT * max(float(values.max(initial=0.0)), 1e-300)
        block = _combine(vectors[:, kept] / np.sqrt(values[kept]), block)
    return block, int(kept.sum())


def _combine(coefficients: np.ndarray, block: Vector) -> Vector:
    """Return the combinations of the vectors of a batch that the columns of a matrix give."""

    def mix(part: Array) -> Array:
        xp = arrays.namespace(part)
        flat = (
            arrays.reshape(part, (part.shape[0], -1)) if part.size else xp.zeros((part.shape[0], 0), dtype=part.dtype)
        )
        factors = xp.astype(arrays.cast(np.ascontiguousarray(coefficients.T), part), part.dtype)
        return arrays.reshape(xp.matmul(factors, flat), (coefficients.shape[1], *part.shape[1:]))

    return arrays.each(mix, block)


def _stacked(vectors: list[Vector]) -> Vector:
    return arrays.each(lambda *parts: arrays.namespace(parts[0]).stack(parts), *vectors)


def _joined(blocks: list[Vector]) -> Vector:
    return arrays.each(lambda *parts: arrays.namespace(parts[0]).concat(parts), *blocks)


def _length(block: Any) -> int:
    """Return how many vectors a batch has."""
    return int(arrays.leaves(block)[0].shape[0])
