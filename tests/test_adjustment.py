"""Bias adjustment from fields to fields: a synthetic climate, other tools, files as they are."""

import json

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from synthetic_climate import climate, with_extremes

import flexclim
from flexclim.errors import AlignmentError, FlexclimError, FlexclimWarning, GridError

CELLS = (2, 2)
NAMES = "tas", "pr"
OUTERMOST = 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99


def made(first, years, cells=CELLS, **options):
    return climate(first, years, cells, calendar="standard", **options)


@pytest.fixture(scope="module")
def world():
    """A reference, the model's past, its projection, and what will happen."""
    return {
        "reference": made(1981, 20),
        "historical": made(1981, 20, model=True),
        "projection": made(2021, 20, model=True),
        "truth": made(2021, 20),
    }


def adjusted(world, field="projection", **options):
    given = {"window": "month", "historical": world["historical"], **options}
    return world[field].flex.adjust(reference=world["reference"], **given)


def statistics(field):
    """Return the mean and the 1, 50 and 99 % quantiles of each cell."""
    quantiles = field.quantile([0.01, 0.5, 0.99], "time").values
    return np.stack([field.mean("time").values, *quantiles])


def remaining(model, reference, result):
    """Return the share of the bias that remains, of the mean and three quantiles."""
    before, after = (
        abs(statistics(one) - statistics(reference)).mean((1, 2)) for one in (model, result)
    )
    return after[before > 0] / before[before > 0]


def kept_changes(now, later, result_now, result_later, *, ratio):
    """Return the region's changes of quantiles, and those after adjustment."""

    def change(first, last):
        here, there = (
            one.quantile(OUTERMOST, "time").mean(("lat", "lon")) for one in (first, last)
        )
        found = there / here.where(here > 0) if ratio else there - here
        return found.values

    return change(now, later), change(result_now, result_later)


@pytest.mark.parametrize("name", NAMES)
def test_biases_of_mean_and_quantiles_are_removed(world, name):
    past = adjusted(world, "historical", variables=[name])[name]
    assert (remaining(world["historical"][name], world["reference"][name], past) < 0.1).all()
    later = adjusted(world, variables=[name])[name]
    assert (remaining(world["projection"][name], world["truth"][name], later) < 0.35).all()


def test_changes_of_quantiles_are_kept(world):
    for name, ratio in (("tas", False), ("pr", True)):
        past, later = (
            adjusted(world, one, variables=[name])[name] for one in ("historical", "projection")
        )
        raw, kept = kept_changes(
            world["historical"][name], world["projection"][name], past, later, ratio=ratio
        )
        large = abs(raw - 1) > 0.1 if ratio else abs(raw) > 0.5
        assert large.sum() > 1
        np.testing.assert_allclose(kept[large], raw[large], rtol=0.1)


def test_adjusted_rain_falls_as_often_as_the_reference(world):
    days = {
        one: (world[one]["pr"] * 86400 >= 1).mean().item() for one in ("reference", "historical")
    }
    found = adjusted(world, "historical", variables=["pr"])["pr"] * 86400
    assert days["reference"] - days["historical"] > 0.03
    assert (found >= 1).mean().item() == pytest.approx(days["reference"], abs=0.01)
    assert ((found == 0) | (found >= 0.0499)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("tas", "+"), ("pr", "*")])
