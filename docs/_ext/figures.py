"""The pictures of the gallery: what a script calls its `figure`, as a drawing that is sharp at every size."""

from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt
from sphinx_gallery.scrapers import figure_rst


def scraper(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:  # noqa: ARG001
    """Save the figure of a script, and return the lines that show it; sphinx-gallery calls this after each block."""
    figure = block_vars["example_globals"].get("figure")
    if figure is None:
        return ""
    path = Path(next(block_vars["image_path_iterator"])).with_suffix(".svg")
    figure.savefig(path, bbox_inches="tight")
    plt.close("all")
    words = (figure.axes[0].get_title() or "picture").replace("\n", " ")
    return str(figure_rst([str(path)], gallery_conf["src_dir"], words))
