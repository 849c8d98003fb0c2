"""Forecasts: the same promises as of downscaling, along time."""

import json

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from past_fields import NAMES, STATICS, TARGETS, UNITS, fields

import flexclim
from flexclim.errors import FlexclimError, FlexclimWarning
from flexclim.forecasting import forecast
from flexclim.grids.operators import ALL
from flexclim.models.channels import Label, Target
from flexclim.nn.keyed_noise import NoiseKey, standard_normal
from flexclim.nn.sampler import sample, time_grid
from flexclim.sampling.labels import label_values
from flexclim.sampling.network_inputs import forecast_inputs, physical
from flexclim.sampling.statics import static_channels, static_fields
from flexclim.stores.datasets import write_netcdf_files


@pytest.fixture
def globe():
    """Return three times on a global grid of cells."""
    return fields(np.linspace(82.5, -82.5, 12), np.arange(0.0, 360, 15))


@pytest.fixture
def region():
    """Return three times of a field as large as a tile."""
    return fields(np.arange(60.0, 44, -1), np.arange(5.0, 21))


@pytest.fixture(scope="module")
def model(make_forecaster):
    """Return a model of wind and rain that knows place, season and hour."""
    label = (Label(name="lead"), Label(name="day_of_year"))
    return make_forecaster(TARGETS, statics=STATICS, label=label, card={"units": UNITS})


@pytest.fixture(scope="module")
def plain(make_forecaster):
    """Return a model of one variable that reads one time."""
    return make_forecaster((Target(name="t", std=1.0),), past=1, leads=(6.0,))


@pytest.fixture
def run(model):
    def run(past, leads=2, **options):
        return forecast(past, leads, **({"model": model, "members": 2, "batch": 8} | options))

    return run


def close(found, expected):
    for name in NAMES:
        tolerance = 2e-5 * float(expected[name].std())
        np.testing.assert_allclose(
            found[name].values, expected[name].values, atol=tolerance, err_msg=name
        )


def same(found, expected):
    for name in NAMES:
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=name)


@torch.inference_mode()
def test_each_member_goes_on_from_its_own_states(run, region, model):
    """By hand, on one tile: K snapshots, keyed noise, what is told, and back into the past."""
    ahead = run(region, 3, grid="cell")
    settings, network, diffusion = model.settings, model.network, model.diffusion
    known = static_fields({}, flexclim.find_grid(region, "cell"), STATICS)
    values = np.stack([region[name].values.astype(float) for name in NAMES], 1)
    for member in (0, 1):
        history = [values[1], values[2]]
        for step in (1, 2, 3):
            before, valid = (
                region.time.values[-1].astype("M8[us]") + np.timedelta64(6 * n, "h")
                for n in (step - 1, step)
            )
            statics = static_channels(known, STATICS, (16, 16), before)
            scaled = forecast_inputs(np.stack(history[-2:]), 6.0, settings, statics)(ALL)
            label = torch.from_numpy(label_values(settings.labels, lead=6.0, when=before))[None]
            features = network.encode("forecast", torch.from_numpy(scaled.inputs)[None], label)

            def estimate(state, time, features=features, label=label):
                t = torch.full((1,), time)
                return diffusion.clean(network(state, t, features, label), state, t)

            place = f"{valid}.000000 from 2018-12-31T18:00:00.000000"
            place = place.replace(":00.000000.000000", ":00.000000")
            noise = [
                standard_normal((16, 16), NoiseKey(seed=0, variable=name, place=place), member)
                for name in NAMES
            ]
            state = torch.from_numpy(np.stack(noise))[None]
            residual = sample(estimate, state, diffusion, time_grid(2), "euler").numpy()[0]
            made = physical(scaled, residual, settings.targets)
            made[2] = np.maximum(made[2], 0)
            history.append(made)
            for index, name in enumerate(NAMES):
                found = ahead[name].isel(realization=member, time=step - 1).values
                np.testing.assert_allclose(found, made[index], atol=2e-5, err_msg=f"{name} {step}")


