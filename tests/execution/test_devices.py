"""The device that samples: chosen here or on a cluster's workers, with its free memory."""

import os
import subprocess
import sys

import psutil
import pytest
from coarse_fields import region
from late_cluster import Cluster

from flexclim.errors import FlexclimError
from flexclim.execution import devices, workers
from flexclim.execution.devices import device_here, free_memory


@pytest.mark.parametrize("device", ["nope", "mps", "cuda:x", "cuda:999"])
def test_a_device_that_is_not_there_is_reported_in_one_line(device):
    with pytest.raises(FlexclimError, match=f"device='{device}' is not") as error:
        device_here(device)
    assert "\n" not in str(error.value)


def test_the_device_is_that_of_workers_also_if_they_come_later(monkeypatch):
    monkeypatch.setattr(workers, "CHECK_EVERY", 0.01)
    for resources, expected in (
        ({"plain": {}, "other": {}}, ("cpu", 300)),
        ({"plain": {}, "gpu": {"GPU": 1}}, ("cuda", 600)),
    ):
        cluster = Cluster(**resources)
        monkeypatch.setattr(devices, "active_client", lambda cluster=cluster: cluster)
        assert devices.choose_device(None) == expected
        assert cluster.work == 1


def test_the_limit_of_a_job_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "CGROUP", tmp_path)
    free = free_memory("cpu")
    assert 0.5 < free / psutil.virtual_memory().available < 2
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert free_memory("cpu") == 2000000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory("cpu") > 2000000


@pytest.mark.slow
def test_where_nothing_compiles_it_is_said_before_a_store_is_begun(toy_model, tmp_path):
    toy_model.save(tmp_path / "model")
    region(1, 14, 14).to_netcdf(tmp_path / "coarse.nc")
    lacking = {"CXX": "no-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    asked = "downscale coarse.nc fine.zarr --factor 4 --model model --device cpu --compile"
    done = subprocess.run(
        [sys.executable, "-m", "flexclim", *asked.split()],
        cwd=tmp_path, env=os.environ | lacking, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert "compile=True needs a C++ compiler" in done.stderr
    assert "no-compiler" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "fine.zarr").exists()
