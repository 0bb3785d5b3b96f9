"""The three jobs of inverse problems run on ranks, and find the same on any number of them, to twelve digits."""

from pathlib import Path
from typing import Any

import deblurring
import deconvolution
import numpy as np
import pytest
import rays

from distdl_ops import simulate

pytestmark = pytest.mark.serial


@pytest.mark.parametrize(
    ("example", "options", "most"),
    [
        (deblurring, {"n": 24, "steps": 60}, 0.8),
        (rays, {"n": 16, "count": 200}, 0.4),
        (deconvolution, {"traces": 16, "times": 48}, 0.4),
    ],
    ids=["deblurring", "rays", "deconvolution"],
)
def test_the_same_on_any_number_of_ranks(example: Any, options: dict[str, int], most: float) -> None:
    """On 1, 2 and 4 simulated ranks, the answer is the same to twelve digits, and near the truth."""
    image, error = simulate(1, lambda w: example.main(w, **options))[0]
    assert error < most
    for ranks in (2, 4):
        for found, other in simulate(ranks, lambda world: example.main(world, **options)):
            np.testing.assert_allclose(found, image, rtol=0, atol=1e-12 * np.abs(image).max())
            assert other == pytest.approx(error, rel=1e-10)


@pytest.mark.parametrize("name", ["deblurring", "rays", "deconvolution"])
def test_they_are_short(name: str) -> None:
    """Each is shorter than sixty lines of code."""
    text = (Path(__file__).parents[2] / "examples" / f"{name}.py").read_text()
    assert len([line for line in text.split("\n") if line.strip()]) < 60
