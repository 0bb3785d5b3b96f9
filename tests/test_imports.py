"""Arrows point one way: torch_bridge -> distdl_ops -> linop; and nothing imports what it does not need."""

import importlib
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
    ],
)
def test_import_brings_only_what_is_needed(package: str, absent: list[str]) -> None:
    """With the other packages blocked, the import succeeds."""
    block = f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import {package}"
    subprocess.run([sys.executable, "-c", block], check=True, timeout=120)


@pytest.mark.parametrize("name", ["Conv2d", "DataParallel", "save_checkpoint"])
def test_what_is_gone_names_what_is_there_instead(name: str) -> None:
    """Programs of the release before get an error that says what to write."""
    nn = importlib.import_module("torch_bridge.nn")
    with pytest.raises(ImportError, match=f"torch_bridge.nn.{name} is gone: .*torch_bridge"):
        getattr(nn, name)
