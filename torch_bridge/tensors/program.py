"""A rank's local program: what a function of distributed tensors does on this rank's parts, recorded as one graph.

A compiler cannot look into distributed tensors. But what a rank computes is an ordinary program of torch: functions of
its parts, and movements, which are operators that a graph names and does not look into. So a function is run once for
given layouts, forward and backward, and each of torch's operators that it calls is written down. The graph is cut into
a forward and a backward pass (torch's own partitioner), and both are given to a compiler.

A program is of the layouts, shapes, dtypes and modes that it was recorded for, and of all numbers, texts and truth
values that the function and its modules hold: with others, another one is recorded. What a function does with the
*numbers* of a tensor in Python cannot be recorded, and is refused.

Movements are in one order, forward and backward, the same on all ranks: each takes a *token* that the one before it
gave. Its number says which run of the program it is in.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import operator
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, final

import torch
import torch.utils._pytree as pytree
from torch import fx
from torch.autograd.graph import get_gradient_edge
from torch.fx.experimental.proxy_tensor import make_fx
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from distdl_ops.worlds.call import Call
from torch_bridge.compat import TorchDispatchMode, forward_and_backward, plain, without_autocast
from torch_bridge.tensors import context, random
from torch_bridge.tensors.call import wrap
from torch_bridge.tensors.movement import Move
from torch_bridge.tensors.ring import sequence
from torch_bridge.tensors.tensor import DistributedTensor

aten: Any = torch.ops.aten

# -- movements in a graph ----------------------------------------------------------------------------------------------


@final
class Recorded:
    """A movement of a program.

    Attributes
    ----------
    move : Move
        Which one.
    place : str
        Which of the program's movements it is.
    """

    def __init__(self, move: Move, place: str) -> None:
        self.move, self.place = move, place
        self._number = move.source.grid.world.number_function()

    def __call__(self, part: torch.Tensor, run: int) -> torch.Tensor:
        """Move a part in a run of the program."""
        world = self.move.source.grid.world
        if self._number[0] != world.failures:  # ranks that disagreed may have counted otherwise: they begin anew
            self._number = world.number_function()
        moved = self.move.run(part, Call(self._number, (world.failures, run), self.place)).contiguous()
        shared = moved.untyped_storage()._cdata == part.untyped_storage()._cdata
        return moved.clone() if shared else moved


_names = itertools.count()
_recorded: dict[str, Recorded] = {}
"""The movements that graphs name, kept as long as the process lives: a graph may be run at any time."""

_library = torch.library.Library("torch_bridge", "FRAGMENT")
_library.define("move(Tensor part, Tensor token, str name) -> (Tensor, Tensor)")


def _move(part: torch.Tensor, token: torch.Tensor, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Move a part. The token goes with it."""
    recorded = _recorded.get(name)
    if recorded is None:
        raise RuntimeError(f"movement {name!r} of a compiled graph does not exist in this process")
    return recorded(part, int(token)), token.clone()


def _moved_shape(part: torch.Tensor, token: torch.Tensor, name: str) -> tuple[torch.Tensor, torch.Tensor]:
    return part.new_empty(_recorded[name].move.target.local_shape), torch.empty_like(token)


_library.impl("move", _move, "CompositeExplicitAutograd")
torch.library.register_fake("torch_bridge::move", _moved_shape, lib=_library)


# -- recording ---------------------------------------------------------------------------------------------------------


def _refused(reason: str) -> Exception:
    return context.refused(
        f"torch.compile(fullgraph=True) of distributed tensors: {reason}. Leave fullgraph out, or change the function"
    )


