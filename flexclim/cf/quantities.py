"""What a field is, from its attributes alone: bounds, categories, directions, vector components.

A field is resolved once, where it enters; everything below takes the :class:`FieldProperties`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import xarray as xr

from flexclim.cf.missing_values import NOTHING, Declared, declared, numbers_in
from flexclim.cf.physical_bounds import NO_BOUNDS, Bounds, infer_bounds
from flexclim.cf.units import cf_units, temperature_kind, text_of

# Patterns are searched in standard and long names; short names must match as a whole.
VECTOR_LONG = (
    r"\b[uv][- ](wind )?component|\bcomponent of (the )?wind|zonal|meridional|eastward|northward"
)
VECTOR_SHORT = (
    r"[uv]|[uv]_?\d+m?|\d+m?_?[uv]|[uv]a|[uv]as|[uv]grd\w*|[uv]_?wind\w*|[uv]wnd\w*|[uv]10n|"
    r"(\d+m?_)?[uv]_component_of_wind\w*|[uv]o|tau[uv]|[ei]w?ss|nss"
)
FLAG_ATTRIBUTES = ("flag_values", "flag_masks", "flag_meanings")
CATEGORY_STANDARD = (
    r"(^|_)area_type$|soil_type|land_cover|surface_cover|^region$|_flag$| status_flag"
)
CATEGORY_LONG = (
    r"\b(soil|vegetation|precipitation|land.?use|land.?cover|cloud|surface|weather) "
    r"(types?|class(es)?|category|categories|codes?)\b|(quality|status) flag|dominant category"
)
CATEGORY_SHORT = r"lu_index|ivgtyp|isltyp|ptype|slt|tv[hl]|land_?cover\w*|lccs_class|wmo_code"
DIRECTION_STANDARD = r"(^|_)(from|to)_direction|_direction$|azimuth_angle"
DIRECTION_LONG = r"\bdirections?\b|\bazimuth"
DIRECTION_SHORT = r"wd|wd_?\d+m?|\w*wind_?dir\w*|wdir\w*|\w+_dir|mwd|mdts|mdww|dd"
# Components along a direction, and spreads of directions, are on no circle.
EAST = r"(^|_)(eastward|x)_|zonal|\bu[- ](wind )?component"
NORTH = r"(^|_)(northward|y)_|meridional|\bv[- ](wind )?component"
NO_DIRECTION = r"component|velocity|stress|flux|deviation|spread|error|difference|anomal"
PERIODS = {
    **dict.fromkeys(("degree", "degrees", "deg", "degree_true", "degrees_true", "°"), 360.0),
    **dict.fromkeys(("rad", "radian", "radians"), 2 * math.pi),
}


Direction = Literal["x", "y"]
PATTERNS: dict[Direction, str] = {"x": EAST, "y": NORTH}


@dataclass(frozen=True, kw_only=True)
class FieldProperties:
    """What a field is, as far as its attributes tell.

    Parameters
    ----------
    bounds
        Bounds that its values keep.
    category
        Whether values are flags or numbers of categories, with no meaning in between.
    mask
        Whether there are two categories, so that averages are fractions of one of them.
    period
        Of a direction: 360 degrees or 2 pi; None for other quantities.
    vector
        Whether it is an eastward or northward component, whose sign flips at a pole.
    along
        Direction of the component of a vector, along x or y (eastward or northward); None for
        scalars, and where it is unknown.
    difference
        Whether it holds differences of temperatures, which convert without an offset.
    missing
        What its attributes declare as missing.
    """

    bounds: Bounds = NO_BOUNDS
    category: bool = False
    mask: bool = False
    period: float | None = None
    vector: bool = False
    along: Direction | None = None
    difference: bool = False
    missing: Declared = NOTHING

    @classmethod
    def of(cls, field: xr.DataArray) -> Self:
        """Tell from name and attributes what a field is; no value is read.

        >>> wind = FieldProperties.of(xr.DataArray(name="u10", attrs={"units": "m s-1"}))
        >>> wind.vector, wind.bounds.lower, wind.category
        (True, None, False)
        """
        standard, long, short, units = _names(field)
        category, vector = _is_category(field), vector_component(field)
        period = None if category or vector else _period(standard, long, short, units)
        steps = [abs(one) for one in numbers_in(field.encoding.get("scale_factor"))]
        step = steps[0] if steps and math.isfinite(steps[0]) else 0.0
        methods = text_of(field.attrs, "cell_methods")
        free = category or vector or period is not None
        return cls(
            bounds=NO_BOUNDS if free else infer_bounds(standard, long, short, units, methods, step),
            category=category,
            mask=category and np.size(field.attrs.get("flag_values", ())) == 2,
            period=period,
            vector=vector,
            along=vector_direction(field),
            difference=temperature_difference(field),
            missing=declared(field, units),
        )

    @property
    def continuous(self) -> bool:
        """Whether averages of its values are values of the same quantity."""
        return not self.category and self.period is None


def vector_component(field: xr.DataArray) -> bool:
    """Infer whether a field is an eastward or northward component, whose sign flips at a pole.

    >>> vector_component(xr.DataArray(name="u10")), vector_component(xr.DataArray(name="tp"))
    (True, False)
    """
    standard, long, short, _ = _names(field)
    if standard:
        return bool(re.search(r"(^|_)(eastward|northward)(_|$)", standard))
    return bool(re.search(VECTOR_LONG, long) or re.fullmatch(VECTOR_SHORT, short))


def vector_direction(field: xr.DataArray) -> Direction | None:
    """Infer along which axis a component points: eastward or along x, northward or along y.

    >>> vector_direction(xr.DataArray(name="u10")), vector_direction(xr.DataArray(name="t2m"))
    ('x', None)
    """
    standard, long, short, _ = _names(field)
    for direction, pattern in PATTERNS.items():
        if re.search(pattern, f"{standard} {long}"):
            return direction
    if not vector_component(field):
        return None
    words = re.sub(r"[^a-z]", " ", short).split()
    letters: dict[str, Direction] = {"u": "x", "v": "y"}
    return next((letters[word[0]] for word in words if word[0] in letters), None)


def temperature_difference(field: xr.DataArray) -> bool:
    """Infer whether a field holds differences of temperatures, such as anomalies or spreads.

    They convert between degC and K without an offset.

    >>> anomaly = xr.DataArray(name="t2m", attrs={"units_metadata": "temperature: difference"})
    >>> temperature_difference(anomaly), temperature_difference(xr.DataArray(name="t2m"))
    (True, False)
    """
    return (
        temperature_kind(field.attrs, "" if field.name is None else str(field.name)) == "difference"
    )


def _is_category(field: xr.DataArray) -> bool:
    standard, long, short, units = _names(field)
    if any(key in field.attrs for key in FLAG_ATTRIBUTES) or "code table" in units.lower():
        return True
    if standard:
        return bool(re.search(CATEGORY_STANDARD, standard))
    return bool(re.search(CATEGORY_LONG, long) or re.fullmatch(CATEGORY_SHORT, short))


def _period(standard: str, long: str, short: str, units: str) -> float | None:
    """Return the period of a direction; degrees if only its standard name says that it is one."""
    if re.search(NO_DIRECTION, standard or long):
        return None
    if standard:
        found, units = re.search(DIRECTION_STANDARD, standard), units or "degree"
    else:
        found = re.search(DIRECTION_LONG, long) or re.fullmatch(DIRECTION_SHORT, short)
    return PERIODS.get(units.lower().replace(" ", "_")) if found else None


def along_grid(field: xr.DataArray) -> bool:
    """Return whether a field is the component of a vector along rows or columns of its grid.

    >>> along_grid(xr.DataArray(name="u", attrs={"standard_name": "sea_water_x_velocity"}))
    True
    """
    return bool(re.search(r"(^|_)(x|y|grid_eastward|grid_northward)_", _names(field)[0]))


def _names(field: xr.DataArray) -> tuple[str, str, str, str]:
    """Return standard name, long name and name in lower case, and units."""
    standard = text_of(field.attrs, "standard_name").lower()
    return (
        "" if standard == "unknown" else standard,
        text_of(field.attrs, "long_name").lower(),
        ("" if field.name is None else str(field.name)).lower(),
        cf_units(text_of(field.attrs, "units")),
    )
