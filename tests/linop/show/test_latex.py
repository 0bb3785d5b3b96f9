"""A formula says what the expression is: read as mathematics, it has the expression's matrix."""

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linop import (
    Adjoint,
    Block,
    BlockDiagonal,
    Compose,
    Euclidean,
    FunctionOperator,
    HStack,
    Identity,
    Inverse,
    Kron,
    LinearOperator,
    Matrix,
    Scale,
    Sum,
    VStack,
    Weighted,
    Zero,
    matrix,
)
from linop.show.latex import Binding, binding, latex
from linop.testing import Expression, expressions, spaces_of_a_tree

pytestmark = pytest.mark.serial

X = Euclidean(2)
ENTRIES = {"A": [[1, 2], [3, 4]], "B": [[0, 1], [1, 1]], "C": [[2, -1], [0, 1]]}


def named(name: str, field: type = float) -> LinearOperator:
    """Return a matrix with a name of one's own."""
    entries = np.array(ENTRIES[name], field)
    space = Euclidean(2, field)
    return FunctionOperator(space, space, lambda x: entries @ x, lambda y: entries.conj().T @ y, name=name)


A, B, C = map(named, "ABC")


# -- reading a formula -------------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"\\left\(|\\right\)|\\,|\\otimes|\\times|\\mathrm\{\w+\}|\^\{[-*1]+\}|10\^\{-?\d+\}|[-+]|[\d.]+|[IR]|\s+"
)


class Reader:
    """Evaluates a formula of named matrices by the rules of mathematics: powers first, then products, (x), and sums."""

    def __init__(self, text: str, names: dict[str, np.ndarray]) -> None:
        self.tokens: list[str] = []
        self.names = names
        while text:
            found = TOKEN.match(text)
            assert found, f"not read: {text}"
            text = text[found.end() :]
            if found[0].strip() and found[0] != r"\,":
                self.tokens.append(found[0])

    def read(self) -> Any:
        value = self.sum()
        assert not self.tokens, f"left over: {self.tokens}"
        return value

    def next_is(self, *expected: str) -> bool:
        return bool(self.tokens) and self.tokens[0] in expected

    def sum(self) -> Any:
        sign = -1 if self.next_is("-") and self.tokens.pop(0) else 1
        value = sign * self.tensor()
        while self.next_is("+", "-"):
            sign = -1 if self.tokens.pop(0) == "-" else 1
            value = value + sign * self.tensor()
        return value

    def tensor(self) -> Any:
        value = self.product()
        while self.next_is(r"\otimes"):
            self.tokens.pop(0)
            value = np.kron(value, self.product())
        return value

    def product(self) -> Any:
        value = self.power()
        while self.tokens and not self.next_is("+", "-", r"\otimes", r"\right)"):
            if self.next_is(r"\times"):
                self.tokens.pop(0)
            factor = self.power()
            value = value * factor if np.ndim(value) == 0 or np.ndim(factor) == 0 else value @ factor
        return value

    def power(self) -> Any:
        value = self.atom()
        if self.tokens and self.tokens[0].startswith("^"):
            exponent = self.tokens.pop(0)
            assert not (self.tokens and self.tokens[0].startswith("^")), "two exponents"
            value = np.linalg.inv(value) if "-" in exponent else value
            value = value.conj().T if "*" in exponent else value
        return value

    def atom(self) -> Any:
        token = self.tokens.pop(0)
        if token == r"\left(":
            value = self.sum()
            assert self.tokens.pop(0) == r"\right)"
            return value
        if token == r"\mathrm{i}":
            return 1j
        if token.startswith("10^"):
            return 10.0 ** int(token[4:-1])
        return float(token) if token[0].isdigit() else self.names[token.removeprefix(r"\mathrm{").removesuffix("}")]


SCALARS = [-1, 2, -3, 0.5, 1e-7, -2.5e8]


