"""Strategies for operators that put entries elsewhere: restriction, padding, permutation, reshape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from linop.operators.indexing.padding import Padding
from linop.operators.indexing.permute import Permute
from linop.operators.indexing.reshape import Reshape
from linop.operators.indexing.restriction import Restriction
from linop.testing.expressions import Expression
from linop.testing.operators.twin import with_twin
from linop.testing.spaces import euclidean_spaces, shapes

NUMPY_MODES: dict[str, Any] = {"zero": "constant", "periodic": "wrap", "reflect": "reflect", "edge": "edge"}
"""What `numpy.pad` calls the modes of padding."""


@st.composite
def restrictions(draw: st.DrawFn) -> Expression:
    """Return restrictions to every kind of index of NumPy, most of them of arrays that are not empty."""
    spaces = euclidean_spaces(max_extent=3)
    X = draw(spaces | euclidean_spaces(min_ndim=1, max_extent=3).filter(lambda X: X.size > 0))
    basic = hnp.basic_indices(X.shape, max_dims=4, allow_newaxis=True, allow_ellipsis=True)
    index = draw(st.one_of(basic, _array_indices(X.shape), _array_indices(X.shape), _masks(X.shape)))
    return with_twin(Restriction(X, index), lambda x: x[index])


@st.composite
def paddings(draw: st.DrawFn) -> Expression:
    """Return paddings in every mode, wider than the array among them."""
    X = draw(euclidean_spaces(max_extent=3))
    mode = draw(st.sampled_from(sorted(NUMPY_MODES)))
    largest = {0: 3, 1: 11, 2: 4, 3: 1}[X.ndim]
    ends = st.tuples(st.integers(0, largest), st.integers(0, largest))
    if not X.shape:
        return with_twin(Padding(X, draw(ends), boundary=mode), np.copy)
    width = [(0, 0) if mode != "zero" and n == 0 else draw(ends) for n in X.shape]
    return with_twin(Padding(X, width, boundary=mode), lambda x: np.pad(x, width, mode=NUMPY_MODES[mode]))


@st.composite
def permutes(draw: st.DrawFn) -> Expression:
    """Return permutations of up to four axes, some of them counted from the end."""
    X = draw(euclidean_spaces(max_ndim=4, max_extent=3))
    axes = draw(st.permutations(range(X.ndim)))
    written = [axis - X.ndim if draw(st.booleans()) else axis for axis in axes]
    return with_twin(Permute(X, written), lambda x: np.transpose(x, axes))


@st.composite
def reshapes(draw: st.DrawFn) -> Expression:
    """Return reshapes of every shape to every shape of the same size, some written with a -1."""
    X = draw(euclidean_spaces(max_extent=4))
    shape = draw(_shapes_of_size(math.prod(X.shape)))
    written = list(shape)
    if draw(st.booleans()) and written:
        k = draw(st.integers(0, len(written) - 1))
        if 0 not in shape[:k] + shape[k + 1 :]:
            written[k] = -1
    return with_twin(Reshape(X, written), lambda x: np.reshape(x, shape))


@st.composite
def _array_indices(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """Return tuples of arrays that broadcast together, mixed with integers, slices, an ellipsis and new axes."""
    result = draw(st.sampled_from([(4,), (2, 3), (1,), (0,), ()]))
    generator = np.random.default_rng(draw(st.integers(0, 2**16)))  # repeats places more often than hypothesis does
    items: list[Any] = []
    for extent in shape:
        kind = draw(st.sampled_from(["array", "row", "list", "integer", "slice"])) if extent else "slice"
        places = generator.integers(-extent, max(extent, 1), result)
        if kind == "array":
            items.append(places.astype(draw(st.sampled_from([np.int64, np.int8]))))
        elif kind == "row":
            items.append(places[:1] if result else places)
        elif kind == "list":
            items.append(places.tolist())
        elif kind == "integer":
            items.append(draw(st.integers(-extent, extent - 1)))
        else:
            items.append(draw(st.slices(extent)))
    for special in draw(st.sampled_from([(), (None,), (...,), (None, ...)])):
        items.insert(draw(st.integers(0, len(items))), special)
    return tuple(items)


@st.composite
def _masks(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Return masks of the first axes."""
    axes = draw(st.integers(0, len(shape)))
    return draw(hnp.arrays(bool, shape[:axes]))


@st.composite
def _shapes_of_size(draw: st.DrawFn, size: int) -> tuple[int, ...]:
    """Return shapes with so many entries."""
    if size == 0:
        before, after = (draw(shapes(max_ndim=n)) for n in (2, 1))
        return (*before, 0, *after)
    shape: list[int] = []
    while size > 1 or draw(st.booleans()):
        shape.append(draw(st.sampled_from([n for n in range(1, size + 1) if size % n == 0])))
        size //= shape[-1]
        if len(shape) == 3:
            return (*shape, size)
    return tuple(shape)
