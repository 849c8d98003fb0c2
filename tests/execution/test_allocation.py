import subprocess
import sys

import pytest

from flexclim.execution import allocation

FAULTS = """
import resource, torch
from flexclim.execution.allocation import keep_memory
def faults():
    for turn in range(10):
        if turn == 5:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        (torch.ones(16, 1024, 1024) + 1).sum()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
faults()
assert keep_memory()
faults()
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_memory_is_not_mapped_again():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, check=True)
    returned, kept = map(int, done.stdout.split())
    assert kept < returned / 4


KEPT = """
import gc, psutil, torch
from flexclim.execution.allocation import keep_memory, return_memory
def resident():
    return psutil.Process().memory_info().rss / 2**20
assert keep_memory()
before = resident()
large = [torch.ones(2**20) for _ in range(64)]
del large
gc.collect()
print(resident() - before)
return_memory()
print(resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_kept_memory_can_be_returned():
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, check=True)
    kept, left = map(float, done.stdout.split())
    assert kept > 200
    assert left < 50


SHARED = """
import threading
import numpy as np, psutil
from flexclim.execution.allocation import keep_memory
assert keep_memory()
resident = lambda: psutil.Process().memory_info().rss / 2**20
over = threading.Event()
def work(done):
    large = [np.ones(2**17) for _ in range(64)]
    del large
    done.set()
    over.wait()
before = resident()
for turn in range(6):
    done = threading.Event()
    threading.Thread(target=work, args=[done]).start()
    done.wait()
print(resident() - before)
over.set()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_threads_use_what_others_have_freed():
    done = subprocess.run([sys.executable, "-c", SHARED], capture_output=True, check=True)
    assert 50 < float(done.stdout) < 150  # 64 MB, not 6 times as much


@pytest.mark.parametrize(("value", "kept"), [(None, False), ("0", False), ("1", True)])
def test_only_the_environment_asks_for_it_in_other_programs(monkeypatch, value, kept):
    calls = []
    monkeypatch.setattr(allocation, "keep_memory", lambda: calls.append(1))
    monkeypatch.delenv(allocation.KEEP_MEMORY, raising=False)
    if value is not None:
        monkeypatch.setenv(allocation.KEEP_MEMORY, value)
    allocation.keep_memory_if_requested()
    assert bool(calls) == kept
