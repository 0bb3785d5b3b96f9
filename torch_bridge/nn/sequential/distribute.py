r"""From a sequential module to the distributed one, layer by layer.

The module's forward pass is traced once (by `torch.fx`), and gone through with the space of every tensor in it: each
layer is replaced by the distributed one, whose codomain is the domain of the next. `LAYERS` and `FUNCTIONS` say what
becomes of what:

==============================================  ======================================================================
a layer of `torch_bridge.nn`'s names            the distributed one, with the same arguments
elementwise functions                           stay as they are: so does the space
sums and products of two tensors                where they lie differently, one is moved to where the other lies
concatenation                                   all are moved to where the first lies, that axis whole on every rank
flattening                                      moved to a layout in which a rank's part is a part of the result
softmax along an axis                           moved to a layout in which every rank has the axis whole
everything else                                 refused, by name
==============================================  ======================================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, final

import torch
import torch.fx

from distdl_ops import DistributedSpace
from distdl_ops.spaces import require_spaces
from distdl_ops.worlds.agreement import AgreementError, agreed
from linop import SpaceError
from torch_bridge.nn.layer import from_rank_0
from torch_bridge.nn.parameters import stored_in
from torch_bridge.nn.sequential.functions import FUNCTIONS, METHODS
from torch_bridge.nn.sequential.layers import LAYERS
from torch_bridge.nn.sequential.rebuilt import Rebuilt, Spread, tensor, where


def distribute(
    module: torch.nn.Module,
    domain: DistributedSpace | tuple[DistributedSpace, ...],
    *,
    layers: Mapping[str, Mapping[str, Any]] | None = None,
) -> Any:  # a module; its attributes are known when it is made
    """Return a sequential module's distributed one, with the same weights by the same names. Collective.

    Parameters
    ----------
    module : torch.nn.Module
        Of torch's layers, in `torch.nn.Sequential`, or with a forward pass that `torch.fx` can trace, on tensors with
        one batch axis. It stays as it is. The weights, in the domain's dtype, are those of rank 0; on the others, the
        module may be on torch's device "meta".
    domain : DistributedSpace or tuple of DistributedSpace
        Of the input, without its batch axis: how it is split. A tuple where there are several.
    layers : mapping, optional
        Further arguments for some layers, by their names in the module: ``{"fc1": {"out_axis": "p"}}``, say. Every
        layer takes ``codomain``, a space of its output.

    Returns
    -------
    torch.nn.Module
        Takes this rank's part of the input, and returns its part of the output, whose space is ``codomain``. Dropout
        draws other random numbers than the sequential one.

    Raises
    ------
    SpaceError
        On every rank, with the name of the layer that is in the way, and why.
    AgreementError
        When the modules of the ranks differ.

    Examples
    --------
    >>> from collections import OrderedDict
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (1, 8, 8), "float32", rows=Split(1))
    ...     alone = torch.nn.Sequential(
    ...         OrderedDict(
    ...             conv=torch.nn.Conv2d(1, 4, 3, padding=1),
    ...             relu=torch.nn.ReLU(),
    ...             pool=torch.nn.MaxPool2d(2),
    ...             flatten=torch.nn.Flatten(),
    ...             linear=torch.nn.Linear(64, 10),
    ...         )
    ...     )
    ...     model = distribute(alone, images, layers={"linear": {"out_axis": "rows", "in_axis": None}})
    ...     scores = model(torch.ones(5, *images.shape))                                       # of a batch of five
    ...     return model.codomain.layout, tuple(scores.shape), tuple(model.linear.weight.shape)
    >>> simulate(2, main)[0]
    ((10,) rows=Split(0), (5, 5), (5, 64))
    """
    domains = domain if isinstance(domain, tuple) else (domain,)
    require_spaces("distribute", *domains)
    world = domains[0].grid.world
    wanted = {name: dict(arguments) for name, arguments in (layers or {}).items()}
    state = {name: (tuple(value.shape), value.dtype) for name, value in module.state_dict().items()}
    graph = agreed(
        world,
        "distribute",
        lambda: _traced(module, domains, wanted),
        describe=lambda found: f"{domains}, {wanted}, {module}, {state}, {found}",
    )
    found = _rebuilt(module, graph, domains, wanted)
    lost = sorted(set(state) - set(found.state_dict()))
    if lost:
        raise SpaceError(f"distribute: the forward pass does not use {', '.join(lost)}")
    _load_from_rank_0(found, module)
    kept = dict(module.named_modules())
    for name, part in found.named_modules():
        part.training = kept.get(name, module).training
    trained = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    for name, parameter in found.named_parameters():
        parameter.requires_grad_(trained[name])
    return found


def _traced(module: torch.nn.Module, domains: Sequence[DistributedSpace], wanted: Mapping[str, Any]) -> torch.fx.Graph:
    """Return the steps of a module's forward pass; raise where one of them is not known. No communication."""
    for name, part in module.named_modules():
        if any(hooks for key, hooks in vars(part).items() if key.endswith("_hooks") and "state_dict" not in key):
            raise SpaceError(f"distribute: {name or 'the module'} ({type(part).__name__}): its hooks would be lost")
    first: dict[int, str] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), name) != name:
            raise SpaceError(f"distribute: {name} and {first[id(parameter)]} are the same parameter")
    graph = _steps(module)
    names = sorted({str(node.target) for node in graph.nodes if node.op == "call_module"})
    strange = sorted(w for w in wanted if not any(w == name or w.startswith(f"{name}.") for name in names))
    if strange:
        raise SpaceError(f"distribute: expected arguments for some of the layers {names}, found some for {strange}")
    for node in graph.nodes:
        if node.op == "call_module":
            kind = type(module.get_submodule(node.target))
            if kind not in LAYERS:
                known = ", ".join(sorted(k.__name__ for k in LAYERS))
                raise SpaceError(f"distribute: {where(node)} ({kind.__name__}) is not known; known are {known}")
        elif node.op == "get_attr":
            raise SpaceError(f"distribute: {node.target} is used outside of a layer that is known")
        elif node.target not in {"call_function": FUNCTIONS, "call_method": METHODS}.get(node.op, [node.target]):
            raise SpaceError(f"distribute: {where(node)} is not known")
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    if len(domains) > len(inputs) or any(not node.args for node in inputs[len(domains) :]):
        raise SpaceError(f"distribute: expected the spaces of {len(inputs)} inputs, found {len(domains)}")
    return graph


