"""Attributes, coordinates and history of the Datasets that flexclim returns.

Conventions: CF-1.11.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import xarray as xr

from flexclim._version import __version__
from flexclim.cf.coordinates import STALE, grid_coordinates
from flexclim.cf.custom_indexes import pandas_indexes, with_custom_indexes
from flexclim.cf.encodings import encodings
from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.time_coordinates import TimeCoordinates, find_times
from flexclim.cf.times import calendar_of, is_time
from flexclim.cf.units import described_units
from flexclim.errors import GridError
from flexclim.grids.grid import Grid

# Attributes that describe the grid, extent or file of the source, not the values.
LEFT_BEHIND = (
    *STALE,
    *("ancillary_variables", "bounds", "cell_measures", "coordinates", "grid", "grid_mapping"),
    *("add_offset", "scale_factor", "history", "grid_label", "nominal_resolution", "resolution"),
    *("spatial_resolution", "tracking_id", "id", "uuid", "creation_date", "DX", "DY"),
)
# The same by how their names begin: flexclim's own tell how the source was made, those with an
# underscore describe its file, and the others its extent (ACDD).
LEFT_BEHIND_PREFIXES = "flexclim_", "_", "geospatial_", "time_coverage_", "date_"
# Sizes of the source's grid in files of WRF.
WRF_SIZES = re.compile(r"(WEST-EAST|SOUTH-NORTH)_(GRID|PATCH)_\w+|[IJij]_parent_\w+")
# The origin and the spacing of the old grid, which GDAL prefers to coordinates.
LEFT_BEHIND_MAPPING = "GeoTransform", "i_spacing", "j_spacing"
# Attributes by which a file holds times as numbers.
ENCODED = "units", "calendar", "dtype", "scale_factor", "add_offset"
MADE = "made by flexclim"
LEAD_HOURS = "flexclim_lead_hours"  # the time step of a forecast
GRIB_KEPT = ("GRIB_paramId", "GRIB_shortName", "GRIB_name", "GRIB_cfName", "GRIB_cfVarName")

Coordinates = dict[str, xr.Variable | xr.DataArray]


def ensemble_coordinate(numbers: Iterable[int]) -> xr.DataArray:
    """Return the coordinate of ensemble members.

    >>> ensemble_coordinate(range(3)).values
    array([0, 1, 2], dtype=int32)
    """
    return xr.DataArray(
        np.fromiter(numbers, np.int32),
        dims=REALIZATION,
        name=REALIZATION,
        attrs={"standard_name": REALIZATION, "long_name": "ensemble member", "units": "1"},
    )


def describe_fields(
    fields: Mapping[str, xr.Variable],
    source: xr.Dataset,
    grid: Grid,
    *,
    action: str,
    attributes: Mapping[str, str | int | float] | None = None,
) -> xr.Dataset:
    """Return a CF Dataset of fields that were computed from those of ``source``.

    Parameters
    ----------
    fields
        Results, numpy or dask, by the name of the variable of ``source`` with their attributes.
        A dimension ``realization`` gets a coordinate.
    source
        Dataset with names, units, grid mapping and all other coordinates.
    grid
        Grid of the results.
    action
        Processing step, for ``history``.
    attributes
        Further attributes of the Dataset, such as the model.

    Returns
    -------
    Dataset
        With encodings set, for ``to_netcdf`` or ``to_zarr`` without options.
    """
    result = xr.Dataset({name: _described(name, field, source) for name, field in fields.items()})
    taken = {grid.y_name, grid.x_name, grid.latitude_name, grid.longitude_name}
    coordinates: Coordinates = _other_coordinates(result, source, {grid.y, grid.x}, taken)
    coordinates |= grid_coordinates(grid, source, fields)
    result = _with_grid_mappings(result.assign_coords(coordinates), source)
    return _completed(result, source, list(fields), action, attributes or {})


def describe_on_target(
    fields: Mapping[str, xr.Variable],
    source: xr.Dataset,
    *,
    dims: Collection[str],
    coordinates: Mapping[str, xr.Variable],
    grid_mapping: str | None,
    action: str,
    attributes: Mapping[str, str | int | float] | None = None,
) -> xr.Dataset:
    """Return a CF Dataset of fields on other coordinates than those of ``source``.

    Parameters
    ----------
    fields, source, action, attributes
        As in :func:`describe_fields`.
    dims
        Dimensions of the grid of ``source``; coordinates along them are left behind.
    coordinates
        Coordinates of the results, which are kept as they are.
    grid_mapping
        Name of the grid mapping among them.

    Raises
    ------
    GridError
        If a coordinate of the target would take the place of a field or of one of its dimensions.
    """
    _check_taken(fields, coordinates)
    result = xr.Dataset({name: _described(name, field, source) for name, field in fields.items()})
    for field in result.data_vars.values():
        field.attrs.pop("grid_mapping", None)
        if grid_mapping:
            field.attrs["grid_mapping"] = grid_mapping
    stale = {str(n) for n, v in source.variables.items() if "grid_mapping_name" in v.attrs}
    others = _other_coordinates(result, source, dims, stale | set(coordinates))
    result = result.assign_coords(others).assign_coords(coordinates)
    return _completed(result, source, list(fields), action, attributes or {})


def _check_taken(fields: Mapping[str, xr.Variable], coordinates: Mapping[str, xr.Variable]) -> None:
    dims = {str(dim) for field in fields.values() for dim in field.dims}
    for name, coordinate in coordinates.items():
        if name in fields or (name in dims and coordinate.dims != (name,)):
            what = "a field" if name in fields else "a dimension of the fields"
            raise name_taken(name, what)


def name_taken(name: str, what: str) -> GridError:
    """Return the error for a coordinate of a target that has the name of ``what``."""
    return GridError(
        f"the target's coordinate {name!r} has the name of {what}. Rename it (or the column of a "
        "table), or drop it."
    )


def _completed(
    result: xr.Dataset,
    source: xr.Dataset,
    names: list[str],
    action: str,
    attributes: Mapping[str, str | int | float],
) -> xr.Dataset:
    """Add the coordinate of members, the Dataset's attributes, and encodings."""
    if REALIZATION in result.dims:
        known = pandas_indexes(source).get(REALIZATION)  # of an ensemble input
        count = result.sizes[REALIZATION]
        if known is None or _are_numbers(known.to_numpy()):
            members = ensemble_coordinate(range(count) if known is None else known)
        else:  # such as r1i1p1f1
            members = xr.DataArray(source.variables[REALIZATION].to_base_variable())
        result = result.assign_coords({REALIZATION: members})
    result.attrs = _global_attributes(source, action, names) | {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in attributes.items()
    }
    for name, encoding in encodings(result, "plain").items():
        result[name].encoding = encoding
    if unlimited := set(source.encoding.get("unlimited_dims", ())) & set(result.dims):
        result.encoding["unlimited_dims"] = unlimited
    return with_custom_indexes(result, source)


