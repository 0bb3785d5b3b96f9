"""How a whole tensor lies on the ranks of a grid, without its dtype.

A `distdl_ops.DistributedSpace` has a dtype; a tensor of torch may change its own in place (``model.to(bfloat16)``). So
a distributed tensor keeps its *placement*, the grid, the shape and the roles, and its space is made of both when
somebody asks.

A placement is made once for a grid, a shape and roles. Two placements of a rank are equal when they are the same
object: what is decided for one call is found again for the next in a dictionary.
"""

from __future__ import annotations

import functools
import threading
import weakref
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch

from distdl_ops import Copies, DistributedSpace, Grid, Replicated, Split, World
from distdl_ops.layouts.layout import Layout
from distdl_ops.layouts.roles import Role
from distdl_ops.spaces import rearranged
from distdl_ops.worlds.call import key_of
from torch_bridge.tensors.gradients import Gradients

_states: weakref.WeakKeyDictionary[World, State] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


MOST_NEEDED = 1000
"""Of how many calls the gathered weights are remembered, in order to gather them ahead."""


@final
class State:
    """What a rank remembers between calls: its placements, and what it has decided.

    Attributes
    ----------
    placements : dict
        By grid, shape and roles.
    decisions : dict
        By function, placements and other arguments; see `torch_bridge.tensors.call`.
    origin : int
        Which function is carried out now, of what; zero outside of functions.
    gradients : Gradients
        Those that travel while a backward pass computes.
    needed : deque
        The weights that a backward pass will gather, call by call, in the order of the forward pass.
    """

    def __init__(self) -> None:
        self.placements: dict[Any, Placement] = {}
        self.decisions: dict[Any, Any] = {}
        self.origin = 0
        self.gradients = Gradients()
        self.needed: deque[Any] = deque(maxlen=MOST_NEEDED)


def state_of(world: World) -> State:
    """Return what this rank remembers of a world."""
    with _lock:
        return _states.setdefault(world, State())


@final
class Placement:
    """How a whole tensor lies on the ranks of a grid. Made by `place`.

    Attributes
    ----------
    grid : Grid
        The ranks.
    shape : tuple of int
        Shape of the whole tensor.
    roles : dict of str to Role
        One for each grid axis.
    local_shape : tuple of int
        Shape of this rank's part.
    replicated : bool
        Whether every rank of the grid has the whole tensor, the same one.
    """

    def __init__(self, grid: Grid, layout: Layout, state: State) -> None:
        self.grid, self.layout, self.state = grid, layout, state
        self.shape, self.roles = layout.shape, layout.roles
        self.local_shape = layout.shape_at(grid.world.rank)
        self.replicated = all(role.replicated for role in self.roles.values())
        self.size = torch.Size(self.shape)
        self._moves: dict[Placement, Any] = {}
        self._spaces: dict[str, DistributedSpace] = {}

    @functools.cached_property
    def partial(self) -> bool:
        """Whether ranks hold terms of a sum: some role is `Copies`."""
        return any(isinstance(role, Copies) for role in self.roles.values())

    @functools.cached_property
    def key(self) -> int:
        """A number that stands for the grid's axes, the shape and the roles, the same in every process."""
        return key_of(f"{dict(self.grid.axes)} {self.layout}")

    def splits(self, axis: int) -> dict[str, Role]:
        """Return the roles that split a tensor axis, by grid axis, in order."""
        return {name: self.roles[name] for name in self.layout.split_axes(axis)}

    @functools.cached_property
    def cut_axes(self) -> frozenset[int]:
        """Tensor axes that are split between ranks."""
        lengths = self.grid.axes
        return frozenset(role.axis for name, role in self.roles.items() if role.axis is not None and lengths[name] > 1)

    def split_axes(self, axis: int) -> tuple[str, ...]:
        """Return the grid axes that split a tensor axis, in order."""
        return self.layout.split_axes(axis)

    @functools.cached_property
    def flat(self) -> Placement:
        """The placement, or one like it in which each rank holds one interval of each axis, cut by one grid axis."""
        roles = dict(self.roles)
        for axis in range(len(self.shape)):
            names = self.layout.split_axes(axis)
            if len(names) > 1 or (names and self.layout.intervals(axis) is None):
                longest = max(names, key=self.grid.axes.__getitem__)
                roles.update({name: Split(axis) if name == longest else Replicated() for name in names})
        return self if roles == self.roles else place(self.grid, self.shape, roles)

    def space(self, dtype: str) -> DistributedSpace:
        """Return the space of tensors that lie like this, in a dtype of NumPy's."""
        space = self._spaces.get(dtype)
        if space is None:
            space = self._spaces[dtype] = space_of(self, dtype)
        return space

    def having(self, roles: Mapping[str, Role]) -> Placement:
        """Return the placement of the same tensor with other roles along some grid axes."""
        return place(self.grid, self.shape, {**self.roles, **roles})

    def finished(self) -> Placement:
        """Return the placement with every sum over ranks carried out: `Replicated` in place of `Copies`."""
        return self.having({name: Replicated() for name, role in self.roles.items() if isinstance(role, Copies)})

    def whole(self) -> Placement:
        """Return the placement of the whole tensor on every rank."""
        return replicated(self.grid, self.shape)

    def __repr__(self) -> str:
        return str(self.layout)


def place(grid: Grid, shape: Sequence[int], roles: Mapping[str, Role]) -> Placement:
    """Return the placement of a tensor of some shape on a grid, one role for each grid axis. No communication."""
    state = state_of(grid.world)
    shape = tuple(shape)
    key = (grid, shape, tuple(roles[name] for name in grid.axes))
    placement = state.placements.get(key)
    if placement is None:
        layout = Layout(grid.places, shape, roles)
        bound = (grid, shape, tuple(layout.roles.values()))
        placement = state.placements.get(bound)
        if placement is None:
            placement = state.placements[bound] = Placement(grid, layout, state)
        state.placements[key] = placement
    return placement


def replicated(grid: Grid, shape: tuple[int, ...]) -> Placement:
    """Return the placement of a whole tensor on every rank of a grid."""
    return place(grid, shape, dict.fromkeys(grid.axes, Replicated()))


def space_of(placement: Placement, dtype: str) -> DistributedSpace:
    """Return the space of a placement and a dtype, without communication: all ranks have found the same."""
    space = object.__new__(DistributedSpace)
    space.grid = placement.grid
    space._build(placement.shape, dtype, None, placement.roles)
    return space


def placement_of(space: DistributedSpace) -> Placement:
    """Return how the tensors of a space lie."""
    return place(space.grid, space.global_shape, space.roles)


__all__ = ["Placement", "State", "place", "placement_of", "rearranged", "replicated", "space_of", "state_of"]
