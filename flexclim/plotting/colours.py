"""One colour scale for each quantity: the same in maps, figures of scores and reports."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
import xarray as xr

from flexclim.cf.quantities import FieldProperties
from flexclim.cf.units import TEMPERATURES, cf_units, temperature_kind, text_of

# Of magnitudes from 0, such as speeds and rain; of signed quantities; of temperatures; of others.
MAGNITUDE, SIGNED, TEMPERATURE, OTHER = "YlGnBu", "RdBu_r", "RdYlBu_r", "viridis"
# Of spreads and errors, of directions, and of categories.
UNCERTAINTY, CYCLIC, CATEGORIES = "YlOrRd", "twilight", "tab20"
# Shares of the values below and above which colours do not differ.
LOW, HIGH = 0.005, 0.995
# A magnitude whose lowest value is above this share of its highest, such as a pressure, has a
# scale that does not start at 0.
FAR_FROM_ZERO = 0.3


class Style(TypedDict, total=False):
    """Colours of a map."""

    cmap: str
    vmin: float
    vmax: float


def colours_of(field: xr.DataArray) -> Style:
    """Return the colours of a quantity, told from its attributes, and limits from its values.

    Components of vectors, differences and other values of both signs get a diverging scale
    around 0; speeds, rain and other magnitudes a sequential one from 0.

    Parameters
    ----------
    field
        All values that share the scale, in memory; NaN is left out.

    >>> wind = xr.DataArray([-0.5, 6.0], name="u10", attrs={"units": "m s-1"})
    >>> colours_of(wind)["cmap"], colours_of(abs(wind).rename("wind_speed"))["cmap"]
    ('RdBu_r', 'YlGnBu')
    """
    low, high = _limits(field)
    known = FieldProperties.of(field)
    if known.period is not None:
        return {"cmap": CYCLIC, "vmin": 0.0, "vmax": known.period}
    if known.category:
        return {"cmap": CATEGORIES, "vmin": float(field.min()), "vmax": float(field.max())}
    if _is_temperature(field) and not known.difference:
        return {"cmap": TEMPERATURE, "vmin": low, "vmax": high}
    if known.vector or known.difference or low < 0 < high:
        return signed(field)
    if 0 <= low <= FAR_FROM_ZERO * high:
        return {"cmap": MAGNITUDE, "vmin": 0.0, "vmax": high}
    return {"cmap": OTHER, "vmin": low, "vmax": high}


def signed(field: xr.DataArray) -> Style:
    """Return a diverging scale around 0."""
    most = max(map(abs, _limits(field)))
    return {"cmap": SIGNED, "vmin": -most, "vmax": most}


def uncertainty(field: xr.DataArray) -> Style:
    """Return the scale of a spread or an error, from 0."""
    high = _limits(field)[1]
    return {"cmap": UNCERTAINTY, "vmin": 0.0, "vmax": high if high > 0 else 1.0}


def _is_temperature(field: xr.DataArray) -> bool:
    if cf_units(text_of(field.attrs, "units")) in TEMPERATURES:
        return True
    return (
        temperature_kind(field.attrs, "" if field.name is None else str(field.name)) == "on_scale"
    )


def _limits(field: xr.DataArray) -> tuple[float, float]:
    """Return limits that leave a few extreme cells out; two different ones."""
    values = field.values[np.isfinite(field.values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.quantile(values, (LOW, HIGH))
    if low == high:  # rain in a few cells
        low, high = values.min(), values.max()
    return float(low), float(high if high > low else low + 1)