def test_times_names_and_how_it_was_made(run, globe, model):
    ahead = run(globe, pd.to_timedelta(["12h", "6h"]))
    for name in NAMES:
        assert ahead[name].dims == ("realization", "time", "lat", "lon")
        assert ahead[name].shape == (2, 2, 12, 24)
        assert ahead[name].dtype == np.float32
        assert ahead[name].attrs["units"] == UNITS[name]
        assert float(ahead[name].std("realization").mean()) > 0
    expected = pd.DatetimeIndex(["2019-01-01T00", "2019-01-01T06"])
    assert (ahead.indexes["time"] == expected).all()
    assert ahead.forecast_reference_time.values == np.datetime64("2018-12-31T18")
    assert ahead.lead_time.values.tolist() == [6, 12]
    assert ahead.attrs["flexclim_model_sha256"] == model.sha256
    assert (ahead.attrs["flexclim_lead_hours"], ahead.attrs["flexclim_past"]) == (6.0, 2)
    assert "forecast 2 steps of 6 h with toy" in ahead.attrs["history"]
    only = run(globe, 1, variables=["tp"])
    assert "u10" not in only
    same(only.assign(ahead[["u10", "v10"]]), ahead.isel(time=[0]).assign(ahead[["u10", "v10"]]))


def test_an_array_and_float64(plain, region):
    field = region["u10"].rename("t").astype("float64")
    ahead = forecast(field, 2, model=plain, members=1, batch=4)
    assert ahead.dtype == np.float64
    assert ahead.attrs["flexclim_model"] == "toy"
    float32 = forecast(field.astype("float32"), 2, model=plain, members=1, batch=4)
    assert float32.dtype == np.float32
    np.testing.assert_array_equal(ahead.values.astype("f4"), float32.values)
    # One time is enough for a model of one lead that reads one time.
    for last in (field.isel(time=[-1]), field.isel(time=-1)):
        alone = forecast(last, 2, model=plain, members=1, batch=4)
        np.testing.assert_array_equal(alone.values, ahead.values)


@pytest.mark.slow
def test_chunks_batches_members_and_leads_change_no_value(run, globe):
    whole = run(globe, 3, members=3)
    lazy = run(globe.chunk(time=1, lat=5, lon=7), 3, members=3)
    assert isinstance(lazy["u10"].data, da.Array)
    same(lazy.compute(), whole)
    close(run(globe, 3, members=3, batch=3), whole)
    same(run(globe, ["18h"], members=3), whole.isel(time=[2]))
    close(run(globe, 2, members=1), whole.isel(realization=[0], time=slice(2)))


def test_rolling_and_flipping_the_globe_do_so_to_the_forecast(run, globe):
    ahead = run(globe)
    turned = globe.roll(lon=7, roll_coords=True).isel(lat=slice(None, None, -1))
    turned = turned.assign_coords(lon=(turned.lon + 180) % 360 - 180).sortby("lon")
    found = run(turned)
    assert (float(found.lon[0]), float(found.lat[0])) == (-180, -82.5)
    found = found.assign_coords(lon=found.lon % 360).sortby("lon").sortby("lat", ascending=False)
    close(found, ahead)


def test_only_the_last_times_are_read(run, globe):
    def explode(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] == 0:
            raise RuntimeError("read")
        return block

    old = globe.map(
        lambda f: f.copy(data=da.from_array(f.values, chunks=(1, -1, -1)).map_blocks(explode))
    )
    same(run(old, 1).compute(), run(globe, 1))
    with pytest.raises(RuntimeError, match="read"):
        run(old.isel(time=slice(2)), 1).compute(scheduler="synchronous")


def test_missing_cells_stay_missing_and_rain_is_never_negative(run, region):
    hole = (region.lat > 55) & (region.lon < 9)
    holes = region.assign(u10=region["u10"].where(~hole | (region.time < region.time[-1])))
    ahead = run(holes, 2, grid="cell")
    expected = np.broadcast_to(hole.values, ahead["u10"].shape)
    np.testing.assert_array_equal(np.isnan(ahead["u10"].values), expected)
    assert np.isfinite(ahead["v10"]).all()
    assert float(ahead["tp"].min()) == 0
    assert float(run(region, 2, grid="cell", non_negative=False)["tp"].min()) < 0
    gone = run(region * np.nan, 1)
    assert all(np.isnan(gone[name]).all() for name in NAMES)


