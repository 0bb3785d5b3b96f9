r"""Softmax of scores that come block by block.

.. math:: y = \frac{\sum_b \sum_j e^{s_{bj} - m} v_{bj}}{\sum_b \sum_j e^{s_{bj} - m}}

m is the largest score so far: when a larger one comes, numerator and denominator are multiplied by the exponential of
the difference. The quotient does not depend on m, which has no gradient for that reason; it keeps exponentials from
overflowing. A block of scores is not kept, but computed again for the backward pass.

Source: M. Milakov and N. Gimelshein, *Online normalizer calculation for softmax*, 2018, arXiv:1805.02867.
"""

from __future__ import annotations

from typing import final

import torch
from torch.utils.checkpoint import checkpoint

from torch_bridge.nn.layer import nothing

State = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""The largest score, denominator and numerator."""


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
    ...     softmax.see(k[block], v[block])
    >>> softmax.result().tolist()
    [[3.0, 4.0]]
    """

    def __init__(self, queries: torch.Tensor) -> None:
        self.queries = queries
        largest = queries.new_full((*queries.shape[:-1], 1), -torch.inf)
        self.state: State = largest, torch.zeros_like(largest), nothing(queries.shape, queries)

    def see(
        self,
        keys: torch.Tensor,
        values: torch.Tensor,
        added: torch.Tensor | None = None,
        drop: torch.nn.Module | None = None,
    ) -> None:
        """Add a block of keys and values.

        Parameters
        ----------
        keys, values : tensor, shape (..., keys, features)
        added : tensor, optional
            What is added to the scores, in a shape that goes with (..., queries, keys).
        drop : module, optional
            Drops weights, but not from the denominator.
        """
        if keys.shape[-2] == 0:
            self.pass_by(keys, values)
            return
        arguments = self.queries, keys, values, added, *self.state
        if drop is None:
            # Scores are many. They are not kept for the backward pass, which computes them again.
            self.state = checkpoint(_seen, *arguments, use_reentrant=False, preserve_rng_state=False)
        else:
            self.state = _seen(*arguments, drop)

    def pass_by(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Keep the place in the graph of a block that no query sees: others may have moved it here, and wait for it."""
        largest, denominator, numerator = self.state
        self.state = largest, denominator, numerator + nothing(numerator.shape, keys, values)

    def result(self) -> torch.Tensor:
        """Return the weighted values; zeros where no key was seen."""
        _, denominator, numerator = self.state
        return numerator / denominator.masked_fill(denominator == 0, 1)


def _seen(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    added: torch.Tensor | None,
    largest: torch.Tensor,
    denominator: torch.Tensor,
    numerator: torch.Tensor,
    drop: torch.nn.Module | None = None,
) -> State:
    """Return the largest score, denominator and numerator with another block."""
    scores = queries @ keys.mT
    if added is not None:
        scores += added.to(scores)
    before, largest = largest, torch.maximum(largest, scores.detach().amax(-1, keepdim=True))
    origin = largest.masked_fill(largest == -torch.inf, 0)
    fade, weights = (before - origin).exp(), scores.sub_(origin).exp_()
    denominator = fade * denominator + weights.sum(-1, keepdim=True)
    return largest, denominator, fade * numerator + (weights if drop is None else drop(weights)) @ values
