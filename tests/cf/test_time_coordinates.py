"""Valid times are found by CF standard names, then by those of GRIB and of archives."""

import cftime
import numpy as np
import pytest
import xarray as xr

from flexclim.cf.time_coordinates import TimeCoordinates, find_times, undecoded_times

STARTS = np.array(["2018-09-14", "2018-09-15"], "datetime64[ns]")
STEPS = np.array([0, 6, 12], "timedelta64[h]").astype("timedelta64[ns]")
REFERENCE = {"standard_name": "forecast_reference_time"}
PERIOD = {"standard_name": "forecast_period", "units": "hours"}
VALID = STARTS[:, None] + STEPS

LAYOUTS = {
    "series": ({"time": ("time", STARTS)}, ("time", None, None)),
    "any name": ({"when": ("when", STARTS)}, ("when", None, None)),
    "one time": ({"when": STARTS[0]}, ("when", None, None)),
    "axis": (
        {"a": ("t", STARTS), "b": ("t", STARTS, {"axis": "T"})},
        ("b", None, None),
    ),
    "NEMO": (
        {
            "time_centered": ("time_counter", STARTS, {"standard_name": "time"}),
            "time_counter": ("time_counter", STARTS, {"standard_name": "time", "axis": "T"}),
        },
        ("time_counter", None, None),
    ),
    "GRIB run": (
        {"time": STARTS[0], "step": ("step", STEPS), "valid_time": ("step", VALID[0])},
        ("valid_time", "time", "step"),
    ),
    "GRIB runs": (
        {
            "time": ("time", STARTS, REFERENCE),
            "step": ("step", STEPS, PERIOD),
            "valid_time": (("time", "step"), VALID, {"standard_name": "time"}),
        },
        ("valid_time", "time", "step"),
    ),
    "CF run": (
        {
            "time": ("time", VALID[0]),
            "forecast_reference_time": ((), STARTS[0], REFERENCE),
            "forecast_period": ("time", [0.0, 6, 12], PERIOD),
        },
        ("time", "forecast_reference_time", "forecast_period"),
    ),
    "CF names alone": (
        {
            "a": ((), STARTS[0], REFERENCE),
            "b": ("c", STEPS, PERIOD),
            "c": ("c", VALID[0], {"standard_name": "time"}),
        },
        ("c", "a", "b"),
    ),
    "starts and leads": (
        {"time": ("time", STARTS), "prediction_timedelta": ("prediction_timedelta", STEPS)},
        (None, "time", "prediction_timedelta"),
    ),
    "leads in hours": (
        {"init": ("init", STARTS), "lead": ("lead", [0, 6, 12], {"units": "hours"})},
        (None, "init", "lead"),
    ),
    "leads without units": (
        {"init": ("init", STARTS), "lead": ("lead", [0, 6, 12])},
        ("init", None, None),
    ),
    "a start alone": (
        {"forecast_reference_time": ((), STARTS[0], REFERENCE)},
        ("forecast_reference_time", None, None),
    ),
    "valid times by lead": (
        {"time": ("time", STARTS, {"standard_name": "time"}), "lead": ("lead", STEPS)},
        ("time", None, "lead"),
    ),
    "numbers": ({"time": ("time", [2018091400, 2018091500])}, (None, None, None)),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_coordinates_of_times_are_found(layout):
    coords, (valid, reference, period) = LAYOUTS[layout]
    found = find_times(xr.Dataset(coords=coords))
    assert found == TimeCoordinates(valid=valid, reference=reference, period=period)
    assert found.dated == (layout != "numbers")


@pytest.mark.parametrize("layout", ["GRIB run", "GRIB runs", "CF run", "starts and leads"])
def test_valid_times_are_starts_plus_leads(layout):
    field = xr.Dataset(coords=LAYOUTS[layout][0])
    times = find_times(field).valid_times(field)
    expected = VALID[0] if times.ndim == 1 else VALID
    np.testing.assert_array_equal(times.values, expected)


def test_leads_in_other_calendars_and_units():
    starts = [cftime.Datetime360Day(2001, 2, 30)]
    coords = {"init": ("init", starts), "lead": ("lead", [1, 36], {"units": "hours"})}
    field = xr.Dataset(coords=coords)
    times = find_times(field).valid_times(field)
    assert times.dims == ("init", "lead")
    assert [time.isoformat() for time in times.values[0]] == [
        "2001-02-30T01:00:00",
        "2001-03-01T12:00:00",
    ]


def test_dates_of_pixels_are_no_valid_times():
    dates = np.full((2, 3), STARTS[0])
    field = xr.Dataset(coords={"time": (("y", "x"), dates)})
    assert not find_times(field, ()).dated


@pytest.mark.parametrize(
    ("name", "values", "attributes"),
    [
        ("time", [2018091400], {}),
        ("t", [0.0], {"units": "months since 1900-01-01"}),
        ("t", [0.0], {"units": "day as %Y%m%d.%f", "axis": "T"}),
        ("t", [2458375.5], {"standard_name": "time"}),
    ],
)
def test_times_that_are_numbers_are_named(name, values, attributes):
    field = xr.DataArray([1.0], {name: (name, values, attributes)}, [name])
    assert undecoded_times(field, [name]) == [name]
    assert undecoded_times(field.rename({name: "level"}).drop_attrs(), ["level"]) == []
