r"""Losses of predictions that are spread over ranks, in any layout: one number, the same on every rank.

.. math:: \ell = \frac{1}{n}\, T \sum_i f(x_i, t_i)

Each rank sums the losses of what it holds; T adds these numbers up, to one replicated number: every rank has the same
loss. Backward, T's adjoint hands the replicated gradient to each of them; nothing is summed twice.

Where the classes of a classification are split, the sums over the classes are formed in the same way, one for each
place: neither scores nor gradients are gathered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, final

import torch
from torch.nn import functional

from distdl_ops import Copies, DistributedSpace, Replicated, Role, Split
from distdl_ops.compositions.shared import settled
from linop import SpaceError
from torch_bridge.nn.docstrings import documented
from torch_bridge.nn.layer import moving
from torch_bridge.nn.sums import Total, held, partial_sums

Reduction = Literal["mean", "sum", "none"]
"""What is returned: the mean over all entries of all ranks, their sum, or this rank's part of them."""


def _settle(loss: torch.nn.Module, domain: DistributedSpace, described: str, reductions: tuple[str, ...]) -> None:
    """Raise on all ranks unless a loss can be taken of a space, with the same arguments everywhere."""

    def check() -> str:
        if loss.reduction not in reductions:
            raise SpaceError(f"expected a reduction of {', '.join(reductions)}, found {loss.reduction!r}")
        if domain.ndim == 0:
            raise SpaceError("expected tensors with an axis; use shape (1,) for a number")
        return f"{described}, reduction={loss.reduction}"

    settled(type(loss).__name__, domain, check, repr)


class EntrywiseLoss(torch.nn.Module):
    """A loss that is a mean over entries. Abstract: each loss names the function of torch.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}, optional
        As for torch's layer of the same name.
    domain : DistributedSpace
        Of the input and the target alike; holds each entry once.

    Raises
    ------
    SpaceError
        When the domain holds entries more than once, or the reduction is another word.
    """

    reductions: tuple[str, ...] = ("mean", "sum", "none")
    _entrywise: Callable[..., torch.Tensor]
    """Torch's function."""

    def __init__(self, *, reduction: Reduction = "mean", domain: DistributedSpace) -> None:
        self._build(reduction, domain)

    def _build(self, reduction: str, domain: DistributedSpace, **numbers: float) -> None:
        """Make the module; the numbers are further arguments of torch's function, and attributes here."""
        super().__init__()
        self.domain, self.reduction, self._numbers = domain, reduction, tuple(numbers)
        vars(self).update(numbers)
        _settle(self, domain, f"{numbers}", self.reductions)
        self.total = Total(domain)

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:  # noqa: A002  (torch's name)
        """Return the loss, the same number on every rank; without reduction, this rank's part.

        Parameters
        ----------
        input, target : tensor, shape ``(*batch, *domain.shape)``
            This rank's parts.
        """
        numbers = {name: getattr(self, name) for name in self._numbers}
        losses = type(self)._entrywise(input, target, reduction="none", **numbers)
        if self.reduction == "none":
            return losses
        batch = input.shape[: input.ndim - self.domain.ndim]
        total: torch.Tensor = self.total(losses)
        return total / self.count((*batch, *self.domain.global_shape))

    def count(self, shape: tuple[int, ...]) -> int:
        """Return what the sum is divided by, for tensors of a shape."""
        return torch.Size(shape).numel() if self.reduction == "mean" else 1


@final
@documented
class MSELoss(EntrywiseLoss):
    """`torch.nn.MSELoss` of a tensor in any layout. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (2,), p=Split(0))
    ...     return MSELoss(domain=x)(x.from_global(torch.tensor([3.0, 1.0])), torch.zeros(1)).item()
    >>> simulate(2, main)  # (9 + 1) / 2
    [5.0, 5.0]
    """

    _entrywise = staticmethod(functional.mse_loss)


@final
@documented
class L1Loss(EntrywiseLoss):
    """`torch.nn.L1Loss` of a tensor in any layout. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (2,), p=Split(0))
    ...     return L1Loss(reduction="sum", domain=x)(x.from_global(torch.tensor([3.0, -1.0])), torch.zeros(1)).item()
    >>> simulate(2, main)
    [4.0, 4.0]
    """

    _entrywise = staticmethod(functional.l1_loss)


