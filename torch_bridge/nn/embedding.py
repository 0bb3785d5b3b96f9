r"""An embedding whose table lies on axes of a grid.

.. math:: y = R\,\mathrm{lookup}(B i,\; C w)

The table may be cut: its rows (entries of the vocabulary) along one grid axis, its columns (features) along another. B
brings the indices to every block. A block of rows finds the rows it has, and zeros for the others; R adds these up and
brings the result to where it is wanted. Along other grid axes the indices may be split, and each part has a copy C w of
the table, or of its block.
"""

from __future__ import annotations

from typing import final

import torch

from distdl_ops import Copies, DistributedSpace, Replicated, Role, Split
from distdl_ops.compositions.shared import require_codomain, settled
from linop import SpaceError
from torch_bridge.nn.layer import Layer, moving, nothing, parameter_space


@final
class Embedding(Layer):
    """`torch.nn.Embedding` with its table on axes of a grid. Collective to build.

    Parameters
    ----------
    num_embeddings, embedding_dim, padding_idx
        As for `torch.nn.Embedding`.
    domain : DistributedSpace
        Of the indices, with any shape: they are whole numbers, in a space of the dtype of the result. Any axis may be
        split, into any intervals.
    codomain : DistributedSpace, optional
        Of the output, with shape ``(*domain.global_shape, embedding_dim)``, on the same grid. By default it is split as
        the indices, and in features along the columns' axis.
    row_axis, column_axis : str, optional
        The grid axes along which the rows and the columns of the table lie. By default it is whole.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output.

    Raises
    ------
    SpaceError
        When the spaces do not fit the layer; in a call, when an index is not one of the table.

    Examples
    --------
    Each rank has half of the table; the rows that it does not find are found by the other.

    >>> from distdl_ops import DistributedSpace, Grid, Replicated, simulate
    >>> def main(world):
    ...     indices = DistributedSpace(Grid(world, p=2), (3,), p=Replicated())
    ...     layer = Embedding(10, 4, domain=indices, row_axis="p")
    ...     return str(layer.reduce.operator), tuple(layer.weight.shape), tuple(layer(torch.tensor([9, 0, 7])).shape)
    >>> simulate(2, main)[0]
    ('AllReduce(p)', (5, 4), (3, 4))
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        domain: DistributedSpace,
        codomain: DistributedSpace | None = None,
        row_axis: str | None = None,
        column_axis: str | None = None,
    ) -> None:
        super().__init__()
        features = domain.ndim
        shape = (*domain.global_shape, embedding_dim)

        def sequential(device: str) -> torch.nn.Embedding:
            return torch.nn.Embedding(num_embeddings, embedding_dim, padding_idx, device=device)

        def check() -> int | None:
            require_codomain(domain, codomain, shape, domain.dtype)
            if codomain is not None and codomain.grid != domain.grid:
                raise SpaceError(f"expected a codomain on the same grid, found {codomain}")
            for axis in (row_axis, column_axis):
                if axis is not None and axis not in domain.grid.axes:
                    raise SpaceError(f"the grid has no axis {axis!r}")
            if row_axis is not None and row_axis == column_axis:
                raise SpaceError(f"expected rows and columns of the table along two axes, found {row_axis!r} twice")
            target = codomain or domain
            for axis, role in target.roles.items():
                if isinstance(role, Split) and (
                    not target.layout.holds_once_along(axis) or (role.axis == features and axis != column_axis)
                ):
                    raise SpaceError(f"features are split along the columns' axis only, once, found {axis}={role}")
            try:
                return sequential("meta").padding_idx
            except AssertionError as error:
                raise SpaceError(str(error)) from None

        arguments = f"{num_embeddings}, {embedding_dim}, {codomain}, row_axis={row_axis}, column_axis={column_axis}"
        self.padding_idx = settled("Embedding", domain, check, lambda found: f"{arguments}, padding_idx={found}")
        self.num_embeddings = num_embeddings
        roles: dict[str, Role] = {**domain.roles}
        if column_axis is not None:
            roles[column_axis] = Split(features)
        self.codomain = codomain or DistributedSpace(domain.grid, shape, domain.dtype, domain.field, **roles)

        # Copies that are asked for are made at the end.
        summed = {a: Replicated() if isinstance(r, Copies) else r for a, r in self.codomain.roles.items()}
        rows: dict[str, Role] = {}
        if row_axis is not None:
            summed[row_axis], rows[row_axis] = Copies(), Split(0)
        if column_axis is not None and not _splits(summed[column_axis], features):
            summed[column_axis] = Split(features)
        sums = self.codomain.with_roles(**summed)
        self.sums = sums.shape
        seen = domain.with_roles(**{a: Copies() if _splits(r, features) else r for a, r in sums.roles.items()})
        self.broadcast = moving(domain, seen)
        self.reduce = moving(sums, self.codomain)
        table, self.copy_weight = parameter_space(sums, (num_embeddings, embedding_dim), {features: 1}, rows)
        self.interval = (table.layout.intervals_at(domain.grid.world.rank) or ((0, 0),))[0]
        self.add_parameters({"weight": table}, sequential)

    def forward(self, indices: torch.Tensor) -> torch.Tensor:
        """Return the rows: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``.

        Parameters
        ----------
        indices : tensor of int64
            This rank's part.
        """
        batch = indices.shape[: indices.ndim - len(self.sums) + 1]
        first, last = self.interval
        world = self.parameter_spaces["weight"].grid.world
        if bool(((indices < 0) | (indices >= self.num_embeddings)).any()):
            world.fail(SpaceError(f"Embedding: expected indices from 0 to {self.num_embeddings - 1}"))
        found, weight = self.broadcast(indices).to(torch.int64), self.copy_weight(self.weight)
        if found.numel() == 0 or weight.numel() == 0:
            return self._reduced(nothing((*batch, *self.sums), weight))
        padding = self.padding_idx
        own = None if padding is None or not first <= padding < last else padding - first
        y = torch.nn.functional.embedding((found - first).clamp(0, last - first - 1), weight, own)
        return self._reduced(y.masked_fill(((found < first) | (found >= last))[..., None], 0))

    def _reduced(self, y: torch.Tensor) -> torch.Tensor:
        reduced: torch.Tensor = self.reduce(y)
        return reduced


def _splits(role: Role, axis: int) -> bool:
    """Say whether a role splits a tensor axis."""
    return isinstance(role, Split) and role.axis == axis
