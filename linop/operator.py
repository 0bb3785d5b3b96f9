"""What a linear operator is.

An author writes two methods, `LinearOperator._apply` and `LinearOperator._apply_dual`: unchecked, pure (they never
change or alias the argument) and deterministic. Where the adjoint has a formula of its own, `LinearOperator.dual` is
written in place of the second. Everything else follows: the checked call ``A(x)``, the algebra, equality and printing.
`linop.check_adjoint` says whether the two belong together.

The algebra is looked up where it is called: its modules import this one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Complex
from typing import final

import numpy as np

from linop import algebra, arrays, claims
from linop.arrays import Scalar, Vector
from linop.claims import Claims
from linop.element import Element
from linop.errors import SpaceError
from linop.spaces import Space


class LinearOperator(ABC):
    """A linear map ``A : domain -> codomain`` with an adjoint. Abstract.

    Parameters
    ----------
    domain, codomain : Space
        Where vectors come from and where they go; both real or both complex.

    Attributes
    ----------
    exact : bool
        Whether the map and its adjoint take vectors of small integers to their exact image in floating point. Data
        movements and integer matrices do; their adjoint is then checked with ``==``.
    roundings : int
        How many roundings stand behind one entry of a result, at most. The floating check derives its tolerance from
        it.
    gain : float or None
        How many times longer than its argument a result would be, at most, if nothing in the map or its adjoint
        cancelled: a bound on the norm of the matrix of absolute values. None where nobody knows. The checks tell from
        it when numbers stay exact, and when nothing but roundings is left.
    claims : frozenset of str
        What the operator says of itself with respect to `Space.dot`; see `linop.claims`.

    Examples
    --------
    A class of one's own has the map and its adjoint:

    >>> import numpy as np
    >>> from linop import Euclidean, check_adjoint
    >>> class Flip(LinearOperator):
    ...     def __init__(self, n):
    ...         super().__init__(Euclidean(n), Euclidean(n))
    ...     def _apply(self, x):
    ...         return x[..., ::-1].copy()
    ...     _apply_dual = _apply
    >>> A = Flip(3)
    >>> A(np.array([1.0, 2.0, 3.0])).tolist(), bool(check_adjoint(A))
    ([3.0, 2.0, 1.0], True)
    >>> print(A.H @ A + 2 * A)
    Flip.H @ Flip + 2 * Flip
    """

    # NumPy hands `scalar * A` and `array @ A` to the methods below instead of making an array of objects.
    __array_ufunc__ = None

    def __init__(self, domain: Space, codomain: Space) -> None:
        if domain.field != codomain.field:
            raise SpaceError(f"{type(self).__name__} : {domain} -> {codomain}: the two fields must be the same")
        self.domain = domain
        self.codomain = codomain

    @property
    def exact(self) -> bool:
        """Whether small integers stay exact."""
        return False

    @property
    def roundings(self) -> int:
        """Roundings behind one entry, at most."""
        return max(self.domain.size, self.codomain.size)

    @property
    def gain(self) -> float | None:
        """Bound on the norm of the map, as if nothing cancelled."""
        return None

    @property
    def claims(self) -> Claims:
        """What the operator says of itself."""
        return claims.NONE

    # -- the map and its adjoint -----------------------------------------------------------------------------------

    @abstractmethod
    def _apply(self, x: Vector) -> Vector:
        """Return ``A x`` for a vector that was checked: fresh, with the batch axes of `x`."""

    def _apply_dual(self, y: Vector) -> Vector:
        """Return ``A* y`` with respect to `Space.dot` for a vector that was checked."""
        return self.dual._apply(y)

    def __init_subclass__(cls) -> None:
        """Refuse a class that has no adjoint: `dual` and `_apply_dual` stand for each other until one is written."""
        super().__init_subclass__()
        if cls._apply_dual is LinearOperator._apply_dual and cls.dual is LinearOperator.dual:
            raise TypeError(f"{cls.__name__}: a linear operator needs its adjoint; write _apply_dual, or dual")

    @final
    def __call__(self, x: Vector) -> Vector:
        """Return ``A x``.

        Parameters
        ----------
        x : array, shape ``(*batch, *domain.shape)``
            A vector of the domain, or a batch of them.

        Returns
        -------
        array, shape ``(*batch, *codomain.shape)``
            A fresh array in the library, precision and device of `x`.

        Raises
        ------
        SpaceError
            When `x` is no vector of the domain.

        Notes
        -----
        Of an `Element`, the image is an element of the codomain.
        """
        if type(x) is Element:
            return x.__rmatmul__(self)
        self.domain.check(x, self)
        result = self._apply(x)
        return result if type(result) is np.ndarray else arrays.without_scalars(result)

    @property
    def dual(self) -> LinearOperator:
        """The adjoint with respect to `Space.dot`: what automatic differentiation needs."""
        return algebra.adjoint.Adjoint(self)

    @property
    @final
    def H(self) -> LinearOperator:
        """The adjoint with respect to `Space.inner`, ``R_X^-1 . dual . R_Y``; `dual` on spaces without weights."""
        dual, domain, codomain = self.dual, self.domain, self.codomain
        if not (domain.weighted or codomain.weighted):
            return dual
        return domain.riesz_inverse @ dual @ codomain.riesz

    # -- the algebra: each class has its own file in linop.algebra ---------------------------------------------------

    @final
    def __matmul__(self, other: object) -> LinearOperator:
        try:  # an isinstance at first would cost as much as the rest
            return algebra.compose.compose(self, other)  # type: ignore[arg-type]
        except AttributeError:
            if isinstance(other, LinearOperator):
                raise
            return NotImplemented

    @final
    def __add__(self, other: object) -> LinearOperator:
        return algebra.sum.add(self, other) if isinstance(other, LinearOperator) else NotImplemented

    @final
    def __sub__(self, other: object) -> LinearOperator:
        return self + (-other) if isinstance(other, LinearOperator) else NotImplemented

    @final
    def __rmul__(self, scalar: Scalar) -> LinearOperator:
        return algebra.scale.scale(scalar, self) if isinstance(scalar, Complex) else NotImplemented

    @final
    def __mul__(self, scalar: Scalar) -> LinearOperator:
        return self.__rmul__(scalar)

    @final
    def __truediv__(self, scalar: Scalar) -> LinearOperator:
        return (1 / scalar) * self if isinstance(scalar, Complex) else NotImplemented

    @final
    def __neg__(self) -> LinearOperator:
        return -1 * self

    @final
    def __pow__(self, exponent: int) -> LinearOperator:
        return algebra.compose.power(self, exponent) if isinstance(exponent, int) else NotImplemented

    # -- equality and printing ----------------------------------------------------------------------------------------

    def _key(self) -> tuple[object, ...]:
        """Return what makes two operators of this class equal; by default, only an operator itself."""
        return (id(self),)

    @final
    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and self._key() == other._key())

    @final
    def __hash__(self) -> int:
        return hash((type(self), self._key()))

    @final
    def __deepcopy__(self, memo: object) -> LinearOperator:
        """Return the operator itself: it never changes, and may stand for processes that have no copies."""
        return self

    def __str__(self) -> str:
        return type(self).__name__

    @final
    def __repr__(self) -> str:
        return f"{self} : {self.domain} -> {self.codomain}"

    @final
    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Return what a notebook shows: the expression as a tree, and as a formula."""
        from linop.queries.display import notebook

        return notebook(self)
