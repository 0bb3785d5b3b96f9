"""Complex traces without a wavelet, some of them missing: ``mpiexec -n 4 python examples/deconvolution.py``.

Traces are split over the ranks, and each is convolved with a complex wavelet; some were not recorded. The answer is
sparse in time, and neighbouring traces are alike: an l1 norm, and a difference across ranks.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import distdl_ops
from distdl_ops import DistributedConvolution, DistributedSpace, Grid, Split, World
from linop import VStack
from linop.solve import fista, soft_threshold


def reflectivity(traces: int, times: int) -> np.ndarray:
    """Return a few complex events, which move now and then from trace to trace."""
    image, k = np.zeros((traces, times), complex), np.arange(traces)
    for start, value in ((10, 1.0), (25, -0.7 + 0.5j), (40, 0.8j)):
        image[k, start + k // 12] = value
    return image


def wavelet() -> np.ndarray:
    """Return an analytic wavelet: its real part is symmetric, its imaginary part is not."""
    t = np.linspace(-2, 2, 9)
    return np.asarray(np.exp(-(t**2) + 3j * t))[None, :]


def main(world: World, traces: int = 32, times: int = 60, picture: Path | None = None) -> tuple[np.ndarray, float]:
    """Return what was found, and its error relative to the truth."""
    X = DistributedSpace(Grid(world, p=world.size), (traces, times), complex, p=Split(0))
    generator = np.random.default_rng(0)
    recorded = np.sort(generator.permutation(traces)[: 3 * traces // 4])  # a quarter of the traces is missing
    C = DistributedConvolution(X, wavelet(), padding=(0, 4))
    A = distdl_ops.DistributedRestriction(X, recorded) @ C
    D = distdl_ops.DistributedFiniteDifference(X, 0, boundary="edge")
    true = reflectivity(traces, times)
    noise = generator.standard_normal((2, *A.codomain.global_shape))  # type: ignore[attr-defined]
    b = A(X.from_global(true)) + A.codomain.from_global(0.01 * (noise[0] + 1j * noise[1]))  # type: ignore[attr-defined]

    # least  |A x - b|^2 / 2 + |D x|^2 / 2 + 0.02 |x|_1
    both = VStack(A, D)
    found = fista(both, (b, D.codomain.zeros()), soft_threshold(0.02), restart=True, iterations=500)
    image = X.to_global(found.x)
    error = X.norm(C(found.x - X.from_global(true))) / X.norm(C(X.from_global(true)))
    if world.rank == 0:
        print(f"{found}\nerror of all traces, the missing ones among them: {error:.3f}")
    measured = np.zeros((traces, times), complex)
    measured[recorded] = A.codomain.to_global(b)  # type: ignore[attr-defined]
    if picture and world.rank == 0:
        from matplotlib.figure import Figure

        axes = (figure := Figure((9, 3), layout="constrained")).subplots(1, 3)
        titles = ("true", "measured, where it is", "found")
        for ax, title, shown in zip(axes, titles, (true, measured, image), strict=True):
            ax.set_title(title)
            ax.imshow(abs(shown).T, aspect="auto", cmap="magma")
        figure.savefig(picture)
    return image, error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--picture", type=Path)
    main(distdl_ops.world(), picture=parser.parse_args().picture)
