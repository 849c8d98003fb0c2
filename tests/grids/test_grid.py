import dataclasses

import cftime
import dask
import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from flexclim.cf.coordinates import grid_coordinates
from flexclim.errors import GridError
from flexclim.grids.discovery import find_grid
from flexclim.grids.grid import whole_factor

POLES = np.linspace(90, -90, 7)
CENTRES = np.linspace(75, -75, 6)


def field(lat, lon, names=("lat", "lon"), **attrs):
    """Return a field whose values tell its longitude and latitude."""
    lat, lon = np.asarray(lat, float), np.asarray(lon, float)
    values = 1000 * np.round(lat, 3)[:, None] + np.round(lon % 360, 3)
    return xr.DataArray(
        values, dims=names, coords=dict(zip(names, (lat, lon), strict=True)), **attrs
    )


def projected(height=6, width=8, *, x_attrs=None, y_attrs=None, coords=True):
    """Return a field on a polar stereographic plane with 2-D latitude and longitude, in m."""
    y, x = 2500.0 * np.arange(height) - 3e6, 2500.0 * np.arange(width) - 1e6
    lat, lon = plane_positions(y, x)
    result = xr.DataArray(np.zeros((height, width)), dims=("y", "x"), name="t2m")
    result = result.assign_coords(latitude=(("y", "x"), lat), longitude=(("y", "x"), lon))
    if coords:
        result = result.assign_coords(y=("y", y, y_attrs or {}), x=("x", x, x_attrs or {}))
    return result


def plane_positions(y, x):
    """Invert a polar stereographic projection of a sphere, tangent at the pole."""
    x, y = np.meshgrid(x, y)
    latitude = 90 - 2 * np.rad2deg(np.arctan(np.hypot(x, y) / (2 * 6.371e6)))
    return latitude, np.rad2deg(np.arctan2(x, -y))


# Finding


@pytest.mark.parametrize(
    "names",
    [("lat", "lon"), ("latitude", "longitude"), ("Latitude", "Longitude"), ("nav_lat", "nav_lon")],
)
def test_plain_names_without_attributes(names):
    grid = find_grid(field(CENTRES, np.arange(0, 360, 30), names))
    assert (grid.y, grid.x, grid.geographic, grid.units) == (*names, True, "degrees")


def test_attributes_come_before_names():
    plain = field([10, 11, 12], [50, 51], ("rows", "columns"))
    with pytest.raises(
        GridError, match=r"no rows and no columns.*rows, columns|rows, columns.*no rows"
    ):
        find_grid(plain)
    plain["rows"].attrs["units"] = "degrees_north"
    plain["columns"].attrs["standard_name"] = "longitude"
    plain = plain.assign_coords(lat=("columns", [1.0, 1.5]))
    grid = find_grid(plain)
    assert (grid.y, grid.x, grid.geographic) == ("rows", "columns", True)


def test_coordinates_need_not_be_dimensions():
    plain = xr.DataArray(np.zeros((2, 3)), dims=("j", "i"))
    plain = plain.assign_coords(lat=("j", [5.0, 4.0]), lon=("i", [1.0, 2.0, 3.0]))
    grid = find_grid(plain)
    assert (grid.y, grid.x, grid.y_name, grid.x_name) == ("j", "i", "lat", "lon")


@pytest.mark.parametrize("decode", [True, False])
def test_extra_dimensions_and_calendars(decode):
    base = field(CENTRES, np.arange(0, 360, 30))
    times = [cftime.Datetime360Day(2000, 2, day) for day in (29, 30)]
    full = base.expand_dims(lead=[0, 6], time=times if decode else [0, 1], level=[850.0, 500.0])
    assert find_grid(full).domain == find_grid(base).domain
    assert find_grid(full.to_dataset(name="t")).domain == find_grid(base).domain


def test_transposed_fields():
    base = field(CENTRES, np.arange(0, 360, 30))
    assert find_grid(base.T).domain == find_grid(base).domain


