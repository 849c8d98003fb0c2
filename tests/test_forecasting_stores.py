"""Forecasts in stores, chosen models and the shell: as of downscaling, along time."""

import json
import warnings

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from kept_stores import slow_repeats

import flexclim
from flexclim import stores
from flexclim.cli import main
from flexclim.errors import FlexclimError, ModelError, StoreError
from flexclim.forecasting import forecast, forecast_to_zarr
from flexclim.models import catalogue
from flexclim.models.channels import Target

SPACING = 111.195  # km, of 1 degree


@pytest.fixture
def past():
    values = np.random.default_rng(0).normal(size=(3, 16, 16)).astype("float32")
    return xr.Dataset(
        {"u10": (("time", "lat", "lon"), values, {"units": "m s-1"})},
        {
            "time": pd.date_range("2018-12-31T06", periods=3, freq="6h"),
            "lat": np.arange(60.0, 44, -1),
            "lon": np.arange(5.0, 21),
        },
    )


@pytest.fixture(scope="module")
def wind(make_forecaster):
    """Return a model of two variables, which share their tasks."""
    targets = (Target(name="u10", vector=True), Target(name="v10", vector=True))
    return make_forecaster(targets, past=1, leads=(6.0,), steps=1)


@pytest.fixture(scope="module")
def model(make_forecaster):
    card = {"units": {"u10": "m s-1"}, "variables": ("u10",), "leads": (6.0,)}
    near = {"spacing_km": (SPACING, SPACING)}
    target = Target(name="u10", vector=True)
    return make_forecaster((target,), past=2, leads=(6.0,), card=card | near, steps=1)


@pytest.fixture
def options(model):
    return {"model": model, "members": 2, "batch": 2}


@pytest.mark.parametrize("lazy", [False, True])
@slow_repeats
def test_a_store_holds_what_forecast_returns(past, options, kept, lazy):
    given = past.chunk(time=1) if lazy else past
    stored = forecast_to_zarr(given, kept.store, 3, **options)
    ahead = forecast(past, 3, **options)
    np.testing.assert_array_equal(stored["u10"].values, ahead["u10"].values)
    for name in ("time", "lead_time", "forecast_reference_time", "realization"):
        xr.testing.assert_identical(stored[name].variable, ahead[name].variable)
    plan = json.loads(stored.attrs["flexclim_plan"])
    assert (plan["members"], plan["times"], plan["lead_hours"]) == (2, 3, 6.0)


@pytest.mark.slow
@slow_repeats
def test_a_stopped_run_goes_on(past, wind, kept, monkeypatch, sampled):
    """A group is written before the next one begins; members that are whole stay in a folder."""
    past, options = past.assign(v10=-past["u10"]), {"model": wind, "members": 3, "batch": 1}
    sample = flexclim.sampling.forecast_graph.sample

    def dies(prepared, plan, place, members):
        if len(sampled) == 19:
            raise KeyboardInterrupt
        return sample(prepared, plan, place, members)

    with monkeypatch.context() as patch, dask.config.set(scheduler="threads", num_workers=1):
        patch.setattr("flexclim.sampling.forecast_graph.sample", dies)
        with pytest.raises(KeyboardInterrupt):
            forecast_to_zarr(past, kept.store, 19, **options)
    assert {members for _, members in sampled} == {(0,)}
    found = stores.progress_of(kept.store)
    assert found.done == {"u10": 2, "v10": 2} if kept.in_folder else found is None
    sampled.clear()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The specified chunks separate")
        stored = forecast_to_zarr(past, kept.store, 19, **options)
    again = (1, 2) if kept.in_folder else (0, 1, 2)
    assert sorted(members for _, members in sampled) == [(m,) for m in again for _ in range(19)]
    ahead = forecast(past, 19, **options)
    for name in ("u10", "v10"):
        np.testing.assert_array_equal(stored[name].values, ahead[name].values)


@pytest.mark.slow
@slow_repeats
def test_more_members_and_leads_extend(past, options, kept, sampled):
    place = kept.store
    forecast_to_zarr(past, place, 2, **options)
    sampled.clear()
    stored = forecast_to_zarr(past, place, 2, **(options | {"members": 5}))
    assert {member for _, members in sampled for member in members} == {2, 3, 4}
    ahead = forecast(past, 3, **(options | {"members": 5}))
    np.testing.assert_allclose(stored["u10"], ahead["u10"][:, :2], atol=1e-5)
    held = stored["u10"].values
    stored = forecast_to_zarr(past, place, 3, **(options | {"members": 5}))
    np.testing.assert_array_equal(stored["u10"].values[:, :2], held)
    np.testing.assert_allclose(stored["u10"], ahead["u10"], atol=1e-5)
    assert stored.attrs["history"].count("forecast") >= 3
    sampled.clear()
    forecast_to_zarr(past, place, 3, **(options | {"members": 5}))
    assert sampled == []


