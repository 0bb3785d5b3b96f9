"""An operator of another library, which maps columns of numbers, as one of ours.

=========  ==========================================
map        ``x -> P x``, on NumPy's arrays
adjoint    ``y -> P^H y``, as that library computes it; `linop.check_adjoint` says whether it is right
matrix     P's
=========  ==========================================
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, final

import numpy as np

from linop import arrays
from linop.arrays import Vector
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.interop import numbering
from linop.interop.numbering import Numbering
from linop.spaces import Space


class MatrixLike(Protocol):
    """What is asked of an operator of another library: that it acts as a matrix does."""

    shape: Any
    dtype: Any
    matvec: Callable[..., Any]
    rmatvec: Callable[..., Any]
    matmat: Callable[..., Any]
    rmatmat: Callable[..., Any]


@final
class ForeignOperator(LinearOperator):
    """An operator of another library, between two spaces; `from_scipy` and `from_pylops` make it.

    It is given copies of vectors, as NumPy's arrays, half precision and integers in the space's precision; its results
    are brought back to the library, device and precision of the argument. A batch is handed over at once, as the
    columns of a matrix. A real operator is applied to the real and to the imaginary parts of complex vectors.

    Parameters
    ----------
    operator : object
        What acts as a matrix: a `scipy.sparse.linalg.LinearOperator`, for one. Not copied.
    domain, codomain : Space
        Where vectors come from and where they go. On spaces that are spread over processes, calls are collective: every
        process applies the operator to the whole vector, and keeps its part.
    numbers : {"coordinates", "entries"}, optional
        Which numbers of a vector the operator maps. They differ on real spaces of complex arrays, which have two
        coordinates for each entry.
    complex_linear : bool, optional
        Whether it is linear over the complex numbers. One that is not acts on real spaces only.
    exact : bool, optional
        Claim that small integers stay exact.
    name : str, optional
        What errors and printed expressions call it; its class and shape by default.

    Raises
    ------
    SpaceError
        When its shape is not that of a matrix between the two spaces, or it is complex where the codomain has real
        numbers, or the spaces are complex and it is not.

    Examples
    --------
    >>> from linop import Euclidean
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> A = ForeignOperator(aslinearoperator(np.array([[1.0, 2.0]])), Euclidean(2), Euclidean(1))
    >>> A(np.array([1.0, 1.0])).tolist(), A.H(np.array([1.0])).tolist()
    ([3.0], [1.0, 2.0])
    """

    def __init__(
        self,
        operator: MatrixLike,
        domain: Space,
        codomain: Space,
        *,
        numbers: Numbering = "coordinates",
        complex_linear: bool = True,
        exact: bool = False,
        name: str | None = None,
    ) -> None:
        rows, columns = (int(n) for n in operator.shape)
        self.name = f"{type(operator).__name__.lstrip('_')}({rows}x{columns})" if name is None else name
        super().__init__(domain, codomain)
        self.operator = operator
        self.numbers: Numbering = numbers
        self.complex_linear = complex_linear
        self._exact = exact
        self._complex = np.dtype(operator.dtype).kind == "c"
        expected = (numbering.counted(codomain, numbers), numbering.counted(domain, numbers))
        if (rows, columns) != expected:
            raise SpaceError(
                f"{self!r}: expected an operator of shape {expected}, as the spaces have {numbers}, found shape "
                f"{(rows, columns)}"
            )
        if complex_linear and self._complex and numbering.dtype(codomain, numbers).kind != "c":
            raise SpaceError(f"{self!r}: expected a real operator between these spaces, found dtype {operator.dtype}")
        if domain.field == "complex" and not complex_linear:
            raise SpaceError(f"{self!r}: not linear over the complex numbers; take real spaces, with field='real'")

    @property
    def exact(self) -> bool:
        """As claimed."""
        return self._exact

    @property
    def roundings(self) -> int:
        """A product and a sum for each entry of a row or column, as if it were a matrix."""
        return 2 * max(self.domain.size, self.codomain.size)

    def _apply(self, x: Vector) -> Vector:
        return self._map(x, self.domain, self.codomain, self.operator.matvec, self.operator.matmat)

    def _apply_dual(self, y: Vector) -> Vector:
        try:
            return self._map(y, self.codomain, self.domain, self.operator.rmatvec, self.operator.rmatmat, dual=True)
        except (NotImplementedError, TypeError) as error:  # scipy's rmatmat calls None where there is no rmatvec
            if self._has_adjoint():
                raise
            raise NotImplementedError(f"{self!r}: has no adjoint, as {self.operator!r} has no rmatvec") from error

    def _has_adjoint(self) -> bool:
        try:
            self.operator.rmatvec(np.zeros(self.operator.shape[0], self.operator.dtype))
        except NotImplementedError:
            return False
        return True

    def _map(
        self,
        x: Vector,
        source: Space,
        target: Space,
        one: Callable[..., Any],
        many: Callable[..., Any],
        *,
        dual: bool = False,
    ) -> Vector:
        """Apply `one` to a vector, or `many` to a batch."""
        batch = source.batch(x)
        count, height = math.prod(batch), numbering.counted(target, self.numbers)
        found = numbering.numbers(source, x, self.numbers)
        if found.dtype.kind not in "fc" or found.dtype == np.float16:  # few libraries calculate in half precision
            found = found.astype(np.result_type(numbering.dtype(source, self.numbers), np.float32))
        columns = np.array(found.reshape(count, found.shape[-1]).T)  # a copy: who works in place does no harm
        parted = columns.dtype.kind == "c" and self.complex_linear and not self._complex
        if parted:
            columns = np.concatenate([columns.real, columns.imag], axis=1)
        if count == 0:
            image = np.zeros((height, 0), numbering.dtype(target, self.numbers))
        else:
            image = np.asarray(many(columns) if batch or parted else one(columns[:, 0])[:, None])
        expected = (height, columns.shape[1])
        if image.shape != expected or image.dtype.kind not in "iufc":
            raise SpaceError(
                f"{self!r}: expected numbers of shape {expected} from {self.operator!r}, found shape {image.shape} of "
                f"{image.dtype}"
            )
        if parted:
            image = image[:, :count] + 1j * image[:, count:]
        if numbering.dtype(target, self.numbers).kind == "c":
            image = image.astype(np.result_type(image, np.complex64)) if found.dtype.kind == "c" else image
        elif image.dtype.kind == "c":
            if not dual or self.numbers == "coordinates":
                raise SpaceError(f"{self!r}: expected real numbers from {self.operator!r}, found {image.dtype}")
            image = image.real  # the adjoint of the inclusion of real arrays among complex ones
        result = numbering.vector(target, image.T.reshape(*batch, height), self.numbers)
        return arrays.each(lambda part: arrays.cast(part, like=arrays.leaves(x)[0]), result)

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, id(self.operator))

    def __str__(self) -> str:
        return self.name
