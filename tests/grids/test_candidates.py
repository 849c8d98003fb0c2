"""Which coordinates are those of the fields, in files as they are found."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from files_as_found import EAST, HEIGHT, LATITUDE, NORTH, WIDTH, files, wrf

from flexclim.cf.fields import fields_on
from flexclim.errors import GridError
from flexclim.grids.discovery import find_grid
from flexclim.planning.source import resolve, resolve_static

FILES = files()


@pytest.mark.parametrize("name", FILES)
def test_the_grid_is_found(name):
    ds, y, x, names = FILES[name]
    grid = find_grid(ds)
    assert (grid.y, grid.x, grid.domain.shape) == (y, x, (HEIGHT, WIDTH))
    assert ((grid.y_name, grid.x_name) if grid.y_name else None) == names
    if grid.latitude is not None:
        np.testing.assert_array_equal(grid.latitude, LATITUDE)
    assert fields_on(ds, grid) == list(resolve(ds).fields) == list(ds.data_vars)[:1]


@pytest.mark.parametrize("name", FILES)
def test_results_keep_the_grid(name, toy_model):
    ds, y, x, names = FILES[name]
    grid = find_grid(ds)
    fine = ds.flex.downscale(factor=2, model=toy_model, members=1, steps=1)
    for result, expected in (
        (fine, grid.refined(2)),
        (ds.flex.interpolate(2), grid.refined(2)),
        (ds.flex.coarsen(2), grid.coarsened(2)),
    ):
        found = result.flex.grid
        assert (found.y, found.x, found.y_name) == (y, x, names and names[0])
        assert found.domain == expected.domain
        assert (found.latitude_name, found.longitude_name) == (
            grid.latitude_name,
            grid.longitude_name,
        )
        if grid.latitude is not None:
            np.testing.assert_allclose(found.latitude, expected.latitude, atol=1e-9)


def test_staggered_grids_are_told_apart_by_the_variables(toy_model):
    ds = wrf("data")
    with pytest.raises(GridError, match=r"several grids: 'XLAT', 'XLAT_U' .*variables="):
        find_grid(ds)
    assert find_grid(ds, variables=["T2"]).x == "west_east"
    assert find_grid(ds, variables=["U"]).longitude_name == "XLONG_U"
    options = {"factor": 2, "model": toy_model, "members": 1, "steps": 1}
    assert ds.flex.downscale(variables=["T2"], **options)["T2"].sizes["west_east"] == 2 * WIDTH
    assert resolve(ds, variables="U").fields == ("U",)


def test_static_fields_have_the_positions_of_their_dataset():
    ds = wrf("data")[["T2", "XLAT", "XLONG"]].isel(Time=[0])
    grid = resolve_static(ds, ["T2"])["T2"].grid
    assert (grid.y, grid.x) == ("south_north", "west_east")


@pytest.mark.parametrize("lazy", [False, True])
def test_moving_grids_are_refused(lazy):
    ds = wrf()[["T2"]]
    moved = np.stack([LATITUDE, LATITUDE + 0.5])
    ds = ds.assign_coords(XLAT=(ds["XLAT"].dims, da.from_array(moved) if lazy else moved, NORTH))
    with pytest.raises(GridError, match=r"'XLAT' changes by up to 0.5 degrees along 'Time'"):
        find_grid(ds)
    assert find_grid(ds.isel(Time=1)).domain.shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize("even", [True, False])
def test_labels_that_agree_with_positions_are_the_coordinates(even):
    lat, lon = np.linspace(50, 43, HEIGHT), np.arange(WIDTH) + 355.0
    lat = lat if even else 50 - (50 - lat) ** 1.1
    plain = xr.DataArray(np.zeros((HEIGHT, WIDTH)), {"lat": lat, "lon": lon}, ("lat", "lon"))
    both = plain.assign_coords(
        lat2=(("lat", "lon"), plain.values + lat[:, None], NORTH),
        lon2=(("lat", "lon"), plain.values + lon % 360, EAST),
    )
    for name, attrs in (("lat", NORTH), ("lon", EAST)):
        both[name].attrs = attrs
    grid = find_grid(both)
    assert (grid.geographic, grid.y_name, grid.latitude_name) == (True, "lat", None)
    assert (grid.domain.y_edges is None) == even


@pytest.mark.parametrize(
    ("dim", "size", "message"),
    [
        ("x", 12, r"12 cells along 'x' are a HEALPix grid \(nside 1\)"),
        ("cell", 768, r"768 cells along 'cell' are a HEALPix grid \(nside 8\)"),
        ("ncells", 100, r"100 cells along 'ncells' are an unstructured grid"),
        ("x", 13, "has no rows. Name its coordinates"),
        ("station", 12, "has no rows and no columns. Name its coordinates"),
    ],
)
def test_lists_of_cells_are_called_by_their_name(dim, size, message):
    field = xr.DataArray(np.zeros((2, size)), dims=("time", dim), name="tas")
    with pytest.raises(GridError, match=message):
        find_grid(field)
    with pytest.raises(GridError, match=message):
        resolve(field.to_dataset())
