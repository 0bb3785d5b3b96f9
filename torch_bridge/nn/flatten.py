r"""Axes of a tensor that is split become one.

.. math:: y = M\,F\,A x

F flattens what a rank holds. That is a part of the flattened tensor if, of the axes that become one, the first alone is
split; A brings the tensor there. M brings the result to where it is wanted.
"""

from __future__ import annotations

import math
from typing import final

import torch

from distdl_ops import Copies, DistributedSpace, Replicated, Role, Split, balanced
from distdl_ops.compositions.shared import require_codomain, settled
from linop import SpaceError
from torch_bridge.nn.layer import moving


@final
class Flatten(torch.nn.Module):
    """`torch.nn.Flatten` of a tensor that is split along any axes. Collective to build.

    Parameters
    ----------
    start_dim, end_dim
        As for `torch.nn.Flatten`: axes are counted with that of the batch, which stays as it is.
    domain : DistributedSpace
        Of the input. Any of its axes may be split, into any intervals.
    codomain : DistributedSpace, optional
        Of the output, on the same grid, without overlap. By default, the flattened axis is split along the grid axis
        along which the first of its axes with more than one entry was, or else along the first grid axis along which
        another one was. Along further ones the output is replicated.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output.

    Raises
    ------
    SpaceError
        When the axes are none of the tensor, or the codomain does not fit.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2, cols=2), (6, 4, 4), rows=Split(1), cols=Split(2))
    ...     layer = Flatten(domain=images)
    ...     return layer.codomain.layout, tuple(layer(torch.ones(5, *images.shape)).shape)       # a batch of five
    >>> simulate(4, main)[0]
    ((96,) rows=Split(0) cols=Replicated(), (5, 48))
    """

    def __init__(
        self,
        start_dim: int = 1,
        end_dim: int = -1,
        *,
        domain: DistributedSpace,
        codomain: DistributedSpace | None = None,
    ) -> None:
        super().__init__()

        def check() -> tuple[int, int, tuple[int, ...]]:
            first, last = (dim + domain.ndim if dim < 0 else dim - 1 for dim in (start_dim, end_dim))
            if not 0 <= first <= last < domain.ndim:
                raise SpaceError(
                    f"expected axes from 1 to {domain.ndim}, the batch's is 0; found {start_dim} to {end_dim}"
                )
            extents = domain.global_shape
            shape = (*extents[:first], math.prod(extents[first : last + 1]), *extents[last + 1 :])
            require_codomain(domain, codomain, shape, domain.dtype)
            if codomain is not None and codomain.grid != domain.grid:
                raise SpaceError(f"expected a codomain on the same grid, found {codomain}")
            for axis, role in (codomain or domain).roles.items():
                if isinstance(role, Split) and not (codomain or domain).layout.holds_once_along(axis):
                    raise SpaceError(f"expected each entry once, found {axis}={role}")
            return first, last, shape

        first, last, shape = settled(
            "Flatten", domain, check, lambda found: f"axes {found[0]} to {found[1]}, codomain={codomain}"
        )
        extents = domain.global_shape
        lead = next((axis for axis in range(first, last + 1) if extents[axis] != 1), first)  # the one that is cut
        inner = math.prod(extents[lead + 1 : last + 1])
        merged = last - first
        if codomain is None:
            roles = _flat_roles(domain, first, lead, last, inner)
            codomain = DistributedSpace(domain.grid, shape, domain.dtype, domain.field, **roles)
        self.codomain = codomain
        aligned: dict[str, Role] = {}
        flat: dict[str, Role] = {}
        for name, role in codomain.roles.items():
            aligned[name] = flat[name] = Replicated() if isinstance(role, Copies) else role
            if isinstance(role, Split) and role.axis > first:
                aligned[name] = Split(role.axis + merged, role.intervals, gaps=True)
            elif isinstance(role, Split) and role.axis == first and merged:
                parts = [(start // inner, stop // inner) for start, stop in role.intervals] if inner else []
                if [(a * inner, b * inner) for a, b in parts] != list(role.intervals):  # an entry would be cut
                    parts = list(balanced(extents[lead], domain.grid.axes[name]))
                aligned[name] = Split(lead, parts, gaps=True)
                flat[name] = Split(first, [(a * inner, b * inner) for a, b in parts], gaps=True)
        self.align = moving(domain, domain.with_roles(**aligned))
        flattened = codomain.with_roles(**flat)
        self.flattened = flattened.shape
        self.ndim = domain.ndim
        self.move = moving(flattened, codomain)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the flattened tensor: from shape ``(*batch, *domain.shape)`` to ``(*batch, *codomain.shape)``."""
        batch = x.shape[: x.ndim - self.ndim]
        y: torch.Tensor = self.move(self.align(x).reshape(*batch, *self.flattened))
        return y


def _flat_roles(domain: DistributedSpace, first: int, lead: int, last: int, inner: int) -> dict[str, Role]:
    """Return how the result lies by default."""
    along = {role.axis: name for name, role in reversed(domain.roles.items()) if isinstance(role, Split)}
    keeps = along.get(lead) or next(
        (name for name, role in domain.roles.items() if isinstance(role, Split) and first <= role.axis <= last), None
    )
    roles: dict[str, Role] = {}
    for name, role in domain.roles.items():
        if name == keeps:
            parts = role.intervals if isinstance(role, Split) and role.axis == lead else None
            parts = parts or balanced(domain.global_shape[lead], domain.grid.axes[name])
            roles[name] = Split(first, [(start * inner, stop * inner) for start, stop in parts], gaps=True)
        elif isinstance(role, Split) and first <= role.axis <= last:
            roles[name] = Replicated()
        elif isinstance(role, Split) and role.axis > last:
            roles[name] = Split(role.axis - (last - first), role.intervals)
        else:
            roles[name] = role
    return roles
