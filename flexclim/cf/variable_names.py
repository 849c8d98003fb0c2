"""Physical quantities of variables, recognised by standard name, or by usual short names.

The short names are those of ERA5 (both spellings), GRIB tables, CMIP and WRF.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import xarray as xr

from flexclim.cf.conversion import conversion
from flexclim.cf.units import temperature_kind, text_of

# Statistics in time that make another quantity of a variable.
OTHER_STATISTICS = re.compile(r"time: (maximum|minimum|range|standard_deviation|variance)")
PRECIPITATION = re.compile(r"precipitation|rainfall|snowfall|\brain\b")
HEIGHT_COORDINATES = "height", "heightaboveground"


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A physical quantity near the surface.

    Parameters
    ----------
    standard_names, names
        CF standard names, and short names in lower case.
    height_m
        Height above ground; None: the standard name suffices.
    water
        Whether it is an amount of water, in depth or mass per area.
    hours
        Accumulation period; None: instantaneous or a mean.
    """

    standard_names: tuple[str, ...]
    names: tuple[str, ...]
    height_m: float | None = None
    water: bool = False
    hours: float | None = None


def _wind(axis: str, other: str, height: int) -> Quantity:
    component = "eastward_wind" if axis == "u" else "northward_wind"
    names = f"{axis}{height}", f"{height}{axis}", f"{axis}_{height}m", f"{axis}{height}m"
    spelled = f"{height}m_{axis}_component_of_wind", f"{axis}grd{height}m", f"{axis}_{height}"
    cmip = (f"{axis}as",) if height == 10 else (f"{axis}a{height}m",)
    return Quantity(
        standard_names=(component, other), names=(*names, *spelled, *cmip), height_m=height
    )


def _wind_speed(height: int) -> Quantity:
    names = f"si{height}", f"{height}si", f"ws{height}", f"ws{height}m", f"{height}m_wind_speed"
    cmip = ("sfcwind",) if height == 10 else ()
    return Quantity(standard_names=("wind_speed",), names=(*names, *cmip), height_m=height)


TEMPERATURE = "t2m", "2t", "tas", "t2", "t_2m", "2m_temperature", "tmp2m", "tmp_2m", "air_temp_2m"
QUANTITIES = (
    *(_wind("u", "x_wind", height) for height in (10, 100)),
    *(_wind("v", "y_wind", height) for height in (10, 100)),
    Quantity(standard_names=("air_temperature",), names=TEMPERATURE, height_m=2),
    Quantity(
        standard_names=("dew_point_temperature",),
        names=("d2m", "2d", "tdps", "td2", "td_2m", "2m_dewpoint_temperature"),
        height_m=2,
    ),
    Quantity(
        standard_names=("air_pressure_at_mean_sea_level", "air_pressure_at_sea_level"),
        names=("msl", "psl", "mslp", "prmsl", "pmsl", "slp", "mean_sea_level_pressure"),
    ),
    Quantity(
        standard_names=("surface_air_pressure",), names=("sp", "ps", "psfc", "surface_pressure")
    ),
    _wind_speed(10),
    _wind_speed(100),
    Quantity(
        standard_names=(
            "precipitation_flux",
            "precipitation_amount",
            "lwe_precipitation_rate",
            "lwe_thickness_of_precipitation_amount",
            "rainfall_flux",
        ),
        names=(
            "qpe_01h",
            "tp",
            "pr",
            "rr",
            "rr1",
            "precip",
            "prcp",
            "prate",
            "total_precipitation",
        ),
        water=True,
        hours=1,
    ),
)


def quantity_named(name: str) -> Quantity | None:
    """Return the quantity that a short name stands for; None: it is not a usual one."""
    return next((one for one in QUANTITIES if name.lower() in one.names), None)


def is_precipitation(field: xr.DataArray) -> bool:
    """Return whether a field holds precipitation, rain or snowfall.

    >>> is_precipitation(xr.DataArray(name="pr")), is_precipitation(xr.DataArray(name="tas"))
    (True, False)
    """
    names = f"{text_of(field.attrs, 'standard_name')} | {text_of(field.attrs, 'long_name')}".lower()
    known = any(is_quantity(field, one) for one in QUANTITIES if one.water)
    return bool(PRECIPITATION.search(names.replace("_", " "))) or known


def is_quantity(field: xr.DataArray, quantity: Quantity) -> bool:
    """Return whether a field holds a quantity, by its attributes and its name.

    A standard name, or statistics in time, that say otherwise overrule the name.

    >>> tas = xr.DataArray(name="tas", attrs={"standard_name": "air_temperature"})
    >>> is_quantity(tas, quantity_named("t2m")), is_quantity(tas, quantity_named("u10"))
    (True, False)
    """
    other = OTHER_STATISTICS.search(str(field.attrs.get("cell_methods", "")))
    return other is None and is_named(field, quantity)


def is_named(field: xr.DataArray, quantity: Quantity) -> bool:
    """Return whether a field has the names of a quantity, whatever statistic in time it is."""
    standard = str(field.attrs.get("standard_name", "")).lower()
    by_name = str(field.name).lower() in quantity.names
    by_standard = standard in quantity.standard_names
    if standard not in ("", "unknown") and not by_standard:
        return False
    if temperature_kind(field.attrs, str(field.name)) == "difference":
        return False
    if by_name or not by_standard or quantity.height_m is None:
        return by_name or by_standard
    height = height_of(field)
    if height is not None:
        return height == quantity.height_m
    long = str(field.attrs.get("long_name", ""))
    return bool(re.search(rf"\b{quantity.height_m:g}[ -]?m(et(re|er)s?)?\b", long, re.I))


def height_of(field: xr.DataArray) -> float | None:
    """Return the height above ground in m that a scalar coordinate gives; None: there is none."""
    for name, coordinate in field.coords.items():
        named = str(name).lower() in HEIGHT_COORDINATES
        if coordinate.ndim or coordinate.dtype.kind not in "fiu":
            continue
        if named or coordinate.attrs.get("standard_name") == "height":
            metres = conversion(str(coordinate.attrs.get("units", "m")), "m")
            return None if metres is None else metres(float(coordinate))
    return None
