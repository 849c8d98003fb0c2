"""Coordinates of an object that may be rows, columns, latitudes or longitudes of its grid.

CF attributes, read by cf-xarray, take precedence over names, so that files without attributes
work too. Values are not read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Sequence

import numpy as np
import xarray as xr

# Lower-case names of coordinates without attributes.
LATITUDES = (
    *("latitude", "lat", "nav_lat", "xlat", "xlat_m"),
    *("geolat", "tlat", "lat_rho", "gridlat_0"),
)
LONGITUDES = (
    *("longitude", "lon", "nav_lon", "xlong", "xlong_m"),
    *("geolon", "tlong", "lon_rho", "gridlon_0"),
)
ROWS = ("y", "yc", "rlat", "projection_y_coordinate", "northing", "northings", "south_north")
COLUMNS = ("x", "xc", "rlon", "projection_x_coordinate", "easting", "eastings", "west_east")
# Names that may mean something else where others are found.
SHORT_ROWS, SHORT_COLUMNS = ("n",), ("e",)
# Units of latitudes and longitudes (CF 4.1 and 4.2).
POSITION_UNITS = re.compile(r"degrees?_?(n|north|e|east)", re.IGNORECASE)
# Parts of the names of bounds.
EDGES = {"bnds", "bnd", "bounds", "vertices", "vertex", "corners", "corner", "vectors"}


def known_coordinates(
    obj: xr.Dataset | xr.DataArray, variables: Collection[str] = ()
) -> tuple[xr.Dataset, set[str]]:
    """Return the coordinates that the fields of an object have, and those that they name.

    Parameters
    ----------
    obj
        Latitudes and longitudes may be data variables of a Dataset, and have further dimensions
        before rows and columns, such as time, whose first index is taken.
    variables
        The fields of interest. Default: all numbers with two dimensions.

    Returns
    -------
    known
        Dataset with all dimensions of the object.
    named
        Names in the fields' attribute ``coordinates``.
    """
    import cf_xarray  # noqa: F401  registers .cf; 0.5 s, so not at import

    if isinstance(obj, xr.DataArray):
        known, fields = obj.coords.to_dataset(), [obj]
    else:
        known = obj.set_coords([name for name, one in obj.data_vars.items() if is_position(one)])
        chosen = [name for name in variables if name in known.data_vars]
        fields = [known[n] for n in chosen] or _fields(known)
        known = known.coords.to_dataset()
    for name, coordinate in known.coords.items():
        if coordinate.ndim > 2 and is_position(coordinate):
            known = known.assign_coords({name: plane(coordinate)})
    if fields:
        known = known.drop_vars([n for n, one in known.coords.items() if not _of_any(one, fields)])
    sizes = dict(obj.sizes) if not fields else {k: v for f in fields for k, v in f.sizes.items()}
    bare = {name: size for name, size in sizes.items() if name not in known.sizes}
    known = known.assign(
        {f"__{name}": (name, np.broadcast_to(False, size)) for name, size in bare.items()}
    )
    texts = (f.attrs.get("coordinates", f.encoding.get("coordinates")) for f in fields)
    return known, {name for text in texts for name in str(text).split()}


def with_positions(obj: xr.Dataset | xr.DataArray, name: str) -> xr.DataArray:
    """Return a variable of a Dataset with its latitudes and longitudes as coordinates.

    They may be data variables, such as ``nav_lat`` and ``nav_lon``. A DataArray is returned as is.
    """
    if isinstance(obj, xr.DataArray):
        return obj
    stray = [n for n, one in obj.data_vars.items() if n != name and is_position(one)]
    return obj.set_coords(stray)[name]


def plane(coordinate: xr.DataArray) -> xr.DataArray:
    """Return a coordinate (..., y, x) at the first index of all other dimensions, times first."""
    dims = sorted(coordinate.dims, key=lambda dim: coordinate[dim].dtype.kind not in "MmO")
    return coordinate.isel(dict.fromkeys(dims[:-2], 0), drop=True)


def latitudes_longitudes(known: xr.Dataset, ndim: int) -> tuple[list[str], list[str]]:
    """Return the names of latitudes and of longitudes with ``ndim`` dimensions."""
    coordinates = known.cf.coordinates
    return (
        _candidates(known, coordinates.get("latitude", []), LATITUDES, ndim),
        _candidates(known, coordinates.get("longitude", []), LONGITUDES, ndim),
    )


def rows_columns(known: xr.Dataset) -> tuple[list[str], list[str]]:
    """Return the names of 1-D coordinates of rows and of columns."""
    axes = known.cf.axes
    found = (
        _candidates(known, axes.get("Y", []), ROWS, 1),
        _candidates(known, axes.get("X", []), COLUMNS, 1),
    )
    if any(found):
        return found
    return _candidates(known, [], SHORT_ROWS, 1), _candidates(known, [], SHORT_COLUMNS, 1)


def _fields(ds: xr.Dataset) -> list[xr.DataArray]:
    return [one for one in ds.data_vars.values() if one.ndim > 1 and one.dtype.kind in "fiub"]


def is_position(variable: xr.DataArray) -> bool:
    """Return whether a variable is a latitude or longitude by its attributes or its name."""
    if variable.ndim == 0 or name_parts(variable.name) & EDGES:
        return False
    return (
        str(variable.name).lower() in (*LATITUDES, *LONGITUDES)
        or variable.attrs.get("standard_name") in ("latitude", "longitude")
        or bool(POSITION_UNITS.fullmatch(str(variable.attrs.get("units", ""))))
    )


def name_parts(name: Hashable) -> set[str]:
    """Return the parts of a name: of ``lat_bnds`` these are lat and bnds."""
    return set(str(name).lower().split("_"))


def _of_any(coordinate: xr.DataArray, fields: Iterable[xr.DataArray]) -> bool:
    return any(set(coordinate.dims) <= set(field.dims) for field in fields)


def _candidates(
    known: xr.Dataset, by_attributes: Iterable[str], names: Sequence[str], ndim: int
) -> list[str]:
    """Return coordinates of ``ndim`` dimensions: by attributes, else by name."""
    bounds = {variable.attrs.get("bounds") for variable in known.coords.values()}
    found = [n for n in by_attributes if known[n].ndim == ndim and n not in bounds]
    if not found:
        named = [str(n) for n in known.coords if str(n).lower() in names]
        found = [n for n in named if known[n].ndim == ndim and n not in bounds]
    own = [n for n in found if known[n].dims == (n,)]
    return sorted(own or found)
