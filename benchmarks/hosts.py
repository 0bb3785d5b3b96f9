"""Runs a script on two hosts that a slow link joins: network namespaces of this machine. Needs Linux, root and MPICH.

    python benchmarks/hosts.py RATE RANKS SCRIPT [ARGUMENT ...]
    python benchmarks/hosts.py 1gbit 2 benchmarks/peers.py --rows data_large

RATE is what ``tc`` understands (``1gbit``, ``100mbit``), in each direction; half of the RANKS run on each host. The
hosts share processors, memory and files; between them there are a pair of virtual network cards, and a token bucket in
each direction. No latency is added. MPICH talks over shared memory within a host, and over TCP between the two.

The script finds ``RANK``, ``WORLD_SIZE``, ``MASTER_ADDR``, ``MASTER_PORT`` and ``GLOO_SOCKET_IFNAME`` for
torch.distributed, and the rate in bytes per second as ``LINK_RATE``. The hosts are removed in the end, whatever happens
to the script.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ADDRESSES = ("10.91.0.1", "10.91.0.2")
"""Of the two hosts."""

CARD = "slow"
"""The name of the network card on either host."""

UNITS = {"kbit": 1e3, "mbit": 1e6, "gbit": 1e9}

RANK = 'export RANK=$PMI_RANK WORLD_SIZE=$PMI_SIZE; exec "$@"'
"""What each rank runs: MPICH's numbers are those of torch.distributed."""


def bytes_per_second(rate: str) -> float:
    """Return a rate in bytes per second.

    >>> bytes_per_second("1gbit")
    125000000.0
    """
    fits = re.fullmatch(r"(\d+)([kmg]bit)", rate)
    if fits is None:
        raise SystemExit(f"hosts: expected a rate such as 1gbit or 100mbit, found {rate!r}")
    return int(fits[1]) * UNITS[fits[2]] / 8


def call(*words: str) -> None:
    """Run a command; end where it fails."""
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"hosts: {' '.join(words)}: {done.stderr.strip() or done.returncode}")


def await_card(host: str) -> None:
    """Wait until a host's card is ready, which takes the kernel up to a second: UCX does not wait."""
    state = ["ip", "netns", "exec", host, "cat", f"/sys/class/net/{CARD}/operstate"]
    for _ in range(100):
        if subprocess.run(state, check=False, capture_output=True, text=True).stdout.strip() == "up":
            return
        time.sleep(0.05)
    raise SystemExit("hosts: the link did not come up")


@contextlib.contextmanager
def two_hosts(rate: str) -> Iterator[list[str]]:
    """Make two hosts; give their names; remove them."""
    names = [f"distdl-{os.getpid()}-{k}" for k in (1, 2)]
    burst = max(int(bytes_per_second(rate) / 1000), 16384)  # what passes at once: a millisecond's, or a large packet
    try:
        for name in names:
            call("ip", "netns", "add", name)
        call(*f"ip link add {CARD} netns {names[0]} type veth peer name {CARD} netns {names[1]}".split())
        for name, address in zip(names, ADDRESSES, strict=True):
            inside = ["ip", "netns", "exec", name]
            call(*inside, *f"ip address add {address}/24 dev {CARD}".split())
            call(*inside, *f"ip link set {CARD} up".split())
            call(*inside, "ip", "link", "set", "lo", "up")
            call(*inside, *f"tc qdisc add dev {CARD} root tbf rate {rate} burst {burst} limit 16mb".split())
        for name in names:
            await_card(name)
        yield names
    finally:
        for name in names:
            listed = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True, text=True)
            for pid in map(int, listed.stdout.split()):  # what still runs on a host
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def launcher(folder: str, names: list[str]) -> str:
    """Write what mpiexec calls in place of ssh, with options, an address and a command; return its path."""
    path = Path(folder) / "launch"
    cases = "\n".join(f"    {address}) host={name} ;;" for address, name in zip(ADDRESSES, names, strict=True))
    path.write_text(
        "#!/bin/bash\n"
        'while [[ "$1" == -* ]]; do shift; done\n'
        f'case "$1" in\n{cases}\n    *) echo "hosts: there is no host $1" >&2; exit 2 ;;\nesac\n'
        'shift; exec ip netns exec "$host" bash -c "$*"\n'
    )
    path.chmod(0o755)
    return str(path)


def main(rate: str, ranks: int, script: list[str]) -> int:
    """Run a script on both hosts; return its exit code."""
    if os.geteuid():
        raise SystemExit("hosts: network namespaces need root")
    if ranks < 2 or ranks % 2:
        raise SystemExit(f"hosts: expected an even number of ranks, found {ranks}")
    each = ranks // 2
    environment = {
        **os.environ,
        "LINK_RATE": str(bytes_per_second(rate)),
        "MASTER_ADDR": ADDRESSES[0],
        "MASTER_PORT": "29600",
        "GLOO_SOCKET_IFNAME": CARD,
        "UCX_TLS": "tcp,self",  # no shared memory between the hosts
        "UCX_NET_DEVICES": CARD,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    if each == 1:
        environment["MPIR_CVAR_NOLOCAL"] = "1"
    mpiexec = str(Path(sys.executable).parent / "mpiexec")
    with two_hosts(rate) as names, tempfile.TemporaryDirectory() as folder:
        hosts = ",".join(f"{address}:{each}" for address in ADDRESSES)
        words = [mpiexec, "-launcher", "ssh", "-launcher-exec", launcher(folder, names), "-hosts", hosts]
        words += ["-n", str(ranks), "bash", "-c", RANK, "rank", sys.executable, *script]
        return subprocess.run(["ip", "netns", "exec", names[0], *words], check=False, env=environment).returncode


if __name__ == "__main__":
    if len(sys.argv) < 4 or not sys.argv[2].isdigit():
        raise SystemExit(__doc__)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the hosts are removed
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
