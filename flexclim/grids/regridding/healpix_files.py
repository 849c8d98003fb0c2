"""Find HEALPix pixels in a file, by its CF grid mapping or the attributes in use."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.regridding.cells import Cells, healpix_cells
from flexclim.grids.regridding.healpix import level_of

# Names of the dimension of pixels, where several could be meant.
NAMES = ("cell", "cells", "cell_ids", "healpix_index", "ncells", "pix", "pixel", "values", "x")


def find_healpix(obj: xr.Dataset | xr.DataArray, grid: str | None = None) -> Cells | None:
    """Return the HEALPix pixels of ``obj``, or None if nothing says that it has some.

    Parameters
    ----------
    obj
        Fields along a dimension of pixels.
    grid
        ``"healpix"``, ``"healpix:nested"`` or ``"healpix:ring"``; others mean nothing here.

    Raises
    ------
    GridError
        If the pixels are not those of one level, or their order is unknown.

    >>> find_healpix(xr.DataArray(np.zeros((2, 48)), dims=("time", "cell")), "healpix")
    <Cells: HEALPix level 1, nested, 48 along cell>
    """
    said = grid is not None and grid.split(":")[0] == "healpix"
    known = _attributes(obj)
    if not said and not known:
        return None
    order = _order(grid if said else None, known)
    index = _index(obj)
    dim = str(obj[index].dims[0]) if index is not None else _dimension(obj)
    level = _level(known)
    number = None
    if index is not None:
        number = np.asarray(obj[index].values)
    if level is None:
        level = level_of(obj.sizes[dim])
    elif number is None and obj.sizes[dim] != 12 * 4**level:
        raise GridError(
            f"{dim!r} has {obj.sizes[dim]} cells; HEALPix level {level} has {12 * 4**level}. Add a "
            "coordinate cell_ids with the number of each cell."
        )
    return healpix_cells(dim, level, number, nested=order == "nested")


def _attributes(obj: xr.Dataset | xr.DataArray) -> Mapping[Hashable, object]:
    """Return the attributes that describe HEALPix; empty if there are none."""
    variables = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    for variable in variables.values():
        names = variable.attrs.get("grid_mapping_name"), variable.attrs.get("grid_name")
        if "healpix" in names:
            return variable.attrs
    for variable in variables.values():
        if variable.attrs.get("standard_name") == "healpix_index":
            return {"standard_name": "healpix_index", **variable.attrs}
    return {}


def _order(grid: str | None, known: Mapping[Hashable, object]) -> str:
    said = grid.partition(":")[2] if grid else ""
    keys = ("indexing_scheme", "healpix_order", "order", "ordering")
    found = said or next((str(known[key]) for key in keys if key in known), "nested")
    names = {"nest": "nested", "nested": "nested", "ring": "ring"}
    if found.lower() not in names:
        raise GridError(
            f"HEALPix indexing {found!r} is not known. "
            'Pass grid="healpix:nested" or grid="healpix:ring".'
        )
    return names[found.lower()]


def _level(known: Mapping[Hashable, object]) -> int | None:
    for key in ("refinement_level", "level", "healpix_level", "resolution"):
        if key in known:
            return int(str(known[key]))
    for key in ("healpix_nside", "nside"):
        if key in known:
            return level_of(12 * int(str(known[key])) ** 2)
    return None


def _index(obj: xr.Dataset | xr.DataArray) -> Hashable | None:
    """Return the coordinate with the numbers of pixels."""
    variables = obj.variables if isinstance(obj, xr.Dataset) else obj.coords
    for name, variable in variables.items():
        if variable.ndim == 1 and (
            variable.attrs.get("standard_name") == "healpix_index"
            or variable.attrs.get("grid_name") == "healpix"
            or name in ("cell_ids", "healpix_index")
        ):
            return name
    return None


def _dimension(obj: xr.Dataset | xr.DataArray) -> str:
    """Return the dimension with as many entries as a sphere has pixels."""
    fitting = []
    for dim, size in obj.sizes.items():
        try:
            level_of(size)
        except GridError:
            continue
        fitting.append(str(dim))
    named = [dim for dim in fitting if dim.lower() in NAMES]
    found = named or fitting
    if len(found) != 1:
        sizes = ", ".join(f"{dim}={size}" for dim, size in obj.sizes.items())
        raise GridError(
            f"no dimension, or several, of ({sizes}) could be HEALPix cells, of which a sphere "
            "has 12 x 4^level. Name it cell, and drop others."
        )
    return found[0]
