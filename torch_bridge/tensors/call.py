"""How a function of torch is called on distributed tensors: move the arguments, call on the parts, wrap the result.

A *rule* says this for one function. It sees the call with a `Spec` in place of each tensor (how it lies, its dtype,
never its numbers), and returns a `Plan`: which placement each tensor argument must have, what each rank computes on its
parts (torch's own function, unless the rule says otherwise), and how the result lies. What is computed from what a rule
cannot see cannot be kept, so a plan is kept for the next call with the same function, placements and other arguments.

A rule may return a function of the call's own arguments instead: the call is then a composition of functions that have
rules.

============================  ==========================================================================
`rule`                        registers a rule for functions of torch
`Spec`, `Call`, `Plan`        what a rule sees, and what it returns
`dispatch`                    carries a call out
============================  ==========================================================================
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, final

import numpy as np
import torch

from distdl_ops import Grid
from distdl_ops.worlds.call import key_of
from torch_bridge.compat import below_autograd, is_registered_operator, plain, saved_tensors_hooks
from torch_bridge.tensors import context, sharding, views
from torch_bridge.tensors.movement import move_between, origin_of
from torch_bridge.tensors.placement import Placement, replicated

F = TypeVar("F", bound=Callable[..., Any])
Rule = Callable[..., Any]

RULES: dict[Any, Any] = {}
"""Rules by function."""

DIRECT: dict[Any, Callable[..., Any]] = {}
"""What is called in place of a function, without any decision: attributes, methods of the tensor as an object."""

IN_PLACE: dict[Any, Any] = {}
"""The function that returns a fresh result, for each that changes its first argument."""

VIEWS: set[Any] = set()
"""Functions whose result shares its argument's memory."""

KEYED: dict[Any, Callable[[], Any]] = {}
"""What decisions on a function depend on besides its arguments."""

MOST_DECISIONS = 20_000
"""Decisions are forgotten when there are more."""


@final
@dataclass(frozen=True, slots=True)
class Spec:
    """A tensor argument as a rule sees it.

    Attributes
    ----------
    placement : Placement
        How it lies. A plain tensor counts as replicated.
    dtype : torch.dtype
        Its dtype.
    distributed : bool
        Whether it is a `DistributedTensor`.

    Examples
    --------
    >>> from distdl_ops import Grid, Split, simulate
    >>> from torch_bridge.tensors.placement import place
    >>> def main(world):
    ...     x = Spec(place(Grid(world, rows=2), (4, 6), {"rows": Split(0)}), torch.float32)
    ...     return x.shape, x.ndim, x.axis(-1), x.placement.local_shape
    >>> simulate(2, main)[0]
    (torch.Size([4, 6]), 2, 1, (2, 6))
    """

    placement: Placement
    dtype: torch.dtype
    distributed: bool = True

    @property
    def shape(self) -> torch.Size:
        """Shape of the whole tensor."""
        return self.placement.size

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.placement.shape)

    def numel(self) -> int:
        """Return the number of entries of the whole tensor."""
        return math.prod(self.placement.shape)

    def axis(self, dim: int) -> int:
        """Return an axis counted from the first one; raise an IndexError as torch does."""
        n = max(self.ndim, 1)
        if not -n <= dim < n:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})")
        return dim % n


