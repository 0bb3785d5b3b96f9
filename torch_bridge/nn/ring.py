r"""A tensor whose parts travel round a ring, one rank at a time, until everyone has seen all of them.

.. math:: x,\; Z x,\; Z^2 x,\; \ldots,\; Z^{p - 1} x

Z is the `Shift` along an axis of p ranks; of parts that do not overlap it is the movement ``E_T E_S*`` to the same
intervals on the next ranks, and falls into two halves, `Start` and `Finish`. What is done with a part between them is
done while the part travels on, and so is its backward pass, while gradients travel back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

import torch

from distdl_ops import DistributedSpace, Finish, Shift, Start
from torch_bridge.module import Operator


@final
class Ring(torch.nn.Module):
    """The parts of a tensor that pass by. Collective to build.

    Parameters
    ----------
    domain : DistributedSpace
        The tensor; holds each entry once, and is not replicated along the axis.
    axis : str or None
        Name of the grid axis. Without one, only the own part passes by.
    overlap : bool, optional
        Whether the next part travels while the caller works on one.

    Attributes
    ----------
    spaces : list of DistributedSpace
        Of what passes by, in its order.

    Examples
    --------
    >>> from distdl_ops import DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, p=3), (5,), p=Split(0))
    ...     ring = Ring(S, "p")
    ...     return [part.tolist() for part in ring(S.from_global(torch.arange(5.0)))]
    >>> simulate(3, main)[0]
    [[0.0, 1.0], [4.0], [2.0, 3.0]]
    """

    def __init__(self, domain: DistributedSpace, axis: str | None, overlap: bool = False) -> None:
        super().__init__()
        self.spaces = [domain]
        self.shifts, self.starts, self.finishes = (torch.nn.ModuleList() for _ in range(3))
        for _ in range(1, domain.grid.axes[axis] if axis else 1):
            shift = Shift(self.spaces[-1], 1, str(axis))
            self.shifts.append(Operator(shift))
            if overlap:
                self.starts.append(Operator(Start(shift.domain, shift.codomain)))
                self.finishes.append(Operator(Finish(shift.domain, shift.codomain)))
            self.spaces.append(shift.codomain)

    def forward(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield the parts: this rank's own, then that of the rank before, and so on.

        Parameters
        ----------
        x : tensor, shape ``(*batch, *domain.shape)``
            This rank's part.
        """
        if self.starts and not torch.compiler.is_compiling():  # a compiler knows no tensors in flight
            for start, finish in zip(self.starts, self.finishes, strict=True):
                ticket = start(x)
                yield x
                x = finish(ticket)
        else:
            for shift in self.shifts:
                yield x
                x = shift(x)
        yield x
