"""A module of torch's, unchanged, whose parameters and buffers are distributed tensors."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
from torch import nn

from distdl_ops import Grid, Replicated
from distdl_ops.layouts.roles import Role
from linop.arguments import checked
from torch_bridge.tensors.call import wrap
from torch_bridge.tensors.movement import name_leaf
from torch_bridge.tensors.placement import Placement, place
from torch_bridge.tensors.tensor import DistributedTensor, distribute_tensor

M = TypeVar("M", bound=nn.Module)

AHEAD = 1 << 26
"""Bytes of a weight that is gathered before it is needed."""

Layouts = Mapping[str, Mapping[str, Role]]
"""Roles by grid axis, for patterns of names."""


@checked
def distribute(
    module: M, grid: Grid, parameters: Layouts | None = None, *, reshard: bool = True, ahead: int = AHEAD
) -> M:
    """Lay a module's parameters and buffers out on a grid. Collective; the module is changed and returned.

    From then on the module takes distributed tensors. It is the same module: its code, its hooks, its names, its
    ``state_dict``. A parameter that is `Split` along an axis along which the data is split as well is gathered where it
    is used (sharded data parallelism); one that is split along another axis is multiplied in blocks (tensor
    parallelism).

    Parameters
    ----------
    module : torch.nn.Module
        Any module. Where ranks have other weights, those of rank 0 are taken. Parameters on the ``meta`` device stay
        there, each rank's part of its own shape, until ``to_empty`` or a checkpoint gives them numbers.
    grid : Grid
        The ranks.
    parameters : mapping of str to mapping of str to Role, optional
        For patterns of names (as in file names: ``"layers.*.weight"``), roles by grid axis; along other axes, and for
        other names, `Replicated`. The first pattern that fits counts. Buffers are found by their names, too. A pattern
        of several names splits what has the axis: counters, say, stay whole.
    reshard : bool, optional
        Whether weights that are gathered are given up after the forward pass and gathered again for the backward pass.
    ahead : int, optional
        Bytes of memory in which the backward pass gathers a weight before it needs it, while it computes with another
        one; 0 to gather each when it is needed. By default 64 MiB.

    Returns
    -------
    torch.nn.Module
        The same object.

    Raises
    ------
    ValueError
        When a pattern fits no name.

    Examples
    --------
    >>> import torch
    >>> from distdl_ops import Split, simulate
    >>> def main(world):
    ...     grid = Grid(world, model=2)
    ...     model = distribute(torch.nn.Linear(3, 4), grid, {"weight": dict(model=Split(0))})
    ...     y = model(distribute_tensor(torch.ones(5, 3), grid))
    ...     return y.shape, y.to_local().shape
    >>> simulate(2, main)[0]
    (torch.Size([5, 4]), torch.Size([5, 2]))
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"distribute: expected a torch.nn.Module, found {module!r}")
    if not isinstance(grid, Grid):
        raise TypeError(f"distribute: expected a Grid, found {grid!r}")
    layouts = dict(parameters or {})
    names = [name for name, _ in _tensors(module)]
    for pattern in layouts:
        if not fnmatch.filter(names, pattern):
            raise ValueError(
                f"distribute: no parameter or buffer is called {pattern!r}; the names are {', '.join(names)}"
            )
    source = _source(module, grid)
    made: dict[int, Any] = {}
    for path, part in module.named_modules():
        part.__dict__["_distributed_path"] = path or type(module).__name__
        for store in (part._parameters, part._buffers):
            for name, tensor in store.items():
                if tensor is None or isinstance(tensor, DistributedTensor):
                    continue
                full_name = f"{path}.{name}" if path else name
                if id(tensor) not in made:
                    roles = _roles(full_name, tensor.ndim, layouts, grid)
                    made[id(tensor)] = tensor, _laid_out(tensor, roles, grid, source)
                laid_out = store[name] = made[id(tensor)][1]
                name_leaf(laid_out, laid_out._placement, full_name)
                laid_out._reshard = reshard and bool(laid_out._placement.cut_axes)
                laid_out._ahead = ahead
    for part in module.modules():
        part.register_state_dict_post_hook(_in_whole_tensors)
        if isinstance(part, nn.RNNBase):
            part._init_flat_weights()
    return module


def _in_whole_tensors(module: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:  # noqa: ARG001
    """Make a module's state that of the sequential module: whole plain tensors, the same on every rank. Collective."""
    if _in_parts.get():
        return
    for name, value in state.items():
        if isinstance(value, DistributedTensor) and not value.requires_grad and name.startswith(prefix):
            state[name] = value.full_tensor().to_local()


def state_in_parts(module: nn.Module) -> dict[str, Any]:
    """Return a module's ``state_dict`` with distributed tensors as they are: nothing is gathered."""
    token = _in_parts.set(True)
    try:
        return module.state_dict()
    finally:
        _in_parts.reset(token)


_in_parts: ContextVar[bool] = ContextVar("in_parts", default=False)
"""Whether states are wanted as they are."""


def _tensors(module: nn.Module) -> list[tuple[str, torch.Tensor]]:
    """Return a module's parameters and buffers by name."""
    return [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]


def _roles(name: str, ndim: int, layouts: Layouts, grid: Grid) -> dict[str, Role]:
    """Return the roles of a parameter, one for each grid axis."""
    pattern = next((pattern for pattern in layouts if fnmatch.fnmatchcase(name, pattern)), None)
    given = {} if pattern is None else layouts[pattern]
    unknown = [axis for axis in given if axis not in grid.axes]
    if unknown:
        raise ValueError(f"distribute: {name}: the grid has the axes {', '.join(grid.axes)}, found {unknown[0]!r}")
    if pattern != name:  # of many tensors, those without the axis are not split
        given = {axis: role for axis, role in given.items() if role.axis is None or role.axis < ndim}
    return {axis: given.get(axis, Replicated()) for axis in grid.axes}


def _laid_out(tensor: torch.Tensor, roles: dict[str, Role], grid: Grid, source: int | None) -> Any:
    """Return a parameter or buffer as a distributed tensor."""
    target = place(grid, tuple(tensor.shape), roles)
    if tensor.is_meta:
        part: Any = wrap(torch.empty(target.local_shape, dtype=tensor.dtype, device="meta"), target)
    else:
        part = distribute_tensor(tensor.detach(), target.space("float64"), source=source)
    if isinstance(tensor, nn.Parameter):
        kept = dict(tensor.__dict__)
        part = nn.Parameter(part, requires_grad=tensor.requires_grad)
        part._placement = target
        part.__dict__.update(kept)
    return part


def _source(module: nn.Module, grid: Grid) -> int | None:
    """Return rank 0 where ranks have other weights than it, None where all have the same; one agreement for all."""
    digest = hashlib.sha256()
    for name, tensor in _tensors(module):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        if not tensor.is_meta and not isinstance(tensor, DistributedTensor):
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    digests = grid.world.allgather(digest.digest(), "distribute")
    return None if len(set(digests)) == 1 else 0


__all__ = ["Placement", "distribute"]
