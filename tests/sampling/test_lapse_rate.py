import coarse_fields
import numpy as np
import pytest
import xarray as xr
from grid_kinds import healpix_field

import flexclim
from flexclim.errors import FlexclimError, GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.models.channels import Static

HEIGHTS = [100.0, 1500.0, 0.0]


@pytest.fixture
def region():
    field = coarse_fields.region(2, 8, 8).rename("tas") + 280
    return field.assign_attrs(units="K", standard_name="air_temperature")


@pytest.fixture
def stations():
    return xr.Dataset(
        {"elevation": ("station", HEIGHTS, {"units": "m"})},
        {"lat": ("station", [44.6, 46.4, 48.1]), "lon": ("station", [6.1, 7.9, 10.3])},
    )


@pytest.fixture
def slope(region):
    """Return orography on 0.25 degrees: 100 m at each degree north, and ridges of 200 m."""
    lat, lon = np.arange(40, 54, 0.25), np.arange(2, 16, 0.25)
    ridges = 200 * (-1.0) ** np.arange(lat.size)
    values = (100 * (lat - 40) + ridges)[:, None] + 0 * lon
    return xr.Dataset({"orog": (("lat", "lon"), values, {"units": "m"})}, {"lat": lat, "lon": lon})


def run(region, model, to, **options):
    usual = {"members": 2, "precision": "float32", "factor": 4}
    return flexclim.downscale(region, model=model, to=to, **(usual | options))


def test_temperatures_fall_from_the_interpolated_surface_of_the_input(
    region, stations, slope, toy_model
):
    """Ridges are averaged over the cells of the input; the slope is reproduced at fine centres."""
    plain = run(region, toy_model, stations)
    found = run(region, toy_model, stations, lapse_rate=6.5, static=slope)
    fine = np.floor((stations.lat.values - 0.5) * 4) / 4 + 0.5 + 0.125
    expected = -6.5 * (np.array(HEIGHTS) - 100 * (fine - 40)) / 1000
    np.testing.assert_allclose(found - plain, np.broadcast_to(expected, found.shape), atol=0.03)
    assert found.attrs["flexclim_lapse_rate"] == 6.5
    assert found.dtype == plain.dtype == np.float32


def test_a_model_that_reads_orography_resolves_it(region, stations, slope, make_toy):
    aware = make_toy(read=2, statics=(Static(name="orog", mean=500, std=500),))
    plain = run(region, aware, stations, static=slope)
    found = run(region, aware, stations, static=slope, lapse_rate=6.5)
    fine = np.floor((stations.lat.values - 0.5) * 4) / 4 + 0.5 + 0.125
    surface = slope.orog[:, 0].interp(lat=fine).values
    expected = -6.5 * (np.array(HEIGHTS) - surface) / 1000
    np.testing.assert_allclose(found - plain, np.broadcast_to(expected, found.shape), atol=0.01)


def test_units_and_other_variables(region, stations, slope, toy_model):
    other = region.rename("pr").assign_attrs(standard_name="precipitation_flux", units="mm h-1")
    ds = xr.Dataset({"tas": region, "pr": other - 280, "f": region.assign_attrs(units="degF")})
    plain, found = (
        run(ds, toy_model, stations.assign(elevation=stations.elevation * 0 + 1e3), **options)
        for options in ({}, {"lapse_rate": 10, "static": slope})
    )
    np.testing.assert_array_equal(found.pr, plain.pr)
    np.testing.assert_allclose((found - plain).f, 1.8 * (found - plain).tas, atol=1e-3)
    feet = stations.elevation * 0 + 1e3 / 0.3048
    feet = stations.assign(elevation=feet.assign_attrs(units="ft"))
    np.testing.assert_allclose(
        run(ds, toy_model, feet, lapse_rate=10, static=slope).tas, found.tas, atol=1e-3
    )


