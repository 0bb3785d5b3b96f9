r"""A movement between two placements, as a node of the graph.

==========  ================================================================
map         :math:`M(S, T) = E_T E_S^*`, from this rank's part to its part
backward    :math:`M(T, S)`
==========  ================================================================

Whether a gradient is wanted is known of the whole tensor, the same on all ranks. Without it nothing is recorded, and
nothing is sent backward.
"""

from __future__ import annotations

import functools
from typing import Any, final

import torch
from torch._C import DisableTorchFunctionSubclass as plain

from distdl_ops import Copies, Movement, Replicated
from distdl_ops.movement.movement import movement_between
from torch_bridge.tensors import context
from torch_bridge.tensors.placement import Placement


@final
class Move:
    """The movement between two placements of a tensor, for any dtype.

    Attributes
    ----------
    source, target : Placement
        From and to.
    keeps : bool
        Whether every rank keeps what it has: nothing is sent, nothing is copied.
    """

    def __init__(self, source: Placement, target: Placement) -> None:
        self.source, self.target = source, target
        self.keeps = all(
            (role == target.roles[name] and not isinstance(role, Copies))
            or (isinstance(role, Replicated) and isinstance(target.roles[name], Copies))
            for name, role in source.roles.items()
        )

    @functools.cached_property
    def dual(self) -> Move:
        """The movement back, which is the adjoint."""
        return move_between(self.target, self.source)

    @functools.cached_property
    def real(self) -> Movement:
        """The operator on real tensors, and on whole numbers."""
        return movement_between(self.source.space("float64"), self.target.space("float64"))

    @functools.cached_property
    def complex(self) -> Movement:
        """The operator on complex tensors."""
        return movement_between(self.source.space("complex128"), self.target.space("complex128"))

    def run(self, part: torch.Tensor) -> torch.Tensor:
        """Move numbers, whatever autograd says."""
        if self.keeps:
            return part
        if part.is_meta:
            return part.new_empty(self.target.local_shape)
        part = part.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
        if part._is_zerotensor():
            part = part.clone()  # torch's zeros without memory, a gradient of some functions
        moved: torch.Tensor
        if part.dtype == torch.complex32:
            moved = self.complex(part.to(torch.complex64)).to(torch.complex32)
        elif part.dtype == torch.bool:
            moved = self.real(part.view(torch.uint8)).view(torch.bool)
        else:
            moved = self.complex(part) if part.is_complex() else self.real(part)
        return moved

    def __call__(self, part: torch.Tensor) -> torch.Tensor:
        """Return this rank's part of the moved tensor; recorded where its gradient is wanted."""
        if torch._C._are_functorch_transforms_active():
            raise context.refused(
                f"torch.func's transforms move no distributed tensors ({self.source} to {self.target}); use "
                "torch.autograd.grad, write the batch as an axis, or use x.full_tensor().to_local()"
            )
        recorder = context.recorder.get()
        if recorder is not None:
            recorder.moves(self, part.element_size(), part.requires_grad and torch.is_grad_enabled())
        if part.requires_grad and torch.is_grad_enabled():
            return _Moved.apply(part, self)  # type: ignore[no-any-return, no-untyped-call]
        return self.run(part)


class _Moved(torch.autograd.Function):
    """Forward a movement, backward the movement back. No tensor is saved."""

    @staticmethod
    def forward(part: torch.Tensor, move: Move) -> torch.Tensor:
        moved = move.run(part)
        return part.view_as(part) if moved is part else moved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ARG004
        ctx.move = inputs[1]

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor, None]:
        with plain():
            return ctx.move.dual(cotangent), None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, _: None) -> torch.Tensor:
        with plain():
            return ctx.move(tangent)  # type: ignore[no-any-return]


def move_between(source: Placement, target: Placement) -> Move:
    """Return the movement between two placements, made when it is first asked for."""
    move = source._moves.get(target)
    if move is None:
        move = source._moves[target] = Move(source, target)
    return move
