"""Orography and land-sea mask that downscale uses where the user gives none."""

import logging

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim import verify
from flexclim.cli.demos.sample import sample_file
from flexclim.downscaling import downscale
from flexclim.errors import FlexclimWarning, ModelError
from flexclim.forecasting import forecast
from flexclim.grids.discovery import find_grid
from flexclim.planning.bundled_statics import bundled_statics
from flexclim.resampling import coarsen


def field(spacing, name="t2m"):
    lat, lon = 50 - spacing * np.arange(8), 5 + spacing * np.arange(8)
    values = 280 + np.random.default_rng(0).normal(size=(1, 8, 8))
    coords = {"time": pd.date_range("2018-09-14", periods=1), "lat": lat, "lon": lon}
    array = xr.DataArray(values, coords, ("time", "lat", "lon"), name, {"units": "K"})
    return array.chunk()


def test_they_are_the_surface_of_the_earth():
    fields = bundled_statics(["orog", "lsm"], find_grid(field(1.0)), 111.0)
    assert fields.sizes == {"latitude": 181, "longitude": 360}
    places = {"Tibet": (33, 88), "Pacific": (0, 200), "Sahara": (23, 10)}
    heights = {k: float(fields.orog.sel(latitude=a, longitude=b)) for k, (a, b) in places.items()}
    assert 4500 < heights["Tibet"] < 5500
    assert abs(heights["Pacific"]) < 10
    assert float(fields.lsm.sel(latitude=23, longitude=10)) == 1
    # 29 % of the Earth is land.
    weights = np.cos(np.deg2rad(fields.latitude))
    assert float(fields.lsm.weighted(weights).mean()) == pytest.approx(0.29, abs=0.01)


@pytest.mark.parametrize(
    ("names", "spacing_km", "found"),
    [
        (["orog"], 111.0, True),
        (["orog", "lsm"], 75.0, True),
        (["orog"], 70.0, False),
        (["orog"], np.nan, False),
        (["orog", "roughness"], 111.0, False),
    ],
)
def test_they_serve_coarse_grids_and_known_names_alone(names, spacing_km, found):
    assert (bundled_statics(names, find_grid(field(1.0)), spacing_km) is not None) == found


def test_they_serve_no_grid_of_unknown_place():
    grid = find_grid(field(1.0).rename(lat="y", lon="x"))
    assert bundled_statics(["orog"], grid, 111.0) is None


def test_downscale_chooses_the_model_that_reads_them(caplog):
    with caplog.at_level(logging.INFO, logger="flexclim"):
        fine = downscale(field(4.0), 4, members=1)
    assert fine.attrs["flexclim_model"] == "flex-t2m"
    assert fine.attrs["flexclim_model_choice"].endswith(
        "with the bundled orography and land-sea mask (ERA5, 1 degree)"
    )
    assert any(line.startswith("t2m: flex-t2m, made for t2m") for line in caplog.messages)
    with caplog.at_level(logging.INFO, logger="flexclim"):
        fine = downscale(field(1.0), 4, members=1)
    assert fine.attrs["flexclim_model"] == "flex-nano"
    assert "flex-t2m needs static orog, lsm" in caplog.messages[-1]


def test_a_named_model_at_a_finer_grid_still_asks_for_them():
    with pytest.raises(ModelError, match=r"needs static fields \(orog, lsm\)"):
        downscale(field(1.0), 4, model="flex-t2m")


def test_a_forecast_reads_them():
    times = pd.date_range("2018-09-14", periods=3, freq="6h")
    lat, lon = np.arange(30.0, -34, -1), np.arange(0.0, 64)
    wind = xr.DataArray(
        np.zeros((3, 64, 64)), {"time": times, "lat": lat, "lon": lon}, ("time", "lat", "lon")
    ).assign_attrs(units="m s-1")
    past = xr.Dataset({"u10": wind, "v10": wind}).chunk()
    ahead = forecast(past, leads=1, members=1)
    assert ahead.attrs["flexclim_model"] == "flex-forecast"
    assert ahead.attrs["flexclim_static"] == "orog lsm latitude solar_time"


@pytest.mark.slow
def test_they_sharpen_the_sample():
    truth = xr.load_dataset(sample_file())[["t2m"]].isel(time=[0])
    coarse = coarsen(truth, 4)
    best = verify.crps(downscale(coarse, 4, members=4)["t2m"], truth["t2m"])
    plain = verify.crps(downscale(coarse, 4, model="flex-nano", members=4)["t2m"], truth["t2m"])
    assert float(best) < 0.85 * float(plain)


def test_each_model_takes_its_own_number_of_steps(recwarn):
    """A warning compares the steps of each model, not of the first, with those of its training."""
    coarse = coarsen(xr.open_dataset(sample_file()), 4)
    lazy = downscale(coarse.isel(time=[0]).chunk(), 4, members=2)
    found = {name: field.attrs["flexclim_steps"] for name, field in lazy.data_vars.items()}
    assert found == {"u10": 1, "v10": 1, "t2m": 2}
    assert not [one for one in recwarn if "were trained for" in str(one.message)]
    with pytest.warns(FlexclimWarning, match="'flex-t2m' .* steps=2, and with steps=1"):
        downscale(coarse[["t2m"]].chunk(), 4, members=2, steps=1)
