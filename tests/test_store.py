"""Downscaling into a store: the same numbers, resumable, never over somebody's data."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import StoreError


@pytest.fixture
def region():
    random = np.random.default_rng(1)
    return xr.DataArray(
        random.normal(size=(3, 6, 9)).astype("float32"),
        coords={
            "time": pd.date_range("2018-09-14", periods=3, freq="6h"),
            "lat": np.arange(50.0, 44, -1),
            "lon": np.arange(5.0, 14),
        },
        dims=("time", "lat", "lon"),
        name="t",
    )


@pytest.mark.parametrize("lazy", [False, True])
def test_a_store_holds_what_downscale_returns(region, toy_model, tmp_path, lazy):
    given = region.chunk(time=2) if lazy else region
    stored = downscale_to_zarr(given, tmp_path / "a.zarr", 4, model=toy_model, members=3)
    fine = downscale(region, 4, model=toy_model, members=3)
    np.testing.assert_array_equal(stored["t"].values, fine.values)
    assert stored["t"].dims == fine.dims
    assert stored.attrs["flexclim_model_sha256"] == toy_model.sha256


def test_a_stopped_run_goes_on(region, toy_model, tmp_path, monkeypatch):
    sample, calls = flexclim.members.sample_members, []

    def dies(prepared, plan, place, members):
        calls.append(place.time)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return sample(prepared, plan, place, members)

    options = {"model": toy_model, "members": 2, "batch": 8}
    with monkeypatch.context() as patch:
        patch.setattr("flexclim.members.sample_members", dies)
        with pytest.raises(KeyboardInterrupt):
            downscale_to_zarr(region, tmp_path / "a.zarr", 4, **options)
    calls.clear()
    with monkeypatch.context() as patch:
        patch.setattr(
            "flexclim.members.sample_members", lambda *a: (calls.append(a[2].time), sample(*a))[1]
        )
        stored = downscale_to_zarr(region, tmp_path / "a.zarr", 4, **options)
    assert 0 < len(calls) <= 3
    np.testing.assert_array_equal(stored["t"].values, downscale(region, 4, **options).values)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": 1}, "seed"),
        ({"members": 1}, "members 2, not 1"),
        ({"steps": 1}, "steps"),
        ({"conserve": False}, "conserve"),
        ({"factor": 2}, "factor"),
    ],
)
def test_another_request_is_refused(region, toy_model, tmp_path, change, named):
    options = {"factor": 4, "model": toy_model, "members": 2}
    downscale_to_zarr(region, tmp_path / "a.zarr", **options)
    with pytest.raises(StoreError, match=named):
        downscale_to_zarr(region, tmp_path / "a.zarr", **(options | change))
    with pytest.raises(StoreError, match="input"):
        downscale_to_zarr(region + 1, tmp_path / "a.zarr", **options)