@st.composite
def formulas(draw: st.DrawFn, field: type, depth: int = 4) -> tuple[LinearOperator, np.ndarray]:
    """Return expressions of one space, made as the constructors allow: sums in sums, multiples of multiples, too."""
    kind = draw(st.sampled_from(["name", "identity"] + ["sum", "compose", "scale", "adjoint", "inverse"] * (depth > 0)))
    if kind == "name":
        name = draw(st.sampled_from("ABC"))
        return named(name, field), np.array(ENTRIES[name], field)
    if kind == "identity":
        return Identity(Euclidean(2, field)), np.eye(2)
    first, dense = draw(formulas(field, depth - 1))
    if kind == "scale":
        c = draw(st.sampled_from(SCALARS + [1j, -1j, 2 - 1j, -1 + 0.5j] * (field is complex)))
        return Scale(c, first), c * dense
    if kind == "adjoint":
        return Adjoint(first), dense.conj().T
    if kind == "inverse":
        if abs(np.linalg.det(dense)) < 1e-12 * np.linalg.norm(dense) ** 2:
            return first, dense
        return Inverse(first), np.linalg.inv(dense)
    others = draw(st.lists(formulas(field, depth - 1), min_size=1, max_size=2))
    if kind == "sum":
        return Sum(first, *(other for other, _ in others)), sum((d for _, d in others), dense)
    for _, right in others:
        dense = dense @ right
    return Compose(first, *(other for other, _ in others)), dense


@given(st.sampled_from([float, complex]).flatmap(formulas))
def test_a_formula_is_its_expression(found: tuple[LinearOperator, np.ndarray]) -> None:
    """Read by the rules of mathematics, the formula has the value of the expression: no parenthesis is missing."""
    operator, dense = found
    names = {name: np.array(entries, complex) for name, entries in ENTRIES.items()}
    value = Reader(latex(operator), {**names, "I": np.eye(2)}).read()
    # Sums of numbers of any size cancel; whatever is read wrongly is off by as much as the numbers are large.
    size = 1 + np.abs(dense).max() + np.abs(value).max()
    np.testing.assert_allclose(value, dense, rtol=1e-6, atol=1e-6 * size)


@given(st.lists(st.sampled_from(["A", "-A", "A+B", "AB", "2A", "A*", "AxB"]), min_size=2, max_size=3))
def test_kronecker_products(kinds: list[str]) -> None:
    """The same for Kronecker products, of whatever has its own rules for parentheses."""
    M, N = Matrix(ENTRIES["A"]), Matrix(ENTRIES["B"])
    made = {"A": M, "-A": -M, "A+B": M + N, "AB": M @ N, "2A": 2 * M, "A*": M.H, "AxB": Kron(M, N)}
    shown = {"A": A, "-A": -A, "A+B": A + B, "AB": A @ B, "2A": 2 * A, "A*": A.H, "AxB": Kron(A, B)}
    names = {name: np.array(entries, float) for name, entries in ENTRIES.items()}
    K = Kron(*(made[kind] for kind in kinds))
    L = Kron(*(shown[kind] for kind in kinds))
    expected = matrix(K)
    np.testing.assert_array_equal(Reader(latex(L), names).read(), expected)
    np.testing.assert_array_equal(Reader(latex(2 * L), names).read(), 2 * expected)
    np.testing.assert_array_equal(Reader(latex(L @ L + L), names).read(), expected @ expected + expected)
    np.testing.assert_array_equal(Reader(latex(Adjoint(L)), names).read(), expected.T)
    np.testing.assert_array_equal(Reader(latex(Compose(Scale(2, L), L)), names).read(), 2 * expected @ expected)


# -- how it looks ------------------------------------------------------------------------------------------------------

a, b, c = (rf"\mathrm{{{name}}}" for name in "ABC")
XW = Weighted(X, [1.0, 2.0])


