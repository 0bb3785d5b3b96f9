"""A differentiable function of torch's as a linear operator: what it does, and what its backward pass does.

=========  ==========================================================
map        ``x -> f(x)``
adjoint    ``y -> J* y``, by a backward pass; `linop.check_adjoint` says whether it is right
matrix     the derivative J
=========  ==========================================================

Of a linear function, the derivative is the same everywhere; it is taken at zero. Where a function is not linear,
`linop.check` says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from linop import Euclidean, FunctionOperator, LinearOperator, Space
from linop.arguments import checked, show
from linop.errors import ArgumentTypeError
from linop.interop.adopt import adopt


@checked
def from_torch(f: Any, domain: Space, codomain: Space | None = None) -> LinearOperator:
    """Return a linear function of torch's as an operator, whose adjoint is the function's backward pass.

    Parameters
    ----------
    f : callable
        Takes a tensor to a tensor, and is differentiable: a subclass of `torch.autograd.Function`, a module, or any
        function of torch's.
    domain : Space
        Arrays of the shape and dtype that it takes.
    codomain : Space, optional
        Arrays of the shape that it returns; Euclidean, by default: `f` is applied once to find out.

    Raises
    ------
    TypeError
        When `f` does not return a tensor.

    Examples
    --------
    >>> import torch
    >>> from linop import Euclidean, check_adjoint
    >>> check_adjoint(from_torch(lambda x: torch.roll(x, 1), Euclidean(4))).passed
    True
    """
    apply: Any = f.apply if isinstance(f, type) and issubclass(f, torch.autograd.Function) else f
    name = getattr(f, "__name__", type(f).__name__)
    if not callable(apply):
        raise ArgumentTypeError(f"from_torch: expected f to be a function, found {show(f)}")

    def image(x: torch.Tensor) -> torch.Tensor:
        y = apply(x)
        if not isinstance(y, torch.Tensor):
            raise ArgumentTypeError(f"from_torch: expected f to return a tensor, found {show(y)}")
        return y

    def forward(x: Any) -> Any:
        with torch.no_grad():
            return _back(image(_tensor(x)), x)

    def backward(y: Any) -> Any:
        cotangent = _tensor(y)
        with torch.enable_grad():
            zero = _tensor(domain.zeros(like=y)).requires_grad_()
            result = image(zero)
            (gradient,) = torch.autograd.grad(result, zero, cotangent.to(result.dtype), allow_unused=True)
        return _back(torch.zeros_like(zero) if gradient is None else gradient, y)

    if codomain is None:
        found = forward(domain.zeros())
        codomain = Euclidean(found.shape, found.dtype, domain.field)
    return FunctionOperator(domain, codomain, forward, backward, name=name)


def _tensor(x: Any) -> torch.Tensor:
    """Return a copy of a vector as a tensor, which a function may change."""
    return x.detach().clone() if isinstance(x, torch.Tensor) else torch.from_numpy(np.array(x))


def _back(y: torch.Tensor, like: Any) -> Any:
    """Return a tensor in the library of a vector."""
    return y.detach() if isinstance(like, torch.Tensor) else y.detach().resolve_conj().resolve_neg().numpy()


@adopt.register(type(torch.autograd.Function))
@adopt.register(torch.nn.Module)
def _(thing: Any, domain: Space | None, codomain: Space | None) -> LinearOperator:
    if domain is None:
        raise ArgumentTypeError(f"{thing!r}: expected the domain of a function of torch's, found none")
    return from_torch(thing, domain, codomain)
