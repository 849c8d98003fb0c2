"""Fields without rows and columns, taken to a regular grid of about their own spacing."""

import logging

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from grid_kinds import (
    healpix_field,
    points,
    reduced_gaussian,
    regular,
    smooth,
    triangles,
)

import flexclim
from flexclim.errors import GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.resampling.rows_and_columns import find_cell_list, on_common_rows, on_rows

# Fields by kind, rows of their regular grid: 12 n^2 and 18 n^2 cells of HEALPix, as many rows as
# a reduced Gaussian grid has, and 360^2 / pi / 700 square degrees for each of 700 points.
LISTS = {
    "nested": (healpix_field, 24),
    "ring": (lambda: healpix_field(3, nested=False), 24),
    "reduced Gaussian": (reduced_gaussian, 18),
    "points": (points, 23),
    "triangles": (triangles, 23),
}


def dataset(field):
    return field.to_dataset() if isinstance(field, xr.DataArray) else field


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("lazy", [False, True])
def test_lists_become_rows(kind, lazy, caplog):
    make, rows = LISTS[kind]
    ds = dataset(make())
    found = find_cell_list(ds)
    with caplog.at_level(logging.INFO, "flexclim"):
        regular = on_rows(ds.chunk() if lazy else ds, found)
    assert regular.t.shape == (rows, 2 * rows)
    assert isinstance(regular.t.data, da.Array) == lazy
    assert regular.attrs["input_grid"] == found.text() == caplog.messages[0]
    assert f"to {rows} x {2 * rows} cells of {180 / rows:.4g} degrees" in found.text()
    # Twice the second derivative's share of a cell of 10 degrees.
    assert float(abs(regular.t - smooth(regular.lat, regular.lon)).max()) < 0.2
    cells, every = cells_of(ds), cells_of(regular)
    mean = (ds.t.values * cells.areas).sum() / cells.areas.sum()
    there = (regular.t.values.ravel() * every.areas).sum() / every.areas.sum()
    assert abs(there - mean) < 1e-6 * float(ds.t.std())


def test_fields_with_bounds_keep_them():
    field = healpix_field(2, lambda lat, lon: np.maximum(smooth(lat, lon) - 3, 0))
    rain = field.rename("pr").assign_attrs(units="mm h-1")
    ds = rain.to_dataset().assign(t=field)
    found = on_rows(ds, find_cell_list(ds))
    assert list(found.data_vars) == ["pr", "t"]
    assert found.pr.min() == 0
    assert found.t.min() < 0


def test_rows_and_columns_stay():
    assert find_cell_list(regular()) is None
    with pytest.raises(GridError, match=r"no dimension, or several, of \(lat=4, lon=8\) could be"):
        flexclim.coarsen(regular(4), 2, grid="healpix")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda field: field.isel(cell=slice(5)), "5 points along 'cell' are stations or a track"),
        (lambda field: field.assign_coords(id=("cell", np.arange(99), {"cf_role": "x"})), "99 po"),
        (
            lambda field: field.assign_coords(when=("cell", np.arange(99).astype("M8[ns]"))),
            "are stations or a track, not a grid. Take fields to them with regrid",
        ),
    ],
)
def test_stations_are_no_grid(change, message):
    field = change(points(99))
    for function in (flexclim.downscale, flexclim.coarsen, flexclim.interpolate):
        with pytest.raises(GridError, match=message):
            function(field, 2)


def test_cells_without_corners():
    ds = triangles()
    ds["clat_bnds"] = ds.clat_bnds * np.nan
    with pytest.raises(GridError, match=r"none of \d+ cells has an area\. Check the corners"):
        find_cell_list(ds)
    ds = triangles()
    ds["clat_bnds"][:3] = np.nan
    assert find_cell_list(ds).degrees == find_cell_list(triangles()).degrees


def test_fields_of_another_grid_are_left_out():
    ds = healpix_field(2).to_dataset()
    node = xr.DataArray(np.zeros(20), {"nlat": ("node", np.arange(20.0))}, dims="node")
    node.nlat.attrs["standard_name"] = "latitude"
    found = on_rows(ds.assign(other=node, level=3), find_cell_list(ds))
    assert list(found.data_vars) == ["t", "level"]


def test_two_fields_on_common_rows():
    pixels, rows = healpix_field(3), regular(12)
    one, other = on_common_rows(pixels, rows)
    assert other is rows
    assert one.dims == ("lat", "lon")
    np.testing.assert_array_equal(one.lat, rows.lat)
    other, one = on_common_rows(rows, pixels)
    assert other is rows
    np.testing.assert_array_equal(one.lon, rows.lon)
    one, other = on_common_rows(pixels, healpix_field(3, nested=False))
    np.testing.assert_allclose(one, other, atol=1e-3)
    assert one.name == "t"
    assert "input_grid" in one.attrs