@pytest.mark.slow
@slow_repeats
def test_another_request_is_refused_and_damage_mended(past, options, kept):
    place = kept.store
    stored = forecast_to_zarr(past, place, 2, **options)
    values = stored["u10"].values
    with pytest.raises(StoreError, match="begun with seed 0, not 1"):
        forecast_to_zarr(past, place, 2, **(options | {"seed": 1}))
    with pytest.raises(StoreError, match="begun with input"):
        forecast_to_zarr(past + 1, place, 2, **options)
    with pytest.raises(StoreError, match="begun with times 2, not 1"):
        forecast_to_zarr(past, place, 1, **options)
    with pytest.raises(FlexclimError, match="has no option 'noise'"):
        forecast_to_zarr(past, place, 2, noise="ar1", **options)
    # What came before the last times does not count.
    forecast_to_zarr(past.isel(time=slice(1, None)), place, 2, **options)
    shard = kept.key("u10/c/1/0/0/0")
    kept.change({shard: kept.read(shard)[:-9]})
    assert set(stores.check_store(place)) == {shard}
    again = forecast_to_zarr(past, place, 2, **options)
    assert stores.check_store(place) == {}
    np.testing.assert_array_equal(again["u10"].values, values)


@pytest.mark.slow
@slow_repeats
def test_a_lazy_forecast_is_downscaled_into_a_store(past, toy_model, options, kept, sampled):
    """To know it again, a resumed run looks at its first step only."""
    ahead = forecast(past.chunk(), 3, **options)
    fine = {"model": toy_model, "steps": 1, "batch": 4}
    stored = flexclim.downscale_to_zarr(ahead, kept.store, 2, **fine)
    assert stored.realization.values.tolist() == [0, 1]
    expected = ahead.compute().flex.downscale(2, **fine)
    np.testing.assert_array_equal(stored["u10"].values, expected["u10"].values)
    sampled.clear()
    flexclim.downscale_to_zarr(ahead, kept.store, 2, **fine)
    assert {step for step, _ in sampled} == {"01-01T00"}
    more = forecast(past.chunk(), 3, **(options | {"members": 4}))
    grown = flexclim.downscale_to_zarr(more, kept.store, 2, **fine)
    np.testing.assert_array_equal(grown["u10"].values[:2], stored["u10"].values[:2])
    assert grown.sizes["realization"] == 4


@pytest.fixture
def shipped(model, toy_model, make_forecaster, tmp_path, monkeypatch):
    """Ship a model of wind, and flex-nano."""
    folder = tmp_path / "models"
    model.replace(card={"name": "flex-ahead"}).save(folder / "flex-ahead")
    toy_model.replace(card={"name": "flex-nano"}).save(folder / "flex-nano")
    monkeypatch.setattr(catalogue, "BUNDLED", folder)


def test_a_model_is_chosen_by_fields_and_time_step(shipped, past):
    ahead = forecast(past.assign(msl=past["u10"]).chunk(), 1, members=1)
    assert next(iter(ahead.data_vars)) == "u10"
    assert "msl" not in ahead
    assert ahead.attrs["flexclim_model"] == "flex-ahead"
    choice = "flex-ahead: made for u10 at this time step and units"
    assert ahead.attrs["flexclim_model_choice"] == choice
    fine = flexclim.downscale(past, 2, members=1)
    assert fine.attrs["flexclim_model"] == "flex-nano"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda ds: ds.rename(u10="msl"), "forecasts msl. Available are flex-ahead"),
        (
            lambda ds: ds.assign(u10=ds["u10"].assign_attrs(units="Pa")),
            "forecasts u10; flex-ahead reads u10 in m s-1, not in Pa. Available are",
        ),
        (
            lambda ds: ds.isel(time=slice(None, None, 2)),
            "flex-ahead can't forecast these: the last 2 times are 12 h apart",
        ),
        (
            lambda ds: ds.assign_coords(lat=ds.lat.values / 4, lon=ds.lon.values / 4),
            "flex-ahead is for 111 to 111 km, not 27.8 km",
        ),
    ],
)
def test_fields_that_no_model_forecasts(shipped, past, change, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        forecast(change(past), 1)
    assert r"flex-ahead (u10 by 6 h)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_static_fields_that_nothing_takes_are_refused(shipped, past):
    with pytest.raises(ModelError, match="static was given, but no model that takes it"):
        forecast(past, 1, static=xr.Dataset())


def run(*arguments):
    """Run the command line in this process and return its exit code."""
    with pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    return stop.value.code or 0


@pytest.mark.slow
def test_the_shell_forecasts(past, model, tmp_path, capsys):
    past.to_netcdf(tmp_path / "past.nc")
    model.save(tmp_path / "toy")
    given = ("forecast", tmp_path / "past.nc")
    options = ("-m", tmp_path / "toy", "-n", 2)
    assert run(*given, tmp_path / "a.zarr", "--leads", "2", *options, "--batch", 2) == 0
    assert run(*given, tmp_path / "a.nc", "--leads", "12h,6h", *options, "--batch", 2) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as one, xr.open_zarr(tmp_path / "a.zarr") as other:
        np.testing.assert_array_equal(one["u10"], other["u10"])
    assert run("check", tmp_path / "a.zarr") == 0
    assert run("info", tmp_path / "a.zarr") == 0
    assert "made by toy, steps of 6.0 h, seed 0" in capsys.readouterr().out
    assert run(*given, tmp_path / "b.nc", "--leads", "0", *options) == 1
    assert capsys.readouterr().err.startswith("flexclim: leads=0 is not a number of steps")
    assert run(*given, tmp_path / "b.grib", "--leads", "1") == 2
