"""Downscaling on worker processes: the same numbers, the model loaded once in each."""

import threading
import time
from contextlib import suppress

import dask
import numpy as np
import psutil
import pytest
from coarse_fields import region

from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimError, ModelError
from flexclim.execution import cluster
from flexclim.execution.cluster import connected

distributed = pytest.importorskip("distributed")


def kill_workers(store, kills, killed):
    """Kill a worker process whenever another shard is there, and append it to ``killed``."""
    for count in range(kills):
        while len([path for path in store.glob("t/c/**/*") if path.is_file()]) <= count:
            time.sleep(0.01)
        workers = living_workers()
        while not workers:
            time.sleep(0.01)
            workers = living_workers()
        workers[count % len(workers)].kill()
        killed.append(workers[count % len(workers)].pid)


def living_workers():
    """Return the worker processes that were not killed."""
    workers = []
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # a zombie, too
            if "spawn_main" in " ".join(child.cmdline()):
                workers.append(child)
    return workers


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_that_are_killed_cost_no_bit(options, tmp_path):
    options["members"] = 12  # one shard each
    whole = downscale_to_zarr(region(16), tmp_path / "a.zarr", **options)
    killed = []
    with connected(workers=2):
        killer = threading.Thread(target=kill_workers, args=(tmp_path / "b.zarr", 2, killed))
        killer.start()
        stored = downscale_to_zarr(region(16), tmp_path / "b.zarr", **options)
        assert len(killed) == 2
    np.testing.assert_array_equal(stored["t"].values, whole["t"].values)


def test_a_cluster_writes_the_same_numbers(options, tmp_path):
    whole = downscale(region(2), **options)
    with distributed.Client(n_workers=1, processes=False, dashboard_address=":0"):
        stored = downscale_to_zarr(region(2), tmp_path / "b.zarr", **options)
    np.testing.assert_array_equal(stored["t"].values, whole.values)


def test_a_model_that_was_not_saved_can_not_travel(toy_model, monkeypatch):
    monkeypatch.setattr(cluster, "active_client", lambda: object())
    monkeypatch.setattr(cluster, "_in_other_processes", lambda client: True)
    with pytest.raises(ModelError, match="save it first"):
        cluster.equip([(toy_model.replace(steps=1).reference, "float32")], "cpu", {})


def test_no_scheduler_is_one_line():
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(FlexclimError, match="no dask scheduler answers at tcp"),
        connected(scheduler="tcp://127.0.0.1:9"),
    ):
        pass


def test_a_scheduler_and_workers_exclude_each_other():
    with pytest.raises(FlexclimError, match="either"), connected("tcp://127.0.0.1:9", 2):
        pass


def test_without_options_nothing_changes():
    with connected():
        assert cluster.active_client() is None