@final
class Call:
    """A call as a rule sees it, with a `Spec` for each tensor; or as it is carried out, with this rank's parts.

    Attributes
    ----------
    function : callable
        Of torch.
    args : tuple
        Positional arguments.
    kwargs : dict
        Keyword arguments.
    operands : list of Spec
        The tensors among them, in order.
    grid : Grid
        That of the distributed ones.

    Examples
    --------
    A rule for several functions asks which one it is:

    >>> def keeps(call: Call) -> bool:
    ...     return call.function in (torch.sin, torch.cos)
    """

    __slots__ = ("args", "function", "grid", "kwargs", "operands")

    def __init__(
        self, function: Any, args: Sequence[Any], kwargs: dict[str, Any], operands: list[Any], grid: Grid
    ) -> None:
        self.function, self.args, self.kwargs, self.operands, self.grid = function, args, kwargs, operands, grid

    def run(self, *parts: torch.Tensor) -> Any:
        """Call torch's function with these tensors in place of the operands."""
        rest = iter(parts)
        args, kwargs = (_replaced(given, rest) for given in (self.args, self.kwargs))
        return self.function(*args, **kwargs)

    def meta(self) -> Any:
        """Return what the function returns for whole tensors, on torch's meta device: shapes and dtypes, no numbers.

        Its tensors require a gradient where they can have one. Where torch cannot say this, the whole tensors are
        gathered.
        """
        return self.meta_of([torch.empty(spec.shape, dtype=spec.dtype, device="meta") for spec in self.operands])

    def meta_of(self, parts: Sequence[torch.Tensor], keep: Any = None) -> Any:
        """Return what the function returns for such whole tensors; those that can, are made to require a gradient.

        Parameters
        ----------
        parts : sequence of torch.Tensor
            The operands, of the shapes of the whole tensors.
        keep : callable, optional
            Takes each tensor that autograd saves, and returns what is to be saved in its place.

        Raises
        ------
        _UnknownShapeError
            When the function cannot be run on them.
        """
        for part in parts:
            part.requires_grad_(part.is_floating_point() or part.is_complex())
        try:
            with (
                torch.enable_grad(),
                torch.autograd.graph.saved_tensors_hooks(keep or _itself, _itself),
            ):  # none of the user's
                return self.run(*(part.clone() for part in parts))
        except Exception as error:  # whatever torch says; the call on whole tensors will say it again, or succeed
            raise _UnknownShapeError from error

    @property
    def name(self) -> str:
        """The function's name."""
        return function_name(self.function)


def _itself(x: Any) -> Any:
    return x


class _UnknownShapeError(Exception):
    """Torch cannot say what a function returns without numbers."""


@final
@dataclass(slots=True)
class Plan:
    """What a rule decides.

    Attributes
    ----------
    targets : sequence of Placement
        Where each operand must lie.
    results : Placement, or tuple, or list
        How the result lies; of several results, one for each, None for what is no tensor.
    compute : callable, optional
        ``compute(call, *parts)`` returns this rank's part of the result; by default torch's own function of the parts.
    total : bool, optional
        Whether sums over ranks are carried out before the result is returned, so that it is no partial sum.
    skip : bool, optional
        Whether a rank whose part of the result is empty need not call the function; False where ``compute``
        communicates, or where empty parts cost nothing.
    note : str, optional
        What `torch_bridge.explain` says of it.
    changes : bool, optional
        Whether the first operand is changed in place.

    Examples
    --------
    A function of entries wants its operand as it lies, and its result lies there too:

    >>> from torch_bridge.tensors import Call, Spec
    >>> def plan(call: Call, x: Spec) -> Plan:
    ...     return Plan([x.placement], x.placement)
    """

    targets: Sequence[Placement]
    results: Any
    compute: Callable[..., Any] | None = None
    total: bool = False
    skip: bool = True
    note: str = ""
    changes: bool = False
    moves: list[Any] = field(default_factory=list, init=False)
    moved: bool = field(default=False, init=False)
    empty: Any = field(default=None, init=False)
    number: int = field(default=0, init=False)


def rule(*functions: Any, replaces: bool = False) -> Callable[[F], F]:
    """Register what functions of torch need. A decorator.

    Parameters
    ----------
    *functions : callable
        Functions as `torch.overrides` knows them: ``torch.softmax``, ``torch.Tensor.softmax``,
        ``torch.nn.functional.softmax``.
    replaces : bool, optional
        Whether the rule may take the place of one that a function has.

    Returns
    -------
    callable
        Takes a rule: a function of a `Call` and the call's arguments, with a `Spec` in place of each tensor, that
        returns a `Plan`, or a function of the call's own arguments that is called in its place.

    Raises
    ------
    ValueError
        When a function has another rule already.

    Examples
    --------
    A function that mixes the last axis only may have all others split:

    >>> import torch
    >>> from torch_bridge.tensors.call import Plan, rule
    >>> from torch_bridge.tensors.axes import bring_together
    >>> @rule(torch.cummax, replaces=True)
    ... def cummax(call, x, dim):
    ...     source = bring_together(x.placement, [x.axis(dim)])
    ...     return Plan([source], (source, source))
    """

    def register(function: F) -> F:
        for of in functions:
            known = RULES.setdefault(of, function)
            if known is not function:
                if not replaces:
                    raise ValueError(
                        f"rule: {function_name(of)} has the rule {known.__module__}.{known.__qualname__}, not "
                        f"{function.__module__}.{function.__qualname__}; write rule(..., replaces=True) to replace it"
                    )
                RULES[of] = function
        return function

    return register


