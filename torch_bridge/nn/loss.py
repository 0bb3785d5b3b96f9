r"""The cross-entropy of scores that are spread over ranks.

.. math:: \ell = \mathrm{crossentropy}(G x,\; \text{target})

G brings all scores to every rank, as one replicated vector: every rank computes the same loss. Backward, each rank
takes its part of the replicated gradient; nothing is summed twice.
"""

from __future__ import annotations

from typing import final

import torch

from distdl_ops import DistributedSpace, Movement
from torch_bridge.module import Operator


@final
class CrossEntropyLoss(torch.nn.Module):
    """`torch.nn.CrossEntropyLoss` of scores in any layout. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        Of the scores, with shape (classes,).

    Examples
    --------
    >>> from distdl_ops import Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=2), (4,), "float32", p=Split(0))     # four classes, two on each rank
    ...     loss = CrossEntropyLoss(domain=S)
    ...     return round(loss(torch.zeros(5, *S.shape), torch.zeros(5, dtype=torch.int64)).item(), 4)
    >>> simulate(2, main)                                                              # log(4)
    [1.3863, 1.3863]
    """

    def __init__(self, *, domain: DistributedSpace) -> None:
        super().__init__()
        self.gather = Operator(Movement(domain, domain.everywhere()))

    def forward(self, scores: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the mean loss, the same number on every rank.

        Parameters
        ----------
        scores : tensor, shape ``(batch, *domain.shape)``
            This rank's part.
        target : tensor of int64, shape (batch,)
            The classes, the same on every rank.
        """
        return torch.nn.functional.cross_entropy(self.gather(scores), target)