def test_equal_to_xsdba(name, kind):
    xsdba = pytest.importorskip("xsdba", reason="needs the extra climate")
    reference, past, later = (
        climate(first, 12, CELLS, model=model)[name].astype(float)
        for first, model in ((1981, False), (1981, True), (2041, True))
    )
    if kind == "*":  # without zeros, whose ranks differ
        attributes = {"units": "m s-1", "standard_name": "wind_speed"}
        random = np.random.default_rng(0)
        reference, past, later = (
            (one * 86400 + 1 + random.random(one.shape)).assign_attrs(attributes)
            for one in (reference, past, later)
        )
    group = xsdba.Grouper("time.dayofyear", 31)
    trained = xsdba.QuantileDeltaMapping.train(
        reference, past, nquantiles=50, kind=kind, group=group
    )
    expected = trained.adjust(later, interp="linear", rank_window=True).transpose(*later.dims)
    found = later.flex.adjust(reference=reference, historical=past)
    assert found.attrs["bias_adjustment"].count("additive" if kind == "+" else "multiplicative")
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert abs(found - later).max() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["+", "*"])
def test_months_are_those_of_xsdba(world, kind):
    xsdba = pytest.importorskip("xsdba", reason="needs the extra climate")
    january = {
        one: world[one]["tas"].sel(time=world[one].time.dt.month == 1).astype(float).isel(lon=[0])
        for one in ("reference", "historical", "projection")
    }
    reference, past, later = january.values()
    trained = xsdba.QuantileDeltaMapping.train(
        reference, past, nquantiles=50, kind=kind, group="time"
    )
    expected = trained.adjust(later, interp="linear")
    whole = adjusted(
        {one: ds[["tas"]].astype(float) for one, ds in world.items()},
        historical=world["historical"][["tas"]].astype(float),
        kind="additive" if kind == "+" else "multiplicative",
    )
    found = whole["tas"].sel(time=later.time).isel(lon=[0])
    np.testing.assert_allclose(found, expected.transpose(*found.dims), rtol=1e-6)


def test_fitted_once_saved_and_applied(world, tmp_path):
    direct = adjusted(world)
    fit = world["historical"].flex.fit_adjustment(reference=world["reference"], window="month")
    fit.to_netcdf(tmp_path / "fit.nc")
    with xr.open_dataset(tmp_path / "fit.nc") as again:
        found = world["projection"].flex.adjust(fitted=again)
        one = world["projection"]["tas"].flex.adjust(fitted=again)
    xr.testing.assert_equal(found, direct)
    xr.testing.assert_equal(one, direct["tas"])
    assert found["pr"].attrs["bias_adjustment"] == direct["pr"].attrs["bias_adjustment"]
    assert fit["tas_reference_quantiles"].sizes == {
        "lat": 2,
        "lon": 2,
        "part_of_year": 12,
        "quantile": 50,
    }


def test_lazy_fields_stay_lazy_and_blocks_change_nothing(world):
    direct = adjusted(world)

    def refuse(*_, **__):
        raise AssertionError("computed too early")

    lazy = {
        name: ds.chunk(time=2000, lat=1, lon=2)
        if name != "projection"
        else ds.chunk(time=-1, lat=1, lon=1)
        for name, ds in world.items()
    }
    with dask.config.set(scheduler=refuse):
        found = adjusted(lazy)
    assert found["tas"].chunks == ((found.time.size,), (1, 1), (1, 1))
    xr.testing.assert_equal(found.compute(), direct)
    other = adjusted({**lazy, "projection": world["projection"].chunk(time=999)})
    xr.testing.assert_equal(other.compute(), direct)


def test_what_was_given_comes_back_with_its_description(world):
    given = world["projection"].transpose("lat", "time", "lon").assign(mask=("lat", [0, 1]))
    given.attrs["history"] = "made"
    given["tas"].encoding = {"dtype": "int16", "scale_factor": 0.01}
    before = given.copy(deep=True)
    found = adjusted({**world, "projection": given})
    xr.testing.assert_identical(given, before)
    assert found["tas"].dims == ("lat", "time", "lon")
    assert found["tas"].dtype == np.float32
    assert found["tas"].encoding == {}
    assert "mask" in found
    assert found.attrs["history"].startswith("made\n")
    assert "adjust(tas, pr; reference: synthetic reference)" in found.attrs["history"]
    text = found["pr"].attrs["bias_adjustment"]
    assert "quantile delta mapping" in text
    assert "multiplicative; reference synthetic reference, 1981-01-01 to 2000-12-31" in text
    assert "beyond the quantiles 0.01 and 0.99" in text
    array = given["tas"].flex.adjust(
        reference=world["reference"]["tas"].rename("t"),
        historical=world["historical"]["tas"].rename("x"),
        window="month",
    )
    xr.testing.assert_equal(array, found["tas"])
    assert array.name == "tas"


