"""How the site is built: ``make docs``, or ``python -m sphinx -W --keep-going docs build/docs``."""

import os
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext"), str(DOCS / "gallery")]

from names import pictures  # noqa: E402

project = "distdl-ops"
author = "The distdl-ops authors"
release = metadata.version("distdl-ops")
copyright = author  # noqa: A001  (Sphinx's name)
extensions = [
    "myst_nb",  # pages in Markdown; those that say so are executed
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "mathml",  # this and the next are in docs/_ext
    "catalogue",
    "functions",
]
templates_path = ["_templates"]
exclude_patterns = ["_ext", "_templates", "gallery"]  # the gallery is read by its extension

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_copyright = False
html_show_sourcelink = False
html_math_renderer = "mathml"  # needs neither a script nor a network, so the site opens from disk

pygments_style = "tango"
pygments_dark_style = "native"

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
BUILD = DOCS.parent / "build"
kernel = BUILD / "ipython" / "profile_default" / "ipython_kernel_config.py"
kernel.parent.mkdir(parents=True, exist_ok=True)
kernel.write_text(
    "c.InlineBackend.figure_formats = {'svg'}\n"  # figures are sharp at every size
    "c.IPKernelApp.log_level = 'ERROR'\n"  # else each kernel says that it talks over a port of this machine
)
os.environ["IPYTHONDIR"] = str(BUILD / "ipython")

nb_execution_mode = "force"  # a cache would not see that the library has changed
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_output_stderr = "warn"  # a page that warns is a page that is wrong
nb_render_markdown_format = "myst"
nb_code_prompt_show = "Solution"  # exercises are all that hides code
nb_code_prompt_hide = "Solution"
nb_mime_priority_overrides = [("html", "image/svg+xml", 0)]

default_role = "autolink"  # `check_adjoint` in a docstring is a link where it names something
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say more
numpydoc_show_class_members = False
numpydoc_xref_param_type = False


def _apart() -> dict[str, str]:
    """Return file names for functions that differ from a class by capitals only: some file systems see no capitals."""
    found = {}
    for package in ("linop", "distdl_ops"):
        names = import_module(package).__all__
        classes = {name.lower() for name in names if not name.islower()}
        found |= {f"{package}.{name}": f"{package}.{name}-function" for name in names if name in classes}
    return found


autosummary_filename_map = _apart()
autosummary_ignore_module_all = False
autosummary_imported_members = True
autosummary_context = {"pictures": pictures()}

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "reference/generated/gallery",
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"pictures\.py$",
    "subsection_order": ["gallery/movements", "gallery/compositions", "gallery/operators"],
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": "figures.scraper",
    "abort_on_example_error": True,
    "capture_repr": (),
    "notebook_extensions": set(),
    "download_all_examples": False,
    "write_computation_times": False,
    "min_reported_time": 60,
    "show_memory": False,
}


def setup(app: Any) -> None:
    """Let the menu of a page show its own branch only: with all of some hundred pages, each would be large and slow."""

    def fold(app: Any, page: str, template: str, context: dict[str, Any], tree: Any) -> None:  # noqa: ARG001
        whole = context["toctree"]
        context["toctree"] = lambda **options: whole(**{**options, "collapse": True})

    app.connect("html-page-context", fold, priority=400)  # before the theme
