import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify

INDICES = verify.climate.indices


@pytest.fixture
def rain(daily_field):
    def make(**options):
        field = daily_field(**{"name": "pr", "years": 1, **options})
        dry = (field - 278).clip(min=0)
        return dry.assign_attrs(units="mm d-1")

    return make


def spell(wet):
    edges = np.diff(np.r_[0, wet.astype(int), 0])
    return (np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)).max()


@pytest.mark.parametrize(("calendar", "chunked"), [("360_day", True), ("standard", False)])
def test_indices_of_rain_by_hand(rain, calendar, chunked):
    field = rain(calendar=calendar)
    lazy = field.chunk(time=100, lat=2) if chunked else field
    lazy = (lazy / 86400).assign_attrs(units="kg m-2 s-1")
    found = INDICES(lazy)
    assert (found.cdd.chunks is not None) is chunked
    assert found.year.values.tolist() == [2001]
    values = field.values[:, 1, 2]
    cell = found.isel(lat=1, lon=2, year=0).compute()
    assert float(cell.rx1day) == pytest.approx(values.max())
    five = np.convolve(values, np.ones(5), "valid").max()
    assert float(cell.rx5day) == pytest.approx(five)
    assert float(cell.sdii) == pytest.approx(values[values >= 1].mean())
    assert float(cell.r10mm) == (values >= 10).sum()
    assert float(cell.cdd) == spell(values < 1)
    assert float(cell.cwd) == spell(values >= 1)
    units = [cell[n].attrs["units"] for n in ("rx1day", "rx5day", "sdii", "cdd")]
    assert units == ["mm d-1", "mm", "mm d-1", "d"]


def test_indices_of_temperature_by_season_and_member(daily_field):
    field = daily_field(2, name="tmax", members=2) + 15
    field = field.rename("tmax").assign_attrs(units="K")
    cold = (
        (field - 30)
        .rename("cold")
        .assign_attrs(units="K", standard_name="air_temperature", cell_methods="time: minimum")
    )
    ds = xr.Dataset({"tmax": field, "cold": cold, "tas": field - 10})
    found = INDICES(ds, season="DJF")
    assert set(found.data_vars) == {"txx", "txn", "su", "tnn", "tnx", "fd"}
    # The winters of 2001 and 2003 are not whole.
    winter = field.sel(time=slice("2001-12", "2002-02"))
    assert found.txx.isnull().all(["realization", "lat", "lon"]).values.tolist() == [
        True,
        False,
        True,
    ]
    one = found.sel(year=2002)
    np.testing.assert_allclose(one.txx, winter.max("time"))
    np.testing.assert_allclose(one.fd, (winter - 30 < 273.15).sum("time"))
    np.testing.assert_allclose(one.su, (winter > 298.15).sum("time"))
    summer = INDICES(ds, ["tnn"], season="JJA").tnn
    np.testing.assert_allclose(
        summer.sel(year=2002), cold.sel(time=slice("2002-06", "2002-08")).min("time")
    )


def test_a_year_with_gaps_is_nan(rain):
    field = rain(years=2)
    gaps = field.where((field.lon > 5) | (field.time.dt.dayofyear > 20))
    found = INDICES(gaps, ["rx1day"]).rx1day
    assert found.isnull().all(["year", "lat"]).values.tolist() == [True, False, False, False]
    short = INDICES(field.isel(time=slice(0, 500)), ["rx1day"]).rx1day
    assert short.isnull().all(["lat", "lon"]).values.tolist() == [False, True]


def test_days_above_a_threshold_of_each_cell(daily_field):
    field = daily_field(2)
    limit = field.quantile(0.95, "time")
    found = verify.climate.days_above(field.chunk(time=100), limit)
    assert found.chunks is not None
    np.testing.assert_allclose(found.sum("year"), 37)  # 5 per cent of 730 days
    summer = verify.climate.days_above(field, 280, season="JJA")
    np.testing.assert_allclose(
        summer.sel(year=2002), (field.sel(time=slice("2002-06", "2002-08")) >= 280).sum("time")
    )
    faster = verify.climate.days_above(field, (limit - 273.15).assign_attrs(units="degC") - 1e-9)
    assert float(abs(faster - found).max()) == 0
    limit[0, 0] = np.nan
    assert verify.climate.days_above(field, limit)[:, 0, 0].isnull().all()


def test_wrong_requests_are_errors(rain, daily_field):
    with pytest.raises(FlexclimError, match="names='rx2day' is unknown"):
        INDICES(rain(), ["rx2day"])
    with pytest.raises(FlexclimError, match="'txx' needs 'tasmax'; there is pr alone"):
        INDICES(rain(), ["txx"])
    with pytest.raises(FlexclimError, match="no precipitation and no daily maxima"):
        INDICES(daily_field(1))
    with pytest.raises(FlexclimError, match="season='winter' is unknown"):
        INDICES(rain(), season="winter")
    with pytest.raises(FlexclimError, match="both 'pr'"):
        INDICES(xr.Dataset({"pr": rain(), "tp": rain()}))
    with pytest.raises(FlexclimError, match="is in 'm', which is no unit of temperature"):
        INDICES(daily_field(1, name="tasmax").assign_attrs(units="m"))


@pytest.mark.slow
@pytest.mark.parametrize(("calendar", "season"), [("360_day", None), ("standard", "DJF")])
def test_indices_are_those_of_xclim(rain, daily_field, calendar, season):
    xclim = pytest.importorskip("xclim.indices")
    warm = daily_field(3, name="tasmax", calendar=calendar, seed=1) + 10
    cold = (warm - 25).rename("tasmin").assign_attrs(units="K")
    warm, wet = warm.assign_attrs(units="K"), rain(years=3, calendar=calendar, seed=2)
    found = INDICES(xr.Dataset({"pr": wet, "tasmax": warm, "tasmin": cold}), season=season)
    calls = {
        "rx1day": (xclim.max_1day_precipitation_amount, wet, {}),
        "rx5day": (xclim.max_n_day_precipitation_amount, wet, {"window": 5}),
        "sdii": (xclim.daily_pr_intensity, wet, {}),
        "r10mm": (xclim.wetdays, wet, {"thresh": "10 mm/day"}),
        "cdd": (xclim.maximum_consecutive_dry_days, wet, {}),
        "cwd": (xclim.maximum_consecutive_wet_days, wet, {}),
        "txx": (xclim.tx_max, warm, {}),
        "txn": (xclim.tx_min, warm, {}),
        "su": (xclim.tx_days_above, warm, {"thresh": "25 degC"}),
        "tnn": (xclim.tn_min, cold, {}),
        "tnx": (xclim.tn_max, cold, {}),
        "fd": (xclim.frost_days, cold, {}),
    }
    assert set(calls) == set(found.data_vars)
    # The first winter of xclim has no December, the last one that alone.
    frequency, part = ("YS", slice(None)) if season is None else ("QS-DEC", slice(4, -1, 4))
    for name, (function, field, options) in calls.items():
        expected = function(field, freq=frequency, **options).isel(time=part)
        years = found[name] if season is None else found[name].isel(year=slice(1, -1))
        np.testing.assert_allclose(years, expected, rtol=1e-12, err_msg=name)