@final
class HuberLoss(EntrywiseLoss):
    """`torch.nn.HuberLoss` of a tensor in any layout. Collective to build.

    Parameters
    ----------
    reduction, delta
        As for `torch.nn.HuberLoss`.
    domain : DistributedSpace
        Of the input and the target alike; holds each entry once.

    Raises
    ------
    SpaceError
        When the domain holds entries more than once, or the reduction is another word.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (2,), p=Split(0))
    ...     return HuberLoss(delta=2.0, domain=x)(x.from_global(torch.tensor([1.0, 5.0])), torch.zeros(1)).item()
    >>> simulate(2, main)  # (1 / 2 + 2 (5 - 1)) / 2
    [4.25, 4.25]
    """

    def __init__(self, *, reduction: Reduction = "mean", delta: float = 1.0, domain: DistributedSpace) -> None:
        self._build(reduction, domain, delta=delta)

    _entrywise = staticmethod(functional.huber_loss)


@final
class SmoothL1Loss(EntrywiseLoss):
    """`torch.nn.SmoothL1Loss` of a tensor in any layout. Collective to build.

    Parameters
    ----------
    reduction, beta
        As for `torch.nn.SmoothL1Loss`.
    domain : DistributedSpace
        Of the input and the target alike; holds each entry once.

    Raises
    ------
    SpaceError
        When the domain holds entries more than once, or the reduction is another word.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (2,), p=Split(0))
    ...     return SmoothL1Loss(beta=2.0, domain=x)(x.from_global(torch.tensor([1.0, 5.0])), torch.zeros(1)).item()
    >>> simulate(2, main)  # (1 / 4 + 5 - 1) / 2
    [2.125, 2.125]
    """

    def __init__(self, *, reduction: Reduction = "mean", beta: float = 1.0, domain: DistributedSpace) -> None:
        self._build(reduction, domain, beta=beta)

    _entrywise = staticmethod(functional.smooth_l1_loss)


@final
@documented
class BCELoss(EntrywiseLoss):
    """`torch.nn.BCELoss` of a tensor in any layout, without weights. Collective to build.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (2,), p=Split(0))
    ...     loss = BCELoss(domain=x)(x.from_global(torch.tensor([0.25, 1.0])), torch.ones(1))
    ...     return round(loss.item(), 4)
    >>> simulate(2, main)  # log(4) / 2
    [0.6931, 0.6931]
    """

    _entrywise = staticmethod(functional.binary_cross_entropy)


@final
@documented
class BCEWithLogitsLoss(EntrywiseLoss):
    """`torch.nn.BCEWithLogitsLoss` of a tensor in any layout, without weights. Collective.

    Examples
    --------
    The gradient of each entry is that of the mean over all ranks:

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = torch.zeros(2, requires_grad=True)
    ...     BCEWithLogitsLoss(domain=DistributedSpace(Grid(world, p=2), (4,), p=Split(0)))(x, torch.ones(2)).backward()
    ...     return x.grad.tolist()
    >>> simulate(2, main)  # (sigmoid(0) - 1) / 4
    [[-0.125, -0.125], [-0.125, -0.125]]
    """

    _entrywise = staticmethod(functional.binary_cross_entropy_with_logits)


@final
class KLDivLoss(EntrywiseLoss):
    """`torch.nn.KLDivLoss` of a tensor in any layout. Collective to build.

    The reduction "batchmean" divides by the first extent of the whole input, as torch does.

    Parameters
    ----------
    reduction, log_target
        As for `torch.nn.KLDivLoss`.
    domain : DistributedSpace
        Of the input and the target alike; holds each entry once.

    Raises
    ------
    SpaceError
        When the domain holds entries more than once, or the reduction is another word.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (4,), p=Split(0))
    ...     loss = KLDivLoss(reduction="batchmean", domain=x)
    ...     return loss(torch.full((3, 2), 0.25).log(), torch.full((3, 2), 0.25)).item(), loss.count((3, 4))
    >>> simulate(2, main)[0]
    (0.0, 3)
    """

    reductions = ("mean", "sum", "none", "batchmean")

    def __init__(
        self,
        *,
        reduction: Literal["mean", "sum", "none", "batchmean"] = "mean",
        log_target: bool = False,
        domain: DistributedSpace,
    ) -> None:
        self._build(reduction, domain, log_target=log_target)

    _entrywise = staticmethod(functional.kl_div)

    def count(self, shape: tuple[int, ...]) -> int:  # noqa: D102
        return shape[0] if self.reduction == "batchmean" else super().count(shape)


