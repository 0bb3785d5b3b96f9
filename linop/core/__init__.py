"""The operator, and what the algebra is closed under: one class, one file.

Sums, products, multiples and adjoints of operators are operators, and operators make them. Hence these files import
each other, and no other files of the library do.
"""

from linop.core import adjoint, compose, expression, identity, operator, scale, sum, zero  # noqa: A004

__all__ = ["adjoint", "compose", "expression", "identity", "operator", "scale", "sum", "zero"]