def test_the_bundled_orography_serves_coarse_input(region, stations, toy_model):
    coarse = region.isel(lat=slice(0, 4), lon=slice(0, 4))
    coarse = coarse.assign_coords(lat=51.0 - 3 * np.arange(4), lon=3.0 * np.arange(4))
    stations = stations.assign(elevation=("station", [0.0, 0, 0]))
    found = run(coarse, toy_model, stations, lapse_rate=6.5) - run(coarse, toy_model, stations)
    assert 3 < float(found[0, 0, 1]) < 15  # the Alps
    fine = coarse.assign_coords(lat=51 - 0.3 * np.arange(4), lon=0.3 * np.arange(4))
    near = stations.isel(station=[0]).assign_coords(lat=("station", [50.6]), lon=("station", [0.4]))
    with pytest.raises(GridError, match="lapse_rate needs the orography of the input's model"):
        run(fine, toy_model, near, lapse_rate=6.5)


@pytest.mark.parametrize("aware", [False, True])
def test_pixels_have_the_surface_of_their_centres(toy_model, make_toy, aware):
    """Orography rises by 10 m at each degree north.

    Means over cells of 15 degrees belong to latitudes half a degree nearer to the equator.
    """
    field = healpix_field(2).rename("tas") + 280
    field.attrs |= {"units": "K", "standard_name": "air_temperature", "grid_mapping": "crs"}
    lat, lon = np.arange(-89.0, 90, 2), np.arange(1.0, 360, 2)
    slope = xr.Dataset({"orog": (("lat", "lon"), (10 * (lat + 90))[:, None] + 0 * lon)})
    slope = slope.assign_coords(lat=lat, lon=lon)
    slope.orog.attrs["units"] = "m"
    model = make_toy(read=2, statics=(Static(name="orog", mean=500, std=500),))
    model = model if aware else toy_model
    there = cells_of(healpix_field(4))
    place = [1000, 1500, 2100]
    stations = xr.Dataset(
        {"elevation": ("station", HEIGHTS)},
        {"lat": ("station", there.latitude[place]), "lon": ("station", there.longitude[place])},
    )
    plain = run(field, model, stations, **({"static": slope} if aware else {}))
    found = run(field, model, stations, static=slope, lapse_rate=6.5)
    expected = -6.5 * (np.array(HEIGHTS) - 10 * (there.latitude[place] + 90)) / 1000
    close = 0.03 if aware else 0.06
    np.testing.assert_allclose(found - plain, np.broadcast_to(expected, found.shape), atol=close)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r, s: (r, s.drop_vars("elevation")), "needs the elevation of the target"),
        (lambda r, s: (r, s.where(s.elevation > 50)), "1 of 3 elevations of the target are missi"),
        (lambda r, s: (r, 0.5), "needs the elevation of the target"),
        (lambda r, s: (r.assign_attrs(standard_name="wind_speed"), s), "for near-surface air temp"),
        (lambda r, s: (r.assign_coords(plev=((), 5e4, {"positive": "down"})), s), "near-surface"),
    ],
)
def test_what_is_not_known_is_an_error(region, stations, slope, toy_model, change, message):
    field, to = change(region, stations)
    with pytest.raises(FlexclimError, match=message):
        run(field, toy_model, to, lapse_rate=6.5, static=slope)


def test_a_rate_is_a_number(region, stations, slope, toy_model):
    with pytest.raises(FlexclimError, match=r"lapse_rate=nan is no number of K/km"):
        run(region, toy_model, stations, lapse_rate=float("nan"), static=slope)


def test_a_store_keeps_rate_elevations_and_orography(region, stations, slope, toy_model, tmp_path):
    def write(to=stations, rate=6.5, static=slope):
        options = {"model": toy_model, "members": 1, "factor": 4, "precision": "float32"}
        return flexclim.downscale_to_zarr(
            region, tmp_path / "s.zarr", to=to, lapse_rate=rate, static=static, **options
        )

    found = write()
    expected = run(region, toy_model, stations, lapse_rate=6.5, static=slope, members=1)
    np.testing.assert_allclose(found.tas, expected, atol=1e-4)
    assert found.tas.dims == ("realization", "time", "station")
    for change, message in (
        ({"rate": 6.0}, "target lapse_rate 6.5, not 6.0"),
        ({"to": stations.assign(elevation=stations.elevation + 1)}, "target elevation"),
        ({"static": slope + 1}, "target orography"),
        ({"to": stations.assign_coords(lat=stations.lat + 0.3)}, "target hash"),
        ({"to": stations.isel(station=[0, 1])}, "target hash"),
    ):
        with pytest.raises(flexclim.StoreError, match=message):
            write(**change)
