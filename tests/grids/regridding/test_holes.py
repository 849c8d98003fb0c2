import numpy as np
import pytest
from grid_kinds import curvilinear, positions, triangles

from flexclim.errors import GridError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.polygons import vectors


def scaled(ds, factor, names=("clat_bnds", "clon_bnds"), radians=True):
    """Return cells that are larger or smaller by a factor, around the same centres."""
    unit = 1 if radians else np.pi / 180
    lat, lon = (ds[name].values * unit for name in names)
    corners = np.moveaxis(vectors(lon, np.sin(lat)), 0, -1)
    centres = corners.mean(axis=-2, keepdims=True)
    both = positions(centres + factor * (corners - centres))
    ds = ds.copy(deep=True)
    for name, values in zip(names, both, strict=True):
        ds[name].values[:] = np.deg2rad(values) / unit
    return ds


@pytest.mark.parametrize("factor", [1.0, 1.01, 0.9])
def test_cells_that_leave_holes(factor):
    grids = (
        scaled(triangles(120), factor),
        scaled(curvilinear(10, corners=True), factor, ("lat_bnds", "lon_bnds"), radians=False),
    )
    for ds in grids:
        cells = cells_of(ds)
        if factor < 1:
            with pytest.raises(GridError, match=r"leave holes: beside \d+ % of their corners"):
                _ = cells.polygons
            assert cells_of(ds, bounds=False).polygons.size == cells.size
        else:
            assert cells.polygons.size == cells.size
