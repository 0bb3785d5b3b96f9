"""Operators that only move entries do not compute with them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import Product
from linop.testing import STRATEGIES, awkward_arrays

pytestmark = pytest.mark.serial


@pytest.mark.parametrize("name", ["Identity", "Padding", "Permute", "Reshape", "Restriction"])
@given(data=st.data())
def test_any_number_is_moved_as_it_is(name: str, data: st.DataObject) -> None:
    """Offsets, ties, subnormal and huge numbers, and what is none: there is no product of zero and infinity."""
    operator, twin = data.draw(STRATEGIES[name]())
    if isinstance(operator.domain, Product):
        return
    x: Any = data.draw(awkward_arrays(operator.domain.shape, operator.domain.dtype))
    found, entries = operator.codomain.to_coordinates(operator(x)), operator.domain.to_coordinates(x)
    for row, number in zip(twin, found, strict=True):
        (columns,) = row.nonzero()
        if len(columns) == 1 and row[columns[0]] == 1:
            np.testing.assert_array_equal(number, entries[columns[0]])
        elif len(columns) == 0:
            assert number == 0
