"""What a linear operator is.

An author writes two methods, `LinearOperator._apply` and `LinearOperator._apply_dual`: unchecked, pure (they never
change or alias the argument) and deterministic. Where the adjoint has a formula of its own, `LinearOperator.dual` is
written in place of the second. Everything else follows: the checked call ``A(x)``, the algebra, equality and printing.
`linop.check_adjoint` says whether the two belong together.

The algebra is looked up where it is called: its modules import this one.
"""

from __future__ import annotations

from abc import abstractmethod
from numbers import Complex
from typing import NoReturn, final

import numpy as np

from linop import arrays, claims, core, upward
from linop.arguments import foreign_hint, refuse, show
from linop.arrays import Array, Scalar, Vector
from linop.claims import Claims
from linop.errors import ArgumentError, ArgumentTypeError, IntegerError, SpaceError
from linop.keyed import Keyed
from linop.spaces import Space
from linop.spaces.element import Element


class _Elsewhere:
    """An attribute of other libraries' operators that ours have by another name."""

    def __init__(self, advice: str) -> None:
        self.advice = advice

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, operator: object, kind: type) -> NoReturn:
        raise AttributeError(f"{kind.__name__} has no attribute {self.name!r}: {self.advice}")


class LinearOperator(Keyed):
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

    # How many operators are applied inside each other; see linop.core.expression.
    _levels = 0

    # Whether a neighbour in a product may meet the operator, in constant time; see `_met`.
    _meets = False

    # NumPy hands `scalar * A` and `array @ A` to the methods below instead of making an array of objects.
    __array_ufunc__ = None

    def __init__(self, domain: Space, codomain: Space) -> None:
        if not (isinstance(domain, Space) and isinstance(codomain, Space)):
            name, space = ("codomain", codomain) if isinstance(domain, Space) else ("domain", domain)
            error = ArgumentTypeError(f"{type(self).__name__}: expected {name} to be a Space, found {show(space)}")
            refuse(error, domain, codomain)
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

    @final
    def _refuse(self, error: Exception) -> NoReturn:
        """Raise an error; on spaces over several processes, let all of them raise."""
        (self.domain if self.domain.spread else self.codomain)._refuse(error)

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
            raise ArgumentTypeError(f"{cls.__name__}: a linear operator needs its adjoint; write _apply_dual, or dual")

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
        domain = self.domain
        domain.check(x, self)
        result = self._apply(x)
        if type(x) is not np.ndarray or (x.dtype is not domain.dtype and x.dtype.kind in "iu"):
            self._require_no_overflow(x, result)
        return result if type(result) is np.ndarray else arrays.without_scalars(result)

    def _require_no_overflow(self, x: Vector, result: Vector) -> None:
        """Raise where integers have wrapped, on all processes that share the result; it is computed once more."""
        if not (all(_are_integers(x)) and any(_are_integers(result))):
            return
        wrapped = arrays.each(_wrapped, result, self._apply(arrays.each(arrays.wide, x)))
        if np.any(self.codomain.dot(wrapped, wrapped)):
            dtype = next(part.dtype for part in arrays.leaves(result) if arrays.is_integral(part))
            raise IntegerError(
                f"{self!r}: the result does not fit into {dtype}; apply it to floating numbers, or wider ones"
            )

    def _met(self, right: LinearOperator) -> LinearOperator | None:  # noqa: ARG002
        """Return what becomes of the operator and its right neighbour in a product; None where both stay."""
        return None

    @property
    def dual(self) -> LinearOperator:
        """The adjoint with respect to `Space.dot`: what automatic differentiation needs."""
        return core.adjoint.Adjoint(self)

    @property
    @final
    def H(self) -> LinearOperator:
        """The adjoint with respect to `Space.inner`, ``R_X^-1 . dual . R_Y``; `dual` on spaces without weights."""
        dual, domain, codomain = self.dual, self.domain, self.codomain
        if not (domain.weighted or codomain.weighted):
            return dual
        adjoint: LinearOperator = domain.riesz_inverse @ dual @ codomain.riesz
        return adjoint

    @final
    def _agree(self, what: str, value: object) -> None:
        """Raise, on all processes, unless a value is the same on all of them; collective where there are several."""
        if self.domain.spread or self.codomain.spread:
            (self.domain if self.domain.spread else self.codomain).agree(what, value)

    # -- the algebra: each class has its own file in linop.core ---------------------------------------------------

    @final
    def __matmul__(self, other: object) -> LinearOperator:
        try:  # an isinstance at first would cost as much as the rest
            return core.compose.compose(self, other)  # type: ignore[arg-type]
        except AttributeError:
            if isinstance(other, LinearOperator):
                raise
            return self._not_understood("@", other)

    @final
    def __rmatmul__(self, other: object) -> LinearOperator:
        return self._not_understood("@", other, adjoint=True)

    @final
    def __add__(self, other: object) -> LinearOperator:
        if isinstance(other, LinearOperator):
            return core.sum.add(self, other)
        if type(other) is int and other == 0:  # where Python's sum begins
            return self
        return self._not_understood("+", other)

    __radd__ = __add__

    @final
    def __sub__(self, other: object) -> LinearOperator:
        return self + (-other) if isinstance(other, LinearOperator) else self._not_understood("-", other)

    @final
    def __rmul__(self, scalar: Scalar) -> LinearOperator:
        number = scalar if isinstance(scalar, Complex) else _number(scalar)
        if number is None:
            return self._not_understood("*", scalar)
        self._agree("c * A", number)
        return core.scale.scale(number, self)

    @final
    def __mul__(self, scalar: Scalar) -> LinearOperator:
        return self.__rmul__(scalar)

    @final
    def __truediv__(self, scalar: Scalar) -> LinearOperator:
        number = scalar if isinstance(scalar, Complex) else _number(scalar)
        if number is None:
            return self._not_understood("/", scalar)
        if number == 0:
            raise ArgumentError(f"{self} / {scalar}: expected a number that is not zero")
        return (1 / number) * self

    @final
    def __neg__(self) -> LinearOperator:
        return core.scale.scale(-1, self)

    @final
    def __pow__(self, exponent: int) -> LinearOperator:
        if not isinstance(exponent, int):
            return NotImplemented
        self._agree("A ** n", exponent)
        return core.compose.power(self, exponent)

    def _not_understood(self, sign: str, other: object, *, adjoint: bool = False) -> LinearOperator:
        """Return NotImplemented; raise where it is known what was meant."""
        if arrays.is_array(other) or isinstance(other, list | tuple):
            call = "A.H(x)" if adjoint else "A(x)"
            hint = foreign_hint(other)
            raise ArgumentTypeError(
                f"{'x ' + sign + ' A' if adjoint else 'A ' + sign + ' x'} with A = {self} and x = {show(other)}: an "
                f"operator is applied as {call}; A @ B, A + B and c * A take operators and numbers{hint}"
            )
        if isinstance(other, Complex) and sign in "+-":
            raise ArgumentTypeError(f"A {sign} {other} with A = {self}: write A {sign} {other} * Identity(A.domain)")
        hint = foreign_hint(other)
        if hint:
            raise ArgumentTypeError(f"A {sign} B with A = {self}, and B = {show(other)}{hint}")
        return NotImplemented  # type: ignore[no-any-return]

    T = _Elsewhere("A.H is the adjoint (of a real matrix, its transpose), A.dual the one without weights")
    shape = _Elsewhere("the shape of a vector is A.domain.shape or A.codomain.shape, their sizes A.domain.size, ...")
    dtype = _Elsewhere("vectors made by the spaces have A.domain.dtype and A.codomain.dtype; A(x) follows that of x")
    matvec, rmatvec, matmat = (_Elsewhere("write A(x), and A.H(y) for the adjoint") for _ in range(3))

    # -- equality and printing ----------------------------------------------------------------------------------------

    def _key(self) -> tuple[object, ...]:
        """Return what makes two operators of this class equal; by default, only an operator itself."""
        return (id(self),)

    def __str__(self) -> str:
        return type(self).__name__

    @final
    def __repr__(self) -> str:
        return f"{self} : {self.domain} -> {self.codomain}"

    @final
    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Return what a notebook shows: the expression as a tree, and as a formula."""
        shown: dict[str, str] = upward.notebook(self)
        return shown


def _are_integers(x: Vector) -> list[bool]:
    """Say of each array of a vector whether its entries are integers; what is in flight has none."""
    return [hasattr(part, "shape") and arrays.is_integral(part) for part in arrays.leaves(x)]


def _wrapped(found: Array, true: Array) -> np.ndarray:
    """Say where integers have wrapped, as zeros and ones; both may have been rounded to double precision."""
    if not arrays.is_integral(found):
        return np.zeros(tuple(found.shape))
    bits = arrays.namespace(found).iinfo(found.dtype).bits
    apart = np.abs(arrays.to_numpy(arrays.wide(found)) - arrays.to_numpy(true))
    return np.asarray(apart >= 2.0 ** (bits - 1), np.float64)


def _number(value: object) -> complex | None:
    """Return the number that an array without axes holds; None where there is none."""
    if not arrays.is_array(value) or getattr(value, "ndim", None) != 0 or arrays.kind(value) == "other":
        return None
    if getattr(value, "requires_grad", False):
        raise ArgumentTypeError(
            "c * A: expected a number without a gradient; an operator would lose it; write c * A(x)"
        )
    found: complex = value.item()  # type: ignore[attr-defined]
    return found
