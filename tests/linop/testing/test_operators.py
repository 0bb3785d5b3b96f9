"""Every operator has a strategy, every strategy draws what matters, and what it draws is right."""

import inspect
import math
import re
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

import linop
from linop import Euclidean, Identity, LinearOperator, Product, Scale, SpaceError, claims, parts
from linop.operators.indexing.restriction import Restriction
from linop.testing import STRATEGIES, Expression, any_operator, assert_operator
from linop.testing.operators.indexing import NUMPY_MODES
from linop.testing.operators.twin import arrays_like, spaces_like, with_twin

pytestmark = pytest.mark.serial

EXPRESSIONS = {"Adjoint", "Block", "BlockDiagonal", "Compose", "HStack", "Inverse", "Kron", "Scale", "Sum", "VStack"}
"""They are made of other operators: `linop.testing.expressions` draws trees of them."""

OF_WEIGHTS = {"Reweight", "Riesz"}
"""They are about weights: `assert_operator` puts them around every other operator."""

MOST = 2000
"""Among how many draws there is to be one of each case."""

Case = Callable[[Expression], Any]


def never_drawn(strategy: st.SearchStrategy[Expression], cases: dict[str, Case]) -> set[str]:
    """Return the names of the cases that are not met among so many draws, always the same ones."""
    left = dict(cases)

    def done(expression: Expression) -> bool:
        for name in [name for name, case in left.items() if case(expression)]:
            del left[name]
        return not left

    quick = settings(
        max_examples=MOST,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    with suppress(NoSuchExample):
        find(strategy, done, settings=quick, random=Random(0))
    return set(left)


def leaves(A: LinearOperator) -> list[LinearOperator]:
    """Return the operators that an expression is made of in the end."""
    return [leaf for part in parts(A) for leaf in leaves(part)] or [A]


def leaf(A: LinearOperator, name: str) -> Any:
    """Return the one leaf of this class, or None."""
    found = [found for found in leaves(A) if type(found).__name__ == name]
    return found[0] if found else None


def shapes_of(e: Expression) -> list[tuple[int, int]]:
    """Return the extents of domain and codomain, axis by axis."""
    return list(zip(e.operator.domain.shape, e.operator.codomain.shape, strict=True))


def kind(space: linop.Space) -> str:
    """Return the dtype of a space of arrays, and whether it is a real space of complex ones."""
    return space.dtype.name + (" over the reals" if space.dtype.kind == "c" and space.field == "real" else "")


# -- which operators have a strategy -----------------------------------------------------------------------------------


def test_every_operator_has_a_strategy() -> None:
    """What linop exports and is an operator, or a function that makes one, has a strategy, unless it is named above."""
    exported = {name: getattr(linop, name) for name in linop.__all__}
    classes = {name for name, it in exported.items() if inspect.isclass(it) and issubclass(it, LinearOperator)}
    functions = {name for name, it in exported.items() if inspect.isfunction(it) and name[0].isupper()}
    assert (classes | functions) - EXPRESSIONS - OF_WEIGHTS - {"LinearOperator"} == set(STRATEGIES)
    assert classes | functions >= EXPRESSIONS | OF_WEIGHTS


@pytest.mark.parametrize("name", sorted(name for name in STRATEGIES if inspect.isclass(getattr(linop, name))))
@settings(max_examples=10)
@given(data=st.data())
def test_a_strategy_draws_its_operator(name: str, data: st.DataObject) -> None:
    """A strategy draws the class that it is named after; what functions make is seen below, by its cases."""
    assert type(data.draw(STRATEGIES[name]()).operator).__name__ == name


def test_operators_draws_all() -> None:
    """`operators` draws every class that has a strategy, and operators of functions."""
    cases: dict[str, Case] = {
        name: lambda e, name=name: leaf(e.operator, name) is not None  # type: ignore[misc]
        for name in STRATEGIES
        if inspect.isclass(getattr(linop, name))
    }
    cases["Gradient"] = lambda e: isinstance(e.operator, linop.VStack)
    cases["Mean"] = lambda e: isinstance(e.operator, Scale) and isinstance(e.operator.operator, linop.SumAxes)
    cases["Outer"] = lambda e: [type(part).__name__ for part in parts(e.operator)] == ["Adjoint", "Functional"]
    assert never_drawn(any_operator(), cases) == set()


@given(any_operator())
def test_operators(expression: Expression) -> None:
    """What is drawn is right."""
    assert_operator(*expression)


@given(st.data())
def test_operators_without_a_test_of_their_own(data: st.DataObject) -> None:
    """So are identity, zero, matrices and functions."""
    name = data.draw(st.sampled_from(["FunctionOperator", "Identity", "Matrix", "Zero"]))
    assert_operator(*data.draw(STRATEGIES[name]()))


# -- what they draw ----------------------------------------------------------------------------------------------------

REAL, COMPLEX = {"float32", "float64"}, {"complex64", "complex128"}
OVER_REALS = {f"{dtype} over the reals" for dtype in COMPLEX}
SPACES = {
    "Conjugation": OVER_REALS,
    "FFT": COMPLEX | OVER_REALS,
    "IRFFT": OVER_REALS,
    "ImaginaryPart": OVER_REALS,
    "RFFT": REAL,
    "RealPart": OVER_REALS,
}
"""Which spaces an operator takes, where it does not take all."""

WITH_ENTRIES = {
    "Circulant",
    "DCT",
    "DirectionalDerivative",
    "FractionalShift",
    "Laplacian",
    "NonStationaryConvolution",
    "Smoothing",
    "Toeplitz",
    "Windows",
}
"""Operators whose spaces are not empty."""

WITH_AXES = {
    "Circulant",
    "CumulativeSum",
    "DirectionalDerivative",
    "FiniteDifference",
    "FractionalShift",
    "Gradient",
    "IRFFT",
    "Interpolation",
    "Laplacian",
    "NonStationaryConvolution",
    "RFFT",
    "Smoothing",
    "Symmetrise",
    "Toeplitz",
    "Windows",
}
"""Operators whose domains have axes; a trace's has two."""


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_spaces(name: str) -> None:
    """Every strategy draws all dtypes and fields, empty arrays and others; single numbers, where there are such."""
    expected = SPACES.get(name, REAL | COMPLEX | OVER_REALS)
    cases: dict[str, Case] = {
        one: lambda e, one=one: e.matrix.size > 1 and kind(e.operator.domain) == one  # type: ignore[misc]
        for one in expected
    }
    if name not in WITH_ENTRIES:
        cases["empty"] = lambda e: e.operator.domain.size == 0
    if name not in WITH_AXES | {"Trace"}:
        cases["no axes"] = lambda e: e.operator.domain.shape == ()
    assert never_drawn(STRATEGIES[name](), cases) == set()


def padding_mode(A: LinearOperator) -> str:
    """Return how an expression pads: "valid", where it does not."""
    padding = leaf(A, "Padding")
    return padding.boundary if padding else "valid"


def taps(A: LinearOperator) -> Any:
    """Return the kernel of the first correlation in an expression."""
    return leaf(A, "Correlation").kernel.ravel()


def claiming(*names: str) -> Case:
    """Return the case of an operator of more than one entry with these claims."""
    return lambda e: e.matrix.size > 1 and e.operator.claims >= set(names)


def takes_real_to(dtype: str) -> Case:
    """Return the case of complex arrays, of which the real ones go to this kind of arrays: the operator's constants."""

    def case(e: Expression) -> bool:
        X = e.operator.domain
        return X.dtype.kind == "c" and X.size > 0 and e.operator(np.ones(X.shape)).dtype.kind == dtype

    return case


def arrays_change(before: str, after: str) -> Case:
    """Return the case of arrays of one kind that are taken to arrays of another kind."""
    return lambda e: e.matrix.size and (e.operator.domain.dtype.kind, e.operator.codomain.dtype.kind) == (before, after)


def has_tuples(space: linop.Space) -> bool:
    """Say whether vectors of a space are tuples, with entries."""
    return isinstance(space, Product) and space.size > 0


def index(e: Expression) -> str:
    """Return the index of a restriction, as it is printed."""
    return str(e.operator).removeprefix("Restriction[").removesuffix("]")


NORMS = ("backward", "ortho", "forward")
BOUNDARIES = ("valid", "zero", "periodic", "reflect", "edge")

ROUNDINGS: dict[str, Case] = {"exact": lambda e: e.operator.exact, "rounded": lambda e: not e.operator.exact}

MATRICES: dict[str, Case] = {
    **ROUNDINGS,
    "of tuples": lambda e: e.matrix.size and has_tuples(e.operator.domain),
    "to tuples": lambda e: e.matrix.size and has_tuples(e.operator.codomain),
    "from real to complex arrays": arrays_change("f", "c"),
    "from complex to real arrays": arrays_change("c", "f"),
    "self-adjoint": claiming(claims.SELF_ADJOINT),
    "not self-adjoint": lambda e: e.operator.domain == e.operator.codomain and not e.operator.claims,
    "of a real dtype in a complex space": lambda e: (
        e.matrix.size and e.operator.domain.field == "complex" and e.operator.entries.dtype.kind == "f"
    ),
}

CORRELATIONS: dict[str, Case] = {
    **ROUNDINGS,
    "strides": lambda e: e.matrix.any() and max(e.operator.stride, default=1) > 1,
    "dilation": lambda e: e.matrix.any() and max(e.operator.dilation, default=1) > 1 and taps(e.operator).size > 1,
    "other axes, other options": lambda e: e.matrix.any() and len(set(e.operator.stride)) > 1,
    "no zeros around": lambda e: e.matrix.any() and not any(map(any, e.operator.padding)) and e.operator.padding,
    "as many zeros below as above": lambda e: e.matrix.any() and any(p == q > 0 for p, q in e.operator.padding),
    "not as many": lambda e: e.matrix.any() and any(p != q for p, q in e.operator.padding),
    "a kernel that does not fit": lambda e: e.operator.codomain.size == 0 < e.operator.domain.size,
    "without channels": lambda e: e.matrix.any() and e.operator.kernel.ndim == e.operator.domain.ndim > 0,
    "channels": lambda e: e.matrix.any() and e.operator.kernel.ndim > e.operator.domain.ndim,
    "no channels in": lambda e: e.operator.domain.size == 0 < e.operator.codomain.size,
    "groups": lambda e: e.matrix.any() and e.operator.groups > 1,
    "several spatial axes": lambda e: e.matrix.any() and len(e.operator.stride) > 1,
    "three spatial axes": lambda e: e.matrix.any() and len(e.operator.stride) > 2,
    "a real kernel on complex arrays": takes_real_to("f"),
    "a complex kernel": takes_real_to("c"),
}

DIFFERENCES: dict[str, Case] = {
    **{name: lambda e, name=name: e.matrix.any() and padding_mode(e.operator) == name for name in BOUNDARIES},  # type: ignore[misc]
    "of first order": lambda e: e.matrix.any() and len(taps(e.operator)) == 2,
    "of higher order": lambda e: e.matrix.any() and len(taps(e.operator)) > 2 and np.all(taps(e.operator)),
    "central, of odd order": lambda e: e.matrix.any() and not np.all(taps(e.operator)),
    "longer than the axis": lambda e: e.matrix.any() and len(taps(e.operator)) > max(e.operator.domain.shape),
}

CASES: dict[str, dict[str, Case]] = {
    "Circulant": {
        "self-adjoint": claiming(claims.SELF_ADJOINT),
        "positive": claiming(claims.POSITIVE),
        "neither": lambda e: e.matrix.size > 1 and not e.operator.claims,
        "several axes": lambda e: e.operator.domain.ndim > 1 and min(e.operator.domain.shape) > 1,
        "a real kernel on complex arrays": takes_real_to("f"),
        "a complex kernel": takes_real_to("c"),
    },
    "Convolution": CORRELATIONS,
    "Correlation": CORRELATIONS,
    "CumulativeSum": {
        "the last of several axes": lambda e: e.matrix.size > 1 and e.operator.axis == -1 != -e.operator.domain.ndim,
        "another axis": lambda e: e.matrix.size > 1 and e.operator.axis < -1,
    },
    "DCT": {
        "some axes": lambda e: e.matrix.size > 1 and 0 < len(e.operator.axes) < e.operator.domain.ndim,
        "all axes": lambda e: e.matrix.size > 1 and len(e.operator.axes) == e.operator.domain.ndim > 1,
        "the inverse": lambda e: e.matrix.size > 1 and e.operator.inverse and e.operator.axes,
    },
    "Diagonal": {
        **ROUNDINGS,
        "singular": lambda e: e.matrix.size > 1 and not np.all(e.operator.entries),
        "regular": lambda e: e.matrix.size > 1 and np.all(e.operator.entries),
        "positive": claiming(claims.POSITIVE),
        "a projection": lambda e: claiming(claims.IDEMPOTENT)(e) and len(set(e.operator.entries.ravel())) == 2,
        "unitary": claiming(*claims.UNITARY),
        "real on complex arrays": takes_real_to("f"),
        "complex": takes_real_to("c"),
    },
    "DirectionalDerivative": {
        "one axis": lambda e: e.matrix.size > 1 and e.operator.domain.ndim == 1,
        "two axes": lambda e: e.matrix.size > 1 and e.operator.domain.ndim == 2,
    },
    "FFT": {
        **{
            f"norm {norm}, {inverse=}": lambda e, norm=norm, inverse=inverse: (  # type: ignore[misc]
                e.matrix.size > 1 and e.operator.axes and (e.operator.norm, e.operator.inverse) == (norm, inverse)
            )
            for norm in NORMS
            for inverse in (False, True)
        },
        "along no axis": lambda e: e.matrix.size > 1 and not e.operator.axes,
        "along some axes": lambda e: e.matrix.size > 1 and 0 < len(e.operator.axes) < e.operator.domain.ndim,
        "along several axes": lambda e: e.matrix.size > 1 and len(e.operator.axes) == e.operator.domain.ndim > 1,
    },
    "FiniteDifference": {
        **ROUNDINGS,
        **DIFFERENCES,
        "forward": lambda e: leaf(e.operator, "Padding") and all(p == 0 for p, _ in leaf(e.operator, "Padding").width),
        "backward": lambda e: leaf(e.operator, "Padding") and all(q == 0 for _, q in leaf(e.operator, "Padding").width),
        "the last of several axes": lambda e: leaf(e.operator, "Correlation").kernel.shape[:1] == (1,),
        "another axis": lambda e: leaf(e.operator, "Correlation").kernel.shape[-1] == 1,
    },
    "Flip": {
        "some axes": lambda e: e.matrix.size > 1 and 0 < len(e.operator.axes) < e.operator.domain.ndim,
        "all axes": lambda e: e.matrix.size > 1 and len(e.operator.axes) == e.operator.domain.ndim > 1,
        "no axis": lambda e: e.matrix.size > 1 and not e.operator.axes,
    },
    "FractionalShift": {
        "an even number of entries": lambda e: max(e.operator.domain.shape) == 2 and np.any(np.abs(e.matrix) % 1),
        "an odd number of entries": lambda e: max(e.operator.domain.shape) == 3 and np.any(np.abs(e.matrix) % 1),
    },
    "FunctionOperator": {
        "batched": lambda e: e.matrix.any() and e.operator.batched,
        "one by one": lambda e: e.matrix.any() and not e.operator.batched,
        "between spaces": lambda e: e.matrix.any() and e.operator.domain != e.operator.codomain,
        "claims to be exact": lambda e: e.operator.exact,
        "claims nothing": lambda e: not e.operator.exact,
    },
    "Functional": {
        **ROUNDINGS,
        "a real vector on complex arrays": lambda e: (
            e.operator.domain.dtype.kind == "c" and e.operator.vector.dtype.kind == "f"
        ),
        "another precision": lambda e: e.operator.vector.real.dtype != e.operator.domain.coordinate_dtype,
    },
    "Gradient": {
        **DIFFERENCES,
        "one axis of several": lambda e: len(e.operator.operators) == 1 < e.operator.domain.ndim,
        "several axes": lambda e: len(e.operator.operators) > 1,
        "three axes": lambda e: len(e.operator.operators) > 2,
        "several spacings": lambda e: len({getattr(part, "scalar", 1.0) for part in e.operator.operators}) > 1,
    },
    "IRFFT": {
        **{f"norm {norm}": lambda e, norm=norm: leaf(e.operator, "RFFT").norm == norm for norm in NORMS},  # type: ignore[misc]
        "odd": lambda e: e.matrix.size and leaf(e.operator, "RFFT").length % 2 and e.operator.codomain.size > 1,
        "even": lambda e: e.matrix.size and leaf(e.operator, "RFFT").length % 2 == 0,
        "of one point": lambda e: leaf(e.operator, "RFFT").length == 1,
        "along several axes": lambda e: e.matrix.size and leaf(e.operator, "RFFT").others,
        "another axis is half": lambda e: e.matrix.size and leaf(e.operator, "RFFT").last < e.operator.domain.ndim - 1,
    },
    "Identity": {"of tuples": lambda e: has_tuples(e.operator.domain)},
    "Interpolation": {
        **ROUNDINGS,
        "linear": lambda e: e.matrix.any() and leaf(e.operator, "SumAxes"),
        "nearest": lambda e: e.matrix.any() and not leaf(e.operator, "SumAxes"),
        "between the entries": lambda e: e.matrix.size and np.any((e.matrix > 0) & (e.matrix < 1)),
        "outside": lambda e: e.matrix.any() and not np.all(e.matrix.any(axis=1)),
        "in several dimensions": lambda e: e.matrix.any() and e.operator.domain.ndim > 1,
        "a grid of points": lambda e: e.matrix.any() and e.operator.codomain.ndim > 1,
        "one point": lambda e: e.operator.codomain.shape == (),
        "no points": lambda e: e.operator.codomain.size == 0,
    },
    "Laplacian": {
        **{mode: lambda e, mode=mode: e.matrix.size > 1 and padding_mode(e.operator) == mode for mode in NUMPY_MODES},  # type: ignore[misc]
        "several axes": lambda e: e.matrix.size > 1 and isinstance(e.operator, linop.Sum),
    },
    "Matrix": MATRICES,
    "Mean": {
        **ROUNDINGS,
        "over all axes": lambda e: e.operator.codomain.shape == () and e.operator.domain.ndim > 1,
        "over some axes": lambda e: e.matrix.size > 1 and 0 < e.operator.codomain.ndim < e.operator.domain.ndim,
        "over no axis": lambda e: e.matrix.size > 1 and e.operator.codomain == e.operator.domain,
    },
    "NonStationaryConvolution": {
        "one kernel": lambda e: e.matrix.size > 1 and not isinstance(e.operator, linop.Sum),
        "several kernels": lambda e: e.matrix.size > 1 and isinstance(e.operator, linop.Sum),
    },
    "Outer": {
        **ROUNDINGS,
        "from real to complex arrays": arrays_change("f", "c"),
        "from complex to real arrays": arrays_change("c", "f"),
        "between other shapes": lambda e: e.matrix.size and e.operator.domain.shape != e.operator.codomain.shape,
    },
    "Padding": {
        **{
            f"{mode}, {how}": lambda e, mode=mode, most=most: (  # type: ignore[misc]
                e.operator.boundary == mode
                and any(max(pair) > most * n > 0 for (n, _), pair in zip(shapes_of(e), e.operator.width, strict=True))
                and e.matrix.any()
            )
            for mode in BOUNDARIES[1:]
            for how, most in (("somewhat", 0.5), ("wider than the array", 1), ("many times the array", 3))
        },
        "zeros around nothing": lambda e: e.operator.domain.size == 0 < e.operator.codomain.size,
        "not as many below as above": lambda e: e.matrix.any() and any(p != q for p, q in e.operator.width),
        "several axes": lambda e: e.matrix.any() and sum(map(any, e.operator.width)) > 1,
        "not at all": claiming(*claims.UNITARY),
    },
    "Permute": {
        "its own inverse": lambda e: claiming(claims.SELF_ADJOINT)(e) and np.any(e.matrix != np.eye(len(e.matrix))),
        "a longer cycle": lambda e: (
            e.matrix.size > 1 and any(e.operator.axes[k] != j for j, k in enumerate(e.operator.axes))
        ),
        "four axes": lambda e: e.operator.domain.ndim == 4,
    },
    "RFFT": {
        **{f"norm {norm}": lambda e, norm=norm: e.matrix.size and e.operator.norm == norm for norm in NORMS},  # type: ignore[misc]
        "odd": lambda e: e.matrix.size and e.operator.length % 2 and e.operator.length > 1,
        "even": lambda e: e.matrix.size and e.operator.length % 2 == 0 and e.operator.length > 2,
        "of one point": lambda e: e.matrix.size and e.operator.length == 1,
        "of two points": lambda e: e.matrix.size and e.operator.length == 2,
        "along several axes": lambda e: e.matrix.size and e.operator.others,
        "another axis is halved": lambda e: e.matrix.size and e.operator.last < e.operator.domain.ndim - 1,
    },
    "Resampling": {
        **ROUNDINGS,
        "finer": lambda e: e.matrix.size and any(n < m for n, m in shapes_of(e)),
        "coarser": lambda e: e.matrix.size and any(n > m for n, m in shapes_of(e)),
        "both": lambda e: e.matrix.size and any(n < m for n, m in shapes_of(e)) and any(n > m for n, m in shapes_of(e)),
        "as fine": lambda e: e.matrix.size > 1 and isinstance(e.operator, Identity),
        "of one entry": lambda e: e.matrix.size and (1, 3) in shapes_of(e),
        "to one entry": lambda e: e.matrix.size and (3, 1) in shapes_of(e),
        "linear": lambda e: e.matrix.size and leaf(e.operator, "SumAxes"),
        "nearest": lambda e: e.matrix.size and leaf(e.operator, "Restriction") and not leaf(e.operator, "SumAxes"),
        "nothing": lambda e: e.operator.codomain.size == 0 < e.operator.domain.size,
    },
    "Reshape": {
        "of a number": lambda e: e.matrix.size and e.operator.domain.ndim == 0 < e.operator.codomain.ndim,
        "to a number": lambda e: e.matrix.size and e.operator.domain.ndim > 0 == e.operator.codomain.ndim,
        "to more axes": lambda e: e.matrix.size > 4 and e.operator.domain.ndim < e.operator.codomain.ndim,
        "to fewer axes": lambda e: e.matrix.size > 4 and e.operator.domain.ndim > e.operator.codomain.ndim,
        "to the same shape": lambda e: e.matrix.size > 1 and e.operator.domain == e.operator.codomain,
    },
    "Restriction": {
        "entries twice": lambda e: e.matrix.size and e.matrix.real.sum(axis=0).max() > 1,
        "entries once": lambda e: claiming(claims.COISOMETRY)(e) and e.operator.codomain.size < e.operator.domain.size,
        "every entry": claiming(*claims.UNITARY),
        "no entry": lambda e: e.operator.codomain.size == 0 < e.operator.domain.size,
        "backwards": lambda e: e.matrix.size and re.search(r":-\d+(,|$)", index(e)),
        "a number": lambda e: e.matrix.size and e.operator.codomain.ndim == 0 < e.operator.domain.ndim,
        "new axes": lambda e: e.matrix.size and "None" in index(e),
        "an ellipsis": lambda e: e.matrix.size and "..." in index(e),
        "a mask": lambda e: e.matrix.size > 1 and "True" in index(e),
        "arrays": lambda e: e.matrix.size > 1 and re.search(r"\[\d+, \d", index(e)),
        "arrays and slices": lambda e: e.matrix.size > 1 and re.search(r"\[\d.*:|:.*\[\d", index(e)),
    },
    "Roll": {
        "by nothing": lambda e: e.matrix.size > 1 and not any(e.operator.shifts),
        "along one axis": lambda e: e.matrix.size > 1 and sum(map(bool, e.operator.shifts)) == 1,
        "along several": lambda e: e.matrix.size > 1 and sum(map(bool, e.operator.shifts)) > 1,
        "self-adjoint": claiming(claims.SELF_ADJOINT),
    },
    "Smoothing": {
        **{mode: lambda e, mode=mode: e.matrix.size > 1 and padding_mode(e.operator) == mode for mode in NUMPY_MODES},  # type: ignore[misc]
    },
    "SparseMatrix": {**MATRICES, "zeros only": lambda e: e.matrix.size > 1 and not e.matrix.any()},
    "SumAxes": {
        "over all axes": lambda e: e.matrix.size and len(e.operator.axes) == e.operator.domain.ndim > 1,
        "over some axes": lambda e: e.matrix.size and 0 < len(e.operator.axes) < e.operator.domain.ndim,
        "over no axis": lambda e: e.matrix.size > 1 and not e.operator.axes,
        "of nothing": lambda e: e.operator.terms == 0 < e.operator.codomain.size,
    },
    "Symmetrise": {
        "longer": lambda e: e.matrix.size > 1 and e.matrix.shape[0] > e.matrix.shape[1],
        "one entry": lambda e: e.matrix.size > 1 and e.matrix.shape[0] == e.matrix.shape[1],
    },
    "Toeplitz": {
        "wide": lambda e: e.matrix.shape[0] < e.matrix.shape[1],
        "tall": lambda e: e.matrix.shape[0] > e.matrix.shape[1],
        "self-adjoint": claiming(claims.SELF_ADJOINT),
        "square": lambda e: e.matrix.size > 1 and e.operator.domain == e.operator.codomain and not e.operator.claims,
        "a real column and row on complex arrays": takes_real_to("f"),
        "a complex column or row": takes_real_to("c"),
    },
    "Trace": {
        "one matrix": lambda e: e.matrix.size > 1 and e.operator.domain.ndim == 2,
        "a stack": lambda e: e.operator.codomain.size > 1 and e.operator.domain.shape[-1] > 1,
        "of nothing": lambda e: e.operator.domain.shape[-1] == 0 < e.operator.codomain.size,
    },
    "Windows": {
        "that overlap": lambda e: e.operator.codomain.size > e.operator.domain.size,
        "that leave entries out": lambda e: 0 < e.operator.codomain.size < e.operator.domain.size,
        "with a taper": lambda e: e.matrix.size > 1 and leaf(e.operator, "Diagonal") is not None,
        "without one": lambda e: e.matrix.size > 1 and leaf(e.operator, "Diagonal") is None,
        "of several axes": lambda e: e.operator.codomain.ndim == 4,
    },
    "Zero": {
        "on one space": lambda e: e.matrix.size and e.operator.domain == e.operator.codomain,
        "between spaces": lambda e: e.matrix.size and e.operator.domain != e.operator.codomain,
        "of tuples": lambda e: e.matrix.size and has_tuples(e.operator.domain),
        "to tuples": lambda e: e.matrix.size and has_tuples(e.operator.codomain),
    },
}
"""What each strategy is to draw; none of it by chance only. A conjugation has nothing but its space."""


@pytest.mark.parametrize("name", sorted(CASES))
def test_cases(name: str) -> None:
    """Every strategy draws every case that its operator treats in a way of its own, or that is easily got wrong."""
    assert never_drawn(STRATEGIES[name](), CASES[name]) == set()


def test_every_operator_has_cases() -> None:
    """Only those without any parameter have none."""
    assert set(STRATEGIES) - set(CASES) == {"Conjugation", "ImaginaryPart", "RealPart"}


# -- what they are made with -------------------------------------------------------------------------------------------


def test_a_twin_of_another_shape() -> None:
    """A function whose results are no vectors of the codomain makes no twin, even where it would broadcast."""
    A = Restriction(Euclidean(3), np.s_[:2])
    assert_operator(*with_twin(A, lambda x: x[:2]))
    for wrong in (lambda x: x[:1], lambda x: x[0], lambda x: 1j * x[:2], lambda x: x[None, :2]):
        with pytest.raises(SpaceError, match="Restriction"):
            with_twin(A, wrong)


@given(st.data(), st.sampled_from(["float32", "complex64", "complex128"]), st.sampled_from([None, "real"]))
def test_spaces_like_another(data: st.DataObject, dtype: str, field: Any) -> None:
    """Spaces that are drawn for another one have its field and precision, so that there are operators between them."""
    X = Euclidean(2, dtype, field)
    Y, Z = data.draw(spaces_like(X)), data.draw(arrays_like(X, same_dtype=True))
    assert Y.field == Z.field == X.field
    assert Y.coordinate_dtype == Z.coordinate_dtype == X.coordinate_dtype
    assert Z.dtype == X.dtype
    assert math.prod(Z.shape) <= 9
