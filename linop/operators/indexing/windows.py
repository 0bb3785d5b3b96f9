"""Sliding windows, or patches, of an array, each with a taper.

=========  ==========================================
map        ``y_(k, i) = t_i x_(k s + i)``, s the step, t the taper
adjoint    windows put back where they were taken, times the taper, and added up
matrix     rows of the unit matrix, times entries of the taper
=========  ==========================================
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from linop.arguments import checked
from linop.core.operator import LinearOperator
from linop.errors import SpaceError
from linop.operators.entrywise.diagonal import Diagonal
from linop.operators.indexing.restriction import Restriction
from linop.spaces import Space
from linop.spaces.arrays_only import require_arrays, resolve_codomain


@checked
def Windows(
    domain: Space,
    size: int | Sequence[int],
    step: int | Sequence[int] = 1,
    *,
    taper: npt.ArrayLike | None = None,
    codomain: Space | None = None,
) -> LinearOperator:
    """Return the windows of an array: ``Diagonal(taper) @ Restriction``; its adjoint overlaps and adds.

    With a taper whose squares add up to one where windows overlap, ``W.H @ W`` is the identity: see the example.

    Parameters
    ----------
    domain : Space
        Arrays with one axis or more.
    size : int or sequence of int
        Of a window: one number for all axes, or one for each; axes before the last so many are carried along.
    step : int or sequence of int, optional
        From one window to the next, along each of these axes. Entries after the last whole window are left out.
    taper : array_like, shape of a window, optional
        What each window is multiplied by; broadcasts to its shape.
    codomain : Space, optional
        Arrays of shape ``(*carried, *counts, *size)``; Euclidean by default.

    Returns
    -------
    LinearOperator

    Raises
    ------
    SpaceError
        When a size or step is no positive integer, no window fits, or the taper has another shape.

    Examples
    --------
    >>> from linop import Euclidean
    >>> taper = np.sin(np.pi * (np.arange(4) + 0.5) / 4)         # squares half a window apart add up to one
    >>> W = Windows(Euclidean(10), 4, 2, taper=taper)
    >>> W(np.ones(10)).shape, W.H(W(np.ones(10))).round(6)[2:8].tolist()
    ((4, 4), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """
    plan = windows_plan("Windows", domain, size, step, taper)
    axes = len(plan.sizes)
    index: list[np.ndarray] = []
    for k, (count, n, s) in enumerate(zip(plan.counts, plan.sizes, plan.steps, strict=True)):
        place = s * np.arange(count)[:, None] + np.arange(n)
        broadcast = [1] * (2 * axes)
        broadcast[k], broadcast[axes + k] = count, n
        index.append(place.reshape(broadcast))
    codomain = resolve_codomain("Windows", domain, codomain, plan.shape)
    carried = (slice(None),) * (domain.ndim - axes)
    taken = Restriction(domain, (*carried, *index), codomain=codomain)
    if plan.taper is None:
        return taken
    return Diagonal(np.broadcast_to(plan.taper, plan.shape), codomain) @ taken


class WindowsPlan(NamedTuple):
    """Checked arguments of `Windows`.

    Attributes
    ----------
    sizes, steps, counts : tuple of int
        For each of the last axes, the extent of a window, the distance between windows, and their number.
    taper : array of shape `sizes`, optional
        What each window is multiplied by.
    shape : tuple of int
        Of the result.
    """

    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    counts: tuple[int, ...]
    taper: np.ndarray | None
    shape: tuple[int, ...]


def windows_plan(
    name: str, domain: Space, size: int | Sequence[int], step: int | Sequence[int], taper: npt.ArrayLike | None
) -> WindowsPlan:
    """Return checked arguments of `Windows`; raise where they do not fit."""
    require_arrays(name, domain)
    sizes = _numbers(name, "size", domain, size, None)
    steps = _numbers(name, "step", domain, step, len(sizes))
    extents = domain.shape[domain.ndim - len(sizes) :]
    if any(n > extent for n, extent in zip(sizes, extents, strict=True)):
        raise SpaceError(f"{name} on {domain}: expected windows that fit into {extents}, found {sizes}")
    counts = tuple((extent - n) // s + 1 for n, s, extent in zip(sizes, steps, extents, strict=True))
    shape = (*domain.shape[: domain.ndim - len(sizes)], *counts, *sizes)
    if taper is None:
        return WindowsPlan(sizes, steps, counts, None, shape)
    factors = np.asarray(taper)
    try:
        return WindowsPlan(sizes, steps, counts, np.broadcast_to(factors, sizes), shape)
    except ValueError:
        raise SpaceError(f"{name} on {domain}: expected a taper of shape {sizes}, found {factors.shape}") from None


def _numbers(name: str, what: str, domain: Space, given: int | Sequence[int], count: int | None) -> tuple[int, ...]:
    """Return a positive integer for each axis; for all axes, where there is only one."""
    try:
        found = (operator.index(given),) * (domain.ndim if count is None else count)  # type: ignore[arg-type]
    except TypeError:
        try:
            found = tuple(operator.index(number) for number in given)  # type: ignore[union-attr]
        except TypeError:
            found = ()
    fits = 1 <= len(found) <= domain.ndim if count is None else len(found) == count
    if not fits or min(found) < 1:
        wanted = f"one for each of up to {domain.ndim} axes" if count is None else f"{count} of them"
        raise SpaceError(f"{name} on {domain}: expected a {what} of one or more, or {wanted}, found {given!r}")
    return found