@pytest.mark.parametrize(
    ("lat", "columns", "expected"),
    [
        (POLES, 12, ("point", True, "pole_row", "pole_row")),
        (POLES[::-1], 12, ("point", True, "pole_row", "pole_row")),
        (CENTRES, 12, ("cell", True, "pole_edge", "pole_edge")),
        (CENTRES[:-1], 12, ("cell", True, "pole_edge", "edge")),
        (CENTRES[:-1][::-1], 12, ("cell", True, "pole_edge", "edge")),
        (POLES[:-1], 12, ("cell", True, "edge", "edge")),
        (POLES[1:-1], 12, ("cell", True, "edge", "edge")),
        (CENTRES, 9, ("cell", True, "edge", "edge")),
        (POLES, 9, ("point", True, "edge", "edge")),
    ],
)
def test_kinds_and_borders(lat, columns, expected):
    domain = find_grid(field(lat, np.arange(columns) * 360 / columns)).domain
    assert (domain.kind, domain.wrap, domain.north, domain.south) == expected


def test_kinds_can_be_told():
    lon = np.arange(0, 360, 30)
    assert find_grid(field(POLES, lon), "cell").domain.north == "edge"
    half = find_grid(field(POLES[:3], lon), "point").domain
    assert (half.kind, half.north, half.south) == ("point", "pole_row", "edge")
    assert find_grid(field(CENTRES, lon), "point").domain.north == "edge"
    with pytest.raises(GridError, match="'points' is not known"):
        find_grid(field(POLES, lon), "points")


@pytest.mark.parametrize(
    ("lon", "shift", "flip"),
    [
        (np.arange(0, 360, 30), 0, False),
        (np.arange(-180, 180, 30), 6, False),
        (np.arange(180, -180, -30), 5, True),
        (np.arange(330, -1, -30), 0, True),
        (np.arange(-30, 330, 30), 1, False),
        (np.arange(0, 360, 30) - 1e-3, 0, False),
        (np.roll(np.arange(0, 360, 30), 4), 4, False),
        (np.roll(np.arange(330, -1, -30), 4), 8, True),
        (np.arange(15, 360, 30), 0, False),
    ],
)
def test_canonical_columns_begin_at_zero(lon, shift, flip):
    grid = find_grid(field(CENTRES, lon))
    assert grid.domain.wrap
    assert (grid.shift_x, grid.flip_x) == (shift, flip)
    east = grid.canonical(lon[None, :])[0] % 360
    east[east > 359.9] = 0
    np.testing.assert_allclose(east, np.sort(east))


@given(
    columns=st.integers(2, 40),
    start=st.integers(-360, 90),
    roll=st.integers(0, 40),
    descending=st.booleans(),
    north_first=st.booleans(),
    kind=st.sampled_from(["cell", "point"]),
    factor=st.integers(2, 5),
)
@settings(max_examples=100, deadline=None)
def test_stored_orders_of_a_global_field_are_one_canonical_field(
    columns, start, roll, descending, north_first, kind, factor
):
    """Fine cells stay at their place whichever way the coarse field is stored."""
    step = 360 / columns
    east = (np.arange(columns) + 0.25) * step
    lon = np.roll(np.sort((east - start) % 360 + start), roll)[:: -1 if descending else 1]
    lat = (POLES if kind == "point" else CENTRES)[:: 1 if north_first else -1]
    stored, plain = (
        field(lat, lon),
        field(np.sort(lat)[::-1], np.arange(columns) * step + 0.25 * step),
    )
    grid, reference = find_grid(stored, kind), find_grid(plain, kind)
    np.testing.assert_array_equal(grid.canonical(stored.values), plain.values)
    np.testing.assert_array_equal(grid.restore(plain.values), stored.values)
    fine, fine_reference = grid.refined(factor), reference.refined(factor)
    assert fine.domain == fine_reference.domain
    for ours, theirs in ((fine, fine_reference), (fine.coarsened(factor), reference)):
        assert ours.x_values is not None
        angle = np.deg2rad(ours.canonical(ours.x_values[None, :])[0] - theirs.x_values)
        np.testing.assert_allclose(np.cos(angle), 1, atol=1e-12)
        np.testing.assert_allclose(
            ours.canonical(ours.y_values[:, None] + 0 * ours.x_values)[:, 0], theirs.y_values
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [3600, 1440, 512])
def test_rounded_coordinates_are_regular(dtype, count):
    lon = (np.arange(count) * (360 / count)).astype(dtype)
    lat = (89.95 - 0.1 * np.arange(1800)).astype(dtype)
    thin = xr.DataArray(
        np.zeros((1800, count), bool), coords={"lat": lat, "lon": lon}, dims=("lat", "lon")
    )
    grid = find_grid(thin)
    assert grid.domain.wrap
    assert grid.domain.north == "pole_edge"
    np.testing.assert_allclose(grid.y_values, 89.95 - 0.1 * np.arange(1800), atol=1e-9)


