import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim import AlignmentError, verify


def test_coordinates_almost_the_same_are_snapped(ensemble):
    forecast, truth = ensemble
    moved = forecast.assign_coords(lat=forecast.lat + 1e-9)
    assert float(verify.crps(moved, truth)) == float(verify.crps(forecast, truth))


def strip(step, dtype="float64"):
    """Return a column of longitudes near 360 degrees, in the type given."""
    lon = np.round(359.5 - step * np.arange(40)[::-1], 6).astype(dtype)
    return xr.DataArray(np.arange(40.0), {"lon": lon}, ["lon"], attrs={"units": "K"})


def turned(field):
    return field.assign_coords(lon=(field.lon + 180) % 360 - 180)


@pytest.mark.parametrize("step", [0.25, 0.1, 0.025, 0.01, 0.0025])
def test_float32_coordinates_of_the_same_grid_match(step):
    wide, narrow = strip(step), strip(step, "float32")
    for forecast, truth in [(wide, narrow), (narrow, wide), (turned(narrow), turned(wide))]:
        assert float(verify.mae(forecast, truth)) == 0
    # A chain of float32 sums is not rounding alone: no more than a tenth of a spacing passes.
    moved = wide.assign_coords(lon=wide.lon + 0.11 * step)
    with pytest.raises(AlignmentError, match=r"0\.11\d* of a spacing"):
        verify.mae(moved.assign_coords(lon=moved.lon.astype("float32")), wide)


@pytest.mark.parametrize(
    ("step", "dtype", "shift"),
    [(0.01, "float64", 2e-4), (1.0, "float32", 3e-4), (0.25, "float32", 1e-3)],
)
def test_rounding_opens_no_hole(step, dtype, shift):
    truth = strip(step, dtype)
    moved = (truth.lon.astype(float) + shift * step).astype(dtype)
    with pytest.raises(AlignmentError, match="'lon' differs in 40 of 40"):
        verify.mae(truth.assign_coords(lon=moved), truth)


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.isel(lat=slice(None, None, -1)),
        lambda f: f.isel(lon=[3, 1, 0, 2, 4, 5, 6, 9, 8, 7], time=[2, 0, 1]),
        lambda f: f.assign_coords(lon=(f.lon + 180) % 360 - 180),
        lambda f: f.assign_coords(lon=(f.lon + 180) % 360 - 180).sortby("lon"),
        lambda f: f.assign_coords(lon=f.lon - 360),
        lambda f: f.assign_coords(lon=f.lon.astype("float32")).roll(lon=3, roll_coords=True),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_order_and_longitude_convention_do_not_matter(ensemble, change, lazy):
    forecast, truth = ensemble
    forecast = forecast.assign_coords(lon=forecast.lon - 1.5)
    truth = truth.assign_coords(lon=truth.lon - 1.5)
    expected = verify.crps(forecast, truth, dim="time")
    other = change(forecast)
    if lazy:
        other = other.chunk(time=1)
    xr.testing.assert_identical(verify.crps(other, truth, dim="time").compute(), expected)


@pytest.mark.parametrize("start", [0, -180, -90])
def test_a_turn_of_longitudes_is_no_shift_by_columns(start):
    values = np.arange(36.0)
    truth = xr.DataArray(values, {"lon": np.arange(36) * 10.0}, ["lon"])
    turned_lon = (np.arange(36) * 10.0 - start) % 360 + start
    order = np.argsort(turned_lon)
    forecast = xr.DataArray(values[order], {"lon": turned_lon[order]}, ["lon"])
    assert float(verify.mae(forecast, truth)) == 0
    with pytest.raises(AlignmentError, match="'lon' differs"):
        verify.mae(forecast.assign_coords(lon=forecast.lon + 5), truth)


def test_both_ends_of_a_closed_circle_are_kept_apart():
    closed = xr.DataArray(np.arange(5.0), {"lon": [0.0, 90.0, 180.0, 270.0, 360.0]}, ["lon"])
    assert float(verify.mae(closed, closed)) == 0
    other = closed.assign_coords(lon=[-180.0, -90.0, 0.0, 90.0, 180.0])
    with pytest.raises(AlignmentError, match="'lon' differs"):
        verify.mae(other, closed)


