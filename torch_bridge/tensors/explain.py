"""What a program of distributed tensors does, step by step: functions, movements, bytes, and what stands in the way."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, final

from distdl_ops import Movement
from distdl_ops.advice.cost import ParallelCost
from distdl_ops.advice.movement_cost import movement_cost
from torch_bridge.tensors import context
from torch_bridge.tensors.call import function_name
from torch_bridge.tensors.movement import Move


def explain(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Explanation:
    r"""Run a function of distributed tensors, and return what each of its calls moves between ranks. Collective.

    What has no rule is noted as an obstacle, and gathered, so that *all* obstacles of a model are found at once. With
    tensors on the ``meta`` device, and a model whose weights lie there, nothing is computed and nothing is sent. Then
    numbers that Python looks at are zeros, and a result whose shape depends on numbers is the last obstacle.

    Parameters
    ----------
    function : callable
        A module, or any function of tensors.
    *args, **kwargs
        Its arguments.

    Returns
    -------
    Explanation
        Prints as a table.

    Examples
    --------
    >>> import torch
    >>> from distdl_ops import Grid, Split, simulate
    >>> from torch_bridge import distribute, distribute_tensor
    >>> def main(world):
    ...     grid = Grid(world, rows=2)
    ...     model = distribute(torch.nn.Conv2d(1, 1, 3, padding=1, bias=False), grid)
    ...     return str(explain(model, distribute_tensor(torch.ones(1, 1, 8, 8), grid, rows=Split(2))))
    >>> print("\n".join(line[:70].rstrip() for line in simulate(2, main)[0].splitlines()))
         forward          backward
    messages   bytes  messages   bytes  call
                                        Conv2d: torch.nn.functional.conv2d
           1      32         0       0    HaloExchange(rows)
           0       0         1      36    Copy(rows)
           1      32         1      36  together
    """
    recorder = Recorder()
    token = context.recorder.set(recorder)
    try:
        function(*args, **kwargs)
    except context.UnsupportedError as error:
        recorder.obstacle(str(error))
    except NotImplementedError as error:  # torch's, of tensors on the meta device
        frames = list(traceback.walk_tb(error.__traceback__))
        said, _, _ = str(error).partition(". ")
        recorder.obstacle(said + context.place_of(reversed(frames)))
    except Exception as error:
        for obstacle in recorder.obstacles:
            error.add_note(f"obstacle: {obstacle}")
        raise
    finally:
        context.recorder.reset(token)
    return Explanation(tuple(recorder.steps), tuple(recorder.obstacles))


@final
@dataclass(frozen=True)
class Moved:
    """A movement of a tensor.

    Attributes
    ----------
    operator : Movement
        The operator; its dual is what the backward pass applies.
    forward, backward : ParallelCost
        The largest numbers over the ranks; nothing backward where no gradient is wanted.
    gathers : bool
        Whether an axis that was split is brought together.
    """

    operator: Movement
    forward: ParallelCost
    backward: ParallelCost
    gathers: bool


@final
@dataclass
class Step:
    """A call of one of torch's functions.

    Attributes
    ----------
    module : str
        Path of the module that calls it; empty outside of modules.
    function : str
        Its name.
    layout : str
        How its result lies.
    moved : list of Moved
        What is moved for it.
    """

    module: str
    function: str
    layout: str
    moved: list[Moved] = field(default_factory=list)


class Recorder:
    """Notes calls and movements as they happen."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.obstacles: list[str] = []

    def note(self, function: Any, plan: Any, values: list[Any], placements: list[Any]) -> None:  # noqa: ARG002
        """Note a call."""
        results = getattr(plan, "results", None)
        first = next(iter(results), None) if isinstance(results, list | tuple) else results
        layout = "" if first is None or not hasattr(first, "shape") else str(first)
        self.steps.append(Step(context.module_path(), function_name(function), layout))

    def moves(self, move: Move, itemsize: int, wanted: bool, back: Move | None = None) -> None:
        """Note a movement, whether its gradient is wanted, and which movement carries that: by default its adjoint."""
        if not self.steps:
            self.steps.append(Step(context.module_path(), "redistribute", str(move.target)))
        source, target = move.source.layout, move.target.layout
        gathers = any(
            role.axis is not None and move.target.roles[name].axis is None for name, role in move.source.roles.items()
        )
        returning = (target, source) if back is None else (back.source.layout, back.target.layout)
        backward = movement_cost(*returning, itemsize) if wanted else ParallelCost()
        self.steps[-1].moved.append(Moved(move.real, movement_cost(source, target, itemsize), backward, gathers))

    def obstacle(self, message: str) -> None:
        """Note what no rule is known for."""
        self.obstacles.append(message)


@final
@dataclass(frozen=True, repr=False)
class Explanation:
    """What is to be said of a program.

    Attributes
    ----------
    steps : tuple of Step
        In the order of the calls.
    obstacles : tuple of str
        Calls that have no rule on their layouts, which were gathered here.

    Examples
    --------
    >>> from distdl_ops import Grid, Split, simulate
    >>> from torch_bridge import distribute_tensor
    >>> import torch
    >>> def main(world):
    ...     x = distribute_tensor(torch.ones(4), Grid(world, p=2), p=Split(0))
    ...     return explain(lambda x: x.flip(0) + 1, x)
    >>> plan = simulate(2, main)[0]
    >>> [step.function.rpartition(".")[2] for step in plan.steps], [str(A) for A in plan.operators], plan.obstacles
    (['flip', 'add'], ['Repartition(p)'], ())
    """

    steps: tuple[Step, ...]
    obstacles: tuple[str, ...]

    @property
    def operators(self) -> list[Movement]:
        """The movements, each once."""
        return list(dict.fromkeys(moved.operator for step in self.steps for moved in step.moved))

    @property
    def moved(self) -> Iterator[Moved]:
        """All movements."""
        return (moved for step in self.steps for moved in step.moved)

    def __str__(self) -> str:
        lines = ["     forward          backward", "messages   bytes  messages   bytes  call"]
        for step in self.steps:
            if step.moved:
                lines.append(f"{'':36}{step.module + ': ' if step.module else ''}{step.function} -> {step.layout}")
                lines += [
                    _line(m.forward, m.backward, f"  {m.operator}{', gathered' if m.gathers else ''}")
                    for m in step.moved
                ]
        moved = list(self.moved)
        if moved:
            forward, backward = (
                sum(costs, ParallelCost()) for costs in ([m.forward for m in moved], [m.backward for m in moved])
            )
            lines.append(_line(forward, backward, "together"))
        else:
            lines.append(f"{'':36}nothing is sent")
        return "\n".join([*lines, *(f"obstacle: {message}" for message in self.obstacles)])

    def __repr__(self) -> str:
        with contextlib.suppress(ValueError):
            return str(self)
        return f"Explanation of {len(self.steps)} calls"


def _line(forward: ParallelCost, backward: ParallelCost, what: str) -> str:
    return f"{forward.messages:8}{forward.sent:8}{backward.messages:10}{backward.sent:8}  {what}"
