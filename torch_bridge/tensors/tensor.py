"""A tensor that knows its space: this rank's part, and how the whole lies on the ranks.

`DistributedTensor` is a subclass of `torch.Tensor`. The object *is* this rank's part, so autograd works on parts with
torch's own functions; between them stand the movements. To Python it is the whole tensor: ``x.shape``, ``len(x)``,
``x.numel()`` are the whole's. Every function of torch comes to `torch_bridge.tensors.call.dispatch`.
"""

from __future__ import annotations

from typing import Any, Self, final

import torch

from distdl_ops import DistributedSpace, Grid, Replicated
from distdl_ops.layouts.roles import Role
from distdl_ops.worlds.call import key_of
from linop.arguments import checked
from linop.errors import ArgumentError
from torch_bridge.compat import plain
from torch_bridge.tensors import call, context
from torch_bridge.tensors.call import wrap
from torch_bridge.tensors.movement import move_between, name_leaf, origin_of
from torch_bridge.tensors.placement import Placement, place, placement_of

SPACE_DTYPES = {
    torch.float64: "float64",
    torch.float32: "float32",
    torch.float16: "float16",
    torch.complex128: "complex128",
    torch.complex64: "complex64",
}
"""The dtype of the space of tensors of torch's; float32 for bfloat16, float64 for whole numbers and truth values."""

REDISTRIBUTE = key_of("redistribute")
"""Stands for the function in what a tensor was computed from."""


@final
class DistributedTensor(torch.Tensor):
    """A rank's part of a tensor, with the layout of the whole. Made by `distribute_tensor` or `from_local`.

    Attributes
    ----------
    space : DistributedSpace
        The space of the whole tensor; its batch axes are axes like others.

    Examples
    --------
    >>> import torch
    >>> from distdl_ops import Grid, Split, simulate
    >>> def main(world):
    ...     x = distribute_tensor(torch.arange(6.0), Grid(world, rows=2), rows=Split(0))
    ...     return x.shape, x.to_local().tolist(), (x * x).sum().item()
    >>> simulate(2, main)
    [(torch.Size([6]), [0.0, 1.0, 2.0], 55.0), (torch.Size([6]), [3.0, 4.0, 5.0], 55.0)]
    """

    _placement: Placement

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return call.dispatch(func, args, kwargs or {})

    @property
    def space(self) -> DistributedSpace:
        """The space of the whole tensor."""
        return self._placement.space(
            SPACE_DTYPES.get(self.dtype) or ("float32" if self.dtype.is_floating_point else "float64")
        )

    @staticmethod
    def from_local(part: torch.Tensor, space: DistributedSpace) -> DistributedTensor:
        """Return the distributed tensor of which each rank gives its part; differentiable.

        Parameters
        ----------
        part : torch.Tensor
            This rank's part, of shape ``space.shape``.
        space : DistributedSpace
            How the whole lies.

        Raises
        ------
        SpaceError
            When a part has another shape; on every rank.
        """
        space.check(part.detach(), "DistributedTensor.from_local")
        whole: DistributedTensor = wrap(part.view_as(part), placement_of(space))
        name_leaf(whole, whole._placement)
        return whole

    def to_local(self) -> torch.Tensor:
        """Return this rank's part as a plain tensor; differentiable."""
        with plain():
            return self.view_as(self)

    def redistribute(self, space: DistributedSpace | Placement | None = None, /, **roles: Role) -> DistributedTensor:
        """Return the same tensor in another layout: the movement ``M(x.space, T)``; differentiable.

        Parameters
        ----------
        space : DistributedSpace, optional
            T.
        **roles : Role
            Or its roles along some axes of the grid; along the others they stay.
        """
        source = self._placement
        if isinstance(space, Placement):
            target = space
        else:
            target = source.having(roles) if space is None else placement_of(space)
        with plain():
            moved = self.view_as(self) if target is source else move_between(source, target)(self)
            result: DistributedTensor = wrap(moved.view_as(moved) if moved is self else moved, target)
            result.__dict__["_origin"] = origin_of(REDISTRIBUTE, (self,))
            return result

    def full_tensor(self) -> DistributedTensor:
        """Return the whole tensor on every rank, `Replicated`; differentiable."""
        return self.redistribute(self._placement.whole())

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"DistributedTensor({self._placement}, dtype={self.dtype}, part={self.to_local()!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        if not self._placement.replicated:
            raise context.refused(
                f"pickling a distributed tensor ({self._placement}) would save one rank's part; save x.full_tensor() "
                "or use torch_bridge.save_checkpoint"
            )
        part: Any = self.detach()
        return part.to_local().requires_grad_(self.requires_grad).__reduce_ex__(protocol)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if id(self) in memo:
            return memo[id(self)]  # type: ignore[no-any-return]
        with plain():
            if not self.is_leaf:
                raise RuntimeError("only tensors that are leaves of the graph can be copied deeply")
            part = self.detach().clone().requires_grad_(self.requires_grad)
            copied: Any = wrap(part, self._placement)
            if self.grad is not None:
                copied.grad = self.grad.detach().clone()
        if getattr(self, "_is_param", False):
            copied._is_param = True
        memo[id(self)] = copied
        return copied  # type: ignore[no-any-return]


