r"""Backward passes that no rank leaves: the operators of a world hand on a token.

Autograd knows one rank's graph only. A rank that does not use an operator's result does not run its adjoint, and the
other ranks wait for it in vain. So the operators that are applied in a block hand on a *token*, a number that is always
zero: :math:`(x, t) \mapsto (A x, t)`. The last token becomes a part of the loss. The backward pass then goes through
all of these operators, in the order opposite to that of the forward pass, on every rank alike.

Nothing is communicated for that. Where graphs depend on the rank in spite of it, ranks come to be in different
operations, forward or backward. Messages say which operation they belong to, so all ranks raise the same
`distdl_ops.AgreementError`, which says who is in which operation (see `distdl_ops.World`).

Without a block no token is handed on: it would connect graphs that have nothing to do with each other, and the
backward pass of one loss through those of all others.
"""

from __future__ import annotations

import contextvars
from types import TracebackType
from typing import Any, final

import torch

from distdl_ops import World
from linop.arguments import checked
from torch_bridge.compat import transforms_are_active

ANYONE = torch.zeros((), requires_grad=True)
"""The token to begin with. It requires a gradient, on behalf of what other ranks hold; nobody looks at it."""


@final
class Tied:
    """The operators of a world that are applied in a block. See `tied`.

    Parameters
    ----------
    world : World
        Whose operators they are.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.token = ANYONE

    def __call__(self, loss: torch.Tensor, *results: torch.Tensor) -> torch.Tensor:
        """Return the loss; its backward pass goes through all operators that have been applied since the last call.

        See `tie`; other blocks of this rank are not concerned.
        """
        return _tie(loss, [self.take()], results)

    def take(self) -> torch.Tensor:
        """Return the token, and begin with a new one."""
        token, self.token = self.token, ANYONE
        return token

    def __enter__(self) -> Tied:
        _blocks.set((*_blocks.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _blocks.set(tuple(block for block in _blocks.get() if block is not self))
        self.token = ANYONE


_blocks: contextvars.ContextVar[tuple[Tied, ...]] = contextvars.ContextVar("blocks", default=())


@checked
def tied(world: World) -> Tied:
    """Tie the operators of a world that are applied in a ``with`` block together, and to a loss.

    Parameters
    ----------
    world : World
        Whose operators: those between its distributed spaces.

    Returns
    -------
    context manager
        What it gives is a function that takes the loss and returns it, tied, as `tie` does. Every rank calls it once
        for each backward pass. Within `torch.func`'s transforms and compiled functions, operators hand on no token.

    Examples
    --------
    >>> import torch
    >>> from distdl_ops import At, Copies, DistributedSpace, Grid, Movement, simulate
    >>> from torch_bridge import as_function
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (1,), p=At(0))
    ...     f = as_function(Movement(S, S.with_roles(p=Copies())))
    ...     x = torch.ones(S.shape, requires_grad=True)
    ...     with tied(world) as tie:
    ...         y = f(x)
    ...         loss = tie(3 * y.sum() if world.rank == 0 else torch.tensor(0.0))  # rank 1 ignores y
    ...         loss.backward()
    ...     return x.grad.tolist()
    >>> simulate(2, main)
    [[3.0], []]
    """
    return Tied(world)


@checked
def tie(loss: torch.Tensor, *results: torch.Tensor) -> torch.Tensor:
    """Return the loss, as a part of the graph that results of operators belong to.

    Its backward pass goes through these results, and, inside of `tied` blocks, through all operators that have been
    applied there since the last time. What the loss does not depend on receives a gradient of zeros. So no rank leaves
    the others, also where its loss is a constant. Nothing is communicated.

    Parameters
    ----------
    loss : tensor
        This rank's loss, of any shape.
    *results : tensor
        Of any shape. Results of operators or layers that some ranks may make no use of: the same on every rank.

    Returns
    -------
    tensor
        The loss, on every rank to be differentiated once.

    Examples
    --------
    >>> import torch
    >>> from distdl_ops import At, Copies, DistributedSpace, Grid, Movement, simulate
    >>> from torch_bridge import as_function
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (1,), p=At(0))
    ...     f = as_function(Movement(S, S.with_roles(p=Copies())))
    ...     x = torch.ones(S.shape, requires_grad=True)
    ...     y = f(x)
    ...     loss = 3 * y.sum() if world.rank == 0 else torch.tensor(0.0)  # rank 1 ignores y
    ...     tie(loss, y).backward()
    ...     return x.grad.tolist()
    >>> simulate(2, main)
    [[3.0], []]
    """
    return _tie(loss, [block.take() for block in _blocks.get()], results)


def _tie(loss: torch.Tensor, tokens: list[torch.Tensor], results: tuple[torch.Tensor, ...]) -> torch.Tensor:
    tied_loss: torch.Tensor = _Tie.apply(loss, len(tokens), *tokens, *results)  # type: ignore[no-untyped-call]
    return tied_loss


def block_of(world: World) -> Tied | None:
    """Return the innermost block of a world; None where there is none, or nothing is to be differentiated."""
    for block in reversed(_blocks.get()):
        # Between transforms, a tensor must not leave the one it was made in. Torch's own functions ask like this, too.
        if block.world is world and torch.is_grad_enabled() and not transforms_are_active():
            return block
    return None


class _Tie(torch.autograd.Function):
    """The loss. Backward, zeros go into the tokens and the results."""

    @staticmethod
    def forward(loss: torch.Tensor, tokens: int, *others: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        return loss.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ARG004
        count = inputs[1]
        ctx.chained = [not token.is_leaf for token in inputs[2 : 2 + count]]
        ctx.results = [(result.shape, result.dtype, result.device) for result in inputs[2 + count :]]

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        # Where this pass is differentiated in its turn, its operators hand on the token's gradient.
        again = torch.is_grad_enabled()
        tokens = [torch.zeros((), requires_grad=again) if chained else None for chained in ctx.chained]
        zeros = [torch.zeros(shape, dtype=dtype, device=device) for shape, dtype, device in ctx.results]
        return cotangent, None, *tokens, *zeros

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: torch.Tensor | None) -> torch.Tensor:  # noqa: ARG004
        return tangent.clone()
