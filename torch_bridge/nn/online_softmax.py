r"""Softmax of scores that come block by block.

.. math:: y = \frac{\sum_b \sum_j e^{s_{bj} - m} v_{bj}}{\sum_b \sum_j e^{s_{bj} - m}}

m is the largest score so far: when a larger one comes, numerator and denominator are multiplied by the exponential of
the difference. The quotient does not depend on m, which has no gradient for that reason; it keeps exponentials from
overflowing.

Source: M. Milakov and N. Gimelshein, *Online normalizer calculation for softmax*, 2018, arXiv:1805.02867.
"""

from __future__ import annotations

from typing import final

import torch

from torch_bridge.nn.layer import nothing


@final
class OnlineSoftmax:
    """Values weighted by the softmax of scores, of which one block is seen after another.

    Parameters
    ----------
    queries : tensor, shape (..., queries, features)
        Scaled: scores are their products with keys.

    Examples
    --------
    >>> q, k, v = torch.ones(1, 2), torch.tensor([[0.0, 0.0], [500.0, 500.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> softmax = OnlineSoftmax(q)
    >>> for block in (slice(0, 1), slice(1, 2)):
    ...     softmax.see(k[block], v[block], None, torch.nn.Identity())
    >>> softmax.result().tolist()
    [[3.0, 4.0]]
    """

    def __init__(self, queries: torch.Tensor) -> None:
        self.queries = queries
        self.largest = queries.new_full((*queries.shape[:-1], 1), -torch.inf)
        self.denominator = torch.zeros_like(self.largest)
        self.numerator = nothing(queries.shape, queries)

    def see(self, keys: torch.Tensor, values: torch.Tensor, added: torch.Tensor | None, drop: torch.nn.Module) -> None:
        """Add a block of keys and values.

        Parameters
        ----------
        keys, values : tensor, shape (..., keys, features)
        added : tensor or None
            What is added to the scores, in a shape that goes with (..., queries, keys).
        drop : module
            Drops weights, but not from the denominator.
        """
        if keys.shape[-2] == 0:
            self.pass_by(keys, values)
            return
        scores = self.queries @ keys.mT
        if added is not None:
            scores = scores + added.to(scores)
        # The quotient does not depend on this number: it has no gradient.
        largest = torch.maximum(self.largest, scores.detach().amax(-1, keepdim=True))
        origin = largest.masked_fill(largest == -torch.inf, 0)
        fade, weights = (self.largest - origin).exp(), (scores - origin).exp()
        self.denominator = fade * self.denominator + weights.sum(-1, keepdim=True)
        self.numerator = fade * self.numerator + drop(weights) @ values
        self.largest = largest

    def pass_by(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Keep the place in the graph of a block that no query sees: others may have moved it here, and wait for it."""
        self.numerator = self.numerator + nothing(self.numerator.shape, keys, values)

    def result(self) -> torch.Tensor:
        """Return the weighted values; zeros where no key was seen."""
        return self.numerator / self.denominator.masked_fill(self.denominator == 0, 1)
