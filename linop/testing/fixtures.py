"""Fixtures for pytest: write ``pytest_plugins = ["linop.testing.fixtures"]`` in a ``conftest.py``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from linop.core.operator import LinearOperator
from linop.verify import Reports, check


@pytest.fixture
def verified() -> Callable[[LinearOperator], Reports]:
    """Return a function that makes all checks of an operator, and fails with their reports.

    Examples
    --------
    ::

        def test_my_operator(verified):
            verified(MyOperator(8))
    """

    def verify(operator: LinearOperator) -> Reports:
        reports = check(operator)
        if not reports:
            pytest.fail(str(reports), pytrace=False)
        return reports

    return verify
