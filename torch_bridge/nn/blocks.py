r"""Layers that multiply their input by a weight, whose blocks lie on the axes of a grid.

.. math:: y = R\,(B x * C w) + C b

The weight may be cut: its rows (output channels) along one grid axis, its columns (input channels) along another. B
brings each block the input it multiplies: split like the columns, a copy for every row of blocks, with a halo where the
product sees one. R adds up the partial sums along the columns and brings the result to where it is wanted. Along other
grid axes, the input may be split in space (or time, or along the sequence), and each part has a copy C w of the weight.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from distdl_ops import Copies, DistributedSpace, Replicated, Role, Split, balanced
from distdl_ops.compositions.shared import require_codomain, settled
from distdl_ops.windows import Continuation, Window
from linop import SpaceError
from torch_bridge.nn.layer import Layer, moving, nothing, parameter_space
from torch_bridge.nn.overlap import overlap
from torch_bridge.nn.windows import Halo


class BlockLayer(Layer):
    """A product of the input and a weight, plus a bias. Abstract: `product` is one of them.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output.
    """

    bias: torch.nn.Parameter
    rows = 0
    """Which axis of the weight is that of the output channels; the other of 0 and 1 is that of the input channels."""

    def _build(
        self,
        sequential: Callable[[str], torch.nn.Module],
        domain: DistributedSpace,
        codomain: DistributedSpace | None,
        geometry: Callable[[torch.nn.Module], tuple[tuple[int, ...], dict[int, Window]]],
        *,
        channels: int,
        groups: int = 1,
        boundary: Continuation = "zero",
        out_axis: str | None = None,
        in_axis: str | None = None,
        overlaps: bool = False,
    ) -> None:
        """Make movements and parameters.

        Parameters
        ----------
        sequential : callable
            Makes the sequential layer on a device.
        domain, codomain, out_axis, in_axis
            Of the layer.
        geometry : callable
            Checks the arguments; returns the shape of the output, and the windows along the axes of the input.
        channels : int
            Which axis of input and output is that of the weight's columns and rows.
        groups : int, optional
            Into how many products of their own the channels fall. Then rows are cut between groups, and a block sees
            the channels of its groups only.
        boundary : {"zero", "periodic", "reflect", "edge"}, optional
            What lies beyond the input.
        overlaps : bool, optional
            Whether what needs no halo is computed while halos travel.
        """
        name = type(self).__name__

        def check() -> tuple[torch.nn.Module, tuple[int, ...], dict[int, Window]]:
            plain = sequential("meta")  # raises what torch does
            shape, windows = geometry(plain)
            require_codomain(domain, codomain, shape, domain.dtype)
            for axis in (out_axis, in_axis):
                if axis is not None and axis not in domain.grid.axes:
                    raise SpaceError(f"the grid has no axis {axis!r}")
            if out_axis is not None and out_axis == in_axis:
                raise SpaceError(f"expected rows and columns of the weight along two axes, found {out_axis!r} twice")
            if groups != 1 and in_axis is not None:
                raise SpaceError(
                    f"expected groups to lie along the rows' axis, found {groups} groups and in_axis={in_axis}"
                )
            if codomain is not None and codomain.grid != domain.grid:
                raise SpaceError(f"expected a codomain on the same grid, found {codomain}")
            for space in (domain, codomain or domain):
                for axis, role in space.roles.items():
                    if isinstance(role, Split) and role.axis == channels and axis not in (out_axis, in_axis):
                        raise SpaceError(f"channels are split along the weight's axes only, found {axis}={role}")
                    if isinstance(role, Split) and not space.layout.holds_once_along(axis):
                        raise SpaceError(f"expected each entry once, found {axis}={role}")
            return plain, shape, windows

        plain, shape, windows = settled(
            name,
            domain,
            check,
            lambda found: f"{found}, boundary={boundary}, out_axis={out_axis}, in_axis={in_axis}, codomain={codomain}",
        )
        whole: Role = Copies()  # each row of blocks needs all channels
        rows = Split(channels)
        if out_axis is not None and groups != 1:
            cuts = balanced(groups, domain.grid.axes[out_axis])
            whole, rows = (
                Split(channels, [(a * n // groups, b * n // groups) for a, b in cuts])
                for n in (domain.global_shape[channels], shape[channels])
            )
        roles = _roles_left(domain, shape, channels, out_axis, rows)
        self.codomain = codomain or DistributedSpace(domain.grid, shape, domain.dtype, domain.field, **roles)
        weight = {key: tuple(value.shape) for key, value in plain.named_parameters()}

        # Copies that are asked for are made at the end.
        once = {a: Replicated() if isinstance(r, Copies) else r for a, r in self.codomain.roles.items()}
        part: dict[str, Role] = {}
        blocks: dict[str, Role] = {}
        summed: dict[str, Role] = {**once}
        if out_axis is not None:
            if groups == 1:
                rows = _split_like(self.codomain, out_axis, channels)
            summed[out_axis], part[out_axis] = rows, whole
            if isinstance(whole, Split) and self.rows == 1:  # groups lie along the weight's first axis
                blocks[out_axis] = Split(0, whole.intervals)
        if in_axis is not None:
            columns = _split_like(domain, in_axis, channels)
            summed[in_axis], part[in_axis], blocks[in_axis] = Copies(), columns, Split(1 - self.rows, columns.intervals)
        sums = self.codomain.with_roles(**summed)
        self.sums = sums.shape
        self.bring = self._bring(domain, sums, windows, boundary, part)
        self.overlap = overlap(self.bring, sums, windows) if overlaps else None
        self.reduce = moving(sums, self.codomain)
        parameters = {}
        parameters["weight"], self.copy_weight = parameter_space(sums, weight["weight"], {channels: self.rows}, blocks)
        if "bias" in weight:
            parameters["bias"], self.copy_bias = parameter_space(self.codomain, weight["bias"], {channels: 0})
        self.ones = (1,) * (len(shape) - 1 - channels)
        self.add_parameters(parameters, sequential)

    def _bring(
        self,
        domain: DistributedSpace,
        sums: DistributedSpace,
        windows: dict[int, Window],
        boundary: Continuation,
        part: dict[str, Role],
    ) -> torch.nn.Module:
        """Return B, from the input to what the product sees of it; `part` are its roles along the weight's axes."""
        return Halo(domain, sums, windows, boundary, None, part)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``."""
        batch = x.shape[: x.ndim - len(self.sums)]
        weight = self.copy_weight(self.weight)

        def product(seen: torch.Tensor) -> torch.Tensor:
            if seen.numel() == 0 or weight.numel() == 0:
                return nothing((*batch, *self.sums), seen, weight)
            return self.product(seen, weight)

        if self.overlap is None or torch.compiler.is_compiling():  # a compiler knows no tensors in flight
            y: torch.Tensor = product(self.bring(x))
        else:
            y = self.overlap(x, product, apart=x.numel() > 0 and weight.numel() > 0)
        y = self.reduce(y.reshape(*batch, *self.sums))
        if "bias" in self.parameter_spaces:
            y = y + self.copy_bias(self.bias).reshape(-1, *self.ones)
        return y

    def product(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return the product of what a rank sees and of its block of the weight, without bias."""
        raise NotImplementedError


def _split_like(space: DistributedSpace, along: str, channels: int) -> Split:
    """Return how channels are split along a grid axis: as the space does, if it does, else balanced."""
    role = space.roles[along]
    if isinstance(role, Split) and role.axis == channels:
        return role
    return Split(channels)


def _roles_left(
    domain: DistributedSpace, shape: tuple[int, ...], channels: int, out_axis: str | None, rows: Split
) -> dict[str, Role]:
    """Return how the output lies by default: split as the input, and in channels along the weight's axes."""
    roles: dict[str, Role] = {}
    for name, role in domain.roles.items():
        if name == out_axis:
            roles[name] = rows
        elif isinstance(role, Split) and role.axis == channels:
            roles[name] = Split(channels) if out_axis is None else Replicated()
        elif isinstance(role, Split) and shape[role.axis] != domain.global_shape[role.axis]:
            roles[name] = Split(role.axis)
        else:
            roles[name] = role
    return roles
