"""Conversion between units, by pint with the CF spelling of cf-xarray."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import xarray as xr

from flexclim.cf.units import cf_units

T = TypeVar("T", xr.DataArray, float)

SQUARE = re.compile(r"^\((.+)\)2$")  # as scores write it
ANGLE = re.compile(r"deg(ree)?s?|rad(ian)?s?")
TEMPERATURE = re.compile(r"kelvin|celsius|fahrenheit|rankine", re.IGNORECASE)
NUMBER = re.compile(r"([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?|10\^[-+]?\d+)(?=\s|$)\s*(.*)")
# Spellings that pint does not know.
ALIASES = {
    "degrees_C": "degC",
    "degree_C": "degC",
    "degreeC": "degC",
    "C": "degC",
    "Kelvin": "K",
    "m of water equivalent": "m",
    "gpm": "m",
    "gpdm": "dam",
    "psu": "1e-3",
    "ppmv": "1e-6",
    "mb": "hPa",
    "millibars": "hPa",
}
WATER = 1000.0  # kg m-3


@dataclass(frozen=True)
class Conversion:
    """A linear conversion: ``scale * value + offset``."""

    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, values: T) -> T:
        """Convert values."""
        return values * self.scale + self.offset

    @property
    def inverse(self) -> Conversion:
        """The conversion back."""
        return Conversion(1 / self.scale, -self.offset / self.scale)

    @property
    def changes_nothing(self) -> bool:
        """Whether values stay the same."""
        return self == Conversion()


@cache
def conversion(
    have: str, want: str, *, difference: bool = False, water: bool = False
) -> Conversion | None:
    """Return the conversion between units, None if there is none.

    Parameters
    ----------
    have, want
        Units in any usual spelling.
    difference
        Whether values are differences, so that degC and K are the same.
    water
        Whether values are amounts of water, of which 1 kg m-2 is 1 mm.

    Examples
    --------
    >>> conversion("degC", "K"), conversion("degC", "K", difference=True)
    (Conversion(scale=1.0, offset=273.15), Conversion(scale=1.0, offset=0.0))
    >>> round(conversion("kg m-2 s-1", "mm h-1", water=True).scale, 6)
    3600.0
    >>> conversion("m", "K") is None
    True
    """
    have, want = cf_units(have), cf_units(want)
    if have == want:
        return Conversion()
    offset, one = _convert(0.0, have, want), _convert(1.0, have, want)
    if offset is None and water:
        depth = _convert(1 / WATER, f"{have} m3 kg-1", want)
        mass = _convert(WATER, f"{have} kg m-3", want)
        offset, one = 0.0, depth if depth is not None else mass
    if offset is None or one is None:
        return None
    return Conversion(one - offset, 0.0 if difference else offset)


def _convert(value: float, have: str, want: str) -> float | None:
    """Convert one number; None if the units are unknown or of different dimensions."""
    import pint
    from cf_xarray.units import units  # half a second, when units differ

    (size, source), (unit, target) = _split(have), _split(want)
    try:
        parts = [units.parse_units(text) for text in (source, target)]
        if any(map(_turns_a_temperature, parts)):
            return None
        return float(units.Quantity(value * size, parts[0]).to(parts[1]).magnitude) / unit
    except (pint.PintError, AttributeError, TypeError, ValueError, AssertionError):
        return None


def _turns_a_temperature(units: object) -> bool:
    """Return whether units are an angle times a temperature, of which pint makes a temperature.

    "degree Celsius" is read so. Temperature gradients, in K per degree, are none.
    """
    powers: Mapping[str, float] = getattr(units, "_units", {})
    names = [name for name, power in powers.items() if power > 0]
    return any(map(ANGLE.fullmatch, names)) and any(map(TEMPERATURE.search, names))


def _split(text: str) -> tuple[float, str]:
    """Return the number before units, and the units.

    >>> _split("1e-3 kg m-2"), _split("1"), _split("10^6 m")
    ((0.001, 'kg m-2'), (1.0, '1'), (1000000.0, 'm'))
    """
    text = SQUARE.sub(r"(\1)**2", ALIASES.get(text, text))
    if found := NUMBER.fullmatch(text):
        number = found[1].replace("10^", "1e")
        return float(number), ALIASES.get(found[2], found[2]) or "1"
    return 1.0, text
