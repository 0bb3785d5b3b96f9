"""Operators of other libraries as ours, and ours as theirs: SciPy's, whose solvers run on ours, and PyLops'.

Theirs map columns of numbers; ours, vectors of spaces. Neither library is imported before a function needs it.
"""

from linop.interop.foreign import ForeignOperator
from linop.interop.pylops import from_pylops, to_pylops
from linop.interop.scipy import from_scipy, to_scipy

__all__ = ["ForeignOperator", "from_pylops", "from_scipy", "to_pylops", "to_scipy"]
