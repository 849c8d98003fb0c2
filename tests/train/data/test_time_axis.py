import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from flexclim.errors import RecipeError
from flexclim.train.data.source_fields import open_fields
from flexclim.train.data.time_axis import in_seconds, join_times, times_of
from flexclim.train.recipes.source_settings import Reading


def field(times, dim="time", **coords):
    values = np.zeros((len(times), 2, 2))
    return xr.DataArray(values, {dim: times, **coords}, (dim, "y", "x"))


def dates(first="2018-10-01", count=4, calendar=None):
    if calendar is None:
        return pd.date_range(first, periods=count, freq="6h").values
    return xr.date_range(first, periods=count, freq="6h", calendar=calendar, use_cftime=True).values


def test_dates_are_found_wherever_they_are():
    times = dates()
    assert times_of(field(times), "time", "a").tolist() == times.tolist()
    steps = field(np.arange(4), "step", valid_time=("step", times))
    assert times_of(steps, "step", "a").tolist() == times.tolist()
    leads = field(times - times[0], "step", time=times[0])
    assert times_of(leads, "step", "a").tolist() == times_of(field(times), "time", "a").tolist()
    one = field(times).isel(time=1).assign_coords(run=times[0])
    one["run"].attrs["standard_name"] = "forecast_reference_time"
    assert times_of(one, None, "a").tolist() == [times[1].item()]
    assert times_of(one.drop_vars("time"), None, "a").tolist() == [0]


@pytest.mark.parametrize("kind", ["attribute", "timedelta64[ns]", "timedelta64[s]"])
def test_offsets_keep_their_steps(kind):
    steps = np.array([0, 6, 12, 15])
    one = field(steps if kind == "attribute" else (steps * np.timedelta64(3600, "s")).astype(kind))
    if kind == "attribute":
        one["time"].attrs["units"] = "hours"
    found = times_of(one, "time", "a")
    assert found.dtype.kind == "m"
    assert in_seconds(found).tolist() == [0, 21600, 43200, 54000]


@pytest.mark.parametrize(
    ("values", "units", "kind"),
    [
        (np.arange(4), None, "i"),
        (np.arange(5, 9.0), None, "i"),
        (np.arange(4), "months since 2000-01-01", "f"),
        ([0, 6, 12, 18], None, "f"),
        ([2018091400, 2018091406, 2018091412, 2018091418], None, "f"),
        (["a", "b", "c", "d"], None, "f"),
    ],
)
def test_only_consecutive_numbers_count_times(values, units, kind):
    one = field(np.array(values))
    if units:
        one["time"].attrs["units"] = units
    found = times_of(one, "time", "a")
    assert found.dtype.kind == kind
    assert found.tolist() == [0, 1, 2, 3]
    # Members have no steps.
    assert times_of(field(np.arange(4), "member").drop_vars("member"), "member", "a")[3] == 3.0


def test_files_follow_each_other_in_any_order():
    first, second = dates(), dates("2018-10-02")
    joined = join_times({"b": second, "a": first})
    assert joined.tolist() == [*second.tolist(), *first.tolist()]
    assert join_times({"a": np.arange(3), "b": np.arange(2)}).tolist() == [0, 1, 2, 3, 4]
    assert join_times({"a": np.arange(3), "b": np.arange(2.0)}).dtype.kind == "f"


@pytest.mark.parametrize("calendar", ["noleap", "standard", "proleptic_gregorian"])
def test_calendars_are_joined_by_date(calendar):
    joined = join_times({"a": dates("2020-02-28"), "b": dates("2020-03-01", 4, calendar)})
    assert joined.dtype.kind == "M"
    expected = [*dates("2020-02-28"), *dates("2020-03-01")]
    np.testing.assert_array_equal(joined, np.array(expected))


