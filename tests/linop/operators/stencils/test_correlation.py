"""Correlations and convolutions are those of SciPy, NumPy and torch; so are their adjoints."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.signal
import torch
from hypothesis import given
from hypothesis import strategies as st

from linop import Euclidean, Product, Space, SpaceError, Weighted, check_adjoint, matrix, reweight
from linop import claims as names
from linop.operators.stencils.correlation import Convolution, Correlation
from linop.testing import Expression, assert_operator, convolutions, correlations, dense
from linop.testing.operators.stencils import correlation_cases, padding_widths
from linop.verify import check_claims

pytestmark = pytest.mark.serial

FIELDS = [("float32", None), ("float64", None), ("complex64", None), ("complex128", None), ("complex128", "real")]
Arguments = dict[str, Any]
Case = tuple[Space, np.ndarray, Arguments]
CASES = correlation_cases(channels=False) | correlation_cases(channels=True)


# -- torch's correlations, with channels ------------------------------------------------------------------------------


def by_torch(x: np.ndarray, kernel: np.ndarray, options: Arguments) -> np.ndarray:
    """Correlate with channels, as torch does, in double precision."""
    spatial = x.ndim - 1
    reaches = [d * (k - 1) for d, k in zip(options["dilation"], kernel.shape[2:], strict=True)]
    padded = np.pad(x, [(0, 0), *padding_widths(options["padding"], reaches)]).astype(np.complex128)
    counts = [
        max(0, (n - r - 1) // s + 1) for n, r, s in zip(padded.shape[1:], reaches, options["stride"], strict=True)
    ]
    if 0 in (*counts, *kernel.shape, *x.shape):  # torch refuses these
        return np.zeros((kernel.shape[0], *counts))
    convolve = {1: torch.nn.functional.conv1d, 2: torch.nn.functional.conv2d, 3: torch.nn.functional.conv3d}[spatial]
    found = convolve(
        torch.from_numpy(padded)[None],
        torch.from_numpy(kernel.astype(np.complex128)),
        stride=options["stride"],
        dilation=options["dilation"],
        groups=options["groups"],
    )[0].numpy()
    return found if np.iscomplexobj(x) or np.iscomplexobj(kernel) else found.real


# -- properties -------------------------------------------------------------------------------------------------------


@given(correlations())
def test_it_is_that_of_scipy(expression: Expression) -> None:
    """The matrix is SciPy's correlation of basis vectors with the conjugate kernel; all checks pass."""
    A = expression.operator
    assert A.exact == np.array_equal(A.kernel, np.rint(A.kernel))
    assert A.codomain == Euclidean(A.codomain.shape, A.domain.dtype, A.domain.field)
    assert_operator(*expression)


@given(correlation_cases(channels=True))
def test_with_channels_it_is_that_of_torch(case: Case) -> None:
    """The matrix is torch's convolution of basis vectors, too; all checks pass."""
    domain, kernel, options = case
    A = Correlation(domain, kernel, **options)
    assert A.exact
    assert A.codomain.shape == by_torch(domain.zeros(), kernel, options).shape
    assert_operator(A, dense(lambda x: by_torch(x, kernel, options), domain, A.codomain))


@given(correlation_cases(channels=True))
def test_channels_are_a_matrix_of_correlations(case: Case) -> None:
    """A channel of the result is the sum of the group's channels, each correlated without channels."""
    domain, kernel, options = case
    groups = options.pop("groups")
    A = Correlation(domain, kernel, groups=groups, **options)
    x = domain.integers(0)
    expected = np.zeros(A.codomain.shape, np.result_type(kernel, x))
    for to, here in enumerate(kernel):
        first = to // (len(kernel) // groups) * kernel.shape[1]
        for channel, single in enumerate(here):
            space = Euclidean(domain.shape[1:], domain.dtype, domain.field)
            expected[to] += Correlation(space, single, **options)(x[first + channel])
    np.testing.assert_array_equal(A(x), expected)


@given(CASES, st.booleans(), st.booleans())
def test_weighted_spaces(case: Case, left: bool, right: bool) -> None:
    """With weights W, the matrix of A.H is W_X^-1 A^H W_Y; powers of two keep it exact."""
    domain, kernel, options = case
    A = Correlation(domain, kernel, **options)
    spaces, weights = [], []
    for space, chosen in ((A.domain, left), (A.codomain, right)):
        powers = 2.0 ** np.random.default_rng(len(spaces)).integers(-2, 3, space.shape)
        weights.append(powers if chosen else np.ones(space.shape))
        spaces.append(Weighted(space, powers) if chosen else space)
    W_X, W_Y = (np.repeat(w.ravel(), 2 if domain.dtype.kind == "c" and domain.field == "real" else 1) for w in weights)
    expected = (matrix(A).conj().T * W_Y) / W_X[:, None]
    weighted = Correlation(spaces[0], kernel, codomain=spaces[1], **options)
    np.testing.assert_array_equal(matrix(weighted.H), expected)
    np.testing.assert_array_equal(matrix(reweight(A, *spaces).H), expected)
    assert check_adjoint(weighted)


