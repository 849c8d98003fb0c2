"""Unevenly spaced rows and columns, against Gaussian quadrature and brute-force sums."""

import numpy as np
import pytest
import xarray as xr

from flexclim.downscaling import downscale
from flexclim.errors import FlexclimWarning, GridError
from flexclim.grids.discovery import find_grid
from flexclim.grids.remap import remapper
from flexclim.grids.uneven_axes import uneven_edges
from flexclim.resampling import coarsen, interpolate

ROWS = 32


def gaussian(rows=ROWS):
    """Return Gaussian latitudes northward, and the edges between which areas are their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(rows)
    sines = np.concatenate([[-1.0], -1 + np.cumsum(weights)])
    return np.rad2deg(np.arcsin(nodes)), np.rad2deg(np.arcsin(np.clip(sines, -1, 1)))


def globe(function=None, *, bounds=True):
    lat, edges = gaussian()
    lon = np.arange(0, 360, 360 / (2 * ROWS))
    phi, lam = np.meshgrid(np.deg2rad(lat), np.deg2rad(lon), indexing="ij")
    values = np.random.default_rng(0).normal(size=phi.shape) if function is None else None
    field = values if function is None else function(phi, lam)
    ds = xr.Dataset({"t": (("lat", "lon"), field, {"units": "K"})}, {"lat": lat, "lon": lon})
    if bounds:
        ds["lat_bnds"] = (("lat", "bnds"), np.stack([edges[:-1], edges[1:]], 1))
        ds["lat"].attrs["bounds"] = "lat_bnds"
    return ds


def test_areas_are_the_weights_of_gaussian_quadrature():
    _, weights = np.polynomial.legendre.leggauss(ROWS)
    grid = find_grid(globe())
    np.testing.assert_allclose(grid.row_area[::-1], weights, rtol=1e-6)
    assert (grid.domain.north, grid.domain.south) == ("pole_edge", "pole_edge")
    assert grid.domain.wrap
    assert "about 5.537 x 5.625 degrees" in repr(grid)


def test_without_bounds_edges_are_halfway_and_poles_closed():
    lat, _ = gaussian()
    bounds = find_grid(globe(bounds=False)).y_bounds
    np.testing.assert_allclose(
        bounds[1:-1], np.stack([lat[:-2] + lat[1:-1], lat[1:-1] + lat[2:]], 1) / 2
    )
    assert (bounds[0, 0], bounds[-1, 1]) == (-90, 90)


@pytest.mark.parametrize("factor", [2, 4])
def test_fine_rows_split_each_row_within_its_bounds(factor):
    coarse = find_grid(globe())
    fine = coarse.refined(factor)
    edges = fine.y_bounds
    np.testing.assert_allclose(edges[::factor, 0], coarse.y_bounds[:, 0], atol=1e-12)
    widths = np.diff(edges, axis=1).reshape(ROWS, factor)
    np.testing.assert_allclose(widths, np.repeat(widths[:, :1], factor, 1))
    np.testing.assert_allclose(fine.y_values, edges.mean(axis=1))
    assert fine.row_area.sum() == pytest.approx(2)
    np.testing.assert_allclose(fine.coarsened(factor).y_bounds, coarse.y_bounds, atol=1e-12)


def test_coarse_means_are_area_integrals():
    fine = globe()
    means = coarsen(fine, 4)["t"]
    edges = np.sin(np.deg2rad(gaussian()[1]))
    area = np.diff(edges).reshape(-1, 4)
    blocks = fine["t"].values.reshape(ROWS // 4, 4, 2 * ROWS // 4, 4).mean(axis=3)
    expected = (blocks * area[:, :, None]).sum(axis=1) / area.sum(axis=1)[:, None]
    np.testing.assert_allclose(means, expected, atol=1e-12)


def test_interpolation_converges_and_keeps_lines():
    wave = globe(lambda phi, lam: np.sin(2 * phi) * np.cos(lam))
    fine = interpolate(wave, 4, method="bicubic")
    phi, lam = xr.broadcast(np.deg2rad(fine.lat), np.deg2rad(fine.lon))
    error = fine["t"] - np.sin(2 * phi) * np.cos(lam)
    assert float(abs(error.sel(lat=slice(-80, 80))).max()) < 0.02
    line = globe(lambda phi, lam: np.rad2deg(phi) + 0 * lam, bounds=False)
    slope = interpolate(line, 4, method="bilinear")["t"].isel(lon=0)
    inside = slope.sel(lat=slice(-80, 80))
    np.testing.assert_allclose(inside, inside.lat, atol=2e-2)


@pytest.mark.parametrize("order", ["northward", "southward", "rolled"])
def test_downscaling_keeps_block_means_in_any_order(toy_model, order):
    coarse = globe()
    turned = {
        "northward": coarse,
        "southward": coarse.isel(lat=slice(None, None, -1)),
        "rolled": coarse.roll(lon=5, roll_coords=True),
    }[order]
    plain = downscale(coarse, 2, model=toy_model, members=1, conserve=True)["t"]
    fine = downscale(turned, 2, model=toy_model, members=1, conserve=True)["t"]
    means = coarsen(fine.to_dataset().assign(lat_bnds=plainly_bounded(fine)), 2)["t"]
    aligned = means.assign_coords(lon=means.lon % 360).sortby(["lat", "lon"])[0]
    np.testing.assert_allclose(aligned, coarse["t"], atol=1e-5)
    matched = fine.assign_coords(lon=fine.lon % 360).sortby(["lat", "lon"]).values
    expected = plain.assign_coords(lon=plain.lon % 360).sortby(["lat", "lon"]).values
    np.testing.assert_allclose(matched, expected, atol=1e-5)


def plainly_bounded(fine):
    edges = find_grid(globe()).refined(2).y_bounds
    edges = edges if fine.lat[0] < fine.lat[-1] else edges[::-1, ::-1]
    fine["lat"].attrs["bounds"] = "lat_bnds"
    return (("lat", "bnds"), edges)


def test_static_fields_are_averaged_over_uneven_cells():
    source = xr.DataArray(
        np.broadcast_to(np.arange(89.5, -90, -1)[:, None], (180, 360)),
        {"lat": np.arange(89.5, -90, -1), "lon": np.arange(0.5, 360)},
        ("lat", "lon"),
    )
    target = find_grid(globe())
    remapped = remapper(find_grid(source), target, "z")(source.values)
    centres = target.y_bounds.mean(axis=1)[::-1]
    np.testing.assert_allclose(remapped[2:-2, 0], centres[2:-2], atol=0.2)


@pytest.mark.parametrize("bounds", [True, False])
def test_a_static_field_covers_its_own_cells_up_to_the_poles(bounds):
    own = find_grid(globe(lambda phi, lam: phi, bounds=bounds))
    fine = own.refined(8)
    remapped = remapper(own, fine, "z")(np.broadcast_to(own.y_values[:, None], own.domain.shape))
    centres = fine.y_bounds.mean(axis=1)[::-1]
    np.testing.assert_allclose(remapped[8:-8, 0], centres[8:-8], atol=1e-9)
    assert remapped[0, 0] == own.y_values.max()
    with pytest.raises(GridError, match="Give one that covers it"):
        remapper(find_grid(globe(bounds=bounds).isel(lat=slice(9, 20))), own, "z")


def test_bounds_end_at_the_poles():
    """Bounds that a program extrapolated may lie beyond."""
    ds = globe()
    beyond = ds["lat_bnds"].values.copy()
    beyond[0, 0], beyond[-1, 1] = -90.4, 90.4
    grid = find_grid(ds.assign(lat_bnds=(("lat", "bnds"), beyond)))
    assert (grid.y_bounds.min(), grid.y_bounds.max()) == (-90, 90)
    np.testing.assert_allclose(grid.row_area, find_grid(ds).row_area, rtol=1e-6)


def test_uneven_columns_weigh_by_their_width():
    lon = np.array([0.0, 1.0, 2.2, 3.6])
    field = xr.DataArray(
        np.random.default_rng(0).normal(size=(4, 4)),
        {"y": np.arange(4.0), "x": lon},
        ("y", "x"),
    )
    widths = np.diff(uneven_edges("x", lon))
    expected = [
        np.average(field[:2, :2].mean("y"), weights=widths[:2]),
        np.average(field[:2, 2:].mean("y"), weights=widths[2:]),
    ]
    np.testing.assert_allclose(coarsen(field, 2)[0], expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda edges: edges + 0.5 * np.eye(32)[:, [8, 9]], "overlap or leave holes"),
        (lambda edges: edges + 4, "outside its bounds"),
    ],
)
def test_wrong_bounds_are_told(change, message):
    ds = globe()
    ds["lat_bnds"] = (("lat", "bnds"), np.array(change(ds["lat_bnds"].values)))
    with pytest.raises(GridError, match=message):
        find_grid(ds)


def test_points_are_evenly_spaced():
    with pytest.raises(GridError, match='grid="point" is for evenly spaced rows'):
        find_grid(globe(), "point")


def test_rows_that_stretch_beyond_the_card_are_warned_of(make_toy):
    steps = 0.5 * 1.2 ** np.arange(16)
    lat = 10 + np.concatenate([[0], np.cumsum(steps)])
    lat = lat[lat < 60]
    field = xr.DataArray(
        np.zeros((lat.size, 16)), {"lat": lat, "lon": np.arange(16.0)}, ("lat", "lon"), "t"
    )
    model = make_toy(card={"spacing_km": (50.0, 60.0)})
    with pytest.warns(FlexclimWarning, match="fine grid has a spacing of"):
        downscale(field.chunk(), 2, model=model, members=1)