def test_one_calendar_stays():
    parts = dates("2020-02-28", 4, "360_day"), dates("2020-03-01", 4, "360_day")
    joined = join_times(dict(zip("ab", parts, strict=True)))
    assert isinstance(joined[0], cftime.Datetime360Day)
    far = np.array(["2500-01-01"], "M8[us]")
    assert join_times({"a": dates(), "b": far, "c": dates("2019", 1, "noleap")})[4] == far[0]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"a.nc": dates(), "b.nc": dates("2018-10-01T18")},
            r"a\.nc and b\.nc both have the time 2018-10-01T18:00:00; list files that do not",
        ),
        ({"a.nc": dates(), "b.nc": dates("2018-10-01T12")}, "and so for 1 other times"),
        ({"a.nc": dates(), "b.nc": np.arange(3)}, r"a\.nc has dates and b\.nc has none"),
        (
            {"a.nc": dates(), "b.nc": dates("2018-10-01", 2, "360_day")},
            r"b\.nc is in the calendar '360_day', a\.nc in 'proleptic_gregorian'.*convert_calendar",
        ),
        (
            {"a.nc": np.arange(3).astype("m8[h]"), "b.nc": np.arange(2).astype("m8[h]")},
            "both have the time 0 hours",
        ),
    ],
)
def test_files_that_do_not_follow_each_other(parts, message):
    with pytest.raises(RecipeError, match=message) as caught:
        join_times(parts)
    assert "\n" not in str(caught.value)


def test_dates_that_are_missing_or_repeated():
    times = dates()
    with pytest.raises(RecipeError, match=r"a\.nc has the time 2018-10-01T06:00:00 2 times; keep"):
        times_of(field(times[[0, 1, 1, 2]]), "time", "a.nc")
    times = np.where(np.arange(4) == 2, np.datetime64("NaT"), times)
    with pytest.raises(RecipeError, match=r"time 2 of 4 in a\.nc is missing \(NaT\)"):
        times_of(field(times), "time", "a.nc")


def test_files_of_one_time_each(tmp_path, dataset, planes):
    ds = dataset()
    for n in (2, 0, 1):
        ds.isel(time=n).to_netcdf(tmp_path / f"{n}.nc")
    fields = open_fields(Reading(path="?.nc"), str(tmp_path), ["u"])
    np.testing.assert_array_equal(fields.times, ds.time[:3])
    np.testing.assert_array_equal(planes(fields, "u"), ds.u[:3])


def test_variables_of_other_times(tmp_path, dataset):
    ds = dataset()
    late = ds.v.isel(time=slice(1, None)).rename(time="valid_time")
    ds.drop_vars("v").assign(v=late).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(RecipeError, match=r"'u' and 'v' in a\.nc have different times, 4 and 3"):
        open_fields(Reading(path="a.nc"), str(tmp_path), ["u", "v"])


def test_one_file_listed_twice(tmp_path, dataset):
    dataset().to_netcdf(tmp_path / "a.nc")
    with pytest.raises(RecipeError, match=r"a\.nc is listed twice"):
        open_fields(Reading(path=("a.nc", "*.nc")), str(tmp_path), ["u"])


@given(st.lists(st.lists(st.integers(0, 30), max_size=5, unique=True), min_size=1, max_size=4))
def test_files_are_joined_unless_they_share_a_time(parts):
    times = [np.datetime64("2018-10-01", "ns") + np.array(part, "m8[h]") for part in parts]
    named = {f"{n}.nc": part for n, part in enumerate(times)}
    together = [hour for part in parts for hour in part]
    if len(set(together)) < len(together):
        shared = [one for one in together if together.count(one) > 1]
        with pytest.raises(RecipeError, match="both have the time") as caught:
            join_times(named)
        assert f"2018-10-0{1 + min(shared) // 24}T{min(shared) % 24:02d}" in str(caught.value)
        return
    joined = join_times(named)
    assert ((joined - np.datetime64("2018-10-01")) / np.timedelta64(1, "h")).tolist() == together
