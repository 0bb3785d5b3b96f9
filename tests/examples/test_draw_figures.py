"""The figures of the docs are those that the script draws."""

import re
from pathlib import Path

import draw_figures
import pytest

from distdl_ops import simulate

pytestmark = pytest.mark.serial

DOCS = Path(__file__).parent.parent.parent / "docs"


def test_every_figure_of_the_docs_is_drawn() -> None:
    """README and the pages show the figures that are kept; the script draws those that no example of that name does."""
    pages = [DOCS.parent / "README.md", DOCS / "communication.md", DOCS / "howto" / "three_jobs.md"]
    shown = {name for page in pages for name in re.findall(r"figures/(\w+)\.svg\)", page.read_text())}
    by_examples = {name for name in shown if (DOCS.parent / "examples" / f"{name}.py").exists()}
    drawn = [figure_of.__name__ for figure_of, _ in draw_figures.FIGURES]
    kept = [path.stem for path in (DOCS / "figures").glob("*.svg")]
    assert shown == by_examples.union(drawn) == set(kept)


def test_a_figure_is_the_same_at_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn twice, a file has the same bytes: a change in it is a change in the picture."""
    monkeypatch.setattr(draw_figures, "FIGURES", [(draw_figures.halo_there_and_back, 4)])
    (first,), (second,) = (draw_figures.main(tmp_path / name) for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", ["halo_after_repartition", "all_reduce", "matrix_of_an_all_gather"])
def test_figures_are_drawn(name: str) -> None:
    """Each function of the script draws something on its number of ranks."""
    ((figure_of, ranks),) = [(make, ranks) for make, ranks in draw_figures.FIGURES if make.__name__ == name]
    figure = simulate(ranks, figure_of)[0]
    assert figure.axes[0].has_data() or figure.axes[0].patches
