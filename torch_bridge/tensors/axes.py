"""Which axes of a call's tensors belong together, and how they are split.

A rule *labels* the axes of each operand and of the result, as ``einsum`` does with letters: axes with the same label
run together. Along each grid axis, one label is split, or none. Then everything else follows:

=================================================  =================================================
along a grid axis that splits a label, a tensor
with this label                                    has this axis split in the same intervals
without it, as an operand                          is `Copies`: each rank uses it for its own entries
without it, as the result                          is `Copies`: each rank has a term of the sum
along other grid axes                              is `Replicated`
=================================================  =================================================

The transposed table of movements then sums the gradients of what was used as copies.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Any, final

from distdl_ops import Copies, Grid, Replicated, Split
from distdl_ops.layouts.roles import Role
from torch_bridge.tensors.call import Call, Plan, results_of
from torch_bridge.tensors.placement import Placement, place

Labels = Sequence[Hashable]
"""A label for each axis; None for an axis that must be whole on each rank, and runs with no other."""


@final
class Assignment:
    """Which label is split along which grid axis.

    Attributes
    ----------
    grid : Grid
        The ranks.
    splits : dict
        By grid axis, a label and a role that splits it (the tensor axis in it means nothing).
    """

    def __init__(self, grid: Grid, splits: dict[str, tuple[Hashable, Role]]) -> None:
        self.grid, self.splits = grid, splits

    def placement(self, shape: Sequence[int], labels: Labels) -> Placement:
        """Return how a tensor with these labels lies, as an operand or as the result."""
        roles: dict[str, Role] = {}
        for name in self.grid.axes:
            if name not in self.splits:
                roles[name] = Replicated()
                continue
            label, role = self.splits[name]
            roles[name] = on_axis(role, list(labels).index(label)) if label in labels else Copies()
        return place(self.grid, tuple(shape), roles)

    def splits_label(self, label: Hashable) -> bool:
        """Say whether a label is split along some grid axis."""
        return any(label == other for other, _ in self.splits.values())

    def without(self, labels: Collection[Hashable]) -> Assignment:
        """Return the assignment with some labels whole."""
        return Assignment(self.grid, {name: pair for name, pair in self.splits.items() if pair[0] not in labels})


def settle(
    grid: Grid,
    operands: Sequence[tuple[Placement, Labels]],
    whole: Collection[Hashable] = (),
) -> Assignment:
    """Return an assignment in which as little as possible moves: operands that come first decide.

    Parameters
    ----------
    grid : Grid
        The ranks.
    operands : sequence of (Placement, labels)
        The tensors, those that move last first.
    whole : collection, optional
        Labels that may not be split.
    """
    splits: dict[str, tuple[Hashable, Role]] = {}
    settled: set[Hashable] = set()
    for placement, labels in operands:
        for axis, label in enumerate(labels):
            if label is None or label in whole or label in settled:
                continue
            roles = placement.splits(axis)
            free = {name: role for name, role in roles.items() if name not in splits}
            for name, role in free.items():
                splits[name] = (label, role if len(free) == len(roles) else Split(axis))
            if free:
                settled.add(label)
    return Assignment(grid, splits)


def labelled(call: Call, labels: Sequence[Labels], result: Labels, decides: int = 0, **plan: Any) -> Plan:
    """Return the plan of a function whose operands and results have labelled axes.

    Parameters
    ----------
    call : Call
        The call.
    labels : sequence of labels
        One label for each axis of each operand.
    result : labels
        Of each result; those that have fewer axes have the first of them.
    decides : int, optional
        The operand that moves last.
    **plan
        What else a `Plan` says.

    Examples
    --------
    Rows of a matrix, chosen by an index that may be split: ``labelled(call, [[None, "c"], ["i"]], ["i", "c"])``.
    """
    lying = [(spec.placement, names) for spec, names in zip(call.operands, labels, strict=True)]
    assignment = settle(call.grid, [lying[decides], *lying])
    targets = [assignment.placement(spec.shape, names) for spec, names in zip(call.operands, labels, strict=True)]
    results = results_of(call, lambda shape: assignment.placement(shape, result[: len(shape)]))
    return Plan(targets, results, **plan)


def on_axis(role: Any, axis: int) -> Role:
    """Return a role that splits another tensor axis in the same way."""
    return role.on(axis)  # type: ignore[no-any-return]


def bring_together(placement: Placement, axes: Collection[int]) -> Placement:
    """Return a placement in which some tensor axes are whole, and nothing is a partial sum."""
    return place(
        placement.grid,
        placement.shape,
        {
            name: role if role.axis is not None and role.axis not in axes else Replicated()
            for name, role in placement.roles.items()
        },
    )


def elsewhere(placement: Placement, axes: Collection[int]) -> Placement:
    """Return a placement in which some tensor axes are whole because others, where there are any, are split instead.

    Moving to it is an all-to-all, in which each rank keeps its share of the tensor.
    """
    roles = dict(bring_together(placement, axes).roles)
    for name, role in placement.roles.items():
        parts = placement.grid.axes[name]
        if role.axis in axes and parts > 1:
            taken = {other.axis for other in roles.values()}
            free = [
                a for a, extent in enumerate(placement.shape) if a not in axes and a not in taken and extent >= parts
            ]
            if free:
                roles[name] = Split(max(free, key=placement.shape.__getitem__))
    return place(placement.grid, placement.shape, roles)
