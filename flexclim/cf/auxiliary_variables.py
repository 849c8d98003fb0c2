"""Variables that describe others: bounds, grid mappings, cell measures, positions, quality.

A file names them in attributes of the variables that they describe. Where it names none, they are
recognised by their own attributes or names.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import xarray as xr

from flexclim.grids.candidates import EDGES, is_position, name_parts

# Attributes that name other variables; xarray may keep them in ``encoding``.
REFERENCES = (
    *("ancillary_variables", "bounds", "cell_measures", "climatology", "coordinates"),
    *("grid_mapping", "geometry", "node_coordinates"),
)
MAPPING_ATTRIBUTES = ("grid_mapping_name", "crs_wkt", "spatial_ref")
# Parts of the names of coordinates that bounds belong to.
COORDINATES = {"lat", "latitude", "lon", "longitude", "time", "x", "y", "rlat", "rlon"}


def auxiliary_variables(ds: xr.Dataset) -> set[str]:
    """Return the names of the variables of a Dataset that describe others; none is a field.

    These are all that another variable, or the Dataset, names in its attributes or encoding
    (``bounds``, ``grid_mapping``, ``cell_measures``, ``ancillary_variables``, ``coordinates``,
    ...), variables with attributes of a grid mapping, latitudes and longitudes, cell areas, and
    bounds that no attribute names, such as ``lat_vertices`` or ``bounds_lon``. The only data
    variable of a Dataset is not judged by its own name and attributes.

    >>> ds = xr.Dataset(
    ...     {"t": ("y", [1.0], {"cell_measures": "area: area_t"}), "area_t": ("y", [2.0])}
    ... )
    >>> auxiliary_variables(ds)
    {'area_t'}
    """
    found = set(_named(ds.attrs)) | set(_named(ds.encoding))
    for name, variable in ds.variables.items():
        found |= {*_named(variable.attrs), *_named(variable.encoding)} - {str(name)}
    if len(ds.data_vars) > 1:
        known = COORDINATES | {part for name in ds.coords for part in name_parts(name)}
        found |= {str(n) for n, field in ds.data_vars.items() if _describes(n, field, known)}
    return found & set(map(str, ds.variables))


def _named(attributes: Mapping[Hashable, object]) -> Iterator[str]:
    """Yield the names in attributes such as ``area: areacella`` or ``crs: x y``."""
    for key in REFERENCES:
        text = attributes.get(key)
        if isinstance(text, str):
            words = text.split()
            # The words before colons are keywords, such as area; of grid mappings, their names.
            yield from (w.removesuffix(":") for w in words if key == "grid_mapping" or w[-1] != ":")


def _describes(name: Hashable, field: xr.DataArray, known: set[str]) -> bool:
    """Return whether a variable looks like one that describes others."""
    parts = name_parts(name)
    return bool(
        (field.ndim > 1 and parts & EDGES and parts & known)
        or is_position(field)
        or any(key in field.attrs for key in MAPPING_ATTRIBUTES)
        or field.attrs.get("standard_name") in ("grid_latitude", "grid_longitude", "cell_area")
    )
