"""Arrows point one way: torch_bridge -> distdl_ops -> linop; and nothing imports what it does not need."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.serial


@pytest.mark.parametrize(
    ("package", "absent"),
    [
        ("linop", ["torch", "mpi4py", "scipy", "hypothesis", "matplotlib", "distdl_ops", "torch_bridge"]),
        ("distdl_ops", ["torch", "mpi4py", "scipy", "hypothesis", "matplotlib", "torch_bridge"]),
        ("torch_bridge", ["mpi4py", "scipy", "hypothesis"]),
        ("torch_bridge.nn", ["mpi4py", "scipy", "hypothesis"]),
    ],
)
def test_import_brings_only_what_is_needed(package: str, absent: list[str]) -> None:
    """With the other packages blocked, the import succeeds."""
    block = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import {package}"
    subprocess.run([sys.executable, "-c", block], check=True, timeout=120)
