r"""An expression as a formula.

Products are juxtaposed, ``A.dual`` is :math:`A^*`, an inverse :math:`A^{-1}`. Parentheses stand only where the formula
would say something else without them. How tightly a formula holds together is a question of its own, `binding`.
"""

from __future__ import annotations

from enum import IntEnum
from functools import singledispatch

from linop.algebra.adjoint import Adjoint
from linop.algebra.block import Block
from linop.algebra.block_diagonal import BlockDiagonal
from linop.algebra.compose import Compose
from linop.algebra.kron import Kron
from linop.algebra.scale import Scale
from linop.algebra.stack import HStack, VStack
from linop.algebra.sum import Sum
from linop.arguments import checked
from linop.arrays import Scalar
from linop.inverse import Inverse
from linop.operator import LinearOperator
from linop.operators.identity import Identity
from linop.operators.riesz import Riesz
from linop.operators.zero import Zero
from linop.queries.parts import parts


class Binding(IntEnum):
    """How tightly a formula holds together: what binds more tightly goes first."""

    SUM = 0
    MULTIPLE = 1
    TENSOR = 2
    PRODUCT = 3
    POWER = 4
    ATOM = 5


@checked
@singledispatch
def latex(operator: LinearOperator) -> str:
    r"""Return an expression as a LaTeX formula, without dollar signs. Needs amsmath (or MathJax), for block matrices.

    Parameters
    ----------
    operator : LinearOperator
        The expression.

    Returns
    -------
    str
        An operator that is made of no others goes by its name, without its arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from linop import Identity, Matrix
    >>> A = Matrix(np.ones((3, 2)))
    >>> print(latex(A.H @ A - 0.5 * Identity(A.domain)))
    \mathrm{Matrix}^{*}\,\mathrm{Matrix} - 0.5\,I
    """
    name = "" if parts(operator) else str(operator).partition("(")[0]
    return rf"\mathrm{{{_escaped(name or type(operator).__name__)}}}"


@singledispatch
def binding(operator: LinearOperator) -> Binding:  # noqa: ARG001  (a name)
    r"""Return how tightly the formula of an operator holds together; for classes whose `latex` is no single symbol.

    Examples
    --------
    >>> from linop import Diagonal
    >>> D = Diagonal([1.0, 2.0])
    >>> binding(D), binding(D + D), binding(D) > binding(D @ D) > binding(D + D)
    (<Binding.ATOM: 5>, <Binding.SUM: 0>, True)
    """
    return Binding.ATOM


def enclosed(operator: LinearOperator, least: Binding) -> str:
    r"""Return the formula of an operator, in parentheses unless it binds as tightly as `least`.

    Examples
    --------
    >>> from linop import Diagonal
    >>> D = Diagonal([1.0, 2.0])
    >>> print(enclosed(D + D, Binding.PRODUCT))
    \left(\mathrm{Diagonal} + \mathrm{Diagonal}\right)
    """
    text = latex(operator)
    return text if binding(operator) >= least else rf"\left({text}\right)"


# -- expressions -------------------------------------------------------------------------------------------------------


@latex.register
def _(operator: Sum) -> str:
    text = latex(operator.terms[0])
    for term in map(latex, operator.terms[1:]):
        text += f" - {term[1:]}" if term.startswith("-") else f" + {term}"
    return text


@latex.register
def _(operator: Scale) -> str:
    scaled = enclosed(operator.operator, Binding.TENSOR)
    return f"-{scaled}" if operator.scalar == -1 else rf"{_number(operator.scalar)}\,{scaled}"


@latex.register
def _(operator: Compose) -> str:
    first, *rest = operator.factors
    formulas = [latex(first) if _leads(operator) else enclosed(first, Binding.PRODUCT)]
    return r"\,".join(formulas + [enclosed(factor, Binding.PRODUCT) for factor in rest])


