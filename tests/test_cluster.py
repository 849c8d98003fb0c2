"""Downscaling on worker processes: the same numbers, the model loaded once in each."""

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim import cluster
from flexclim.cluster import connected
from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimError, ModelError

distributed = pytest.importorskip("distributed")


def field(times=6):
    return xr.DataArray(
        np.random.default_rng(1).normal(size=(times, 8, 8)).astype("float32"),
        coords={
            "time": pd.date_range("2018-09-14", periods=times, freq="6h"),
            "lat": np.arange(50.0, 42, -1),
            "lon": np.arange(5.0, 13),
        },
        dims=("time", "lat", "lon"),
        name="t",
    )


def loaded():
    import torch

    from flexclim.checkpoint import _LOADED

    return len(_LOADED), torch.get_num_threads()


@pytest.fixture
def options(toy_model, tmp_path):
    toy_model.replace().save(tmp_path / "toy")
    return {"factor": 4, "model": str(tmp_path / "toy"), "members": 2, "batch": 2}


@pytest.mark.slow
def test_workers_that_are_killed_cost_no_bit(options, tmp_path):
    """Chaos kills each worker at random moments; nannies start it anew."""
    from distributed.chaos import KillWorker

    whole = downscale_to_zarr(field(), tmp_path / "a.zarr", **options)
    with connected(workers=2):
        client = distributed.get_client()
        client.register_plugin(KillWorker(delay="8 s", mode="segfault"))
        stored = downscale_to_zarr(field(), tmp_path / "b.zarr", **options)
    np.testing.assert_array_equal(stored["t"].values, whole["t"].values)


def test_worker_processes_write_the_same_numbers(options, tmp_path):
    whole = downscale(field(2), **options)
    with connected(workers=1):
        client = distributed.get_client()
        stored = downscale_to_zarr(field(2), tmp_path / "b.zarr", **options)
        (found,) = client.run(loaded).values()
    assert found == (1, cluster._cores())
    np.testing.assert_array_equal(stored["t"].values, whole.values)


def test_a_model_that_was_not_saved_can_not_travel(toy_model, monkeypatch):
    monkeypatch.setattr(cluster, "active_client", lambda: object())
    monkeypatch.setattr(cluster, "_in_other_processes", lambda client: True)
    with pytest.raises(ModelError, match="save it first"):
        cluster.equip([toy_model.replace(steps=1).reference], "cpu")


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
