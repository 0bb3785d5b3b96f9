r"""Sums of gradients that travel while the backward pass computes.

A weight's movement :math:`M(S, T)` has the adjoint :math:`M(T, S)`, most often a sum over ranks. Nobody needs it before
the backward pass ends, when the weight is a leaf of the graph: so its first half, `Start`, comes when the gradient is
ready, and its second half, `Finish`, at the end of the pass, when all sums are added to the weights' ``grad``.

Small gradients travel together, in the order in which they come. What ranks compare is which calls a message belongs
to, all of them in order: ranks whose gradients come in another order disagree, and never add up numbers of different
weights.

Where somebody looks at a gradient before the pass ends, the sum is carried out at once: where the leaf, or the node
that adds to it, has hooks; where `torch.autograd.grad` asks for it; where the pass is to be differentiated in its turn.
"""

from __future__ import annotations

import math
import weakref
from typing import Any, TypeAlias, final

import torch

from distdl_ops import Copies, World
from distdl_ops.movement.summation import Summation
from distdl_ops.transfer.plan import Plan
from distdl_ops.worlds.call import Call
from torch_bridge.compat import after_backward_pass, backward_pass, plain, will_run
from torch_bridge.tensors import context

Placement: TypeAlias = Any  # a placement has the gradients of its leaves, so it imports this module

TOGETHER = 1 << 20
"""Bytes from which gradients travel: smaller ones wait for others."""

SUMMED_WHOLE = 1 << 14
"""Bytes up to which the gradient of a split weight is summed whole, together with others: a message more costs more."""

DTYPES = frozenset((torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.complex128))
"""Of gradients that are added up as they are."""


@final
class _Term:
    """A gradient on this rank: a term of its sum over ranks.

    Attributes
    ----------
    leaf : torch.Tensor
        To whose ``grad`` the sum is added.
    move : Move
        The movement of the gradient.
    part : torch.Tensor
        This rank's.
    call : Call
        Of the movement.
    """

    __slots__ = ("call", "leaf", "move", "part")

    def __init__(self, leaf: torch.Tensor, move: Any, part: torch.Tensor, call: Call) -> None:
        self.leaf, self.move, self.part, self.call = leaf, move, part, call

    def add(self, total: torch.Tensor) -> None:
        """Add the moved gradient to the leaf's."""
        if self.leaf.grad is None:
            self.leaf.grad = total
        else:
            self.leaf.grad.add_(total)


@final
class _Together:
    """Gradients that travel in one message.

    Parameters
    ----------
    line : World
        The ranks whose terms are added up.
    """

    def __init__(self, line: World) -> None:
        self.line = line
        self.terms: list[_Term] = []
        self.whole: list[Placement] = []
        self.nbytes = 0
        self.sum: Any = None

    def start(self, summations: dict[Any, Summation]) -> None:
        """Let them leave."""
        parts = [term.part.reshape(-1) for term in self.terms]
        flat = parts[0] if len(parts) == 1 else torch.cat(parts)
        key = self.line, flat.numel(), flat.element_size()
        found = summations.get(key)
        if found is None:
            if len(summations) >= MOST_SUMMATIONS:
                summations.clear()
            found = summations[key] = Summation(flat.numel(), flat.element_size(), self.line)
        caller = self.line.caller
        before, caller.call = caller.call, _joint(self.terms)
        try:
            self.sum = found.start(flat, f"the sum of {len(parts)} gradients, {flat.numel()} entries of {flat.dtype}")
        finally:
            caller.call = before

    def finish(self, *, add: bool = True) -> None:
        """Wait for the sum, and add its parts to the leaves' gradients."""
        flat, start = self.sum.finish(), 0
        for term, whole in zip(self.terms, self.whole, strict=True) if add else ():
            stop = start + math.prod(whole.local_shape)
            total = flat[start:stop].view(whole.local_shape)
            if whole is not term.move.target:
                total = term.move.after(whole).run(total, term.call)  # a slice: nothing is sent
            term.add(total if len(self.terms) == 1 else total.clone())
            start = stop


MOST_SUMMATIONS = 1000
"""How many plans of sums are kept."""


def _joint(terms: list[_Term]) -> Call:
    """Return the call that gradients' common message belongs to: the first one's, and all others' in order."""
    first = terms[0].call
    if len(terms) == 1:
        return first
    function, application, place, order, _ = first
    more = f"{place or 'a tensor'}, and {len(terms) - 1} gradients after it"
    return Call(function, application, more, order, hash(tuple(term.call.key for term in terms)))


@final
class _Alone:
    """A gradient that is moved in another way than by a sum that all ranks have: a reduce-scatter, say."""

    def __init__(self, term: _Term) -> None:
        self._term, self._started = term, term.move.start(term.part, term.call)

    def finish(self, *, add: bool = True) -> None:
        """Wait for it, and add it to the leaf's gradient."""
        moved = self._started.finish()
        if add:
            self._term.add(moved)


