"""What scripts of the gallery share: a test image, and a frame for tensors that are spread over ranks."""

from typing import Any

import numpy as np
from matplotlib import pyplot as plt

from distdl_ops import DistributedSpace, Split
from distdl_ops.show.pictures import colour


def zone_plate(extent: int) -> Any:
    """Return an image of rings that become narrower from the corner on."""
    squares = (np.arange(extent) / extent) ** 2
    return np.cos(0.15 * np.pi * extent * (squares[:, None] + squares))


def side_by_side(*shown: tuple[str, Any, DistributedSpace]) -> Any:
    """Draw whole tensors beside each other: a title, the tensor, and the space whose ranks' parts lines tell apart."""
    figure, axes = plt.subplots(1, len(shown), figsize=(4 * len(shown), 4.6), layout="constrained")
    for ax, (title, tensor, space) in zip(axes, shown, strict=True):
        image = np.asarray(tensor)
        image = image.reshape(-1, image.shape[-1])  # channels, one below the other
        drawn = ax.imshow(image, cmap="viridis", interpolation="nearest", aspect="auto")
        figure.colorbar(drawn, ax=ax, location="bottom", shrink=0.8)
        rows = space.global_shape[-2] if space.ndim > 1 else 1
        for role in space.roles.values():
            for start, stop in role.intervals[1:] if isinstance(role, Split) and role.intervals else ():
                if start < stop and role.axis == space.ndim - 1:
                    ax.axvline(start - 0.5, color="white", linewidth=2)
                elif start < stop and role.axis == space.ndim - 2:
                    for channel in range(0, len(image), rows):
                        ax.axhline(channel + start - 0.5, color="white", linewidth=2)
        ax.set_title(f"{title}, {' x '.join(map(str, np.shape(tensor)))}")
        ax.yaxis.get_major_locator().set_params(integer=True)
    return figure


def by_rank(*curves: tuple[str, Any]) -> Any:
    """Draw curves beside each other: a title, and of each rank the places and the values."""
    figure, axes = plt.subplots(1, len(curves), figsize=(4 * len(curves), 3.2), layout="constrained")
    for ax, (title, parts) in zip(axes, curves, strict=True):
        for rank, (places, values) in enumerate(parts):
            ax.plot(places, values, ".", color=colour(rank), label=f"rank {rank}")
        ax.set_title(title)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=10)
    return figure
