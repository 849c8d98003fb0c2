import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from flexclim.nn.allocation import keep_memory
if sys.argv[1] == "kept":
    assert keep_memory()
for turn in range(12):
    if turn == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    (torch.ones(64, 1024, 1024) + 1).sum()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_memory_is_not_mapped_again():
    kept, returned = (
        int(subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True).stdout)
        for how in ("kept", "returned")
    )
    assert kept < returned / 4
