r"""An expression as a formula.

Products are juxtaposed, ``A.dual`` is :math:`A^*`, an inverse :math:`A^{-1}`. Parentheses stand only where the formula
would say something else without them. How tightly a formula holds together is a question of its own, `binding`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from linop.arguments import checked
from linop.arrays import Scalar
from linop.blocks.block import Block
from linop.blocks.block_diagonal import BlockDiagonal
from linop.blocks.kron import Kron
from linop.blocks.stack import HStack, VStack
from linop.core.adjoint import Adjoint
from linop.core.compose import Compose
from linop.core.identity import Identity
from linop.core.operator import LinearOperator
from linop.core.parts import parts
from linop.core.riesz import Riesz
from linop.core.scale import Scale
from linop.core.sum import Sum
from linop.core.zero import Zero
from linop.query import Answer, query
from linop.solve.inverse import Inverse
from linop.writing import PLUS, Pieces, text


class Binding(IntEnum):
    """How tightly a formula holds together: what binds more tightly goes first."""

    SUM = 0
    MULTIPLE = 1
    TENSOR = 2
    PRODUCT = 3
    POWER = 4
    ATOM = 5


@checked
@text
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


@query
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
    formula = latex(operator)
    return formula if binding(operator) >= least else rf"\left({formula}\right)"


def _enclosed(operator: LinearOperator, least: Binding) -> Pieces:
    r"""Return the pieces of the formula of an operator, as `enclosed` does."""
    return (operator,) if binding(operator) >= least else (r"\left(", operator, r"\right)")


# -- expressions -------------------------------------------------------------------------------------------------------


@latex.register
def _(operator: Sum) -> Pieces:
    for k, term in enumerate(operator.terms):
        yield from (PLUS, term) if k else (term,)


@latex.register
def _(operator: Scale) -> Pieces:
    yield "-" if operator.scalar == -1 else rf"{_number(operator.scalar)}\,"
    yield from _enclosed(operator.operator, Binding.TENSOR)


@latex.register
def _(operator: Compose) -> Pieces:
    first, *rest = operator.factors
    # what a number multiplies at the beginning is not read otherwise
    yield from (first,) if binding(operator) == Binding.MULTIPLE else _enclosed(first, Binding.PRODUCT)
    for factor in rest:
        yield r"\,"
        yield from _enclosed(factor, Binding.PRODUCT)


@latex.register
def _(operator: Adjoint) -> Pieces:
    inner = operator.operator
    return _raised(inner.operator, "-*") if isinstance(inner, Inverse) else _raised(inner, "*")


@latex.register
def _(operator: Inverse) -> Pieces:
    inner = operator.operator
    return _raised(inner.operator, "-*") if isinstance(inner, Adjoint) else _raised(inner, "-1")


@latex.register
def _(operator: Kron) -> Pieces:
    for k, A in enumerate(operator.operators):
        if k:
            yield r" \otimes "
        yield from _enclosed(A, Binding.TENSOR if k else Binding.MULTIPLE)


@latex.register
def _(operator: Block) -> Pieces:
    return _bmatrix(operator.rows)


@latex.register
def _(operator: BlockDiagonal) -> Pieces:
    blocks = operator.operators
    return _bmatrix([["" if i != j else A for j in range(len(blocks))] for i, A in enumerate(blocks)])


@latex.register
def _(operator: VStack) -> Pieces:
    return _bmatrix([[A] for A in operator.operators])


@latex.register
def _(operator: HStack) -> Pieces:
    return _bmatrix([operator.operators])


@latex.register
def _(operator: Riesz) -> str:
    return "R^{-1}" if operator.inverse else "R"


@binding.register
def _(operator: Compose) -> Answer[Binding]:
    first = operator.first
    leads = isinstance(first, Scale) and (yield first.operator) >= Binding.PRODUCT
    return Binding.MULTIPLE if leads else Binding.PRODUCT


@binding.register
def _(operator: Kron) -> Answer[Binding]:
    return Binding.MULTIPLE if (yield operator.operators[0]) == Binding.MULTIPLE else Binding.TENSOR


@binding.register
def _(operator: Riesz) -> Binding:
    return Binding.POWER if operator.inverse else Binding.ATOM


latex.register(Identity, lambda _: "I")
latex.register(Zero, lambda _: "0")
binding.register(Sum, lambda _: Binding.SUM)
binding.register(Scale, lambda _: Binding.MULTIPLE)
binding.register(Adjoint, lambda _: Binding.POWER)
binding.register(Inverse, lambda _: Binding.POWER)


# -- symbols -----------------------------------------------------------------------------------------------------------


def _raised(operator: LinearOperator, exponent: str) -> Pieces:
    """Return the formula of an operator with an exponent."""
    return (*_enclosed(operator, Binding.ATOM), f"^{{{exponent}}}")


def _bmatrix(rows: Sequence[Sequence[str | LinearOperator]]) -> Pieces:
    """Return a matrix of formulas; what is left blank is zero."""
    yield r"\begin{bmatrix} "
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            yield r" \\ " if i and not j else " & " if j else ""
            yield entry
    yield r" \end{bmatrix}"


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
