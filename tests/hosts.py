"""Two hosts on this machine: network namespaces that a pair of virtual cards joins. Needs root and the tool ``ip``.

They share the cores, the memory and the files; what runs on one reaches the other through the cards only. Taking the
link down is what a host that vanishes looks like to the other one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ADDRESSES = ("10.77.9.1", "10.77.9.2")
PORT = 29517


def ip(*arguments: str) -> None:
    """Run ``ip``; raise where it fails."""
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=60)


def fault() -> str | None:
    """Return why there can be no two hosts here; None where there can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "needs root, to make network namespaces"
    if shutil.which("ip") is None:
        return "needs the tool ip, of iproute2"
    try:
        with tempfile.TemporaryDirectory() as folder, two_hosts(Path(folder)) as two:
            greet = "import socket, sys; socket.create_server((sys.argv[1], 0))"
            for k, address in enumerate(ADDRESSES):
                command = two.on(k, sys.executable, "-c", greet, address)
                subprocess.run(command, check=True, capture_output=True, timeout=60)
    except (subprocess.SubprocessError, OSError) as error:
        return f"network namespaces are not allowed here: {error}"
    return None


@dataclass(frozen=True)
class Hosts:
    """Two hosts.

    Attributes
    ----------
    names : tuple of str
        Of their network namespaces.
    launcher : Path
        A program that runs a command on one of them, as ssh does.
    """

    names: tuple[str, str]
    launcher: Path

    def cut(self) -> None:
        """Take the link of the second host down."""
        ip("-n", self.names[1], "link", "set", "wire", "down")

    def on(self, k: int, *command: str) -> list[str]:
        """Return the command that runs one on a host."""
        return ["ip", "netns", "exec", self.names[k], *command]

    def mpiexec(self, *program: str) -> list[list[str]]:
        """Return the commands that run a Python program under mpiexec, a rank on each host."""
        mpiexec = str(Path(sysconfig.get_path("scripts")) / "mpiexec")
        hosts = ",".join(f"{address}:1" for address in ADDRESSES)
        start = ["-launcher", "ssh", "-launcher-exec", str(self.launcher), "-hosts", hosts, "-n", "2"]
        return [self.on(0, mpiexec, *start, sys.executable, *program)]

    def torchrun(self, *program: str) -> list[list[str]]:
        """Return the commands, one on each host, that run a Python program under torchrun."""
        return [
            self.on(
                k,
                *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"),
                *("--node-rank", str(k), "--rdzv-id", "two-hosts", "--rdzv-backend", "c10d", "--max-restarts", "0"),
                *("--rdzv-conf", f"is_host={1 - k},join_timeout=60"),
                *("--rdzv-endpoint", f"{ADDRESSES[0]}:{PORT}", "--local-addr", address, *program),
            )
            for k, address in enumerate(ADDRESSES)
        ]


ENVIRONMENT = {
    "GLOO_SOCKET_IFNAME": "wire",
    "MPIR_CVAR_NOLOCAL": "1",  # no shared memory between hosts
    "UCX_TLS": "tcp,self",
    "UCX_NET_DEVICES": "wire",
    "FI_PROVIDER": "tcp",
    "OMP_NUM_THREADS": "1",
}
"""What programs on the hosts need."""


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[Hosts]:
    """Make two hosts; end what runs on them, and remove them, at the end."""
    names = (f"host-{os.getpid()}-1", f"host-{os.getpid()}-2")
    launcher = folder / "on_host"
    cases = "".join(f"    {address}) host={name} ;;\n" for address, name in zip(ADDRESSES, names, strict=True))
    launcher.write_text(
        "#!/bin/sh\n# mpiexec calls: [-x] ADDRESS COMMAND, as it would call ssh\n"
        'while [ "${1#-}" != "$1" ]; do shift; done\n'
        f'case $1 in\n{cases}    *) exit 2 ;;\nesac\nshift\nexec ip netns exec "$host" sh -c "$*"\n'
    )
    launcher.chmod(0o755)
    try:
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("netns", "add", name)
            known = Path("/etc/netns", name)  # what a program on the host finds as /etc/hosts: nobody else is asked
            known.mkdir(parents=True)
            lines = ["127.0.0.1 localhost", f"{address} {socket.gethostname()}"]
            lines += [f"{address} {name}" for name, address in zip(names, ADDRESSES, strict=True)]
            (known / "hosts").write_text("\n".join(lines) + "\n")
            (known / "resolv.conf").write_text("")
        ip("link", "add", "wire", "netns", names[0], "type", "veth", "peer", "name", "wire", "netns", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "wire")
            ip("-n", name, "link", "set", "wire", "up")
            ip("-n", name, "link", "set", "lo", "up")
        for name in names:  # until both cards are ready
            subprocess.run(
                ["ip", "netns", "exec", name, "sh", "-c", "until ip link show wire | grep -q 'state UP'; do :; done"],
                check=True,
                timeout=60,
            )
        yield Hosts(names, launcher)
    finally:
        for name in names:
            running = subprocess.run(
                ["ip", "netns", "pids", name], capture_output=True, text=True, check=False, timeout=60
            )
            for pid in running.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False, timeout=60)
            shutil.rmtree(Path("/etc/netns", name), ignore_errors=True)
