"""Names, units, ensemble coordinate, encodings and history of what flexclim returns.

Conventions: CF-1.11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import xarray as xr

from flexclim._version import __version__
from flexclim.cf.coordinates import STALE, grid_coordinates
from flexclim.cf.quantities import non_negative as non_negative
from flexclim.cf.quantities import vector_component as vector_component
from flexclim.cf.times import calendar_of, is_time
from flexclim.cf.units import described_units
from flexclim.errors import FlexclimError
from flexclim.grids.grid import Grid

REALIZATION = "realization"
LARGEST = 1e30  # beyond it lie fill values that nobody declared, such as 9.97e36
TIME_UNITS = "seconds since 1970-01-01 00:00:00"

# Attributes of a field that speak of its old grid or file.
LEFT_BEHIND = (
    *STALE,
    *("ancillary_variables", "bounds", "cell_measures", "coordinates", "grid", "grid_mapping"),
    *("add_offset", "scale_factor", "_Unsigned", "history", "flexclim_tiles"),
)
LEFT_BEHIND_GLOBAL = (
    *("grid", "grid_label", "nominal_resolution", "coordinates", "tracking_id", "flexclim_tiles"),
)
GRIB_KEPT = ("GRIB_paramId", "GRIB_shortName", "GRIB_name", "GRIB_cfName", "GRIB_cfVarName")


def ensemble_coordinate(numbers: Iterable[int]) -> xr.DataArray:
    """Return the coordinate that numbers ensemble members.

    >>> ensemble_coordinate(range(3)).values
    array([0, 1, 2], dtype=int32)
    """
    return xr.DataArray(
        np.fromiter(numbers, np.int32),
        dims=REALIZATION,
        name=REALIZATION,
        attrs={"standard_name": REALIZATION, "long_name": "ensemble member", "units": "1"},
    )


def describe(
    fields: Mapping[str, xr.Variable],
    source: xr.Dataset,
    grid: Grid,
    *,
    action: str,
    attributes: Mapping[str, str | int | float] | None = None,
) -> xr.Dataset:
    """Make a CF dataset of fields that were computed from those of ``source``.

    Parameters
    ----------
    fields
        Values with dimensions, by the name of the variable of ``source`` that they come from;
        numpy or dask. A ``realization`` dimension gets its coordinate.
    source
        Where names, units, grid mapping and all other coordinates come from.
    grid
        The grid of ``fields``.
    action
        What was done, for ``history``.
    attributes
        Where the fields come from, for the attributes of the dataset.

    Returns
    -------
    Dataset
        Also ready for a plain ``to_netcdf`` or ``to_zarr``: encodings are set.
    """
    result = xr.Dataset(
        {name: _described(name, field, source, grid) for name, field in fields.items()}
    )
    coordinates: dict[str, Any] = _other_coordinates(result, source, grid)
    coordinates |= grid_coordinates(grid, source)
    if REALIZATION in result.dims:
        known = source.indexes.get(REALIZATION)  # of an ensemble already
        count = result.sizes[REALIZATION]
        coordinates[REALIZATION] = ensemble_coordinate(range(count) if known is None else known)
    result = result.assign_coords(coordinates)
    result = _with_grid_mappings(result, source)
    result.attrs = _global_attributes(source, action, list(fields)) | {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in (attributes or {}).items()
    }
    for name, encoding in encodings(result, "plain").items():
        result[name].encoding = encoding
    return result


def fields_on(ds: xr.Dataset, grid: Grid) -> list[str]:
    """Return the names of the variables that hold numbers along rows and columns.

    Positions of cells and their corners are none.

    >>> from flexclim.grids.grid import find_grid
    >>> ds = xr.Dataset({"t2m": (("lat", "lon"), np.zeros((2, 2))), "run": 1})
    >>> ds = ds.assign_coords(lat=[1.0, 0.0], lon=[5.0, 6.0])
    >>> fields_on(ds, find_grid(ds))
    ['t2m']
    """
    named = {str(v.attrs.get("bounds", v.encoding.get("bounds"))) for v in ds.variables.values()}
    named |= {str(grid.latitude_name), str(grid.longitude_name)}
    found = [
        name
        for name, field in ds.data_vars.items()
        if {grid.y, grid.x} <= set(field.dims) and field.dtype.kind in "fiub" and name not in named
    ]
    for name in found:
        check_field(ds[name])
    return [str(name) for name in found]


def check_field(field: xr.DataArray) -> None:
    """Refuse a field whose name is no text, or whose numbers are packed; reads attributes only.

    Raises
    ------
    FlexclimError
        Saying what to do.
    """
    if not isinstance(field.name, str):
        raise FlexclimError(f"the variable {field.name!r} has a name that is no text. Rename it.")
    packing = [key for key in ("scale_factor", "add_offset") if key in field.attrs]
    if packing and field.dtype.kind in "iu":
        raise FlexclimError(
            f"{field.name!r} holds packed numbers, whose {' and '.join(packing)} were not applied. "
            "Pass the dataset through xarray.decode_cf, or open it with mask_and_scale=True."
        )


def pick(described: xr.Dataset, name: str) -> xr.DataArray:
    """Return one field of a described dataset, with the dataset's history and no loose ends.

    A DataArray can't hold bounds, so its coordinates do not name them.
    """
    array = described[name].copy(deep=False)
    for coordinate in array.coords:
        kept = dict(array[coordinate].attrs)
        if kept.pop("bounds", None):
            array[coordinate].attrs = kept
    ours = {k: v for k, v in described.attrs.items() if k not in ("Conventions", "title")}
    array.attrs |= ours
    return array


def as_dataset(array: xr.DataArray) -> xr.Dataset:
    """Return a dataset that holds ``array``, and its history; :func:`pick` is the way back.

    >>> list(as_dataset(xr.DataArray(0.0)).data_vars)
    ['field']
    """
    name = "field" if array.name is None else array.name
    if name in array.coords or name in array.dims:
        raise FlexclimError(
            f"the array has the name of its own coordinate {name!r}. Rename it with .rename."
        )
    ds = array.to_dataset(name=name)
    return ds.assign_attrs({k: v for k, v in array.attrs.items() if k == "history"})


def encodings(
    ds: xr.Dataset, target: Literal["zarr", "netcdf", "plain"] = "zarr"
) -> dict[str, dict[str, Any]]:
    """Return the encoding of every variable, for ``to_zarr`` or ``to_netcdf``.

    It leaves nothing to what a file was opened with: coordinates and bounds have no fill value,
    NaN marks missing values of fields, times count seconds. ``"plain"`` compresses nothing.

    >>> encodings(xr.Dataset({"t2m": 273.15}, {"lat": 50.0}), "plain")["lat"]
    {'_FillValue': None}
    """
    result = {}
    bounds = {
        variable.attrs["bounds"] for variable in ds.variables.values() if "bounds" in variable.attrs
    }
    for name, variable in ds.variables.items():
        encoding: dict[str, Any] = {}
        if is_time(variable):
            encoding = {"units": TIME_UNITS, "calendar": calendar_of(variable), "dtype": "int64"}
        elif name in ds.data_vars and name not in bounds and variable.dtype.kind == "f":
            encoding = {"_FillValue": variable.dtype.type(np.nan)} | _compression(variable, target)
        elif variable.dtype.kind in "fiu":
            encoding = {"_FillValue": None}
        if target == "zarr" and "compressors" not in encoding:
            encoding["compressors"] = (_checksum(),)
        result[str(name)] = encoding
    return result


def _compression(variable: xr.Variable, target: str) -> dict[str, Any]:
    if target == "plain" or variable.ndim == 0:
        return {}
    if target == "netcdf":
        return {"zlib": True, "complevel": 4, "shuffle": True}
    from zarr.codecs import BloscCodec

    blosc = BloscCodec(
        cname="zstd", clevel=3, shuffle="bitshuffle", typesize=variable.dtype.itemsize
    )
    return {"compressors": (blosc, _checksum())}


def _checksum() -> Any:
    """Return the codec without which a flipped bit would read back as a number."""
    from zarr.codecs import Crc32cCodec

    return Crc32cCodec()


def check_values(array: np.ndarray, name: str, where: str) -> None:
    """Refuse infinite values and fill values that nobody declared; NaN is missing and fine.

    Parameters
    ----------
    array
        Computed values of any shape.
    name
        Their variable.
    where
        Which part of it, such as ``"time 2018-09-14T18"``; may be empty.

    Raises
    ------
    FlexclimError
        Naming the variable, a value, how many there are and what to do.
    """
    if array.size == 0:
        return
    # Two reductions need no temporary array, and fmin and fmax pass over NaN.
    low, high = np.fmin.reduce(array, axis=None), np.fmax.reduce(array, axis=None)
    # As Python's numbers: compared to float16, 1e30 would itself be infinite.
    if float(low) < -LARGEST or float(high) > LARGEST:
        bad = np.abs(array.astype(np.float64)) > LARGEST
        place = f" at {where}" if where else ""
        raise FlexclimError(
            f"{name!r} has {int(bad.sum())} infinite or fill values{place}, such as "
            f"{array[bad][0]:.4g}. Mask them with .where(abs({name}) < 1e30)."
        )


def _described(name: str, field: xr.Variable, source: xr.Dataset, grid: Grid) -> xr.Variable:
    """Return a field with the attributes of its source that are still true."""
    known = source[name]
    kept = {
        key: value
        for key, value in known.attrs.items()
        if key not in LEFT_BEHIND and (not key.startswith("GRIB_") or key in GRIB_KEPT)
    }
    if kept.get("standard_name", "") in ("unknown", None):
        del kept["standard_name"]
    kept.setdefault("long_name", str(kept.get("standard_name", name)).replace("_", " "))
    attributes = described_units(kept, name)
    mapping = _grid_mapping(known)
    if mapping and mapping in source.variables:
        attributes["grid_mapping"] = mapping
    return xr.Variable(field.dims, field.data, attributes)


def _grid_mapping(field: xr.DataArray) -> str | None:
    """Return the name of a field's grid mapping; the extended form is ``crs: x y``."""
    said = field.attrs.get("grid_mapping", field.encoding.get("grid_mapping"))
    return str(said).split(":")[0].strip() if said else None


