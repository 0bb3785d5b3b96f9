"""Is this an inner product? Hermitian, linear, positive; and the Riesz map is what makes it of `Space.dot`."""

from __future__ import annotations

from linop import claims
from linop.arguments import Positive, checked
from linop.arrays import Array
from linop.spaces import Seed, Space
from linop.verify import probe
from linop.verify.adjoint import check_adjoint
from linop.verify.claims import _positive
from linop.verify.probe import Trials
from linop.verify.report import Reports


@checked
def check_space(space: Space, *, trials: Positive = 4, seed: Seed = 0, like: Array | None = None) -> Reports:
    """Check that the Riesz map of a space is self-adjoint and positive, and that its inverse is one. Collective.

    Parameters
    ----------
    space : Space
        The space; without weights there is nothing to be found.
    trials : int, optional
        How many vectors.
    seed : int or tuple of int, optional
        Where they are drawn from.
    like : array of any shape, optional
        Vectors are of its library, device and precision; NumPy's and the space's by default.

    Returns
    -------
    Reports
        True when the inner product is one.

    Examples
    --------
    >>> from linop import Euclidean, Matrix, Weighted
    >>> bool(check_space(Weighted(Euclidean(2), Matrix([[2.0, 1.0], [1.0, 2.0]]))))
    True
    >>> bool(check_space(Weighted(Euclidean(2), Matrix([[2.0, 1.0], [0.0, 2.0]]))))
    False
    """
    R, inverted = space.riesz, space.riesz_inverse
    probe.agree("check_space", R, seed, trials=int(trials))
    positive = Trials(f"claim {claims.POSITIVE}", R, seed, "floating")
    inverse = Trials("inverse", R, seed, "floating")
    for trial in range(trials):
        positive.count = inverse.count = trial
        with positive.step("it raised"):
            _positive(R, (trial,), positive, like)
        with inverse.step("it raised"):  # a solution that does not converge, say
            x = probe.draw(space, "normal", seed, trial, like=like)
            size = probe.length(space, x)
            condition = probe.length(space, R(x)) / size * probe.length(space, inverted(x)) / size if size else 0.0
            back = inverted(R(x))
            allowed = 1000 * max(1.0, condition) * probe.tolerance(R, back)
            inverse.equal(space, back, x, 0.0, allowed, "R^-1 R x is not x")
    positive.count = inverse.count = trials
    return Reports((check_adjoint(R, seed=seed, like=like), positive.report(), inverse.report()))