def rule_of_intervals(*functions: Any) -> Callable[[F], F]:
    """Register a rule that wants each rank to hold one interval of each axis, cut by one grid axis. A decorator.

    Operands that lie in another way (`Cyclic`, several grid axes on one tensor axis) are moved first.
    """

    def register(function: F) -> F:
        OF_INTERVALS.add(function)
        return rule(*functions)(function)

    return register


OF_INTERVALS: set[Any] = set()
"""Rules for which `rule_of_intervals` was used."""


def direct(*functions: Any) -> Callable[[F], F]:
    """Register what is called in place of functions, with their arguments as they are. A decorator."""

    def register(function: F) -> F:
        for of in functions:
            DIRECT[of] = function
        return function

    return register


def dispatch(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Carry out a call that has a distributed tensor among its arguments."""
    instead = DIRECT.get(function)
    if instead is not None:
        return instead(*args, **kwargs)
    if is_registered_operator(function) and below_autograd():  # seen by a user's mode, with this rank's part
        with plain():
            return function(*args, **kwargs)
    with plain():
        values: list[Any] = []
        placements: list[Any] = []
        key: list[Any] = [function, _autocast("cpu") and context.autocast()]
        numbers = function not in SCALE_FREE
        free: list[Any] = []
        if function in KEYED:
            key.append(KEYED[function]())
        for given in args:
            kind = type(given)
            if kind is _class:
                values.append(given)
                placement = given._placement
                placements.append(placement)
                key.append(placement)
                key.append(given.dtype)
            elif kind in NUMBERS:
                key.append(kind)
                if numbers:
                    key.append(given)
                else:
                    free.append(given)
            else:
                _add(given, values, placements, key, numbers, free)
        for name, given in kwargs.items():
            key.append(name)
            _add(given, values, placements, key, numbers, free)
        state = next(p for p in placements if p is not None).state
        decisions = state.decisions
        asked = tuple(key)
        try:
            plan = decisions.get(asked)
        except TypeError:  # an argument that cannot be part of a key
            plan, asked = None, ()
        if plan is None:
            plan = _decide(function, args, kwargs, values, placements)
            if type(plan) is Plan or type(plan) is AsItIs:
                plan.number = hash(
                    (key_of(function_name(function)), number_of(args, numbers), number_of(kwargs, numbers))
                )
            if asked and context.recorder.get() is None:
                if len(decisions) >= MOST_DECISIONS:
                    decisions.clear()
                decisions[asked] = plan
        recorder = context.recorder.get()
        if recorder is not None:
            recorder.note(function, plan, values, placements)
        result: Any
        number = getattr(plan, "number", 0)
        if free:  # numbers that are no part of the decision
            number = hash((number, *map(number_of, free)))
        if type(plan) is AsItIs:
            if saved_tensors_hooks(False) is None or function in IN_PLACE:
                result = plan.wrapped(function(*args, **kwargs), values)
            else:
                parts = [value.view_as(value) if type(value) is _class else value for value in values]
                result = plan.wrapped(Call(function, args, kwargs, values, plan.grid).run(*parts), parts, True)
            _named(result, origin_of(number, values))
        elif type(plan) is Plan:
            before, state.origin = state.origin, origin_of(number, values)
            try:
                result = _carry_out(plan, number, function, args, kwargs, values)
                _named(result, state.origin)
            finally:
                state.origin = before
    if type(plan) is not AsItIs and type(plan) is not Plan:
        result = plan(*args, **kwargs)
        if views.changes(function) and type(values[0]) is _class:
            number = hash((key_of(function_name(function)), number_of(args), number_of(kwargs)))
            _named(values[0], origin_of(number, values))
        return result
    if function in VIEWS:
        views.mark(result, function, args, kwargs, plan.moves[0] if type(plan) is Plan else None)
    elif "_copied_view" in values[0].__dict__ and (plan.changes if type(plan) is Plan else views.changes(function)):
        views.write_back(values[0], function)
    return result


def _named(result: Any, origin: int) -> None:
    """Let movements of a call's results say what these were computed from."""
    if type(result) is _class:
        result.__dict__["_origin"] = origin
    elif isinstance(result, list | tuple):
        for k, item in enumerate(result):
            _named(item, origin + k)


NUMBERS = frozenset((int, float, complex, bool))
_autocast = torch.is_autocast_enabled


def _carry_out(
    plan: Plan, number: int, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], values: list[Any]
) -> Any:
    """Move the operands, compute, and wrap the result."""
    packed = saved_tensors_hooks(False) is not None and not plan.changes
    if not plan.moved and plan.compute is None and plan.empty is None and not packed:
        result = function(*args, **kwargs)
        parts = values
    else:
        parts = [
            value if move is None else _moved(value, move, number)
            for value, move in zip(values, plan.moves, strict=True)
        ]
        weights = sharding.given_up(values, plan.moves) if plan.moved else []
        if plan.empty is not None:
            result = _connected(plan.empty, parts)
        else:
            if packed:  # hooks of saved tensors see this rank's parts, not the whole tensors that a part is to Python
                parts = [part.view_as(part) if type(part) is _class else part for part in parts]
            call = Call(function, args, kwargs, values, None)  # type: ignore[arg-type]
            with sharding.packed(weights, values, parts):
                result = call.run(*parts) if plan.compute is None else plan.compute(call, *parts)
        if weights:
            result = sharding.prepared(result, weights)
    if plan.changes:
        values[0]._placement = plan.results
        return values[0]
    if type(plan.results) is AsItIs:
        return plan.results.wrapped(result, values, plan.moved)
    if type(result) is torch.Tensor:
        for value in values:
            if result is value:
                result = result.view_as(result)  # an argument of the user's stays what it is
    return _wrapped(result, plan.results, plan, function)


