"""Find the dimensions and coordinates of rows and columns.

CF attributes, read by cf-xarray, take precedence over names, so that files without attributes
work too. Only coordinates are read.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from flexclim.errors import GridError

# Lower-case names of coordinates without attributes.
LATITUDES = ("latitude", "lat", "nav_lat", "xlat")
LONGITUDES = ("longitude", "lon", "nav_lon", "xlong")
ROWS = ("y", "yc", "rlat", "projection_y_coordinate", "northing", "south_north")
COLUMNS = ("x", "xc", "rlon", "projection_x_coordinate", "easting", "west_east")


@dataclass(frozen=True, kw_only=True)
class Axes:
    """Names of the dimensions and coordinates of a grid, and its units.

    Parameters
    ----------
    y, x
        Dimensions.
    y_name, x_name
        Their 1-D coordinates; None if there are only 2-D ``latitude`` and ``longitude``.
    geographic
        Whether those coordinates are latitude and longitude.
    latitude, longitude
        2-D coordinates of a projected grid, or None.
    units
        ``"degrees"``, ``"m"``, ``"km"``, or units of projected coordinates as in the file.
    """

    y: str
    x: str
    y_name: str | None
    x_name: str | None
    geographic: bool
    latitude: str | None = None
    longitude: str | None = None
    units: str


def find_axes(obj: xr.Dataset | xr.DataArray) -> Axes:
    """Find the rows and columns of ``obj``.

    Raises
    ------
    GridError
        If there are none, or the choice is ambiguous.
    """
    known = _with_coordinates(obj)
    latitudes, longitudes = _latitudes_longitudes(known, 1)
    latitude, longitude = _pick(obj, latitudes), _pick(obj, longitudes)
    if latitude and longitude:
        y, x = known[latitude].dims[0], known[longitude].dims[0]
        if y == x:
            raise GridError(
                f"{latitude!r} and {longitude!r} share the dimension {y!r}: the grid is a list of "
                "points. Regrid it to regular rows and columns first."
            )
        units = _degrees(known, latitude, longitude)
        return Axes(
            y=str(y), x=str(x), y_name=latitude, x_name=longitude, geographic=True, units=units
        )
    return _projected(obj, known, latitude or longitude)


def _projected(obj: xr.Dataset | xr.DataArray, known: xr.Dataset, lonely: str | None) -> Axes:
    latitudes, longitudes = _latitudes_longitudes(known, 2)
    latitude, longitude = _pick(obj, latitudes), _pick(obj, longitudes)
    if not (latitude and longitude) or known[latitude].dims != known[longitude].dims:
        latitude = longitude = None
    y_name = _pick(obj, _candidates(known, known.cf.axes.get("Y", []), ROWS, 1))
    x_name = _pick(obj, _candidates(known, known.cf.axes.get("X", []), COLUMNS, 1))
    y = known[y_name].dims[0] if y_name else _dimension(known, ROWS)
    x = known[x_name].dims[0] if x_name else _dimension(known, COLUMNS)
    if latitude and {y, x} != set(known[latitude].dims):
        y, x = known[latitude].dims
        y_name = x_name = None
    if y is None or x is None or y == x or lonely:
        raise GridError(_missing(obj, y, x, lonely))
    if not (latitude or (y_name and x_name)):
        bare = y if not y_name else x
        raise GridError(
            f"dimension {bare!r} of {_title(obj)} has no coordinate values. "
            f"Give it some with .assign_coords({bare}=...)."
        )
    return Axes(
        y=str(y),
        x=str(x),
        y_name=y_name,
        x_name=x_name,
        geographic=False,
        latitude=latitude,
        longitude=longitude,
        units=_units(known, y_name, x_name) if y_name and x_name else "",
    )


def _with_coordinates(obj: xr.Dataset | xr.DataArray) -> xr.Dataset:
    """Return a dataset whose coordinates include latitudes stored as data variables."""
    import cf_xarray  # noqa: F401  registers .cf; 0.5 s, so not at import

    if isinstance(obj, xr.DataArray):
        known = obj.coords.to_dataset()
        missing = {name: size for name, size in obj.sizes.items() if name not in known.sizes}
        return known.assign(
            {f"__{name}": (name, np.empty(size, bool)) for name, size in missing.items()}
        )
    names = {*LATITUDES, *LONGITUDES}
    stray = [
        name
        for name, variable in obj.data_vars.items()
        if variable.ndim in (1, 2)
        and (
            variable.attrs.get("standard_name") in ("latitude", "longitude")
            or str(name).lower() in names
        )
    ]
    return obj.set_coords(stray)


def _latitudes_longitudes(known: xr.Dataset, ndim: int) -> tuple[list[str], list[str]]:
    coordinates = known.cf.coordinates
    return (
        _candidates(known, coordinates.get("latitude", []), LATITUDES, ndim),
        _candidates(known, coordinates.get("longitude", []), LONGITUDES, ndim),
    )


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


def _degrees(known: xr.Dataset, *names: str) -> str:
    for name in names:
        if "rad" in str(known[name].attrs.get("units", "")):
            raise GridError(f"{name!r} is in radians. Convert it to degrees with np.rad2deg.")
    return "degrees"


def _units(known: xr.Dataset, *names: str) -> str:
    found = {str(known[name].attrs.get("units", "")) for name in names}
    if len(found) > 1:
        raise GridError(
            f"{' and '.join(map(repr, names))} have different units, "
            f"{' and '.join(map(repr, sorted(found)))}. Give both the same."
        )
    plain = found.pop()
    metres = ("metre", "meter", "metres", "meters")
    return "m" if plain in metres else "degrees" if plain == "degree" else plain


def _pick(obj: xr.Dataset | xr.DataArray, found: list[str]) -> str | None:
    if len(found) > 1:
        raise GridError(
            f"{_title(obj)} has several grids: {', '.join(map(repr, found))} could all be meant. "
            "Select variables of one grid first."
        )
    return found[0] if found else None


def _dimension(known: xr.Dataset, names: Sequence[str]) -> str | None:
    return next((str(d) for d in known.dims if str(d).lower() in names), None)


def _title(obj: xr.Dataset | xr.DataArray) -> str:
    if isinstance(obj, xr.Dataset):
        return "the dataset"
    return "the array" if obj.name is None else repr(obj.name)


def _missing(
    obj: xr.Dataset | xr.DataArray, y: Hashable | None, x: Hashable | None, lonely: str | None
) -> str:
    if lonely:
        what = f"{lonely!r} but no coordinate that goes with it"
    else:
        absent = [a for a, b in (("rows", y), ("columns", x)) if b is None]
        what = f"no {' and no '.join(absent) or 'rows apart from its columns'}"
    dims = ", ".join(map(str, obj.dims))
    return (
        f"{_title(obj)} with dimensions ({dims}) has {what}. Name its coordinates lat and lon or "
        "y and x, or set standard_name latitude and longitude."
    )
