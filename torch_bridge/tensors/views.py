"""Views of tensors that lie in another way: changes of a view are written back.

In torch a view shares its tensor's memory. Where a view's entries lie on other ranks, it is a copy; it remembers what
it is a view of, and a function that changes it changes that as well.
"""

from __future__ import annotations

import functools
from typing import Any

import torch

from torch_bridge.compat import plain
from torch_bridge.tensors import context

OF_EITHER_KIND = {"reshape", "flatten", "ravel", "reshape_as"}
"""Functions that return a view or a copy, by the order of entries in memory, which each rank has of its own."""


SHAPED_LIKE = {torch.Tensor.view_as: torch.Tensor.view, torch.Tensor.expand_as: torch.Tensor.expand}
"""Functions that take another tensor's shape, and those that take a shape."""


def mark(result: Any, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], move: Any) -> None:
    """Remember what a result is a view of, where it is a copy, or a view of one."""
    if not args or (function is torch.Tensor.__getitem__ and not _basic(args[1])):
        return
    viewed = args[0]
    if function in SHAPED_LIKE:
        function, args = SHAPED_LIKE[function], (viewed, args[1].shape)
    items = list(result) if isinstance(result, tuple | list) else [result]
    if move is not None and not move.keeps:
        for k, item in enumerate(items):
            item._copied_view = viewed, function, args[1:], kwargs, k if item is not result else None
    elif "_copied_view" in viewed.__dict__:
        for item in items:
            item._copied_view = viewed, None, (), {}, None


def write_back(view: Any, function: Any) -> None:
    """Change what a view that was changed is a view of. Collective."""
    viewed, of, args, kwargs, k = view._copied_view
    if of is None:  # they share memory
        write_back(viewed, function)
        return
    if of.__name__ in OF_EITHER_KIND or any(isinstance(a, torch.Tensor) for a in (*args, *kwargs.values())):
        raise context.refused(
            f"{torch.overrides.resolve_name(function) or function.__name__} changes a result of {of.__name__} whose "
            "entries were moved; it would be no change of the tensor it was made of. Clone it first, or redistribute"
        )
    whole = viewed.full_tensor()
    entries = view.full_tensor()
    with plain():
        changed = whole.to_local().clone()
        part = of(changed, *args, **kwargs)
        (part if k is None else part[k]).copy_(entries.to_local())
    context.assign(viewed, changed)


def _basic(index: Any) -> bool:
    """Say whether an index gives a view: it has slices and numbers only."""
    items = index if isinstance(index, tuple) else (index,)
    return all(item is None or item is Ellipsis or type(item) in (int, slice) for item in items)


@functools.cache
def changes(function: Any) -> bool:
    """Say whether a function of torch changes its first argument."""
    name = getattr(function, "__name__", "")
    return name == "__setitem__" or (name.endswith("_") and not name.endswith("__")) or name.startswith("__i")