def _moved(value: torch.Tensor, move: Any, function: int) -> torch.Tensor:
    """Return an operand's part where a function needs it. What was summed over ranks once is not summed again."""
    if not move.source.partial:
        return move(value, None, function)  # type: ignore[no-any-return]
    kept = value.__dict__.get("_summed")
    if kept is not None and kept[0] is move and kept[1] == value._version and kept[2] == torch.is_grad_enabled():
        return kept[3]  # type: ignore[no-any-return]
    moved = move(value)
    value._summed = (move, value._version, torch.is_grad_enabled(), moved)  # type: ignore[attr-defined]
    return moved  # type: ignore[no-any-return]


def _wrapped(result: Any, placement: Any, plan: Plan, function: Any) -> Any:
    """Return a result, each of its tensors as a distributed one."""
    if type(placement) is Placement:
        part = _tensor(result, placement, function)
        if plan.total and placement.partial:
            target = placement.finished()
            part = _tensor(move_between(placement, target)(part), target, function)
        return part
    if placement is None:
        return result
    return _as(result, [_wrapped(item, p, plan, function) for item, p in zip(result, placement, strict=True)])


def _as(given: Any, items: list[Any]) -> Any:
    """Return items as a list, a tuple, or one of torch's named tuples, as what is given."""
    if isinstance(given, list):
        return items
    return type(given)(items) if hasattr(given, "n_fields") else tuple(items)


def _tensor(part: Any, placement: Placement, function: Any) -> Any:
    """Return this rank's part as a distributed tensor."""
    if type(part) is _class and part._placement is placement:
        return part
    if tuple(part.shape) != placement.local_shape:
        raise AssertionError(
            f"{function_name(function)}: the rule says a part of shape {placement.local_shape}, "
            f"this rank computed {tuple(part.shape)}: the rule is wrong"
        )
    return wrap(part.view_as(part) if type(part) is _class else part, placement)


_class: Any = None


def set_class(cls: Any) -> None:
    """Tell which class distributed tensors have; `tensor` does so, which imports this module."""
    global _class  # noqa: PLW0603
    _class = cls


def wrap(part: torch.Tensor, placement: Placement) -> Any:
    """Make this rank's part, a tensor that nobody else uses, a distributed tensor."""
    part.__class__ = _class
    part._placement = placement  # type: ignore[attr-defined]
    return part


