"""What the weights of a space are: a number, a diagonal, or more."""

from __future__ import annotations

from linop.claims import DIAGONAL
from linop.core.operator import LinearOperator
from linop.spaces import Product, Space, Weighted


def weight_number(space: Space) -> float | None:
    """Return the number that the Riesz map multiplies by; None where it is more than a number.

    Examples
    --------
    >>> from linop import Euclidean, Weighted
    >>> X = Euclidean(2)
    >>> weight_number(X), weight_number(Weighted(X, 3.0)), weight_number(Weighted(X, [1.0, 2.0]))
    (1.0, 3.0, None)
    """
    if not space.weighted:
        return 1.0
    if isinstance(space, Product):
        numbers = {weight_number(part) for part in space.parts}
        return numbers.pop() if len(numbers) == 1 else None
    return space.weight if isinstance(space, Weighted) and isinstance(space.weight, float) else None


def has_diagonal_weights(space: Space) -> bool:
    """Say whether the Riesz map is known to multiply each entry by a number.

    Examples
    --------
    >>> from linop import Euclidean, Matrix, Weighted
    >>> X = Euclidean(2)
    >>> has_diagonal_weights(Weighted(X, [1.0, 2.0])), has_diagonal_weights(Weighted(X, Matrix([[2, 1], [1, 2]])))
    (True, False)
    """
    if isinstance(space, Product):
        return all(map(has_diagonal_weights, space.parts))
    if not isinstance(space, Weighted):
        return not space.weighted
    if isinstance(space.weight, LinearOperator):  # which may treat real and imaginary parts differently
        return DIAGONAL in space.weight.claims and not is_real_of_complex(space)
    return True


def is_real_of_complex(space: Space) -> bool:
    """Say whether a space is a real one with complex arrays: an entry there is two coordinates.

    Examples
    --------
    >>> from linop import Euclidean
    >>> is_real_of_complex(Euclidean(2, complex, field="real")), is_real_of_complex(Euclidean(2, complex))
    (True, False)
    """
    if isinstance(space, Product):
        return any(map(is_real_of_complex, space.parts))
    return space.field == "real" and space.dtype.kind == "c"
