"""Does it carry a batch? ``A`` of several vectors at once equals ``A`` of each."""

from __future__ import annotations

from linop import arrays
from linop.arguments import checked
from linop.arrays import Array
from linop.core.operator import LinearOperator
from linop.spaces import Seed
from linop.verify import probe
from linop.verify.probe import Trials
from linop.verify.report import Report

BATCHES = ((3,), (2, 1), (0,), (1, 0, 2))


@checked
def check_batch(operator: LinearOperator, *, seed: Seed = 0, like: Array | None = None) -> Report:
    """Check that an operator and its adjoint map a batch vector by vector, however many axes it has. Collective.

    Parameters
    ----------
    operator : LinearOperator
        The operator.
    seed : int or tuple of int, optional
        Where the vectors are drawn from.
    like : array of any shape, optional
        Vectors are of its library, device and precision; NumPy's and the space's by default.

    Returns
    -------
    Report
        True when the check passed.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean, FunctionOperator
    >>> X = Euclidean(3)
    >>> flip = FunctionOperator(X, X, lambda x: x[::-1].copy(), lambda y: y[::-1].copy(), name="Flip", batched=True)
    >>> print(check_batch(flip).detail)                    # it flips the batch, not the vectors
    trial 0: Flip of a batch (3,) is not Flip of each vector
    """
    probe.agree("check_batch", operator, seed)
    found = Trials("batch", operator, seed)
    for trial, batch in enumerate(BATCHES):
        found.count = trial
        for side in (operator, operator.dual):
            with found.step(f"{side} of a batch {batch}"):
                _try(side, batch, found, like)
    found.count = len(BATCHES)
    return found.report()


def _try(side: LinearOperator, batch: tuple[int, ...], found: Trials, like: Array | None) -> None:
    """Compare the image of a batch with those of its first and its last vector."""
    x = probe.draw(side.domain, "integers", found.seed, found.count, batch=batch, like=like)
    image = side(x)
    side.codomain.check(image, side)
    if side.codomain.batch(image) != batch:
        found.complain(f"{side} of a batch {batch} has the batch {side.codomain.batch(image)}")
        return
    if 0 in batch:
        return
    for index in ((0,) * len(batch), tuple(n - 1 for n in batch)):
        place = (*index, ...)
        one = side(arrays.each(lambda part, place=place: arrays.copy(part[place]), x))
        same = arrays.each(lambda part, place=place: part[place], image)
        size = probe.floor(side) * probe.length(side.codomain, one)
        allowed = 0.0 if side.exact else probe.tolerance(side, one)
        found.equal(side.codomain, same, one, size, allowed, f"{side} of a batch {batch} is not {side} of each vector")