def test_units_names_and_cells_of_the_reference_are_matched(world):
    direct = adjusted(world)
    era5 = world["reference"].rename(
        tas="t2m", pr="tp", time="valid_time", lat="latitude", lon="longitude"
    )
    era5["t2m"] = (era5["t2m"] - 273.15).assign_attrs(era5["t2m"].attrs, units="degC")
    era5["tp"] = (era5["tp"] * 86400).assign_attrs(era5["tp"].attrs, units="mm d-1")
    found = adjusted({**world, "reference": era5})
    xr.testing.assert_allclose(found["tas"], direct["tas"], atol=1e-3)
    assert abs(found["pr"] - direct["pr"]).max() * 86400 < 0.1
    # Twice as many rows and columns with the same means.
    finer = world["reference"].flex.interpolate(2, method="nearest")
    found = adjusted({**world, "reference": finer}, variables=["tas"])
    xr.testing.assert_allclose(found["tas"], direct["tas"], rtol=1e-5)
    celsius = world["projection"][["tas"]] - 273.15
    celsius["tas"].attrs.update(units="degC", standard_name="air_temperature")
    found = adjusted({**world, "projection": celsius})
    np.testing.assert_allclose(found["tas"] + 273.15, direct["tas"], atol=1e-3)


def test_members_are_adjusted_one_by_one(world):
    ensemble = xr.concat([world["projection"]["tas"], world["projection"]["tas"] + 1], "member")
    found = ensemble.flex.adjust(
        reference=world["reference"]["tas"], historical=world["historical"]["tas"], window="month"
    )
    xr.testing.assert_allclose(
        found[0].drop_vars("member", errors="ignore"), adjusted(world)["tas"]
    )
    np.testing.assert_allclose(found[1] - found[0], 1, atol=1e-3)


def test_members_of_both_runs_are_the_same(world):
    past, later = (
        xr.concat([world[one]["tas"], world[one]["tas"] + 1], "member").assign_coords(
            member=["r1", "r2"]
        )
        for one in ("historical", "projection")
    )
    given = {"reference": world["reference"]["tas"], "window": "month"}
    found = later.flex.adjust(historical=past, **given)
    np.testing.assert_allclose(found[0], found[1], atol=1e-3)
    with pytest.raises(AlignmentError, match="have other values of 'member'"):
        later.flex.adjust(historical=past[::-1], **given)
    with pytest.raises(AlignmentError, match="of the historical run has 2 along 'member'"):
        later[0].drop_vars("member").flex.adjust(historical=past, **given)


def test_members_of_a_fit_are_those_of_the_field(world):
    past = xr.concat([world["historical"]["tas"], world["historical"]["tas"] + 1], "member")
    fit = past.to_dataset().flex.fit_adjustment(
        reference=world["reference"][["tas"]], window="month"
    )
    later = world["projection"]["tas"]
    for field in (later, xr.concat([later] * 3, "member")):
        with pytest.raises(AlignmentError, match="the fitted adjustment of 'tas' has 2 along"):
            field.flex.adjust(fitted=fit)
    assert xr.concat([later] * 2, "member").flex.adjust(fitted=fit).sizes["member"] == 2


def test_times_in_a_time_zone_are_one_line(world):
    zoned = pd.DatetimeIndex(world["projection"].time.values).tz_localize("UTC")
    with pytest.raises(FlexclimError, match="are in the time zone UTC"):
        adjusted({**world, "projection": world["projection"].assign_coords(time=zoned)})


@pytest.mark.parametrize(
    ("calendar", "rule"), [("360_day", "year"), ("360_day", "date"), ("noleap", None)]
)
def test_other_calendars_stay_as_they_are(world, calendar, rule):
    past = climate(1981, 12, CELLS, model=True, calendar=calendar)["tas"]
    reference = world["reference"]["tas"]
    found = past.flex.adjust(reference=reference, align_on=rule)
    assert found.time.dt.calendar == calendar
    assert not found.isnull().any()
    known = reference.sel(time=slice("1992"))
    for month in (2, 6, 10):
        fields = (one.sel(time=one.time.dt.month == month) for one in (past, known, found))
        assert remaining(*fields)[[0, 2]].max() < 0.1