@given(CASES)
def test_linear_in_the_kernel(case: Case) -> None:
    """The kernel is not conjugated: the map of 2 i c is 2 i times that of c, and its adjoint -2 i times."""
    domain, kernel, options = case
    phase = 2j if domain.dtype.kind == "c" else 2
    A, B = Correlation(domain, kernel, **options), Correlation(domain, phase * kernel, **options)
    x, y = A.domain.integers(0), A.codomain.integers(1)
    np.testing.assert_array_equal(B(x), phase * A(x))
    np.testing.assert_array_equal(B.H(y), np.conj(phase) * A.H(y))


@given(CASES)
def test_equality(case: Case) -> None:
    """Operators with the same arguments are equal, however the padding was said; another kernel makes another."""
    domain, kernel, options = case
    A = Correlation(domain, kernel, **options)
    B = Correlation(domain, kernel.copy(), **{**options, "padding": A.padding})
    assert A == B
    assert hash(A) == hash(B)
    assert A.H.H == A
    if kernel.size:
        assert Correlation(domain, kernel + 1, **options) != A


@given(CASES)
def test_float32_vectors_and_real_vectors(case: Case) -> None:
    """The precision is the vector's; a real vector is a vector of a complex space; so is one of integers."""
    domain, kernel, options = case
    A = Correlation(domain, kernel, **options)
    integers = np.random.default_rng(0).integers(-4, 5, domain.shape)
    expected = A(integers.astype(domain.dtype))
    single = A(integers.astype(np.complex64 if domain.dtype.kind == "c" else np.float32))
    assert single.dtype == (np.complex64 if domain.dtype.kind == "c" else np.float32)
    np.testing.assert_array_equal(single, expected)
    np.testing.assert_array_equal(A(integers), expected)
    real = A(integers.astype(np.float64))
    np.testing.assert_array_equal(real, expected)
    if kernel.dtype.kind == "f":
        assert real.dtype == np.float64


# -- convolution ------------------------------------------------------------------------------------------------------


@given(convolutions())
def test_convolution_with_any_options(expression: Expression) -> None:
    """The matrix is SciPy's convolution of padded basis vectors with the spread kernel; all checks pass."""
    assert_operator(*expression)


@given(st.integers(1, 8), st.integers(1, 8), st.sampled_from(["full", "same", "valid"]), st.sampled_from(FIELDS))
def test_convolution_is_that_of_numpy(n: int, extent: int, mode: str, field: tuple[str, str | None]) -> None:
    """The matrix is numpy.convolve of basis vectors, in every mode; where the kernel is longer, in full."""
    domain = Euclidean(n, *field)
    kernel = np.arange(1.0, extent + 1) * (1j if domain.dtype.kind == "c" else 1)
    if extent > n:  # there NumPy exchanges the two in the other modes
        mode = "full"
    A = Convolution(domain, kernel, padding=mode)
    assert_operator(A, dense(lambda x: np.convolve(x, kernel, mode), domain, A.codomain))  # type: ignore[call-overload]


@given(st.data(), st.integers(1, 3), st.sampled_from(["full", "same"]))
def test_convolution_is_that_of_scipy(data: st.DataObject, ndim: int, mode: str) -> None:
    """So it is scipy.signal.convolve in any number of axes, and commutative where it is full."""
    shape, extents = (data.draw(st.tuples(*(st.integers(1, 4) for _ in range(ndim)))) for _ in range(2))
    x, kernel = (np.random.default_rng(len(s)).integers(-4, 5, s).astype(float) for s in (shape, extents))
    found = Convolution(Euclidean(shape), kernel, padding=mode)(x)
    np.testing.assert_array_equal(found, scipy.signal.convolve(x, kernel, mode, "direct"))
    if mode == "full":
        np.testing.assert_array_equal(found, Convolution(Euclidean(extents), x, padding=mode)(kernel))


