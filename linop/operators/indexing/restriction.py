"""Some entries of an array, chosen by an index.

=========  ==========================================
map        ``y = x[index]``
adjoint    zero, to which the entries of y are added at their index
matrix     rows of the unit matrix
=========  ==========================================
"""

from __future__ import annotations

import math
from typing import Any, final

import numpy as np

from linop import arrays, claims
from linop.arguments import checked
from linop.arrays import Array
from linop.claims import Claims
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.indexing.gather import Gather
from linop.queries.cost import Cost, cost, moved, reals
from linop.rewriting.engine import rule
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@final
class Restriction(LinearOperator):
    """The map ``x -> x[index]``: sampling, cropping, reordering. Its adjoint puts entries back, zeros elsewhere.

    Parameters
    ----------
    domain : Space
        A space of arrays.
    index : index
        Whatever indexes a NumPy array of the domain's shape: integers, slices, ``...``, None, arrays of integers,
        masks, and tuples of them. Entries may be taken more than once; the adjoint adds them.
    codomain : Space, optional
        A space of arrays of the shape of ``x[index]``, with weights of its own. By default the domain where it
        has this shape, else without weights.

    Raises
    ------
    SpaceError
        When an array of the domain has no such index, or the codomain has another shape.

    Examples
    --------
    >>> from linop import Euclidean
    >>> A = Restriction(Euclidean(4), np.s_[1:3])
    >>> A(np.array([1.0, 2.0, 3.0, 4.0])).tolist()
    [2.0, 3.0]
    >>> A.H(np.array([5.0, 6.0])).tolist()
    [0.0, 5.0, 6.0, 0.0]
    >>> Restriction(Euclidean(2), [0, 1, 1]).H(np.array([1.0, 2.0, 3.0])).tolist()
    [1.0, 5.0]
    """

    exact = True

    @checked
    def __init__(self, domain: Space, index: Any, *, codomain: Space | None = None) -> None:
        require_arrays("Restriction", domain)
        self._text = f"Restriction[{_written(index)}]"
        try:
            shape = np.broadcast_to(np.int8(0), domain.shape)[index].shape  # in one byte of memory, for slices
        except (IndexError, TypeError, ValueError) as error:
            raise SpaceError(
                f"{self._text} : {domain}: expected an index of arrays of shape {domain.shape}; {error}"
            ) from None
        self._gather: Gather | None = None
        ranges = _ranges(index, domain.shape)
        if ranges is None:
            size = math.prod(domain.shape)
            self._gather = Gather(np.arange(size).reshape(domain.shape)[index].reshape(-1), size)
        self._ranges = ranges or ()
        self._slices = (..., *(slice(r.start, r.stop, r.step) for r in self._ranges))
        self._taken = tuple(map(len, self._ranges))
        super().__init__(domain, resolve_codomain(self._text, domain, codomain, shape))

    @property
    def roundings(self) -> int:
        """One for each round of the adjoint's sums; none where no entry is taken twice."""
        return 0 if self._gather is None else self._gather.rounds

    @property
    def gain(self) -> float:
        """The root of how often an entry is taken at most: that of the largest column sum."""
        return 1.0 if self._gather is None else math.sqrt(self._gather.multiplicity)

    @property
    def claims(self) -> Claims:
        """A coisometry where no entry is taken twice, unitary where each is taken once."""
        if self._gather is not None and self._gather.multiplicity > 1:
            return claims.NONE
        everything = self.domain.size == self.codomain.size
        return claims.UNITARY if everything else frozenset({claims.COISOMETRY})

    def _apply(self, x: Array) -> Array:
        batch = self.domain.batch(x)
        if self._gather is None:
            found = arrays.copy(x[self._slices])
        else:
            found = self._gather.take(arrays.flatten(x, self.domain.ndim))
        return arrays.reshape(found, (*batch, *self.codomain.shape))

    def _apply_dual(self, y: Array) -> Array:
        batch = self.codomain.batch(y)
        if self._gather is not None:
            found = self._gather.accumulate(arrays.flatten(y, self.codomain.ndim))
            return arrays.reshape(found, (*batch, *self.domain.shape))
        found = arrays.zeros((*batch, *self.domain.shape), like=y)
        found[self._slices] = arrays.reshape(y, (*batch, *self._taken))
        return found

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self._ranges, self._gather and self._gather.index.tobytes())

    def __str__(self) -> str:
        return self._text


def _ranges(index: Any, shape: tuple[int, ...]) -> tuple[range, ...] | None:
    """Return what a valid index takes of each axis, upwards; None where it is no product of such ranges."""
    items = index if isinstance(index, tuple) else (index,)
    if not all(item is None or item is ... or isinstance(item, slice) or _is_integer(item) for item in items):
        return None
    items = tuple(item for item in items if item is not None)
    k = next((k for k, item in enumerate(items) if item is ...), len(items))
    before, after = items[:k], items[k + 1 :]
    rest = (slice(None),) * (len(shape) - len(before) - len(after))
    found = []
    for item, extent in zip((*before, *rest, *after), shape, strict=True):
        first = 0 if isinstance(item, slice) else int(item) % extent
        taken = range(extent)[item] if isinstance(item, slice) else range(first, first + 1)
        if len(taken) > 1 and taken.step < 0:
            return None
        found.append(range(taken[0], taken[-1] + 1, max(taken.step, 1)) if taken else range(0))
    return tuple(found)


def _is_integer(item: object) -> bool:
    return isinstance(item, int | np.integer) and not isinstance(item, bool)


def _written(index: Any) -> str:
    """Return an index as it is written in brackets; long arrays by their shape."""
    if isinstance(index, tuple):
        return ", ".join(map(_written, index)) or "()"
    if isinstance(index, slice):
        ends = f"{_end(index.start)}:{_end(index.stop)}"
        return ends if index.step is None else f"{ends}:{index.step}"
    if isinstance(index, list | np.ndarray):
        try:
            array = np.asarray(index)
        except ValueError:
            return repr(index)
        return str(array.tolist()) if array.size <= 6 else f"array of shape {array.shape}"
    return "..." if index is ... else str(index)


def _end(end: Any) -> str:
    return "" if end is None else str(end)


@cost.register
def _(operator: Restriction) -> Cost:
    """Adjoints add entries that were taken more than once."""
    return Cost(max(map(reals, (operator.domain, operator.codomain))) if operator.roundings else 0, moved(operator))


@rule(Restriction, Restriction)
def restrictions(left: Restriction, right: Restriction) -> LinearOperator | None:
    """Some of some entries are some entries."""
    if not right.domain.shape or right.domain.size != math.prod(right.domain.shape):
        return None
    shape = right.domain.shape
    taken = left._apply(right._apply(np.arange(right.domain.size).reshape(shape)))  # the number of each entry
    return Restriction(right.domain, np.unravel_index(taken, shape), codomain=left.codomain)
