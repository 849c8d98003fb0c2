"""Indexes of xproj and rasterix come back, made of the new coordinates."""

import numpy as np
import pytest
import xarray as xr

import flexclim  # noqa: F401
from flexclim.cf.custom_indexes import pandas_indexes


def field(y, x, names=("y", "x")):
    attributes = {"units": "m"} if names == ("y", "x") else {}
    coords = {
        names[0]: (names[0], y, attributes | {"standard_name": "projection_y_coordinate"}),
        names[1]: (names[1], x, attributes | {"standard_name": "projection_x_coordinate"}),
    }
    if names != ("y", "x"):
        coords = {name: values for name, (_, values, _) in coords.items()}
    values = np.arange(float(y.size * x.size)).reshape(y.size, x.size)
    return xr.Dataset({"t2m": (names, values, {"units": "K"})}, coords)


@pytest.mark.parametrize("projected", [True, False])
def test_a_crs_index_is_kept(projected):
    pytest.importorskip("xproj")
    ds = field(5e6 - 1e4 * np.arange(8), 1e4 * np.arange(8))
    if not projected:
        ds = field(50.0 - np.arange(8), 5.0 + np.arange(8), ("lat", "lon"))
    ds = ds.proj.assign_crs(spatial_ref="EPSG:32632" if projected else "EPSG:4326")
    fine = ds.flex.interpolate(2)
    assert fine.proj.crs == ds.proj.crs
    assert ds["t2m"].flex.coarsen(2).proj.crs == ds.proj.crs
    assert "Grid" in repr(ds.flex)
    assert set(pandas_indexes(ds)) == set(ds["t2m"].dims)


def test_a_raster_index_is_made_of_the_new_rows_and_columns():
    rasterix = pytest.importorskip("rasterix")
    y, x = 5e6 - 1e4 * np.arange(8), 1e4 * np.arange(8)
    ds = rasterix.assign_index(field(y, x))
    plain = field(y, x)
    for found, expected in (
        (ds.flex.coarsen(2), plain.flex.coarsen(2)),
        (ds.flex.interpolate(2), plain.flex.interpolate(2)),
    ):
        assert type(found.xindexes["x"]) is rasterix.RasterIndex
        for name in ("x", "y", "t2m"):
            np.testing.assert_allclose(found[name].values, expected[name].values)


def test_an_index_that_needs_more_is_left_out():
    class Odd(xr.Index):
        @classmethod
        def from_variables(cls, variables, *, options):
            if len(next(iter(variables.values()))) != 8:
                raise ValueError("eight")
            return cls()

        def create_variables(self, variables=None):
            return dict(variables)

    ds = field(50.0 - np.arange(8), 5.0 + np.arange(8), ("lat", "lon"))
    ds = ds.drop_indexes("lat").set_xindex("lat", Odd)
    assert type(ds.flex.coarsen(2).xindexes["lat"]) is not Odd
