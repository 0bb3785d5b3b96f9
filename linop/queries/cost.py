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
from linop.blocks.block import Block
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron
from linop.blocks.stack import HStack, VStack
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose
from linop.core.operator import LinearOperator
from linop.core.parts import parts
from linop.core.riesz import Riesz
from linop.core.scale import Scale
from linop.core.sum import Sum
from linop.core.zero import Zero
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.indexing.padding import Padding
from linop.operators.indexing.restriction import Restriction
from linop.operators.matrices.functional import Functional
from linop.operators.matrices.matrix import Matrix
from linop.operators.matrices.sparse_matrix import SparseMatrix
from linop.operators.spectral.circulant import Circulant
from linop.operators.spectral.fft import FFT
from linop.operators.spectral.rfft import RFFT
from linop.operators.stencils.correlation import Correlation
from linop.operators.sums.cumulative_sum import CumulativeSum
from linop.operators.sums.sum_axes import SumAxes
from linop.queries.inverse import Inverse
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
    return Cost(2 * operator.roundings * held(operator.codomain), _moved(operator))


# -- expressions -------------------------------------------------------------------------------------------------------


@cost.register
def _(operator: Compose | Adjoint | BlockDiagonal | VStack | Sum | HStack) -> Answer[Cost]:
    """Count the parts, and the additions."""
    inside = parts(operator)
    additions = len(inside) - 1 if isinstance(operator, Sum | HStack) else 0
    total = additions * _addition(operator.codomain)
    for part in inside:
        total += yield part
    return total


@cost.register
def _(operator: Block) -> Answer[Cost]:
    """In a row, zeros that are not the first are passed over."""
    total = Cost()
    for row in operator.rows:
        for k, A in enumerate(row):
            if k == 0 or not isinstance(A, Zero):
                total += yield A
                total += min(k, 1) * _addition(A.codomain)
    return total


@cost.register
def _(operator: Scale) -> Answer[Cost]:
    sides = (operator.codomain, operator.domain) if operator.commutes else (operator.codomain,)
    space = min(sides, key=_reals)  # argument or result is multiplied, whichever is smaller
    times = 3 if isinstance(operator.scalar, complex) else 1
    return (yield operator.operator) + Cost(times * _reals(space), 2 * _bytes(space))


@cost.register
def _(operator: Kron) -> Answer[Cost]:
    """Each operator is applied to all other axes as its batch; at last, the result is copied."""
    done, todo = 1, math.prod(A.domain.size for A in operator.operators)
    total = Cost(0, 2 * _bytes(operator.codomain))
    for A in reversed(operator.operators):
        others = done * (todo // max(A.domain.size, 1))
        total += others * (yield A)
        done, todo = done * A.codomain.size, todo // max(A.domain.size, 1)
    return total


@cost.register
def _(operator: Inverse) -> Answer[Cost]:
    """Count one step for each coordinate, enough without rounding: A, A* and ten vector operations."""
    step = 2 * (yield operator.operator) + 10 * _addition(operator.domain)
    return max(operator.domain.size, 1) * step


# -- operators ---------------------------------------------------------------------------------------------------------


@cost.register
def _(operator: Zero) -> Cost:
    return Cost(0, _bytes(operator.codomain))


@cost.register
def _(operator: Diagonal) -> Cost:
    return Cost(_products(operator.domain), _moved(operator) + operator.entries.nbytes)


@cost.register
def _(operator: Matrix) -> Cost:
    return Cost(_products_and_sums(operator, operator.entries.size), _moved(operator) + operator.entries.nbytes)


@cost.register
def _(operator: SparseMatrix) -> Cost:
    stored = operator.entries
    constants = stored.data.nbytes + stored.indices.nbytes + stored.indptr.nbytes
    return Cost(_products_and_sums(operator, stored.nnz), _moved(operator) + constants)


@cost.register
def _(operator: Functional) -> Cost:
    return Cost(_products(operator.domain) + _reals(operator.domain), _moved(operator) + operator.vector.nbytes)


@cost.register
def _(operator: SumAxes | CumulativeSum) -> Cost:
    return Cost(_reals(operator.domain), _moved(operator))


@cost.register
def _(operator: Restriction | Padding) -> Cost:
    """Adjoints add entries that were taken more than once."""
    return Cost(max(map(_reals, (operator.domain, operator.codomain))) if operator.roundings else 0, _moved(operator))


@cost.register
def _(operator: Correlation) -> Cost:
    channels = operator.kernel.shape[0] if operator.kernel.ndim > operator.domain.ndim else 1
    taps = operator.kernel.size // max(channels, 1)
    flops = taps * (_products(operator.codomain) + _reals(operator.codomain))
    return Cost(flops, _moved(operator) + operator.kernel.nbytes)


@cost.register
def _(operator: FFT | RFFT) -> Cost:
    lengths = [operator.domain.shape[axis] for axis in operator.axes]
    return Cost(_transform(operator.domain, math.prod(lengths)), _moved(operator))


@cost.register
def _(operator: Circulant) -> Cost:
    """Count a transform, a product with the spectrum, and a transform back; each reads and writes a vector."""
    space = operator.domain
    flops = 2 * _transform(space, math.prod(space.shape)) + 3 * _reals(space)
    return Cost(flops, 3 * _moved(operator) + operator.spectrum.nbytes)


@cost.register
def _(operator: Riesz) -> Cost:
    return _weighing(operator.domain, operator.inverted)


def _weighing(space: Space, inverted: bool) -> Cost:
    """Return what it costs to apply the Riesz map of a space, or its inverse."""
    if isinstance(space, Product):
        return _total(_weighing(part, inverted) for part in space.parts)
    if not isinstance(space, Weighted):
        return Cost(0, 2 * _bytes(space))
    if isinstance(space.weight, LinearOperator):
        return cost(space.inverse_weight if inverted else space.weight)
    if isinstance(space.weight, np.ndarray):
        return Cost(_products(space), 2 * _bytes(space) + space.weight.nbytes)
    return Cost(_reals(space), 2 * _bytes(space))


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


def _reals(space: Space) -> int:
    """Return of how many real numbers a vector consists: the operations of a sum of two, or of a real multiple."""
    if isinstance(space, Product):
        return sum(map(_reals, space.parts))
    return held(space) * (2 if space.field == "complex" else 1)


def _bytes(space: Space) -> int:
    """Return how many bytes a vector takes."""
    if isinstance(space, Product):
        return sum(map(_bytes, space.parts))
    return held(space) * space.coordinate_dtype.itemsize


def _moved(operator: LinearOperator) -> int:
    """Return the bytes of argument and result."""
    return _bytes(operator.domain) + _bytes(operator.codomain)


def _addition(space: Space) -> Cost:
    """Return what it costs to add two vectors."""
    return Cost(_reals(space), 3 * _bytes(space))


def _products(space: Space) -> int:
    """Return the operations of a product, entry by entry, with constants that become complex where the arrays are."""
    return _reals(space) * (3 if space.dtype.kind == "c" else 1)


def _products_and_sums(operator: LinearOperator, entries: int) -> int:
    """Return the operations of a matrix with so many entries that are not zero."""
    return entries * (8 if operator.domain.field == "complex" else 2)


def _transform(space: Space, points: int) -> int:
    """Return the operations of Fourier transforms along axes of so many points; half of them for real arrays."""
    return math.ceil(2.5 * _reals(space) * math.log2(max(points, 1)))