def test_monthly_means(world):
    monthly = {one: ds[["tas"]].resample(time="1MS").mean() for one, ds in world.items()}
    found = monthly["historical"].flex.adjust(reference=monthly["reference"])
    error = remaining(monthly["historical"]["tas"], monthly["reference"]["tas"], found["tas"])
    assert (error < 0.1).all()


def test_the_run_itself_may_reach_back(world):
    whole = xr.concat([world["historical"], world["projection"]], "time")[["tas"]]
    found = whole.flex.adjust(reference=world["reference"], window="month", period=20)
    expected = adjusted(world, variables=["tas"], period=20)
    late = {"time": slice("2035", None)}  # ranked within 2021 to 2040 in both
    xr.testing.assert_equal(found["tas"].sel(late), expected["tas"].sel(late))


def test_missing_cells_and_dry_cells_are_said(world):
    sea = world["reference"].where(world["reference"].lat > 40)
    with pytest.warns(FlexclimWarning, match="'tas' is NaN in cells and seasons in which the ref"):
        found = adjusted({**world, "reference": sea}, variables=["tas"])
    assert found["tas"].isnull().mean() == 0.5
    summer = world["reference"].where(world["reference"].time.dt.season != "DJF", drop=True)
    with pytest.warns(FlexclimWarning, match="'tas' is NaN in cells and seasons"):
        found = adjusted({**world, "reference": summer}, variables=["tas"], window=31)["tas"]
    share = found.isnull().groupby("time.season").mean(...)
    assert share.sel(season="DJF") > 0.9
    assert share.sel(season=["MAM", "JJA", "SON"]).max() == 0
    dry = world["historical"].assign(
        pr=world["historical"]["pr"].where(world["historical"].lat > 40, 0)
    )
    with pytest.warns(FlexclimWarning, match="'pr' of the historical run is dry throughout"):
        adjusted(world, historical=dry, variables=["pr"])


def moved(days):
    return lambda ds: ds.assign_coords(time=ds.time - np.timedelta64(days, "D"))


def in_units(units):
    return lambda ds: ds.assign(tas=ds.tas.assign_attrs(units=units))


