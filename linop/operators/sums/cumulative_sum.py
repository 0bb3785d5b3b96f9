"""Sums of all entries up to each one, along an axis: the discrete integral.

=========  ==========================================
map        ``y_k = sum of x_j over j <= k``
adjoint    ``x_j = sum of y_k over k >= j``: the sums from the other end
matrix     ones on and below the diagonal
=========  ==========================================
"""

from __future__ import annotations

import math
from typing import final

from linop import arrays
from linop.arguments import checked
from linop.arrays import Array
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.stencils.finite_difference import FiniteDifference
from linop.queries.cost import Cost, cost, moved, reals
from linop.queries.inverse import inverse
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays


@final
class CumulativeSum(LinearOperator):
    """The map ``x -> cumsum(x)`` along one axis. Its inverse takes first differences.

    Parameters
    ----------
    domain : Space
        A space of arrays with one axis or more; also the codomain.
    axis : int, optional
        Along which entries are summed up; a negative one counts from the end.

    Raises
    ------
    SpaceError
        When the domain has no such axis.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> A = CumulativeSum(Euclidean(3))
    >>> A(np.array([1.0, 2.0, 3.0])).tolist(), A.H(np.array([1.0, 2.0, 3.0])).tolist()
    ([1.0, 3.0, 6.0], [6.0, 5.0, 3.0])
    """

    exact = True

    @checked
    def __init__(self, domain: Space, axis: int = -1) -> None:
        require_arrays("CumulativeSum", domain)
        if axis not in range(-domain.ndim, domain.ndim):
            raise SpaceError(f"CumulativeSum : {domain}: expected one of its {domain.ndim} axes, found {axis!r}")
        super().__init__(domain, domain)
        self.axis = int(axis) % domain.ndim - domain.ndim

    @property
    def roundings(self) -> int:
        """One for each entry of the axis."""
        return int(self.domain.shape[self.axis])

    @property
    def gain(self) -> float:
        """The norm of the matrix, whose entries are not negative: ``1 / (2 sin(pi / (4 n + 2)))`` for n entries.

        The inverse of ``A A*`` is the matrix of second differences with a fixed and a free end, whose eigenvalues are
        ``4 sin^2((2 k - 1) pi / (4 n + 2))`` for k = 1 .. n.
        """
        return 1 / (2 * math.sin(math.pi / (4 * self.domain.shape[self.axis] + 2)))

    def _apply(self, x: Array) -> Array:
        xp = arrays.namespace(x)
        if xp.isdtype(x.dtype, "integral"):
            return xp.cumulative_sum(x, axis=self.axis, dtype=x.dtype)
        # In double precision: in single, 2^24 ones would be all that a sum could hold.
        return xp.astype(xp.cumulative_sum(arrays.wide(x), axis=self.axis), x.dtype, copy=False)

    def _apply_dual(self, y: Array) -> Array:
        xp = arrays.namespace(y)
        return arrays.copy(xp.flip(self._apply(xp.flip(y, axis=self.axis)), axis=self.axis))

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.axis)

    def __str__(self) -> str:
        return f"CumulativeSum(axis={self.axis})"


@cost.register
def _(operator: CumulativeSum) -> Cost:
    return Cost(reals(operator.domain), moved(operator))


@inverse.register
def _(operator: CumulativeSum) -> LinearOperator:
    return FiniteDifference(operator.domain, axis=operator.axis, scheme="backward", boundary="zero")
