"""Static predictors: what position and time give, and what must be brought."""

import warnings

import cftime
import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError, FlexclimWarning, GridError, ModelError
from flexclim.grids.discovery import find_grid
from flexclim.models.channels import Static
from flexclim.planning.source import resolve_static
from flexclim.planning.variable_groups import check_static_names
from flexclim.sampling.statics import check_coverage, static_channels, static_fields, year_share

COMPUTED = tuple(Static(name=name) for name in ("latitude", "day_of_year", "solar_time"))
OROGRAPHY = Static(name="orography", mean=100.0, std=50.0)


@pytest.fixture
def grid():
    coords = {"lat": [75.0, 45, 15, -15, -45, -75], "lon": np.arange(0.0, 360, 45)}
    return find_grid(xr.DataArray(np.zeros((6, 8)), coords=coords))


@pytest.fixture
def relief():
    lat, lon = np.arange(-85.0, 90, 10), np.arange(-180.0, 180, 15)
    values = np.random.default_rng(0).normal(size=(lat.size, lon.size))
    return xr.Dataset({"orography": (("lat", "lon"), values)}, {"lat": lat, "lon": lon})


def resolved(static):
    return {} if static is None else resolve_static(static, static.data_vars)


def channels(grid, wanted, time=None, static=None):
    fields = static_fields(resolved(static), grid, wanted)
    return static_channels(fields, wanted, grid.domain.shape, time)


def test_channels_by_hand(grid):
    noon = np.datetime64("2019-07-02T12:00")
    found = channels(grid, COMPUTED, noon)
    assert found.shape == (5, 6, 8)
    assert found.dtype == np.float32
    sine, year_sine, year_cosine, day_sine, day_cosine = found
    np.testing.assert_allclose(sine[:, 0], np.sin(np.deg2rad(grid.y_values)), rtol=1e-6)
    np.testing.assert_allclose([year_sine[0, 0], year_cosine[0, 0]], [0, -1], atol=1e-6)
    # Noon at Greenwich, 18 h at 90 E, midnight at 180, 6 h at 270 E.
    np.testing.assert_allclose(day_sine[0, ::2], [0, -1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(day_cosine[0, ::2], [-1, 0, 1, 0], atol=1e-6)


def test_missing_values_of_static_fields(grid, relief):
    """Those that are declared are filled; others are refused by name."""
    wanted = (Static(name="orography"),)
    holes = relief.where(relief.orography > -1)
    expected = channels(grid, wanted, static=holes)
    coded = holes.fillna(-9999.0)
    coded.orography.attrs["missing_value"] = -9999.0
    np.testing.assert_array_equal(channels(grid, wanted, static=coded), expected)
    with pytest.raises(FlexclimError, match=r"'orography' has \d+ values of -9999 at static"):
        channels(grid, wanted, static=holes.fillna(-9999.0))


def test_channels_keep_their_order_and_are_normalised(grid, relief):
    wanted = (COMPUTED[1], OROGRAPHY, COMPUTED[0])
    found = channels(grid, wanted, np.datetime64("2019-01-01"), relief)
    assert len(found) == 4
    raw = channels(grid, (Static(name="orography"),), None, relief)
    np.testing.assert_allclose(found[2], (raw[0] - 100) / 50, rtol=1e-6)


def test_any_calendar_has_a_year():
    assert year_share(cftime.Datetime360Day(2000, 7, 1)) == 0.5
    assert year_share(cftime.DatetimeNoLeap(2000, 7, 2, 12)) == 0.5
    gregorian = cftime.DatetimeGregorian(2000, 3, 1, 6)
    assert year_share(gregorian) == pytest.approx(year_share(np.datetime64("2000-03-01T06")))


def test_missing_values_take_the_nearest(grid, relief):
    holes = relief.where(relief.lon > -100)
    found = channels(grid, (OROGRAPHY,), None, holes)
    assert np.isfinite(found).all()
    with pytest.raises(GridError, match="'orography' is all NaN"):
        channels(grid, (OROGRAPHY,), None, relief * np.nan)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"flag_values": [1, 2], "flag_meanings": "sand clay"}, "holds categories.*fraction of"),
        ({"long_name": "direction of the slope", "units": "degrees"}, "holds directions.*sine and"),
    ],
)
def test_what_has_no_average_gives_a_warning(grid, relief, attributes, message):
    relief.orography.attrs |= attributes
    with pytest.warns(FlexclimWarning, match=message):
        channels(grid, (OROGRAPHY,), None, relief)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        channels(grid, (OROGRAPHY,), None, (relief > 0).assign(orography=relief.orography > 0))


