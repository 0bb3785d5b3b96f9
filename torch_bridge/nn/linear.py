r"""Linear layers: whole on every part of a sequence, row-parallel, column-parallel, or in blocks.

.. math:: y = R\,(W\, B x) + C b

The weight is cut into blocks: its rows (output features) along one grid axis, its columns (input features) along
another, each of them if wanted. B brings each block the input features it multiplies: split like the columns, a copy
for every row of blocks. R adds up the partial sums along the columns and brings the result to where it is wanted. Each
is one movement: where a sequence is split along the grid axis of the rows, B is the all-gather of sequence parallelism,
and where it is to be split along that of the columns, R is the reduce-scatter.
"""

from __future__ import annotations

from typing import final

import torch

from distdl_ops import DistributedSpace
from distdl_ops.windows import Window
from linop import SpaceError
from torch_bridge.nn.blocks import BlockLayer


@final
class Linear(BlockLayer):
    """`torch.nn.Linear` with its weight on axes of a grid. Collective to build.

    Parameters
    ----------
    in_features, out_features, bias
        As for `torch.nn.Linear`.
    domain : DistributedSpace
        Of the input, with shape (..., in_features): features are split along the weight's axes only, other tensor axes
        along any.
    codomain : DistributedSpace, optional
        Of the output, with shape (..., out_features), on the same grid, without overlap. By default it is split as the
        input, and its features as the rows of the weight; or, where the rows are whole, along the columns' axis.
    out_axis, in_axis : str, optional
        The grid axes along which the rows and the columns of the weight lie. By default it is whole.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output.

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
    ...     y = layers(torch.ones(5, *layers.bring.movement.operator.domain.shape))  # a batch of five
    ...     return tuple(layers.weight.shape), tuple(y.shape)
    >>> simulate(4, main)  # y lies on the first column of ranks
    [((2, 3), (5, 2)), ((2, 3), (5, 0)), ((2, 3), (5, 2)), ((2, 3), (5, 0))]
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        domain: DistributedSpace,
        codomain: DistributedSpace | None = None,
        out_axis: str | None = None,
        in_axis: str | None = None,
    ) -> None:
        super().__init__()

        def geometry(_: torch.nn.Module) -> tuple[tuple[int, ...], dict[int, Window]]:
            if domain.global_shape[-1:] != (in_features,):
                raise SpaceError(f"expected a domain of shape (..., {in_features})")
            return (*domain.global_shape[:-1], out_features), {}

        self._build(
            lambda device: torch.nn.Linear(in_features, out_features, bias, device=device),
            domain,
            codomain,
            geometry,
            channels=domain.ndim - 1,
            out_axis=out_axis,
            in_axis=in_axis,
        )

    def product(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the product with this rank's block."""
        return torch.nn.functional.linear(x, weight)