def test_rain_keeps_its_bound_unless_the_past_does_not(run, region):
    """Past times decide together, for all steps: also where only the first of them is negative."""
    kept = run(region, 3, grid="cell")
    assert float(kept["tp"].min()) == 0
    rule = "at least 0, except in fields whose input falls below"
    assert kept["tp"].attrs["flexclim_bounds"] == rule
    assert "flexclim_bounds" not in kept["u10"].attrs
    signed = region.copy(deep=True)
    signed["tp"][-2, 3, 3] = -1
    with pytest.warns(FlexclimWarning, match="'tp' falls to -1 "):
        assert float(run(signed, 3, grid="cell")["tp"].min()) < 0


def test_declared_missing_values_of_the_past(run, region):
    hole = (region.lat > 55) & (region.lon < 9)
    holes = region.assign(u10=region["u10"].where(~hole))
    coded = holes.assign(u10=holes["u10"].fillna(-9999).assign_attrs(missing_value=-9999.0))
    same(run(coded, 2), run(holes, 2))


def test_directions_are_not_forecast(plain, region):
    field = region["u10"].rename("t").assign_attrs(standard_name="wind_from_direction", units="deg")
    with pytest.raises(FlexclimError, match="'t' is a direction"):
        forecast(field, 1, model=plain, members=1)


def test_seeds_members_leads_and_starts_draw_other_noise(run, region):
    same_past = region.copy()
    for name in NAMES:
        same_past[name] = region[name].isel(time=0).expand_dims(time=region.time)
    first = run(same_past, 2)["u10"]
    other = run(same_past, 1, seed=1)["u10"]
    later = same_past.assign_coords(time=same_past.time + np.timedelta64(6, "h"))
    again = run(later, 1)["u10"]
    for one in (first[1, 0], other[0, 0], again[0, 0]):
        assert float(np.abs(first[0, 0].values - one.values).max()) > 0.1


def test_calendars_and_levels(make_forecaster, plain, region):
    """Levels and times without leap days; each level has noise of its own."""
    times = xr.date_range("2000-02-28T12", periods=3, freq="6h", calendar="noleap", use_cftime=True)
    field = region["u10"].rename("t").assign_coords(time=times)
    levels = xr.concat([field, field + 1], pd.Index([500.0, 850.0], name="level"))
    ahead = forecast(levels.transpose("time", "level", ...), 2, model=plain, members=2, batch=4)
    assert ahead.dims == ("realization", "time", "level", "lat", "lon")
    assert str(ahead.time.values[0]) == "2000-03-01 06:00:00"
    assert str(ahead.forecast_reference_time.values) == "2000-03-01 00:00:00"
    one = forecast(levels.sel(level=850.0), 2, model=plain, members=2, batch=4)
    np.testing.assert_array_equal(one.values, ahead.sel(level=850.0).values)


def test_the_label_tells_coordinates_such_as_reynolds(make_forecaster, region):
    flow = (Label(name="reynolds", logarithm=True, mean=3.0),)
    model = make_forecaster((Target(name="t", std=1.0),), label=flow, leads=(6.0,))
    field = region["u10"].rename("t")
    low, high = (
        forecast(field.assign_coords(reynolds=re), 1, model=model, members=1, batch=1)
        for re in (1e3, 1e5)
    )
    assert float(np.abs(low - high).max()) > 1e-3
    assert low.reynolds == 1e3
    with pytest.raises(
        FlexclimError, match="is conditioned on reynolds, and 't' has no such coordinate"
    ):
        forecast(field, 1, model=model)
    with pytest.raises(FlexclimError, match="reynolds = -3 is not a finite number above 0"):
        forecast(field.assign_coords(reynolds=-3.0), 1, model=model)


def test_a_model_that_learnt_without_its_label_does_without(make_forecaster, region):
    told = (Label(name="reynolds", mean=3.0), Label(name="lead"), Label(name="given"))
    model = make_forecaster((Target(name="t", std=1.0),), label=told, leads=(6.0,))
    field = region["u10"].rename("t")
    without = forecast(field, 1, model=model, members=1, batch=1)
    assert np.isfinite(without).all()
    # "given" tells the network as well that the label is there.
    labelled = forecast(field.assign_coords(reynolds=3.0), 1, model=model, members=1, batch=1)
    assert float(np.abs(without - labelled).max()) > 1e-3
    assert not label_values(told, lead=12.0).any()