def test_noise_within_a_thousandth_of_a_spacing_is_regular():
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1, 1, 10)
    noise[[0, -1]] = 0
    lat = np.arange(10.0)
    find_grid(field(lat + 0.9e-3 * noise / np.abs(noise).max(), lat))
    with pytest.raises(GridError, match=r"'lat' is not regular: its spacing runs from 0\.99"):
        find_grid(field(lat + 3e-3 * noise / np.abs(noise).max(), lat))


# Errors


GAUSSIAN = [88.572, 85.7606, 82.9667, 80.1737]


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [
        (GAUSSIAN, [0, 1], r"'lat' is not regular: its spacing runs from 2.793 to 2.8114"),
        ([1, 2, 2, 3], [0, 1], r"'lat' has the value 2 twice.*drop_duplicates"),
        ([1, 3, 2], [0, 1], r"'lat' is not sorted: it goes 1, 3, 2.*sortby\('lat'\)"),
        ([1, np.nan, 2], [0, 1], r"1 of 3 values of 'lat' are NaN"),
        ([1, 2], [0, np.inf], r"1 of 2 values of 'lon' are NaN or infinite"),
        ([1], [0, 1], r"'lat' has 1 value: a grid needs at least 2 rows"),
        ([1, 2], np.arange(0, 361, 90), r"repeats its first column: 0 and 360.*isel\(lon=slice"),
        ([1, 2], np.arange(-180, 181, 90), r"repeats its first column: -180 and 180"),
        ([1, 2], np.arange(0, 500, 90), r"'lon' spans 450 degrees, more than once"),
        ([80, 90, 100], [0, 1], r"'lat' runs from 80 to 100, beyond the poles"),
        ([1, 2], [0, 2, 1, 3], r"'lon' is not sorted: it goes 0, 2, 1"),
    ],
)
def test_unusable_coordinates(lat, lon, message):
    with pytest.raises(GridError, match=message) as caught:
        find_grid(field(lat, lon))
    assert "\n" not in str(caught.value)


def test_missing_dimensions():
    full = field([1, 2, 3], [5, 6], name="t2m")
    with pytest.raises(GridError, match=r"'t2m' with dimensions \(lon\) has 'lon' but no"):
        find_grid(full.isel(lat=0))
    with pytest.raises(GridError, match=r"dimensions \(lat\) has 'lat' but no coordinate"):
        find_grid(full.isel(lon=0, drop=True))
    with pytest.raises(GridError, match=r"no rows and no columns"):
        find_grid(xr.DataArray(np.zeros(3), dims="time"))
    with pytest.raises(GridError, match="dimension 'y' of 'u' has no coordinate values"):
        find_grid(xr.DataArray(np.zeros((2, 2)), dims=("y", "x"), name="u"))
    with pytest.raises(GridError, match="has 'lat' but no coordinate that goes with it"):
        find_grid(full.drop_vars("lon"))


def test_lists_of_points():
    unstructured = xr.DataArray(np.zeros(4), dims="cell")
    unstructured = unstructured.assign_coords(
        lat=("cell", [1.0, 2, 3, 4]), lon=("cell", [1.0, 2, 3, 4])
    )
    with pytest.raises(GridError, match="share the dimension 'cell'"):
        find_grid(unstructured)


def test_several_grids():
    one = field([1, 2], [3, 4]).to_dataset(name="a")
    two = field([1, 2], [3, 4], ("latitude", "longitude")).to_dataset(name="b")
    with pytest.raises(GridError, match="several grids: 'lat', 'latitude' could all be meant"):
        find_grid(one.merge(two))


