import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, FlexclimWarning, verify

CLIMATE = verify.climate.climatology


@pytest.mark.parametrize(("calendar", "chunked"), [("360_day", True), ("standard", False)])
def test_statistics_are_those_of_xarray(daily_field, calendar, chunked):
    field = daily_field(2, calendar=calendar)
    field[5, 1, 2] = np.nan
    found = CLIMATE(field.chunk(time=200, lat=2) if chunked else field, [0.1, 0.99])
    assert (found["mean"].chunks is not None) is chunked
    for season, part in [("year", field), *field.groupby("time.season")]:
        one = found.sel(season=season)
        np.testing.assert_allclose(one["mean"], part.mean("time"), rtol=1e-12)
        np.testing.assert_allclose(one.deviation, part.std("time"), rtol=1e-9)
        expected = part.quantile([0.1, 0.99], "time")
        np.testing.assert_allclose(one.quantiles, expected, rtol=1e-12)
    yearly = field.groupby("time.year").mean().std("year", ddof=1)
    np.testing.assert_allclose(found.interannual.sel(season="year"), yearly, rtol=1e-9)
    left, right = field[:-1].values, field[1:].values
    known = np.isfinite(left[:, 1, 2] + right[:, 1, 2])
    expected = np.corrcoef(left[known, 1, 2], right[known, 1, 2])[0, 1]
    follows = found.autocorrelation.sel(season="year")[1, 2]
    assert float(follows) == pytest.approx(expected, rel=1e-9)


def test_the_winter_of_a_year_has_its_december(days):
    times = days(3)
    values = xr.DataArray(np.zeros(times.size), {"time": times}, name="tas")
    values[(times.year == 2001) & (times.month == 12)] = 90.0
    found = CLIMATE(values, [0.5])
    # Winters of 2002: 31 of 90 days are at 90; that of 2003 has all days, 2001 and 2004 do not.
    assert float(found.interannual.sel(season="DJF")) == pytest.approx(31 / 2**0.5)


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
@pytest.mark.parametrize("middle", [True, False])
def test_months_follow_each_other(days, calendar, middle):
    months = days(20, calendar=calendar)
    months = months[months.day == 1]
    values = np.random.default_rng(0).normal(size=months.size).cumsum()
    times = months[:-1] + (months[1:] - months[:-1]) / 2 if middle else months[:-1]
    field = xr.DataArray(values[:-1], {"time": times}, name="tas")
    found = CLIMATE(field, [0.5]).autocorrelation.sel(season="year")
    assert float(found) == pytest.approx(np.corrcoef(values[:-2], values[1:-1])[0, 1])


def test_members_are_pooled_and_their_own_variability_averaged(daily_field):
    field = daily_field(2, members=3)
    found = CLIMATE(field, [0.3])
    year = found.sel(season="year")
    np.testing.assert_allclose(year["mean"], field.mean(["member", "time"]))
    expected = field.quantile(0.3, ["member", "time"])
    np.testing.assert_allclose(year.quantiles.isel(quantile=0), expected)
    each = field.groupby("time.year").mean().var("year", ddof=1).mean("member") ** 0.5
    np.testing.assert_allclose(year.interannual, each)


def test_a_season_with_few_values_is_nan(daily_field):
    field = daily_field(2)
    field[200:, 0, 0] = np.nan
    found = CLIMATE(field, [0.5])
    gone = found["mean"].isnull().sel(lat=50, lon=5)
    assert gone.values.tolist() == [True, True, False, True, True]
    assert found["mean"].isel(lat=1).notnull().all()
    assert np.isnan(found.interannual.sel(season="MAM")[0, 0])


def test_units_say_what_is_a_difference(daily_field):
    found = CLIMATE(daily_field(1))
    assert found["mean"].attrs["units_metadata"] == "temperature: on_scale"
    assert found.deviation.attrs["units_metadata"] == "temperature: difference"
    assert found.autocorrelation.attrs["units"] == "1"
    both = CLIMATE(xr.Dataset({"a": daily_field(1), "b": daily_field(1, seed=1)}))
    assert {"mean.a", "quantiles.b"} <= set(both.data_vars)


def test_probabilities_are_checked(daily_field):
    with pytest.raises(FlexclimError, match="quantiles=2"):
        CLIMATE(daily_field(1), [2])


def test_parts_of_years_are_said(daily_field):
    part = daily_field(2).isel(time=slice(0, 545))
    said = "field has 30 values in month 9, 62 in month 1: statistics of the year lean"
    with pytest.warns(FlexclimWarning, match=said):
        CLIMATE(part)
