"""Days split into times of the day: what members keep, laziness, noise, stores and bad input."""

import cftime
import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.downscaling import downscale, downscale_to_zarr, estimate
from flexclim.errors import FlexclimError, ModelError, StoreError
from flexclim.models.channels import Target, Variable, hours_of, interpolated_at, value_at

DAYS = 4
OPTIONS = {"time_factor": 4, "members": 2, "steps": 2, "batch": 4, "device": "cpu"}


@pytest.fixture(scope="module")
def splitter(make_toy):
    """Return a model with random weights that splits days into 4 times."""
    return split_model(make_toy, "t")


def split_model(make_toy, *names, units="K"):
    pairs = [(name, hour) for name in names for hour in hours_of(4)]
    usual = {"mean": 0.0, "std": 2.0}
    return make_toy(
        len(pairs),
        len(pairs),
        network={"tile": (16, 16), "unshuffle": 2},
        card={"units": {value_at(*pair): units for pair in pairs}},
        inputs=tuple(Variable(name=interpolated_at(*pair), **usual) for pair in pairs),
        targets=tuple(
            Target(name=value_at(*pair), base=interpolated_at(*pair), **usual) for pair in pairs
        ),
        scaling="fixed",
        conserve=False,
        halo=4,
        factors=(1,),
        times=4,
        residual_scale={1: (1.0,) * len(pairs)},
    )


def daily(name="t", **attributes):
    """Return days of noise on a few cells."""
    random = np.random.default_rng(2)
    return xr.DataArray(
        random.normal(280, 3, size=(DAYS, 6, 8)).astype("float32"),
        {
            "time": pd.date_range("2018-09-14 12:00", periods=DAYS),
            "lat": 50.0 - np.arange(6),
            "lon": 5.0 + np.arange(8),
        },
        ("time", "lat", "lon"),
        name=name,
        attrs={"units": "K"} | attributes,
    )


def by_day(fine):
    """Return members with a dimension of days and one of the times of each."""
    values = fine.transpose("realization", "time", "lat", "lon").values.astype(float)
    return values.reshape(len(values), -1, 4, *values.shape[-2:])


def test_members_keep_the_daily_mean_at_times_of_the_day(splitter):
    field = daily(cell_methods="time: mean", standard_name="air_temperature")
    fine = downscale(field, model=splitter, **OPTIONS)
    assert fine.dims == ("realization", "time", "lat", "lon")
    assert fine.time.values[[0, 1, -1]].astype("M8[h]").astype(str).tolist() == [
        "2018-09-14T00",
        "2018-09-14T06",
        "2018-09-17T18",
    ]
    scale = float(field.std())
    np.testing.assert_allclose(by_day(fine).mean(2), [field.values] * 2, atol=1e-5 * scale)
    assert float(fine.std("realization").mean()) > 0.01
    assert fine.name == "t"
    assert fine.attrs["units"] == "K"
    assert "cell_methods" not in fine.attrs
    assert fine.attrs["flexclim_time_factor"] == 4


def test_members_keep_daily_extremes_that_are_given(make_toy):
    field = daily("t2m", standard_name="air_temperature", cell_methods="time: mean")
    random = np.random.default_rng(3)
    below, above = random.uniform(2, 3, (2, *field.shape))
    fahrenheit = ((field + above - 273.15) * 1.8 + 32).assign_attrs(
        units="degF", standard_name="air_temperature", cell_methods="time: maximum"
    )
    given = xr.Dataset({"tas": field, "tasmin": field - below, "hottest": fahrenheit})
    given.tasmin.attrs["units"] = "K"
    fine = downscale(given, model=split_model(make_toy, "t2m"), **OPTIONS).tas
    scale = float(field.std())
    found, mean = by_day(fine), field.values
    for statistic, expected in (
        (found.mean(2), mean),
        (found.min(2), mean - below),
        (found.max(2), mean + above),
    ):
        np.testing.assert_allclose(statistic, [expected] * 2, atol=1e-5 * scale + 1e-7 * 300)


