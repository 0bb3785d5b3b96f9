"""Proximal maps minimise what they say, in the norm of the space, in one process and across ranks."""

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, Split, World, simulate
from linop import Euclidean, Matrix, Product, Space, SpaceError, Weighted
from linop.solve import (
    affine,
    ball,
    box,
    conjugate,
    free,
    group_ball,
    group_threshold,
    infinity_ball,
    l1_ball,
    misfit,
    nonnegative,
    norm_threshold,
    nuclear_threshold,
    ridge,
    separate,
    shifted,
    simplex,
    soft_threshold,
)

pytestmark = pytest.mark.serial

W = np.array([1.0, 2.0, 0.5, 3.0])
X = Weighted(Euclidean(4), W)
PAIR = Product(X, X)
SQUARES = Euclidean((2, 2))
A = Matrix([[1.0, 2.0, -1.0, 0.5], [0.0, 1.0, 1.0, 1.0]], X, Euclidean(2))
B = np.array([1.0, -2.0])
SLACK = 1 + 1e-12
"""How far outside a set rounding may bring a projection."""


def inside(condition: Any) -> float:
    """Return an indicator function's value."""
    return 0.0 if np.all(condition) else np.inf


Function = Callable[[Any], float]
MAPS: dict[str, tuple[Space, Any, Function]] = {
    "soft_threshold": (X, soft_threshold(1.5), lambda z: float(1.5 * np.sum(W * np.abs(z)))),
    "norm_threshold": (X, norm_threshold(X, 1.5), lambda z: 1.5 * X.norm(z)),
    "ridge": (X, ridge(1.5), lambda z: 0.75 * X.norm(z) ** 2),
    "misfit": (X, misfit(np.arange(4.0), 2.0), lambda z: X.norm(z - np.arange(4.0)) ** 2),
    "shifted": (X, shifted(soft_threshold(1.0), np.arange(4.0)), lambda z: float(np.sum(W * np.abs(z - np.arange(4))))),
    "free": (X, free(), lambda _: 0.0),
    "box": (X, box(-0.5, 1.0), lambda z: inside((z >= -0.5) & (z <= 1.0))),
    "nonnegative": (X, nonnegative(), lambda z: inside(z >= 0)),
    "ball": (X, ball(X, 1.5), lambda z: inside(X.norm(z) <= 1.5 * SLACK)),
    "infinity_ball": (X, infinity_ball(0.7), lambda z: inside(np.abs(z) <= 0.7 * SLACK)),
    "l1_ball": (X, l1_ball(X, 2.0), lambda z: inside(np.sum(W * np.abs(z)) <= 2.0 * SLACK)),
    "group_threshold": (
        PAIR,
        group_threshold(1.5),
        lambda z: float(1.5 * np.sum(W * np.hypot(z[0], z[1]))),
    ),
    "group_threshold of an axis": (
        SQUARES,
        group_threshold(0.8, axis=-1),
        lambda z: float(0.8 * np.sum(np.linalg.norm(z, axis=-1))),
    ),
    "group_ball": (PAIR, group_ball(1.0), lambda z: inside(np.hypot(z[0], z[1]) <= SLACK)),
    "nuclear_threshold": (
        SQUARES,
        nuclear_threshold(SQUARES, 0.6),
        lambda z: float(0.6 * np.linalg.svd(z, compute_uv=False).sum()),
    ),
    "separate": (
        PAIR,
        separate(soft_threshold(1.5), nonnegative()),
        lambda z: float(1.5 * np.sum(W * np.abs(z[0]))) + inside(z[1] >= 0),
    ),
}
COUPLED: dict[str, tuple[Any, Function]] = {
    "simplex": (simplex(X, 3.0), lambda z: inside(z >= 0) + inside(abs(np.sum(W * z) - 3.0) < 1e-12)),
    "affine": (affine(A, B), lambda z: inside(np.abs(A(z) - B) < 1e-9)),
}
"""Sets that no vector near a projection lies in by chance."""


def plus(x: Any, scale: float, y: Any) -> Any:
    """Return x + scale * y."""
    return tuple(plus(a, scale, b) for a, b in zip(x, y, strict=True)) if isinstance(x, tuple) else x + scale * y


@given(
    name=st.sampled_from(sorted(MAPS)),
    seed=st.integers(0, 2**16),
    step=st.sampled_from([0.1, 1.0, 5.0]),
    size=st.sampled_from([1e-6, 0.01, 1.0]),
)
def test_they_minimise(name: str, seed: int, step: float, size: float) -> None:
    """No vector near or far has a smaller g(z) + |z - x|^2 / (2 step) than prox(x, step), in the norm of the space."""
    space, prox, g = MAPS[name]
    x = plus(space.zeros(), 2.0, space.normal(seed))
    before = space.to_coordinates(x).copy()
    z = prox(x, step)
    np.testing.assert_array_equal(space.to_coordinates(x), before)
    least = g(z) + space.norm(plus(z, -1.0, x)) ** 2 / (2 * step)
    assert least < np.inf
    for k in range(5):
        for other in (plus(z, size, space.normal((seed, k))), plus(z, size, plus(x, -1.0, z))):
            assert g(other) + space.norm(plus(other, -1.0, x)) ** 2 / (2 * step) >= least * (1 - 1e-12)


