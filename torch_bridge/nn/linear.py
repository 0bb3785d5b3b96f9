r"""A linear layer whose weight lies on two axes of a grid.

.. math:: y = R\,(W\, B x) + C b

The weight is cut into blocks: its rows (output features) along one grid axis, its columns (input features) along
another. B brings each block the input features it multiplies: split like the columns, a copy for every row of blocks. R
adds up the partial sums along the columns and brings the result to where it is wanted. Each is one movement.
"""

from __future__ import annotations

from typing import final

import torch

from distdl_ops import Copies, DistributedSpace, Movement, Replicated, Role, Split
from linop import SpaceError
from torch_bridge.module import Operator
from torch_bridge.nn.layer import Layer


@final
class Linear(Layer):
    """`torch.nn.Linear` with its weight on two axes of a grid. Collective to build.

    Parameters
    ----------
    in_features, out_features, bias
        As for `torch.nn.Linear`.
    domain : DistributedSpace
        Of the input, with shape (in_features,): any roles.
    codomain : DistributedSpace
        Of the output, with shape (out_features,), on the same grid: any roles, without overlap.
    out_axis, in_axis : str
        The grid axes along which the rows and the columns of the weight lie. The grid's two axes are these.

    Raises
    ------
    SpaceError
        When the spaces do not fit the layer.

    Examples
    --------
    >>> from distdl_ops import At, DistributedSpace, Grid, Split, simulate
    >>> def layer(world):
    ...     grid = Grid(world, rows=2, cols=2)
    ...     x = DistributedSpace(grid, (6,), "float32", rows=At(0), cols=Split(0))
    ...     y = DistributedSpace(grid, (4,), "float32", rows=Split(0), cols=At(0))
    ...     return Linear(6, 4, domain=x, codomain=y, out_axis="rows", in_axis="cols")
    >>> def main(world):
    ...     layers = layer(world)
    ...     y = layers(torch.ones(5, *layers.broadcast.operator.domain.shape))           # a batch of five
    ...     return tuple(layers.weight.shape), tuple(y.shape)
    >>> simulate(4, main)                                                      # y lies on the first column of ranks
    [((2, 3), (5, 2)), ((2, 3), (5, 0)), ((2, 3), (5, 2)), ((2, 3), (5, 0))]
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        domain: DistributedSpace,
        codomain: DistributedSpace,
        out_axis: str,
        in_axis: str,
    ) -> None:
        super().__init__()
        _check(domain, codomain, (in_features,), (out_features,), (out_axis, in_axis))
        self.codomain = codomain
        columns, rows = _split_like(domain, in_axis), _split_like(codomain, out_axis)
        inputs = domain.with_roles(**{out_axis: Copies(), in_axis: columns})
        sums = codomain.with_roles(**{out_axis: rows, in_axis: Copies()})
        self.broadcast = Operator(Movement(domain, inputs))
        self.reduce = Operator(Movement(sums, codomain))
        weight_roles: dict[str, Role] = {out_axis: rows, in_axis: Split(1, columns.intervals)}
        parameters = {
            "weight": DistributedSpace(domain.grid, (out_features, in_features), domain.dtype, **weight_roles)
        }
        if bias:
            once = {axis: Replicated() if isinstance(r, Copies) else r for axis, r in codomain.roles.items()}
            parameters["bias"] = codomain.with_roles(**once)
            self.copy_bias = Operator(Movement(parameters["bias"], codomain))
        self.add_parameters(parameters, lambda device: torch.nn.Linear(in_features, out_features, bias, device=device))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``W x + b``: from shape ``(batch, *domain.shape)`` to ``(batch, *codomain.shape)``."""
        y: torch.Tensor = self.reduce(torch.nn.functional.linear(self.broadcast(x), self.weight))
        return y + self.copy_bias(self.bias) if "bias" in self.parameter_spaces else y


def _split_like(space: DistributedSpace, axis: str) -> Split:
    """Return how features are split along a grid axis: as the space does, if it does, else balanced."""
    role = space.roles[axis]
    return role if isinstance(role, Split) and space.layout.holds_once_along(axis) else Split(0)


def _check(
    domain: DistributedSpace,
    codomain: DistributedSpace,
    inputs: tuple[int],
    outputs: tuple[int],
    axes: tuple[str, str],
) -> None:
    """Raise unless the spaces fit the layer."""
    for name, space, shape in (("domain", domain, inputs), ("codomain", codomain, outputs)):
        if space.global_shape != shape:
            raise SpaceError(f"Linear: expected a {name} of shape {shape}, found {space}")
        if set(space.grid.axes) != set(axes) or axes[0] == axes[1]:
            raise SpaceError(f"Linear: expected a {name} on a grid with the two axes {axes}, found {space.grid}")
    for axis, role in codomain.roles.items():
        if isinstance(role, Split) and not codomain.layout.holds_once_along(axis):
            raise SpaceError(f"Linear: expected a codomain without overlap, found {axis}={role} in {codomain}")
    if domain.grid != codomain.grid or domain.dtype != codomain.dtype:
        raise SpaceError(f"Linear: expected one grid and dtype, found {domain} and {codomain}")
