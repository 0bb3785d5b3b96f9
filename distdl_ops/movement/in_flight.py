r"""The logical tensor while nobody holds it: between the start of an exchange and its end.

A movement is :math:`M(S, T) = E_T E_S^*`. Its first half adds what the ranks hold into the logical tensor, its second
half cuts out what they will hold. Between the two stands the space V of the logical tensor itself, and a message that
has been sent and not received is a vector there. `Start` and `Finish` are the halves; they are each other's adjoints.
"""

from __future__ import annotations

from typing import Any, NoReturn, final

import numpy as np

from distdl_ops.advice.cost import nobody_holds
from distdl_ops.movement.movement import Movement
from distdl_ops.spaces import DistributedSpace
from distdl_ops.transfer.transfer import Transfer
from linop import Space, SpaceError
from linop.arguments import checked
from linop.arrays import Array, Vector
from linop.spaces import Euclidean


@final
class Departed:
    """A tensor on its way: a vector of `InFlight`. There is one of it, which arrives once.

    Parameters
    ----------
    transfer : Transfer
        Its messages.
    movement : Movement
        What takes it from S to T.
    batch : tuple of int
        Batch axes.
    """

    def __init__(self, transfer: Transfer, movement: Movement, batch: tuple[int, ...]) -> None:
        self.movement, self.batch = movement, batch
        self._transfer: Transfer | None = transfer

    @property
    def arrived(self) -> bool:
        """Whether it has been received."""
        return self._transfer is None

    def arrive(self) -> Array:
        """Wait for it."""
        assert self._transfer is not None
        transfer, self._transfer = self._transfer, None
        return transfer.finish()


@final
class InFlight(Space):
    """The space of the logical tensor that two layouts share, while it is on its way between them, either way.

    Nobody holds such a vector: it is made by `Start` and ends in `Finish`, and operators between the two, each on its
    own part of a `Product`, work while it travels.

    Parameters
    ----------
    one, other : DistributedSpace
        The two layouts, in either order.

    Examples
    --------
    >>> from distdl_ops import Copies, DistributedSpace, Grid, Split, simulate
    >>> def main(world):
    ...     S = DistributedSpace(Grid(world, rows=2), (4,), rows=Split(0))
    ...     T = S.with_roles(rows=Copies())
    ...     return InFlight(S, T) == InFlight(T, S)
    >>> simulate(2, main)
    [True, True]
    """

    spread = True

    @checked
    def __init__(self, one: DistributedSpace, other: DistributedSpace) -> None:
        super().__init__(one.global_shape, one.dtype, one.field)
        self.ends = one, other
        self._tensor = Euclidean(one.global_shape, one.dtype, one.field)

    @property
    def size(self) -> int:
        """Number of coordinates of the logical tensor."""
        return self._tensor.size

    def batch(self, x: Departed) -> tuple[int, ...]:
        """Return the batch axes of a vector."""
        return x.batch

    def copy(self, x: Departed) -> Departed:
        """Hand a vector on."""
        return x

    def dot(self, x: Vector, y: Vector) -> NoReturn:  # noqa: ARG002
        """Raise: nobody holds a vector."""
        self._absent("dot")

    def zeros(self, batch: tuple[int, ...] = (), *, like: Vector | None = None) -> NoReturn:  # noqa: ARG002
        """Raise: vectors are made by `Start` only."""
        self._absent("zeros")

    def to_coordinates(self, x: Vector) -> NoReturn:  # noqa: ARG002
        """Raise: nobody holds a vector."""
        self._absent("to_coordinates")

    def from_coordinates(self, coordinates: np.ndarray) -> NoReturn:  # noqa: ARG002
        """Raise: vectors are made by `Start` only."""
        self._absent("from_coordinates")

    def locate(self, i: int) -> NoReturn:  # noqa: ARG002
        """Raise: nobody holds a vector."""
        self._absent("locate")

    def _sample(self, *_: Any) -> NoReturn:
        self._absent("a random vector")

    def _absent(self, what: str) -> NoReturn:
        raise SpaceError(f"{self}: {what}: nobody holds a tensor in flight; Finish it first")

    def agree(self, what: str, value: object) -> None:
        """Raise unless a value is the same on all ranks."""
        self.ends[0].agree(what, value)

    def check(self, x: Vector, operator: object = None) -> None:
        """Raise on all ranks unless `x` is a vector of this space; see `linop.Space.check`."""
        fault = self._fault(x)
        if fault is not None:
            self._refuse(SpaceError(self._complaint(fault, operator)))

    def _fault(self, x: Vector) -> str | None:
        """Return what keeps `x` from being a vector here."""
        if not isinstance(x, Departed):
            return f"expected what Start returns, found {type(x).__name__}"
        if {x.movement.domain, x.movement.codomain} != set(self.ends):
            return f"found a tensor that is in flight by {x.movement!r}"
        return "found a tensor that has arrived already" if x.arrived else None

    def _refuse(self, error: Exception) -> NoReturn:
        """Raise an error, and let all ranks raise."""
        self.ends[0].grid.world.fail(error)

    def _key(self) -> tuple[object, ...]:
        return (frozenset(self.ends),)

    def __repr__(self) -> str:
        return f"InFlight({self.ends[0]!r}, {self.ends[1]!r})"


nobody_holds(InFlight, lambda space: space.ends[0].grid.world.size)