def test_units_that_differ_and_radians():
    with pytest.raises(GridError, match="'y' and 'x' have different units, 'km' and 'm'"):
        find_grid(projected(x_attrs={"units": "m"}, y_attrs={"units": "km"}))
    bad = field([0.1, 0.2], [0.3, 0.4])
    bad["lat"].attrs["units"] = "radian"
    with pytest.raises(GridError, match="'lat' is in radians"):
        find_grid(bad)


@pytest.mark.parametrize("factor", [1, 0, -2, 2.0, 2.5, "4", None])
def test_factors_are_whole(factor):
    grid = find_grid(field(CENTRES, np.arange(0, 360, 30)))
    for change in (grid.refined, grid.coarsened):
        with pytest.raises(GridError, match="is not a whole number of at least 2"):
            change(factor)
    assert whole_factor(np.int64(4)) == 4


def test_a_row_on_the_pole_can_not_be_split():
    grid = find_grid(field(POLES[:-1], np.arange(0, 360, 30)))
    with pytest.raises(GridError, match=r"cells at 90 degrees.*isel\(lat=slice\(1, None\)\)"):
        grid.refined(2)
    with pytest.raises(GridError, match=r"cells at 90 degrees.*isel\(lat=slice\(None, -1\)\)"):
        find_grid(field(POLES[:-1][::-1], np.arange(0, 360, 30))).refined(2)


# Refining and coarsening


def test_fine_cells_by_hand():
    fine = find_grid(field([60, 50], np.arange(-180, 180, 90))).refined(2)
    np.testing.assert_array_equal(fine.y_values, [62.5, 57.5, 52.5, 47.5])
    np.testing.assert_array_equal(
        fine.x_values, [-202.5, -157.5, -112.5, -67.5, -22.5, 22.5, 67.5, 112.5]
    )
    assert fine.shift_x == 4


def test_fine_points_by_hand():
    fine = find_grid(field([-90, 0, 90], np.arange(0, 360, 90))).refined(2)
    np.testing.assert_array_equal(fine.y_values, [-90, -45, 0, 45, 90])
    np.testing.assert_array_equal(fine.x_values, np.arange(0, 360, 45))
    region = find_grid(field([2, 1], [5, 6, 7]), "point").refined(2)
    np.testing.assert_array_equal(region.y_values, [2, 1.5, 1])
    np.testing.assert_array_equal(region.x_values, [5, 5.5, 6, 6.5, 7])


def test_descending_points_begin_in_the_west():
    lon = np.arange(270, -1, -90)
    fine = find_grid(field(POLES, lon)).refined(2)
    np.testing.assert_array_equal(fine.x_values, np.arange(315, -1, -45))


def test_a_rolled_field_keeps_its_longitudes():
    fine = find_grid(field(CENTRES, [180, 270, 0, 90])).refined(2)
    np.testing.assert_array_equal(
        fine.x_values, [157.5, 202.5, 247.5, 292.5, -22.5, 22.5, 67.5, 112.5]
    )
    coarse = fine.coarsened(2)
    np.testing.assert_array_equal(coarse.x_values, [180, 270, 0, 90])


def test_coarse_blocks_count_from_zero_degrees():
    lon = np.arange(-180, 180, 20)
    coarse = find_grid(field(CENTRES, lon)).coarsened(3)
    # Blocks are 0-40, ..., 120-160, 180-220, ...; stored columns begin at -180.
    np.testing.assert_array_equal(coarse.x_values, [-160, -100, -40, 20, 80, 140])
    assert coarse.shift_x == 3
    crossing = find_grid(field(CENTRES, np.arange(-170, 190, 20))).coarsened(3)
    np.testing.assert_array_equal(crossing.x_values, [-150, -90, -30, 30, 90, 150])
    uneven = find_grid(field(np.arange(8), np.arange(-180, 180, 15))).coarsened(8)
    np.testing.assert_array_equal(uneven.x_values, [-67.5, 52.5, 172.5])
    assert uneven.canonical(uneven.x_values[None])[0].tolist() == [52.5, 172.5, -67.5]