CHANGES = [
    ("reference", moved(9131), AlignmentError, r"1956-01-02 to 1976-01-01.* they share no day"),
    (
        "reference",
        lambda ds: ds.isel(time=slice(1500)),
        FlexclimError,
        r"the 4.1 years of the reference .1981-01-01 to 1985-02-08. hold 127 values in a window",
    ),
    (
        "projection",
        lambda ds: ds.isel(time=slice(700)),
        FlexclimError,
        r"the 1.9 years of the model .* hold 59 values in a window",
    ),
    (
        "reference",
        in_units("Pa"),
        AlignmentError,
        r"'tas' is in 'K', that of the reference in 'Pa'",
    ),
    ("reference", in_units(""), AlignmentError, r"that of the reference in ''"),
    (
        "projection",
        moved(29220),
        FlexclimError,
        r"the model ends on 1960-12-31, before the training period begins on 1981-01-01",
    ),
    (
        "reference",
        lambda ds: ds.assign_coords(lat=ds.lat * 3 - 80, lon=ds.lon * 3),
        GridError,
        r"the reference has cells of .* degrees, the model of",
    ),
    (
        "historical",
        lambda ds: ds.assign_coords(lat=ds.lat + 0.5),
        GridError,
        r"the model has <Cells: .*>, the historical run <Cells: .*>, at other places",
    ),
    (
        "reference",
        lambda ds: ds.rename(tas="sst").drop_attrs(),
        AlignmentError,
        r"the reference has no variable for 'tas': it holds 'sst'",
    ),
    *(
        (
            name,
            lambda ds: ds.sel(time=slice("1900", "1910")),
            FlexclimError,
            rf"'tas' of the {role} has no times: its dimension 'time' has size 0",
        )
        for name, role in (
            ("reference", "reference"),
            ("historical", "historical run"),
            ("projection", "model"),
        )
    ),
    (
        "historical",
        lambda ds: ds.mean("time"),
        FlexclimError,
        r"the historical run has no numbers along time and 'lat' and 'lon'",
    ),
    (
        "reference",
        lambda ds: ds.mean("time"),
        FlexclimError,
        r"'tas' of the reference needs dates, but there are none along a dimension",
    ),
    (
        "projection",
        lambda ds: ds.isel(time=0),
        FlexclimError,
        r"the model has no numbers along time and 'lat' and 'lon'",
    ),
    (
        "projection",
        lambda ds: ds.assign_coords(time=np.arange(ds.time.size)),
        FlexclimError,
        r"'tas' of the model needs dates, but 'time' holds numbers",
    ),
]
OPTIONS = [
    ({"variables": ["snow"]}, r"the model has no field 'snow' in time"),
    ({"window": 30}, r"window=30 is no odd number of days"),
    ({"window": "week"}, r"window='week' is no odd number of days"),
    ({"quantiles": 1}, r"quantiles=1 is no number of at least 2"),
    ({"period": 3}, r"period=3 is no number of years"),
    ({"seed": -1}, r"seed=-1 is no whole number"),
    ({"align_on": "week"}, r"align_on='week' is neither"),
    ({"kind": "log"}, r"kind 'log' is not known"),
    ({"kind": {"t2m": "additive"}}, r"kind names 't2m', which is no variable"),
    ({"quantile": 9}, r"did you mean 'quantiles'"),
]


@pytest.mark.parametrize(("name", "change", "error", "said"), CHANGES)
def test_bad_input_is_one_line(world, name, change, error, said):
    used = {one: ds[["tas"]] for one, ds in world.items()}
    used[name] = change(used[name])
    with pytest.raises(error, match=said) as raised:
        adjusted(used, historical=used["historical"], window=31)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("options", "said"), OPTIONS)
def test_bad_options_are_one_line(world, options, said):
    with pytest.raises(FlexclimError, match=said):
        adjusted(world, **options)


def test_what_to_fit_to_is_given_once(world):
    field = world["projection"][["tas"]]
    with pytest.raises(FlexclimError, match="there is nothing to adjust to"):
        field.flex.adjust()
    fit = world["historical"][["tas"]].flex.fit_adjustment(
        reference=world["reference"], window="month"
    )
    with pytest.raises(FlexclimError, match="both fitted and what to fit to"):
        field.flex.adjust(fitted=fit, reference=world["reference"])
    with pytest.raises(FlexclimError, match="is no fitted adjustment"):
        field.flex.adjust(fitted=field)
    with pytest.raises(FlexclimError, match="the fitted adjustment has no 'pr'; it has 'tas'"):
        world["projection"].flex.adjust(fitted=fit)


def test_fill_values_raise_when_values_are_computed(world):
    broken = world["projection"][["tas"]].copy(deep=True)
    broken["tas"][5, 0, 0] = 1e20
    with pytest.raises(FlexclimError, match=r"'tas of the model' has 1 .*values"):
        adjusted({**world, "projection": broken})
    declared = broken.assign(tas=broken.tas.assign_attrs(missing_value=np.float32(1e20)))
    found = adjusted({**world, "projection": declared})["tas"]
    assert found.isnull().sum() == 1
    assert "missing_value" not in found.attrs


def extremes_of(world):
    """Return fields of a small region with daily extremes, and the model's future adjusted."""
    near = {
        one: with_extremes(ds.isel(lat=slice(2), lon=slice(2)), model=one != "reference")[EXTREMES]
        for one, ds in world.items()
    }
    return near, adjusted(near)


EXTREMES = ["tasmin", "tas", "tasmax"]