def test_an_ensemble_goes_on_member_by_member(run, region, plain):
    ahead = run(region, 2, members=3, grid="cell")
    further = run(ahead.chunk(), 1, members=None)
    assert further.realization.values.tolist() == [0, 1, 2]
    assert further.forecast_reference_time == ahead.time[-1]
    alone = run(ahead.sel(realization=[2]), 1, members=1)
    close(alone, further.sel(realization=[2]))
    with pytest.raises(FlexclimError, match="has 3 members, and each gets one"):
        run(ahead, 1, members=2)


@pytest.mark.slow
def test_a_forecast_is_downscaled_member_by_member(make_forecaster, region):
    """One model of both tasks: each does its own."""
    both = make_forecaster(TARGETS[:2], read=2)
    ahead = forecast(region.chunk(), 2, model=both, members=2, batch=4)
    fine = ahead.flex.downscale(2, model=both, batch=4)
    assert fine["u10"].dims == ("realization", "time", "lat", "lon")
    assert fine["u10"].shape == (2, 2, 32, 32)
    assert isinstance(fine["u10"].data, da.Array)
    assert {"lead_time", "forecast_reference_time"} <= set(fine.coords)
    one = ahead.isel(realization=[1], time=[1]).flex.downscale(2, model=both, batch=4)
    fine = fine.compute()
    found = fine.isel(realization=[1], time=[1])
    np.testing.assert_allclose(one["u10"], found["u10"], atol=1e-4)
    means = fine["v10"].flex.coarsen(2) - ahead["v10"]
    assert float(np.abs(means).max()) < 1e-5
    assert float(fine["u10"].std("realization").min()) > 0


@pytest.mark.parametrize(
    ("change", "leads", "options", "message"),
    [
        (lambda ds: ds.isel(time=[-1]), 1, {}, "reads 2 past times, and there is 1. Give the last"),
        (lambda ds: ds.isel(time=-1), 1, {}, "reads 2 past times, and there is 1. Give the last"),
        (lambda ds: ds.isel(time=[0, 2, 1]), 1, {}, "are not increasing: they lie -6 h apart"),
        (lambda ds: ds.isel(time=[0, 2, 2]), 1, {}, "are not increasing: they lie 0 h apart"),
        (
            lambda ds: ds.assign_coords(
                time=ds.time.values[0] + np.arange(3) * np.timedelta64(3, "h")
            ),
            1,
            {},
            "are 3 h apart, and model 'toy' forecasts in steps of 6, 12 h. Select times",
        ),
        (lambda ds: ds.drop_vars("time"), 1, {}, "the past has no time coordinate"),
        (lambda ds: ds.assign_coords(time=[0, 6, 12]), 1, {}, "has no time coordinate"),
        (lambda ds: ds.isel(time=slice(0, 0)), 1, {}, "there are 0. Give the last 2"),
        (
            lambda ds: ds.assign_coords(time=ds.time.where(ds.time < ds.time[-1])),
            1,
            {},
            "is missing .NaT.",
        ),
        (lambda ds: ds, 0, {}, "leads=0 is not a number of steps of at least 1"),
        (lambda ds: ds, [], {}, "leads is empty"),
        (lambda ds: ds, ["9h"], {}, "lead '9h' is not a multiple of the time step of 6 h"),
        (lambda ds: ds, ["-6h"], {}, "lead '-6h' is not a multiple"),
        (lambda ds: ds, ["NaT"], {}, "lead 'NaT' is not a multiple"),
        (lambda ds: ds, [6, 12], {}, "lead 6 is not a duration such as"),
        (lambda ds: ds, 1.5, {}, "lead 1.5 is not a duration such as"),
        (lambda ds: ds, True, {}, "lead True is not a duration such as"),
        (lambda ds: ds, "soon", {}, "lead 'soon' is not a duration such as"),
        (lambda ds: ds, 1, {"members": 0}, "members=0 is not a whole number"),
        (lambda ds: ds, 1, {"overlap": 12}, "overlap 12 does not fit tiles of 16 x 16"),
        (
            lambda ds: ds,
            1,
            {"variables": ["q"]},
            "no field 'q' to forecast; there are u10, v",
        ),
        (lambda ds: ds.drop_vars("v10"), 1, {}, "reads u10, v10, tp, and the input has no field"),
        (
            lambda ds: ds.assign(u10=ds["u10"].assign_attrs(units="kPa")),
            1,
            {},
            "'u10' is in 'kPa', and model 'toy' reads u10 in 'm s-1'",
        ),
        (lambda ds: ds, 1, {"static": xr.Dataset()}, "takes no static fields"),
        (
            lambda ds: ds.assign(u10=ds["u10"] + np.inf),
            1,
            {},
            "infinite or fill values at times up to 2018-12-31T18",
        ),
        (lambda ds: ds.assign_coords(lon=ds.lon.values**2), 1, {}, "lon"),
    ],
)
def test_bad_input_gets_one_line(run, region, change, leads, options, message):
    with pytest.raises(FlexclimError, match=message) as caught:
        run(change(region), leads, **options)
    assert "\n" not in str(caught.value)