@pytest.mark.parametrize("start", [0, -180, -90, 30])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_what_was_refined_coarsens_back(start, factor):
    """Also where fine cells begin west of 0 degrees, as cells centred on 0 do."""
    coarse = field(CENTRES, np.arange(start, start + 360, 30))
    fine_grid = find_grid(coarse).refined(factor)
    fine = field(fine_grid.y_values, fine_grid.x_values)
    back = find_grid(fine).aligned(factor).coarsened(factor)
    np.testing.assert_allclose(back.x_values, coarse.lon)
    np.testing.assert_allclose(back.y_values, coarse.lat)


def test_a_coarse_grid_may_have_one_cell():
    grid = find_grid(field([1, 2], [5, 6])).coarsened(2)
    np.testing.assert_array_equal(grid.y_bounds, [[0.5, 2.5]])
    np.testing.assert_array_equal(grid.refined(2).x_values, [5, 6])


def test_row_area():
    grid = find_grid(field(POLES, np.arange(0, 360, 30)))
    area = grid.row_area
    assert area.sum() == pytest.approx(2)
    assert area[0] == pytest.approx(1 - np.sin(np.deg2rad(75)))
    south_first = find_grid(field([10, 20, 30], [1, 2]))
    assert south_first.row_area[0] < south_first.row_area[-1]
    assert grid.refined(4).row_area.sum() == pytest.approx(2)
    assert find_grid(projected()).row_area is None


def test_spacing_km():
    assert find_grid(field(CENTRES, np.arange(0, 360, 30))).spacing_km == pytest.approx(3335.85)
    metres = find_grid(projected(x_attrs={"units": "m"}, y_attrs={"units": "m"}))
    assert metres.spacing_km == 2.5
    assert metres.refined(5).spacing_km == 0.5
    assert find_grid(projected()).spacing_km == pytest.approx(2.5, rel=0.1)
    plain = xr.DataArray(np.zeros((2, 2)), coords={"y": [1, 2], "x": [1, 2]}, dims=("y", "x"))
    assert np.isnan(find_grid(plain).spacing_km)


def test_repr_is_one_line():
    assert repr(find_grid(field(POLES, np.arange(0, 360, 30)))) == (
        "<Grid: global, 7 x 12 points of 30 x 30 degrees, lat 90 to -90, lon 0 to 330>"
    )
    assert repr(find_grid(projected(coords=False))) == (
        "<Grid: regional, 6 x 8 cells at 2-D latitude and longitude>"
    )


# Projected grids


def test_projected_grids_without_attributes():
    grid = find_grid(projected())
    assert not grid.geographic
    assert grid.flip_y
    assert (grid.domain.shape, grid.domain.wrap) == ((6, 8), False)


@pytest.mark.parametrize(("scale", "units"), [(1, "m"), (1e-3, "km"), (1 / 2500, "")])
def test_positions_tell_the_units_of_projected_coordinates(scale, units):
    plain = projected()
    plain = plain.assign_coords(y=plain.y * scale, x=plain.x * scale)
    grid = find_grid(plain)
    assert grid.units == units
    assert grid.spacing_km == pytest.approx(2.5, rel=0.1)
    assert find_grid(plain.drop_vars(["latitude", "longitude"])).units == ""
    assert find_grid(projected(coords=False)).units == ""


def test_projected_grids_with_positions_as_data_variables():
    ds = projected().to_dataset().reset_coords(["latitude", "longitude"])
    grid = find_grid(ds)
    assert (grid.latitude_name, grid.longitude_name) == ("latitude", "longitude")


