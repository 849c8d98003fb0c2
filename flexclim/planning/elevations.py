"""Elevations of targets and of models, between which temperatures change by a lapse rate."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from flexclim.cf.conversion import conversion
from flexclim.cf.quantities import FieldProperties
from flexclim.cf.variable_names import TEMPERATURE
from flexclim.errors import FlexclimError, GridError
from flexclim.grids.arguments import shown
from flexclim.grids.regridding.cells import Cells
from flexclim.grids.regridding.targets import Target, centres_of
from flexclim.planning.source import Source, StaticField, resolve_static
from flexclim.planning.static_units import convert_statics
from flexclim.planning.variable_groups import available_statics

OROGRAPHY = "orog"  # as models name it
STANDARD_NAMES = "surface_altitude", "height_above_mean_sea_level", "altitude"
NAMES = (
    *("elevation", "elev", "station_elevation", "altitude", "alt", "surface_altitude"),
    *(OROGRAPHY, "orography", "topography", "topo", "hgt", "hgt_m", "terrain"),
)
TEMPERATURES = (*TEMPERATURE, "tasmax", "tasmin", "mx2t", "mn2t", "tmax", "tmin", "tg", "tx", "tn")
# Height above ground of near-surface temperatures at most, in m.
NEAR_SURFACE = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class LapseRate:
    """How temperatures change with elevation.

    Parameters
    ----------
    rate
        Decrease with height in K/km.
    elevation
        (m,) of the targets in m.
    orography
        Elevation of the model's surface in m, on its own grid.
    changed
        The temperatures, by name, with the size of 1 K in their units.
    pixels
        Centres of the fine cells, if these are HEALPix; None: they are rows and columns.
    """

    rate: float
    elevation: np.ndarray
    orography: StaticField
    changed: Mapping[str, float]
    pixels: Target | None = None


def plan_lapse_rate(
    rate: object,
    to: Any,
    target: Target,
    source: Source,
    fields: Mapping[str, xr.DataArray],
    cells: Cells,
) -> LapseRate:
    """Find elevations and temperatures; compute no field.

    Parameters
    ----------
    rate
        As the user gave it, in K/km.
    to, target
        The target as given, which holds elevations, and as understood.
    source
        Holds the user's static fields.
    fields, cells
        Output by name, and its fine cells.

    Raises
    ------
    FlexclimError
        If the rate is no number, no field is a near-surface temperature, or an elevation is not
        known.
    """
    if isinstance(rate, bool) or not isinstance(rate, Real) or not math.isfinite(rate):
        raise FlexclimError(f"lapse_rate={shown(rate)} is no number of K/km. Pass one such as 6.5.")
    changed = {}
    for name, field in fields.items():
        if _is_near_surface_temperature(field):
            kelvin = conversion("K", str(field.attrs.get("units", "K")), difference=True)
            changed[name] = 1.0 if kelvin is None else kelvin.scale
    if not changed:
        raise FlexclimError(
            f"lapse_rate is for near-surface air temperatures, and {', '.join(map(str, fields))} "
            "are none. Leave it out, or give one the standard_name air_temperature."
        )
    return LapseRate(
        rate=float(rate),
        elevation=_elevation_of(to, target),
        orography=_orography_of(source),
        changed=changed,
        pixels=None if cells.pixels is None else centres_of(cells),
    )


def _is_near_surface_temperature(field: xr.DataArray) -> bool:
    standard = str(field.attrs.get("standard_name", "")).lower()
    named = str(field.name).lower() in TEMPERATURES and standard in ("", "unknown")
    if FieldProperties.of(field).difference or not (named or standard == "air_temperature"):
        return False
    for name, coordinate in field.coords.items():
        attrs = {key: str(value) for key, value in coordinate.attrs.items()}
        low = attrs.get("standard_name") == "height" or str(name).startswith("height")
        if low and coordinate.ndim == 0 and float(coordinate) <= NEAR_SURFACE:
            continue
        if low or attrs.get("positive") or attrs.get("axis") == "Z":
            return False
    return True


def _elevation_of(to: Any, target: Target) -> np.ndarray:
    """Return (m,) elevations of a target in m."""
    found = _named(to, target.dims) if isinstance(to, (xr.Dataset, xr.DataArray)) else None
    if found is None:
        raise GridError(
            "lapse_rate needs the elevation of the target, and it has none. Give it one in m along "
            f"{' and '.join(map(repr, target.dims))}, called elevation."
        )
    metres = conversion(str(found.attrs.get("units", "m")), "m")
    if metres is None:
        raise GridError(
            f"{found.name!r} of the target is in {found.attrs['units']!r}. Convert it to m."
        )
    values = np.asarray(metres(found.transpose(*target.dims).astype(float)).values).ravel()
    if (unknown := np.flatnonzero(~np.isfinite(values))).size:
        raise GridError(
            f"{unknown.size} of {values.size} elevations of the target are missing, the first at "
            f"{target.name(int(unknown[0]))}. Fill them, or leave these out."
        )
    return values


def _named(obj: xr.Dataset | xr.DataArray, dims: Iterable[str]) -> xr.DataArray | None:
    """Return the elevation along some dimensions, by standard name or name."""
    known = dict(obj.variables) if isinstance(obj, xr.Dataset) else {**obj.coords, obj.name: obj}
    alike = [name for name, one in known.items() if set(one.dims) == set(dims)]
    for key, names in (("standard_name", STANDARD_NAMES), ("", NAMES)):
        for name in alike:
            said = known[name].attrs.get(key) if key else str(name).lower()
            if said in names:
                return obj[name] if isinstance(obj, xr.Dataset) or name in obj.coords else obj
    return None


def _orography_of(source: Source) -> StaticField:
    """Return the model's orography in m: the user's, else the bundled one."""
    static = available_statics(source, [OROGRAPHY], 1)
    if static is None or OROGRAPHY not in static:
        raise GridError(
            "lapse_rate needs the orography of the input's model. Pass static= (--static at the "
            f"shell) with a field {OROGRAPHY!r} in m on any grid that covers the input."
        )
    static = convert_statics(static, {OROGRAPHY: "m"})
    return resolve_static(static, [OROGRAPHY], source.grid)[OROGRAPHY]
