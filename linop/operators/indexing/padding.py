r"""An array made longer at its ends, with zeros or with its own entries.

=========  ==========================================
map        ``P_1 (x) ... (x) P_d``, one factor for each axis: ``(P x)_k = x_{j(k)}``, or zero
adjoint    ``(P* y)_j = sum of y_k over all k with j(k) = j``: what was put outside is folded back and added
matrix     one 1 in each row, or none
=========  ==========================================

For an axis of n entries and k = -before .. n - 1 + after, the boundary says what j(k) is: nothing (zero), ``k mod n``
(periodic), the reflection of k at 0 and n - 1, which are not repeated (reflect), or the nearer of 0 and n - 1 (edge).
"""

from __future__ import annotations

import math
from typing import final

import numpy as np
import numpy.typing as npt

from linop import arrays, claims
from linop.arguments import checked, renamed
from linop.arrays import Array
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.indexing.gather import Gather
from linop.operators.indexing.restriction import Restriction
from linop.queries.cost import Cost, cost, moved, reals
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain

BOUNDARIES = {"zero": "constant", "periodic": "wrap", "reflect": "reflect", "edge": "edge"}
"""The boundaries, and what ``numpy.pad`` calls them."""


@final
class Padding(LinearOperator):
    """Entries before the first and after the last one of each axis, as those of ``numpy.pad``.

    Padding with zeros is the adjoint of cropping; see `Restriction`, which also makes arrays shorter.

    Parameters
    ----------
    domain : Space
        A space of arrays.
    width : int, pair of int, or one pair of int for each axis
        How many entries are put before and after; as in ``numpy.pad`` an integer is meant for all ends, a pair
        ``(before, after)`` for all axes. They may be larger than the array.
    boundary : {"zero", "periodic", "reflect", "edge"}, optional
        What is put there. Except for zeros, an axis that is padded needs an entry.
    codomain : Space, optional
        A space of arrays of the padded shape, with weights of its own. By default the domain where it has this
        shape, else without weights.

    Raises
    ------
    SpaceError
        When the widths are negative or not as many as expected, the boundary is unknown, an axis has no entry to
        repeat, or the codomain has another shape.

    Examples
    --------
    >>> from linop import Euclidean
    >>> A = Padding(Euclidean(3), (1, 2), boundary="reflect")
    >>> A(np.array([1.0, 2.0, 3.0])).tolist()
    [2.0, 1.0, 2.0, 3.0, 2.0, 1.0]
    >>> A.H(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])).tolist()
    [8.0, 9.0, 4.0]
    >>> Padding(Euclidean(2), 1)(np.array([1.0, 2.0])).tolist()
    [0.0, 1.0, 2.0, 0.0]
    """

    exact = True

    @renamed(mode="boundary")
    @checked
    def __init__(
        self, domain: Space, width: npt.ArrayLike, *, boundary: str = "zero", codomain: Space | None = None
    ) -> None:
        require_arrays("Padding", domain)
        if boundary not in tuple(BOUNDARIES):
            raise SpaceError(
                f"Padding : {domain}: expected a boundary among {', '.join(BOUNDARIES)}, found {boundary!r}"
            )
        self.boundary = boundary
        self.width = _checked_width(domain, width)
        if boundary != "zero" and any(n == 0 and any(pair) for n, pair in zip(domain.shape, self.width, strict=True)):
            raise SpaceError(f"{self} : {domain}: an axis without entries has nothing to repeat; only zeros can be put")
        shape = tuple(before + n + after for n, (before, after) in zip(domain.shape, self.width, strict=True))
        super().__init__(domain, resolve_codomain(str(self), domain, codomain, shape))
        inside = tuple(slice(before, before + n) for n, (before, _) in zip(domain.shape, self.width, strict=True))
        self._crop = Restriction(self.codomain, inside, codomain=domain) if boundary == "zero" else None
        self._gathers = () if boundary == "zero" else tuple(self._gather(axis) for axis in self._padded)

    @property
    def _padded(self) -> tuple[int, ...]:
        """The axes that become longer, counted from the end."""
        return tuple(axis - self.domain.ndim for axis, pair in enumerate(self.width) if any(pair))

    def _gather(self, axis: int) -> Gather:
        """Return ``P_k`` for one axis: which entry is put where, from padding the entries' numbers."""
        n = self.domain.shape[axis]
        return Gather(np.pad(np.arange(n), self.width[axis], mode=BOUNDARIES[self.boundary]), n, axis)  # type: ignore[call-overload]

    @property
    def roundings(self) -> int:
        """One for each round of the adjoint's sums."""
        return sum(gather.rounds for gather in self._gathers)

    @property
    def gain(self) -> float:
        """The root of how often an entry is put at most: that of the largest column sum."""
        return math.sqrt(math.prod(gather.multiplicity for gather in self._gathers))

    @property
    def claims(self) -> Claims:
        """An isometry where zeros are put, unitary where nothing is."""
        if not self._padded:
            return claims.UNITARY
        return frozenset({claims.ISOMETRY}) if self.boundary == "zero" else claims.NONE

    def _apply(self, x: Array) -> Array:
        if self._crop is not None:
            return self._crop._apply_dual(x)
        for gather in self._gathers:
            x = gather.take(x)
        return x if self._gathers else arrays.copy(x)

    def _apply_dual(self, y: Array) -> Array:
        if self._crop is not None:
            return self._crop._apply(y)
        for gather in reversed(self._gathers):
            y = gather.accumulate(y)
        return y if self._gathers else arrays.copy(y)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.width, self.boundary)

    def __str__(self) -> str:
        widths = self.width[0] if len(set(self.width)) == 1 else self.width
        return f"Padding({widths}, {self.boundary})"


def _checked_width(domain: Space, width: npt.ArrayLike) -> tuple[tuple[int, int], ...]:
    """Return a pair of widths for each axis; raise where there are none."""
    try:
        found = np.asarray(width)
        pairs = np.broadcast_to(found, (domain.ndim, 2)).tolist()
    except ValueError:
        found, pairs = np.empty(0), []
    if found.dtype.kind not in "iu":
        raise SpaceError(
            f"Padding : {domain}: expected a width, a pair (before, after) or {domain.ndim} such pairs of integers, "
            f"found {width!r}"
        )
    if found.min(initial=0) < 0:
        raise SpaceError(f"Padding : {domain}: widths are zero or more, found {width!r}; use Restriction to crop")
    return tuple((before, after) for before, after in pairs)


@cost.register
def _(operator: Padding) -> Cost:
    """Adjoints add entries that were taken more than once."""
    return Cost(max(map(reals, (operator.domain, operator.codomain))) if operator.roundings else 0, moved(operator))