# Libraries that choose a backend by the module of a tensor's class, as opt_einsum does, must find torch.
DistributedTensor.__module__ = "torch"
call.set_class(DistributedTensor)


@checked
def distribute_tensor(
    tensor: torch.Tensor, layout: DistributedSpace | Grid, /, *, source: int | Role | None = None, **roles: Role
) -> DistributedTensor:
    """Return a tensor that every rank has as a distributed one. No communication, unless one rank alone has it.

    Parameters
    ----------
    tensor : torch.Tensor
        The whole tensor, of any shape, the same on every rank.
    layout : DistributedSpace or Grid
        How it is to lie; or the ranks, and roles beside it.
    source : int, optional
        The rank that has the tensor, where the others have none of its numbers (only a tensor of its shape and dtype).
    **roles : Role
        With a grid: one for each axis that matters; along the others the tensor is `Replicated`.

    Returns
    -------
    DistributedTensor
        It requires a gradient where the tensor does, and is part of its graph.

    Raises
    ------
    UnsupportedError
        When the roles hold entries more than once (`Copies`, a halo): a tensor would not be the same afterwards.

    Examples
    --------
    >>> import torch
    >>> from distdl_ops import Grid, Split, simulate
    >>> def main(world):
    ...     return distribute_tensor(torch.arange(5), Grid(world, rows=2), rows=Split(0)).to_local().tolist()
    >>> simulate(2, main)
    [[0, 1, 2], [3, 4]]
    """
    if isinstance(source, Role):  # a grid axis of that name
        roles, source = {**roles, "source": source}, None
    if isinstance(layout, Grid):
        unknown = [name for name in roles if name not in layout.axes]
        if unknown:
            raise ValueError(f"distribute_tensor: the grid has the axes {', '.join(layout.axes)}, found {unknown[0]!r}")
        target = place(layout, tuple(tensor.shape), {name: roles.get(name, Replicated()) for name in layout.axes})
    else:
        target = placement_of(layout)
        if tuple(tensor.shape) != target.shape:
            raise ValueError(
                f"distribute_tensor: expected a tensor of shape {target.shape}, found {tuple(tensor.shape)}"
            )
    if not target.layout.holds_once:
        raise context.refused(
            f"distribute_tensor: the layout {target} holds entries more than once; give a tensor whose parts are "
            "known to DistributedTensor.from_local, or use Replicated() in place of Copies()"
        )
    if isinstance(tensor, DistributedTensor):
        return tensor.redistribute(target)
    whole = target.whole()
    if source is not None:
        tensor = _from_rank(tensor, source, whole)
    with plain():
        moved = move_between(whole, target)(tensor)
        made: DistributedTensor = wrap(tensor.clone() if move_between(whole, target).keeps else moved, target)
        name_leaf(made, target)
    return made


def _from_rank(tensor: torch.Tensor, source: int, whole: Placement) -> torch.Tensor:
    """Return the tensor that one rank has on all of them."""
    world = whole.grid.world
    if not 0 <= source < world.size:
        raise ArgumentError(f"distribute_tensor: expected source to be a rank below {world.size}, found {source}")
    held = tensor.detach().contiguous()
    received = held.clone()
    world.broadcast(received, source, f"distribute_tensor from rank {source}: {tuple(tensor.shape)} {tensor.dtype}")
    return received.requires_grad_(tensor.requires_grad)
