"""What the distributed layers share: where a parameter lies, and how it gets there."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from distdl_ops import At, Copies, DistributedSpace, Grid, Movement, Replicated, Role, Split
from torch_bridge.module import Operator


class Layer(torch.nn.Module):
    """A module whose parameters are vectors of distributed spaces. Abstract.

    Attributes
    ----------
    parameter_spaces : dict
        The space of each parameter, by its name in this module.
    weight : torch.nn.Parameter
        This rank's part of the weight.
    """

    weight: torch.nn.Parameter

    def __init__(self) -> None:
        super().__init__()
        self.parameter_spaces: dict[str, DistributedSpace] = {}

    def add_parameters(self, spaces: dict[str, DistributedSpace], sequential: Callable[[str], torch.nn.Module]) -> None:
        """Make this rank's part of each parameter, with the values that the sequential layer would begin with.

        They are drawn on rank 0, from torch's global generator, and moved to where they belong. Collective.

        Parameters
        ----------
        spaces : dict
            The space of each parameter, by name.
        sequential : callable
            Makes the sequential layer on a device, with parameters of the same names.
        """
        self.parameter_spaces = dict(spaces)
        world = next(iter(spaces.values())).grid.world
        drawn = dict(sequential("cpu").named_parameters()) if world.rank == 0 else {}
        for name, space in spaces.items():
            source = DistributedSpace(Grid(world, ranks=world.size), space.global_shape, space.dtype, ranks=At(0))
            dtype = torch_dtype(space)
            begin = drawn[name].detach().to(dtype) if world.rank == 0 else torch.zeros(source.shape, dtype=dtype)
            self.register_parameter(name, torch.nn.Parameter(Movement(source, space)(begin)))


def torch_dtype(space: DistributedSpace) -> torch.dtype:
    """Return the torch dtype of a space."""
    return torch.from_numpy(np.empty(0, space.dtype)).dtype


def shared_parameter(domain: DistributedSpace, shape: tuple[int, ...]) -> tuple[DistributedSpace, Operator]:
    """Return where a parameter lies that every part of the input needs, and how it gets to each part.

    Where the input is split or copied, the parameter is one vector that all ranks store, and each rank uses a copy of
    its own: ``Replicated -> Copies``. That moves nothing forward, and sums the gradients of all ranks backward. Where
    the input is at one rank or replicated, so is the parameter.

    Parameters
    ----------
    domain : DistributedSpace
        The layer's input.
    shape : tuple of int
        Shape of the parameter.

    Returns
    -------
    stored : DistributedSpace
        Of the parameter.
    copy : Operator
        From there to where it is used.
    """
    used: dict[str, Role] = {a: Copies() if isinstance(r, Split) else r for a, r in domain.roles.items()}
    kept: dict[str, Role] = {a: Replicated() if isinstance(r, Copies) else r for a, r in used.items()}
    stored = DistributedSpace(domain.grid, shape, domain.dtype, **kept)
    return stored, Operator(Movement(stored, stored.with_roles(**used)))


def nothing(shape: tuple[int, ...], *depends_on: torch.Tensor) -> torch.Tensor:
    """Return a tensor of size zero that keeps its place in the graph: backward, it gives everyone zeros.

    Torch's convolutions and poolings refuse empty images. A rank that holds nothing must still take part in the
    backward pass of the movements around them.
    """
    return torch.stack([tensor.sum() for tensor in depends_on]).sum().expand(shape)
