r"""Sums over a tensor that is split: a sum on each rank, and the sum of these few numbers over the ranks.

What each rank has summed is a vector of a space of its own: copies where the sum has crossed a split axis. From there
an all-sum-reduce (to copies, where every part of the tensor goes on with the sum) or an all-reduce (to one replicated
vector, where all go on alike) adds them up, and its adjoint brings the gradients back.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import final

import torch

from distdl_ops import Copies, DistributedSpace, Role, Split
from torch_bridge.nn.layer import moving


def partial_sums(domain: DistributedSpace, axes: Collection[int], groups: int = 1) -> DistributedSpace:
    """Return the space of each rank's sums over some axes of a tensor, which are kept with extent 1. Collective.

    Parameters
    ----------
    domain : DistributedSpace
        The tensor; holds each entry once.
    axes : collection of int
        Over which.
    groups : int, optional
        Along axis 0, if it is one of them, there is a sum for each of so many groups of entries.
    """
    extents = enumerate(domain.global_shape)
    shape = tuple((groups if axis == 0 else 1) if axis in axes else n for axis, n in extents)
    roles: dict[str, Role] = {
        name: Copies() if isinstance(role, Split) and role.axis in axes else role for name, role in domain.roles.items()
    }
    return DistributedSpace(domain.grid, shape, domain.dtype, domain.field, **roles)


def held(sums: torch.Tensor, space: DistributedSpace) -> torch.Tensor:
    """Return this rank's part of the sums: none where it holds nothing, for an empty sum is a number."""
    for axis, n in enumerate(space.shape, start=sums.ndim - space.ndim):
        sums = sums.narrow(axis, 0, n)
    return sums.contiguous()


@final
class Total(torch.nn.Module):
    """The sum of all entries of a tensor: one number, the same on every rank. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        The tensor; holds each entry once.
    """

    def __init__(self, domain: DistributedSpace) -> None:
        super().__init__()
        self.sums = partial_sums(domain, range(domain.ndim))
        self.add_up = moving(self.sums, self.sums.everywhere())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum over this tensor, of all its batch, as a tensor without axes."""
        total: torch.Tensor = self.add_up(held(x.sum().reshape((1,) * self.sums.ndim), self.sums))
        return total.reshape(())
