"""What a process finds on its machine: versions, MPI library, launcher, engine, devices. Nothing is communicated."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from distdl_ops.worlds.launchers import started_by
from distdl_ops.worlds.start import ENGINE, ENGINES, PATIENCE, engine_name

LIBRARIES = ("numpy", "scipy", "array-api-compat", "torch", "mpi4py", "matplotlib")
"""Whose versions are told."""

VARIABLES = (ENGINE, PATIENCE, "OMP_NUM_THREADS", "MASTER_ADDR", "MASTER_PORT", "GLOO_SOCKET_IFNAME")
"""Variables of the environment that matter."""

NONE = "not installed"


def findings() -> Iterator[tuple[str, str]]:
    """Yield what there is: a name, and what was found.

    Examples
    --------
    >>> dict(findings())["numpy"] == metadata.version("numpy")
    True
    """
    yield "distdl-ops", f"{_version('distdl-ops')}, in {Path(__file__).resolve().parents[2]}"
    yield "Python", f"{platform.python_version()}, {sys.executable}"
    yield "machine", f"{platform.platform()}, {os.cpu_count()} cores"
    for library in LIBRARIES:
        yield library, _version(library)
    yield "MPI library", _mpi_library()
    yield "mpiexec", _mpiexec()
    start = started_by()
    yield "launcher", "none" if start is None else f"{start.launcher.name} ({start.variables})"
    name = engine_name()
    yield "world", f"{name or 'not known'}, {ENGINES.get(name, name)}" if name else f"not known: set {ENGINE}"
    for variable in VARIABLES:
        yield variable, os.environ.get(variable, "not set")
    yield "devices", _devices()


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return NONE


def _mpi_library() -> str:
    """Return which MPI library mpi4py has, without starting it."""
    if find_spec("mpi4py") is None:
        return f"{NONE}: pip install 'distdl-ops[mpi]', or build mpi4py against the machine's own"
    import mpi4py

    if "mpi4py.MPI" not in sys.modules:
        mpi4py.rc.initialize = False
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        return f"mpi4py finds none: {error}"
    return str(MPI.Get_library_version()).partition("\n")[0].strip()


def _mpiexec() -> str:
    """Return where mpiexec is, and whose: that of mpi4py's library is needed."""
    path = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if path is None:
        return "not found"
    try:
        found = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path}, which does not run: {error}"
    words = [line.strip() for line in found.splitlines() if line.strip()]
    return ", ".join([path, *words[:2]])


def _devices() -> str:
    """Return torch's devices, and the backends that carry their tensors."""
    if find_spec("torch") is None:
        return "host memory only (torch is not installed)"
    import torch
    import torch.distributed as dist

    count = torch.cuda.device_count()
    names = [torch.cuda.get_device_name(k) for k in range(count)] or ["no accelerator"]
    known = ("gloo", "nccl", "mpi") if dist.is_available() else ()
    backends = [backend for backend in known if getattr(dist, f"is_{backend}_available")()]
    return f"{', '.join(names)}; backends of torch.distributed: {', '.join(backends) or 'none'}"
