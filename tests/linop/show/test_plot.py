"""The picture shows the matrix, and where its blocks end."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linop import (
    Block,
    BlockDiagonal,
    Diagonal,
    Euclidean,
    FunctionOperator,
    Identity,
    Kron,
    LinearOperator,
    Matrix,
    Product,
    SpaceError,
    VStack,
    Weighted,
    Zero,
    matrix,
)
from linop.operators.spectral.fft import FFT
from linop.show.plot import plot_matrix
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial

plt = pytest.importorskip("matplotlib.pyplot")
plt.switch_backend("Agg")

A, B, D = Matrix([[1.0, -2.0, 0.0], [0.5, 0.0, 3.0]]), Matrix([[1.0, 2.0], [3.0, 4.0]]), Diagonal([1.0, -1.0, 2.0])


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    plt.close("all")


@st.composite
def trees(draw: st.DrawFn) -> Expression:
    spaces = st.sampled_from([space for space in draw(spaces_of_a_tree()) if space.size])
    return draw(expressions(draw(spaces), draw(spaces)))


def lines(ax: Any) -> tuple[list[float], list[float]]:
    """Return where horizontal and vertical lines are drawn."""
    found: tuple[list[float], list[float]] = ([], [])
    for line in ax.get_lines():
        xs, ys = line.get_xdata(), line.get_ydata()
        assert (xs[0] == xs[1]) != (ys[0] == ys[1])
        found[int(xs[0] == xs[1])].append(float(xs[0] if xs[0] == xs[1] else ys[0]))
    return found


@settings(max_examples=25)
@given(trees())
def test_every_entry_is_shown(tree: Expression) -> None:
    """The picture has a square for each entry: its value, or its modulus where it is complex."""
    ax = plot_matrix(tree.operator)
    (image,) = ax.get_images()
    expected = tree.matrix if tree.operator.codomain.field == "real" else np.abs(tree.matrix)
    np.testing.assert_allclose(np.asarray(image.get_array()), expected, rtol=1e-6)
    low, high = image.get_clim()
    assert high > 0
    assert low == (-high if tree.operator.codomain.field == "real" else 0)
    assert high >= np.abs(tree.matrix).max() * (1 - 1e-6)
    rows, columns = tree.matrix.shape
    assert ax.get_xlim() == (-0.5, columns - 0.5)
    assert ax.get_ylim() == (rows - 0.5, -0.5)  # the first row is on top
    plt.close("all")


X, Y = Euclidean(3), Euclidean(2)


@pytest.mark.parametrize(
    ("operator", "horizontal", "vertical"),
    [
        (A, [], []),
        (Block([[A, B], [D, None]]), [1.5], [2.5]),
        (VStack(A, D), [1.5], []),
        (BlockDiagonal(A, B, D), [1.5, 3.5], [2.5, 4.5]),
        (Identity(Product(X, Product(Y, Weighted(Y, 2.0)))), [2.5, 4.5], [2.5, 4.5]),
        (Zero(Weighted(Product(X, Y), Identity(Product(X, Y))), X), [], [2.5]),
        (Kron(B, A), [1.5], [2.5]),
        (Kron(D, A, B), [3.5, 7.5], [5.5, 11.5]),
    ],
    ids=str,
)
def test_lines(operator: LinearOperator, horizontal: list[float], vertical: list[float]) -> None:
    """Lines stand between the parts of tuples, also within parts, and around the blocks of a Kronecker product."""
    assert lines(plot_matrix(operator)) == (horizontal, vertical)


def test_words() -> None:
    """The title is the expression, the axes are the spaces, and a bar tells the numbers of the colours."""
    ax = plot_matrix(2 * A @ D)
    assert ax.get_title() == f"2 * {A} @ {D}"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("domain R^3", "codomain R^2")
    figure = ax.figure
    assert len(figure.axes) == 2
    assert figure.axes[1].get_ylabel() == "entry"
    complex_figure = plot_matrix(FFT(Euclidean(4, complex))).figure
    assert complex_figure.axes[1].get_ylabel() == "modulus of the entry"
    long = plot_matrix(VStack(*[A] * 20)).get_title()
    assert len(long) <= 48
    assert long.endswith(" ...")


def test_names_with_dollars() -> None:
    """A name is no formula, whatever characters it has: drawing it does not fail."""
    odd = FunctionOperator(X, X, np.copy, np.copy, name=r"a$_{\frac$ ^")
    plot_matrix(odd).figure.canvas.draw()


def test_colours() -> None:
    """Zero is white, and opposite numbers have opposite hues; moduli rise from dark to bright."""
    from matplotlib.colors import to_rgb

    (image,) = plot_matrix(Diagonal([2.0, -2.0])).get_images()
    plus, minus, zero = (to_rgb(image.to_rgba(value)) for value in (2.0, -2.0, 0.0))
    assert plus[0] > plus[2]
    assert minus[2] > minus[0]
    assert min(zero) > 0.95
    (image,) = plot_matrix(Diagonal([2j, 1.0])).get_images()
    brightness = [sum(to_rgb(image.to_rgba(value))) for value in (0.0, 1.0, 2.0)]
    assert brightness == sorted(brightness)
    plot_matrix(Zero(X, X)).figure.canvas.draw()


def test_axes_of_ones_own() -> None:
    """A picture may go into a figure that exists; without, each has its own."""
    figure, axes = plt.subplots(1, 2)
    assert plot_matrix(A, axes[0]) is axes[0]
    assert plot_matrix(B, ax=axes[1]) is axes[1]
    assert axes[0].figure is figure
    assert plot_matrix(A).figure is not plot_matrix(A).figure
    figure.canvas.draw()


def test_shape() -> None:
    """Entries are squares, unless the matrix would become a thread."""
    assert plot_matrix(Matrix(np.ones((8, 2)))).get_aspect() == 1
    assert plot_matrix(Matrix(np.ones((9, 2)))).get_aspect() == "auto"


@pytest.mark.parametrize(
    "operator", [Zero(Euclidean(0), X), Zero(X, Euclidean(0)), Identity(Euclidean(5000))], ids=repr
)
def test_what_is_refused(operator: LinearOperator) -> None:
    """There is nothing to be seen of a matrix without entries, or with too many; the matrix is not even built."""
    with pytest.raises(SpaceError, match="plot_matrix"):
        plot_matrix(operator)


def test_numbers_that_are_not_finite() -> None:
    """They are left blank, and do not spoil the colours of the others."""
    bad = FunctionOperator(Y, Y, lambda x: np.array([np.inf, 1.0]) * x, lambda y: np.array([np.inf, 1.0]) * y)
    with np.errstate(invalid="ignore"):
        ax = plot_matrix(bad)
    assert ax.get_images()[0].get_clim() == (-1.0, 1.0)
    ax.figure.canvas.draw()
    assert matrix(Identity(Y)).tolist() == [[1, 0], [0, 1]]
