"""What one application of an operator to one vector costs: operations on real numbers, and bytes moved.

Counted is what a kernel does that reads its argument and its constants once and writes its result once. Costs add up
along an expression: every intermediate result is written and read again, as it is in fact. Numbers are of the spaces'
precision. On spaces that are spread over processes, they are those of the process that has most to do (`held`).

A product of complex numbers is six operations, a sum two; a Fourier transform of n points ``5 n log2 n``, the
convention in which transforms are compared (Frigo and Johnson, Proc. IEEE 93 (2005) 216).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import singledispatch

import numpy as np

from linop.arguments import checked
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose
from linop.core.operator import LinearOperator
from linop.core.parts import parts
from linop.core.riesz import Riesz
from linop.core.scale import Scale
from linop.core.sum import Sum
from linop.core.zero import Zero
from linop.query import Answer, query
from linop.spaces import Product, Space, Weighted

OPERATIONS_PER_BYTE = 8
"""How many operations take as long as moving one byte: what machines are balanced for, give or take a factor of two."""


@checked
@dataclass(frozen=True)
class Cost:
    """A number of operations, and of bytes moved to or from memory. Costs add up, and can be compared.

    The order is that of `time`, in which both add up: of two expressions that differ in a part only, the one with the
    cheaper part is the cheaper one. (The roofline model of Williams, Waterman and Patterson, Commun. ACM 52 (2009) 65,
    takes the larger of the two, which differs by a factor of two at most; but it does not add up.) Where the times are
    the same, fewer bytes are less. A subclass may count more, which then takes its time, too.

    Attributes
    ----------
    flops : int
        Operations on real numbers.
    bytes : int
        Read and written.

    Examples
    --------
    >>> Cost(flops=10, bytes=8) + Cost(flops=1, bytes=0)
    Cost(flops=11, bytes=8)
    >>> Cost(flops=100, bytes=0) < Cost(flops=0, bytes=16)
    True
    """

    flops: int = 0
    bytes: int = 0

    @property
    def time(self) -> int:
        """An estimate of the time, in operations: ``flops + OPERATIONS_PER_BYTE * bytes``."""
        return self.flops + OPERATIONS_PER_BYTE * self.bytes

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes) if isinstance(other, Cost) else NotImplemented

    def __mul__(self, times: int) -> Cost:
        return Cost(times * self.flops, times * self.bytes) if isinstance(times, int) else NotImplemented

    __rmul__ = __mul__

    def __lt__(self, other: Cost) -> bool:
        return (self.time, self.bytes) < (other.time, other.bytes) if isinstance(other, Cost) else NotImplemented

    def __le__(self, other: Cost) -> bool:
        return (self.time, self.bytes) <= (other.time, other.bytes) if isinstance(other, Cost) else NotImplemented


@checked
@query
def cost(operator: LinearOperator) -> Cost:
    """Return what one application to one vector costs.

    Of an operator that is not registered, two operations are counted for each of its `roundings` and each coordinate of
    its result: none, where it moves data only.

    Parameters
    ----------
    operator : LinearOperator
        The operator.

    Returns
    -------
    Cost

    Examples
    --------
    >>> from linop import Diagonal, Matrix
    >>> D = Diagonal([1.0, 2.0])
    >>> cost(D)                                  # two products; entries and argument are read, the result is written
    Cost(flops=2, bytes=48)
    >>> cost(D @ D) == 2 * cost(D)
    True
    >>> A = Matrix([[1.0, 2.0], [3.0, 4.0]])
    >>> cost((A + A) @ D) < cost(A @ D + A @ D)
    True
    """
    return Cost(2 * operator.roundings * held(operator.codomain), moved(operator))


# -- expressions -------------------------------------------------------------------------------------------------------


@cost.register
def _(operator: Compose | Adjoint | Sum) -> Answer[Cost]:
    """Count the parts, and the additions."""
    inside = parts(operator)
    additions = len(inside) - 1 if isinstance(operator, Sum) else 0
    total = additions * addition(operator.codomain)
    for part in inside:
        total += yield part
    return total


@cost.register
def _(operator: Scale) -> Answer[Cost]:
    sides = (operator.codomain, operator.domain) if operator.commutes else (operator.codomain,)
    space = min(sides, key=reals)  # argument or result is multiplied, whichever is smaller
    times = 3 if isinstance(operator.scalar, complex) else 1
    return (yield operator.operator) + Cost(times * reals(space), 2 * nbytes(space))


# -- operators ---------------------------------------------------------------------------------------------------------


@cost.register
def _(operator: Zero) -> Cost:
    return Cost(0, nbytes(operator.codomain))


@cost.register
def _(operator: Riesz) -> Cost:
    return _weighing(operator.domain, operator.inverse)


def _weighing(space: Space, inverse: bool) -> Cost:
    """Return what it costs to apply the Riesz map of a space, or its inverse."""
    if isinstance(space, Product):
        return _total(_weighing(part, inverse) for part in space.parts)
    if not isinstance(space, Weighted):
        return Cost(0, 2 * nbytes(space))
    if isinstance(space.weight, LinearOperator):
        return cost(space.inverse_weight if inverse else space.weight)
    if isinstance(space.weight, np.ndarray):
        return Cost(products(space), 2 * nbytes(space) + space.weight.nbytes)
    return Cost(reals(space), 2 * nbytes(space))


@singledispatch
def held(space: Space) -> int:
    """Return how many coordinates of a vector one process handles, at most: all of them, unless the space is spread.

    Register a space that is spread over processes.

    Examples
    --------
    >>> from linop import Euclidean
    >>> held(Euclidean((2, 3)))
    6
    """
    return space.size


@held.register
def _(space: Weighted) -> int:
    return held(space.unweighted)


# -- counting ----------------------------------------------------------------------------------------------------------


def _total(costs: Iterable[Cost]) -> Cost:
    return sum(costs, Cost())


def reals(space: Space) -> int:
    """Return of how many real numbers a vector consists: the operations of a sum of two, or of a real multiple."""
    if isinstance(space, Product):
        return sum(map(reals, space.parts))
    return held(space) * (2 if space.field == "complex" else 1)


def nbytes(space: Space) -> int:
    """Return how many bytes a vector takes."""
    if isinstance(space, Product):
        return sum(map(nbytes, space.parts))
    return held(space) * space.coordinate_dtype.itemsize


def moved(operator: LinearOperator) -> int:
    """Return the bytes of argument and result."""
    return nbytes(operator.domain) + nbytes(operator.codomain)


def addition(space: Space) -> Cost:
    """Return what it costs to add two vectors."""
    return Cost(reals(space), 3 * nbytes(space))


def products(space: Space) -> int:
    """Return the operations of a product, entry by entry, with constants that become complex where the arrays are."""
    return reals(space) * (3 if space.dtype.kind == "c" else 1)


def products_and_sums(operator: LinearOperator, entries: int) -> int:
    """Return the operations of a matrix with so many entries that are not zero."""
    return entries * (8 if operator.domain.field == "complex" else 2)


def transform(space: Space, points: int) -> int:
    """Return the operations of Fourier transforms along axes of so many points; half of them for real arrays."""
    return math.ceil(2.5 * reals(space) * math.log2(max(points, 1)))
