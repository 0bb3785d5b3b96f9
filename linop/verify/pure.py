"""Is this a function? The argument is left alone, nothing is shared with it, the same one gives the same result."""

from __future__ import annotations

from linop import arrays
from linop.arguments import Positive, checked
from linop.arrays import Array, Vector
from linop.core.operator import LinearOperator
from linop.spaces import Seed
from linop.verify import probe
from linop.verify.probe import Trials
from linop.verify.report import Report


@checked
def check_pure(operator: LinearOperator, *, trials: Positive = 2, seed: Seed = 0, like: Array | None = None) -> Report:
    """Check that an operator and its adjoint are pure functions of their argument. Collective.

    They may not change the argument, nor return (a view of) it or of anything that they keep; they give the same bits
    when called again, whatever the argument's layout in memory; they keep the precision and the library.

    Parameters
    ----------
    operator : LinearOperator
        The operator.
    trials : int, optional
        How many vectors, for each of the two.
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
    >>> from linop import Euclidean, FunctionOperator
    >>> X = Euclidean(3)
    >>> print(check_pure(FunctionOperator(X, X, lambda x: x, lambda y: y, name="Alias")).detail)
    trial 0: the result of Alias shares memory with its argument
    """
    probe.agree("check_pure", operator, seed, trials=int(trials))
    found = Trials("purity", operator, seed)
    for trial in range(trials):
        found.count = trial
        for side in (operator, operator.dual):
            with found.step(str(side)):
                _try(side, probe.draw(side.domain, "integers", seed, trial, like=like), found)
    found.count = trials
    return found.report()


def _try(A: LinearOperator, x: Vector, found: Trials) -> None:
    """Try one vector: every process takes the same steps, whatever it finds on the way."""
    domain, codomain = A.domain, A.codomain
    before = arrays.copy(x)
    image, kept = probe.apply_watched(A, x)
    first = arrays.copy(image)
    found.vacuous = found.vacuous and probe.is_zero(codomain, image)
    if not kept:
        found.complain(f"{A} has changed its argument")
        x = before
    if _dtypes(image) != _dtypes(first) or not _same_precision(x, image):
        found.complain(f"{A} has made {_dtypes(image)} of {_dtypes(x)}")
    apart = _overwritten_apart(image)
    if not probe.is_zero(codomain, apart):
        found.complain(f"parts of the result of {A} share memory")
    if not probe.is_zero(domain, arrays.each(probe._differs, x, before)):
        found.complain(f"the result of {A} shares memory with its argument")
    again, _ = probe.apply_watched(A, before)
    if not probe.is_zero(codomain, arrays.each(probe._differs, again, first)):
        found.complain(f"{A} gives another result when it is called again")
    strided, _ = probe.apply_watched(A, arrays.each(_strided, before))
    difference = arrays.each(lambda a, b: arrays.to_numpy(a) - arrays.to_numpy(b), strided, first)
    allowed = 0.0 if A.exact else probe.tolerance(A, first)
    size = max(probe.length(codomain, first), probe.floor(A) * probe.length(domain, before))
    if not probe.is_zero(codomain, difference) and not probe.length(codomain, difference) <= allowed * size:
        found.complain(f"{A} gives another result for the same numbers in another layout of memory")


def _dtypes(x: Vector) -> str:
    """Return the dtypes of a vector's arrays, in words."""
    return ", ".join(sorted({str(array.dtype).removeprefix("torch.") for array in arrays.leaves(x)}))


def _same_precision(x: Vector, image: Vector) -> bool:
    """Say whether a result is as precise as the argument, and of its library."""
    same = {type(array) for array in arrays.leaves(x)} == {type(array) for array in arrays.leaves(image)}
    return same and arrays.precision(x) == arrays.precision(image)


def _overwritten_apart(x: Vector) -> Vector:
    """Put other numbers into each array of a vector, and return what has changed them since."""
    leaves = arrays.leaves(x)
    expected = []
    for array in leaves:
        array[...] = array + 1
        expected.append(arrays.copy(array))
    changes = iter([probe._differs(array, before) for array, before in zip(leaves, expected, strict=True)])
    return arrays.each(lambda _: next(changes), x)


def _strided(x: Array) -> Array:
    """Return an array with the same entries that lie apart in memory."""
    wide = arrays.zeros((*x.shape, 2), like=x)
    wide[..., 0] = x
    return wide[..., 0]
