r"""Vector spaces with an inner product.

A space says what its vectors look like (shape, dtype) and how two of them are paired. Two pairings are kept apart:

* ``dot(x, y)`` pairs coordinates, :math:`\sum_i \bar x_i y_i`. Automatic differentiation lives here.
* ``inner(x, y)`` is the inner product, ``dot(x, R y)`` for the Riesz map ``R`` of the space: weights, a mass matrix. It
  is self-adjoint and positive. Without weights ``R = I``, and the two are the same.

The field of a space is not that of its arrays: complex arrays may be seen as vectors of a *real* space, of twice as
many coordinates, whose pairing is the real part, :math:`\mathrm{Re} \sum_i \bar x_i y_i`. There conjugation and the
real part are linear maps, and have adjoints.

Solvers, checks and the algebra touch vectors through their space only. That is why they run unchanged when a vector is
spread over many processes.
"""

from linop.spaces.euclidean import Euclidean
from linop.spaces.product import Product
from linop.spaces.space import Seed, Space
from linop.spaces.weighted import Weighted

__all__ = ["Euclidean", "Product", "Seed", "Space", "Weighted"]
