"""A linear operator as a module."""

from __future__ import annotations

from typing import final

import torch

from linop import LinearOperator
from linop.arguments import checked
from linop.arrays import Vector
from torch_bridge.function import as_function


@final
class Operator(torch.nn.Module):
    """The module whose ``forward`` applies a linear operator; see `as_function`.

    Copies of the module share the operator, which never changes; a copy of a distributed one makes no communicator.

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

    @checked
    def __init__(self, operator: LinearOperator) -> None:
        super().__init__()
        self.function = as_function(operator)

    @property
    def operator(self) -> LinearOperator:
        """The operator."""
        return self.function.operator

    def forward(self, x: Vector) -> Vector:
        """Return ``A x``."""
        return self.function(x)

    def __repr__(self) -> str:
        return f"Operator({self.operator!r})"