@final
class _Pass:
    """A backward pass: what has started in it, and what waits for others."""

    def __init__(self, world: World, summations: dict[Any, Summation]) -> None:
        self._world, self._failures, self._summations = world, world.failures, summations
        self._started: list[Any] = []
        self._waiting: dict[Any, _Together] = {}

    def add(self, term: _Term) -> None:
        """Let a gradient leave, at once or together with the next ones."""
        whole = _summed_whole(term.move, term.part)
        if whole is None:
            self._begin(_Alone(term))
            return
        names = tuple(name for name, role in term.move.source.roles.items() if isinstance(role, Copies))
        key = names, term.part.dtype
        nbytes = term.part.numel() * term.part.element_size()
        together = self._waiting.get(key) if nbytes < TOGETHER else None
        if together is None:
            line = term.move.source.grid.line(names)
            if line is None:  # outside of the grid, which has nothing of it
                term.add(term.part.new_zeros(term.move.target.local_shape))
                return
            together = _Together(line)
            if nbytes < TOGETHER:
                self._waiting[key] = together
        together.terms.append(term)
        together.whole.append(whole)
        together.nbytes += nbytes
        if together.nbytes >= TOGETHER:
            self._waiting = {k: waiting for k, waiting in self._waiting.items() if waiting is not together}
            self._leave(together)

    def _leave(self, together: _Together) -> None:
        together.start(self._summations)
        self._begin(together)

    def ends(self, one: Any) -> None:
        """Let the end of the pass wait for something else that has started."""
        self._started.append(one)

    def _begin(self, one: _Together | _Alone) -> None:
        """Note what has started; let those before it take their next step."""
        for other in reversed(self._started):
            if isinstance(other, _Together):
                other.sum.advance()
        self._started.append(one)
        self._world.keep_moving()

    def finish(self) -> None:
        """Wait for all of it, and add it to the leaves' gradients."""
        waiting, self._waiting = self._waiting, {}
        for together in waiting.values():
            self._leave(together)
        for one in self._started:
            one.finish()

    def drop(self) -> None:
        """Wait for what has started in a pass that an error has ended; where ranks disagreed since, nothing is left."""
        if self._world.failures == self._failures:
            for one in self._started:
                one.finish(add=False)


@final
class Gradients:
    """What a rank's backward passes have under way. One for each world."""

    def __init__(self) -> None:
        self._passes: dict[int, tuple[Any, _Pass]] = {}
        self._summations: dict[Any, Summation] = {}

    def start(self, leaf: torch.Tensor, node: Any, move: Any, cotangent: torch.Tensor, call: Call) -> bool:
        """Let a gradient start to move; say whether it has.

        Parameters
        ----------
        leaf : torch.Tensor
            To whose ``grad`` what arrives is added at the end of the backward pass.
        node : torch.autograd.graph.Node
            That would add it.
        move : Move
            The movement of the gradient.
        cotangent : torch.Tensor
            This rank's gradient.
        call : Call
            Which call it is.
        """
        if not _may_wait(leaf, node, move, cotangent):
            return False
        part = cotangent.detach().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
        if part._is_zerotensor():
            part = part.clone()
        self._pass(move.source.grid.world).add(_Term(leaf, move, part, call))
        return True

    def ends(self, weight: Any) -> None:
        """Let the end of this thread's backward pass wait for a weight that is gathered ahead.

        Parameters
        ----------
        weight : Weight
            Which one.
        """
        self._pass(weight.world).ends(weight)

    def _pass(self, world: World) -> _Pass:
        """Return the backward pass that this thread is in."""
        task = backward_pass()
        if task not in self._passes:
            for number, (callback, ended) in list(self._passes.items()):
                if callback() is None:  # the pass has ended, by an error
                    del self._passes[number]
                    ended.drop()
            made = _Pass(world, self._summations)

            def finish() -> None:
                del self._passes[task]
                with torch.no_grad(), plain():
                    made.finish()

            self._passes[task] = weakref.ref(finish), made
            after_backward_pass(finish)
        return self._passes[task][1]


def _may_wait(leaf: torch.Tensor, node: Any, move: Any, cotangent: torch.Tensor) -> bool:
    """Say whether nobody looks at a leaf's gradient before the backward pass ends; the same on all ranks."""
    if torch.is_grad_enabled() or move.keeps or cotangent.device.type != "cpu" or cotangent.dtype not in DTYPES:
        return False
    if context.recorder.get() is not None or context.recording() is not None:
        return False
    if leaf._backward_hooks or leaf._post_accumulate_grad_hooks:
        return False
    if _summed_whole(move, cotangent) is None and not isinstance(_executor(move, cotangent).way, Plan):
        return False
    if any(map(_has_hooks, (node.register_hook, node.register_prehook))):
        return False
    return will_run(node)


def _executor(move: Any, part: torch.Tensor) -> Any:
    """Return what carries out a movement of tensors of a dtype."""
    return (move.complex if part.is_complex() else move.real)._executor


def _has_hooks(register: Any) -> bool:
    """Say whether a node has hooks of a kind, which only a handle tells."""
    handle = register(_nothing)
    count = len(handle.hooks_dict_ref())
    handle.remove()
    return count > 1


def _nothing(*_: Any) -> None:
    """Do nothing."""


def _summed_whole(move: Any, part: torch.Tensor) -> Placement | None:
    """Return the placement in which a gradient is summed over ranks as it lies in memory; None if it is not."""
    source: Placement = move.source
    target: Placement = move.target
    summed = source.finished()
    if summed is target:
        return summed
    copies = all(isinstance(role, Copies) or role == target.roles[name] for name, role in source.roles.items())
    small = math.prod(source.shape) * part.element_size() <= SUMMED_WHOLE
    return summed if copies and small and target.layout.holds_once else None