def _are_numbers(members: np.ndarray) -> bool:
    """Return whether members have numbers that fit their coordinate."""
    if members.dtype.kind not in "biuf":
        return False
    same: bool = np.array_equal(members, np.floor(members)) if members.size else True
    return same and bool((np.abs(members.astype(float)) <= np.iinfo(np.int32).max).all())


def _described(name: str, field: xr.Variable, source: xr.Dataset) -> xr.Variable:
    """Return a field with those attributes of its source that still hold."""
    known = source[name]
    kept = {
        key: value
        for key, value in known.attrs.items()
        if not _is_left_behind(key) and (not key.startswith("GRIB_") or key in GRIB_KEPT)
    }
    if kept.get("standard_name", "") in ("unknown", None):
        del kept["standard_name"]
    kept.setdefault("long_name", str(kept.get("standard_name", name)).replace("_", " "))
    attributes = described_units(kept, name)
    mapping = _grid_mapping(known)
    if mapping and mapping in source.variables:
        attributes["grid_mapping"] = mapping
    return xr.Variable(field.dims, field.data, attributes)


def _is_left_behind(key: object) -> bool:
    """Return whether an attribute of the source may not hold for a result."""
    name = str(key)
    return (
        name in LEFT_BEHIND
        or name.startswith(LEFT_BEHIND_PREFIXES)
        or WRF_SIZES.fullmatch(name) is not None
    )


def _grid_mapping(field: xr.DataArray) -> str | None:
    """Return the name of a field's grid mapping, also from its extended form ``crs: x y``."""
    said = field.attrs.get("grid_mapping", field.encoding.get("grid_mapping"))
    return str(said).split(":")[0].strip() if said else None


