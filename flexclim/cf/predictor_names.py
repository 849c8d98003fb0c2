"""Names of predictors that tell a level and a time: ``z@500``, ``q@850@-24h``.

``VARIABLE@LEVEL`` is a variable on a pressure level in hPa, or on a level in the units of its
vertical coordinate. ``@-24h`` after it, or after a variable without level, is its value a day
before.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.cf.conversion import conversion
from flexclim.cf.times import seconds_of
from flexclim.errors import FlexclimError

SIGN = "@"
VERTICAL_NAMES = (
    *("level", "lev", "plev", "pressure", "pressure_level", "isobaricinhpa", "isobaricinpa"),
    *("pfull", "height", "altitude", "depth", "z", "model_level", "hybrid"),
)
VERTICAL_STANDARD_NAMES = (
    *("air_pressure", "height", "altitude", "geopotential_height", "depth"),
    *("model_level_number", "atmosphere_hybrid_sigma_pressure_coordinate"),
)
LARGEST_HPA = 1100.0  # larger numbers of levels are in the units of the file


@dataclass(frozen=True, kw_only=True)
class PredictorName:
    """What a name tells: a variable, its level (None: as it is) and hours before the target."""

    variable: str
    level: float | None = None
    lag_hours: float = 0.0

    @property
    def on_level(self) -> str:
        """The name without the lag."""
        return self.variable if self.level is None else f"{self.variable}{SIGN}{self.level:g}"


def read_name(name: str) -> PredictorName:
    """Read a variable, its level and its lag from a name.

    Raises
    ------
    FlexclimError
        If a part is neither a level nor a lag.

    Examples
    --------
    >>> read_name("q@850@-24h")
    PredictorName(variable='q', level=850.0, lag_hours=24.0)
    """
    variable, *parts = name.split(SIGN)
    level, lag = None, 0.0
    for part in parts:
        if part.startswith("-") and lag == 0:
            lag = _hours(part[1:])
        elif level is None and lag == 0:
            level = _number(part)
        else:
            lag = np.nan
        if (level is not None and not np.isfinite(level)) or not np.isfinite(lag):
            raise FlexclimError(
                f"{name!r} is no name of a predictor: after the variable comes a level, such as "
                "z@500, or a lag, such as z@500@-24h."
            )
    return PredictorName(variable=variable, level=level, lag_hours=lag)


def vertical_dimension(field: xr.DataArray) -> str | None:
    """Return the dimension of a field along which levels lie; None: it has none."""
    for dim in map(str, field.dims):
        attrs = field[dim].attrs if dim in field.coords else {}
        if (
            attrs.get("axis") == "Z"
            or "positive" in attrs
            or attrs.get("standard_name") in VERTICAL_STANDARD_NAMES
            or dim.lower() in VERTICAL_NAMES
        ):
            return dim
    return None


def on_level(dataset: xr.Dataset, name: str) -> xr.DataArray | None:
    """Return a variable on the level that its name tells; None where the dataset lacks it.

    Parameters
    ----------
    name
        With a level, and without a lag. A variable of just this name comes first, then the level
        of a variable, then a variable with the level in its name: ``z_500`` or ``z500``.

    Examples
    --------
    >>> levels = xr.DataArray([85000.0, 50000.0], dims="plev", attrs={"units": "Pa"})
    >>> ds = xr.Dataset({"z": ("plev", [1.0, 2.0])}, coords={"plev": levels})
    >>> float(on_level(ds, "z@500"))
    2.0
    """
    if name in dataset.data_vars:
        return dataset[name]
    told = read_name(name)
    if told.level is None:
        return None
    if told.variable in dataset.data_vars:
        field = dataset[told.variable]
        dim = vertical_dimension(field)
        at = _position(field, dim, told.level) if dim else None
        if at is None:
            return None
        of_levels = [key for key, one in field.coords.items() if dim in one.dims]
        return field.isel({dim: at}).drop_vars(of_levels).rename(name)
    for spelled in (f"{told.variable}_{told.level:g}", f"{told.variable}{told.level:g}"):
        if spelled in dataset.data_vars:
            return dataset[spelled].rename(name)
    return None


def levels_text(dataset: xr.Dataset, name: str) -> str:
    """Return which levels a variable has, as the end of a message; empty: that is not known.

    >>> levels = xr.DataArray([850, 500], dims="level", attrs={"units": "hPa"})
    >>> levels_text(xr.Dataset({"z": ("level", [1.0, 2.0])}, {"level": levels}), "z@300")
    "'z' has the levels 850, 500 hPa"
    """
    variable = read_name(name).variable
    if variable not in dataset.data_vars:
        return ""
    dim = vertical_dimension(dataset[variable])
    if dim is None or dim not in dataset[variable].coords:
        return f"{variable!r} has no levels"
    levels = dataset[variable][dim]
    listed = ", ".join(f"{level:g}" for level in levels.values[:20].tolist())
    return f"{variable!r} has the levels {listed} {levels.attrs.get('units', '')}".rstrip()


def earlier_times(times: np.ndarray, hours: float) -> np.ndarray:
    """Return for each time the index of the time that many hours before; -1: there is none.

    Parameters
    ----------
    times
        (time,) dates, datetime64 or cftime.

    >>> earlier_times(np.array(["2000-01-01", "2000-01-02"], "datetime64[ns]"), 24.0)
    array([-1,  0])
    """
    seconds = np.round(seconds_of(times))
    order = np.argsort(seconds, kind="stable")
    wanted = seconds - 3600 * hours
    found = order[np.searchsorted(seconds[order], wanted).clip(max=seconds.size - 1)]
    return np.where(np.abs(seconds[found] - wanted) < 1, found, -1)


def _position(field: xr.DataArray, dim: Hashable, level: float) -> int | None:
    """Return where a level lies along its dimension; pressures may be in any units."""
    if dim not in field.coords or field[dim].dtype.kind not in "iuf":
        return None
    values = field[dim].values.astype(float)
    units = str(field[dim].attrs.get("units", ""))
    pressure = conversion(units, "hPa")
    own = values if pressure is None else values * pressure.scale + pressure.offset
    if not units and values.max() > 2000:  # pressures in Pa that do not say so
        own = values / 100
    # A number that can be in hPa is never one in Pa: q@1000 is not the level of 1000 Pa.
    in_own_units = pressure is None or level > LARGEST_HPA
    for known in (own, values) if in_own_units else (own,):
        near = np.flatnonzero(np.isclose(known, level, rtol=1e-5, atol=0))
        if near.size:
            return int(near[0])
    return None


def _hours(span: str) -> float:
    try:
        hours = pd.Timedelta(span).total_seconds() / 3600
    except ValueError:
        return np.nan
    return float(hours) if hours >= 1e-3 else np.nan  # numbers without units are nanoseconds


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
