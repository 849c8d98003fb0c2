"""Which coordinates tell the planes of a field apart, and which only describe them."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.cf.auxiliary_variables import MAPPING_ATTRIBUTES
from flexclim.cf.ensembles import is_member_name
from flexclim.cf.time_coordinates import (
    PERIOD_NAMES,
    VALID_NAMES,
    TimeCoordinates,
    is_undecoded,
)
from flexclim.cf.times import in_nanoseconds, is_time
from flexclim.planning.leads import Time

# "time": planes that differ in it lie at different times; "part": of a date; "surface": without a
# height where it is 0; "member": of an ensemble; "other": all else.
Role = Literal["time", "part", "surface", "member", "other"]

GRID_MAPPINGS = "spatial_ref", "crs"
# Levels of GRIB without a height, to which readers give the value 0.
SURFACES = "surface", "meansea", "entireatmosphere", "atmosphere", "nominaltop", "tropopause"
GRIB_LEVEL = "original GRIB coordinate for key: level"
DATE_PARTS = "year", "month", "day", "hour", "dayofyear", "season"
SEASONS = "DJF", "MAM", "JJA", "SON"
VERSIONS = ("expver",)  # ERA5 or ERA5T, along the times


def roles_of(field: xr.DataArray, lead: Collection[str], times: TimeCoordinates) -> dict[str, Role]:
    """Return the roles of the coordinates that tell planes apart, besides those of ``times``.

    Parameters
    ----------
    field
        (..., y, x).
    lead
        Its dimensions before (y, x), without the one of an ensemble.
    times
        The coordinates that say when it is valid.
    """
    known = {str(n): c for n, c in field.coords.items() if set(c.dims) <= set(lead)}
    skipped = {times.valid, times.reference, times.period, *_described(field)}
    found = {}
    for name, coordinate in known.items():
        role = _role(name, coordinate, name in lead, times.dated)
        if name not in skipped and role is not None:
            found[name] = role
    return found


def _role(name: str, coordinate: xr.DataArray, is_dimension: bool, dated: bool) -> Role | None:
    """Return what a coordinate is; None if it does not tell planes apart."""
    lower, kind = name.lower(), coordinate.dtype.kind
    if lower in DATE_PARTS:
        return "part"
    if lower in SURFACES or str(coordinate.attrs.get("long_name")).startswith(GRIB_LEVEL):
        return "surface"
    if is_time(coordinate) or kind == "m" or is_undecoded(name, coordinate.variable):
        again = not is_dimension and dated and kind != "m" and _is_valid_time(lower, coordinate)
        return None if again else "time"
    if is_dimension and lower in PERIOD_NAMES:
        return "time"
    if is_dimension:
        return None if _is_stacked(coordinate) else "other"
    if is_member_name(name, coordinate) and kind in "iuf":
        return "member"
    mapped = lower in GRID_MAPPINGS or any(key in coordinate.attrs for key in MAPPING_ATTRIBUTES)
    return None if mapped or lower in VERSIONS or _is_stacked(coordinate) else "other"


def _is_valid_time(name: str, coordinate: xr.DataArray) -> bool:
    """Return whether times are another form of the valid time, such as ``time_centered``."""
    said = coordinate.attrs.get("standard_name") == "time"
    return said or name in VALID_NAMES or name.startswith("time_")


def _is_stacked(coordinate: xr.DataArray) -> bool:
    """Return whether values are tuples of those of other coordinates."""
    return coordinate.dtype == object and isinstance(coordinate.values.flat[0], tuple)


def _described(field: xr.DataArray) -> set[str]:
    """Return the names of grid mappings and of terms of vertical coordinates."""
    mapping = field.attrs.get("grid_mapping", field.encoding.get("grid_mapping", ""))
    found = {word.removesuffix(":") for word in str(mapping).split()}
    for coordinate in field.coords.values():
        terms = coordinate.attrs.get("formula_terms", coordinate.encoding.get("formula_terms", ""))
        found |= set(re.findall(r":\s*(\S+)", str(terms)))
    return found


def is_part_of(value: object, name: str, when: Time | None) -> bool:
    """Return whether a value is that part of a date, such as the month.

    >>> is_part_of(9, "month", np.datetime64("2018-09-14"))
    True
    """
    if when is None:
        return False
    date = pd.Timestamp(when) if isinstance(when, np.datetime64) else when
    part = name.lower()
    if part == "season":
        return str(value) == SEASONS[date.month % 12 // 3]
    days = date.day_of_year if isinstance(date, pd.Timestamp) else date.dayofyr
    return bool(value == (days if part == "dayofyear" else getattr(date, part)))


def value_text(value: object) -> str:
    """Return the value of a coordinate as text that differs where the value does.

    Numbers have six digits where these suffice, else as many as tell them from their neighbours.

    >>> [value_text(value) for value in (850.0, np.float32(0.1), 2018091400, "ssp126")]
    ['850', '0.1', '2018091400', 'ssp126']
    >>> value_text(np.timedelta64(6, "h"))
    '2.16e+13'
    """
    if isinstance(value, timedelta):
        value = np.timedelta64(value)
    if isinstance(value, np.datetime64 | np.timedelta64):
        ticks = in_nanoseconds(np.asarray(value))[()]
        if np.isnat(ticks) or ticks.dtype.kind == "M":
            return str(ticks)
        value = ticks.astype(np.int64)
    if isinstance(value, bool | np.bool_):
        value = int(value)
    if isinstance(value, int | np.integer):
        short = f"{float(value):g}"
        return short if float(short) == int(value) else str(value)
    if isinstance(value, float | np.floating):
        short = f"{float(value):g}"
        if type(value)(short) == value or not np.isfinite(value):
            return short
        whole = abs(float(value)) < 2**53 and value == int(value)
        return str(int(value)) if whole else str(value)
    return str(value)
