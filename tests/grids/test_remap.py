"""Fields of other grids: against worked examples, brute force and each other."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.errors import GridError
from flexclim.grids.discovery import find_grid
from flexclim.grids.remap import positions, remapper


def field(latitudes, longitudes, values=None):
    latitudes, longitudes = np.asarray(latitudes, float), np.asarray(longitudes, float)
    if values is None:
        values = np.random.default_rng(0).normal(size=(latitudes.size, longitudes.size))
    return xr.DataArray(values, coords={"lat": latitudes, "lon": longitudes}, name="z")


def globe(step, first=0.0):
    latitudes = np.arange(90 - step / 2, -90, -step)
    return field(latitudes, np.arange(first, first + 360, step))


def remapped(source, target):
    return remapper(find_grid(source), find_grid(target), "z")(source.values)


def test_a_finer_field_is_averaged():
    source = field(np.arange(49.75, 46, -0.5), np.arange(5.25, 9, 0.5))
    target = field([49.5, 48.5, 47.5, 46.5], [5.5, 6.5, 7.5, 8.5])
    blocks = source.values.reshape(4, 2, 4, 2).mean((1, 3))
    np.testing.assert_allclose(remapped(source, target), blocks)


def test_a_coarser_field_is_interpolated():
    source = field([50, 48, 46], [4, 6, 8])
    target = field([49.5, 48.5, 47.5], [4.5, 5.5, 6.5])
    known = source.interp(lat=target.lat, lon=target.lon)
    np.testing.assert_allclose(remapped(source, target), known)


def test_the_same_grid_changes_nothing():
    source = globe(10.0)
    np.testing.assert_allclose(remapped(source, source), source.values)


@settings(deadline=None, max_examples=40)
@given(
    step=st.sampled_from([0.3, 0.7, 1.0, 2.5]),
    own=st.sampled_from([0.25, 1.0, 3.0]),
    offset=st.floats(0, 3),
)
def test_means_are_those_of_points_in_a_cell(step, own, offset):
    source = field(np.arange(60, 29, -own), np.arange(0, 31, own))
    target = field(50 - offset - step * np.arange(4), 10 + offset + step * np.arange(5))
    grid = find_grid(target)  # its coordinates are the decimals that are meant
    np.testing.assert_allclose(grid.y_values, target.lat, atol=1e-6)
    n = int(np.ceil(step / own - 1e-6))
    inside = ((np.arange(n) + 0.5) / n - 0.5) * step
    points = source.interp(
        lat=("y", np.add.outer(grid.y_values, inside).ravel()),
        lon=("x", np.add.outer(grid.x_values, inside).ravel()),
    )
    expected = points.values.reshape(4, n, 5, n).mean((1, 3))
    # Grids round their coordinates to 1e-9 of a step; the slope of the field is up to 5 per step.
    np.testing.assert_allclose(remapped(source, target), expected, atol=5e-9)


def positioned(regular, dims):
    """Return a field that has 2-D latitudes and longitudes only."""
    latitude, longitude = np.meshgrid(regular.lat, regular.lon, indexing="ij")
    coords = {
        name: (dims, values, {"standard_name": name})
        for name, values in (("latitude", latitude), ("longitude", longitude))
    }
    return xr.DataArray(regular.values, dims=dims, coords=coords, name=regular.name)


@pytest.mark.parametrize("step", [2.0, 5.0, 10.0])
def test_it_goes_around_the_globe_in_any_order(step):
    source, target = globe(5.0), globe(step, step / 2)
    expected = remapped(source, target)
    assert np.isfinite(expected).all()
    west = source.assign_coords(lon=(source.lon + 180) % 360 - 180).sortby("lon")
    for other in (source[::-1], source[:, ::-1], west, west[::-1]):
        np.testing.assert_allclose(remapped(other, target), expected, atol=1e-9)


def test_the_result_is_canonical():
    source = globe(5.0)
    target = globe(10.0, 5.0)
    expected = remapped(source, target)
    shifted = target.assign_coords(lon=(target.lon + 180) % 360 - 180).sortby("lon")[::-1]
    np.testing.assert_allclose(remapped(source, shifted), expected, atol=1e-9)
    assert positions(find_grid(shifted))[1][0, 0] % 360 == 5
    assert positions(find_grid(shifted))[0][0, 0] == 85


@pytest.mark.parametrize("step", [0.2, 2.0])
def test_positions_do_as_well_as_coordinates(step):
    """A projected grid whose cells lie on meridians gets what the regular one gets."""
    source = globe(1.0)
    regular = field(50 - step * np.arange(6), 3 + step * np.arange(7))
    projected = positioned(regular, ("y", "x"))
    tolerance = 1e-9 if step < 1 else 0.02  # points within cells follow great circles
    np.testing.assert_allclose(
        remapped(source, projected), remapped(source, regular), atol=tolerance
    )


def test_projected_coordinates_serve_where_both_have_them():
    y, x = 2500.0 * np.arange(6), 2500.0 * np.arange(8)
    units = {"units": "m"}
    values = np.random.default_rng(0).normal(size=(6, 8))
    source = xr.DataArray(
        values, coords={"y": ("y", y, units), "x": ("x", x, units)}, dims=("y", "x"), name="z"
    )
    np.testing.assert_allclose(remapped(source, source), values[::-1])
    other = source.assign_coords(y=("y", y, {"units": "km"}), x=("x", x, {"units": "km"}))
    with pytest.raises(GridError, match="another projection"):
        remapped(other, source)
    with pytest.raises(GridError, match="the model needs latitudes"):
        remapped(globe(5.0), source)


@pytest.mark.parametrize(
    ("latitudes", "longitudes", "message"),
    [
        ([55, 54], [10, 11], "'lat' of static field 'z' runs from 50 to 40, and the field from 54"),
        ([45, 44], [25, 26], "'lon' of static field 'z' runs from 5 to 20, and the field from 25"),
    ],
)
def test_what_is_not_covered_is_named(latitudes, longitudes, message):
    source = field(np.arange(50, 39, -1), np.arange(5, 21))
    with pytest.raises(GridError, match=message):
        remapped(source, field(latitudes, longitudes))


def test_half_a_cell_beyond_the_outermost_centres_is_covered():
    source = field([2, 0], [5, 7])
    np.testing.assert_allclose(remapped(source, field([3, -1], [4, 8])), source.values, rtol=1e-9)


def test_fields_with_2d_positions_only_raise():
    source = globe(10.0)
    bare = positioned(source, ("j", "i")).isel(i=slice(0, 10))
    with pytest.raises(GridError, match="2-D positions only"):
        remapper(find_grid(bare), find_grid(source), "z")
