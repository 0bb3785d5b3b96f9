r"""A movement between two placements, as a node of the graph.

==========  ================================================================
map         :math:`M(S, T) = E_T E_S^*`, from this rank's part to its part
backward    :math:`M(T, S)`
==========  ================================================================

Ranks compare which call a movement is: which movement, in the order in which they were first used, which application of
it, and what the tensor was computed from; a movement back says of which forward call it is. So ranks that run another
block, leave one out, or differentiate in another order never exchange numbers.

Whether a gradient is wanted is known of the whole tensor, the same on all ranks. Without it nothing is recorded, and
nothing is sent backward. The gradient of a leaf travels while the backward pass goes on; see
`torch_bridge.tensors.gradients`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, final

import torch

from distdl_ops import Copies, Movement, Replicated
from distdl_ops.movement.movement import movement_between
from distdl_ops.transfer.plan import Plan
from distdl_ops.worlds.call import Call, Number, key_of
from torch_bridge import compat
from torch_bridge.compat import plain
from torch_bridge.tensors import context
from torch_bridge.tensors.gradients import DTYPES
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
        self._world = source.grid.world
        self._number: Number = (-1, 0)
        self._calls = 0
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

    def after(self, source: Placement) -> Move:
        """Return the movement from another placement to the same target."""
        return move_between(source, self.target)

    def next_call(self, part: torch.Tensor, function: int = 0) -> Call:
        """Return what tells the next application, for a function, from all others, on all ranks."""
        failures = self._world.failures
        if self._number[0] != failures:  # ranks that disagreed may have counted otherwise: they begin anew
            self._number, self._calls = self._world.number_function(), 0
        self._calls += 1
        said = part.__dict__
        origin = said.get("_origin")
        if origin is None:  # made within a function: a sum of the ranks' sums, say
            origin = self.source.state.origin
        return Call(self._number, (failures, self._calls), said.get("_called", ""), 0, origin + function)

    def again(self, part: torch.Tensor) -> Call:
        """Return what tells the latest application, when it is repeated, from all others."""
        place, origin = part.__dict__.get("_called", ""), part.__dict__.get("_origin", 0)
        return Call(self._number, (self._number[0], self._calls), f"{place} again", 0, origin)

    def run(self, part: torch.Tensor, call: Call) -> torch.Tensor:
        """Move numbers as a part of a call, whatever autograd says."""
        if self.keeps:
            return part
        if part.is_meta:
            return part.new_empty(self.target.local_shape)
        recorder = context.recording()
        if recorder is not None:
            return recorder.move(self, part)  # type: ignore[no-any-return]
        part = part.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
        if part._is_zerotensor():
            part = part.clone()  # torch's zeros without memory, a gradient of some functions
        caller = self._world.caller
        before, caller.call = caller.call, call
        try:
            return self._moved(part)
        finally:
            caller.call = before

    def start(self, part: torch.Tensor, call: Call) -> Any:
        """Begin to move numbers as a part of a call; return what finishes it, None where it is no exchange."""
        if self.keeps or part.device.type != "cpu" or part.dtype not in DTYPES or context.recording() is not None:
            return None
        executor, caller = (self.complex if part.is_complex() else self.real)._executor, self._world.caller
        if not isinstance(executor.way, Plan):
            return None
        part = part.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
        before, caller.call = caller.call, call
        try:
            started = executor.way.start(part, executor.world, executor.operation.of(part))
        finally:
            caller.call = before
        self._world.keep_moving()
        return started

    def _moved(self, part: torch.Tensor) -> torch.Tensor:
        """Apply the operator of the dtype."""
        if part.dtype == torch.complex32:
            return self.complex(part.to(torch.complex64)).to(torch.complex32)  # type: ignore[no-any-return]
        if part.dtype == torch.bool:
            return self.real._apply(part.view(torch.uint8)).view(torch.bool)  # type: ignore[no-any-return]
        if part.is_floating_point():
            return self.real(part)  # type: ignore[no-any-return]
        # Whole numbers wrap as torch's do: an operator would compute sums twice to say so.
        return self.complex(part) if part.is_complex() else self.real._apply(part)  # type: ignore[no-any-return]

    def __call__(self, part: torch.Tensor, call: Call | None = None, function: int = 0) -> torch.Tensor:
        """Return this rank's part of the moved tensor; recorded where its gradient is wanted.

        Parameters
        ----------
        part : torch.Tensor
            This rank's part.
        call : Call, optional
            Which call it is; by default the next one.
        function : int, optional
            For which function of torch it is.
        """
        if compat.transforms_are_active():
            raise context.refused(
                f"torch.func's transforms move no distributed tensors ({self.source} to {self.target}); use "
                "torch.autograd.grad, write the batch as an axis, or use x.full_tensor().to_local()"
            )
        recorder = context.recorder.get()
        if recorder is not None:
            recorder.moves(self, part.element_size(), part.requires_grad and torch.is_grad_enabled())
        if part.requires_grad and torch.is_grad_enabled():
            return _Moved.apply(part, self, call or self.next_call(part, function))  # type: ignore[no-any-return, no-untyped-call]
        return part if self.keeps else self.run(part, call or self.next_call(part, function))


class _Moved(torch.autograd.Function):
    """Forward a movement, backward the movement back. No tensor is saved."""

    @staticmethod
    def forward(part: torch.Tensor, move: Move, call: Call) -> torch.Tensor:
        moved = move.run(part, call)
        return part.view_as(part) if moved is part else moved

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:  # noqa: ARG004
        part, ctx.move, ctx.call = inputs
        ctx.leaf = part if part.is_leaf else None

    @staticmethod
    def backward(ctx: Any, cotangent: torch.Tensor) -> tuple[torch.Tensor | None, None, None]:
        with plain():
            dual, call = ctx.move.dual, ctx.call.backward
            if ctx.leaf is not None:
                node, gradients = ctx.next_functions[0][0], dual.source.state.gradients
                if gradients.start(ctx.leaf, node, dual, cotangent, call):
                    return None, None, None
            return dual(cotangent, call), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor, *_: None) -> torch.Tensor:
        with plain():
            return ctx.move(tangent, ctx.call)  # type: ignore[no-any-return]


def name_leaf(part: torch.Tensor, placement: Placement, name: str = "") -> None:
    """Let movements of a tensor that the user makes say which one it is: its name, layout, how many were before."""
    part.__dict__["_called"] = name
    kind = placement.key, key_of(str(part.dtype)), part.requires_grad
    part.__dict__["_origin"] = hash((*placement.grid.world.number_tensor(), *kind))


def origin_of(function: int, operands: Sequence[torch.Tensor]) -> int:
    """Return a number for a function of some tensors, the same on all ranks."""
    origin = function
    for operand in operands:
        origin = hash((origin, operand.__dict__.get("_origin", 0)))
    return origin


def move_between(source: Placement, target: Placement) -> Move:
    """Return the movement between two placements, made when it is first asked for."""
    move = source._moves.get(target)
    if move is None:
        move = source._moves[target] = Move(source, target)
    return move
