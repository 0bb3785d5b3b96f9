"""A blurred, noisy image made sharp with total variation: ``mpiexec -n 4 python examples/deblurring.py``.

Every rank holds a block of the image. The blur and the gradient exchange halos with the neighbours; the solver
knows nothing of ranks, it sees inner products.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import distdl_ops
from distdl_ops import DistributedConvolution, DistributedGradient, DistributedSpace, Grid, Split, World
from linop import VStack
from linop.solve import misfit, nonnegative, primal_dual, separate, slopes, total_variation

KERNEL = np.outer([1.0, 4.0, 6.0, 4.0, 1.0], [1.0, 4.0, 6.0, 4.0, 1.0]) / 256


def photograph(n: int) -> np.ndarray:
    """Return an image with edges: a disc on a frame."""
    y, x = np.mgrid[0:n, 0:n] / n - 0.5
    frame = np.where(np.maximum(abs(x), abs(y)) < 0.4, 1.0, 0.0)
    return np.asarray(np.where(x**2 + y**2 < 0.06, 3.0, frame))


def main(world: World, n: int = 64, steps: int = 300, picture: Path | None = None) -> tuple[np.ndarray, float]:
    """Return the sharp image, and how far it is from the true one, relative to the blurred one."""
    rows = 2 if world.size % 2 == 0 else 1
    X = DistributedSpace(Grid(world, rows=rows, cols=world.size // rows), (n, n), rows=Split(0), cols=Split(1))
    A = DistributedConvolution(X, KERNEL, padding=2)
    G = DistributedGradient(X, boundary="edge")
    true = photograph(n)
    b = A(X.from_global(true)) + X.from_global(0.02 * np.random.default_rng(0).standard_normal((n, n)))

    # least  |A x - b|^2 / 2 + 0.005 TV(x),  x >= 0
    found = primal_dual(VStack(A, G), nonnegative(), separate(misfit(b), slopes(0.005)), like=b, iterations=steps)

    sharp, blurred = X.to_global(found.x), X.to_global(b)
    error = float(np.linalg.norm(sharp - true) / np.linalg.norm(blurred - true))
    variations = [total_variation(G, x) for x in (X.from_global(true), b, found.x)]
    if world.rank == 0:
        print(f"{found}\ntotal variation of the true, blurred, sharp image: {np.round(variations, 1)}")
        print(f"error of the sharp image, of that of the blurred one: {error:.2f}")
    if picture and world.rank == 0:
        from matplotlib.figure import Figure

        axes = (figure := Figure((9, 3), layout="constrained")).subplots(1, 3)
        for ax, title, image in zip(axes, ("true", "blurred", "sharp"), (true, blurred, sharp), strict=True):
            ax.set_title(title)
            ax.imshow(image, cmap="gray")
        figure.savefig(picture)
    return sharp, error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--picture", type=Path)
    main(distdl_ops.world(), picture=parser.parse_args().picture)
