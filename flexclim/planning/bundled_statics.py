"""Orography and land-sea mask at 1 degree, which are used where the user gives no static fields."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import xarray as xr

from flexclim.grids.grid import Grid

FILE = Path(__file__).parent / "static_fields" / "era5_1deg.nc"
NAMES = "orog", "lsm"
BUNDLED_STATICS = "the bundled orography and land-sea mask (ERA5, 1 degree)"
SPACING_KM = 111.2
# Finer fields would be given a smoother surface than that of the model's training.
FINEST_KM = SPACING_KM / 1.5


def bundled_statics(names: Iterable[str], grid: Grid, spacing_km: float) -> xr.Dataset | None:
    """Return static fields that are part of the package, if they serve an output grid.

    Parameters
    ----------
    names
        All static fields that are needed: ``orog`` (m), ``lsm`` (1).
    grid
        The grid of the input, whose latitudes and longitudes must be known.
    spacing_km
        Distance between neighbouring rows of the output in km.

    Returns
    -------
    Dataset or None
        (latitude, longitude) on the 1 degree grid of ERA5; None if a name is not among them, the
        output is finer than two thirds of a degree, or its place on the Earth is unknown.
    """
    placed = grid.geographic or grid.latitude_name is not None
    if not set(names) <= set(NAMES) or not placed or not spacing_km >= FINEST_KM:
        return None
    return _read()[list(names)]


@cache
def _read() -> xr.Dataset:
    return xr.load_dataset(FILE, engine="netcdf4")
