"""Other packages are called linop, too: importing this module raises where one of them would be imported for ours."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path

EXPECTED = Path(__file__).resolve().parent.parent / "linop" / "__init__.py"
"""Our package of that name, which is installed beside this one."""

OURS = "check_adjoint"
"""What only our package has."""


def require_our_linop() -> None:
    """Raise unless ``import linop`` gives the package that is installed with this one.

    Raises
    ------
    ImportError
        Naming the file that is found, and the file that it shadows.
    """
    imported = sys.modules.get("linop")
    spec = None if imported is not None else find_spec("linop")
    file = getattr(imported, "__file__", None) if spec is None else spec.origin
    if file is not None and Path(file).with_name("keyed.py").is_file():
        return
    try:  # from a place that has no files, an archive say
        found = hasattr(importlib.import_module("linop"), OURS)
    except Exception:
        found = False
    if found:
        return
    if file is None:
        raise ImportError(f"distdl_ops needs linop, which is installed with it as {EXPECTED}; found no package linop")
    raise ImportError(
        f"distdl_ops needs its own package linop, {EXPECTED}; {file} has the same name and shadows it: uninstall the "
        "other package (pip uninstall linop) and install distdl-ops again, or rename that file"
    )


require_our_linop()