def _connected(shapes: Any, parts: list[torch.Tensor]) -> Any:
    """Return empty results that keep the operands' place in the graph: no rank is missing in a backward pass."""
    if isinstance(shapes, list | tuple):
        return _as(shapes, [_connected(shape, parts) for shape in shapes])
    if shapes is None:
        return None
    dtype = shapes.dtype
    result = torch.zeros(shapes.shape, dtype=dtype, device=parts[0].device)
    for k, part in enumerate(parts):
        if k in shapes.depends and part.requires_grad and torch.is_grad_enabled():
            nothing = part.reshape(-1)[:0]
            if shapes.saves:  # a checkpoint runs again when what it saved is asked for: on all ranks or on none
                nothing = nothing * nothing.detach()
            nothing = nothing.sum()
            result = result + (nothing.real if part.is_complex() and not dtype.is_complex else nothing).to(dtype)
    return result


# -- what a call is ----------------------------------------------------------------------------------------------------


SCALE_FREE: set[Any] = set()
"""Functions of whose plans numbers among the arguments are no part: they may change from call to call."""


def _add(given: Any, values: list[Any], placements: list[Any], key: list[Any], numbers: bool, free: list[Any]) -> None:
    """Add an argument to a call's tensors and to its key, all of it that a rule sees; to `free` what it does not."""
    kind = type(given)
    if kind is _class:
        values.append(given)
        placement = given._placement
        placements.append(placement)
        key += (placement, given.dtype)
    elif isinstance(given, torch.Tensor):
        values.append(given)
        placements.append(None)
        key += (given.shape, given.dtype)
    elif isinstance(given, list | tuple):
        key += (kind, len(given))
        for item in given:
            _add(item, values, placements, key, numbers, free)
    elif kind is slice:
        key += (slice, given.start, given.stop, given.step)
    elif kind is dict:
        key += (dict, *given)
        for item in given.values():
            _add(item, values, placements, key, numbers, free)
    elif kind in NUMBERS and not numbers:
        key.append(kind)
        free.append(given)
    else:
        key += (kind, given)


def number_of(given: Any, numbers: bool = True) -> int:
    """Return a number for an argument as the user wrote it, the same in every process; 0 for what ranks may differ in.

    Parameters
    ----------
    given : Any
        An argument. Tensors, devices and other objects are not compared.
    numbers : bool, optional
        Whether numbers count.
    """
    kind = type(given)
    if kind in NUMBERS or isinstance(given, np.number | np.bool_):
        if not numbers:
            return 1
        if given != given:  # the hash of NaN is another one for each object
            return 2
        return hash((given, bool(given == -1)))  # -1 and -2 have the same hash
    if given is None:
        return 3
    if kind is str:
        return 0 if given.partition(":")[2].isdigit() else key_of(given)  # each rank may have a device, "cuda:1"
    if kind is slice:
        return hash((4, number_of(given.start), number_of(given.stop), number_of(given.step)))
    if isinstance(given, list | tuple):
        return hash((5, *[number_of(item, numbers) for item in given]))
    if kind is dict:
        return hash((6, *[(number_of(name), number_of(item, numbers)) for name, item in given.items()]))
    return key_of(str(given)) if kind in (torch.dtype, torch.memory_format) else 0


def _replaced(given: Any, parts: Iterator[Any]) -> Any:
    """Return an argument with its tensors replaced, in order."""
    kind = type(given)
    if isinstance(given, torch.Tensor) or kind is Spec:
        return next(parts)
    if kind is list:
        return [_replaced(item, parts) for item in given]
    if isinstance(given, tuple):
        items = [_replaced(item, parts) for item in given]
        return kind(*items) if hasattr(given, "_fields") else tuple(items)
    if kind is dict:
        return {name: _replaced(item, parts) for name, item in given.items()}
    return given


# -- deciding ----------------------------------------------------------------------------------------------------------


def _decide(
    function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], values: list[Any], placements: list[Any]
) -> Any:
    """Return the plan of a call, or what is to be called in its place."""
    grid = _grid(function, placements)
    specs = [
        Spec(
            replicated(grid, tuple(value.shape)) if placement is None else placement, value.dtype, placement is not None
        )
        for value, placement in zip(values, placements, strict=True)
    ]
    rest = iter(specs)
    call = Call(function, _replaced(tuple(args), rest), _replaced(kwargs, rest), specs, grid)
    if function not in ALWAYS and all(spec.placement.replicated for spec in specs):
        return AsItIs(grid)
    if kwargs.get("out") is not None:
        return _written_to_out(function)
    found = RULES.get(function)
    try:
        if found is not None:
            plan = _asked(found, call)
        elif function in IN_PLACE:
            plan = _in_place(call)
        elif context.gathering.get() or _namespace(function) in ("aten", "prims", "torch_nn"):
            plan = gather(call)
        else:
            plan = context.composite(function)
            if plan is None:
                plan = _refuse(call)
        return complete(plan, call)
    except _UnknownShapeError:
        return complete(gather(call), call)


