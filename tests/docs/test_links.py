"""The check of the site's links."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.serial

TOOLS = Path(__file__).parents[2] / "docs" / "_ext"


def tool(name: str) -> ModuleType:
    """Import a file that is in no package."""
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("other.html", None),
        ("other.html#here", None),
        ("#top", None),
        ("https://example.org/x", None),
        ("sub/deep.html", None),
        ("other.html#there", "no such place"),
        ("missing.html", "no such file"),
        ("#nowhere", "no such place"),
        ("../outside.html", "no such file"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tmp_path: Path, link: str, fault: str | None) -> None:
    """A link is broken where its page is missing, or the place in it, and not where both are there or elsewhere."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep.html").write_text("<p>deep</p>")
    (tmp_path / "other.html").write_text('<h1 id="here">Other</h1>')
    (tmp_path / "index.html").write_text(f'<h1 id="top">Start</h1><a href="{link}">link</a>')
    found = tool("links").broken(tmp_path)
    assert found == ([] if fault is None else [f"index.html: {link}: {fault}"])


def test_a_missing_picture_is_found(tmp_path: Path) -> None:
    """What a page shows is looked for as what it links to."""
    (tmp_path / "index.html").write_text('<img src="halo.svg">')
    assert tool("links").broken(tmp_path) == ["index.html: halo.svg: no such file"]