@given(CASES)
def test_convolution_is_the_correlation_with_the_mirrored_kernel(case: Case) -> None:
    """Mirrored along the spatial axes, it gives the same operator; the extra zero of "same" is on the other side."""
    domain, kernel, options = case
    axes = tuple(range(2 if kernel.ndim > domain.ndim else 0, kernel.ndim))
    A = Correlation(domain, np.flip(kernel, axes), **options)
    padding = [pair[::-1] for pair in A.padding] if options["padding"] == "same" else A.padding
    assert Convolution(domain, kernel, **options) == Correlation(
        domain, np.flip(kernel, axes), **{**options, "padding": padding}
    )


@given(st.integers(0, 6), st.integers(1, 4), st.integers(1, 3))
def test_adjoint_of_a_correlation_is_a_convolution(n: int, extent: int, dilation: int) -> None:
    """At stride 1, the adjoint of the valid correlation is the full convolution with the conjugate kernel."""
    kernel = np.arange(1, extent + 1) * (1 + 2j)
    A = Correlation(Euclidean(n, complex), kernel, dilation=dilation)
    if A.codomain.size:
        full = Convolution(A.codomain, kernel.conj(), dilation=dilation, padding="full")
        np.testing.assert_array_equal(matrix(A.H), matrix(full))


# -- examples ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:Using padding='same'")  # torch says that an odd number of zeros is slower
@pytest.mark.parametrize("extent", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3])
def test_same_is_that_of_torch(extent: int, dilation: int) -> None:
    """The result of "same" is torch's, even where the number of zeros is odd."""
    x, kernel = np.arange(1.0, 11.0)[None], np.arange(1.0, extent + 1)[None, None]
    torch_x, torch_kernel = torch.from_numpy(x), torch.from_numpy(kernel)
    found = torch.nn.functional.conv1d(torch_x, torch_kernel, padding="same", dilation=dilation)
    A = Correlation(Euclidean((1, 10)), kernel, padding="same", dilation=dilation)
    np.testing.assert_array_equal(A(x), found.numpy())


def test_large_arrays() -> None:
    """Beyond the size of a matrix, with a batch: exact checks pass, and the results are torch's."""
    generator = np.random.default_rng(0)
    kernel = generator.integers(-3, 4, (8, 2, 5, 3)).astype(float)
    domain = Euclidean((4, 33, 40))
    A = Correlation(domain, kernel, stride=(2, 3), dilation=(1, 2), padding=(2, 0), groups=2)
    assert (report := check_adjoint(A)).mode == "exact"
    assert report, str(report)
    x = domain.integers(0, (2, 3))
    found = torch.nn.functional.conv2d(
        torch.from_numpy(x.reshape(6, *domain.shape)),
        torch.from_numpy(kernel),
        stride=(2, 3),
        dilation=(1, 2),
        padding=(2, 0),
        groups=2,
    )
    np.testing.assert_array_equal(A(x).reshape(found.shape), found.numpy())


def test_adjoint_is_the_gradient_of_torch() -> None:
    """What torch's automatic differentiation pulls back through its convolution, the adjoint gives."""
    domain = Euclidean((3, 9, 8))
    kernel = np.random.default_rng(0).integers(-3, 4, (4, 3, 3, 2)).astype(float)
    A = Correlation(domain, kernel, stride=2, padding=1)
    x = torch.from_numpy(domain.integers(0)).requires_grad_()
    y = A.codomain.integers(1)
    torch.nn.functional.conv2d(x[None], torch.from_numpy(kernel), stride=2, padding=1)[0].backward(torch.from_numpy(y))
    assert x.grad is not None
    np.testing.assert_array_equal(A.dual(y), x.grad.numpy())


@pytest.mark.parametrize(
    ("kernel", "options", "field", "expected"),
    [
        ([1.0, 1.0], {"stride": 2}, None, math.sqrt(2)),  # windows that do not overlap: mean pooling
        ([1.0, 1.0], {"stride": 2, "dilation": 2}, None, 2.0),
        ([-1.0, 2.0, -1.0], {"padding": 1}, None, 4.0),
        ([3 + 4j], {}, "complex", 5.0),
        ([3 + 4j], {}, "real", 7.0),
        ([[[2.0]], [[2.0]]], {}, None, math.sqrt(8)),
        (np.zeros((0, 1, 2)), {}, None, 0.0),
    ],
)
def test_gain(kernel: Any, options: Arguments, field: str | None, expected: float) -> None:
    """It bounds the norm of the absolute values, and hits it where rows and columns are alike."""
    kernel = np.array(kernel)
    shape = (1, 8) if kernel.ndim == 3 else (8,)
    A = Correlation(Euclidean(shape, complex if kernel.dtype.kind == "c" else float, field), kernel, **options)
    eps = float(np.finfo(float).eps)
    assert A.gain == pytest.approx(expected, rel=4 * eps)  # two roots and a product, rounded
    # The singular values are those of a matrix of at most 16 rows: LAPACK's are right to 16 eps times the norm.
    assert np.linalg.norm(np.abs(matrix(A)), 2) <= A.gain * (1 + 20 * eps) if matrix(A).size else A.gain == 0


