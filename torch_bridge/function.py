r"""A linear operator as a differentiable function.

For :math:`y = A x` and a cotangent g, automatic differentiation needs :math:`A^* g` with respect to the pairing of
coordinates, which is ``A.dual``; a tangent t goes to :math:`A t`. Both are linear again, so derivatives of any order
are made of the same two maps. Torch's complex gradients follow the convention that the adjoint conjugates, as ours
does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from linop import LinearOperator

Function = Callable[[torch.Tensor], torch.Tensor]


class _Apply(torch.autograd.Function):
    """Forward A, backward A*, forward mode A, vmap through the batch axes. No tensor is saved."""

    @staticmethod
    def forward(x: torch.Tensor, operator: LinearOperator) -> torch.Tensor:
        result: torch.Tensor = operator(x.detach())
        return result

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, LinearOperator], output: torch.Tensor) -> None:  # noqa: ARG004
        ctx.operator = inputs[1]

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _apply(cotangents[0], ctx.operator.dual), None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        return _apply(tangent, ctx.operator)

    @staticmethod
    def vmap(
        info: Any,  # noqa: ARG004
        in_dims: tuple[int | None, None],
        x: torch.Tensor,
        operator: LinearOperator,
    ) -> tuple[torch.Tensor, int | None]:
        if in_dims[0] is None:
            return _apply(x, operator), None
        return _apply(x.movedim(in_dims[0], 0), operator), 0


def _apply(x: torch.Tensor, operator: LinearOperator) -> torch.Tensor:
    """Apply an operator to a tensor, as one node of the graph."""
    result: torch.Tensor = _Apply.apply(x, operator)  # type: ignore[no-untyped-call]
    return result


def as_function(operator: LinearOperator) -> Function:
    """Return a function of a tensor that applies a linear operator, and whose gradient is the operator's adjoint.

    However the operator is composed, torch sees one function. A call is collective where the operator is: all ranks
    call it, and all ranks run its backward pass. A rank that holds nothing passes a tensor of size zero, which keeps
    its place in the graph.

    Parameters
    ----------
    operator : LinearOperator
        The operator, from any of this project's packages.

    Returns
    -------
    callable
        Takes a tensor of shape ``(*batch, *operator.domain.shape)`` to one of ``(*batch, *operator.codomain.shape)``,
        of the same dtype. The result never shares memory with the argument.

    Examples
    --------
    >>> import torch
    >>> from linop import Matrix
    >>> f = as_function(Matrix([[1.0, 2.0], [0.0, 3.0]]))
    >>> x = torch.ones(2, dtype=torch.float64, requires_grad=True)
    >>> f(x).sum().backward()
    >>> x.grad.tolist()
    [1.0, 5.0]
    """

    def function(x: torch.Tensor) -> torch.Tensor:
        if operator.domain.field == "complex" and not x.is_complex():
            x = x.to(x.dtype.to_complex())  # its gradient is the real part
        return _apply(x, operator)

    return function