def _namespace(function: Any) -> str:
    """Return the namespace of one of torch's registered operators; an empty text of other functions."""
    name = getattr(function, "_qualified_op_name", "")
    return str(getattr(function, "namespace", name.partition("::")[0]))


def _asked(rule: Rule, call: Call) -> Any:
    """Return what a rule says of a call."""
    if rule in OF_INTERVALS and any(spec.placement.flat is not spec.placement for spec in call.operands):
        specs = [Spec(spec.placement.flat, spec.dtype, spec.distributed) for spec in call.operands]
        rest = iter(specs)
        call = Call(call.function, _replaced(call.args, rest), _replaced(call.kwargs, rest), specs, call.grid)
    return rule(call, *call.args, **call.kwargs)


def _written_to_out(function: Any) -> Callable[..., Any]:
    """Return the function that computes a fresh result, and copies it into ``out``."""

    def written(*args: Any, out: Any, **kwargs: Any) -> Any:
        results = function(*args, **kwargs)
        if isinstance(out, torch.Tensor):
            return context.assign(out, results)
        return _as(results, [context.assign(one, result) for one, result in zip(out, results, strict=True)])

    return written


ALWAYS: set[Any] = set()
"""Functions whose rule is asked even when every tensor is replicated."""


@final
class AsItIs:
    """A call of replicated tensors: every rank calls torch's function, and has the same result."""

    def __init__(self, grid: Grid) -> None:
        self.grid, self.number = grid, 0
        self.placements: dict[torch.Size, Placement] = {}

    def wrapped(self, result: Any, values: list[Any], moved: bool = False) -> Any:
        """Return a result, each of its tensors as a replicated one; an argument that was not moved stays what it is."""
        if isinstance(result, torch.Tensor):
            if moved and any(result is value for value in values):
                result = result.view_as(result)
            placement = self.placements.get(result.shape)
            if placement is None:
                placement = self.placements[result.shape] = replicated(self.grid, tuple(result.shape))
            if type(result) is _class:
                result._placement = placement
            elif not any(result is value for value in values):
                wrap(result, placement)
            return result
        if isinstance(result, list | tuple):
            return _as(result, [self.wrapped(item, values, moved) for item in result])
        return result


def complete(plan: Any, call: Call) -> Any:
    """Return a plan with its movements, and with what a rank does that has no part of the result."""
    if type(plan) is not Plan:
        return plan
    plan.moves = [
        # an operand's terms of a sum are not copies of it, though both have the role `Copies`: they are added up
        None
        if target is None or (target is spec.placement and not target.partial)
        else move_between(spec.placement, target)
        for spec, target in zip(call.operands, plan.targets, strict=True)
    ]
    plan.moved = any(move is not None for move in plan.moves)
    shares = call.function in VIEWS and not plan.moved  # a rank's empty view is a view, too: changes join its graph
    if plan.skip and not shares and any(_leaves_a_rank_empty(p) for p in leaves(plan.results) if type(p) is Placement):
        parts = [torch.empty(spec.shape, dtype=spec.dtype, device="meta") for spec in call.operands]
        saved: list[Any] = []
        like = call.meta_of(parts, saved.append)  # on every rank alike: it may raise
        if _all_empty(plan.results):
            plan.empty = _empties(plan.results, like, parts, bool(saved))
    return plan


def _leaves_a_rank_empty(placement: Placement) -> bool:
    """Say whether some rank may have no entry of a result; the same on every rank."""
    return any(not placement.layout.sizes(axis).all() for axis in range(len(placement.shape)))


def _all_empty(results: Any) -> bool:
    """Say whether this rank has no entry of any result."""
    if type(results) is Placement:
        return math.prod(results.local_shape) == 0
    return isinstance(results, list | tuple) and len(results) > 0 and all(map(_all_empty, results))


