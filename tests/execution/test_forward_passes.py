"""Where network passes run: on one thread each, several at once; torch keeps its own elsewhere."""

import os
import subprocess
import sys
import threading

import pytest
import torch

from flexclim.execution.forward_passes import run_passes


def test_passes_run_at_once_on_one_thread_each_and_come_back_in_order():
    count = torch.get_num_threads()
    met = threading.Barrier(count)

    def one(number):
        met.wait(20)  # passes only if as many run at once
        return number, torch.get_num_threads()

    assert list(run_passes([lambda n=n: one(n) for n in range(count)], "cpu")) == [
        (n, 1) for n in range(count)
    ]


@pytest.mark.slow
def test_torch_keeps_its_threads_elsewhere():
    script = """
import threading, torch
torch.set_num_threads(3)
from flexclim.execution.forward_passes import run_passes
assert list(run_passes([torch.get_num_threads] * 6, "cpu")) == [1] * 6
seen = [torch.get_num_threads()]
other = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
other.start(); other.join()
assert seen == [3, 3], seen
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_first_failure_is_raised_and_the_rest_never_runs():
    done = []

    def fail():
        raise ValueError("broken")

    wait = [lambda: done.append(threading.Event().wait(0.05))] * 100
    with pytest.raises(ValueError, match="broken"):
        list(run_passes([fail, *wait], "cpu"))
    assert list(run_passes([lambda: 7], "cpu")) == [7]  # after those that had begun
    assert len(done) < 50


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_has_threads_of_its_own():
    script = """
import os
from flexclim.execution.forward_passes import run_passes
assert list(run_passes([int], "cpu")) == [0]
if child := os.fork():
    raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
os._exit(0 if list(run_passes([int], "cpu")) == [0] else 1)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=True, timeout=60)


@pytest.mark.slow
def test_numbers_do_not_depend_on_the_number_of_threads(tmp_path):
    script = """
import sys, numpy as np, torch
torch.set_num_threads(int(sys.argv[1]))
import flexclim, xarray as xr
values = np.random.default_rng(0).normal(280, 5, (40, 40)).astype("float32")
axis = 4000.0 * np.arange(40)
field = xr.DataArray(values, {"y": -axis, "x": axis}, ["y", "x"], "t2m", {"units": "K"})
for name in "yx":
    field[name].attrs["standard_name"] = f"projection_{name}_coordinate"
made = flexclim.downscale(field, 4, model="flex-nano", members=1, steps=1)
np.save(sys.argv[2], made.values)
"""
    paths = [tmp_path / f"{threads}.npy" for threads in (1, 2)]
    for threads, path in enumerate(paths, 1):
        subprocess.run([sys.executable, "-c", script, str(threads), str(path)], check=True)
    assert paths[0].read_bytes() == paths[1].read_bytes()
