"""How variables are adjusted: by differences or by ratios, and with which traces."""

from __future__ import annotations

import numpy as np
import xarray as xr

from flexclim.adjusting.quantile_mapping import Treatment
from flexclim.cf.conversion import conversion
from flexclim.cf.quantities import FieldProperties
from flexclim.cf.units import TEMPERATURES, cf_units, text_of
from flexclim.cf.variable_names import is_precipitation
from flexclim.errors import FlexclimError
from flexclim.grids.arguments import is_one_of, shown

KINDS = "additive", "multiplicative"
# Of precipitation a day (Cannon et al., 2015).
TRACE_MM = 0.05


def treatment_of(
    field: xr.DataArray, kind: str | None = None, trace: str | None = None
) -> Treatment:
    """Return how a field is treated, from its attributes.

    Quantities that are never negative and have no upper bound, such as precipitation and wind
    speed, are adjusted by ratios, all others by differences.

    Parameters
    ----------
    kind
        ``"additive"`` or ``"multiplicative"``. Default: by the quantity.
    trace
        Smallest precipitation, with its units. Default: 0.05 mm a day.

    Raises
    ------
    FlexclimError
        If the field holds categories or directions, or an argument is invalid.

    Examples
    --------
    >>> rain = xr.DataArray(
    ...     name="pr", attrs={"standard_name": "precipitation_flux", "units": "mm d-1"}
    ... )
    >>> treatment_of(rain)
    Treatment(kind='multiplicative', trace=0.05, lower=0.0, upper=inf)
    >>> treatment_of(xr.DataArray(name="tas", attrs={"units": "K"})).kind
    'additive'
    """
    properties = FieldProperties.of(field)
    if not properties.continuous:
        what = "flags or categories" if properties.category else "a direction"
        raise FlexclimError(
            f"{field.name!r} holds {what}, which have no quantiles. Leave it out with .drop_vars, "
            "or name others with variables."
        )
    if not is_one_of(kind, (None, *KINDS)):
        raise FlexclimError(f"kind {shown(kind)} is not known. Pass one of {', '.join(KINDS)}.")
    units = cf_units(text_of(field.attrs, "units"))
    on_scale = units in TEMPERATURES and units != "K" and not properties.difference
    if kind == "multiplicative" and on_scale:
        raise FlexclimError(
            f"{field.name!r} is in {units!r}, whose zero is arbitrary, so ratios have no meaning. "
            "Pass kind='additive', or convert it to 'K'."
        )
    bounds = properties.bounds
    ratios = bounds.lower == 0 and bounds.upper is None
    by_ratio = kind == "multiplicative" if kind else ratios
    return Treatment(
        kind="multiplicative" if by_ratio else "additive",
        trace=_trace(field, trace) if by_ratio and is_precipitation(field) else 0.0,
        lower=-np.inf if bounds.lower is None else bounds.lower,
        upper=np.inf if bounds.upper is None else bounds.upper,
    )


def _trace(field: xr.DataArray, trace: str | None) -> float:
    """Return the smallest precipitation in the units of a field."""
    units = text_of(field.attrs, "units")
    asked = (trace,) if trace is not None else (f"{TRACE_MM} mm d-1", f"{TRACE_MM} mm")
    for one in asked:
        number, _, have = str(one).strip().partition(" ")
        try:
            value = float(number)
        except ValueError:
            continue
        found = conversion(have.strip(), units, water=True) if value >= 0 and have else None
        if found is not None:
            return float(np.round(found(value), 15))
    raise FlexclimError(
        f"{field.name!r} is in {units!r}, of which {' or '.join(map(repr, asked))} is no smallest "
        "precipitation. Pass one with its units, such as '0.05 mm d-1', or correct the units."
    )