class Recorder(TorchDispatchMode):
    """Writes down each of torch's operators that is called, as a graph; tensors from outside are its inputs.

    Parameters
    ----------
    held : list of torch.Tensor
        Arguments, parameters and the like: what may require a gradient.
    """

    records = True

    def __init__(self, held: list[torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.graph = fx.Graph()
        self.inputs: list[torch.Tensor] = []
        self.seeds: dict[int, torch.Tensor] = {}
        self.moves: list[Recorded] = []
        self._held = set(map(id, held))
        self._nodes: Any = WeakTensorKeyDictionary()
        self._memory: dict[int, StorageWeakRef] = {}
        self._last: fx.Node | None = None
        self.token = torch.zeros((), dtype=torch.int64)
        self.input(self.token, "primals")

    def input(self, x: torch.Tensor, kind: str) -> fx.Node:
        """Make a tensor an input of the graph."""
        first = next(iter(self.graph.nodes), None)
        with self.graph.inserting_after(self._last) if self._last else self.graph.inserting_before(first):
            self._last = self.graph.placeholder(f"{kind}_{len(self.inputs)}")
        self.inputs.append(x)
        self._made(x, self._last)
        return self._last

    def _made(self, x: torch.Tensor, node: fx.Node) -> None:
        """Remember what a tensor is in the graph, and its memory."""
        self._nodes[x] = node
        storage = x.untyped_storage()
        self._memory[storage._cdata] = StorageWeakRef(storage)

    def node(self, x: torch.Tensor) -> fx.Node:
        """Return what a tensor is in the graph."""
        node: fx.Node | None = self._nodes.get(x)
        if node is not None:
            return node
        if id(x) not in self._held:
            if x.requires_grad:
                raise _refused(
                    f"a tensor of shape {tuple(x.shape)} requires a gradient, and is neither an argument of the "
                    "function nor held by a module or a variable that it names; give it as an argument"
                )
            if x.untyped_storage()._cdata in self._memory:
                raise _refused("torch lost sight of a tensor on the way from one operator to another")
        return self.input(x, "primals")

    def move(self, move: Move, part: torch.Tensor) -> torch.Tensor:
        """Move a part, as a node of the graph."""
        name = f"{next(_names)} {move.source} to {move.target}"
        self.moves.append(Recorded(move, f"movement {len(self.moves)} of a program"))
        _recorded[name] = self.moves[-1]
        moved, self.token = torch.ops.torch_bridge.move(part, self.token, name)
        return moved  # type: ignore[no-any-return]

    def seed(self, drawn: int) -> torch.Tensor:
        """Return a random number as an input of the graph; what draws the same one again has the same input."""
        return self.seeds.setdefault(drawn, torch.tensor(drawn))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        looks = torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags
        if looks and any(x in self._nodes or id(x) in self._held for x in tensors):
            raise _refused(f"what follows depends on the numbers of a tensor ({func})")
        func, args = _functional(func, args)
        random_state = torch.get_rng_state() if torch.Tag.nondeterministic_seeded in func.tags else None
        with plain():
            result = func(*args, **kwargs)
        if random_state is not None and not torch.equal(random_state, torch.get_rng_state()):
            raise _refused(f"{func} draws random numbers for plain tensors; draw them outside of the function")
        results = result if isinstance(result, list | tuple) else [result]
        if looks or any(isinstance(x, torch.Tensor) and x.is_meta for x in (*results, *tensors)):
            return result  # a constant, or a question about shapes
        node = self.graph.call_function(func, *pytree.tree_map_only(torch.Tensor, self.node, (args, kwargs)))
        for k, x in enumerate(results):
            if isinstance(x, torch.Tensor):
                item = node if x is result else self.graph.call_function(operator.getitem, (node, k))
                self._made(x, item)
        return result


def _functional(func: Any, args: Any) -> Any:
    """Return the operator that says which of its arguments it changes, in place of one that does not say so."""
    if func is not aten.native_batch_norm.default:
        return func, args
    x, weight, bias, mean, _, *rest = args
    if mean is None:
        return aten._native_batch_norm_legit.no_stats, (x, weight, bias, *rest)
    return aten._native_batch_norm_legit.default, args


class _NoNumbers(TorchFunctionMode):
    """Refuses what takes numbers out of tensors behind the recorder's back."""

    TAKE = frozenset((torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.__array__, torch.Tensor.__dlpack__))

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in self.TAKE:
            raise _refused(f"what follows depends on the numbers of a tensor ({func.__name__})")
        return func(*args, **(kwargs or {}))


# -- what a program is of ----------------------------------------------------------------------------------------------

SIMPLE = frozenset((bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size))


def has_distributed(function: Any, args: Any, kwargs: Any) -> bool:
    """Say whether a function is called with distributed tensors, or is of a module that has some."""
    if any(type(x) is DistributedTensor for x in pytree.tree_leaves((args, kwargs))):
        return True
    owner = getattr(function, "__self__", function)
    return isinstance(owner, torch.nn.Module) and isinstance(next(owner.parameters(), None), DistributedTensor)


_TENSOR = object()
"""Stands for a tensor among the results of a program."""


def _state(given: list[Any]) -> tuple[list[torch.Tensor], list[Any]]:
    """Return the tensors that functions, modules and other objects hold, and all else in them that a program is of."""
    tensors: list[torch.Tensor] = []
    key: list[Any] = []
    seen: set[int] = set()
    numbers: dict[int, int] = {}
    waiting = [given]
    while waiting:
        value: Any = waiting.pop()
        if type(value) in SIMPLE:
            key.append(value)
        elif isinstance(value, torch.Tensor):
            number = numbers.setdefault(id(value), len(tensors))
            if number == len(tensors):
                tensors.append(value)
            key += (number, *_described(value))
        elif id(value) not in seen:
            seen.add(id(value))
            waiting += _held(value, key)
    return tensors, key


def _held(value: Any, key: list[Any]) -> list[Any]:
    """Return what a value holds; note what else it is."""
    kind = type(value)
    if isinstance(value, dict):
        key += (kind, *value)
        return list(value.values())
    if isinstance(value, list | tuple):
        key += (kind, len(value))
        return list(value)
    if isinstance(value, set | frozenset):
        key.append(frozenset(value))
        return []
    if isinstance(value, torch.nn.Module):
        held = vars(value)
        key.append(value)
        key += (item for item in held.values() if type(item) in SIMPLE)
        return [item for item in held.values() if type(item) not in SIMPLE and (item or not isinstance(item, dict))]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if inspect.ismethod(value):
        return [value.__func__, value.__self__]
    if inspect.isfunction(value):
        key.append(value)
        if (value.__module__ or "").startswith(("torch.", "torch_bridge.", "distdl_ops.")):
            return []
        variables = inspect.getclosurevars(value)
        return [variables.nonlocals, variables.globals, value.__defaults__, value.__kwdefaults__]
    key.append(kind if isinstance(value, types.ModuleType) or hasattr(value, "__dict__") else value)
    return [] if isinstance(value, types.ModuleType | type) else [getattr(value, "__dict__", None)]


def _described(x: torch.Tensor) -> tuple[Any, ...]:
    """Return what a program is of, of a tensor; the same on all ranks."""
    if type(x) is DistributedTensor:
        return x._placement, x.dtype, x.requires_grad, x.device
    return tuple(x.shape), x.dtype, x.requires_grad, x.device


def _modes() -> tuple[Any, ...]:
    """Return what else decides what a function does."""
    return (
        torch.is_grad_enabled(),
        context.autocast(),
        context.gathering.get(),
        sequence.get(),
        torch.get_default_dtype(),
    )


@final
class Programs:
    """A function, and the programs that were recorded of it.

    Parameters
    ----------
    function : callable
        A function or a module.
    otherwise : callable
        What is called where there is no distributed tensor.
    compiler : callable
        Takes a graph and examples of its inputs, and returns a function.
    """

    def __init__(self, function: Any, otherwise: Callable[..., Any], compiler: Callable[..., Any]) -> None:
        self.function, self.otherwise, self.compiler = function, otherwise, compiler
        self._programs: dict[Any, Program] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function: by its program for these arguments, recorded where there is none."""
        if context.recording() is not None:
            return self.function(*args, **kwargs)
        if isinstance(self.function, torch.nn.Module) and not has_distributed(self.function, args, kwargs):
            return self.otherwise(*args, **kwargs)
        leaves, tree = pytree.tree_flatten((args, kwargs))
        with plain():
            given = [x for x in leaves if isinstance(x, torch.Tensor)]
            holding = [self.function, [x for x in leaves if not isinstance(x, torch.Tensor)]]
            tensors, state = _state([*given, holding])
            asked = (tree, _modes(), *(isinstance(x, torch.Tensor) for x in leaves), *state)
        if not any(type(x) is DistributedTensor for x in tensors):
            return self.otherwise(*args, **kwargs)
        try:
            program = self._programs.get(asked)
        except TypeError:
            raise _refused("an argument is neither a tensor nor has it a hash") from None
        if program is None:
            program = Program(self.function, leaves, tree, tensors, self.compiler)
            with plain():
                if _state([*given, holding])[1] != state:
                    raise _refused("it changes what its modules or variables hold besides tensors")
            self._programs[asked] = program
        with plain():
            return program(tensors)


@final
class Program:
    """What a rank does in a function of distributed tensors, forward and backward.

    Parameters
    ----------
    function : callable
        It is called once. Collective.
    leaves, tree
        Its arguments.
    tensors : list of torch.Tensor
        What its arguments, modules and variables hold.
    compiler : callable
        Takes a graph and examples of its inputs, and returns a function.
    """

    def __init__(
        self, function: Any, leaves: list[Any], tree: Any, tensors: list[torch.Tensor], compiler: Callable[..., Any]
    ) -> None:
        given = {id(x): x for x in leaves if isinstance(x, torch.Tensor)}
        copies = {k: x if x.is_leaf and x.requires_grad else _copy(x) for k, x in given.items()}
        held = [copies.get(id(x), x) for x in tensors]
        args, kwargs = pytree.tree_unflatten([copies.get(id(x), x) for x in leaves], tree)
        recording = Recorder([*held, *(x for x in tensors if not x.requires_grad)])
        with _as_it_was(tensors), recording:
            with _NoNumbers():
                result = function(*args, **kwargs)
            outputs = self._record(recording, result, held)
        places = {id(x): k for of in (tensors, held) for k, x in enumerate(of)}
        tangents, drawn = (set(map(id, of)) for of in (self.tangents, recording.seeds.values()))
        inputs = [x for x in recording.inputs if id(x) not in tangents]
        self._inputs = [places.get(id(x), x) for x in inputs]
        self._input_strides = [x.stride() for x in inputs]
        self._seeds = [k for k, x in enumerate(inputs) if id(x) in drawn]
        self._gradients = [self._gradients_of.get(id(x)) for x in inputs]
        self._worlds = list(dict.fromkeys(recorded.move.source.grid.world for recorded in recording.moves))
        self._runs = (0, 0)
        with plain(), torch.no_grad():
            recording.graph.output(outputs)
            self._compile(recording, compiler)

    def _record(self, recording: Recorder, result: Any, held: list[torch.Tensor]) -> list[Any]:
        """Write down the backward pass, and return what the graph returns, forward and backward."""
        results, self._tree = pytree.tree_flatten(result)
        made = [x for x in results if isinstance(x, torch.Tensor)]
        self._results = [_TENSOR if isinstance(x, torch.Tensor) else x for x in results]
        self._placements = [x._placement if type(x) is DistributedTensor else None for x in results]
        outputs: list[Any] = [*map(recording.node, made), recording.node(recording.token)]
        self._forward_outputs = len(outputs)
        differentiable = [x for x in made if x.requires_grad]
        self.no_gradient = [k for k, x in enumerate(made) if not x.requires_grad]
        with plain():
            self.tangents = [torch.ones(x.shape, dtype=x.dtype, device=x.device) for x in differentiable]
            self._tangent_strides = [x.stride() for x in self.tangents]
        sources = list({id(x): x for x in held if x.requires_grad}.values())
        self._gradients_of: dict[int, int] = {}
        if not differentiable:
            return outputs
        for x in self.tangents:
            recording.input(x, "tangents")
        with plain():
            parts, edges = [x.view_as(x) for x in differentiable], [get_gradient_edge(x) for x in sources]
        ours = torch.autograd.grad(parts, edges, self.tangents, allow_unused=True)  # hooks see distributed tensors
        reached = [(x, g) for x, g in zip(sources, ours, strict=True) if g is not None]
        self._gradients_of = {id(x): k for k, (x, _) in enumerate(reached)}
        return [*outputs, *(recording.node(g) for _, g in reached), recording.node(recording.token)]

    def _compile(self, recording: Recorder, compiler: Callable[..., Any]) -> None:
        """Give both passes to a compiler. No communication."""
        names = [node.target for node in recording.graph.find_nodes(op="placeholder")]
        graph: Any = torch.func.functionalize(fx.GraphModule(torch.nn.Module(), recording.graph), remove="mutations")
        joint = make_fx(graph, tracing_mode="fake")(*(x.detach().as_subclass(torch.Tensor) for x in recording.inputs))
        inputs = joint.graph.find_nodes(op="placeholder")
        for node, name in zip(inputs, names, strict=True):
            node.name = node.target = name
        copied = joint.graph.find_nodes(op="call_function", target=aten.copy_.default)
        changes = [node for node in copied if node.args[0].op == "placeholder"]
        (end,) = joint.graph.find_nodes(op="output")
        returned = list(end.args[0])
        returned[self._forward_outputs : self._forward_outputs] = [node.args[1] for node in changes]
        end.args = (returned,)
        changed = [node.args[0].name for node in changes]
        for node in changes:
            if recording.inputs[inputs.index(node.args[0])].requires_grad:
                raise _refused("it changes an argument or a parameter that requires a gradient")
            node.replace_all_uses_with(node.args[1], lambda user: user is not end)
            joint.graph.erase_node(node)
        if self.tangents:
            count = self._forward_outputs + len(changed)
            forward, backward = forward_and_backward(joint, count)
            self._backward = _compiled(backward, compiler)
        else:
            forward = joint
        self._forward = _compiled(_changing(forward, self._forward_outputs, changed), compiler)

    def __call__(self, held: list[torch.Tensor]) -> Any:
        """Run the program on tensors in place of those that it was recorded for. Collective."""
        failures = sum(world.failures for world in self._worlds)
        self._runs = failures, self._runs[1] + 1 if self._runs[0] == failures else 1
        inputs = [held[x] if type(x) is int else x for x in self._inputs]
        inputs[0] = torch.tensor(self._runs[1])
        for k in self._seeds:
            inputs[k] = torch.tensor(random.seed())
        made = iter(_Run.apply(self, *inputs))  # type: ignore[no-untyped-call]
        results: list[Any] = []
        for placement, constant in zip(self._placements, self._results, strict=True):
            x: Any = next(made) if constant is _TENSOR else constant
            results.append(x if placement is None else wrap(x, placement))
        return pytree.tree_unflatten(results, self._tree)

    def forward(self, inputs: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Return the results, and what the backward pass needs."""
        with without_autocast():
            made = self._forward(*map(_restrided, inputs, self._input_strides))
        return made[: self._forward_outputs - 1], made[self._forward_outputs :]

    def backward(self, saved: Sequence[torch.Tensor], tangents: Sequence[torch.Tensor]) -> list[torch.Tensor | None]:
        """Return the gradients of the inputs."""
        with without_autocast():
            made = self._backward(*saved, *map(_restrided, tangents, self._tangent_strides))
        return [None if k is None else made[k] for k in self._gradients]


class _Run(torch.autograd.Function):
    """A run of a program, as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, program: Program, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        results, saved = program.forward(inputs)
        ctx.program = program
        ctx.save_for_backward(*saved)
        ctx.mark_non_differentiable(*(results[k] for k in program.no_gradient))
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        if torch.is_grad_enabled():
            raise _refused("a compiled program has no second derivatives (create_graph=True)")
        program = ctx.program
        with plain():
            tangents = [g for k, g in enumerate(gradients) if k not in program.no_gradient]
            return None, *program.backward(ctx.saved_tensors, tangents)


def _compiled(graph: fx.GraphModule, compiler: Callable[..., Any]) -> Any:
    """Return what a compiler makes of a graph."""
    graph.graph.lint()
    graph.recompile()
    return compiler(graph, [node.meta["val"] for node in graph.graph.find_nodes(op="placeholder")])


def _changing(graph: fx.GraphModule, first: int, changed: list[str]) -> fx.GraphModule:
    """Return a graph that changes inputs: their new values are among its outputs, from one on."""
    (end,) = graph.graph.find_nodes(op="output")
    outputs = list(end.args[0])
    values, outputs[first : first + len(changed)] = outputs[first : first + len(changed)], []
    inputs = {node.name: node for node in graph.graph.find_nodes(op="placeholder")}
    with graph.graph.inserting_before(end):
        for k, x in enumerate(outputs):
            if x is not None and x.name in changed:  # what it was before
                outputs[k] = graph.graph.call_function(aten.clone.default, (x,))
                outputs[k].meta = dict(x.meta)
        for name, value in zip(changed, values, strict=True):
            graph.graph.call_function(aten.copy_.default, (inputs[name], value)).meta = dict(inputs[name].meta)
    end.args = (outputs,)
    return graph


def _copy(x: torch.Tensor) -> torch.Tensor:
    """Return a tensor with the same numbers, on its own."""
    with plain():
        copied = x.detach().clone()
        if type(x) is DistributedTensor:
            wrap(copied, x._placement)
        return copied.requires_grad_(x.requires_grad)


@contextlib.contextmanager
def _as_it_was(tensors: list[torch.Tensor]) -> Iterator[None]:
    """Undo, afterwards, what a recording changes: random numbers that were drawn, statistics; and call no hooks."""
    with plain():
        before = [(x, _copy(x)) for x in tensors if not x.requires_grad]
        hooks = [(x, x._backward_hooks) for x in tensors if x.is_leaf and x._backward_hooks]
        state = torch.get_rng_state()
        for x, _ in hooks:
            x._backward_hooks = None
    try:
        yield
    finally:
        with plain(), torch.no_grad():
            torch.set_rng_state(state)
            for x, value in before:
                x.copy_(value)
            for x, hook in hooks:
                x._backward_hooks = hook


def _restrided(x: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    """Return a plain tensor whose entries lie in memory as those of the one that was recorded."""
    x = x.as_subclass(torch.Tensor)  # what compilers know
    return x if x.stride() == stride else torch.empty_strided(x.shape, stride, dtype=x.dtype, device=x.device).copy_(x)