def _steps(module: torch.nn.Module) -> torch.fx.Graph:
    """Return the forward pass of a module, in which a layer is one step."""
    if type(module) in LAYERS:
        graph = torch.fx.Graph()
        graph.output(graph.call_module("", (graph.placeholder("input"),)))
        return graph
    try:
        return _Tracer().trace(module)
    except Exception as error:
        raise SpaceError(f"distribute: {type(module).__name__} cannot be traced: {error}") from error


@final
class _Tracer(torch.fx.Tracer):
    """Sees each layer of the table, and each other one of torch's, as one step."""

    def is_leaf_module(self, m: torch.nn.Module, module_qualified_name: str) -> bool:
        return type(m) in LAYERS or super().is_leaf_module(m, module_qualified_name)


def _rebuilt(
    module: torch.nn.Module, graph: torch.fx.Graph, domains: Sequence[DistributedSpace], wanted: Mapping[str, Any]
) -> torch.nn.Module:
    """Go through the steps, and return what becomes of them. Collective."""
    build = Rebuilt(wanted)
    found: dict[torch.fx.Node, Any] = {}
    left = list(domains)
    codomain: Any = None
    for node in graph.nodes:
        build.here = node
        args, kwargs = (torch.fx.node.map_arg(part, lambda n: found[n]) for part in (node.args, node.kwargs))
        with _naming(node):
            if node.op == "placeholder":
                found[node] = Spread(build.graph.placeholder(str(node.target)), left.pop(0)) if left else args[0]
            elif node.op == "output":
                build.graph.output(torch.fx.node.map_arg(node.args[0], lambda n: tensor(found[n]).node))
                codomain = torch.fx.node.map_arg(node.args[0], lambda n: found[n].space)
            elif node.op == "call_module":
                part = module.get_submodule(str(node.target))
                found[node] = LAYERS[type(part)](build, part, *args, **kwargs)
            else:
                rule = FUNCTIONS[node.target] if node.op == "call_function" else METHODS[str(node.target)]
                found[node] = rule(build, *args, **kwargs)
    result = build.made[""][1] if "" in build.made else Distributed(build.root, build.graph)
    vars(result).update(domain=domains[0] if len(domains) == 1 else tuple(domains), codomain=codomain)
    return result


class Distributed(torch.fx.GraphModule):
    """What `distribute` makes of a module of several layers.

    Attributes
    ----------
    domain, codomain : DistributedSpace or tuple
        Of its inputs and of its outputs.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.fx.GraphModule:
        found = super().__deepcopy__(memo)
        vars(found).update(domain=vars(self)["domain"], codomain=vars(self)["codomain"])
        return found


@contextmanager
def _naming(node: torch.fx.Node) -> Iterator[None]:
    """Put the name of a step before an error in it, which all ranks raise alike."""
    try:
        yield
    except AgreementError:
        raise
    except (SpaceError, TypeError, ValueError, AssertionError, NotImplementedError) as error:
        raise SpaceError(f"distribute: {where(node)}: {error}") from error


def _load_from_rank_0(found: torch.nn.Module, module: torch.nn.Module) -> None:
    """Set the parameters and buffers to those of rank 0's sequential module. Collective."""
    stored, own, whole = stored_in(found), found.state_dict(), module.state_dict()
    if not stored:
        return
    world = next(iter(stored.values())).space.grid.world
    counts = {name: whole[name] for name in own.keys() - stored.keys()}  # of batches
    (counts, *_) = world.allgather(counts if world.rank == 0 else {}, "distribute")
    with torch.no_grad():
        for name, (space, _) in stored.items():
            own[name].copy_(from_rank_0(space, whole[name].reshape(space.global_shape)))
        for name, count in counts.items():
            own[name].copy_(count)
