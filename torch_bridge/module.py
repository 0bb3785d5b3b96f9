"""A linear operator as a module."""

from __future__ import annotations

from typing import final

import torch

from linop import LinearOperator
from torch_bridge.function import as_function


@final
class Operator(torch.nn.Module):
    """The module whose ``forward`` applies a linear operator; see `as_function`.

    Parameters
    ----------
    operator : LinearOperator
        The operator.

    Examples
    --------
    >>> from linop import Matrix
    >>> Operator(Matrix([[1.0, 2.0]]))
    Operator(Matrix(1x2) : Euclidean((2,), float64) -> Euclidean((1,), float64))
    """

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``A x``."""
        return as_function(self.operator)(x)

    def __repr__(self) -> str:
        return f"Operator({self.operator!r})"
