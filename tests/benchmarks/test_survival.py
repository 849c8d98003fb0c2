"""A driver that is killed at random moments; ``python -m benchmarks.survival`` is the long form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_five_kills_change_no_byte():
    command = [sys.executable, "-m", "benchmarks.survival", "--kills", "5", "--faults", "6"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 kills, " in done.stdout
    assert "finished: 0 differing bytes" in done.stdout
    assert (
        "6 faults, 6 found; 0 intact files rewritten; the repaired store is identical"
        in done.stdout
    )