@final
@dataclass(frozen=True, slots=True)
class Empty:
    """An empty part of a result.

    Attributes
    ----------
    shape, dtype
        Of the part.
    depends : frozenset of int
        The operands of whose gradient it is a part.
    saves : bool
        Whether something is saved for its gradient, so that a checkpoint computes it again.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    depends: frozenset[int]
    saves: bool


def _empties(results: Any, like: Any, operands: Sequence[torch.Tensor], saves: bool) -> Any:
    """Return the empty parts of results, like tensors on the meta device that were made of operands there."""
    if results is None:
        return None
    if type(results) is Placement:
        reached = _leaves_of(like)
        depends = (k for k, operand in enumerate(operands) if any(operand is leaf for leaf in reached))
        return Empty(results.local_shape, like.dtype, frozenset(depends), saves)
    return _as(like, [_empties(result, item, operands, saves) for result, item in zip(results, like, strict=True)])


def _leaves_of(result: torch.Tensor) -> list[torch.Tensor]:
    """Return the leaves of a tensor's graph."""
    nodes, seen = [result.grad_fn], set()
    leaves: list[torch.Tensor] = []
    while nodes:
        node: Any = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            leaves.append(node.variable)
        nodes += [following for following, _ in node.next_functions]
    return leaves


def _grid(function: Any, placements: list[Any]) -> Grid:
    """Return the grid of the distributed tensors; raise where there are several."""
    grids = list({placement.grid for placement in placements if placement is not None})
    if len(grids) > 1:
        raise context.refused(
            f"{function_name(function)}: the tensors lie on {len(grids)} grids: {', '.join(map(repr, grids))}; "
            "redistribute them onto one"
        )
    grid: Grid = grids[0]
    return grid


def as_it_is(grid: Grid) -> AsItIs:
    """Return what is said of results that are whole on every rank, whatever their shapes."""
    return AsItIs(grid)


def gather(call: Call) -> Plan:
    """Return the plan that brings whole tensors to every rank, and computes everything everywhere."""
    return Plan([spec.placement.whole() for spec in call.operands], AsItIs(call.grid), skip=False)


def results_of(call: Call, placement: Callable[[tuple[int, ...]], Placement]) -> Any:
    """Return placements for what a function returns, each made from the shape of the whole result."""
    return _tree(call.meta(), placement)


def _tree(result: Any, placement: Callable[[tuple[int, ...]], Placement]) -> Any:
    if isinstance(result, torch.Tensor):
        return placement(tuple(result.shape))
    if isinstance(result, list | tuple):
        return [_tree(item, placement) for item in result]
    return None


def _refuse(call: Call) -> Plan:
    """Raise the error of a call without a rule; where calls are recorded, note it and gather."""
    error = context.refusal(call, "no rule says how it is computed on parts")
    recorder = context.recorder.get()
    if recorder is None:
        raise error
    recorder.obstacle(str(error))
    return gather(call)


def _in_place(call: Call) -> Any:
    """Return the plan of a function that changes its first argument: that of the one with a fresh result, in place.

    Where the result would lie in another way than the argument, it is computed afresh, moved and copied into it.
    """
    fresh = Call(IN_PLACE[call.function], call.args, call.kwargs, call.operands, call.grid)
    rule_of = RULES.get(fresh.function)
    first = call.operands[0]
    if rule_of is None:
        plan: Any = gather(fresh) if context.gathering.get() else _refuse(fresh)
    else:
        plan = _asked(rule_of, fresh)
    if (
        type(plan) is Plan
        and plan.compute is None
        and first.distributed
        and plan.targets[0] is first.placement
        and not first.placement.partial
        and type(plan.results) is Placement
        and not plan.results.partial
        and (plan.results is first.placement or plan.results.shape != first.placement.shape)
    ):
        plan.changes, plan.skip = True, False
        return plan

    def assign(changed: Any, *args: Any, **kwargs: Any) -> Any:
        before = changed
        if isinstance(changed, torch.Tensor) and changed.requires_grad and torch.is_grad_enabled():
            before = changed.clone()  # the function may save its argument for the backward pass, before the change
        return context.assign(changed, fresh.function(before, *args, **kwargs))

    return assign


def function_name(function: Any) -> str:
    """Return the name of a function of torch as a user writes it."""
    name = torch.overrides.resolve_name(function)
    return name or getattr(function, "__qualname__", None) or getattr(function, "__name__", None) or repr(function)


def leaves(given: Any) -> Iterable[Any]:
    """Yield the items of nested lists and tuples."""
    if isinstance(given, list | tuple):
        for item in given:
            yield from leaves(item)
    else:
        yield given
