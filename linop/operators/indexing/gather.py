r"""Taking entries along an axis, and adding them back: what the index operators share.

=========  ==========================================
map        ``y_k = x_j`` for ``j = index_k``; zero where ``index_k = -1``
adjoint    ``x_j = sum of y_k over all k with index_k = j``
matrix     one 1 in each row, or none
=========  ==========================================

The adjoint adds up what was taken more than once, and the array API standard has no function for that. So the additions
are planned as soon as the index is known: in each round every two neighbours with the same target are added, until each
target has one summand left. Where no entry is taken more than m times, there are ``ceil(log2(m))`` rounds. A target of
k summands takes fewer than 2 k additions over all rounds (an odd one is added to zero), one of a single summand none.
Adding in pairs also loses least: the error grows with log2(m), not with m.

Source: N. J. Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 14 (1993), 783-799.
"""

from __future__ import annotations

from typing import NamedTuple, final

import numpy as np

from linop import arrays
from linop.arrays import Array


@final
class Gather:
    """Take entries along one axis by an index, and add them back. Not an operator, but what some are made of.

    Parameters
    ----------
    index : numpy array of integers, shape (n,)
        Which of the axis' entries each of the n results is, from 0 to ``length - 1``; -1 stands for a zero. Unchecked.
    length : int
        How many entries the axis has.
    axis : int, optional
        Counted from the end, for there may be any number of axes in front: the last one by default.

    Attributes
    ----------
    index : numpy array of int64, shape (n,)
        As given; not to be changed.
    multiplicity : int
        How often the entry that is taken most often is taken.

    Examples
    --------
    >>> gather = Gather(np.array([2, 0, 2, -1]), 3)
    >>> gather.take(np.array([1.0, 2.0, 3.0])).tolist()
    [3.0, 1.0, 3.0, 0.0]
    >>> gather.accumulate(np.array([1.0, 10.0, 100.0, 1000.0])).tolist()
    [10.0, 0.0, 101.0]
    """

    def __init__(self, index: np.ndarray, length: int, axis: int = -1) -> None:
        self.index = np.array(index, dtype=np.int64)
        self.index.flags.writeable = False
        taken = np.flatnonzero(self.index >= 0)
        order = taken[np.argsort(self.index[taken], kind="stable")]
        targets, counts = np.unique(self.index[order], return_counts=True)
        self.axis = axis
        self.multiplicity = int(counts.max(initial=0))
        self._places = _places(self.index, length)
        self._pairs, self._kept, self._sums = _plan(order, targets, counts, self.index.size, length)

    @property
    def rounds(self) -> int:
        """How many additions stand behind one entry of `accumulate`, at most: ``ceil(log2(multiplicity))``."""
        return len(self._pairs)

    @property
    def additions(self) -> int:
        """How many additions `accumulate` makes for one vector, over all rounds."""
        return sum(first.entries.size for first, _ in self._pairs)

    def take(self, x: Array) -> Array:
        """Return the entries of `x` that the index names.

        Parameters
        ----------
        x : array
            With `length` entries along the axis.

        Returns
        -------
        array
            Fresh, with n entries along the axis.
        """
        return self._take(x, self._places)

    def accumulate(self, y: Array) -> Array:
        """Return the sums of those entries of `y` that were taken from the same place: the adjoint of `take`.

        Parameters
        ----------
        y : array
            With n entries along the axis.

        Returns
        -------
        array
            Fresh, with `length` entries along the axis.
        """
        levels = [y]
        for first, second in self._pairs:
            levels.append(self._take(levels[-1], first) + self._take(levels[-1], second))
        kept = [levels[k] for k in self._kept]
        return self._take(kept[0] if len(kept) == 1 else arrays.namespace(y).concat(kept, axis=self.axis), self._sums)

    def _take(self, x: Array, places: _Places) -> Array:
        if places.zero:
            xp = arrays.namespace(x)
            shape = list(x.shape)
            shape[self.axis] = 1
            x = xp.concat([x, arrays.zeros(tuple(shape), like=x)], axis=self.axis)
        return arrays.take(x, places.entries, self.axis)


class _Places(NamedTuple):
    """Which entries of an axis are taken, and whether a zero is put behind the last one to be taken, too."""

    entries: np.ndarray
    zero: bool


def _places(index: np.ndarray, length: int) -> _Places:
    """Return the places of an index into `length` entries, where -1 is the zero."""
    missing = index < 0
    return _Places(np.where(missing, length, index), True) if missing.any() else _Places(index, False)


def _plan(
    order: np.ndarray, targets: np.ndarray, counts: np.ndarray, width: int, length: int
) -> tuple[list[tuple[_Places, _Places]], list[int], _Places]:
    """Plan the sums of neighbours with the same target.

    Parameters
    ----------
    order : numpy array
        Where the summands are, among `width` entries: those of the first target, those of the second, ...
    targets, counts : numpy array
        The targets, from 0 to ``length - 1``, and how many summands each of them has.

    Returns
    -------
    pairs : list
        For each round, the places of the pairs' first and second summands in the entries of the round before.
    kept : list of int
        The rounds in which sums were completed; 0 stands for the summands themselves.
    sums : _Places
        Where, in what was kept, each of the `length` sums is found.
    """
    pairs: list[tuple[_Places, _Places]] = []
    kept: list[int] = []
    sums, offset = np.full(length, -1), 0
    while targets.size:
        done = counts == 1
        if done.any():
            sums[targets[done]] = offset + order[(np.cumsum(counts) - counts)[done]]
            kept.append(len(pairs))
            offset += width
        order, targets, counts = order[np.repeat(~done, counts)], targets[~done], counts[~done]
        if not targets.size:
            break
        rank = np.arange(order.size) - np.repeat(np.cumsum(counts) - counts, counts)
        even = np.flatnonzero(rank % 2 == 0)
        partner = np.full(even.size, -1)  # the last one of an odd number has none
        partner[rank[even] + 1 < np.repeat(counts, (counts + 1) // 2)] = order[rank % 2 == 1]
        pairs.append((_places(order[even], width), _places(partner, width)))
        counts, width = (counts + 1) // 2, even.size
        order = np.arange(width)
    return pairs, kept or [0], _places(sums, offset if kept else width)