@given(name=st.sampled_from(sorted(COUPLED)), seed=st.integers(0, 2**16))
def test_projections_onto_sets_without_interior(name: str, seed: int) -> None:
    """The projection lies in the set, and x - P(x) makes an obtuse angle with every direction into it."""
    prox, g = COUPLED[name]
    x, other = X.normal(seed), prox(3 * X.normal((seed, 1)), 1.0)
    z = prox(x, 1.0)
    assert g(z) == g(other) == 0.0
    assert X.inner(x - z, other - z) <= 1e-9 * (1 + X.norm(x) ** 2)


@given(name=st.sampled_from(sorted(MAPS)), seed=st.integers(0, 2**16), step=st.sampled_from([0.3, 1.0, 4.0]))
def test_conjugates(name: str, seed: int, step: float) -> None:
    """Moreau: the conjugate of the conjugate is the map, and y = prox_g*(x) satisfies Fenchel's equality with z."""
    space, prox, _ = MAPS[name]
    x = space.normal(seed)
    twice = conjugate(conjugate(prox))(x, step)
    np.testing.assert_allclose(space.to_coordinates(twice), space.to_coordinates(prox(x, step)), atol=1e-12)
    y = conjugate(prox)(x, step)
    z = prox(plus(space.zeros(), 1 / step, x), 1 / step)
    np.testing.assert_allclose(space.to_coordinates(plus(y, step, z)), space.to_coordinates(x), atol=1e-12)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (conjugate(soft_threshold(0.7)), infinity_ball(0.7)),
        (conjugate(group_threshold(0.7)), group_ball(0.7)),
        (conjugate(norm_threshold(PAIR, 0.7)), ball(PAIR, 0.7)),
        (conjugate(free()), lambda x, _: tuple(0 * part for part in x)),
    ],
    ids=["l1", "l2,1", "l2", "zero"],
)
@given(seed=st.integers(0, 2**16), step=st.sampled_from([0.3, 1.0, 4.0]))
def test_conjugates_of_norms(first: Any, second: Any, seed: int, step: float) -> None:
    """The conjugate of a norm is the indicator of the dual norm's ball, one projection for every step."""
    y = PAIR.normal(seed)
    for a, b in zip(first(y, step), second(y, step), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-14)


def test_complex_vectors() -> None:
    """Moduli shrink or are clipped, phases stay."""
    x = np.array([3.0 + 4j, 0.0, 0.3j])
    np.testing.assert_allclose(infinity_ball(1.0)(x, 1.0), [0.6 + 0.8j, 0, 0.3j], rtol=1e-15)
    np.testing.assert_allclose(l1_ball(Euclidean(3, complex), 2.0)(x, 1.0), [1.2 + 1.6j, 0, 0], rtol=1e-15)
    first, second = group_threshold(1.0)((x, 1j * x), 1.0)
    np.testing.assert_allclose(abs(first[0]), 5 * (1 - 1 / np.sqrt(50)), rtol=1e-15)
    np.testing.assert_allclose(second, 1j * first)
    m = np.array([[0, 3j], [1.0, 0]])
    np.testing.assert_allclose(
        nuclear_threshold(Euclidean((2, 2), complex), 1.0)(m, 1.0), [[0, 2j], [0, 0]], atol=1e-15
    )


@pytest.mark.parametrize("name", [*MAPS, *COUPLED])
@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=["torch", "array_api_strict"])
def test_any_array_library(name: str, xp: Any) -> None:
    """Vectors keep their library and precision, but for an own vector of the map's."""
    if name in ("misfit", "shifted", "affine", "nuclear_threshold"):
        pytest.skip("maps with a vector, which has a library of its own, or with a decomposition")
    space, prox, _ = MAPS[name] if name in MAPS else (X, *COUPLED[name])
    x = space.normal(0)
    arrays = x if isinstance(x, tuple) else (x,)
    images = tuple(xp.asarray(np.asarray(part, np.float32)) for part in arrays)
    found = prox(images if isinstance(x, tuple) else images[0], 1.0)
    expected = prox(x, 1.0)
    for ours, theirs in zip(
        found if isinstance(x, tuple) else (found,), expected if isinstance(x, tuple) else (expected,), strict=True
    ):
        assert type(ours) is type(images[0])
        assert ours.dtype == xp.float32
        np.testing.assert_allclose(np.from_dlpack(ours), theirs, atol=1e-5)


