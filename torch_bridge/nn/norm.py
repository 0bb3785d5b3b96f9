r"""Normalisations of tensors that are split over a grid, along any of their axes.

.. math:: y = \frac{x - m}{\sqrt{v + \epsilon}}\, C w + C b, \quad m = \mathrm{mean}(x),\ v = \mathrm{mean}((x - m)^2)

A mean is a sum on each rank, and the sum of these few numbers over all ranks that have a share in it: an
all-sum-reduce, which is its own adjoint. The gradients of m and v follow from it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import final

import torch

from distdl_ops import DistributedSpace
from distdl_ops.compositions.shared import settled
from linop import SpaceError
from torch_bridge.nn.docstrings import documented
from torch_bridge.nn.layer import Layer, moving, parameter_space, torch_dtype
from torch_bridge.nn.sums import held, partial_sums


@final
class Mean(torch.nn.Module):
    """The mean over some axes of a tensor: on every rank, of what it has a share in. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        The tensor; holds each entry once.
    axes : sequence of int
        Over which.
    groups : int, optional
        Along axis 0, if it is one of them, there is a mean for each of so many groups of entries.
    """

    member: torch.Tensor

    def __init__(self, domain: DistributedSpace, axes: Sequence[int], groups: int | None = None) -> None:
        super().__init__()
        self.ndim = domain.ndim
        self.axes = tuple(axis - domain.ndim for axis in axes if axis or groups is None)
        self.sums = partial_sums(domain, axes, groups or 1)
        self.add_up = moving(self.sums, self.sums)
        self.count = math.prod(domain.global_shape) // math.prod(self.sums.global_shape)
        self.groups = groups
        if groups is not None:
            here = domain.layout.intervals_at(domain.grid.world.rank) or ((0, 0),)
            size = domain.global_shape[0] // groups
            self.register_buffer("member", torch.arange(*here[0]) // size, persistent=False)

    def forward(self, x: torch.Tensor, *, over_batch: bool = False) -> torch.Tensor:
        """Return the means, of a shape that goes with that of the tensor; if wanted, over its batch axes as well."""
        batch = tuple(range(x.ndim - self.ndim)) if over_batch else ()
        axes = (*batch, *self.axes)
        sums = x.sum(axes, keepdim=True) if axes else x
        if self.groups is not None:
            empty = sums.new_zeros(*sums.shape[: -self.ndim], self.groups, *sums.shape[sums.ndim - self.ndim + 1 :])
            sums = empty.index_add(-self.ndim, self.member, sums)
        count = self.count * math.prod(x.shape[axis] for axis in batch)
        means: torch.Tensor = self.add_up(held(sums, self.sums)) / count
        if self.groups is not None and means.numel():
            means = means.index_select(means.ndim - self.ndim, self.member)
        return means


class Norm(Layer):
    """A normalisation, with a weight and a bias. Abstract.

    Attributes
    ----------
    codomain : DistributedSpace
        Of the output: that of the input.
    """

    bias: torch.nn.Parameter

    def _build(
        self,
        sequential: Callable[[str], torch.nn.Module],
        domain: DistributedSpace,
        check: Callable[[], object],
        first: int,
    ) -> None:
        """Make parameters and buffers, whose axes are those of the input from `first` on."""

        def attempt() -> torch.nn.Module:
            check()
            return sequential("meta")

        plain = settled(type(self).__name__, domain, attempt, repr)
        self.codomain = domain
        self.copies = torch.nn.ModuleDict()
        spaces = {}
        for name, value in plain.state_dict().items():
            if value.ndim:
                axes = {first + axis: axis for axis in range(value.ndim)}
                spaces[name], self.copies[name] = parameter_space(domain, tuple(value.shape), axes)
                self.ones = (1,) * (domain.ndim - first - value.ndim)
        self.add_parameters(spaces, sequential)

    def _scaled(self, y: torch.Tensor) -> torch.Tensor:
        """Return the tensor times the weight, plus the bias, where there are any."""
        if "weight" in self.parameter_spaces:
            y = y * self._beside(self.copies["weight"](self.weight))
        return y + self._beside(self.copies["bias"](self.bias)) if "bias" in self.parameter_spaces else y

    def _beside(self, numbers: torch.Tensor) -> torch.Tensor:
        """Return numbers in a shape that goes with that of the tensor."""
        return numbers.reshape(*numbers.shape, *self.ones)


@final
class LayerNorm(Norm):
    """`torch.nn.LayerNorm` of tensors that are split along any axes. Collective to build.

    Parameters
    ----------
    normalized_shape, eps, elementwise_affine, bias
        As for `torch.nn.LayerNorm`.
    domain : DistributedSpace
        Of the input, with shape ``(..., *normalized_shape)``.

    Attributes
    ----------
    codomain : DistributedSpace
        The same.

    Raises
    ------
    SpaceError
        When the input does not fit the layer.

    Examples
    --------
    Features that are split: one number of each tensor is summed over the ranks, twice.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (5, 8), p=Split(1))
    ...     layer = LayerNorm(8, domain=x)
    ...     return str(layer.mean.add_up.operator), layer.mean.sums.global_shape, tuple(layer.weight.shape)
    >>> simulate(2, main)[0]
    ('AllSumReduce(p)', (5, 1), (4,))
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        shape = _normalized(normalized_shape)
        self._build(
            lambda device: torch.nn.LayerNorm(shape, eps, elementwise_affine, bias, device=device),
            domain,
            lambda: _require_end(domain, shape),
            domain.ndim - len(shape),
        )
        self.eps = eps
        self.mean = Mean(domain, range(domain.ndim - len(shape), domain.ndim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised tensor: shape ``(*batch, *domain.shape)``, as the input."""
        x = x - self.mean(x)
        return self._scaled(x * torch.rsqrt(self.mean(x**2) + self.eps))


@final
class RMSNorm(Norm):
    """`torch.nn.RMSNorm` of tensors that are split along any axes. Collective to build.

    Parameters
    ----------
    normalized_shape, eps, elementwise_affine
        As for `torch.nn.RMSNorm`.
    domain : DistributedSpace
        Of the input, with shape ``(..., *normalized_shape)``.

    Attributes
    ----------
    codomain : DistributedSpace
        The same.

    Raises
    ------
    SpaceError
        When the input does not fit the layer.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (4,), p=Split(0))
    ...     return RMSNorm(4, eps=0, domain=x)(x.from_global(torch.tensor([0.0, 0.0, 0.0, 8.0]))).tolist()
    >>> simulate(2, main)  # the mean of the squares is 16
    [[0.0, 0.0], [0.0, 2.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        *,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        shape = _normalized(normalized_shape)
        self._build(
            lambda device: torch.nn.RMSNorm(shape, eps, elementwise_affine, device=device),
            domain,
            lambda: _require_end(domain, shape),
            domain.ndim - len(shape),
        )
        self.eps = torch.finfo(torch_dtype(domain)).eps if eps is None else eps
        self.mean = Mean(domain, range(domain.ndim - len(shape), domain.ndim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised tensor: shape ``(*batch, *domain.shape)``, as the input."""
        return self._scaled(x * torch.rsqrt(self.mean(x**2) + self.eps))


def _normalized(shape: int | Sequence[int]) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _require_end(domain: DistributedSpace, shape: tuple[int, ...]) -> None:
    if not shape or domain.global_shape[-len(shape) :] != shape:
        raise SpaceError(f"expected tensors of shape (..., {', '.join(map(str, shape))})")


@final
class GroupNorm(Norm):
    """`torch.nn.GroupNorm` of images that are split in space or in channels, through groups as well. Collective.

    Parameters
    ----------
    num_groups, num_channels, eps, affine
        As for `torch.nn.GroupNorm`.
    domain : DistributedSpace
        Of the input, with shape (num_channels, ...).

    Attributes
    ----------
    codomain : DistributedSpace
        The same.

    Raises
    ------
    SpaceError
        When the input does not fit the layer.
    ValueError
        When the channels do not divide into the groups.

    Examples
    --------
    The second of three groups of channels lies on both ranks:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     images = DistributedSpace(Grid(world, p=2), (6, 4, 4), p=Split(0))
    ...     layer = GroupNorm(3, 6, domain=images)
    ...     return str(layer.mean.add_up.operator), layer.mean.member.tolist()
    >>> simulate(2, main)
    [('AllSumReduce(p)', [0, 0, 1]), ('AllSumReduce(p)', [1, 2, 2])]
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True, *, domain: DistributedSpace
    ) -> None:
        super().__init__()
        self._build(
            lambda device: torch.nn.GroupNorm(num_groups, num_channels, eps, affine, device=device),
            domain,
            lambda: _require_channels(domain, num_channels),
            0,
        )
        self.eps = eps
        self.mean = Mean(domain, range(domain.ndim), num_groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised images: shape ``(*batch, *domain.shape)``, as the input."""
        x = x - self.mean(x)
        return self._scaled(x * torch.rsqrt(self.mean(x**2) + self.eps))


def _require_channels(domain: DistributedSpace, channels: int, dimensions: Sequence[int] = ()) -> None:
    if domain.global_shape[:1] != (channels,) or (dimensions and domain.ndim not in dimensions):
        words = f", in {' or '.join(map(str, dimensions))} dimensions" if dimensions else ""
        raise SpaceError(f"expected images with {channels} channels{words}")


class TrackingNorm(Norm):
    """A normalisation of each channel, which may keep running statistics. Abstract.

    Parameters
    ----------
    num_features, eps, momentum, affine, track_running_stats
        As for torch's layer of the same name.
    domain : DistributedSpace
        Of the input, with shape (num_features, ...). Any of its axes may be split; the batch is the same on all ranks.

    Attributes
    ----------
    codomain : DistributedSpace
        The same.

    Raises
    ------
    SpaceError
        When the input does not fit the layer.
    """

    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor
    sequential: Callable[..., torch.nn.Module]
    over_batch: bool
    dimensions: tuple[int, ...]

    def _track(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        domain: DistributedSpace,
    ) -> None:
        """Make everything; arguments as torch takes them."""

        def sequential(device: str) -> torch.nn.Module:
            return self.sequential(num_features, eps, momentum, affine, track_running_stats, device=device)

        self._build(sequential, domain, lambda: _require_channels(domain, num_features, self.dimensions), 0)
        if track_running_stats:
            self.register_buffer("num_batches_tracked", torch.zeros((), dtype=torch.int64))
        self.eps, self.momentum, self.tracking = eps, momentum, track_running_stats
        self.ones = (1,) * (domain.ndim - 1)
        self.mean = Mean(domain, range(1, domain.ndim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised images: shape ``(*batch, *domain.shape)``, as the input."""
        if self.training or not self.tracking:
            batch = x.shape[: x.ndim - self.mean.ndim] if self.over_batch else ()
            count = self.mean.count * math.prod(batch)
            if count == 1:
                raise ValueError(f"{type(self).__name__}: expected more than one value for each channel")
            mean = self.mean(x, over_batch=self.over_batch)
            x = x - mean
            variance = self.mean(x**2, over_batch=self.over_batch)
            if self.training and self.tracking:
                self._keep(mean.detach(), variance.detach() * (count / (count - 1)))
        else:
            x, variance = x - self._beside(self.running_mean), self._beside(self.running_var)
        return self._scaled(x * torch.rsqrt(variance + self.eps))

    def _keep(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Let means and variances enter the running statistics: on every rank, those of its channels."""
        share = self._share()
        for kept, found in ((self.running_mean, mean), (self.running_var, variance)):
            batch = tuple(range(found.ndim - self.mean.ndim))
            kept.lerp_((found.mean(batch) if batch else found).reshape(kept.shape).to(kept.dtype), share)

    def _share(self) -> float:
        """Return the share of the last batch in the running statistics."""
        return self.momentum or 0.0


class BatchNorm(TrackingNorm):
    """A batch normalisation; see `TrackingNorm`. Abstract: `BatchNorm1d`, `BatchNorm2d` or `BatchNorm3d`."""

    over_batch = True

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        self._track(num_features, eps, momentum, affine, track_running_stats, domain)

    def _share(self) -> float:
        self.num_batches_tracked.add_(1)
        return 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum


class InstanceNorm(TrackingNorm):
    """An instance normalisation; see `TrackingNorm`. Abstract: `InstanceNorm1d`, `InstanceNorm2d`, `InstanceNorm3d`."""

    over_batch = False

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        self._track(num_features, eps, momentum, affine, track_running_stats, domain)


@final
@documented
class BatchNorm1d(BatchNorm):
    """`torch.nn.BatchNorm1d` of sequences that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (1, 4), p=Split(1))
    ...     layer = BatchNorm1d(1, momentum=1.0, domain=x)
    ...     layer(x.from_global(torch.arange(8.0).double().reshape(2, 1, 4)))
    ...     return layer.running_mean.item(), layer.running_var.item()
    >>> simulate(2, main)  # those of 0, ..., 7, on each rank
    [(3.5, 6.0), (3.5, 6.0)]
    """

    sequential, dimensions = torch.nn.BatchNorm1d, (1, 2)


@final
@documented
class BatchNorm2d(BatchNorm):
    """`torch.nn.BatchNorm2d` of images that are split over a grid. Collective to build.

    Examples
    --------
    Its parameters are one vector that all ranks store; where they act, each rank has a copy of its own.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import movements
    >>> def main(world):
    ...     layer = BatchNorm2d(4, domain=DistributedSpace(Grid(world, rows=2), (4, 8, 8), rows=Split(1)))
    ...     return {name: str(movement) for name, movement in movements(layer).items() if "running" not in name}
    >>> simulate(2, main)[0]
    {'copies.weight': 'Copy(rows)', 'copies.bias': 'Copy(rows)', 'mean.add_up': 'AllSumReduce(rows)'}
    """

    sequential, dimensions = torch.nn.BatchNorm2d, (3,)


@final
@documented
class BatchNorm3d(BatchNorm):
    """`torch.nn.BatchNorm3d` of volumes that are split over a grid. Collective to build.

    Examples
    --------
    Channels that are split: so are the parameters, and nothing moves.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> from torch_bridge.nn import movements, parameter_spaces
    >>> def main(world):
    ...     layer = BatchNorm3d(4, domain=DistributedSpace(Grid(world, p=2), (4, 8, 8, 8), p=Split(0)))
    ...     return parameter_spaces(layer)["weight"], movements(layer)
    >>> simulate(2, main)[0]
    (DistributedSpace(Grid(p=2), float64, (4,) p=Split(0)), {})
    """

    sequential, dimensions = torch.nn.BatchNorm3d, (4,)


@final
@documented
class InstanceNorm1d(InstanceNorm):
    """`torch.nn.InstanceNorm1d` of sequences that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (1, 4), p=Split(1))
    ...     y = InstanceNorm1d(1, eps=0, domain=x)(x.from_global(torch.tensor([[1.0, 3.0, 1.0, 3.0]]).double()))
    ...     return y.tolist()
    >>> simulate(2, main)
    [[[-1.0, 1.0]], [[-1.0, 1.0]]]
    """

    sequential, dimensions = torch.nn.InstanceNorm1d, (2,)


@final
@documented
class InstanceNorm2d(InstanceNorm):
    """`torch.nn.InstanceNorm2d` of images that are split over a grid. Collective to build.

    Examples
    --------
    One number of each channel of each image is summed over the ranks, twice:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     layer = InstanceNorm2d(3, domain=DistributedSpace(Grid(world, rows=2), (3, 8, 8), rows=Split(1)))
    ...     return str(layer.mean.add_up.operator), layer.mean.sums.global_shape
    >>> simulate(2, main)[0]
    ('AllSumReduce(rows)', (3, 1, 1))
    """

    sequential, dimensions = torch.nn.InstanceNorm2d, (3,)


@final
@documented
class InstanceNorm3d(InstanceNorm):
    """`torch.nn.InstanceNorm3d` of volumes that are split over a grid. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     volumes = DistributedSpace(Grid(world, p=2, q=2), (3, 4, 4, 4), p=Split(1), q=Split(3))
    ...     layer = InstanceNorm3d(3, affine=True, domain=volumes)
    ...     return str(layer.mean.add_up.operator), tuple(layer(torch.ones(5, *volumes.shape).double()).shape)
    >>> simulate(4, main)[0]
    ('AllSumReduce(p, q)', (5, 3, 2, 4, 2))
    """

    sequential, dimensions = torch.nn.InstanceNorm3d, (4,)
