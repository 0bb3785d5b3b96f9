"""A picture of how residuals fall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from linop.arguments import checked, renamed
from linop.solve.result import Result


@renamed(axes="ax")
@checked
def plot_convergence(results: Result | Mapping[str, Result], *, relative: bool = True, ax: Any = None) -> Any:
    """Draw residuals over steps, on a logarithmic scale; needs Matplotlib.

    Parameters
    ----------
    results : Result or mapping of str to Result
        One curve for each, with its name; of a batch of right-hand sides, the largest residual.
    relative : bool, optional
        Whether to divide residuals by the first of each.
    ax : matplotlib axes, optional
        Where to draw; new ones by default.

    Returns
    -------
    matplotlib axes

    Examples
    --------
    >>> from linop import Diagonal
    >>> from linop.solve import cg, minres
    >>> A, b = Diagonal([1.0, 2.0, 3.0]), np.ones(3)
    >>> ax = plot_convergence({"cg": cg(A, b), "minres": minres(A, b)})     # doctest: +SKIP
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plot_convergence needs Matplotlib, which is not installed: pip install matplotlib") from None
    if ax is None:
        ax = Figure(figsize=(6, 4), layout="constrained").add_subplot()
    named = {"": results} if isinstance(results, Result) else results
    for name, result in named.items():
        residuals = np.array([float(np.max(residual)) for residual in result.residuals])
        first = residuals[0] if relative and residuals[0] > 0 else 1.0
        marked = "" if result else " (not converged)"
        ax.semilogy(residuals / first, label=f"{name}{marked}")
    ax.set_xlabel("steps")
    ax.set_ylabel("residual, relative to the first" if relative else "residual")
    ax.grid(visible=True, alpha=0.3)
    if any(named):
        ax.legend()
    return ax
