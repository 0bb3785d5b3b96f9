r"""The norm of all gradients of a distributed model, in which each logical parameter counts once.

.. math:: \|g\|_p = \| (\|g_1\|_p, \ldots, \|g_n\|_p) \|_p

Rank r's :math:`g_r` are the gradients that enter the pairing there: of a vector that several ranks store, those of the
first. One number of each rank is gathered.
"""

from __future__ import annotations

import torch

from distdl_ops import DistributedSpace, Grid, Movement, Replicated, Split
from linop import SpaceError
from torch_bridge.nn.parameters import parameter_spaces


def grad_norm(model: torch.nn.Module, norm_type: float = 2.0) -> torch.Tensor:
    """Return the norm of a model's gradients, as of the sequential model's: the same on every rank. Collective.

    Parameters
    ----------
    model : torch.nn.Module
        The distributed model, after a backward pass. Parameters outside of its distributed layers are taken to be the
        same on every rank.
    norm_type : float, optional
        p; may be infinity.

    Raises
    ------
    SpaceError
        When the model has no distributed layers.

    Examples
    --------
    Each rank has half of a weight:

    >>> from distdl_ops import Replicated, simulate
    >>> from torch_bridge.nn import Linear
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (3,), "float32", p=Replicated())
    ...     model = Linear(3, 2, bias=False, domain=x, out_axis="p")
    ...     (model(torch.ones(3)) * (1.0, -2.0)[world.rank]).sum().backward()
    ...     return tuple(model.weight.shape), grad_norm(model, norm_type=1).item()
    >>> simulate(2, main)  # 3 * |1| + 3 * |-2|
    [((1, 3), 9.0), ((1, 3), 9.0)]
    """
    spaces = parameter_spaces(model)
    if not spaces:
        raise SpaceError("grad_norm: expected a model with distributed layers; torch.nn.utils has the norm of others")
    world = next(iter(spaces.values())).grid.world
    counted = [
        parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
        and parameter.grad.numel()
        and (spaces[name].counts_here if name in spaces else world.rank == 0)
    ]
    own = torch.nn.utils.get_total_norm(counted, norm_type).to(torch.float64)
    norms = DistributedSpace(Grid(world, ranks=world.size), (world.size,), ranks=Split(0))
    everyones: torch.Tensor = Movement(norms, norms.with_roles(ranks=Replicated()))(own.reshape(1))
    total: torch.Tensor = torch.linalg.vector_norm(everyones, norm_type)
    return total


def clip_grad_norm_(
    model: torch.nn.Module, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> torch.Tensor:
    """Scale a model's gradients down, so that their norm is `max_norm` at most, and return what it was. Collective.

    Parameters
    ----------
    model : torch.nn.Module
        As for `grad_norm`, instead of its parameters.
    max_norm, norm_type, error_if_nonfinite
        As for `torch.nn.utils.clip_grad_norm_`.

    Raises
    ------
    RuntimeError
        On every rank, when the norm is not finite, if that is an error.

    Examples
    --------
    >>> from distdl_ops import Replicated, simulate
    >>> from torch_bridge.nn import Linear
    >>> def main(world):
    ...     x = DistributedSpace(Grid(world, p=2), (4,), "float32", p=Replicated())
    ...     model = Linear(4, 4, bias=False, domain=x, out_axis="p")
    ...     model(torch.ones(4)).sum().backward()
    ...     return round(clip_grad_norm_(model, 1.0).item(), 4), round(grad_norm(model).item(), 4)
    >>> simulate(2, main)
    [(4.0, 1.0), (4.0, 1.0)]
    """
    total = grad_norm(model, norm_type)
    if error_if_nonfinite and not bool(total.isfinite()):
        raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {total.item()}")
    torch.nn.utils.clip_grads_with_norm_(model.parameters(), max_norm, total)
    return total
