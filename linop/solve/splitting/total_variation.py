r"""Total variation: the sum of the lengths of a gradient.

.. math:: TV(x) = \sum_i \sqrt{\sum_k |(D_k x)_i|^2} \qquad \text{or} \qquad TV(x) = \sum_i \sum_k |(D_k x)_i|,

isotropic or anisotropic, with the gradient :math:`G = (D_1, D_2, \ldots)` of an image, in one process or split over
several: a distributed gradient has its inner products. Edges cost no more than smooth transitions of the same height.

The proximal map, which takes noise out of images, has no formula. It is ``x - t G* p`` with the dual vector p that
minimises ``|t G* p - x|^2`` among those whose entries (or groups of them) have lengths of at most one; `fista` finds
it.
"""

from __future__ import annotations

from linop import arrays
from linop.arguments import Nonnegative, Whole, checked
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.solve.proximal.elementary import Proximal, proximal, soft_threshold
from linop.solve.proximal.groups import group_ball, group_threshold, infinity_ball, lengths
from linop.solve.splitting.ista import fista, norm_bound


@checked
def total_variation(gradient: LinearOperator, x: Vector, *, isotropic: bool = True) -> float:
    """Return the total variation of an image; collective, where it is spread over processes.

    Parameters
    ----------
    gradient : LinearOperator
        `linop.Gradient` or a distributed one, of one shape for all axes: with ``boundary="edge"``, say.
    x : vector of its domain
        The image.
    isotropic : bool, optional
        Whether to take the lengths of the gradient, or the sums of its moduli.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean, Gradient
    >>> G = Gradient(Euclidean((2, 2)), boundary="edge")
    >>> total_variation(G, np.array([[0.0, 4.0], [3.0, 0.0]])), total_variation(G, np.eye(2), isotropic=False)
    (12.0, 4.0)
    """
    slopes = gradient(x)
    Y = gradient.codomain
    if isotropic:
        length = lengths(slopes)
        first = getattr(Y, "parts", (Y,))[0]
        return float(first.inner(_ones(length), length).real)
    moduli = arrays.each(lambda part: arrays.namespace(part).abs(part), slopes)
    return float(Y.inner(arrays.each(_ones, moduli), moduli).real)


@checked
def slopes(weight: Nonnegative, *, isotropic: bool = True) -> Proximal:
    """Return the proximal map of ``weight`` times the total variation as a function of the *gradient*.

    That is `group_threshold` or `soft_threshold`. With it, `admm` and `primal_dual` take the gradient for K, and solve
    problems with total variation faster than with `variation`, the map of the image.

    Parameters
    ----------
    weight : float
        Zero or more.
    isotropic : bool, optional
        See `total_variation`.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean, Gradient, Identity
    >>> from linop.solve import admm
    >>> G = Gradient(Euclidean(4), boundary="edge")
    >>> noisy = np.array([0.0, 1.0, 9.0, 10.0])
    >>> admm(Identity(G.domain), noisy, slopes(1.0), K=G).x.round(3).tolist()
    [1.0, 1.0, 9.0, 9.0]
    """
    return group_threshold(weight) if isotropic else soft_threshold(weight)


@proximal
def variation(
    gradient: LinearOperator,
    weight: Nonnegative,
    *,
    isotropic: bool = True,
    tolerance: Nonnegative = 1e-4,
    iterations: Whole = 200,
) -> Proximal:
    """Return the proximal map of ``weight`` times the total variation of an image, by solving the dual problem.

    Parameters
    ----------
    gradient : LinearOperator
        `linop.Gradient` or a distributed one, of one shape for all axes: with ``boundary="edge"``, say.
    weight : float
        Zero or more.
    isotropic : bool, optional
        See `total_variation`.
    tolerance, iterations : float, int, optional
        When `fista` stops, for the dual problem.

    References ---------- Chambolle, An algorithm for total variation minimization and applications, J. Math. Imaging
    Vis. 20 (2004) 89; Beck and Teboulle, Fast gradient-based algorithms for constrained total variation image denoising
    and deblurring problems, IEEE Trans. Image Process. 18 (2009) 2419.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean, Gradient
    >>> denoise = variation(Gradient(Euclidean(4), boundary="edge"), 1.0, tolerance=1e-6)
    >>> denoise(np.array([0.0, 1.0, 9.0, 10.0]), 1.0).round(3).tolist()
    [1.0, 1.0, 9.0, 9.0]
    """
    lipschitz: dict[str, float] = {}
    project = group_ball() if isotropic else infinity_ball()

    def denoise(x: Vector, step: float) -> Vector:
        t = weight * step
        if t == 0:
            return arrays.copy(x)
        squared = lipschitz.setdefault("squared", norm_bound(gradient, x))
        dual = fista(
            gradient.H,
            arrays.scale(1 / t, x),
            project,
            lipschitz=squared,
            restart=True,
            tolerance=tolerance,
            iterations=iterations,
        )
        return arrays.axpy(-t, gradient.H(dual.x), x)

    return denoise


def _ones(x: Vector) -> Vector:
    return arrays.namespace(x).ones_like(x)
