"""Multiplication by an array, entry by entry.

=========  ==========================================
map        ``(D x)_i = d_i x_i``
adjoint    ``(D* y)_i = conj(d_i) y_i``
matrix     diag(d)
=========  ==========================================
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
import numpy.typing as npt

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.numbers import products as finite_products
from linop.queries.cost import Cost, cost, moved, products
from linop.queries.inverse import inverse, unknown_inverse
from linop.rewriting.constants import Constants, constants
from linop.rewriting.engine import rule
from linop.spaces import Euclidean, Space
from linop.spaces.arrays_only import require_one_process


@final
class Diagonal(LinearOperator):
    """The map ``x -> d * x``.

    Parameters
    ----------
    entries : array_like, broadcasts to the shape of a vector
        d, real or complex; copied. Integers become float64.
    space : Space, optional
        Domain and codomain: a space of arrays. Euclidean of the shape and dtype of the entries by default.

    Raises
    ------
    SpaceError
        When the entries are not finite, do not broadcast to the shape, or are complex where the arrays are real.

    Examples
    --------
    >>> D = Diagonal([1.0, 2.0])
    >>> D(np.array([3.0, 4.0])).tolist()
    [3.0, 8.0]
    """

    @checked
    def __init__(self, entries: npt.ArrayLike, space: Space | None = None) -> None:
        found = np.array(entries)
        if found.dtype.kind in "biu":
            found = found.astype(np.float64)
        if found.dtype.kind not in "fc":
            raise SpaceError(f"Diagonal: expected numbers, found {found.dtype}")
        space = Euclidean(found.shape, found.dtype) if space is None else space
        require_one_process("Diagonal", space)
        if found.dtype.kind == "c" and space.dtype.kind != "c":
            raise SpaceError(f"Diagonal of {found.dtype} : {space} -> {space}: the arrays must be complex")
        if not np.all(np.isfinite(found)):
            raise SpaceError(f"Diagonal : {space} -> {space}: the entries must be finite")
        try:
            found = np.broadcast_to(found, space.shape)
        except (TypeError, ValueError):
            raise SpaceError(
                f"Diagonal : {space} -> {space}: expected entries that broadcast to shape {space.shape}, "
                f"found shape {found.shape}"
            ) from None
        super().__init__(space, space)
        entries = found.copy()
        entries.flags.writeable = False
        self.entries: np.ndarray[Any, Any] = entries

    @property
    def exact(self) -> bool:
        """Exact where the entries have few binary digits."""
        return arrays.has_few_digits(self.entries)

    @property
    def roundings(self) -> int:
        """One, and two more where numbers are complex."""
        return 1 if self.entries.dtype.kind == "f" else 3

    @property
    def gain(self) -> float:
        """The largest absolute entry; of both parts together, where they are coordinates of their own."""
        if self.domain.field == "real" and self.entries.dtype.kind == "c":
            return float((np.abs(self.entries.real) + np.abs(self.entries.imag)).max(initial=0.0))
        return float(np.abs(self.entries).max(initial=0.0))

    @property
    def claims(self) -> Claims:
        """Diagonal; self-adjoint where the entries are real; unitary where they are of modulus one."""
        found = {claims.DIAGONAL}
        if np.all(self.entries.imag == 0):
            found.add(claims.SELF_ADJOINT)
            if np.all(self.entries.real >= 0):
                found.add(claims.POSITIVE)
        if np.all(np.abs(self.entries) == 1):
            found |= claims.UNITARY
        if np.all((self.entries == 0) | (self.entries == 1)):
            found.add(claims.IDEMPOTENT)
        return frozenset(found)

    @property
    def dual(self) -> Diagonal:
        """The conjugate entries."""
        return self if self.entries.dtype.kind == "f" else Diagonal(self.entries.conj(), self.domain)

    def _apply(self, x: Array) -> Array:
        entries = self.entries
        if type(x) is not np.ndarray or x.dtype is not entries.dtype:
            entries = arrays.match(entries, x)
        return entries * x

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.entries.dtype, self.entries.tobytes())

    def __str__(self) -> str:
        return f"Diagonal({self.entries.tolist()})" if self.entries.ndim == 1 and self.entries.size <= 4 else "Diagonal"


@cost.register
def _(operator: Diagonal) -> Cost:
    return Cost(products(operator.domain), moved(operator) + operator.entries.nbytes)


@inverse.register
def _(operator: Diagonal) -> LinearOperator:
    if np.any(operator.entries == 0):
        raise SpaceError(f"{operator!r}: a diagonal with zeros has no inverse")
    with np.errstate(over="ignore"):
        entries = 1 / operator.entries
    return Diagonal(entries, operator.domain) if np.all(np.isfinite(entries)) else unknown_inverse(operator)


@rule(Diagonal, Diagonal)
def diagonals(left: Diagonal, right: Diagonal) -> LinearOperator | None:
    """``diag(a) diag(b) = diag(a b)``."""
    entries = finite_products(left.entries, right.entries, left.domain)
    return None if entries is None else Diagonal(entries, left.domain)


@rule(Diagonal)
def diagonal_of_ones(node: Diagonal) -> LinearOperator | None:
    """``diag(1) = I``."""
    return Identity(node.domain) if np.all(node.entries == 1) else None


@constants.register
def _(operator: Diagonal) -> Constants:
    return Constants(Diagonal, operator.entries, lambda entries: Diagonal(entries, operator.domain))


@constants.register
def _(operator: Identity) -> Constants:
    return Constants(Diagonal, np.ones(()), lambda entries: Diagonal(entries, operator.domain))
