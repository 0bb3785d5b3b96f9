"""An operator made of two functions, for code that already exists.

=========  ==========================================
map        ``x -> apply(x)``
adjoint    ``y -> apply_dual(y)``
matrix     what the functions make of the basis vectors
=========  ==========================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import numpy as np

from linop import arrays
from linop.arguments import checked
from linop.arrays import Vector
from linop.batches import for_each
from linop.core.operator import LinearOperator
from linop.spaces import Space


@final
class FunctionOperator(LinearOperator):
    """The operator that two functions claim to be; `linop.check_adjoint` says whether they are.

    Parameters
    ----------
    domain, codomain : Space
        Where vectors come from and where they go.
    apply, apply_dual : callable
        The map, and its adjoint with respect to `Space.dot`. Each takes one vector and returns a fresh one.
    name : str, optional
        What errors and printed expressions call it.
    exact : bool, optional
        Claim that small integers stay exact.
    roundings : int, optional
        Roundings behind one entry; the larger of the two sizes by default.
    batched : bool, optional
        Whether the functions carry leading batch axes. By default they are called for one vector at a time.

    Raises
    ------
    AgreementError
        When processes that share the spaces make different claims, or pass functions of different names. What the
        functions themselves hold cannot be compared.

    Examples
    --------
    >>> from linop import Euclidean, check_adjoint
    >>> X = Euclidean(4)
    >>> reverse = FunctionOperator(X, X, lambda x: x[::-1].copy(), lambda y: y[::-1].copy(), name="Reverse")
    >>> check_adjoint(reverse).passed
    True
    """

    @checked
    def __init__(
        self,
        domain: Space,
        codomain: Space,
        apply: Callable[[Vector], Vector],
        apply_dual: Callable[[Vector], Vector],
        *,
        name: str = "FunctionOperator",
        exact: bool = False,
        roundings: int | None = None,
        batched: bool = False,
    ) -> None:
        super().__init__(domain, codomain)
        self._agree("FunctionOperator", (name, exact, roundings, batched, _name(apply), _name(apply_dual)))
        self.apply = apply
        self.apply_dual = apply_dual
        self.name = name
        self.batched = batched
        self._exact = exact
        self._roundings = max(domain.size, codomain.size) if roundings is None else roundings

    @property
    def exact(self) -> bool:
        """As claimed."""
        return self._exact

    @property
    def roundings(self) -> int:
        """As claimed."""
        return self._roundings

    def _apply(self, x: Vector) -> Vector:
        return self._each(self.apply, x, self.domain, self.codomain)

    def _apply_dual(self, y: Vector) -> Vector:
        return self._each(self.apply_dual, y, self.codomain, self.domain)

    def _each(self, function: Callable[[Vector], Vector], x: Vector, source: Space, target: Space) -> Vector:
        """Call the function for the whole batch or for each of its vectors, and check what comes back."""
        result = arrays.without_scalars(function(x) if self.batched else for_each(function, x, source, target))
        target.check(result, self)
        return result[...] if type(result) is np.ndarray else result  # a view: the function may keep what it returns

    def _key(self) -> tuple[object, ...]:
        return (self.domain, self.codomain, self.apply, self.apply_dual)

    def __str__(self) -> str:
        return self.name


def _name(function: Callable[[Vector], Vector]) -> str:
    """Return the name that a function has in all processes that run the same program."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))