def test_extremes_stay_on_their_side_of_the_mean(world):
    near, later = extremes_of(world)
    alone = xr.merge(
        [adjusted({one: ds[[name]] for one, ds in near.items()}) for name in EXTREMES],
        combine_attrs="drop",
    )
    broken = (alone.tasmin > alone.tas) | (alone.tas > alone.tasmax)
    assert 0 < broken.mean() < 0.01
    assert (later.tasmin <= later.tas).all()
    assert (later.tas <= later.tasmax).all()
    inside = ~broken
    for name in EXTREMES:
        np.testing.assert_array_equal(later[name].where(inside), alone[name].where(inside))
    assert later.tasmin.attrs["bias_adjustment"].endswith("; kept <= tas")
    assert later.tasmax.attrs["bias_adjustment"].endswith("; kept >= tas")
    assert "kept" not in later.tas.attrs["bias_adjustment"]


def test_extremes_in_other_units_stay_on_their_side(world):
    near, expected = extremes_of(world)
    celsius = {
        one: ds.assign(tasmin=(ds.tasmin - 273.15).assign_attrs(ds.tasmin.attrs, units="degC"))
        for one, ds in near.items()
    }
    later = adjusted(celsius)
    assert later.tasmin.attrs["units"] == "degC"
    assert float((later.tasmin + 273.15 - later.tas).max()) < 1e-4
    np.testing.assert_allclose(later.tasmin + 273.15, expected.tasmin, atol=1e-3)


@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_of_another_precision_are_rounded_to_their_side(world, name):
    near, _ = extremes_of(world)
    later = adjusted({one: ds.assign({name: ds[name].astype(float)}) for one, ds in near.items()})
    assert later[name].dtype == float
    assert (later.tasmin <= later.tas).all()
    assert (later.tas <= later.tasmax).all()


def test_adjusted_fields_are_downscaled():
    small = {
        "reference": made(1981, 10, (4, 4)),
        "historical": made(1981, 10, (4, 4), model=True),
        "projection": made(2021, 10, (4, 4), model=True),
    }
    small = {one: ds[["tas"]] for one, ds in small.items()}
    later = small["projection"].flex.adjust(
        reference=small["reference"], historical=small["historical"], window="month"
    )
    fine = later.isel(time=[0, 1]).flex.downscale(factor=4, model="flex-nano", members=1, steps=1)
    assert fine["tas"].sizes == {"realization": 1, "time": 2, "lat": 16, "lon": 16}
    means = fine["tas"].isel(realization=0).coarsen(lat=4, lon=4).mean()
    np.testing.assert_allclose(means, later["tas"].isel(time=[0, 1]), atol=0.1)
    assert "quantile delta mapping" in fine["tas"].attrs["bias_adjustment"]
    assert "adjust(tas" in fine.attrs["history"]


@pytest.mark.long
@pytest.mark.parametrize("cells", [(6, 8), (24, 32)])
def test_days_of_ninety_years_keep_order_and_block_means(cells):
    """The whole chain: adjusted to a reference, then downscaled with the bundled model."""
    reference = with_extremes(climate(1981, 30, cells))
    past = with_extremes(climate(1981, 30, cells, model=True), model=True)
    later = with_extremes(climate(2011, 60, cells, model=True), model=True)
    whole = [one.flex.adjust(reference=reference, historical=past) for one in (past, later)]
    days = xr.concat(whole, "time", data_vars="minimal").isel(time=slice(0, None, 90 * 4))
    fine = days.flex.downscale(factor=4, model="flex-nano", members=2, grid="cell")
    moved = json.loads(fine.attrs["flexclim_moved"])
    print(f"{days.sizes['time']} days; moved", moved)
    assert moved["tasmin"]["cells"]
    assert moved["tasmax"]["cells"]
    assert (fine.tasmin <= fine.tas).all()
    assert (fine.tas <= fine.tasmax).all()
    assert (fine.pr >= 0).all()
    for name in days.data_vars:
        means = flexclim.coarsen(fine[name], 4, grid="cell")
        off = abs(means - days[name].drop_vars(("lat", "lon")).values[None])
        print(f"{name}: block means off by at most {float(off.max()):.2g} {days[name].units}")
        assert off.max() <= 1e-5 * abs(days[name]).max()


