"""The distributed module while it is made, step by step, from the steps of the sequential one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, final

import torch
import torch.fx

from distdl_ops import DistributedSpace, Movement, Replicated, Role, Split
from linop import SpaceError
from torch_bridge.module import Operator

Rule = Callable[..., Any]
"""Makes what becomes of a step: of what has been made so far, the layer if it is one, and the arguments."""


@final
@dataclass(frozen=True)
class Spread:
    """A tensor in the distributed module: the step that makes it, and its space."""

    node: torch.fx.Node
    space: DistributedSpace


@final
class _Batch:
    """The extent of the batch axis, which is not known before the module is called."""

    def __repr__(self) -> str:
        return "batch"


BATCH = _Batch()
"""That extent."""


@final
class Rebuilt:
    """The distributed module, as far as it has been made.

    Parameters
    ----------
    wanted : mapping
        Further arguments of layers, by their names.

    Attributes
    ----------
    root : torch.nn.Module
        Has the layers, by the names that they have in the sequential module.
    graph : torch.fx.Graph
        What is done with them.
    made : dict
        By its name, each layer between its domain and its codomain.
    here : torch.fx.Node
        The step of the sequential module that is next.
    """

    def __init__(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        self.wanted = wanted
        self.root, self.graph = torch.nn.Module(), torch.fx.Graph()
        self.made: dict[str, tuple[DistributedSpace, torch.nn.Module, DistributedSpace]] = {}
        self.here: torch.fx.Node
        self._part: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """Return further arguments of the layer that is next."""
        return dict(self.wanted.get(self.name(), {}))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Go into a layer that consists of others: what is next is the one of this name in it."""
        self._part = (*self._part, name)
        yield
        self._part = self._part[:-1]

    def apply(
        self, layer: torch.nn.Module, codomain: DistributedSpace, *inputs: Spread, name: str | None = None
    ) -> Spread:
        """Let a layer act on tensors. Its name is that of the step, with a number where that is taken."""
        x = inputs[0]
        name = self.name() if name is None else name
        free, k = name, 1
        while free in self.made and self.made[free][1] is not layer:
            free, k = f"{name}_{k}", k + 1
        self.made[free] = x.space, layer, codomain
        if free == "":  # all of the module
            return Spread(x.node, codomain)
        *path, last = free.split(".")
        place = self.root
        for step in path:
            if step not in place._modules:
                place.add_module(step, torch.nn.Module())
            place = place.get_submodule(step)
        place.add_module(last, layer)
        return Spread(self.graph.call_module(free, tuple(y.node for y in inputs)), codomain)

    def move(self, x: Spread, space: DistributedSpace) -> Spread:
        """Return a tensor as it lies in another space."""
        if x.space == space:
            return x
        return self.apply(Operator(Movement(x.space, space)), space, x, name=f"{self.name()}_move")

    def whole(self, x: Spread, dim: Any) -> Spread:
        """Return a tensor of which each rank has one axis whole, counted as torch does."""
        if not isinstance(dim, int):
            raise SpaceError(f"expected one axis as dim, found {dim}")
        axis = axis_of(x.space, dim)
        return self.move(x, replicated_unless(x.space, lambda role: not isinstance(role, Split) or role.axis != axis))

    def call(self, function: Callable[..., Any] | str, space: DistributedSpace, *args: Any, **kwargs: Any) -> Spread:
        """Apply a function, or a method by its name, to what each rank holds."""
        plain = _nodes(args), _nodes(kwargs)
        if isinstance(function, str):
            return Spread(self.graph.call_method(function, *plain), space)
        return Spread(self.graph.call_function(function, *plain), space)

    def name(self) -> str:
        """Return the name of the step that is next, in the module that it belongs to."""
        if self.here.op == "call_module":
            return ".".join(filter(None, (str(self.here.target), *self._part)))
        return ".".join(filter(None, (inside(self.here), self.here.name)))

    def require_last_use(self) -> None:
        """Raise if the tensor that the step that is next changes in place is used again."""
        steps = list(self.here.graph.nodes)
        changed = self.here.args[0]
        assert isinstance(changed, torch.fx.Node)
        if any(steps.index(user) > steps.index(self.here) for user in changed.users):
            raise SpaceError("it changes a tensor in place that is used again")


def _nodes(value: Any) -> Any:
    """Return arguments with the steps that make the tensors in them."""
    if isinstance(value, Spread):
        return value.node
    if isinstance(value, dict):
        return {key: _nodes(part) for key, part in value.items()}
    return type(value)(map(_nodes, value)) if type(value) in (tuple, list) else value


def inside(node: torch.fx.Node) -> str:
    """Return the name of the module that a step belongs to."""
    return next(reversed(node.meta.get("nn_module_stack", {"": None})), "")


def where(node: torch.fx.Node) -> str:
    """Return what a step does, and in which module, for an error."""
    if node.op == "call_module":
        return str(node.target) or "the module"
    what = getattr(node.target, "__name__", str(node.target))
    return f"{what} in {inside(node)}" if inside(node) else what


def tensor(x: Any) -> Spread:
    """Return the argument if it is a tensor; raise otherwise."""
    if not isinstance(x, Spread):
        raise SpaceError(f"expected a tensor, found {x!r}")
    return x


def axis_of(space: DistributedSpace, dim: int) -> int:
    """Return which axis of a space torch means: it counts the batch's as well."""
    axis = dim - 1 if dim >= 0 else dim + space.ndim
    if not 0 <= axis < space.ndim:
        raise SpaceError(f"expected an axis from 1 to {space.ndim}, the batch's is 0; found {dim}")
    return axis


def replicated_unless(space: DistributedSpace, keep: Callable[[Role], bool]) -> DistributedSpace:
    """Return a space that is replicated instead of the roles that are not to be kept."""
    roles = {name: role if keep(role) else Replicated() for name, role in space.roles.items()}
    return space if roles == space.roles else space.with_roles(**roles)
