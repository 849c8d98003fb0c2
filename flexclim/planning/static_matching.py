"""Which of the user's static fields a model's is, by name or by meaning, and on which grid."""

from __future__ import annotations

from collections.abc import Iterable

import xarray as xr

from flexclim.cf.conversion import conversion
from flexclim.cf.variable_names import Quantity, is_quantity
from flexclim.grids.candidates import with_positions
from flexclim.grids.discovery import find_grid
from flexclim.grids.grid import Grid
from flexclim.grids.remap import same_coordinates
from flexclim.resampling.rows_and_columns import find_cell_list, on_regular_grid

OROGRAPHY = Quantity(
    standard_names=("surface_altitude", "altitude", "geopotential", "surface_geopotential"),
    names=(
        *("orog", "orography", "hgt", "hgt_m", "hsurf", "zsurf", "topo", "topography", "terrain"),
        *("elevation", "elev", "height", "surface_altitude", "ht", "relief", "dem"),
        *("z", "zs", "phis", "fis", "sgp", "geopotential", "surface_geopotential"),
    ),
)
LAND = Quantity(
    standard_names=("land_binary_mask", "land_area_fraction"),
    names=(
        *("lsm", "sftlf", "landmask", "land_mask", "land_sea_mask", "lsmask", "slm", "fr_land"),
        *("landfrac", "land_fraction", "land_area_fraction", "land", "frland", "land_binary_mask"),
    ),
)


def matched_statics(static: xr.Dataset, names: Iterable[str]) -> xr.Dataset:
    """Return static fields, those of the wanted meaning under the wanted names too.

    Orography is found by its standard name or usual short names, also as geopotential; so is the
    land-sea mask, also as fraction of land. A field of the wanted name comes first, then the only
    one with that meaning; of orography, one in units of length.

    >>> static = xr.Dataset({"sftlf": ((), 40.0, {"units": "%"})})
    >>> list(matched_statics(static, ["lsm", "orog"]))
    ['sftlf', 'lsm']
    """
    found = {}
    for name in names:
        quantity = next((one for one in (OROGRAPHY, LAND) if name.lower() in one.names), None)
        if name in static.data_vars or quantity is None:
            continue
        alike = [one for one in static.data_vars if is_quantity(static[one], quantity)]
        lengths = [n for n in alike if conversion(str(static[n].attrs.get("units", "")), "m")]
        best = lengths if quantity is OROGRAPHY and len(lengths) == 1 else alike
        if len(best) == 1:
            found[name] = static[best[0]]
    return static.assign(found)


def on_known_grid(static: xr.Dataset, name: str, grid: Grid | None) -> xr.Dataset:
    """Return a static field on latitudes and longitudes, or in the coordinates of ``grid``.

    Fields on HEALPix, unstructured, curvilinear and other projected grids are regridded to a
    regular grid of about their own spacing. Without ``grid`` they stay as they are.
    """
    if grid is None:
        return static
    one = with_positions(static, name).to_dataset()
    if find_cell_list(one) is not None:
        return on_regular_grid(one)
    own = find_grid(static, variables=[name])
    known = own.y_values is not None and same_coordinates(own, grid)
    return static if own.geographic or known else on_regular_grid(one)