def test_a_model_does_what_it_has_learnt(run, region, model, toy_model):
    with pytest.raises(FlexclimError, match="'toy' can only forecast"):
        flexclim.downscale(region, 2, model=model)
    with pytest.raises(FlexclimError, match="'toy' can only downscale"):
        run(region, model=toy_model)


@pytest.mark.parametrize("layout", ["GRIB run", "starts and leads", "series of leads"])
def test_the_past_may_be_forecasts(run, region, layout):
    expected = run(region, 1, members=1)
    start = np.datetime64("2018-12-31T00", "ns")
    leads = region.time.values - start
    if layout == "series of leads":
        past = region.assign_coords(time=region.time - leads[0], step=leads[0])
        past["time"].attrs["standard_name"] = "forecast_reference_time"
    else:
        past = region.rename(time="step").assign_coords(step=leads, time=start)
    if layout == "GRIB run":
        past = past.assign_coords(valid_time=("step", region.time.values))
    ahead = run(past, 1, members=1)
    same(ahead, expected)
    time = "time" if layout == "series of leads" else "valid_time"
    assert ahead[time].values.tolist() == expected.time.values.tolist()
    assert ahead[time].attrs["standard_name"] == "time"
    assert set(ahead.coords) == {time, *expected.coords} - ({"time"} - {time})


def test_runs_of_which_one_must_be_chosen(run, region):
    runs = region.rename(time="step").assign_coords(step=region.time.values - region.time.values[0])
    runs = runs.expand_dims(time=pd.date_range("2018-12-31", periods=2))
    with pytest.raises(FlexclimError, match=r"vary along 'time' and 'step'. Select one"):
        run(runs)


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_files_hold_it_as_it_is_and_by_the_conventions(run, region, tmp_path, calendar):
    past = region.convert_calendar(calendar, use_cftime=calendar != "standard")
    past.time.attrs["bounds"] = "time_bnds"
    past["time_bnds"] = (("time", "bnds"), np.stack([past.time, past.time], 1))
    past = past.assign_coords(step=np.timedelta64(0, "h"), valid_time=("time", past.time.values))
    ahead = run(past, 2, grid="cell", members=1)
    assert not {"step", "valid_time", "time_bnds"} & set(ahead.variables)
    write_netcdf_files(ahead, tmp_path / "a.nc")
    coder = xr.coders.CFDatetimeCoder(use_cftime=calendar != "standard")
    with xr.open_dataset(tmp_path / "a.nc", decode_times=coder) as opened:
        xr.testing.assert_identical(opened.load(), ahead)
    ahead.to_zarr(tmp_path / "a.zarr", zarr_format=3)
    with xr.open_zarr(tmp_path / "a.zarr", chunks=None, decode_times=coder) as opened:
        xr.testing.assert_identical(opened.load(), ahead)
    runner = pytest.importorskip("compliance_checker.runner", reason="needs the dev extra")
    runner.CheckSuite.load_all_available_checkers()
    report = tmp_path / "report.json"
    runner.ComplianceChecker.run_checker(
        str(tmp_path / "a.nc"),
        ["cf:1.11"],
        0,
        "normal",
        output_filename=str(report),
        output_format="json",
    )
    found = json.loads(report.read_text())["cf:1.11"]
    levels = ("high_priorities", "medium_priorities")
    assert [check["msgs"] for one in levels for check in found[one] if check["msgs"]] == []
