"""Infer from a field's names and units whether it is non-negative or a vector component."""

from __future__ import annotations

import re

import xarray as xr

from flexclim.cf.units import cf_units, temperature_kind

# Patterns are searched in standard and long names; short names must match as a whole.
POSITIVE_STANDARD = (
    r"precipitation|rainfall|snowfall|humidity|mixing_ratio|_speed|^speed|cloud_area_fraction|"
    r"area_fraction|land_binary_mask|mass_fraction|mole_fraction|concentration|_thickness|"
    r"thickness_of|snow_depth|wave_significant_height|significant_height|downwelling|optical_depth|"
    r"atmosphere_mass_content|visibility|runoff"
)
POSITIVE_LONG = (
    r"precipitation|rain(fall)?\b|snowfall|humidity|mixing ratio|wind speed|cloud cover|"
    r"cloud fraction|gust|snow depth|visibility|land.sea mask"
)
POSITIVE_SHORT = (
    r"tp|cp|lsp|sf|pr|prc|prsn|prcp|precip\w*|rain\w*|rr\w?|qpe\w*|apcp\w*|mtpr|tprate|q|hus\w*|"
    r"hur\w*|shum|rh\w*|ws\d*m?|wspd\w*|si10|sfcwind\w*|gust|clt|tcc|lcc|mcc|hcc|tcwv|tcw|swe"
)
POSITIVE_UNITS = ("mm", "mm h-1", "mm d-1", "mm day-1", "%", "kg kg-1", "g kg-1")
VECTOR_LONG = (
    r"\b[uv][- ](wind )?component|\bcomponent of (the )?wind|zonal|meridional|eastward|northward"
)
VECTOR_SHORT = (
    r"[uv]|[uv]_?\d+m?|\d+m?_?[uv]|[uv]a|[uv]as|[uv]grd\w*|[uv]_?wind\w*|[uv]wnd\w*|[uv]10n|"
    r"(\d+m?_)?[uv]_component_of_wind\w*|[uv]o|tau[uv]|[ei]w?ss|nss"
)


def non_negative(field: xr.DataArray) -> bool:
    """Infer whether values can't be negative: from the standard name, else other names and units.

    >>> non_negative(xr.DataArray(attrs={"standard_name": "precipitation_flux"}))
    True
    >>> non_negative(xr.DataArray(name="t2m", attrs={"units": "K"}))
    False
    """
    standard, long, short, units = _names(field)
    if re.search(r"anomaly|tendency|difference|departure|correlation|error", f"{standard} {long}"):
        return False
    if standard:
        return bool(re.search(POSITIVE_STANDARD, standard))
    if re.search(POSITIVE_LONG, long) or re.fullmatch(POSITIVE_SHORT, short):
        return True
    return not long and units in POSITIVE_UNITS


def vector_component(field: xr.DataArray) -> bool:
    """Infer whether a field is an eastward or northward component, whose sign flips at a pole.

    >>> vector_component(xr.DataArray(name="u10")), vector_component(xr.DataArray(name="tp"))
    (True, False)
    """
    standard, long, short, _ = _names(field)
    if standard:
        return bool(re.search(r"(^|_)(eastward|northward)(_|$)", standard))
    return bool(re.search(VECTOR_LONG, long) or re.fullmatch(VECTOR_SHORT, short))


def temperature_difference(field: xr.DataArray) -> bool:
    """Infer whether a field holds differences of temperatures, such as anomalies or spreads.

    They convert between degC and K without an offset.

    >>> anomaly = xr.DataArray(name="t2m", attrs={"units_metadata": "temperature: difference"})
    >>> temperature_difference(anomaly), temperature_difference(xr.DataArray(name="t2m"))
    (True, False)
    """
    return temperature_kind(field.attrs, str(field.name or "")) == "difference"


def _names(field: xr.DataArray) -> tuple[str, str, str, str]:
    """Return standard name, long name, name and units in lower case."""
    standard = str(field.attrs.get("standard_name", "")).lower()
    return (
        "" if standard == "unknown" else standard,
        str(field.attrs.get("long_name", "")).lower(),
        ("" if field.name is None else str(field.name)).lower(),
        cf_units(str(field.attrs.get("units", ""))),
    )