@pytest.mark.parametrize(
    ("domain", "kernel", "options", "claimed"),
    [
        (Euclidean(5), [1.0, 2.0, 1.0], {"padding": 1}, True),
        (Euclidean(5), [1.0, 2.0, 1.0], {"padding": "same", "dilation": 2}, True),
        (Euclidean((4, 3)), [[1.0, 2.0, 3.0], [4.0, 5.0, 4.0], [3.0, 2.0, 1.0]], {"padding": "same"}, True),
        (Euclidean(5, complex), [1j, 2.0, -1j], {"padding": 1}, True),
        (Euclidean(5, complex), [1j, 2.0, 1j], {"padding": 1}, False),
        (Euclidean(5, complex, "real"), [1j, 2.0, -1j], {"padding": 1}, True),
        (
            Euclidean((2, 5)),
            [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[6.0, 5.0, 4.0], [3.0, 2.0, 3.0]]],
            {"padding": 1},
            False,
        ),
        (
            Euclidean((2, 5)),
            [[[3.0, 2.0, 3.0], [4.0, 5.0, 6.0]], [[6.0, 5.0, 4.0], [3.0, 2.0, 3.0]]],
            {"padding": 1},
            True,
        ),
        (Euclidean(5), [1.0, 2.0, 3.0], {"padding": 1}, False),
        (Euclidean(5), [1.0, 1.0], {"padding": "same"}, False),
        (Euclidean(5), [1.0, 2.0, 1.0], {"padding": [(0, 2)]}, False),
        (Euclidean(1), [1.0, 2.0, 1.0], {"padding": 1, "stride": 2}, False),
        (Weighted(Euclidean(3), [1.0, 2.0, 4.0]), [1.0, 2.0, 1.0], {"padding": 1}, True),
    ],
)
def test_self_adjoint(domain: Space, kernel: Any, options: Arguments, claimed: bool) -> None:
    """It is claimed of kernels that are their own mirror image conjugated and centred, and it is true."""
    A = Correlation(domain, kernel, **options)
    assert (names.SELF_ADJOINT in A.claims) == claimed
    assert check_claims(A)
    if claimed:
        np.testing.assert_array_equal(matrix(A), matrix(A.dual))


def test_not_exact() -> None:
    """A kernel that needs many digits is not exact; then the checks are those of floating point."""
    A = Correlation(Euclidean(600), [0.1, 0.2])
    assert not A.exact
    assert (report := check_adjoint(A)).mode == "floating"
    assert report, str(report)


def test_zero_taps_cost_nothing() -> None:
    """Taps that are zero, or lie outside for every result, are left out."""
    assert len(Correlation(Euclidean(9), [1.0, 0.0, -1.0])._pieces) == 2
    assert len(Correlation(Euclidean(2), np.ones(99), padding="same")._pieces) == 3


