"""Vectors that know their space add up, and a method of one's own on them is what a solver does."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from distdl_ops import DistributedSpace, Grid, HaloExchange, Split, World, simulate
from linop import Block, Diagonal, Element, Euclidean, Identity, LinearOperator, Matrix, Product, SpaceError, Weighted
from linop.solve import cg
from linop.testing import euclidean_spaces, weighted_spaces

pytestmark = pytest.mark.serial


@st.composite
def spaces(draw: st.DrawFn) -> Any:
    """Return spaces with and without weights, and products of two of them."""
    X = draw(euclidean_spaces(max_ndim=2, max_extent=3).flatmap(weighted_spaces))
    return draw(st.sampled_from([X, Product(X, X)]))


@given(space=spaces(), seed=st.integers(0, 2**16))
def test_arithmetic_is_that_of_coordinates(space: Any, seed: int) -> None:
    """Sums, differences, multiples and quotients are those of the coordinates, exactly on small integers."""
    x, y = space.element(space.integers(seed)), space.element(space.integers(seed + 1))
    a, b = space.to_coordinates(x.value), space.to_coordinates(y.value)
    for found, expected in (
        (x + y, a + b),
        (x - y, a - b),
        (-x, -a),
        (2 * x, 2 * a),
        (x * np.float64(0.5), a / 2),
        (x / 4, a / 4),
        (sum([x, y, x]), 2 * a + b),
        (x.copy(), a),
    ):
        assert isinstance(found, Element)
        np.testing.assert_array_equal(space.to_coordinates(found.value), expected)
    assert x.inner(y) == space.inner(x.value, y.value)
    assert x.norm() == space.norm(x.value)
    assert x == space.element(space.integers(seed))
    assert (x == y) == bool(np.all(a == b))


def conjugate_gradients(A: LinearOperator, b: Element, steps: int) -> Element:
    """Return an iterate: a method of one's own."""
    x, r = 0 * b, b
    p = r
    for _ in range(steps):
        image = A @ p
        alpha = r.inner(r) / p.inner(image)
        x, r_new = x + alpha * p, r - alpha * image
        p = r_new + r_new.inner(r_new) / r.inner(r) * p
        r = r_new
    return x


def test_a_method_of_ones_own() -> None:
    """Conjugate gradients in ten lines have the iterates of `cg`, on products with weights."""
    X, Y = Weighted(Euclidean(3), [1.0, 2.0, 3.0]), Euclidean((2, 2))
    C = Matrix(np.arange(12.0).reshape(4, 3) / 12, X, Y)
    A = Block([[Identity(X) + C.H @ C, C.H], [C, 2 * Identity(Y)]])
    b = A.domain.normal(0)
    assert isinstance(A.domain, Product)
    ours = conjugate_gradients(A, A.domain.element(b), 4)
    theirs = cg(A, b, iterations=4, tolerance=0.0)
    for mine, other in zip(ours.value, theirs.x, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-12, atol=1e-12)


def test_across_ranks() -> None:
    """The same method runs on ranks."""

    def main(world: World) -> Any:
        S = DistributedSpace(Grid(world, p=world.size), (9,), p=Split(0))
        H = HaloExchange(S, {0: (1, 1)})
        b = S.from_global(np.arange(9.0))
        A = H.H @ H + Identity(S)
        own = conjugate_gradients(A, S.element(b), 3).value
        return S.to_global(own), S.to_global(cg(A, b, iterations=3, tolerance=0.0).x)

    for own, theirs in simulate(3, main):
        np.testing.assert_allclose(own, theirs, rtol=1e-13)


def test_images() -> None:
    """A @ x and A(x) are elements of the codomain; batches and other libraries stay."""
    A = Matrix([[1.0, 2.0], [0.0, 1.0], [1.0, 1.0]])
    x = A.domain.element(np.array([1.0, 2.0]))
    assert (A @ x) == A(x) == A.codomain.element(np.array([5.0, 2.0, 3.0]))
    batch = A.domain.element(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert (batch.norm() * batch).value.shape == (2, 2)
    np.testing.assert_allclose((batch / batch.norm()).norm(), [1.0, 1.0])
    tensor = A @ A.domain.element(torch.tensor([1.0, 2.0]))
    assert tensor.value.dtype == torch.float32
    assert x.map(np.abs) == x
    assert repr(x) == "Element(array([1., 2.]) of Euclidean((2,), float64))"


def test_what_is_refused() -> None:
    """Elements of other spaces, plain arrays, and complex multiples in a real space are refused."""
    x, y = Euclidean(2).element(np.ones(2)), Weighted(Euclidean(2), 2.0).element(np.ones(2))
    for call in (lambda: x + y, lambda: x - y, lambda: x.inner(y), lambda: Diagonal([1.0, 2.0]) @ y):
        with pytest.raises(SpaceError, match=r"two elements of one space, found one of .* and one of"):
            call()
    with pytest.raises(TypeError):
        x + np.ones(2)
    with pytest.raises(TypeError):
        x + 1
    with pytest.raises(SpaceError, match="expected real entries"):
        1j * x
    with pytest.raises(SpaceError, match=r"found shape \(3,\)"):
        Euclidean(2).element(np.ones(3))
    with pytest.raises(TypeError):
        hash(x)