@pytest.mark.parametrize("extreme", ["tmin", "tmax"])
def test_days_without_an_extreme_keep_the_other_values(make_toy, extreme):
    field = daily("t")
    given = xr.Dataset({"t": field, "tmin": field - 2, "tmax": field + 3})
    for name in ("tmin", "tmax"):
        given[name].attrs["units"] = "K"
    given[extreme][0] = np.nan
    model = split_model(make_toy, "t")
    found = by_day(downscale(given, model=model, **OPTIONS).t)
    alone = by_day(downscale(given.drop_vars(extreme), model=model, **OPTIONS).t)
    np.testing.assert_allclose(found[:, 0], alone[:, 0], atol=1e-4)
    assert (np.ptp(found[:, 0], axis=1) > 0.1).all()
    assert np.abs(found[:, 1] - alone[:, 1]).max() > 0.01


def test_members_keep_daily_sums_and_stay_above_zero(make_toy):
    model = split_model(make_toy, "tp", units="mm")
    attributes = {"units": "mm", "standard_name": "precipitation_amount"}
    field = daily("tp", **attributes, cell_methods="time: sum")
    field = np.maximum(field - 280, 0).assign_attrs(field.attrs)
    fine = downscale(field, model=model, **OPTIONS)
    found = by_day(fine)
    assert found.min() >= 0
    np.testing.assert_allclose(found.sum(2), [field.values] * 2, atol=1e-5 * float(field.std()))


def test_nothing_is_computed_before_it_is_asked_for(splitter):
    field = daily()
    whole = downscale(field, model=splitter, **OPTIONS)

    def refuse(*_, **__):
        raise AssertionError("computed while planning")

    with dask.config.set(scheduler=refuse):
        lazy = downscale(field.chunk(time=2), model=splitter, **OPTIONS)
    assert lazy.chunksizes["time"] == (8,) * (DAYS // 2)
    part = lazy.isel(realization=[1], time=slice(5, 7)).compute()
    np.testing.assert_array_equal(part.values, whole.values[1:, 5:7])


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["independent", "frozen", "ar1"])
def test_noise_belongs_to_pixel_member_and_day(splitter, noise):
    field = daily()
    options = OPTIONS | {"noise": noise}
    options |= {"noise_timescale": "12h"} if noise == "ar1" else {}
    whole = downscale(field, model=splitter, **options)
    fewer = downscale(field.isel(time=slice(1, None)), model=splitter, **options | {"members": 1})
    np.testing.assert_array_equal(fewer.values[0, 4:], whole.values[0, 8:])


def test_a_store_is_written_and_continued(splitter, tmp_path):
    field, store = daily(), tmp_path / "fine.zarr"
    options = {key: value for key, value in OPTIONS.items() if key != "members"}
    downscale_to_zarr(field, store, model=splitter, members=1, **options)
    longer = downscale_to_zarr(field, store, model=splitter, members=2, **options)
    whole = downscale(field, model=splitter, members=2, **options)
    np.testing.assert_array_equal(longer.t.values, whole.values)
    with pytest.raises(StoreError):
        downscale_to_zarr(field.isel(time=slice(2)), store, model=splitter, members=2, **options)


@pytest.mark.slow
def test_daily_extremes_belong_to_the_request_of_a_store(splitter, tmp_path):
    field, store = daily(), tmp_path / "fine.zarr"
    lowest = (field - 3).assign_attrs(field.attrs)
    given = xr.Dataset({"t": field, "tmin": lowest})
    downscale_to_zarr(given, store, model=splitter, **OPTIONS)
    with pytest.raises(StoreError):
        downscale_to_zarr(given.assign(tmin=lowest - 1), store, model=splitter, **OPTIONS)


