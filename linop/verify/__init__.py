"""Checks of operators on a machine: of the adjoint, of linearity, purity and batches, and of every claim.

Each ``check_...`` returns a report that is true when the check passed; each ``assert_...`` raises `VerificationError`
with the reports that are not. On spaces that are spread over processes they are collective, and all processes get the
same report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from linop.arguments import checked
from linop.arrays import Array, Vector
from linop.core.operator import LinearOperator
from linop.errors import VerificationError
from linop.spaces import Seed, Space
from linop.verify.adjoint import as_operator, check_adjoint
from linop.verify.batch import check_batch
from linop.verify.claims import check_claims
from linop.verify.linear import check_linear
from linop.verify.pure import check_pure
from linop.verify.report import Report, Reports
from linop.verify.space import check_space

__all__ = [
    "Report",
    "Reports",
    "assert_adjoint",
    "assert_batch",
    "assert_claims",
    "assert_correct",
    "assert_linear",
    "assert_pure",
    "assert_space",
    "check",
    "check_adjoint",
    "check_batch",
    "check_claims",
    "check_linear",
    "check_pure",
    "check_space",
]


@checked
def check(
    operator: Any,
    adjoint: Callable[[Vector], Vector] | None = None,
    domain: Space | None = None,
    codomain: Space | None = None,
    *,
    seed: Seed = 0,
    like: Array | None = None,
) -> Reports:
    """Check everything: adjoint, linearity, purity, batches, claims, inner products of weighted spaces. Collective.

    Parameters
    ----------
    operator, adjoint, domain, codomain
        As for `check_adjoint`: an operator of any library, or a pair of functions and their spaces.
    seed : int or tuple of int, optional
        Where the vectors are drawn from.
    like : array of any shape, optional
        Vectors are of its library, device and precision; NumPy's and the space's by default.

    Returns
    -------
    Reports
        True when all checks passed; prints one a line.

    Examples
    --------
    >>> from linop import Diagonal
    >>> print(check(Diagonal([1.0, 2.0]))[0].check, bool(check(Diagonal([1.0, 2.0]))))
    adjoint True
    """
    operator = as_operator(operator, adjoint, domain, codomain, "dot")
    reports = [
        check_adjoint(operator, seed=seed, like=like),
        check_linear(operator, seed=seed, like=like),
        check_pure(operator, seed=seed, like=like),
        check_batch(operator, seed=seed, like=like),
        *check_claims(operator, seed=seed, like=like),
    ]
    weighted: list[Space] = [space for space in (operator.domain, operator.codomain) if space.weighted]
    for space in dict.fromkeys(weighted):
        reports.extend(check_space(space, seed=seed, like=like))
    return Reports(reports)


def _assert(found: Report | Reports) -> None:
    """Raise with the reports that did not pass."""
    if not found:
        failed = found.failed if isinstance(found, Reports) else (found,)
        raise VerificationError("\n".join(map(str, failed)))


@checked
def assert_adjoint(operator: Any, *arguments: Any, **options: Any) -> None:
    """Raise `VerificationError` unless `check_adjoint` passes; on every process alike.

    Parameters
    ----------
    operator, *arguments, **options
        As for `check_adjoint`.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Euclidean
    >>> X = Euclidean(3)
    >>> assert_adjoint(np.flip, np.flip, X, X)
    >>> assert_adjoint(np.cumsum, np.cumsum, X, X)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    linop.errors.VerificationError: adjoint of cumsum : ... FAILED ...
    """
    _assert(check_adjoint(operator, *arguments, **options))


@checked
def assert_linear(operator: LinearOperator, **options: Any) -> None:
    """Raise `VerificationError` unless `check_linear` passes; on every process alike.

    Parameters
    ----------
    operator, **options
        As for `check_linear`.

    Examples
    --------
    >>> from linop import Diagonal
    >>> assert_linear(Diagonal([1.0, 2.0]))
    """
    _assert(check_linear(operator, **options))


@checked
def assert_pure(operator: LinearOperator, **options: Any) -> None:
    """Raise `VerificationError` unless `check_pure` passes; on every process alike.

    Parameters
    ----------
    operator, **options
        As for `check_pure`.

    Examples
    --------
    >>> from linop import Diagonal
    >>> assert_pure(Diagonal([1.0, 2.0]))
    """
    _assert(check_pure(operator, **options))


@checked
def assert_batch(operator: LinearOperator, **options: Any) -> None:
    """Raise `VerificationError` unless `check_batch` passes; on every process alike.

    Parameters
    ----------
    operator, **options
        As for `check_batch`.

    Examples
    --------
    >>> from linop import Diagonal
    >>> assert_batch(Diagonal([1.0, 2.0]))
    """
    _assert(check_batch(operator, **options))


@checked
def assert_claims(operator: LinearOperator, **options: Any) -> None:
    """Raise `VerificationError` unless `check_claims` passes; on every process alike.

    Parameters
    ----------
    operator, **options
        As for `check_claims`.

    Examples
    --------
    >>> from linop import Diagonal
    >>> assert_claims(Diagonal([1.0, 2.0]))
    """
    _assert(check_claims(operator, **options))


@checked
def assert_space(space: Space, **options: Any) -> None:
    """Raise `VerificationError` unless `check_space` passes; on every process alike.

    Parameters
    ----------
    space, **options
        As for `check_space`.

    Examples
    --------
    >>> from linop import Euclidean, Weighted
    >>> assert_space(Weighted(Euclidean(2), [1.0, 3.0]))
    """
    _assert(check_space(space, **options))


@checked
def assert_correct(operator: Any, *arguments: Any, **options: Any) -> None:
    """Raise `VerificationError` unless everything passes that `check` looks at; on every process alike.

    Parameters
    ----------
    operator, *arguments, **options
        As for `check`.

    Examples
    --------
    >>> from linop import Diagonal
    >>> assert_correct(Diagonal([1.0, 2.0]))
    """
    _assert(check(operator, *arguments, **options))