def _with_grid_mappings(result: xr.Dataset, source: xr.Dataset) -> xr.Dataset:
    names = {field.attrs.get("grid_mapping") for field in result.data_vars.values()} - {None}
    for name in sorted(map(str, names)):
        mapping = source[name].variable.copy(deep=False)
        # Its attributes say all; along rows and columns its values would not fit the result.
        mapping = mapping.isel(dict.fromkeys(mapping.dims, 0))
        mapping.encoding = {}
        mapping.attrs = {k: v for k, v in mapping.attrs.items() if k not in LEFT_BEHIND_MAPPING}
        if name in source.coords:
            mapping.attrs = {"long_name": "coordinate reference system"} | mapping.attrs
            result = result.assign_coords({name: mapping})
        else:
            result = result.assign({name: mapping})
    return result


def _other_coordinates(
    result: xr.Dataset,
    source: xr.Dataset,
    grid_dims: Collection[str],
    taken: Collection[str | None],
) -> Coordinates:
    """Return the coordinates other than the grid's, such as time and level, with their bounds."""
    # Members are numbered anew.
    left = {*grid_dims, *({REALIZATION} & set(result.dims))}
    found: Coordinates = {}
    times = find_times(source, set(result.dims) - set(grid_dims))
    for key, coordinate in source.coords.items():
        name = str(key)
        dims = set(coordinate.dims)
        if name in taken or name in left or dims & set(grid_dims) or not dims <= set(result.dims):
            continue
        variable = coordinate.variable.copy(deep=False)
        variable.attrs = {k: v for k, v in variable.attrs.items() if k not in STALE}
        for kind in ("bounds", "climatology"):
            bounds = variable.attrs.pop(kind, coordinate.encoding.get(kind))
            if bounds in source.variables:
                variable.attrs[kind] = bounds
                found[bounds] = xr.Variable(source[bounds].dims, source[bounds].data)
        if is_time(variable) or variable.dtype.kind == "m":
            # Of undecoded times; a file gets its own.
            for key in ENCODED:
                variable.attrs.pop(key, None)
        if is_time(variable):
            variable.attrs = _time_attributes(name, variable, times)
        if "standard_name" not in variable.attrs:
            variable.attrs.setdefault("long_name", name.replace("_", " "))
        found[name] = variable
    return found


def _time_attributes(name: str, variable: xr.Variable, times: TimeCoordinates) -> dict[str, object]:
    attributes = dict(variable.attrs)
    if name == times.reference:
        known = {"standard_name": "forecast_reference_time", "long_name": "start of the forecast"}
        attributes = known | attributes
    elif variable.dims == (name,) or name in ("time", times.valid):
        attributes = {"standard_name": "time", "long_name": "time"} | attributes
    if variable.dims == (name,):
        attributes["axis"] = "T"
    if calendar_of(variable) in ("standard", "gregorian", "proleptic_gregorian", "julian"):
        attributes.setdefault("units_metadata", "leap_seconds: unknown")
    return attributes


def _global_attributes(source: xr.Dataset, action: str, names: list[str]) -> dict[str, object]:
    kept = {k: v for k, v in source.attrs.items() if k == "history" or not _is_left_behind(k)}
    given = str(kept.pop("title", ""))
    if MADE in given:  # by an earlier run, which may have had other variables
        given = given.partition(f"{MADE} from ")[2]
    title = f"{', '.join(names)} {MADE}{f' from {given}' if given else ''}"
    return {"title": title} | kept | {"Conventions": "CF-1.11", "history": _history(kept, action)}


def _history(attributes: Mapping[Any, object], action: str) -> str:
    """Return the history of attributes with a processing step added."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = f"{stamp} flexclim {__version__}: {action}"
    return "\n".join(filter(None, (str(attributes.get("history", "")).rstrip(), line)))


def with_history(ds: xr.Dataset, action: str) -> xr.Dataset:
    """Return a Dataset with a processing step added to its history.

    >>> with_history(xr.Dataset(), "adjust(tas)").attrs["history"].endswith(": adjust(tas)")
    True
    """
    return ds.assign_attrs(history=_history(ds.attrs, action))