@pytest.mark.parametrize(
    ("dim", "left", "right"),
    [
        ("level", ([1000.0, 850.0], "hPa"), ([100000.0, 85000.0], "Pa")),
        ("x", ([0.0, 25.0], "km"), ([0.0, 25000.0], "m")),
    ],
)
def test_units_of_coordinates_do_not_matter(dim, left, right):
    forecast, truth = (
        xr.DataArray([1.0, 2.0], {dim: (dim, values, {"units": units})}, [dim])
        for values, units in (left, right)
    )
    assert float(verify.mae(forecast, truth)) == 0
    with pytest.raises(AlignmentError, match=f"'{dim}' differs"):
        verify.mae(forecast.assign_coords({dim: (dim, right[0], {"units": left[1]})}), truth)


def test_rounded_coordinates_match():
    lat = 40 + np.arange(30) / 12
    truth = xr.DataArray(np.arange(30.0), {"lat": lat}, ["lat"])
    assert float(verify.mae(truth.assign_coords(lat=lat.round(2)), truth)) == 0
    y = xr.DataArray(np.arange(4.0), {"y": np.arange(4) * 3000.0}, ["y"])
    assert float(verify.mae(y.assign_coords(y=y.y + 0.018), y)) == 0


def test_cells_of_a_stacked_plane_match():
    place = {"lat": [50.0, 51.0], "lon": [5.0, 6.0, 7.0]}
    truth = xr.DataArray(np.arange(6.0).reshape(2, 3), place, ["lat", "lon"]).stack(cell=place)
    assert float(verify.mae(truth[::-1], truth)) == 0
    with pytest.raises(AlignmentError, match="'cell' differs in 6 of 6"):
        verify.mae(truth.unstack().assign_coords(lat=[50.0, 52.0]).stack(cell=place)[::-1], truth)


def test_labels_match_by_name():
    truth = xr.DataArray([1.0, 2.0], {"site": ["a", "b"]}, ["site"])
    assert float(verify.mae(truth[::-1], truth)) == 0
    with pytest.raises(AlignmentError, match=r"'site' differs in 1 of 2 .*: c in the forecast, b"):
        verify.mae(truth.assign_coords(site=["a", "c"]), truth)


def test_repeated_values_have_no_order():
    truth = xr.DataArray([1.0, 2.0, 3.0], {"time": [0, 0, 1]}, ["time"])
    assert float(verify.mae(truth, truth)) == 0
    with pytest.raises(AlignmentError, match=r"'time' differs in 2 of 3"):
        verify.mae(truth[[0, 2, 1]], truth)


SAME = {
    "rows from the south": lambda f: f.isel(lat=slice(None, None, -1)),
    "times in another order": lambda f: f.isel(time=[1, 2, 0]),
    "columns from elsewhere": lambda f: f.roll(lon=3, roll_coords=True),
    "longitudes around 0": lambda f: f.assign_coords(lon=(f.lon + 180) % 360 - 180),
    "narrow latitudes": lambda f: f.assign_coords(lat=f.lat.astype("float32")),
    "other units of times": lambda f: f.assign_coords(time=f.time.astype("M8[s]")),
    "another order of dimensions": lambda f: f.transpose(*f.dims[::-1]),
    "chunks": lambda f: f.chunk(lat=3, time=1),
    "another calendar": lambda f: f.convert_calendar("noleap", use_cftime=True),
    "labels": lambda f: f.assign_coords(row=("lat", list("abcdefgh")), level=500),
    "celsius": lambda f: (f - 273.15).assign_attrs(f.attrs, units="degC"),
}
NAMES = {"lat": "latitude", "lon": "longitude", "time": "valid_time"}


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    changes=st.lists(st.sampled_from(list(SAME)), unique=True),
    other=st.lists(st.sampled_from(list(SAME)), unique=True, max_size=2),
    renamed=st.sets(st.sampled_from(list(NAMES))),
)
def test_no_combination_of_conventions_changes_a_score(changes, other, renamed):
    rng = np.random.default_rng(0)
    axes = {
        "time": np.array(["2021-02-27", "2021-02-28", "2021-03-01"], "M8[ns]"),
        "lat": np.linspace(90, -90, 8),
        "lon": np.arange(10) * 36.0,
    }
    attributes = {"units": "K", "standard_name": "air_temperature"}
    truth = xr.DataArray(rng.normal(280, 5, (3, 8, 10)), axes, list(axes), "t", attributes)
    values = rng.normal(280, 5, (4, 3, 8, 10))
    forecast = xr.DataArray(values, axes, ["number", *axes], "t", attributes)
    expected = float(verify.crps(forecast, truth))
    for change in changes:
        forecast = SAME[change](forecast)
    for change in other:
        truth = SAME[change](truth)
    forecast = forecast.rename({name: NAMES[name] for name in renamed})
    assert float(verify.crps(forecast, truth)) == pytest.approx(expected, rel=1e-7)
