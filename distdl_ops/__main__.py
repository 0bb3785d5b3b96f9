"""``python -m distdl_ops``: what there is on this machine; ``python -m distdl_ops selftest``: a test of this job."""

from __future__ import annotations

import argparse
import sys

from distdl_ops.selftest import selftest
from distdl_ops.worlds.doctor import findings
from distdl_ops.worlds.launchers import started_by
from distdl_ops.worlds.start import checked_timeout, world


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m distdl_ops", description="Look at this machine, or test this job.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("doctor", help="versions, MPI library, launcher, world, devices (the default)")
    test = commands.add_parser("selftest", help="test the job of which this process is part")
    test.add_argument("--timeout", type=float, help="seconds to wait for another rank")
    options = parser.parse_args(arguments)
    if options.command == "selftest":
        return _selftest(options.timeout)
    start = started_by()
    if start is None or "=0" in start.variables.split(",")[0]:  # once in a job
        for name, found in findings():
            print(f"{name:<20} {found}")
    return 0


def _selftest(timeout: float | None) -> int:
    """Test the job; only rank 0 reports."""
    ranks = world(timeout=None if timeout is None else checked_timeout("--timeout", timeout))
    for name, found in selftest(ranks):
        if ranks.rank == 0:
            print(f"right  {name:<14} {found}", flush=True)
    if ranks.rank == 0:
        print(f"all right, on {ranks.size} rank{'s' if ranks.size > 1 else ''}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
