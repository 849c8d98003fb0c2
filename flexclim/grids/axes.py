"""Find the dimensions and coordinates of rows and columns.

CF attributes, read by cf-xarray, take precedence over names, so that files without attributes
work too. Only coordinates are read.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from flexclim.errors import GridError
from flexclim.grids.candidates import (
    COLUMNS,
    ROWS,
    is_position,
    known_coordinates,
    latitudes_longitudes,
    rows_columns,
)
from flexclim.grids.regular_coordinates import is_uneven
from flexclim.grids.unstructured import cells_along, list_of_cells


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


def find_axes(obj: xr.Dataset | xr.DataArray, variables: Collection[str] = ()) -> Axes:
    """Find the rows and columns of ``obj``.

    Parameters
    ----------
    obj
        Fields (..., y, x).
    variables
        The fields of a Dataset whose grid is sought. Default: all.

    Raises
    ------
    GridError
        If there are none, or the choice is ambiguous.
    """
    known, named = known_coordinates(obj, variables)
    latitudes, longitudes = latitudes_longitudes(known, 1)
    latitude, longitude = _pick(obj, latitudes, named), _pick(obj, longitudes, named)
    pairs = _pairs(known)
    if latitude and longitude:
        y, x = known[latitude].dims[0], known[longitude].dims[0]
        if y == x:
            where = f"{latitude!r} and {longitude!r} share the dimension {y!r}"
            raise GridError(f"{where}: {list_of_cells(obj, y)}")
        if not any(_nominal(known, latitude, longitude, *pair) for pair in pairs):
            units = _degrees(known, latitude, longitude)
            return Axes(
                y=str(y), x=str(x), y_name=latitude, x_name=longitude, geographic=True, units=units
            )
    latitude_2d = _pick(obj, [pair[0] for pair in pairs], named)
    longitude_2d = _pick(obj, [pair[1] for pair in pairs if pair[0] == latitude_2d], named)
    curved = (latitude_2d, longitude_2d) if latitude_2d and longitude_2d else None
    return _projected(obj, known, curved, latitude or longitude)


def _pairs(known: xr.Dataset) -> list[tuple[str, str]]:
    """Return the names of 2-D latitudes and longitudes on the same dimensions."""
    latitudes, longitudes = latitudes_longitudes(known, 2)
    return [
        (latitude, longitude)
        for latitude in latitudes
        for longitude in longitudes
        if set(known[latitude].dims) == set(known[longitude].dims)
    ]


def _nominal(known: xr.Dataset, y_name: str, x_name: str, latitude: str, longitude: str) -> bool:
    """Return whether 1-D latitudes and longitudes are mere labels beside 2-D ones.

    They are if some of 5 x 5 of the latter differ from them by more than half a mean spacing.
    """
    if {*known[y_name].dims, *known[x_name].dims} != set(known[latitude].dims):
        return False
    if not known[latitude].size:
        return False
    some = {
        dim: np.linspace(0, size - 1, 5).astype(int) for dim, size in known[latitude].sizes.items()
    }
    for name, other, turn in ((y_name, latitude, np.inf), (x_name, longitude, 360)):
        (dim,) = known[name].dims
        own = known[name].values
        if own.dtype.kind not in "iuf":
            return False
        places = known[other].isel(some).transpose(..., dim).values.astype(float)
        places[np.abs(places) > 720] = np.nan  # fill values
        apart = places - own[some[dim]].astype(float)
        apart = np.abs(apart) if np.isinf(turn) else np.abs((apart + turn / 2) % turn - turn / 2)
        if (apart > 0.5 * abs(float(own[-1]) - float(own[0])) / own.size).any():
            return True
    return False


def _projected(
    obj: xr.Dataset | xr.DataArray,
    known: xr.Dataset,
    curved: tuple[str, str] | None,
    lonely: str | None,
) -> Axes:
    rows, columns = rows_columns(known)
    y_name, x_name = _pick(obj, rows), _pick(obj, columns)
    y = known[y_name].dims[0] if y_name else _dimension(known, ROWS)
    x = known[x_name].dims[0] if x_name else _dimension(known, COLUMNS)
    if curved:
        y, x, y_name, x_name = _beside(known, curved[0], y_name, x_name)
    elif y is None or x is None or y == x or lonely:
        raise GridError(_missing(obj, y, x, lonely))
    elif not (y_name and x_name):
        bare = y if not y_name else x
        raise GridError(
            f"dimension {bare!r} of {_title(obj)} has no coordinate values. "
            f"Give it some with .assign_coords({bare}=...), or pass the dataset with its latitudes "
            "and longitudes."
        )
    return Axes(
        y=str(y),
        x=str(x),
        y_name=y_name,
        x_name=x_name,
        geographic=False,
        latitude=curved[0] if curved else None,
        longitude=curved[1] if curved else None,
        units=_units(known, y_name, x_name) if y_name and x_name else "",
    )


def _beside(
    known: xr.Dataset, latitude: str, y_name: str | None, x_name: str | None
) -> tuple[Hashable, Hashable, str | None, str | None]:
    """Return the dimensions of 2-D latitudes, and their 1-D coordinates if these are regular."""
    dims = known[latitude].dims
    if y_name and x_name:
        found = (*known[y_name].dims, *known[x_name].dims)
        if set(found) != set(dims):
            y_name = x_name = None
        else:
            dims = found
    elif not any(dim not in known.coords or _counts(known[dim].values) for dim in dims):
        y_name, x_name = map(str, dims)
    else:
        y_name = x_name = None
    names = (y_name, x_name) if y_name and x_name else ()
    if any(is_position(known[name]) or is_uneven(known[name].values) for name in names):
        y_name = x_name = None
    return dims[0], dims[1], y_name, x_name


def _counts(values: np.ndarray) -> bool:
    """Return whether the values of a dimension are no numbers, or only count: 0, 1, 2, ..."""
    if values.dtype.kind not in "iuf":
        return True
    return bool(values[0] in (0, 1) and (np.diff(values) == 1).all())


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


def _pick(
    obj: xr.Dataset | xr.DataArray, found: list[str], named: Collection[str] = ()
) -> str | None:
    """Return the only one of the names, or the only one that the fields name themselves."""
    found = list(dict.fromkeys(found))
    if len(found) > 1:
        found = [name for name in found if name in named] or found
    if len(found) > 1:
        advice = "Select variables of one grid first"
        if isinstance(obj, xr.Dataset):
            advice += ' with variables=["NAME"] (--variables NAME at the shell) or ds[["NAME"]]'
        raise GridError(
            f"{_title(obj)} has several grids: {', '.join(map(repr, found))} could all be meant. "
            f"{advice}."
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
    dim = cells_along(obj)
    if dim is not None:
        return f"{_title(obj)} has no rows and columns: {list_of_cells(obj, dim)}"
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