@pytest.mark.parametrize("rows", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("columns", [slice(None), slice(None, None, -1)])
def test_without_coordinates_positions_tell_the_order(rows, columns):
    stored = projected(coords=False).isel(y=rows, x=columns)
    grid = find_grid(stored)
    latitude = grid.canonical(stored.latitude.values)
    longitude = grid.canonical(stored.longitude.values)
    assert (np.diff(latitude, axis=0) < 0).all()
    assert (np.diff(longitude, axis=1) > 0).all()
    assert (grid.y_name, grid.y_values, grid.refined(2).y_values) == (None, None, None)


@pytest.mark.parametrize("kind", ["cell", "point"])
def test_fine_positions_follow_the_projection(kind):
    height, width, factor = 20, 24, 4
    stored = projected(height, width)
    fine = find_grid(stored, kind).refined(factor)
    latitude, longitude = plane_positions(fine.y_values, fine.x_values)
    metres = 111195 * np.hypot(
        fine.latitude - latitude, (fine.longitude - longitude) * np.cos(np.deg2rad(latitude))
    )
    assert metres.max() < 2
    back = fine.coarsened(factor)
    assert np.abs(back.latitude - stored.latitude.values).max() * 111195 < 2
    assert np.abs(back.longitude - stored.longitude.values).max() * 111195 < 2


def test_positions_across_the_date_line():
    stored = projected(8, 8)
    lon = (stored.longitude.values + 180 + 180) % 360 - 180
    east = lon.copy()
    lon = lon - lon.mean() + 180
    for convention in (lon, (lon + 180) % 360 - 180):
        moved = stored.assign_coords(longitude=(("y", "x"), convention))
        fine = find_grid(moved).refined(2).longitude
        assert (fine.max() > 180) == (convention.max() > 180)
        step = (np.diff(fine, axis=1) + 180) % 360 - 180
        assert np.abs(step).max() < 1.1 * np.abs(np.diff(east, axis=1)).max() / 2


def test_rotated_poles_are_regional():
    rotated = field([1, 2, 3], [-2, -1, 0, 1], ("rlat", "rlon"))
    rotated["rlat"].attrs = {"standard_name": "grid_latitude", "units": "degrees"}
    rotated["rlon"].attrs = {"standard_name": "grid_longitude", "units": "degrees"}
    rotated = rotated.assign_coords(
        lat=(("rlat", "rlon"), 50 + rotated.values * 0), lon=(("rlat", "rlon"), rotated.values * 0)
    )
    grid = find_grid(rotated)
    assert (grid.y, grid.geographic, grid.domain.wrap) == ("rlat", False, False)
    assert grid.row_area is not None
    assert grid.spacing_km == pytest.approx(111.195)


# Coordinates as CF variables


def test_bounds_touch_and_end_at_the_poles():
    plain = field(POLES, np.arange(0, 360, 30))
    coordinates = grid_coordinates(find_grid(plain).refined(2), plain)
    edges = coordinates["lat_bnds"].values
    assert edges[0, 0] == 90
    assert edges[-1, 1] == -90
    np.testing.assert_array_equal(edges[:-1, 1], edges[1:, 0])
    assert coordinates["lat_bnds"].attrs == {}
    assert coordinates["lat"].attrs == {
        "standard_name": "latitude",
        "long_name": "latitude",
        "units": "degrees_north",
        "axis": "Y",
        "bounds": "lat_bnds",
    }


def test_attributes_are_carried_but_for_stale_ones():
    plain = field([1, 2], [5, 6])
    plain["lat"].attrs = {
        "long_name": "north",
        "units": "degrees_N",
        "valid_min": 1.0,
        "actual_range": [1.0, 2.0],
        "bounds": "edges",
    }
    coordinates = grid_coordinates(find_grid(plain).refined(2), plain)
    assert coordinates["lat"].attrs == {
        "standard_name": "latitude",
        "long_name": "north",
        "units": "degrees_north",
        "axis": "Y",
        "bounds": "edges",
    }
    assert "edges" in coordinates


def test_units_of_unknown_projections_are_not_invented():
    plain = projected().drop_vars(["latitude", "longitude"])
    coordinates = grid_coordinates(find_grid(plain).refined(2), plain)
    assert coordinates["y"].attrs == {"long_name": "y coordinate", "bounds": "y_bnds"}
    known = projected(x_attrs={"units": "km"}, y_attrs={"units": "km"})
    coordinates = grid_coordinates(find_grid(known).refined(2), known)
    assert coordinates["x"].attrs["standard_name"] == "projection_x_coordinate"
    assert coordinates["x"].attrs["units"] == "km"
    assert coordinates["latitude"].attrs["units"] == "degrees_north"
    assert "axis" not in coordinates["latitude"].attrs


# Promises


def refuse(*args, **kwargs):
    raise AssertionError("something was computed")


def test_planning_computes_nothing():
    lazy = projected().chunk(2)
    lazy = lazy.assign_coords(latitude=lazy.latitude.chunk(2), longitude=lazy.longitude.chunk(2))
    with dask.config.set(scheduler=refuse):
        fine = find_grid(lazy).refined(2)
        coordinates = grid_coordinates(fine, lazy)
        assert "Grid" in repr(fine)
    eager = find_grid(projected()).refined(2)
    np.testing.assert_array_equal(np.asarray(coordinates["latitude"]), eager.latitude)
    np.testing.assert_array_equal(np.asarray(coordinates["longitude"]), eager.longitude)


def test_dask_arrays_stay_lazy():
    stored = field(CENTRES[::-1], np.arange(-180, 180, 30))
    grid = find_grid(stored)
    lazy = da.from_array(stored.values, chunks=2)
    with dask.config.set(scheduler=refuse):
        canonical = grid.canonical(lazy)
        back = grid.restore(canonical)
    np.testing.assert_array_equal(canonical.compute(), grid.canonical(stored.values))
    np.testing.assert_array_equal(back.compute(), stored.values)


# Real files


@pytest.mark.parametrize(
    ("name", "shape", "kind", "borders"),
    [
        ("gfs_wind_1deg_2018.nc", (181, 360), "point", "pole_row"),
        ("gfs_wind100m_0p5deg_2022.nc", (360, 720), "cell", "edge"),
        ("static_era5_0p25.nc", (721, 1440), "point", "pole_row"),
        ("mrms_precip_1km_201609.nc", (3500, 7000), "cell", "edge"),
        ("meteonet_nw_arpege_0p1.nc", (58, 80), "cell", "edge"),
        ("arome_wind_2p5km_201511.nc", (151, 81), "cell", "edge"),
        ("small/arome_2p5km_6x128x128.nc", (128, 128), "cell", "edge"),
        ("small/mrms_1km_6x128x128.nc", (128, 128), "cell", "edge"),
    ],
)
def test_real_files(data_dir, name, shape, kind, borders):
    with xr.open_dataset(data_dir / name) as ds:
        domain = find_grid(ds).domain
    assert (domain.shape, domain.kind, domain.north, domain.south) == (
        shape,
        kind,
        borders,
        borders,
    )


def test_relief_that_repeats_its_first_longitude(data_dir):
    with xr.open_dataset(data_dir / "etopo1_0p1deg.nc") as ds:
        with pytest.raises(GridError, match=r"isel\(lon=slice\(None, -1\)\)"):
            find_grid(ds)
        assert find_grid(ds.isel(lon=slice(None, -1))).domain.kind == "point"


def test_real_positions_survive_coarsening(data_dir):
    with xr.open_dataset(data_dir / "small" / "arome_2p5km_6x128x128.nc") as ds:
        grid = find_grid(ds)
        fine = grid.coarsened(4).refined(4)
        off = np.hypot(
            fine.latitude - ds.latitude.values,
            (fine.longitude - ds.longitude.values) * np.cos(np.deg2rad(ds.latitude.values)),
        )
    assert off.max() * 111195 < 20  # m, of 2500


# Cells or points


@pytest.mark.parametrize("kind", [None, "cell", "point"])
@pytest.mark.parametrize("found_as", [None, "cell", "point"])
@pytest.mark.parametrize(
    "obj",
    [
        field(POLES, np.arange(0, 360, 30)),
        field(POLES[::-1], np.arange(-180, 180, 30)),
        field(POLES, np.arange(9) * 40),
        field(CENTRES, np.arange(0, 360, 30)),
        field(POLES[:3], np.arange(0, 360, 30)),
        field(CENTRES[:4], np.arange(5.0, 50, 5)),
        projected(),
        projected(coords=False),
        projected(coords=False).chunk(),
    ],
)
def test_taken_as_cells_or_points_like_found_as_such(obj, found_as, kind):
    expected, grid = find_grid(obj, kind), find_grid(obj, found_as).as_kind(kind)
    for one in dataclasses.fields(grid):
        np.testing.assert_array_equal(getattr(grid, one.name), getattr(expected, one.name))


def test_a_grid_is_of_cells_or_of_points():
    grid = find_grid(field(POLES, np.arange(0, 360, 30)))
    with pytest.raises(GridError, match="'points' is not known"):
        grid.as_kind("points")
