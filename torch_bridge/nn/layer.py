r"""What the distributed layers share: where a parameter lies, how it begins, and how it gets to where it is used.

A layer is a formula of movements and torch's own functions. In it a parameter appears as :math:`C w`: w is the vector
that is stored, which knows each number once, and C the movement to where it is used. Where every part of a tensor needs
the parameter, C is ``Replicated -> Copies``: it moves nothing forward, and sums the gradients of all ranks backward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from distdl_ops import At, Copies, DistributedSpace, Grid, Movement, Replicated, Role, Split
from torch_bridge.module import Operator


class Layer(torch.nn.Module):
    """A module whose parameters and buffers are vectors of distributed spaces. Abstract.

    Attributes
    ----------
    parameter_spaces : dict
        The space of each parameter, by its name in this module.
    buffer_spaces : dict
        The space of each buffer that is a vector; other buffers are the same on every rank.
    sequential_shapes : dict
        The shape that they have in the sequential layer, where it may be another than that of their space, with the
        same entries in row-major order: in a stack of matrices, a tensor of three axes, each is split in the same way.
    weight : torch.nn.Parameter
        This rank's part of the weight.
    """

    weight: torch.nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self.parameter_spaces: dict[str, DistributedSpace] = {}
        self.buffer_spaces: dict[str, DistributedSpace] = {}
        self.sequential_shapes: dict[str, tuple[int, ...]] = {}

    def add_parameters(
        self, spaces: Mapping[str, DistributedSpace], sequential: Callable[[str], torch.nn.Module]
    ) -> None:
        """Make this rank's part of each parameter and buffer, with the values the sequential layer would begin with.

        They are drawn on rank 0, from torch's global generator, and moved to where they belong. So they depend on the
        seed of rank 0 alone. Collective.

        Parameters
        ----------
        spaces : mapping
            The space of each parameter and buffer, by name.
        sequential : callable
            Makes the sequential layer on a device, with parameters and buffers of the same names.
        """
        plain = sequential("meta")
        buffers = dict(plain.named_buffers())
        state = plain.state_dict()
        self.sequential_shapes = {name: tuple(state[name].shape) for name in spaces}
        self.parameter_spaces = {name: space for name, space in spaces.items() if name not in buffers}
        self.buffer_spaces = {name: space for name, space in spaces.items() if name in buffers}
        if not spaces:
            return
        world = next(iter(spaces.values())).grid.world
        drawn = sequential("cpu").state_dict() if world.rank == 0 else {}
        for name, space in spaces.items():
            whole = drawn[name].reshape(space.global_shape) if drawn else None
            part = from_rank_0(space, whole)
            if name in buffers:
                self.register_buffer(name, part)
            else:
                self.register_parameter(name, torch.nn.Parameter(part))


def torch_dtype(space: DistributedSpace) -> torch.dtype:
    """Return the torch dtype of a space."""
    return torch.from_numpy(np.empty(0, space.dtype)).dtype


def moving(source: DistributedSpace, target: DistributedSpace) -> torch.nn.Module:
    """Return the module that moves a tensor between two spaces: none where there is nothing to do."""
    same = source == target and source.layout.holds_once
    return torch.nn.Identity() if same else Operator(Movement(source, target))


def from_rank_0(space: DistributedSpace, whole: torch.Tensor | None) -> torch.Tensor:
    """Return this rank's part of a tensor that rank 0 has; what the others pass does not matter. Collective."""
    world = space.grid.world
    # A number cannot be at one rank: a number is never nothing. The others' zeros are added to it.
    role = At(0) if space.global_shape else Copies()
    source = DistributedSpace(Grid(world, ranks=world.size), space.global_shape, space.dtype, ranks=role)
    dtype = torch_dtype(space)
    found = torch.zeros(source.shape, dtype=dtype)
    if world.rank == 0:
        assert whole is not None
        found = whole.detach().to(dtype)
    part: torch.Tensor = Movement(source, space)(found)
    return part


def parameter_space(
    space: DistributedSpace, shape: tuple[int, ...], axes: Mapping[int, int], roles: Mapping[str, Role] | None = None
) -> tuple[DistributedSpace, torch.nn.Module]:
    """Return where a parameter lies that acts on a tensor, and how it gets to each part of the tensor. Collective.

    Where the tensor is split along an axis that the parameter has too, so is the parameter. Where it is split along
    another, or copied, the parameter is one vector that all ranks store, and each uses a copy of its own. Where the
    tensor is at one rank or replicated, so is the parameter.

    Parameters
    ----------
    space : DistributedSpace
        The tensor.
    shape : tuple of int
        Shape of the parameter.
    axes : mapping of int to int
        Which axis of the parameter belongs to an axis of the tensor.
    roles : mapping of str to Role, optional
        Of the parameter where it is used, instead of what follows from the tensor.

    Returns
    -------
    stored : DistributedSpace
        Of the parameter: without copies.
    copy : module
        From there to where it is used.
    """
    used = {name: (roles or {}).get(name, _role_used(role, axes)) for name, role in space.roles.items()}
    kept: dict[str, Role] = {name: Replicated() if isinstance(r, Copies) else r for name, r in used.items()}
    stored = DistributedSpace(space.grid, shape, space.dtype, **kept)
    return stored, moving(stored, stored.with_roles(**used))


def _role_used(role: Role, axes: Mapping[int, int]) -> Role:
    """Return the role of a parameter where it is used, from that of the tensor it acts on."""
    if not isinstance(role, Split):
        return role
    return Split(axes[role.axis], role.intervals, gaps=True) if role.axis in axes else Copies()


def nothing(shape: tuple[int, ...], *depends_on: torch.Tensor) -> torch.Tensor:
    """Return zeros that keep their place in the graph: backward, they give everyone zeros.

    Torch's convolutions and poolings refuse empty images. A rank that holds nothing must still take part in the
    backward pass of the movements around them. Where its channels are none, what it adds to the sum over all is zero.
    """
    return torch.stack([tensor.reshape(-1)[:0].sum() for tensor in depends_on]).sum().expand(shape)
