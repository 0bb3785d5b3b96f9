"""A user's `torch.autograd.Function` on distributed tensors: its code sees whole tensors, forward and backward.

Torch hands a Function's arguments on as they are, but knows this rank's parts only: what it makes of them itself
(gradients, saved results, arguments that are returned) are plain tensors. So a Function that is applied to distributed
tensors is replaced by one of the same name that gives them their layouts.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import torch

from torch_bridge import compat
from torch_bridge.compat import plain
from torch_bridge.tensors.call import wrap
from torch_bridge.tensors.placement import Placement
from torch_bridge.tensors.rules.attributes import dual_placement, placed
from torch_bridge.tensors.tensor import DistributedTensor

_applied = threading.local()


def _placements(tensors: Any) -> list[Placement | None]:
    """Return how tensors lie; None for what is no distributed tensor."""
    items = tensors if isinstance(tensors, tuple) else (tensors,)
    return [item._placement if isinstance(item, DistributedTensor) else None for item in items]


def _with_layout(tensors: Any, placements: list[Placement | None]) -> tuple[Any, ...]:
    """Return plain tensors as distributed ones where they have a placement."""
    with plain():
        return tuple(
            wrap(x.view_as(x), placement)
            if placement is not None and isinstance(x, torch.Tensor) and not isinstance(x, DistributedTensor)
            else x
            for x, placement in zip(tensors, placements, strict=True)
        )


def _parts(gradients: Any, placements: list[Placement | None]) -> tuple[Any, ...]:
    """Return this rank's parts of gradients, each as its tensor lies."""
    return tuple(
        g
        if not isinstance(g, torch.Tensor)
        else placed(g, placement).to_local()
        if placement is not None
        else g.full_tensor().to_local()
        if isinstance(g, DistributedTensor)
        else g
        for g, placement in zip(gradients, placements, strict=True)
    )


def _duals(placements: list[Placement | None]) -> list[Placement | None]:
    return [None if placement is None else dual_placement(placement) for placement in placements]


class Node:
    """What a Function knows between its passes; its tensors, and those that its hooks see, are distributed."""

    _argument_placements: list[Placement | None]
    _result_placements: list[Placement | None]
    _saved_placements: list[Placement | None]

    def save_for_backward(self, *tensors: Any) -> None:
        """Save tensors with their layouts."""
        self._saved_placements = _placements(tensors)
        super().save_for_backward(*tensors)  # type: ignore[misc]

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors that were saved."""
        saved = compat.saved_tensors_of(self)
        return _with_layout(saved, self._saved_placements) if saved else saved

    def register_hook(self, hook: Any) -> Any:
        """Call a hook after the backward pass, with gradients of arguments and results."""

        def hooked(into: Any, out: Any) -> Any:
            placements = _duals(self._argument_placements)
            answer = hook(_with_layout(into, placements), _with_layout(out, _duals(self._result_placements)))
            return None if answer is None else _parts(answer, placements)

        return super().register_hook(hooked)  # type: ignore[misc]

    def register_prehook(self, hook: Any) -> Any:
        """Call a hook before the backward pass, with gradients of results."""

        def hooked(out: Any) -> Any:
            placements = _duals(self._result_placements)
            answer = hook(_with_layout(out, placements))
            return None if answer is None else _parts(answer if isinstance(answer, tuple) else (answer,), placements)

        return super().register_prehook(hooked)  # type: ignore[misc]


@functools.cache
def distributed(function: Any) -> Any:
    """Return the Function that does on distributed tensors what a Function does on whole ones."""

    def results(out: Any) -> Any:
        """Return results whose sums over ranks are carried out; remember how they lie."""
        items = tuple(
            x.redistribute(x._placement.finished()) if isinstance(x, DistributedTensor) and x._placement.partial else x
            for x in (out if isinstance(out, tuple) else (out,))
        )
        _applied.outputs = _placements(items)
        return items if isinstance(out, tuple) else items[0]

    def forward(ctx: Any, *args: Any) -> Any:
        ctx._argument_placements = _placements(args)
        made = results(function.forward(ctx, *args))
        ctx._result_placements = _applied.outputs
        return made

    def forward_alone(*args: Any) -> Any:
        return results(function.forward(*args))

    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx._argument_placements, ctx._result_placements = _placements(inputs), _placements(output)
        function.setup_context(ctx, inputs, output)

    name = "backward" if function.vjp is torch.autograd.Function.vjp else "vjp"

    def backward(ctx: Any, *gradients: Any) -> Any:
        given = _with_layout(gradients, _duals(ctx._result_placements))
        answer = getattr(function, name)(ctx, *given)
        return _parts(answer if isinstance(answer, tuple) else (answer,), _duals(ctx._argument_placements))

    apart = compat.has_setup_context(function.setup_context)
    methods: dict[str, Any] = {"forward": staticmethod(forward_alone if apart else forward)}
    if apart:
        methods["setup_context"] = staticmethod(setup_context)
    methods[name] = staticmethod(backward)
    made = type(function)(function.__name__, (function,), methods)
    made._backward_cls = type(made._backward_cls.__name__, (Node, made._backward_cls), {})
    return made


def _apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
    """Apply a Function; to distributed tensors, one that knows their layouts."""
    if (
        not any(type(x) is DistributedTensor for x in args)
        or not compat.torch_function_is_enabled()  # what the library applies to parts
        or issubclass(cls._backward_cls, Node)
    ):
        return compat.apply_function(cls, *args, **kwargs)
    made = compat.apply_function(distributed(cls), *args, **kwargs)
    placements, _applied.outputs = _applied.outputs, None
    items = made if isinstance(made, tuple) else (made,)
    for item, placement in zip(items, placements, strict=True):
        if placement is not None and not isinstance(item, DistributedTensor):
            wrap(item, placement)
    return made


compat.replace_apply(_apply)
