"""Vectors that know their space: sums, multiples, lengths and images as they are written on paper.

A vector is an array, or a tuple of arrays where the space is a product; tuples do not add up. An `Element` holds such a
vector and its space, so that a method of one's own reads as its formulas, on any space::

    r = b - A @ x
    x = x + (r.inner(r) / r.inner(A @ r)) * r
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Complex
from typing import Any, final

import numpy as np

from linop import arrays, upward
from linop.arguments import show
from linop.arrays import Scalar, Vector
from linop.errors import ArgumentTypeError, SpaceError
from linop.spaces.space import Space


@final
class Element:
    """A vector with its space; `Space.element` makes it.

    Elements of equal spaces add up, and may be multiplied by numbers; ``A @ x`` and ``A(x)`` are elements of A's
    codomain. Nothing is changed in place. In a batch, `inner` and `norm` give one number for each vector, and an array
    of such numbers multiplies each vector by its own.

    Parameters
    ----------
    space : Space
        The space.
    value : vector of it
        An array, or a tuple of vectors; not copied.

    Raises
    ------
    SpaceError
        When the value is no vector of the space.

    Examples
    --------
    Steepest descent, for an operator on pairs:

    >>> from linop import Diagonal, Euclidean, Product
    >>> from linop.blocks.block_diagonal import BlockDiagonal
    >>> A = BlockDiagonal(Diagonal([1.0, 2.0]), Diagonal([4.0]))
    >>> b = A.domain.element((np.array([1.0, 4.0]), np.array([2.0])))
    >>> x = 0 * b
    >>> for _ in range(40):
    ...     r = b - A @ x
    ...     x = x + (r.inner(r) / r.inner(A @ r)) * r
    >>> [part.round(6).tolist() for part in x.value]
    [[1.0, 2.0], [0.5]]
    >>> x.norm() < b.norm()
    True
    """

    __slots__ = ("space", "value")
    __array_ufunc__ = None  # a NumPy scalar times an element is the element's business

    def __init__(self, space: Space, value: Vector) -> None:
        if not isinstance(space, Space):
            raise ArgumentTypeError(f"Element: expected space to be a Space, found {show(space)}")
        if isinstance(value, Element):
            value = value._in(space)
        space.check(value)
        self.space = space
        self.value = value

    def inner(self, other: Element) -> Scalar:
        """Return the inner product of the space, conjugating this element."""
        return self.space.inner(self.value, other._in(self.space))

    def norm(self) -> Any:
        """Return the norm of the space."""
        return self.space.norm(self.value)

    def map(self, function: Callable[[Vector], Vector]) -> Element:
        """Return the element whose vector a function gives, such as a proximal map: ``x.map(lambda v: prox(v, t))``."""
        return Element(self.space, function(self.value))

    def copy(self) -> Element:
        """Return an element with a fresh vector."""
        return _made(self.space, self.space.copy(self.value))

    def _in(self, space: Space) -> Vector:
        """Return the vector; raise unless it is one of a space."""
        if self.space != space:
            raise SpaceError(f"expected two elements of one space, found one of {space} and one of {self.space}")
        return self.value

    # -- arithmetic ---------------------------------------------------------------------------------------------------

    def __add__(self, other: object) -> Element:
        if isinstance(other, Element):
            return _made(self.space, arrays.add(self.value, other._in(self.space)))
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def __radd__(self, other: object) -> Element:
        """Return the element, so that `sum` adds elements."""
        return self + other

    def __sub__(self, other: object) -> Element:
        return self + -1 * other if isinstance(other, Element) else NotImplemented

    def __neg__(self) -> Element:
        return -1 * self

    def __mul__(self, scalar: Scalar) -> Element:
        if not isinstance(scalar, Complex | np.ndarray):
            return NotImplemented
        # The constructor refuses complex multiples in real spaces.
        return Element(self.space, arrays.without_scalars(arrays.scale(scalar, self.value)))

    __rmul__ = __mul__

    def __truediv__(self, scalar: Scalar) -> Element:
        return self * (1 / scalar) if isinstance(scalar, Complex | np.ndarray) else NotImplemented

    def __rmatmul__(self, operator: Any) -> Element:
        """Return ``A @ x``."""
        return _made(operator.codomain, operator(self._in(operator.domain)))

    # -- the rest -----------------------------------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Element) or self.space != other.space:
            return False
        pairs = zip(arrays.leaves(self.value), arrays.leaves(other.value), strict=True)
        return all(a.shape == b.shape and bool(arrays.namespace(a).all(a == b)) for a, b in pairs)

    __hash__ = None  # type: ignore[assignment]  # vectors are arrays, which have none

    def __repr__(self) -> str:
        return f"Element({self.value!r} of {self.space})"


@upward.element.register
def _(space: Space, x: Vector) -> Element:
    return Element(space, x)


def _made(space: Space, value: Vector) -> Element:
    """Return an element whose vector needs no check."""
    element = object.__new__(Element)
    element.space, element.value = space, arrays.without_scalars(value)
    return element