@pytest.mark.parametrize(
    ("operator", "formula"),
    [
        (A @ B @ C, rf"{a}\,{b}\,{c}"),
        (A + B - C, rf"{a} + {b} - {c}"),
        (-A - 2 * B, rf"-{a} - 2\,{b}"),
        (A - (B + C), rf"{a} - \left({b} + {c}\right)"),
        (0.5 * A @ B, rf"0.5\,{a}\,{b}"),
        (1e-3 * A, rf"0.001\,{a}"),
        (1.5e-9 * A, rf"1.5 \times 10^{{-9}}\,{a}"),
        ((A + B) @ C, rf"\left({a} + {b}\right)\,{c}"),
        (2 * (A + B), rf"2\,\left({a} + {b}\right)"),
        (A.H @ A, rf"{a}^{{*}}\,{a}"),
        (Adjoint(A @ B), rf"\left({a}\,{b}\right)^{{*}}"),
        (Inverse(A), rf"{a}^{{-1}}"),
        (Inverse(A.H), rf"{a}^{{-*}}"),
        (Adjoint(Inverse(A)), rf"{a}^{{-*}}"),
        (Inverse(A + B), rf"\left({a} + {b}\right)^{{-1}}"),
        (2 * Identity(X), r"2\,I"),
        (Zero(X, X), "0"),
        (XW.riesz, "R"),
        (XW.riesz_inverse, "R^{-1}"),
        (Adjoint(XW.riesz_inverse), r"\left(R^{-1}\right)^{*}"),
        (Kron(A, B @ C), rf"{a} \otimes {b}\,{c}"),
        (Kron(A, B) @ Kron(C, C), rf"\left({a} \otimes {b}\right)\,\left({c} \otimes {c}\right)"),
        (2 * Kron(A + B, C), rf"2\,\left({a} + {b}\right) \otimes {c}"),
        (2 * Kron(-A, C), rf"2\,\left(-{a} \otimes {c}\right)"),
        (Block([[A, B], [None, -C]]), rf"\begin{{bmatrix}} {a} & {b} \\ 0 & -{c} \end{{bmatrix}}"),
        (BlockDiagonal(A, B), rf"\begin{{bmatrix}} {a} &  \\  & {b} \end{{bmatrix}}"),
        (VStack(A, B), rf"\begin{{bmatrix}} {a} \\ {b} \end{{bmatrix}}"),
        (
            HStack(A, B) @ VStack(A, B),
            rf"\begin{{bmatrix}} {a} & {b} \end{{bmatrix}}\,\begin{{bmatrix}} {a} \\ {b} \end{{bmatrix}}",
        ),
        (Matrix(np.ones((2, 3))), r"\mathrm{Matrix}"),
        (FunctionOperator(X, X, np.copy, np.copy, name="my_op{1} (fast)"), r"\mathrm{my\_op\{1\}\ }"),
        (FunctionOperator(X, X, np.copy, np.copy, name="(x)"), r"\mathrm{FunctionOperator}"),
    ],
    ids=str,
)
def test_formulas(operator: LinearOperator, formula: str) -> None:
    """Juxtaposed products, signs and numbers in front, and parentheses only where they are needed."""
    assert latex(operator) == formula


@pytest.mark.parametrize(
    ("scalar", "text"),
    [
        (2j, r"2\mathrm{i}"),
        (1j, r"\mathrm{i}"),
        (-1j, r"-\mathrm{i}"),
        (1 - 2j, r"\left(1-2\mathrm{i}\right)"),
        (0.5 + 1j, r"\left(0.5+\mathrm{i}\right)"),
        (3 + 0j, "3"),
    ],
)
def test_complex_numbers(scalar: complex, text: str) -> None:
    """The imaginary unit is upright, and no number is written that is one."""
    assert latex(Scale(scalar, named("A", complex))) == rf"{text}\,{a}"


@given(
    spaces_of_a_tree()
    .flatmap(lambda spaces: st.tuples(*[st.sampled_from(spaces)] * 2))
    .flatmap(lambda s: expressions(*s))
)
def test_every_expression_has_a_formula(tree: Expression) -> None:
    """Braces, parentheses and environments are closed in the order in which they are opened."""
    opened = []
    pairs = {"{": "}", r"\left(": r"\right)", r"\begin{bmatrix}": r"\end{bmatrix}"}
    for token in re.findall(r"\\left\(|\\right\)|\\begin\{bmatrix\}|\\end\{bmatrix\}|[{}]", latex(tree.operator)):
        if token in pairs:
            opened.append(pairs[token])
        else:
            assert token == opened.pop()
    assert not opened


class Named(LinearOperator):
    """An operator of a user, whose formula is a sum."""

    def __init__(self) -> None:
        super().__init__(X, X)

    def _apply(self, x: Any) -> Any:
        return 2 * x

    def _apply_dual(self, y: Any) -> Any:
        return 2 * y


def test_an_operator_of_ones_own() -> None:
    """A class may register its formula, and how tightly it binds."""
    assert latex(Named()) == r"\mathrm{Named}"
    latex.register(Named, lambda _: "S + T")
    binding.register(Named, lambda _: Binding.SUM)
    assert latex(Named().H @ A) == rf"\left(S + T\right)^{{*}}\,{a}"
