"""The operator, and what the algebra is closed under: one class, one file.

Sums, products, multiples and adjoints of operators are operators, and operators make them; hence these files import
each other. No other files of this package do.
"""
