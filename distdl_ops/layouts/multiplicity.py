r"""How often a layout holds each entry of the tensor: the diagonal of :math:`E^* E`.

Roles of grid axes that split different tensor axes multiply. So the diagonal is a number times a product of one vector
for each tensor axis: copies are counted by the number, overlaps and gaps by the vectors.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from distdl_ops.layouts.layout import Layout


class Multiplicity(NamedTuple):
    """The diagonal of ``E* E``: ``copies`` times the product of ``counts[k][i_k]`` over the tensor axes k."""

    copies: int
    counts: tuple[np.ndarray, ...]

    @property
    def constant(self) -> int | None:
        """The one number on the diagonal; None where there are several."""
        if any(counts.size == 0 for counts in self.counts):
            return self.copies
        if self.largest == 0:
            return 0
        if any(counts.min() != counts.max() for counts in self.counts):
            return None
        return self.copies * math.prod(int(counts[0]) for counts in self.counts)

    @property
    def largest(self) -> int:
        """The largest number on the diagonal; zero where there is none."""
        return self.copies * math.prod(int(counts.max(initial=0)) for counts in self.counts)

    def times(self, other: Multiplicity) -> Multiplicity:
        """Return the product of two diagonals."""
        return Multiplicity(
            self.copies * other.copies, tuple(a * b for a, b in zip(self.counts, other.counts, strict=True))
        )

    def tensor(self) -> np.ndarray:
        """Return the diagonal as a tensor of the logical shape, float64."""
        product = np.array(float(self.copies))
        for counts in self.counts:
            product = product[..., None] * counts
        return product


def multiplicity(layout: Layout) -> Multiplicity:
    """Return how often a layout holds each entry of the tensor; a replicated vector counts once.

    Examples
    --------
    >>> from distdl_ops.layouts.roles import Split
    >>> halo = Layout({"rows": 2}, (4,), {"rows": Split(0, [(-1, 3), (1, 5)])})
    >>> multiplicity(halo).tensor().tolist(), multiplicity(halo).constant
    ([1.0, 2.0, 2.0, 1.0], None)
    """
    counts = [_counts(layout, axis) for axis in range(len(layout.shape))]
    return Multiplicity(math.prod(role.copies(layout.axes[name]) for name, role in layout.roles.items()), tuple(counts))


def _counts(layout: Layout, axis: int) -> np.ndarray:
    """Return by how many parts of a tensor axis each of its entries is held."""
    extent = layout.shape[axis]
    if not layout.split_axes(axis):
        return np.ones(extent, np.int64)
    begun, ended = (np.bincount(places.ravel(), minlength=extent + 1) for places in layout.ends(axis))
    return np.asarray(np.cumsum(begun - ended)[:-1])
