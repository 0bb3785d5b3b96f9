"""Residuals are drawn as they are."""

import numpy as np
import pytest

from linop import Diagonal
from linop.solve import cg, plot_convergence

pytestmark = pytest.mark.serial


def test_curves_are_the_residuals() -> None:
    """One curve for each result, with its name, and a word where it has not converged; of a batch, the largest."""
    A = Diagonal([1.0, 2.0, 3.0])
    done, batch, few = cg(A, np.ones(3)), cg(A, np.ones((2, 3))), cg(A, np.ones(3), iterations=1)
    axes = plot_convergence({"one": done, "two": batch, "few": few})
    labels = [line.get_label() for line in axes.get_lines()]
    assert labels == ["one", "two", "few (not converged)"]
    for line in axes.get_lines()[:2]:
        np.testing.assert_allclose(line.get_ydata(), np.array(done.residuals) / done.residuals[0], atol=1e-16)
    again = plot_convergence(done, relative=False, ax=axes)
    assert again is axes
    np.testing.assert_array_equal(axes.get_lines()[-1].get_ydata(), done.residuals)
    assert axes.get_yscale() == "log"
