r"""Between which numbers the eigenvalues of a self-adjoint operator lie.

The method of Lanczos gives Ritz values :math:`\theta` and the norms r of their residuals; see `linop.solve.lanczos`. Of
the largest ones, two things are certain, but for rounding (Parlett, The Symmetric Eigenvalue Problem, SIAM, 1998,
sections 4.5 and 10.1):

* no Ritz value lies outside of the spectrum: :math:`\lambda_{min} \le \theta_{min}` and
  :math:`\theta_{max} \le \lambda_{max}`;
* some eigenvalue lies within r of each.

That this eigenvalue is the outermost one is *not* certain: a start that has next to nothing of an eigenvector will not
find it in a few steps. It takes bad luck from a random start, and cannot happen when there are as many steps as
coordinates.
"""

from __future__ import annotations

from typing import Any, Literal

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.core.operator import LinearOperator
from linop.core.scale import Scale
from linop.errors import ConvergenceError, SpaceError
from linop.queries.diagonal import acts_on_coordinates, diagonal
from linop.queries.norm import is_local
from linop.queries.seeds import stream
from linop.query import Answer, query
from linop.solve.eigen.lanczos import lanczos
from linop.spaces import Seed
from linop.verify import probe


@checked
@query
def eigenvalue_bounds(
    operator: LinearOperator, *, iterations: Whole | None = None, tolerance: Nonnegative = 1e-8, seed: Seed = 0
) -> tuple[float, float]:
    """Return the ends of the spectrum of a self-adjoint operator, as far out as they may be.

    Exact for real diagonals. Else the smallest and the largest Ritz value, each moved outwards by the norm of its
    residual: a bound for the eigenvalue that it approximates, which is most likely the outermost one; see the module.

    Parameters
    ----------
    operator : LinearOperator
        From a space to itself, self-adjoint with respect to `Space.inner`. That is tried on a random vector.
    iterations : int, optional
        How many steps of `linop.solve.lanczos` to take at most, for each end; one vector is kept for each step.
    tolerance : float, optional
        Stop where the residual is at most that, relative to the norm of the operator.
    seed : int or tuple of int, optional
        Where the start is drawn from; the same seed gives the same bounds.

    Returns
    -------
    lowest, highest : float
        The same on every process, where the space is spread over several.

    Raises
    ------
    SpaceError
        When the operator does not map a space to itself, is seen not to be self-adjoint, or there are no coordinates.
    ConvergenceError
        When results are not finite.

    Examples
    --------
    >>> from linop import Diagonal, Matrix
    >>> lowest, highest = eigenvalue_bounds(Matrix([[2.0, 1.0], [1.0, 2.0]]))
    >>> round(lowest, 6), round(highest, 6)
    (1.0, 3.0)
    >>> eigenvalue_bounds(Diagonal([3.0, -1.0, 2.0]))
    (-1.0, 3.0)
    """
    space = operator.domain
    if space != operator.codomain or space.size == 0:
        raise SpaceError(
            f"eigenvalue_bounds of {operator!r}: expected an operator from a space to itself, of coordinates"
        )
    _require_self_adjoint(operator, seed)
    if acts_on_coordinates(operator) and is_local(space):
        found = diagonal(operator).real
        return float(found.min()), float(found.max())
    options = {"iterations": iterations, "tolerance": tolerance, "seed": stream(seed)}
    smallest, below = _extreme(operator, "smallest", options)
    largest, above = _extreme(operator, "largest", options)
    return smallest - below, largest + above


@eigenvalue_bounds.register
def _(operator: Scale, **options: Any) -> Answer[tuple[float, float]]:
    scalar = operator.scalar
    if scalar.imag or scalar == 0:
        found: tuple[float, float] = eigenvalue_bounds.dispatch(LinearOperator)(operator, **options)
        return found
    ends = yield operator.operator
    lowest, highest = sorted(scalar.real * end for end in ends)
    return lowest, highest


def _extreme(
    operator: LinearOperator, which: Literal["smallest", "largest"], options: dict[str, Any]
) -> tuple[float, float]:
    """Return an outermost Ritz value, and the norm of its residual."""
    result = lanczos(operator, 1, which=which, **options)
    if not result.values:
        raise ConvergenceError(f"eigenvalue_bounds of {operator!r}: {result.reason}")
    return result.values[0], result.residuals[-1]


def _require_self_adjoint(operator: LinearOperator, seed: Seed) -> None:
    """Raise where ``A x`` and ``A.H x`` differ for a random x, by more than roundings.

    It is tried whatever the operator claims: the claims of a part may differ between processes, and none may go alone.
    """
    space, adjoint = operator.domain, operator.H
    x = space.normal(stream(seed, 1))
    image, other = operator(x), adjoint(x)
    difference = space.norm(arrays.axpy(-1, image, other))
    size = max(space.norm(image), space.norm(other), probe.floor(operator) * space.norm(x))
    # The weights' own roundings, in A.H, may be magnified by their condition number.
    if difference > 100 * probe.tolerance(adjoint, image, other) * size:
        raise SpaceError(
            f"eigenvalue_bounds of {operator!r}: expected an operator that is self-adjoint with respect to the inner "
            f"product, found |A x - A.H x| = {difference:.1e} where |A x| = {space.norm(image):.1e}"
        )
