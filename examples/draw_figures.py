"""Draws the figures of README.md and of docs/communication.md: ``python examples/draw_figures.py [folder]``.

Everything runs on simulated ranks in this process. The figures are the same at every run.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

from distdl_ops import (
    Copies,
    DistributedSpace,
    Grid,
    HaloExchange,
    Movement,
    Replicated,
    Split,
    World,
    draw,
    plot_matrix,
    scaling,
    simulate,
)
from linop import simplify

FOLDER = Path(__file__).parent.parent / "docs" / "figures"

SETTINGS: dict[Any, Any] = {"svg.hashsalt": "distdl_ops", "svg.fonttype": "none", "figure.dpi": 100}
"""The same file for the same picture; text stays text."""


METADATA = ("Creator", "Date", "Format", "Type")
"""What a file shall not say of how it was made."""


def slim(svg: str) -> str:
    """Return a picture with its coordinates in hundredths of a point, and a line for each path."""

    def shorter(path: re.Match[str]) -> str:
        steps = re.sub(r"-?[0-9]+\.[0-9]+", lambda number: f"{float(number[0]):.2f}", path[0])
        return " ".join(steps.split())

    return re.sub(r"<path[^>]*>", shorter, svg)


def rows(world: World, shape: tuple[int, ...] = (16,)) -> DistributedSpace:
    """Return a tensor split by its first axis over all ranks."""
    return DistributedSpace(Grid(world, p=world.size), shape, p=Split(0))


def reduce_scatter_and_all_gather(world: World) -> Any:
    """Draw an all-reduce in its two halves."""
    S = rows(world)
    C = S.with_roles(p=Copies())
    return draw(Movement(S, C) @ Movement(C, S))


def all_reduce(world: World) -> Any:
    """Draw what the two halves are together."""
    S = rows(world)
    C = S.with_roles(p=Copies())
    return draw(simplify(Movement(S, C) @ Movement(C, S)))


def all_gather_and_its_adjoint(world: World) -> Any:
    """Draw an all-gather above its adjoint, a reduce-scatter."""
    S = rows(world)
    A = Movement(S, S.with_roles(p=Copies()))
    return draw(A.H @ A)


def halo_there_and_back(world: World) -> Any:
    """Draw a halo exchange in two dimensions, and its adjoint."""
    S = DistributedSpace(Grid(world, rows=2, cols=2), (12, 12), rows=Split(0), cols=Split(1))
    H = HaloExchange(S, {0: (1, 1), 1: (2, 2)})
    return draw(H.H @ H)


def halo_after_repartition(world: World) -> Any:
    """Draw a repartition and a halo exchange in one."""
    T = rows(world, (16, 16)).with_roles(p=Split(1))
    return draw(simplify(HaloExchange(rows(world, (16, 16)), {0: (2, 2)}) @ Movement(T, rows(world, (16, 16)))))


def all_to_all_of_ten(world: World) -> Any:
    """Draw a repartition between ten ranks."""
    S = rows(world, (20, 20))
    return draw(Movement(S, S.with_roles(p=Split(1))))


def slice_of_three_axes(world: World) -> Any:
    """Draw a slice of a tensor of three axes."""
    S = DistributedSpace(Grid(world, p=2, q=2), (8, 8, 8), p=Split(0), q=Split(1))
    return draw(Movement(S, S.with_roles(p=Replicated())), at=(0, 0, 4))


def matrix_of_a_halo(world: World) -> Any:
    """Draw the matrices of a halo exchange and of its adjoint."""
    return plot_matrix(HaloExchange(rows(world, (12,)), {0: (1, 1)}))


def matrix_of_an_all_gather(world: World) -> Any:
    """Draw the matrices of an all-gather and of a reduce-scatter."""
    S = rows(world, (8,))
    return plot_matrix(Movement(S, S.with_roles(p=Copies())))


def scaling_of_a_halo(world: World) -> Any:
    """Plot the cost of a halo exchange there and back up to a million ranks."""
    S = DistributedSpace(Grid(world, rows=2, cols=2), (2**20, 2**14), rows=Split(0), cols=Split(1))
    H = HaloExchange(S, {0: (1, 1), 1: (1, 1)})
    return scaling(H.H @ H, [4**k for k in range(1, 11)], axis="rows").plot()


def scaling_of_an_all_to_all(world: World) -> Any:
    """Plot the cost of an all-to-all up to a million ranks."""
    S = rows(world, (2**20, 2**20))
    return scaling(Movement(S, S.with_roles(p=Split(1))), [4**k for k in range(1, 11)]).plot()


FIGURES: list[tuple[Callable[[World], Any], int]] = [
    (all_gather_and_its_adjoint, 4),
    (reduce_scatter_and_all_gather, 4),
    (all_reduce, 4),
    (halo_there_and_back, 4),
    (halo_after_repartition, 4),
    (all_to_all_of_ten, 10),
    (slice_of_three_axes, 4),
    (matrix_of_a_halo, 3),
    (matrix_of_an_all_gather, 4),
    (scaling_of_a_halo, 4),
    (scaling_of_an_all_to_all, 1),
]
"""What draws each figure, and on how many ranks."""


def main(folder: Path = FOLDER, kind: str = "svg") -> list[Path]:
    """Draw all figures into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with mpl.rc_context(SETTINGS):
        for figure_of, ranks in FIGURES:
            path = folder / f"{figure_of.__name__}.{kind}"
            figure = simulate(ranks, figure_of)[0]
            figure.savefig(path, metadata=dict.fromkeys(METADATA) if kind == "svg" else None)
            if kind == "svg":
                path.write_text(slim(path.read_text()))
            paths.append(path)
    return paths


if __name__ == "__main__":
    mpl.use("Agg")
    for drawn in main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(drawn)
