"""Cells of grids with 2-D positions only: corners, and how the grid closes on itself."""

import numpy as np
import pytest
import xarray as xr
from grid_kinds import curvilinear

import flexclim
from flexclim.errors import FlexclimWarning
from flexclim.grids.discovery import find_grid
from flexclim.grids.regridding.cell_discovery import cells_of


def ocean():
    """Return a grid that repeats two columns where it closes and one row where it folds."""
    ds = curvilinear(12)
    wide = ds.pad(x=1, mode="wrap")
    fold = wide.isel(y=[-2], x=slice(None, None, -1))
    return xr.concat([wide, fold], "y")


def test_a_grid_that_closes_wraps():
    assert find_grid(curvilinear(9)).domain.wrap
    assert not find_grid(curvilinear(9).isel(x=slice(12))).domain.wrap
    assert find_grid(curvilinear(9), "cell").as_kind("point").domain.wrap


def test_repeated_cells_are_named():
    message = r"at y = 12 and x = 0, 25 repeat .*\.isel\(y=slice\(None, -1\), x=slice\(1, -1\)"
    with pytest.warns(FlexclimWarning, match=message):
        flexclim.interpolate(ocean(), 2)
    kept = ocean().isel(y=slice(None, -1), x=slice(1, -1))
    assert find_grid(kept).domain.wrap


def test_fine_positions_go_round():
    """Fine centres beside the seam lie between the last column and the first."""
    fine = curvilinear(18).flex.interpolate(2, "nearest")
    exact = curvilinear(36)
    apart = np.hypot(fine.lat - exact.lat, (fine.lon - exact.lon + 180) % 360 - 180)
    inner = apart.where(abs(exact.lat) < 80).isel(y=slice(2, -2))
    assert float(inner.isel(x=[0, -1]).max()) < 0.3  # of cells of 5 degrees
    assert float(inner.max()) < 0.5


def test_values_do_not_depend_on_where_the_seam_lies():
    ds = curvilinear(9, corners=True)
    turned = ds.roll(x=5, roll_coords=True)
    for method in ("bilinear", "bicubic"):
        fine, there = (one.flex.interpolate(2, method) for one in (ds, turned))
        np.testing.assert_allclose(there.t, fine.t.roll(x=10), atol=1e-12)


@pytest.mark.parametrize("corners", [True, False])
def test_coarsen_weights_cells_by_their_area(corners):
    ds = curvilinear(12, corners=corners)
    ds["t"] = ds.t.copy()
    ds.t[3, 4] = np.nan
    areas = cells_of(ds).areas.reshape(12, 24)
    known = np.where(np.isnan(ds.t), 0, areas)
    blocks = [np.nan_to_num(ds.t) * known, known]
    total, weight = (one.reshape(6, 2, 12, 2).sum(axis=(1, 3)) for one in blocks)
    coarse = ds.flex.coarsen(2)
    np.testing.assert_allclose(coarse.t, total / weight, rtol=1e-4 if corners else 1e-9)
    assert ("lat_bnds" in coarse) == corners
    if corners:
        coarse_areas = areas.reshape(6, 2, 12, 2).sum(axis=(1, 3))
        np.testing.assert_allclose(cells_of(coarse).areas, coarse_areas.ravel(), rtol=0.05)


def test_corners_are_rebuilt():
    ds = curvilinear(9, corners=True)
    fine = ds.flex.interpolate(3)
    assert fine.lat.attrs["bounds"] == "lat_bnds"
    assert fine.lat_bnds.dims == ("y", "x", "nv")
    assert cells_of(fine).areas.sum() == pytest.approx(4 * np.pi, rel=1e-4)
