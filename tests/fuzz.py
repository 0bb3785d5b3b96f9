"""Explore the properties with fresh examples for some minutes: ``make fuzz MINUTES=10``.

A round draws a seed and a few properties, and tries a hundred examples of each: on simulated ranks, or, every third
round, on 2 to 4 MPI ranks. What fails is printed with the command that runs it again; on simulated ranks, hypothesis
adds the smallest example, which then becomes an ``@example`` of the test. The exit status is 1 where anything failed.
"""

import os
import random
import re
import shlex
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from pathlib import Path

PROPERTIES = 12
"""How many properties a round tries."""

LIMIT = 1800
"""Seconds after which a round is taken to hang."""

NO_TESTS = 5
"""The exit status of pytest where all that was drawn is not meant for a job."""

PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q"]
MPIEXEC = str(Path(sysconfig.get_path("scripts")) / "mpiexec")


def properties() -> list[str]:
    """Return the names of the tests that hypothesis draws examples for."""
    command = [*PYTEST, "--collect-only", "-m", "hypothesis", "tests"]
    listing = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    tests = [line for line in listing.stdout.splitlines() if "::" in line]
    if listing.returncode != 0 or not tests:
        sys.exit(f"the tests cannot be collected:\n{listing.stdout}")
    return tests


def fuzz(minutes: float) -> int:
    """Try examples in rounds until the time is over; return in how many rounds something failed."""
    anywhere = properties()
    of_ranks = [test for test in anywhere if not test.startswith("tests/linop")]
    end = time.monotonic() + 60 * minutes
    count = failures = 0
    while time.monotonic() < end:
        seed = random.SystemRandom().randrange(2**32)
        generator = random.Random(seed)
        if count % 3 < 2:
            where, command, workers = "simulated", [*PYTEST, "--hypothesis-profile=fuzz"], ["--numprocesses=auto"]
        else:
            where, workers = f"{generator.choice([2, 3, 4])} MPI", list[str]()
            command = [MPIEXEC, "-n", where.split()[0], *PYTEST, "--hypothesis-profile=fuzz-job"]
        print(f"round {count}: seed {seed}, {where} ranks", flush=True)
        tests = generator.sample(of_ranks if "MPI" in where else anywhere, PROPERTIES)
        command.append(f"--hypothesis-seed={seed}")
        failed = failing([*command, *workers], tests)
        for test in failed:
            print(f"run it again: OMP_NUM_THREADS=1 {shlex.join([*command, test])}", flush=True)
        count, failures = count + 1, failures + bool(failed)
    print(f"{count} rounds; something failed in {failures} of them")
    return failures


def failing(command: Sequence[str], tests: Sequence[str]) -> Sequence[str]:
    """Run some tests; print what fails, and return the names: of all of them, where it is not known which."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MPIEXEC_TIMEOUT": str(LIMIT)}
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([*command, *tests], text=True, env=environment, **streams) as job:
        try:
            output, _ = job.communicate(timeout=LIMIT + 60)
        except subprocess.TimeoutExpired:
            job.kill()
            output = f"no end after {LIMIT + 60} s; {job.communicate()[0]}"
    if job.returncode in (0, NO_TESTS):
        return []
    print(output)
    return sorted(set(re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE))) or tests


if __name__ == "__main__":
    sys.exit(fuzz(float(sys.argv[1])) > 0)