class ClassLoss(torch.nn.Module):
    """A loss of classes. Abstract: `CrossEntropyLoss` or `NLLLoss`.

    Attributes
    ----------
    domain : DistributedSpace
        Of the scores.
    """

    weight: torch.Tensor | None

    def _build(
        self,
        weight: torch.Tensor | None,
        ignore_index: int,
        reduction: str,
        label_smoothing: float,
        domain: DistributedSpace,
    ) -> None:
        """Make the movements; arguments as torch takes them."""
        self.domain, self.reduction = domain, reduction
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        described = f"{weight}, ignore_index={ignore_index}, label_smoothing={label_smoothing}"
        _settle(self, domain, described, ("mean", "sum", "none"))
        self.classes = domain.global_shape[0]
        if weight is not None and tuple(weight.shape) != (self.classes,):
            raise SpaceError(f"{type(self).__name__}: expected a weight for each of {self.classes} classes")
        self.register_buffer("weight", weight, persistent=False)
        here = domain.layout.intervals_at(domain.grid.world.rank)
        self.interval = here[0] if here else (0, 0)
        self.sums = partial_sums(domain, [0])
        everyone = {name: Replicated() if isinstance(r, Copies) else r for name, r in self.sums.roles.items()}
        places = self.sums.with_roles(**everyone)
        self.over_classes = moving(self.sums, places)
        self.total = Total(places)
        # The largest score of each rank; of all of them, each finds the largest.
        along = [name for name, role in domain.roles.items() if isinstance(role, Split) and role.axis == 0]
        count = domain.grid.axes[along[0]] if along else 1
        ones: dict[str, Role] = {name: Split(0) for name in along}
        maxima = DistributedSpace(
            domain.grid, (count, *domain.global_shape[1:]), domain.dtype, **{**places.roles, **ones}
        )
        self.maxima = maxima
        self.gather_maxima = moving(maxima, maxima.with_roles(**everyone))

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:  # noqa: A002  (torch's name)
        """Return the loss, the same number on every rank; without reduction, that of each of this rank's places.

        Parameters
        ----------
        input : tensor, shape ``(*batch, *domain.shape)``
            This rank's part.
        target : tensor of int64, shape ``(*batch, *domain.shape[1:])``
            The class of each of this rank's places. Without places, the same on every rank.
        """
        axis = input.ndim - self.domain.ndim
        beside = (-1, *(1,) * (self.domain.ndim - 1))
        hot, coefficients = self._coefficients(target, axis, beside, input.dtype)
        products = torch.where(coefficients != 0, coefficients * input, 0)
        shift = self._largest(input.detach(), axis)
        terms = torch.stack([(input - shift).exp(), coefficients.expand_as(input), products, hot])
        exponentials, weights, picked, counted = self.over_classes(held(terms.sum(axis + 1, keepdim=True), self.sums))
        losses = self.losses(shift, exponentials, weights, picked)
        if self.reduction == "none":
            return losses.sum(axis)
        loss: torch.Tensor = self.total(losses)
        return loss / self.total(counted) if self.reduction == "mean" else loss

    def losses(
        self, shift: torch.Tensor, exponentials: torch.Tensor, weights: torch.Tensor, picked: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of each place, from sums over the classes."""
        raise NotImplementedError

    def _coefficients(
        self, target: torch.Tensor, axis: int, beside: tuple[int, ...], dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the scores of this rank's classes are multiplied by: before and after smoothing."""
        name, world = type(self).__name__, self.domain.grid.world
        if target.is_floating_point():
            world.fail(
                SpaceError(f"{name}: expected classes as targets, found {target.dtype}: probabilities are not taken")
            )
        valid = (target != self.ignore_index).unsqueeze(axis)
        found = target.unsqueeze(axis)
        if bool((valid & ((found < 0) | (found >= self.classes))).any()):
            world.fail(SpaceError(f"{name}: expected targets from 0 to {self.classes - 1}"))
        classes = torch.arange(*self.interval, device=target.device).reshape(beside)
        smooth = valid.to(dtype) * (self.label_smoothing / self.classes)
        hot = (valid & (found == classes)).to(dtype)
        coefficients = (1 - self.label_smoothing) * hot + smooth
        if self.weight is not None:
            weight = self.weight[slice(*self.interval)].reshape(beside).to(dtype)
            hot, coefficients = weight * hot, weight * coefficients
        return hot, coefficients

    def _largest(self, x: torch.Tensor, axis: int) -> torch.Tensor:
        """Return the largest score of each place, over the classes of all ranks."""
        shape = list(x.shape)
        shape[axis] = 1
        largest = x.amax(axis, keepdim=True) if x.shape[axis] else x.new_full(shape, -torch.inf)
        with torch.no_grad():
            found: torch.Tensor = self.gather_maxima(held(largest, self.maxima))
        return found.amax(axis, keepdim=True) if found.shape[axis] else found


@final
class CrossEntropyLoss(ClassLoss):
    """`torch.nn.CrossEntropyLoss` of scores in any layout: the classes may be split. Collective to build.

    Parameters
    ----------
    weight, ignore_index, reduction, label_smoothing
        As for `torch.nn.CrossEntropyLoss`; the weight is that of all classes, the same on every rank.
    domain : DistributedSpace
        Of the scores, with shape (classes, ...); holds each entry once.

    Raises
    ------
    SpaceError
        When the arguments do not fit; in a call, when a target is no class.

    Examples
    --------
    Ten classes on two ranks, equally likely: each rank has half of the gradient.

    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     loss = CrossEntropyLoss(domain=DistributedSpace(Grid(world, p=2), (10,), p=Split(0)))
    ...     scores = torch.zeros(1, 5, requires_grad=True)
    ...     value = loss(scores, torch.tensor([7]))
    ...     value.backward()
    ...     return round(value.item(), 4), [round(g, 4) for g in scores.grad[0].tolist()]
    >>> simulate(2, main)  # log(10)
    [(2.3026, [0.1, 0.1, 0.1, 0.1, 0.1]), (2.3026, [0.1, 0.1, -0.9, 0.1, 0.1])]
    """

    def __init__(
        self,
        weight: torch.Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        label_smoothing: float = 0.0,
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        self._build(weight, ignore_index, reduction, label_smoothing, domain)

    def losses(  # noqa: D102
        self, shift: torch.Tensor, exponentials: torch.Tensor, weights: torch.Tensor, picked: torch.Tensor
    ) -> torch.Tensor:
        return (shift + exponentials.log()) * weights - picked


@final
class NLLLoss(ClassLoss):
    """`torch.nn.NLLLoss` of logarithms of probabilities in any layout: the classes may be split. Collective to build.

    Parameters
    ----------
    weight, ignore_index, reduction
        As for `torch.nn.NLLLoss`; the weight is that of all classes, the same on every rank.
    domain : DistributedSpace
        Of the input, with shape (classes, ...); holds each entry once.

    Raises
    ------
    SpaceError
        When the arguments do not fit; in a call, when a target is no class.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     logarithms = DistributedSpace(Grid(world, p=2), (4,), p=Split(0))
    ...     return NLLLoss(domain=logarithms)(logarithms.from_global(-torch.arange(4.0)), torch.tensor(3)).item()
    >>> simulate(2, main)
    [3.0, 3.0]
    """

    def __init__(
        self,
        weight: torch.Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: Reduction = "mean",
        domain: DistributedSpace,
    ) -> None:
        super().__init__()
        self._build(weight, ignore_index, reduction, 0.0, domain)

    def losses(  # noqa: D102
        self,
        shift: torch.Tensor,  # noqa: ARG002
        exponentials: torch.Tensor,  # noqa: ARG002
        weights: torch.Tensor,  # noqa: ARG002
        picked: torch.Tensor,
    ) -> torch.Tensor:
        return -picked
