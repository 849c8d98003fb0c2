"""Coordinates of a grid as CF variables: values, bounds and attributes."""

from __future__ import annotations

from collections.abc import Container, Mapping

import numpy as np
import xarray as xr

from flexclim.grids.attributes import GRID_KIND, kind_text
from flexclim.grids.candidates import LATITUDES, LONGITUDES
from flexclim.grids.grid import Grid
from flexclim.grids.lattice import NOISE, is_single

BOUNDS = "bnds"
# Attributes that do not hold for other values.
STALE = (
    GRID_KIND,
    "actual_range",
    "valid_range",
    "valid_min",
    "valid_max",
    "_FillValue",
    "missing_value",
)
GEOGRAPHIC = {
    "Y": {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"},
    "X": {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"},
}
PROJECTED = {"Y": "projection_y_coordinate", "X": "projection_x_coordinate"}
LENGTHS = ("m", "km")


def grid_coordinates(
    grid: Grid, source: xr.Dataset | xr.DataArray, taken: Container[str] = ()
) -> dict[str, xr.Variable]:
    """Return the coordinates of ``grid``, named and described like those of ``source``.

    Parameters
    ----------
    grid
        The grid of the result, such as ``find_grid(source).refined(4)``.
    source
        Object in which the grid was found. Attributes of its coordinates are kept and completed
        to CF. Units of projected coordinates are those of the grid: given, inferred or absent.
    taken
        Names of fields, which no bounds get.

    Returns
    -------
    dict
        Rows and columns with their bounds, and 2-D latitude and longitude of a projected grid.
        They fit a Dataset; a DataArray can't hold bounds.

    Examples
    --------
    >>> import numpy as np
    >>> from flexclim.grids.discovery import find_grid
    >>> field = xr.DataArray(np.zeros((2, 2)), coords={"lat": [1.0, 0.0], "lon": [5.0, 6.0]})
    >>> coordinates = grid_coordinates(find_grid(field).refined(2), field)
    >>> coordinates["lat_bnds"].values[:2]
    array([[1.5, 1. ],
           [1. , 0.5]])
    """
    variables = source.variables if isinstance(source, xr.Dataset) else source.coords
    result: dict[str, xr.Variable] = {}
    pair = _bounds_dimension(source)
    axes = (
        ("Y", grid.y, grid.y_name, grid.y_values, grid.y_bounds),
        ("X", grid.x, grid.x_name, grid.x_values, grid.x_bounds),
    )
    for axis, dimension, name, values, bounds in axes:
        if name is None or values is None or bounds is None:
            continue
        known = variables[name].attrs
        usual = known.get("bounds"), *(f"{name}_{end}" for end in ("bnds", "bounds", "edges"))
        bounds_name = next(str(one) for one in usual if one and one not in taken)
        attributes = _described(axis, grid, known) | {"bounds": bounds_name}
        values = as_stored(values, variables[name].values)
        result[name] = xr.Variable((dimension,), values, attributes)
        result[bounds_name] = xr.Variable((dimension, pair), bounds.astype(values.dtype), {})
    if grid.latitude is not None:
        result |= _positions(grid, source)
    kind, rows = grid.domain.kind, grid.y_name or grid.latitude_name
    several = min(grid.domain.shape) > 1
    if rows in result and several and kind != grid.as_kind(None).domain.kind:
        result[rows].attrs[GRID_KIND] = kind_text(kind, grid.y_step)
    if grid.corners is not None:
        result |= _corners(grid, source, result, taken)
    return result


def _corners(
    grid: Grid,
    source: xr.Dataset | xr.DataArray,
    known: Mapping[str, xr.Variable],
    taken: Container[str],
) -> dict[str, xr.Variable]:
    """Return the corners of curvilinear cells, and positions that name them."""
    assert grid.corners is not None
    variables = source.variables if isinstance(source, xr.Dataset) else source.coords
    result = {}
    for at, own in enumerate((grid.latitude_name, grid.longitude_name)):
        of = known[str(own)]
        if grid.corner_names is None:
            name, dtype = f"{own}_vertices", of.dtype
            if name in taken or name in variables:
                return {}
            dim = next(n for n in ("vertices", "nv", "corner") if source.sizes.get(n, 4) == 4)
        else:
            name = grid.corner_names[at]
            (dim,) = map(str, set(variables[name].dims) - {grid.y, grid.x})
            dtype = variables[name].dtype
        result[name] = xr.Variable((grid.y, grid.x, dim), grid.corners[at].astype(dtype), {})
        result[str(own)] = xr.Variable(of.dims, of.data, {**of.attrs, "bounds": name})
    return result


def as_stored(values: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Return coordinate values as numbers that a file like the source holds.

    Parameters
    ----------
    values
        (n,) float64.
    own
        (m,) values of the source, of any type of numbers.

    Returns
    -------
    ndarray
        ``own``, if these are the same places; else numbers of float32, if ``own`` are such and
        these are precise enough; else equal to those of ``own`` at the same places.

    >>> as_stored(np.array([0.1, 0.15, 0.2]), np.array([0.1, 0.2], np.float32))
    array([0.1 , 0.15, 0.2 ], dtype=float32)
    """
    if own.dtype.kind == "f" and own.dtype.itemsize > 8:
        own = own.astype(np.float64)  # which files hold
    step = np.abs(np.diff(values)).min(initial=np.inf)
    if own.size == values.size and np.abs(own - values).max() < 0.5 * step:
        return own
    if is_single(own):
        single = values.astype(np.float32)
        if np.spacing(np.abs(single).max()) < 0.1 * step:
            return single.astype(own.dtype)
    order = np.argsort(own)
    after = order[np.searchsorted(own, values, sorter=order).clip(max=own.size - 1)]
    before = order[np.searchsorted(own, values, side="right", sorter=order).clip(min=1) - 1]
    for near in (own[after], own[before]):
        values = np.where(np.abs(near - values) < NOISE * step, near, values)
    return values


def completed_positions(coordinates: Mapping[str, xr.Variable]) -> dict[str, xr.Variable]:
    """Return coordinates with standard names and units of latitudes and longitudes.

    Positions are known by attributes or names; values and other attributes are kept.

    >>> completed_positions({"lat": xr.Variable("station", [50.0])})["lat"].attrs["units"]
    'degrees_north'
    """
    result = {}
    for name, variable in coordinates.items():
        completed = variable.copy(deep=False)
        for axis, names in (("Y", LATITUDES), ("X", LONGITUDES)):
            known = GEOGRAPHIC[axis]
            said = variable.attrs.get("standard_name")
            if said == known["standard_name"] or (said is None and name.lower() in names):
                fixed = {"standard_name": known["standard_name"], "units": known["units"]}
                completed.attrs = fixed | dict(variable.attrs)
        result[name] = completed
    return result


def _described(axis: str, grid: Grid, known: Mapping[str, object]) -> dict[str, object]:
    """Return the attributes of a row or column coordinate, completed to CF."""
    kept = {key: value for key, value in known.items() if key not in STALE}
    if grid.geographic:
        default = GEOGRAPHIC[axis]
        fixed = {key: default[key] for key in ("standard_name", "units")}
        return default | kept | fixed | {"axis": axis}
    if grid.units in LENGTHS:
        kept = {"standard_name": PROJECTED[axis], "axis": axis} | kept | {"units": grid.units}
    return {"long_name": f"{axis.lower()} coordinate"} | kept


def _positions(grid: Grid, source: xr.Dataset | xr.DataArray) -> dict[str, xr.Variable]:
    variables = source.variables if isinstance(source, xr.Dataset) else source.coords
    result = {}
    pairs = (("Y", grid.latitude_name, grid.latitude), ("X", grid.longitude_name, grid.longitude))
    for axis, name, values in pairs:
        assert name is not None
        known = {k: v for k, v in variables[name].attrs.items() if k not in (*STALE, "bounds")}
        attributes = GEOGRAPHIC[axis] | known | {"units": GEOGRAPHIC[axis]["units"]}
        attributes["standard_name"] = GEOGRAPHIC[axis]["standard_name"]
        attributes.pop("axis", None)  # CF: only 1-D coordinates may have it
        result[name] = xr.Variable((grid.y, grid.x), values, attributes)
    return result


def _bounds_dimension(source: xr.Dataset | xr.DataArray) -> str:
    """Return a name for the dimension of bounds that ``source`` does not use otherwise."""
    return next(n for n in (BOUNDS, "nv", "two") if source.sizes.get(n, 2) == 2)