@pytest.mark.parametrize(
    "cells",
    [pytest.param((6, 8), marks=pytest.mark.slow), pytest.param((24, 32), marks=pytest.mark.long)],
)
def test_a_region_over_ninety_years(cells):
    reference, past = climate(1981, 30, cells), climate(1981, 30, cells, model=True)
    later = climate(2011, 60, cells, model=True)
    now, then = (one.flex.adjust(reference=reference, historical=past) for one in (past, later))
    end = {"time": slice("2041", "2070")}
    for name in NAMES:
        left = remaining(past[name], reference[name], now[name])
        print(f"{name}: of the bias of mean and quantiles remain", left.round(4))
        assert (left < 0.1).all()
        fields = past[name], later[name].sel(end), now[name], then[name].sel(end)
        raw, kept = kept_changes(*fields, ratio=name == "pr")
        print(f"{name}: changes of quantiles", raw.round(3), "after adjustment", kept.round(3))
        large = abs(raw - 1) > 0.1 if name == "pr" else abs(raw) > 0.5
        np.testing.assert_allclose(kept[large], raw[large], rtol=0.05)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_bias_and_change_beside_ibicus(name):
    """Quantile delta mapping of another library, with its own defaults (window of 91 days)."""
    reason = "ibicus is missing: pip install --no-deps ibicus"
    debiaser = pytest.importorskip("ibicus.debias", reason=reason).QuantileDeltaMapping
    reference, past = made(1981, 30), made(1981, 30, model=True)
    later = made(2041, 30, model=True)

    def dates(ds):
        return ds.time.values.astype("M8[us]").astype(object)

    def other(field):
        given = [one[name].values.astype(float) for one in (reference, past, field)]
        known = {
            "time_obs": dates(reference),
            "time_cm_hist": dates(past),
            "time_cm_future": dates(field),
        }
        mapped = debiaser.from_variable(name).apply(*given, progressbar=False, **known)
        return field[name].copy(data=mapped)

    def own(field):
        return field.flex.adjust(reference=reference, historical=past)[name]

    for called, adjust in ("flexclim", own), ("ibicus", other):
        now, then = adjust(past), adjust(later)
        left = remaining(past[name], reference[name], now)
        raw, kept = kept_changes(past[name], later[name], now, then, ratio=name == "pr")
        large = abs(raw - 1) > 0.1 if name == "pr" else abs(raw) > 0.5
        print(f"{name}, {called}: bias left {left.round(3)}, changes off by", end=" ")
        print(abs(kept[large] / raw[large] - 1).round(3))
        if called == "flexclim":
            assert (left < 0.1).all()
            np.testing.assert_allclose(kept[large], raw[large], rtol=0.05)


def test_levels_of_the_reference_are_matched_by_their_values(world):
    levels = xr.DataArray([500.0, 850.0], dims="plev", coords={"plev": [500.0, 850.0]})
    model, reference = (world[one]["tas"] + levels for one in ("historical", "reference"))
    model = model.assign_attrs(world["historical"]["tas"].attrs)
    reference = reference.assign_attrs(world["reference"]["tas"].attrs)
    found = model.flex.adjust(reference=reference[..., ::-1], window="month")
    xr.testing.assert_allclose(found, model.flex.adjust(reference=reference, window="month"))
    with pytest.raises(AlignmentError, match="reference have other values of 'plev'"):
        model.flex.adjust(reference=reference.assign_coords(plev=[10.0, 50.0]), window="month")


def test_a_season_alone_is_as_long_as_its_years(world):
    summer = [world[one]["tas"] for one in ("historical", "reference")]
    past, reference = (one.sel(time=one.time.dt.season == "JJA") for one in summer)
    found = past.flex.adjust(reference=reference, window="month")
    assert abs(found - reference).mean() < abs(past - reference).mean()
    with pytest.raises(FlexclimError, match=r"the 8\.0 years of"):
        past.sel(time=slice("1981", "1988")).flex.adjust(reference=reference, window="month")