def test_days_of_other_calendars_and_an_ensemble(splitter):
    field = daily()
    dates = [cftime.Datetime360Day(2001, 2, 28 + day) for day in range(3)]
    pair = [one.drop_vars("time") for one in (field[:3], field[1:])]
    members = xr.concat(pair, "number").assign_coords(number=[3, 7])
    fine = downscale(
        members.assign_coords(time=dates), model=splitter, **OPTIONS | {"members": None}
    )
    assert fine.time.values[-1] == cftime.Datetime360Day(2001, 2, 30, 18)
    assert fine.realization.values.tolist() == [3, 7]
    np.testing.assert_allclose(by_day(fine).mean(2), members.values, atol=1e-4)


def test_missing_cells_stay_missing(splitter):
    field = daily().copy()
    field[1, 2, 3] = np.nan
    fine = by_day(downscale(field, model=splitter, **OPTIONS))
    assert np.isnan(fine[:, 1, :, 2, 3]).all()
    assert np.isfinite(np.delete(fine, 1, axis=1)).all()


def test_the_estimate_counts_all_times(splitter):
    cost = estimate(daily(), model=splitter, **OPTIONS)
    assert cost.output_bytes == 2 * DAYS * 4 * 6 * 8 * 4


GAP = [0, 1, 3]


@pytest.mark.parametrize(
    ("change", "options", "kind", "message"),
    [
        (lambda f: f.isel(time=GAP), {}, FlexclimError, "not days that follow each other: .* 48 h"),
        (
            lambda f: f.assign_coords(time=pd.date_range("2018-09-14", periods=DAYS, freq="6h")),
            {},
            FlexclimError,
            "is 6 h after 2018-09-14T00:00. Average to days",
        ),
        (lambda f: f.isel(time=0, drop=True), {}, FlexclimError, "time_factor needs days, and"),
        (lambda f: f, {"time_factor": 8}, ModelError, "splits days into 4 times, not 8"),
        (lambda f: f, {"time_factor": 5}, FlexclimError, "does not divide the 24 hours"),
        (lambda f: f, {"time_factor": 1}, FlexclimError, "time_factor=1 does not divide"),
        (lambda f: f, {"factor": 2}, FlexclimError, "goes without factor and to"),
        (lambda f: f, {"model": None}, ModelError, "needs a model that splits days"),
        (lambda f: f.rename("q"), {}, ModelError, "reads daily 't', and no field can be read"),
    ],
)
def test_unsuitable_requests_are_named(splitter, change, options, kind, message):
    with pytest.raises(kind, match=message):
        downscale(change(daily()), **{"model": splitter} | OPTIONS | options)


def test_a_model_of_space_knows_no_time_factor(toy_model):
    with pytest.raises(ModelError, match="does not split days"):
        downscale(daily(), model=toy_model, **OPTIONS)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [(1, -1, "minimum of 't' is above its maximum in 192 cells"), (2, 3, "is beyond its minimum")],
)
def test_extremes_out_of_order_are_named(splitter, low, high, message):
    field = daily()
    given = {"t": field, "tmin": field + low, "tmax": field + high}
    given = xr.Dataset({name: one.assign_attrs(units="K") for name, one in given.items()})
    with pytest.raises(FlexclimError, match=message):
        downscale(given, model=splitter, **OPTIONS)


def test_a_mean_that_few_values_cannot_have_is_said(splitter):
    field = daily()
    given = {"t": field, "tmin": field - 0.1, "tmax": field + 9}
    given = xr.Dataset({name: one.assign_attrs(units="K") for name, one in given.items()})
    with pytest.warns(UserWarning, match="can't have the mean, the minimum"):
        fine = downscale(given, model=splitter, **OPTIONS).t
    np.testing.assert_allclose(by_day(fine).mean(2), [field.values] * 2, atol=1e-4)
    np.testing.assert_allclose(by_day(fine).min(2), [field.values - 0.1] * 2, atol=1e-4)
