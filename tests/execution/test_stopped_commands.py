"""A command that is stopped ends its worker processes, and its store is continued."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import xarray as xr

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)]
)
def test_worker_processes_end_with_a_stopped_command(tmp_path, toy_model, number):
    values = np.random.default_rng(0).normal(size=(400, 16, 16))
    coords = {"lat": 60.0 - np.arange(16), "lon": 5.0 + np.arange(16)}
    coords["time"] = np.arange("2020-01-01", "2021-02-04", dtype="M8[D]").astype("M8[ns]")
    field = xr.Dataset({"u10": (("time", "lat", "lon"), values, {"units": "m s-1"})}, coords)
    field.to_netcdf(tmp_path / "coarse.nc")
    toy_model.save(tmp_path / "toy")
    options = ["-f", "4", "-n", "8", "--steps", "2", "-m", "toy", "--workers", "2"]
    command = [sys.executable, "-m", "flexclim", "downscale", "coarse.nc", "fine.zarr", *options]
    with (tmp_path / "err.txt").open("w") as err:
        run = subprocess.Popen(
            command, cwd=tmp_path, stderr=err, start_new_session=True, env=os.environ
        )
    deadline = time.monotonic() + 250
    while not list(tmp_path.glob("fine.zarr/u10/c/*/*")) and time.monotonic() < deadline:
        assert run.poll() is None, (tmp_path / "err.txt").read_text()
        time.sleep(0.1)
    workers = psutil.Process(run.pid).children(recursive=True)
    assert len(workers) >= 2
    if number == signal.SIGINT:  # of a terminal: all processes get it
        os.killpg(run.pid, number)
    else:
        run.send_signal(number)
    assert run.wait(60) == CODES[number]
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
    said = (tmp_path / "err.txt").read_text()
    assert "Traceback" not in said
    assert f"flexclim: stopped by {number.name}" in said
