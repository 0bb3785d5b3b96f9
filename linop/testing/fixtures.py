"""Fixtures for pytest: write ``pytest_plugins = ["linop.testing.fixtures"]`` in a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from linop.interop.adopt import operator_of
from linop.verify import Reports, check


@pytest.fixture
def verified() -> Callable[..., Reports]:
    """Return a function that makes all checks of an operator, as `linop.check` does, and fails with their reports.

    Examples
    --------
    ::

        def test_my_operator(verified):
            verified(MyOperator(8))
            verified(np.flip, np.flip, Euclidean(3), Euclidean(3))
            verified(MyFunction, Euclidean(3))                        # a torch.autograd.Function
    """

    def verify(operator: Any, *more: Any) -> Reports:
        reports = check(operator_of("verified", operator, *more))
        if not reports:
            pytest.fail(str(reports), pytrace=False)
        return reports

    return verify
