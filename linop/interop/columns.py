"""One of our operators as other libraries see theirs: a map of columns of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from linop.core.operator import LinearOperator
from linop.interop import numbering
from linop.interop.numbering import Numbering


@final
@dataclass(frozen=True)
class Columns:
    """An operator that acts as a matrix does.

    Parameters
    ----------
    operator : LinearOperator
        What is applied.
    numbers : {"coordinates", "entries"}
        Which numbers of a vector the columns hold.
    """

    operator: LinearOperator
    numbers: Numbering = "coordinates"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix."""
        domain, codomain = self.operator.domain, self.operator.codomain
        return numbering.counted(codomain, self.numbers), numbering.counted(domain, self.numbers)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the matrix."""
        domain, codomain = self.operator.domain, self.operator.codomain
        return np.result_type(numbering.dtype(codomain, self.numbers), numbering.dtype(domain, self.numbers))

    @property
    def complex_linear(self) -> bool:
        """Whether multiples by complex numbers are mapped to such multiples: not so on the entries of a real space."""
        return self.operator.domain.field == "complex" or self.dtype.kind == "f"

    def vector(self, x: np.ndarray) -> np.ndarray:
        """Map one column, of shape (n,) or (n, 1)."""
        return self._rows(np.asarray(x).reshape(-1))

    def matrix(self, x: np.ndarray) -> np.ndarray:
        """Map the columns of a matrix of shape (n, k): one call for all of them."""
        return self._rows(np.asarray(x).T).T

    def _rows(self, x: np.ndarray) -> np.ndarray:
        """Map one vector's numbers, or a batch of them; as a matrix would: the finer of two precisions is kept."""
        domain, codomain = self.operator.domain, self.operator.codomain
        dtype = numbering.dtype(domain, self.numbers)
        x = x.astype(np.result_type(x, dtype, np.finfo(self.dtype).dtype), copy=False)
        if x.dtype.kind == "c" and dtype.kind == "f":
            if not self.complex_linear:
                return self._rows(x.real)
            real, imaginary = self._rows(np.stack([x.real, x.imag]))
            return np.asarray(real + 1j * imaginary)
        image = self.operator(numbering.vector(domain, x, self.numbers))
        return numbering.numbers(codomain, image, self.numbers)
