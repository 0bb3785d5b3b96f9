"""Arrays continued by their mirror images.

=========  ==========================================
map        ``y_k = x_|k|`` for k from ``1 - n`` to ``n - 1``
adjoint    both halves added, the entry in the middle once
matrix     the unit matrix, above it its mirror image without the first row
=========  ==========================================
"""

from __future__ import annotations

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.axes import checked_axes
from linop.operators.indexing.padding import Padding
from linop.spaces import Space


@checked
def Symmetrise(domain: Space, axis: int = -1, *, codomain: Space | None = None) -> LinearOperator:
    """Return the operator that puts an array's mirror image before it: ``2 n - 1`` entries, symmetric about the middle.

    It is `Padding` with ``boundary="reflect"``.

    Parameters
    ----------
    domain : Space
        Arrays with one axis or more.
    axis : int, optional
        Along which; it has one entry or more.
    codomain : Space, optional
        Arrays of the result's shape; Euclidean by default.

    Raises
    ------
    SpaceError
        When the axis does not exist or is empty, or the codomain has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> Symmetrise(Euclidean(3))(np.array([1.0, 2.0, 3.0])).tolist()
    [3.0, 2.0, 1.0, 2.0, 3.0]
    """
    (along,) = checked_axes("Symmetrise", domain, (axis,))
    n = domain.shape[along]
    if n == 0:
        raise SpaceError(f"Symmetrise on {domain}: expected one entry or more along axis {axis}")
    width = [(n - 1, 0) if k == along else (0, 0) for k in range(domain.ndim)]
    return Padding(domain, width, boundary="reflect", codomain=codomain)
