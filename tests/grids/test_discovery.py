import cftime
import numpy as np
import pytest
import xarray as xr
from grid_fields import CENTRES, POLES, field, projected

from flexclim.errors import FlexclimWarning, GridError
from flexclim.grids.discovery import find_grid


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


def test_the_kind_may_be_given():
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
    assert find_grid(field(lat + 0.9e-3 * noise / np.abs(noise).max(), lat)).domain.y_edges is None
    uneven = find_grid(field(lat + 3e-3 * noise / np.abs(noise).max(), lat))
    assert uneven.domain.y_edges is not None


@pytest.mark.parametrize(
    ("lat", "lon", "message"),
    [
        ([5, 4, 2, 1], [0, 1], r"the spacing of 'lat' jumps from 1 to 2 at 4: a value is missing"),
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


def bounded(values, edges):
    ds = field(values, np.arange(5.0, 9)).to_dataset(name="t")
    ds["lat"].attrs["bounds"] = "lat_bnds"
    return ds.assign(lat_bnds=(("lat", "bnds"), np.stack([edges[:-1], edges[1:]], 1)))


def test_values_at_the_edges_of_their_cells_are_warned_of():
    values = np.arange(40.0, 48)
    with pytest.warns(
        FlexclimWarning, match=r"bounds lie 0\.5 beside them, such as 41 to 42 for 41"
    ):
        find_grid(bounded(values, np.arange(40.0, 49)))


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        (np.arange(40.0, 48), np.arange(39.5, 48)),
        (np.arange(-90.0, 91, 45), np.array([-90, -67.5, -22.5, 22.5, 67.5, 90])),
        (np.arange(40.0, 48)[::-1], np.arange(39.5, 48)[::-1]),
    ],
)
def test_values_in_the_middle_of_their_cells_are_not(values, edges, recwarn):
    find_grid(bounded(values, edges))
    assert not [one for one in recwarn if issubclass(one.category, FlexclimWarning)]