def test_simplex_of_many_sizes() -> None:
    """The projection is that found by sorting, for entries of any sizes and ties."""
    generator = np.random.default_rng(0)
    for n in (1, 2, 50, 1000):
        for x in (generator.standard_normal(n), np.zeros(n), 1e6 * generator.standard_normal(n) ** 3):
            ordered = np.sort(x)[::-1]
            sums = (np.cumsum(ordered) - 1) / np.arange(1, n + 1)
            t = sums[np.flatnonzero(ordered > sums)[-1]]
            projected = simplex(Euclidean(n))(x, 1.0)
            np.testing.assert_allclose(projected, np.maximum(x - t, 0), atol=1e-15 * n * max(1, np.abs(x).max()))
    assert simplex(Euclidean(3), 0.0)(np.array([1.0, -2.0, 3.0]), 1.0).tolist() == [0.0, 0.0, 0.0]


def test_across_ranks() -> None:
    """On ranks, maps that couple entries give what they give in one process."""
    x = np.random.default_rng(0).standard_normal((6, 4))

    def main(world: World) -> Any:
        S = Weighted(DistributedSpace(Grid(world, p=world.size), (6, 4), p=Split(0)), 0.5)
        V = S.unweighted
        mean = Matrix(np.ones((1, 24)) / 24, Euclidean(24), Euclidean(1)) if world.size == 1 else None
        assert mean is None or mean.domain.size == 24
        part = V.from_global(x)
        maps = [simplex(S, 2.0), l1_ball(S, 2.0), ball(S, 0.5), norm_threshold(S, 0.7), group_threshold(0.5, axis=-1)]
        return [V.to_global(prox(part, 1.0)) for prox in maps]

    alone = simulate(1, main)[0]
    for ranks in (2, 4):
        for answer in simulate(ranks, main):
            for found, expected in zip(answer, alone, strict=True):
                np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


def test_matrices_that_are_spread_over_ranks() -> None:
    """The singular values of a matrix in parts are refused, on all ranks; those of whole matrices are taken."""

    def main(world: World) -> Any:
        grid = Grid(world, p=world.size)
        whole = DistributedSpace(grid, (3, 2, 2), p=Split(0))
        x = np.arange(12.0).reshape(3, 2, 2)
        image = whole.to_global(nuclear_threshold(whole, 0.5)(whole.from_global(x), 1.0))
        np.testing.assert_allclose(image, nuclear_threshold(Euclidean((3, 2, 2)), 0.5)(x, 1.0), atol=1e-14)
        with pytest.raises(SpaceError, match=r"nuclear_threshold.*whole matrices of shape \(4, 2\).*repartition"):
            nuclear_threshold(DistributedSpace(grid, (4, 2), p=Split(0)), 0.5)
        return True

    assert all(simulate(2, main))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: simplex(Euclidean(2), -1.0),
            ValueError,
            "simplex: expected total to be a finite number, zero or more",
        ),
        (lambda: simplex(Euclidean(2, complex)), ValueError, "simplex on .*expected a space of real vectors"),
        (
            lambda: l1_ball(Euclidean(2), np.inf),
            ValueError,
            "l1_ball: expected radius to be a finite number, zero or more",
        ),
        (lambda: infinity_ball(-1.0), ValueError, "infinity_ball: expected radius to be a finite number, zero or more"),
        (
            lambda: group_threshold(np.nan),
            ValueError,
            "group_threshold: expected weight to be a finite number, zero or more",
        ),
        (lambda: group_threshold(1.0)(np.ones(2), 1.0), SpaceError, "group_threshold: expected a tuple of arrays"),
        (
            lambda: group_ball(1.0)((np.ones(2), np.ones(3)), 1.0),
            SpaceError,
            r"group_ball: .*found shapes \[\(2,\), \(3,\)\].*boundary='edge'",
        ),
        (lambda: separate(free())((1.0, 2.0), 1.0), ValueError, "a tuple of 1 vectors.*found 2 parts"),
        (lambda: nuclear_threshold(Euclidean(2), 1.0), SpaceError, "arrays with two axes or more"),
        (lambda: nuclear_threshold(Weighted(SQUARES, np.ones((2, 2))), 1.0), SpaceError, "expected no weights"),
        (lambda: affine(A, np.ones(3)), SpaceError, r"found shape \(3,\)"),
        (lambda: misfit(np.ones(2), -1.0), ValueError, "misfit: expected weight to be a finite number, zero or more"),
    ],
)
def test_what_is_refused(make: Callable[[], object], error: type[Exception], message: str) -> None:
    """Errors name the map, what was found and what is expected."""
    with pytest.raises(error, match=message):
        make()
