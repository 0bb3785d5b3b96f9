r"""What is wrong with an adjoint, and where.

For an operator A and what claims to be its adjoint, B, the form :math:`e(x, y) = \mathrm{dot}(A x, y) - \mathrm{dot}(x,
B y)` is zero for all x and y where the claim holds. Where it is not:

*Where.* With y and B y fixed, e is a sum over the coordinates of x. It is not zero on one half of them, at least; so
halves of halves lead to one column in :math:`\log_2 n` applications of A, and from there, in the same way, to one row.

*What.* Usual mistakes make another form vanish: of c B, of the conjugate of B, of B shifted, flipped or transposed, or
between the weights of the spaces. Each is tried on a few random vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from linop import arrays
from linop.arrays import Array, Vector
from linop.core.operator import LinearOperator
from linop.spaces import Euclidean, Seed, Space
from linop.verify import probe

PAIRS = 3
"""On how many pairs of vectors a mistake is to explain everything."""

CANDIDATES = 3
"""How many places are tried, to which a number may have gone instead."""

SHIFTS = (1, -1, 2, -2)
"""By how many entries an adjoint may be shifted."""


class Pair(NamedTuple):
    """Two vectors, their images, and what ``dot(A x, y)`` is."""

    x: Vector
    y: Vector
    image: Vector
    preimage: Vector
    left: complex
    scale: float


def diagnose(A: LinearOperator, seed: Seed = 0, like: Any = None) -> str:
    """Say what is wrong with ``A.dual``, and where. On spaces that are spread over processes, collective.

    Parameters
    ----------
    A : LinearOperator
        An operator whose adjoint is wrong.
    seed : int or tuple of int, optional
        What vectors are drawn from.
    like : array of any shape, optional
        Vectors are of its library, device and precision.

    Returns
    -------
    str
        In words; empty where nothing was found.

    Examples
    --------
    >>> from linop import FunctionOperator
    >>> X = Euclidean(3)
    >>> print(diagnose(FunctionOperator(X, X, lambda x: 2 * x, lambda y: 6 * y)))
    it looks like a factor: the adjoint is 3 times what it should be
    """
    kind = next(_kinds(A, seed, like), "")
    return f"it looks like {kind}" if kind else ""


def locate(A: LinearOperator, seed: Seed = 0, like: Any = None) -> str:
    """Find an entry of the matrix in which an operator and its adjoint differ, by halving. Collective.

    It takes about ``log2`` of the number of coordinates on each side applications.

    Parameters
    ----------
    A : LinearOperator
        An operator whose adjoint is wrong, and which is linear.
    seed : int or tuple of int, optional
        What vectors are drawn from.
    like : array of any shape, optional
        Vectors are of its library, device and precision.

    Returns
    -------
    str
        Row, column and both values, in words; empty where rounding hides them.

    Examples
    --------
    >>> from linop import FunctionOperator
    >>> X = Euclidean(3)
    >>> wrong = np.array([[1.0, 0, 0], [0, 1, 5], [0, 0, 1]])
    >>> print(locate(FunctionOperator(X, X, lambda x: wrong @ x if x.ndim == 1 else x, lambda y: y)))
    the entry in row 1 (index (1,)) and column 2 (index (2,)) is 5.0; its adjoint conjugate transposed has 0.0
    """
    found = _entry(A, seed, like)
    if found is None:
        return ""
    X, Y = A.domain, A.codomain
    return (
        f"the entry in row {found.row} ({Y.locate(found.row)}) and column {found.column} ({X.locate(found.column)}) is "
        f"{_number(found.value, Y)}; its adjoint conjugate transposed has {_number(found.other, Y)}"
    )


# -- where -------------------------------------------------------------------------------------------------------------


class Entry(NamedTuple):
    """An entry of the matrix in which an operator and its adjoint differ, and both values."""

    row: int
    column: int
    value: complex
    other: complex


def _entry(A: LinearOperator, seed: Seed, like: Any) -> Entry | None:
    """Find a wrong entry by halving; None where rounding hides it."""
    B, X, Y = A.dual, A.domain, A.codomain
    if not (X.size and Y.size):
        return None
    y = probe.draw(Y, "integers", seed, 71, like=like)
    preimage = B(y)

    def column_form(x: Vector) -> complex:
        return complex(Y.dot(A(x), y) - X.dot(x, preimage))

    j = _halve(X, column_form, seed, like)
    x = _unit(X, j, like)
    image = A(x)

    def row_form(z: Vector) -> complex:
        return complex(Y.dot(image, z) - X.dot(x, B(z)))

    i = _halve(Y, row_form, (*_seeds(seed), 1), like)
    z = _unit(Y, i, like)
    back = B(z)
    mine, other = complex(Y.dot(z, image)), complex(X.dot(x, back)).conjugate()
    size = max(probe.length(Y, image), probe.length(X, back), probe.floor(A))  # as where matrices are compared
    return Entry(i, j, mine, other) if abs(mine - other) > probe.tolerance(A, image, back) * size else None


def _halve(space: Space, form: Callable[[Vector], complex], seed: Seed, like: Any) -> int:
    """Return a coordinate on which a linear form is not zero: the larger half of the larger half, and so on."""
    generator = np.random.default_rng((*_seeds(seed), 72))
    weights = generator.integers(1, 5, space.size) * generator.choice([-1, 1], space.size)
    first, last = 0, space.size
    while last - first > 1:
        middle = (first + last) // 2
        sizes = []
        for a, b in ((first, middle), (middle, last)):
            coordinates = np.zeros(space.size, space.coordinate_dtype)
            coordinates[a:b] = weights[a:b]
            size = abs(form(_with(space, coordinates, like)))
            sizes.append(size if size == size else math.inf)
        first, last = (first, middle) if sizes[0] >= sizes[1] else (middle, last)
    return first


def _unit(space: Space, i: int, like: Any) -> Vector:
    coordinates = np.zeros(space.size, space.coordinate_dtype)
    coordinates[i] = 1
    return _with(space, coordinates, like)


def _with(space: Space, coordinates: np.ndarray, like: Any) -> Vector:
    x = space.from_coordinates(coordinates)
    return x if like is None else arrays.each(lambda part: arrays.cast(part, like), x)


def _seeds(seed: Seed) -> tuple[int, ...]:
    return seed if isinstance(seed, tuple) else (seed,)


def _number(value: complex, space: Space) -> str:
    return str(value if space.field == "complex" else value.real)


# -- what --------------------------------------------------------------------------------------------------------------


def _kinds(A: LinearOperator, seed: Seed, like: Any) -> Iterator[str]:
    """Yield what explains the difference, the likeliest first."""
    for side, name in ((A, "the operator"), (A.dual, "the adjoint")):
        yield from _not_linear(side, name, seed, like)
    pairs = [_pair(A, (*_seeds(seed), 80 + k), like) for k in range(PAIRS)]
    if not all(0 < pair.scale < math.inf for pair in pairs):  # too small or too large to be compared
        return
    if _explains(A, pairs, lambda p: p.preimage):  # nothing is wrong with these
        return
    yield from _weights(A, pairs)
    yield from _factor(A, pairs)
    yield from _conjugate(A, seed, like)
    yield from _between_ranks(A, seed, like)
    yield from _moved(A, pairs)


def _not_linear(A: LinearOperator, name: str, seed: Seed, like: Any) -> Iterator[str]:
    """Yield what a pure and linear map does not do: change its argument, or move zero, sums or multiples elsewhere."""
    zero = A(A.domain.zeros(like=like))
    if not probe.is_zero(A.codomain, zero):
        yield f"an affine map: {name} takes zero to a vector of length {probe.length(A.codomain, zero):.3g}"
    x, z = (probe.draw(A.domain, "integers", seed, 73, k, like=like) for k in range(2))
    _, kept = probe.apply_watched(A, arrays.copy(x))
    if not kept:
        yield f"{name} that changes its argument"
    first, second = A(arrays.copy(x)), A(arrays.copy(z))
    sizes = probe.length(A.codomain, first) + probe.length(A.codomain, second)

    def differ(a: Vector, b: Vector, factor: float = 1.0) -> bool:
        difference = probe.length(A.codomain, arrays.axpy(-1.0, b, a))
        return not difference <= 100 * factor * probe.tolerance(A, first) * sizes

    if differ(A(arrays.copy(x)), first):
        yield f"{name} that is not a function: applied twice, it gives two results"
    added = differ(A(arrays.add(x, z)), arrays.add(first, second))
    if added or differ(A(arrays.scale(-3.0, x)), arrays.scale(-3.0, first), 3.0):
        yield f"{name} that is not linear: a sum or a multiple goes elsewhere"
    if A.domain.field == A.codomain.field == "complex":
        turned = A(arrays.scale(1j, x))
        if differ(turned, arrays.scale(1j, first)) and not differ(turned, arrays.scale(-1j, first)):
            yield f"{name} that conjugates its argument"


def _pair(A: LinearOperator, seed: tuple[int, ...], like: Any) -> Pair:
    x, y = (probe.draw(s, "normal", seed, k, like=like) for k, s in enumerate((A.domain, A.codomain)))
    image, preimage = A(x), A.dual(y)
    size = probe.length(A.codomain, image)
    if size > 0:  # y along A x: so the pairing is as large as it can be, and not a difference of large numbers
        y = arrays.add(y, arrays.scale(2 * probe.length(A.codomain, y) / size, image))
        preimage = A.dual(y)
    left = complex(A.codomain.dot(image, y))
    scale = probe.length(A.codomain, image) * probe.length(A.codomain, y)
    scale = max(scale, probe.length(A.domain, x) * probe.length(A.domain, preimage))
    return Pair(x, y, image, preimage, left, scale)


def _explains(A: LinearOperator, pairs: list[Pair], changed: Callable[[Pair], Vector]) -> bool:
    """Say whether the pairings agree, once the adjoint is changed."""
    return all(
        abs(pair.left - complex(A.domain.dot(pair.x, changed(pair))))
        <= 10 * probe.tolerance(A, pair.image, pair.preimage) * pair.scale
        for pair in pairs
    )


def _weights(A: LinearOperator, pairs: list[Pair]) -> Iterator[str]:
    """Yield on which side weights are that should not be there, or are missing."""
    X, Y, B = A.domain, A.codomain, A.dual
    if not (X.weighted or Y.weighted):
        return
    if _explains(A, pairs, lambda p: X._weigh(B(Y._unweigh(p.y)))):
        yield (
            "weights on the wrong side: the adjoint is right for `inner`, where `_apply_dual` is to be right for "
            "`dot`; leave the weights out, the core adds them to `A.H`"
        )
    for name, change in (
        ("the inverse weights of the domain", lambda p: X._weigh(p.preimage)),
        ("the weights of the domain", lambda p: X._unweigh(p.preimage)),
        ("the weights of the codomain", lambda p: B(Y._unweigh(p.y))),
        ("the inverse weights of the codomain", lambda p: B(Y._weigh(p.y))),
    ):
        if _explains(A, pairs, change):
            yield f"weights on the wrong side: the adjoint has {name} in it; leave them out"


def _factor(A: LinearOperator, pairs: list[Pair]) -> Iterator[str]:
    """Yield the number that an adjoint is too large by."""
    if any(pair.left == 0 for pair in pairs):
        return
    rights = [complex(A.domain.dot(pair.x, pair.preimage)) for pair in pairs]
    factors = [right / pair.left for right, pair in zip(rights, pairs, strict=True)]
    mean = sum(factors) / len(factors)
    allowed = [20 * probe.tolerance(A, p.image, p.preimage) * p.scale / abs(p.left) * max(1, abs(mean)) for p in pairs]
    if not all(abs(factor - mean) <= bound for factor, bound in zip(factors, allowed, strict=True)):
        return
    if mean == 0 or abs(mean) < 1e-12:
        yield "a zero: the adjoint gives nothing"
    elif abs(mean + 1) <= max(allowed):
        yield "a sign: the adjoint is minus what it should be"
    elif abs(mean - 1) > max(allowed):
        yield f"a factor: the adjoint is {_text(mean)} times what it should be"


def _text(number: complex) -> str:
    """Return a number as a user would write it: a ratio, where it is one."""
    if abs(number.imag) > 1e-6 * abs(number):
        return f"{number:.6g}"
    value = number.real
    for bottom in range(1, 65):
        top = round(value * bottom)
        if top and abs(value * bottom - top) <= 1e-6 * abs(top):
            return str(top) if bottom == 1 else f"{top}/{bottom}"
    return f"{value:.6g}"


def _conjugate(A: LinearOperator, seed: Seed, like: Any) -> Iterator[str]:
    """Yield whether the adjoint is right for conjugate vectors: it is the transpose."""
    B = A.dual
    if A.domain.field != "complex":
        return
    pairs = [_pair(A, (*_seeds(seed), 90 + k), like) for k in range(PAIRS)]
    if _explains(A, pairs, lambda p: _conj(B(_conj(p.y)))):
        yield "a conjugate that is missing: the adjoint is the transpose"


def _conj(x: Vector) -> Vector:
    return arrays.each(lambda part: arrays.namespace(part).conj(part) if arrays.kind(part) == "complex" else part, x)


def _moved(A: LinearOperator, pairs: list[Pair]) -> Iterator[str]:
    """Yield whether the adjoint's argument or result is elsewhere than it should be."""
    X, Y, B = A.domain, A.codomain, A.dual
    if X == Y and all(_is_the_operator(A, pair) for pair in pairs):
        yield "a kernel that is not mirrored: the adjoint is the operator itself, which is not self-adjoint"
    plain = isinstance(X.unweighted, Euclidean), isinstance(Y.unweighted, Euclidean)
    if all(plain) and X.ndim == Y.ndim and X.ndim:
        axes = tuple(range(-X.ndim, 0))
        if _explains(A, pairs, lambda p: _flip(B(_flip(p.y, axes)), axes)):
            yield "a kernel that is not mirrored: the adjoint is right for flipped arrays"
        if X.ndim == 2 and X.shape[0] == X.shape[1] and Y.shape[0] == Y.shape[1]:
            if _explains(A, pairs, lambda p: _swap(B(_swap(p.y)))):
                yield "a kernel that is transposed: the adjoint is right for transposed arrays"
            for name, change in (("argument", lambda p: B(_swap(p.y))), ("result", lambda p: _swap(p.preimage))):
                if _explains(A, pairs, change):
                    yield f"a transposition: the {name} of the adjoint has its axes swapped"
    for isplain, name, space in ((plain[0], "result", X), (plain[1], "argument", Y)):
        for axis in range(space.ndim if isplain else 0):
            place = axis - space.ndim
            for shift in SHIFTS:

                def change(p: Pair, shift: int = shift, place: int = place, name: str = name) -> Vector:
                    if name == "result":
                        return _roll(p.preimage, -shift, place)
                    return B(_roll(p.y, shift, place))

                if _explains(A, pairs, change):
                    yield f"a shift: the {name} of the adjoint is shifted by {shift} along axis {axis}"

            def flipped(p: Pair, place: int = place, name: str = name) -> Vector:
                return _flip(p.preimage, (place,)) if name == "result" else B(_flip(p.y, (place,)))

            if _explains(A, pairs, flipped):
                yield f"a flip: the {name} of the adjoint runs backwards along axis {axis}"