def test_the_kernel_is_kept() -> None:
    """An operator does not change when the array that its kernel came from does; its own cannot be written to."""
    kernel = np.ones(2)
    A = Correlation(Euclidean(3), kernel)
    kernel[:] = 7
    assert A(np.ones(3)).tolist() == [2.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        A.kernel[0] = 7


@pytest.mark.parametrize(
    ("n", "kernel", "left", "right"),
    [
        (4, [1.0, 1.0], {"padding": [(1, 0)]}, {"padding": [(0, 1)]}),
        (4, [1.0], {"stride": 2}, {"stride": 3}),
        (5, [1.0, 1.0], {"stride": 2}, {"stride": 2, "dilation": 2}),
    ],
)
def test_what_is_not_equal(n: int, kernel: list[float], left: Arguments, right: Arguments) -> None:
    """Another padding, stride or dilation of the same kernel between the same spaces makes another operator."""
    A, B = (Correlation(Euclidean(n), kernel, **options) for options in (left, right))
    assert (A.domain, A.codomain) == (B.domain, B.codomain)
    assert A != B


def test_empty_results() -> None:
    """Where the kernel does not fit, the results are empty, and the adjoint gives zeros."""
    A = Correlation(Euclidean((2, 5)), np.ones((3, 2)))
    assert A.codomain == Euclidean((0, 4))
    assert A.H(np.ones((7, 0, 4))).tolist() == np.zeros((7, 2, 5)).tolist()


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        (Correlation(Euclidean((5, 5)), np.ones((3, 3))), "Correlation(3x3)"),
        (Correlation(Euclidean((2, 5, 5)), np.ones((8, 2, 3, 3))), "Correlation(8x2x3x3)"),
        (
            Correlation(Euclidean(5), np.ones(3)).H @ Correlation(Euclidean(5), np.ones(3)),
            "Correlation(3).H @ Correlation(3)",
        ),
    ],
)
def test_printing(operator: Any, text: str) -> None:
    """It prints with the shape of its kernel."""
    assert str(operator) == text


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("domain", "kernel", "options", "match"),
    [
        (Euclidean(5), np.ones((1, 1, 2)), {}, r"expected a kernel of 1 axes, or one more .*found shape \(1, 1, 2\)"),
        (Euclidean((5, 5)), np.ones(2), {}, r"expected a kernel of 2 axes.*found shape \(2,\)"),
        (Euclidean(()), np.ones(2), {}, "expected a kernel of 0 axes"),
        (Euclidean(5), np.ones(0), {}, r"one tap or more, found shape \(0,\)"),
        (Euclidean(5), [np.inf], {}, "finite"),
        (Euclidean(5), [1j], {}, "the arrays must be complex"),
        (Euclidean(5), [1.0], {"stride": 0}, "expected as stride an integer of at least 1, or 1 of them, found 0"),
        (Euclidean(5), [1.0], {"stride": (1, 1)}, r"stride .*found \(1, 1\)"),
        (Euclidean(5), [1.0], {"dilation": -1}, "dilation"),
        (Euclidean(5), [1.0], {"padding": -1}, "padding"),
        (Euclidean(5), [1.0], {"padding": (1, 1)}, "one number or pair for each of 1 axes"),
        (Euclidean(5), [1.0], {"padding": "reflect"}, "'full', 'same', 'valid'.*found 'reflect'"),
        (Euclidean(5), [1.0], {"padding": "same", "stride": 2}, "stride 1"),
        (Euclidean(5), [1.0], {"groups": 2}, "groups=2"),
        (Euclidean((4, 5)), np.ones((4, 4, 1)), {"groups": 2}, "4 channels_in.*groups=2"),
        (Euclidean((4, 5)), np.ones((3, 2, 1)), {"groups": 2}, "divide channels_out.*groups=2"),
        (Euclidean((4, 5)), np.ones((4, 3, 1)), {}, "4 channels_in"),
        (Euclidean((4, 5)), np.ones((4, 4, 1)), {"groups": 0}, "groups"),
        (Euclidean(5), [1.0, 1.0], {"codomain": Euclidean(5)}, r"expected a codomain of shape \(4,\)"),
        (Euclidean(5), [1.0], {"codomain": Euclidean(5, complex)}, "field"),
        (Product(Euclidean(5)), [1.0], {}, "space of arrays"),
    ],
)
def test_what_is_refused(domain: Space, kernel: Any, options: Arguments, match: str) -> None:
    """The error names the operator, the domain, what was found and what was expected."""
    with pytest.raises(SpaceError, match=match) as caught:
        Correlation(domain, kernel, **options)
    assert "Correlation" in str(caught.value)
    assert str(domain) in str(caught.value)
    with pytest.raises(SpaceError):
        Convolution(domain, kernel, **options)


def test_what_is_no_space() -> None:
    """A shape is no space."""
    with pytest.raises(TypeError, match="Correlation"):
        Correlation((3,), [1.0])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Convolution"):
        Convolution((3,), [1.0])  # type: ignore[arg-type]


@given(st.data())
def test_blocks_give_the_same_bits(data: st.DataObject) -> None:
    """A large result is computed part by part, and every part as if it were the whole."""
    extents = data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=2))
    options = {
        "stride": data.draw(st.integers(1, 3)),
        "dilation": data.draw(st.integers(1, 2)),
        "padding": data.draw(st.integers(0, 3)),
    }
    channels = data.draw(st.booleans())
    kernel = np.random.default_rng(0).standard_normal((2, 3, *[2] * len(extents)) if channels else [3] * len(extents))
    try:
        A = Correlation(Euclidean((3, *extents) if channels else tuple(extents)), kernel, **options)
    except SpaceError:
        return  # the padding is wider than the kernel
    x, y = A.domain.normal(0, (2,)), A.codomain.normal(1, (2,))
    whole = A(x), A.H(y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("linop.operators.stencils.correlation.BLOCK", data.draw(st.integers(1, 60)))
        parts = A(x), A.H(y)
    for one, other in zip(whole, parts, strict=True):
        if channels:
            np.testing.assert_allclose(other, one, rtol=0, atol=1e-14 * 48)  # matrix products of other widths
        else:
            np.testing.assert_array_equal(other, one)
