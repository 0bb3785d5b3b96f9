r"""Dropout of tensors in any layout: random numbers that agree between replicas and differ between parts.

.. math:: y = x \cdot m / (1 - p)

m is a vector of zeros and ones. Every rank draws its part of it: ranks that store the same part draw the same numbers,
all others numbers of their own. Where whole channels are dropped, m has one entry for each; so all ranks with a part of
a channel draw the same one.
"""

from __future__ import annotations

from typing import final

import torch

from distdl_ops import DistributedSpace, Replicated, Role, Split
from distdl_ops.compositions.shared import settled
from linop import SpaceError
from torch_bridge.nn.docstrings import documented


class DropoutOf(torch.nn.Module):
    """A dropout. Abstract: the final classes are named as torch's.

    Parameters
    ----------
    p, inplace
        As for torch's layer of the same name.
    domain : DistributedSpace
        Of the input: any roles. For dropout of channels, with shape (channels, ...).

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: that of the input.

    Raises
    ------
    SpaceError
        When the input does not fit the layer.
    ValueError
        When p is no probability.

    Notes
    -----
    The seed is drawn once, on rank 0, from torch's global generator. The streams are not those of torch's layer: that
    would take a mask of the whole tensor on every rank.
    """

    spatial: int | None = None

    def __init__(self, p: float = 0.5, inplace: bool = False, *, domain: DistributedSpace) -> None:
        super().__init__()

        def check() -> None:
            torch.nn.Dropout(p)  # raises what torch does
            if self.spatial is not None and domain.ndim != self.spatial + 1:
                raise SpaceError(f"expected images of shape (channels, {self.spatial} spatial axes)")

        settled(type(self).__name__, domain, check, lambda _: f"p={p}", once=False)
        self.p, self.inplace, self.codomain = p, inplace, domain
        world = domain.grid.world
        seed = int(torch.randint(2**62, ())) if world.rank == 0 else 0
        (self.seed, *_) = world.allgather(seed, type(self).__name__)
        self.dropped = domain.ndim if self.spatial is None else 1
        extents = enumerate(domain.global_shape)
        shape = tuple(n if axis < self.dropped else 1 for axis, n in extents)
        roles: dict[str, Role] = {
            name: Replicated() if isinstance(role, Split) and role.axis >= self.dropped else role
            for name, role in domain.roles.items()
        }
        masks = DistributedSpace(domain.grid, shape, domain.dtype, domain.field, **roles)
        self.stream = masks.layout.counted_rank(world.rank)
        self.generator = torch.Generator().manual_seed(hash((self.seed, self.stream)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tensor, in training with entries dropped: shape ``(*batch, *domain.shape)``, as the input."""
        if not self.training or self.p == 0:
            return x
        whole = x.ndim - self.codomain.ndim + self.dropped
        shape = (*x.shape[:whole], *(1,) * (x.ndim - whole))
        kept = torch.rand(shape, generator=self.generator, dtype=torch.float64) >= self.p
        mask = kept.to(x) / (1 - self.p) if self.p < 1 else torch.zeros_like(x)
        return x.mul_(mask) if self.inplace else x * mask


@final
@documented
class Dropout(DropoutOf):
    """`torch.nn.Dropout` of a tensor in any layout. Collective to build.

    Examples
    --------
    Parts draw numbers of their own, replicas the same ones:

    >>> from distdl_ops import DistributedSpace, Grid, Replicated, Split, simulate
    >>> def main(world, role):
    ...     x = DistributedSpace(Grid(world, p=2), (64,), p=role)
    ...     return Dropout(domain=x)(torch.ones(x.shape)).tolist()
    >>> own, replicas = (simulate(2, lambda world: main(world, role)) for role in (Split(0), Replicated()))
    >>> own[0] == own[1], replicas[0] == replicas[1]
    (False, True)
    """


@final
@documented
class Dropout1d(DropoutOf):
    """`torch.nn.Dropout1d` of sequences in any layout: drops whole channels. Collective to build.

    Examples
    --------
    Each channel is dropped on all ranks, or on none:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (64, 6), p=Split(1))
    ...     return Dropout1d(domain=x)(torch.ones(x.shape)).tolist()
    >>> left, right = simulate(2, main)
    >>> left == right
    True
    """

    spatial = 1


@final
@documented
class Dropout2d(DropoutOf):
    """`torch.nn.Dropout2d` of images in any layout: drops whole channels. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, rows=2), (8, 4, 4), rows=Split(1))
    ...     y = Dropout2d(0.25, domain=images)(torch.full(images.shape, 3.0))
    ...     return sorted(set(y.flatten().tolist())) in ([0.0, 4.0], [4.0], [0.0])
    >>> simulate(2, main)
    [True, True]
    """

    spatial = 2


@final
@documented
class Dropout3d(DropoutOf):
    """`torch.nn.Dropout3d` of volumes in any layout: drops whole channels. Collective to build.

    Examples
    --------
    In evaluation, it does nothing:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = torch.ones(2, 2, 4, 4)
    ...     layer = Dropout3d(domain=DistributedSpace(Grid(world, p=2), (2, 4, 4, 4), p=Split(1))).eval()
    ...     return layer(x).equal(x)
    >>> simulate(2, main)
    [True, True]
    """

    spatial = 3
