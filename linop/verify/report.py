"""What a check did and found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from linop.spaces import Seed

Mode = Literal["matrix", "exact", "floating"]


@final
@dataclass(frozen=True)
class Report:
    """What a check did and found. True when the check passed.

    Attributes
    ----------
    check : str
        What was checked: ``"adjoint"``, ``"linearity"``, ``"claim isometry"``, ...
    operator, domain, codomain : str
        Of what.
    mode : str
        ``"matrix"``, ``"exact"`` or ``"floating"``: how numbers were compared.
    passed : bool
        Whether it holds.
    vacuous : bool
        Whether nothing but zeros, or roundings, was compared: such a check shows nothing.
    trials : int
        Vectors, or pairs of them, that were tried; in matrix mode, columns that were compared.
    error, tolerance : float
        The largest deviation found and the one allowed, relative to the size of the vectors (in matrix mode, of the
        row or column). Both are zero where the comparison is exact.
    seed : int or tuple of int
        What the vectors were drawn from: the same seed draws them again.
    detail : str
        What was found, in words.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean, check_adjoint
    >>> report = check_adjoint(np.cumsum, np.cumsum, Euclidean(2), Euclidean(2))
    >>> report.passed, report.mode
    (False, 'matrix')
    >>> report.detail.split(",")[0]
    '2 of 4 entries differ'
    """

    check: str
    operator: str
    domain: str
    codomain: str
    mode: Mode
    passed: bool
    vacuous: bool
    trials: int
    error: float
    tolerance: float
    seed: Seed
    detail: str

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "FAILED"
        if self.passed and self.vacuous:
            verdict = "passed, vacuously"
        return (
            f"{self.check} of {self.operator} : {self.domain} -> {self.codomain}: "
            f"{verdict} ({self.mode}{'' if self.mode == 'matrix' else f', seed {self.seed}'}; {self.detail})"
        )


@final
class Reports(tuple[Report, ...]):
    """Several reports. True when all checks passed; prints one a line.

    Examples
    --------
    >>> from linop import Diagonal, check
    >>> found = check(Diagonal([1.0, 2.0]))
    >>> found.passed, found.failed
    (True, ())
    """

    __slots__ = ()

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(self)

    @property
    def failed(self) -> tuple[Report, ...]:
        """The reports of the checks that did not pass."""
        return tuple(report for report in self if not report)

    def __bool__(self) -> bool:
        return self.passed

    def __str__(self) -> str:
        return "\n".join(map(str, self))
