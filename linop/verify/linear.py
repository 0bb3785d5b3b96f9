"""Is this linear? ``A (a x + b y) == a A x + b A y``, for scalars of the space's field."""

from __future__ import annotations

from linop import arrays
from linop.arguments import Positive, checked
from linop.arrays import Array
from linop.core.operator import LinearOperator
from linop.spaces import Seed
from linop.verify import probe
from linop.verify.probe import Trials
from linop.verify.report import Report


@checked
def check_linear(
    operator: LinearOperator, *, trials: Positive = 4, seed: Seed = 0, like: Array | None = None
) -> Report:
    """Check that an operator is linear over the field of its spaces. Collective.

    An absolute value, a threshold or a shift is found, and so is a map of a complex space that is linear for real
    scalars only, such as conjugation.

    Parameters
    ----------
    operator : LinearOperator
        The operator.
    trials : int, optional
        How many combinations of two vectors.
    seed : int or tuple of int, optional
        Where they are drawn from.
    like : array of any shape, optional
        Vectors are of its library, device and precision; NumPy's and the space's by default.

    Returns
    -------
    Report
        True when the check passed.

    Examples
    --------
    >>> from linop import Euclidean, FunctionOperator, Matrix
    >>> check_linear(Matrix([[1.0, 2.0]])).passed
    True
    >>> X = Euclidean(3)
    >>> check_linear(FunctionOperator(X, X, abs, abs)).passed
    False
    """
    A = operator
    probe.agree("check_linear", operator, seed, trials=int(trials))
    found = Trials("linearity", A, seed)
    for trial in range(trials):
        found.count = trial
        with found.step("it raised"):
            _try(A, trial, found, like)
    found.count = trials
    return found.report()


def _try(A: LinearOperator, trial: int, found: Trials, like: Array | None) -> None:
    """Try one combination of two vectors."""
    x, y = (probe.draw(A.domain, "integers", found.seed, trial, k, like=like) for k in (0, 1))
    a, b = (2, -3) if A.domain.field == "real" else (2 - 1j, -3 + 1j)  # not one in all: x + 1 would pass
    images = [A(x), A(y), A(arrays.add(arrays.scale(a, x), arrays.scale(b, y)))]
    for image in images:
        A.codomain.check(image, A)
    expected = arrays.add(arrays.scale(a, images[0]), arrays.scale(b, images[1]))
    exact = A.exact and all(
        probe.stays_exact(A, arrays.scale(6, z), image, z_image)
        for z, image, z_image in ((x, images[0], images[0]), (y, images[1], images[1]), (x, images[2], images[2]))
    )
    lengths = [probe.length(A.codomain, image) for image in images[:2]]
    size = 4 * max(*lengths, probe.floor(A) * probe.length(A.domain, x))
    allowed = 0.0 if exact else probe.tolerance(A, *images)
    found.equal(A.codomain, images[2], expected, size, allowed, f"A ({a} x + {b} y) is not {a} A x + {b} A y")