def _leads(operator: Compose) -> bool:
    """Say whether a product begins with a number that is read as one: what that multiplies is not read otherwise."""
    first = operator.factors[0]
    return isinstance(first, Scale) and binding(first.operator) >= Binding.PRODUCT


@latex.register
def _(operator: Adjoint) -> str:
    inner = operator.operator
    return _raised(inner.operator, "-*") if isinstance(inner, Inverse) else _raised(inner, "*")


@latex.register
def _(operator: Inverse) -> str:
    inner = operator.operator
    return _raised(inner.operator, "-*") if isinstance(inner, Adjoint) else _raised(inner, "-1")


@latex.register
def _(operator: Kron) -> str:
    first, *rest = operator.operators
    return r" \otimes ".join([enclosed(first, Binding.MULTIPLE)] + [enclosed(A, Binding.TENSOR) for A in rest])


@latex.register
def _(operator: Block) -> str:
    return _bmatrix([[latex(A) for A in row] for row in operator.rows])


@latex.register
def _(operator: BlockDiagonal) -> str:
    blocks = operator.operators
    return _bmatrix([[latex(A) if i == j else "" for j in range(len(blocks))] for i, A in enumerate(blocks)])


@latex.register
def _(operator: VStack) -> str:
    return _bmatrix([[latex(A)] for A in operator.operators])


@latex.register
def _(operator: HStack) -> str:
    return _bmatrix([[latex(A) for A in operator.operators]])


@latex.register
def _(operator: Riesz) -> str:
    return "R^{-1}" if operator.inverted else "R"


@binding.register
def _(operator: Compose) -> Binding:
    return Binding.MULTIPLE if _leads(operator) else Binding.PRODUCT


@binding.register
def _(operator: Kron) -> Binding:
    return Binding.MULTIPLE if binding(operator.operators[0]) == Binding.MULTIPLE else Binding.TENSOR


@binding.register
def _(operator: Riesz) -> Binding:
    return Binding.POWER if operator.inverted else Binding.ATOM


latex.register(Identity, lambda _: "I")
latex.register(Zero, lambda _: "0")
binding.register(Sum, lambda _: Binding.SUM)
binding.register(Scale, lambda _: Binding.MULTIPLE)
binding.register(Adjoint, lambda _: Binding.POWER)
binding.register(Inverse, lambda _: Binding.POWER)


# -- symbols -----------------------------------------------------------------------------------------------------------


def _raised(operator: LinearOperator, exponent: str) -> str:
    """Return the formula of an operator with an exponent."""
    return f"{enclosed(operator, Binding.ATOM)}^{{{exponent}}}"


def _bmatrix(rows: list[list[str]]) -> str:
    """Return a matrix of formulas; what is left blank is zero."""
    inside = r" \\ ".join(" & ".join(row) for row in rows)
    return rf"\begin{{bmatrix}} {inside} \end{{bmatrix}}"


def _number(scalar: Scalar) -> str:
    """Return a number as LaTeX: six digits, powers of ten, i upright."""
    if not isinstance(scalar, complex) or scalar.imag == 0:
        return _real(scalar.real)
    unit = {1.0: "", -1.0: "-"}.get(scalar.imag, _real(scalar.imag)) + r"\mathrm{i}"
    if scalar.real == 0:
        return unit
    return rf"\left({_real(scalar.real)}{'' if unit.startswith('-') else '+'}{unit}\right)"


def _real(number: float) -> str:
    digits, _, exponent = f"{number:g}".partition("e")
    return rf"{digits} \times 10^{{{int(exponent)}}}" if exponent else digits


def _escaped(name: str) -> str:
    r"""Return a name with the characters that mean something to LaTeX escaped."""
    meanings = {"\\": r"\backslash ", "^": r"\wedge ", "~": r"\sim ", " ": r"\ "}
    return "".join(meanings.get(c, rf"\{c}" if c in "_&%$#{}" else c) for c in name)
