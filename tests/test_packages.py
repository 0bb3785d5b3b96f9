"""What is installed: versions, what an import says that cannot work, and the commands of ``python -m distdl_ops``."""

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import distdl_ops
import linop
import torch_bridge

pytestmark = pytest.mark.serial

ROOT = Path(__file__).parent.parent


def python(*arguments: str, before: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Python on our packages, those in a folder before them; return what it has written."""
    path = [str(before)] if before else []
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*path, str(ROOT)])}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=check, env=environment, cwd=before
    )


def test_versions_are_that_of_the_distribution() -> None:
    """The three packages have one version, that of the distribution, and so has the file of citations."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert linop.__version__ == distdl_ops.__version__ == torch_bridge.__version__ == metadata.version("distdl-ops")
    cited = re.search(r"^version: (.*)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert cited is not None
    assert cited[1] == project["version"]


@pytest.mark.parametrize(
    "contents", ["", "import nothing_of_that_name", "print 'Python 2'", "class LinearOperator: pass"]
)
@pytest.mark.parametrize("package", ["distdl_ops", "torch_bridge"])
def test_another_package_of_the_same_name_is_found(tmp_path: Path, contents: str, package: str) -> None:
    """Where another linop is imported for ours, the error says which file shadows which."""
    other = tmp_path / "linop" / "__init__.py"
    other.parent.mkdir()
    other.write_text(contents)
    found = python("-c", f"import {package}", before=tmp_path, check=False)
    assert found.returncode == 1
    assert f"{other} has the same name and shadows it" in found.stderr
    assert str(ROOT / "linop" / "__init__.py") in found.stderr


@pytest.mark.parametrize(
    ("absent", "program", "words"),
    [
        ("torch", "import torch_bridge", "pip install 'distdl-ops[torch]'"),
        ("matplotlib", "from linop import Matrix, plot_matrix; plot_matrix(Matrix([[1.0]]))", "pip install matplotlib"),
    ],
)
def test_what_is_missing_is_named(absent: str, program: str, words: str, tmp_path: Path) -> None:
    """An extra that is not installed is named, with the command that installs it."""
    (tmp_path / f"{absent}.py").write_text(f"raise ModuleNotFoundError('No module named {absent}', name={absent!r})")
    found = python("-c", program, before=tmp_path, check=False)
    assert found.returncode == 1
    assert words in found.stderr.splitlines()[-1]


@pytest.mark.parametrize("arguments", [(), ("doctor",)])
def test_the_doctor_says_what_there_is(arguments: tuple[str, ...]) -> None:
    """One line for each library, the launcher, the world and the devices."""
    lines = python("-m", "distdl_ops", *arguments).stdout.splitlines()
    names = [line[:20].strip() for line in lines]
    for name in (
        "distdl-ops",
        "Python",
        "numpy",
        "torch",
        "mpi4py",
        "MPI library",
        "mpiexec",
        "launcher",
        "world",
        "devices",
    ):
        assert names.count(name) == 1


LAUNCHERS = {
    "plain": [sys.executable],
    "mpiexec": [str(Path(sysconfig.get_path("scripts")) / "mpiexec"), "-n", "2", sys.executable],
    "torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"],
}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_the_job_that_it_is_started_in_is_tested(launcher: str) -> None:
    """Alone, under mpiexec and under torchrun, the test goes through all of its parts."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DISTDL_OPS_TIMEOUT": "120"}
    command = [*LAUNCHERS[launcher], "-m", "distdl_ops", "selftest"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert found.returncode == 0, found.stderr
    ranks = "1 rank" if launcher == "plain" else "2 ranks"
    assert found.stdout.splitlines()[-1] == f"all right, on {ranks}"
    assert found.stdout.count("right  ") == 6


def test_distributions_are_whole(tmp_path: Path) -> None:
    """The source distribution has all tests, pages and examples; the wheel has the packages alone."""
    pytest.importorskip("setuptools", minversion="77")
    program = (
        "import sys; from setuptools import build_meta as b; folder = sys.argv[1]; "  # which it changes
        "b.build_sdist(folder); b.build_wheel(folder)"
    )
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a checkout of git")
    copy = tmp_path / "copy"
    for name in tracked.stdout.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-c", program, str(tmp_path)]
    subprocess.run(build, cwd=copy, capture_output=True, timeout=300, check=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    wanted = {name for name in tracked.stdout.splitlines() if name.split("/")[0] in ("tests", "docs", "examples")}
    assert {name for name in wanted if (ROOT / name).is_file()} <= held
    (wheel,) = tmp_path.glob("*.whl")

    with zipfile.ZipFile(wheel) as packed:
        folders = {name.split("/")[0] for name in packed.namelist()}
    assert {name for name in folders if not name.endswith(".dist-info")} == {"linop", "distdl_ops", "torch_bridge"}


ABSENT = re.compile(r"os\.(sched_yield|fork|getuid|killpg|setsid)\b|signal\.SIGKILL|import (fcntl|resource)\b")
"""What Windows lacks."""


def test_windows_has_all_that_is_used() -> None:
    """What only some systems have is asked for by ``getattr``, or not used."""
    for package in ("linop", "distdl_ops", "torch_bridge"):
        for file in (ROOT / package).rglob("*.py"):
            assert not ABSENT.search(file.read_text()), file
