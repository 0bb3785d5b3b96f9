"""The table of torch.distributed's gradients: what is known to be wrong is found, and what is right is not."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.serial

SCRIPT = Path(__file__).parents[2] / "examples" / "known_wrong_gradients.py"


def test_table() -> None:
    """Two processes of gloo give the verdicts and ratios that the definitions of the collectives give."""
    run = [sys.executable, str(SCRIPT)]
    printed = subprocess.run(run, capture_output=True, check=True, text=True, timeout=240).stdout
    lines = [
        re.match(r"(\S.*?) {2,}(own|one) +(own|one) +(right|WRONG|error) *(.*)", line) for line in printed.splitlines()
    ]
    found = {(line[1], line[2], line[3]): (line[4], line[5]) for line in lines if line}
    twice = ("WRONG", "2 times, on rank 0, 1")
    assert found["nn.functional.reduce_scatter(AVG)", "own", "own"] == twice
    assert found["nn.functional.all_reduce(SUM)", "own", "one"] == twice
    assert found["nn.functional.all_gather", "own", "one"] == twice
    assert found["nn.functional.broadcast", "own", "one"] == ("WRONG", "2 times, on rank 0")
    for wrong in ("dist.all_reduce, in place", "dist.broadcast, in place", "nn.functional.all_reduce(MAX)"):
        assert found[wrong, "own", "own"][0] == "WRONG"
    assert found["DTensor.to_local of Replicate", "one", "own"][0] == "WRONG"
    # What torch's functional broadcast gives has changed between versions; it was never right.
    assert found["functional.broadcast", "own", "own"][0] in ("WRONG", "error")
    right = {name for name, (verdict, _) in found.items() if verdict == "right"}
    assert {
        ("nn.functional.all_reduce(SUM)", "own", "own"),
        ("nn.functional.broadcast", "own", "own"),
        ("nn.functional.all_gather", "own", "own"),
        ("nn.functional.reduce_scatter(SUM)", "own", "own"),
        ("DTensor.to_local of Replicate, as Partial", "one", "own"),
        ("torch_bridge: AllSumReduce", "own", "own"),
        ("torch_bridge: AllReduce", "own", "one"),
        ("torch_bridge: Copy", "one", "own"),
    } <= right
    values = dict(re.findall(r"^(\S.* split) +(right|WRONG|error)", printed, re.MULTILINE))
    assert values["torch_bridge: conv2d, rows split"] == values["torch_bridge: conv2d, columns split"] == "right"
    assert {values["DTensor: conv2d, rows split"], values["DTensor: conv2d, columns split"]} <= {"WRONG", "error"}