def test_values_far_from_those_of_training_give_a_warning(grid, relief):
    """Geopotential without units for a height, for example."""
    relief.orography[:] = np.linspace(0, 5000, relief.orography.size).reshape(18, 24)
    height = Static(name="orography", mean=300.0, std=800.0)
    with pytest.warns(
        FlexclimWarning, match=r"reaches 4\.6\d+e\+04, 5\d standard deviations from its mean"
    ):
        channels(grid, (height,), None, relief * 9.80665)
    for wanted, static in ((height, relief), (Static(name="orography"), relief * 9.80665)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            channels(grid, (wanted,), None, static)


def test_a_time_dimension_of_one_is_no_obstacle(grid, relief):
    np.testing.assert_array_equal(
        channels(grid, (OROGRAPHY,), None, relief.expand_dims(time=1)),
        channels(grid, (OROGRAPHY,), None, relief),
    )


def test_the_order_of_a_file_does_not_matter(grid, relief):
    wanted = (OROGRAPHY, *COMPUTED)
    time = np.datetime64("2020-03-04T05:06")
    field = xr.DataArray(np.zeros((6, 8)), {"lat": grid.y_values, "lon": grid.x_values})
    west = field.assign_coords(lon=(field.lon + 180) % 360 - 180).sortby("lon")
    turned = find_grid(west[::-1])
    np.testing.assert_allclose(
        channels(turned, wanted, time, relief), channels(grid, wanted, time, relief), atol=1e-6
    )


def test_windows_of_fields_give_windows_of_channels(grid, relief):
    wanted = (OROGRAPHY, *COMPUTED)
    time = np.datetime64("2020-03-04T05:06")
    fields = static_fields(resolved(relief), grid, wanted)
    part = {name: field[1:4, 2:7] for name, field in fields.items()}
    np.testing.assert_array_equal(
        static_channels(part, wanted, (3, 5), time),
        static_channels(fields, wanted, (6, 8), time)[:, 1:4, 2:7],
    )


@pytest.mark.parametrize(
    ("change", "wanted", "message"),
    [
        (lambda ds: None, (OROGRAPHY,), r"model 'm' needs static fields \(orography\)"),
        (lambda ds: ds, COMPUTED, "model 'm' takes no static fields"),
        (
            lambda ds: ds.rename(orography="orog").assign(lsm=ds.orography),
            (OROGRAPHY,),
            "static has no 'orography', which model 'm' needs; it has orog. Rename",
        ),
        (lambda ds: ds.drop_vars("orography"), (OROGRAPHY,), "it has nothing"),
        (lambda ds: ds.sel(lat=slice(0, 90)), (OROGRAPHY,), "runs from 5 to 85, and the field"),
        (lambda ds: ds.isel(lon=slice(3, 9)), (OROGRAPHY,), "Give one that covers it"),
        (lambda ds: ds.expand_dims(month=12), (OROGRAPHY,), r"the dimension 'month'. Select one"),
    ],
)
def test_what_is_wrong_is_named(grid, relief, change, wanted, message):
    def check(static):
        check_static_names(static, wanted, "m")
        check_coverage(resolved(static), grid, wanted)

    with pytest.raises((ModelError, GridError), match=message) as caught:
        check(change(relief))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("time", [None, 7])
def test_times_without_dates_are_named(grid, time):
    with pytest.raises(ModelError, match=f"day_of_year needs dates, and the time is {time}"):
        channels(grid, COMPUTED, time)


def test_positions_that_nobody_knows_are_named():
    field = xr.DataArray(np.zeros((4, 4)), coords={"y": np.arange(4.0), "x": np.arange(4.0)})
    with pytest.raises(GridError, match="Add 2-D coordinates latitude and longitude"):
        check_coverage({}, find_grid(field), COMPUTED)
