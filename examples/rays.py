"""An image from sums along rays, with an operator of one's own: ``mpiexec -n 4 python examples/rays.py``.

Every rank has its own rays through an image that is split over all ranks; `DistributedInterpolation` finds the pixels
that they cross. Rays that were measured badly count less: the weights are those of the space of the data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import distdl_ops
from distdl_ops import DistributedGradient, DistributedInterpolation, DistributedSpace, Grid, Local, Split, World
from linop import Euclidean, LinearOperator, Reshape, SumAxes, Weighted, check_adjoint, reweight
from linop.solve import lsqr, plot_convergence


def photograph(n: int) -> np.ndarray:
    """Return a smooth image: two hills."""
    y, x = np.mgrid[0:n, 0:n] / n
    return np.asarray(np.exp(-20 * ((x - 0.4) ** 2 + (y - 0.5) ** 2)) + np.exp(-40 * ((x - 0.7) ** 2 + (y - 0.3) ** 2)))


def rays(image: DistributedSpace, count: int) -> LinearOperator:
    """Return the mean along each of so many rays, at all angles: interpolate at n points of each, and add up."""
    world, n = image.grid.world, image.global_shape[0]
    data = DistributedSpace(Grid(world, ranks=world.size), (count,), ranks=Split(0))
    first, last = data.layout.intervals_at(world.rank)[0]  # type: ignore[index]  # every rank is on the grid
    generator, t = np.random.default_rng(1), np.linspace(-0.5, 0.5, n)
    angle, offset = (numbers[first:last, None] for numbers in generator.uniform(0, 1, (2, count)))
    c, s, offset = np.cos(np.pi * angle), np.sin(np.pi * angle), 0.9 * (offset - 0.5)
    points = (n - 1) * (0.5 + np.stack([t * s + offset * c, t * c - offset * s], axis=-1))
    values: LinearOperator = DistributedInterpolation(image, points.reshape(-1, 2), boundary="zero")
    assert isinstance(values.codomain, DistributedSpace)
    lines = Reshape(Euclidean(values.codomain.shape), (last - first, n))
    return Local(values.codomain, data, (1 / n) * SumAxes(lines.codomain, 1) @ lines) @ values


def main(world: World, n: int = 32, count: int = 800, picture: Path | None = None) -> tuple[np.ndarray, float]:
    """Return the image that was found, and its error relative to the true one."""
    X = DistributedSpace(Grid(world, rows=world.size), (n, n), rows=Split(0))
    A = rays(X, count)
    report = check_adjoint(A)
    true, generator = photograph(n), np.random.default_rng(2)
    deviation = np.where(generator.uniform(size=count) < 0.2, 0.2, 0.002)  # one ray in five is measured badly
    Y, noise = A.codomain, generator.standard_normal(count)
    assert isinstance(Y, DistributedSpace)
    b = A(X.from_global(true)) + Y.from_global(deviation * noise)

    # least  sum_i |A x - b|_i^2 / deviation_i^2 + damp^2 |G x|^2
    weighted = reweight(A, X, Weighted(Y, Y.from_global(deviation**-2)))
    found = lsqr(weighted, b, damp=20.0, regulariser=DistributedGradient(X, boundary="edge"), tolerance=1e-12)
    image = X.to_global(found.x)
    error = float(np.linalg.norm(image - true) / np.linalg.norm(true))
    if world.rank == 0:
        print(f"{report}\n{found}\nerror: {error:.3f}")
    if picture and world.rank == 0:
        from matplotlib.figure import Figure

        axes = (figure := Figure((9, 3), layout="constrained")).subplots(1, 3)
        for ax, title, shown in zip(axes, ("true", "from its rays"), (true, image), strict=False):
            ax.set_title(title)
            ax.imshow(shown, vmin=0, vmax=true.max())
        plot_convergence(found, ax=axes[2])
        figure.savefig(picture)
    return image, error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--picture", type=Path)
    main(distdl_ops.world(), picture=parser.parse_args().picture)