def _between_ranks(A: LinearOperator, seed: Seed, like: Any) -> Iterator[str]:
    """Yield whether a number goes to the wrong rank on its way back, or does not go there at all."""
    X, Y, B = A.domain, A.codomain, A.dual
    if not (X.size and Y.size) or {X._rank_of(0), X._rank_of(X.size - 1), Y._rank_of(0), Y._rank_of(Y.size - 1)} == {0}:
        return
    found = _entry(A, seed, like)
    if found is None or not found.value or found.other:
        return
    z, rank = _unit(Y, found.row, like), X._rank_of(found.column)
    numbers = X.to_coordinates(B(z)).conj()
    for k in np.flatnonzero(np.isclose(numbers, found.value, rtol=1e-6, atol=0)).tolist()[:CANDIDATES]:
        if X._rank_of(k) != rank and not np.isclose(complex(Y.dot(z, A(_unit(X, k, like)))), found.value, rtol=1e-6):
            yield f"a wrong rank: what belongs to {X.locate(found.column)} goes to {X.locate(k)}"
            return
    if Y._rank_of(found.row) != rank:
        yield f"a missing sum over ranks: nothing goes from rank {Y._rank_of(found.row)} back to rank {rank}"


def _is_the_operator(A: LinearOperator, p: Pair) -> bool:
    """Say whether the adjoint does what the operator does."""
    same = A(p.y)
    difference = probe.length(A.domain, arrays.axpy(-1.0, same, p.preimage))
    return difference <= 10 * probe.tolerance(A, same) * probe.length(A.domain, same)


def _flip(x: Array, axes: tuple[int, ...]) -> Array:
    return arrays.copy(arrays.namespace(x).flip(x, axis=axes))


def _swap(x: Array) -> Array:
    return arrays.copy(arrays.namespace(x).matrix_transpose(x))


def _roll(x: Array, shift: int, axis: int) -> Array:
    return arrays.copy(arrays.namespace(x).roll(x, shift, axis=axis))