def _with_grid_mappings(result: xr.Dataset, source: xr.Dataset) -> xr.Dataset:
    names = {field.attrs.get("grid_mapping") for field in result.data_vars.values()} - {None}
    for name in sorted(map(str, names)):
        mapping = source[name].variable.copy(deep=False)
        mapping.encoding = {}
        if name in source.coords:
            mapping.attrs = {"long_name": "coordinate reference system"} | mapping.attrs
            result = result.assign_coords({name: mapping})
        else:
            result = result.assign({name: mapping})
    return result


def _other_coordinates(result: xr.Dataset, source: xr.Dataset, grid: Grid) -> dict[str, Any]:
    """Return time, level and the like, with their bounds."""
    taken = {grid.y, grid.x, grid.y_name, grid.x_name, grid.latitude_name, grid.longitude_name}
    found: dict[str, Any] = {}
    for key, coordinate in source.coords.items():
        name = str(key)
        dims = set(coordinate.dims)
        if name in taken or dims & {grid.y, grid.x} or not dims <= set(result.dims):
            continue
        variable = coordinate.variable.copy(deep=False)
        variable.attrs = {k: v for k, v in variable.attrs.items() if k not in STALE}
        for kind in ("bounds", "climatology"):
            bounds = variable.attrs.pop(kind, coordinate.encoding.get(kind))
            if bounds in source.variables:
                variable.attrs[kind] = bounds
                found[bounds] = xr.Variable(source[bounds].dims, source[bounds].data)
        if is_time(variable):
            variable.attrs = _time_attributes(name, variable)
        if "standard_name" not in variable.attrs:
            variable.attrs.setdefault("long_name", name.replace("_", " "))
        found[name] = variable
    return found


def _time_attributes(name: str, variable: xr.Variable) -> dict[str, Any]:
    attributes = dict(variable.attrs)
    if variable.dims == (name,) or name == "time":
        attributes = {"standard_name": "time", "long_name": "time"} | attributes
    if variable.dims == (name,):
        attributes["axis"] = "T"
    if calendar_of(variable) in ("standard", "gregorian", "proleptic_gregorian", "julian"):
        attributes.setdefault("units_metadata", "leap_seconds: unknown")
    return attributes


def _global_attributes(source: xr.Dataset, action: str, names: list[str]) -> dict[str, Any]:
    kept = {
        key: value
        for key, value in source.attrs.items()
        if key not in LEFT_BEHIND_GLOBAL and not str(key).startswith("geospatial_")
    }
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = f"{stamp} flexclim {__version__}: {action}"
    history = "\n".join(filter(None, (str(kept.get("history", "")).rstrip(), line)))
    title = f"{', '.join(names)} made by flexclim"
    return {"title": title} | kept | {"Conventions": "CF-1.11", "history": history}
