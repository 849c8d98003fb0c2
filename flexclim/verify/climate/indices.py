"""Indices of extremes by year or season."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view

from flexclim.cf.conversion import Conversion, conversion
from flexclim.cf.units import cf_units, text_of
from flexclim.errors import FlexclimError, suggest_options
from flexclim.grids.attributes import with_plain_attributes
from flexclim.grids.candidates import with_positions
from flexclim.verify.climate.index_definitions import INDICES, Index
from flexclim.verify.climate.precipitation import is_total_precipitation, millimetres_a_day
from flexclim.verify.climate.samples import by_cell
from flexclim.verify.climate.yearly_series import (
    COMPLETE,
    SEASONS,
    TIME,
    daily,
    describe,
    each_variable,
    fields_of,
    season_years,
    seasons_of,
    time_series,
)
from flexclim.verify.core.local_thresholds import Threshold, matched_limit
from flexclim.verify.core.option_checks import check_choice

NAMES = {
    "tasmax": ("tasmax", "tmax", "tx", "t2m_max", "mx2t", "mx2t24", "tmax_2m"),
    "tasmin": ("tasmin", "tmin", "tn", "t2m_min", "mn2t", "mn2t24", "tmin_2m"),
}
METHODS = {"tasmax": "time: maximum", "tasmin": "time: minimum"}


@suggest_options
def indices(
    fields: xr.DataArray | xr.Dataset,
    names: Sequence[str] | None = None,
    *,
    season: str | None = None,
) -> xr.Dataset:
    """Compute indices of extremes of each year, or of one season of each year.

    Parameters
    ----------
    fields
        Daily (realization, time, ...) in any calendar: precipitation, and daily maxima and minima
        of temperature, which are found by standard name and cell methods, or by names such as
        ``pr``, ``tasmax`` and ``tasmin``. Other variables are left aside.
    names
        Of these: ``rx1day``, ``rx5day``, ``sdii``, ``r10mm``, ``cdd``, ``cwd`` of precipitation;
        ``txx``, ``txn``, ``su`` of daily maxima; ``tnn``, ``tnx``, ``fd`` of daily minima.
        Default: all that the fields allow.
    season
        ``"DJF"``, ``"MAM"``, ``"JJA"`` or ``"SON"``; a December belongs to the next year's winter.
        Default: the calendar year.

    Returns
    -------
    Dataset
        (year, ...) for each index, in mm, mm d-1, d or the units of temperature. A year or season
        is NaN unless 95 per cent of its days are known; a missing day ends a spell. Lazy if the
        fields are.

    Raises
    ------
    FlexclimError
        If a name is unknown, its variable is missing, or fields are not daily or in unknown units.

    Notes
    -----
    As the Expert Team on Climate Change Detection and Indices defines them (Zhang et al., 2011,
    WIREs Clim. Change 2, 851-870), with wet days of at least 1 mm; tests hold them equal to those
    of xclim.

    >>> days = xr.date_range("2001-01-01", "2001-12-31", freq="D")
    >>> rain = xr.DataArray(np.r_[[9.0, 7.0], np.zeros(363)], {"time": days}, name="pr")
    >>> found = indices(rain.assign_attrs(units="mm d-1"), ["rx1day", "cdd", "sdii"])
    >>> found.rx1day.item(), found.cdd.item(), found.sdii.item()
    (9.0, 363.0, 8.0)
    """
    if season is not None:
        check_choice("season", season, SEASONS)
    known = _variables(fields)
    wanted = _chosen(names, known)
    found: dict[str, xr.DataArray] = {}
    for variable in dict.fromkeys(INDICES[name].variable for name in wanted):
        chosen = {n: INDICES[n] for n in wanted if INDICES[n].variable == variable}
        found |= _of_variable(known[variable], chosen, season)
    return xr.Dataset({name: found[name] for name in wanted})


@suggest_options
def days_above(
    field: xr.DataArray | xr.Dataset, threshold: Threshold, *, season: str | None = None
) -> xr.DataArray | xr.Dataset:
    """Count the days of each year at or above a threshold, which may differ between places.

    Parameters
    ----------
    field
        Daily (realization, time, ...) in any calendar; a Dataset: each variable.
    threshold
        A number in the field's units, or a DataArray by place, such as
        ``truth.quantile(0.95, "time")``.
    season
        As in :func:`indices`.

    Returns
    -------
    DataArray or Dataset
        (year, ...) in days. A year or season is NaN unless 95 per cent of its days are known, and
        where there is no threshold. Lazy if the field is.

    Raises
    ------
    FlexclimError
        If the field is not daily, or thresholds are no numbers or do not fit.

    >>> days = xr.date_range("2001-01-01", "2002-12-31", freq="D")
    >>> field = xr.DataArray(days.month.values, {"time": days}, name="month")
    >>> days_above(field, 12).values
    array([31., 31.])
    """
    if season is not None:
        check_choice("season", season, SEASONS)
    return each_variable(_days_above, field, threshold, season)


def _days_above(field: xr.DataArray, threshold: Threshold, season: str | None) -> xr.DataArray:
    series = daily(time_series(field))
    limit = matched_limit(threshold, series.isel({TIME: 0}, drop=True), "threshold", "field")
    # The sign of a difference is exact, so that no value changes sides.
    apart = series.astype(float) - limit
    years, groups = _groups(series[TIME], season)

    def count(values: np.ndarray) -> np.ndarray:
        return _by_year(values, groups, lambda days: (days >= 0).sum(axis=-1))

    found = by_cell(apart, count, ("year", years), pooled=False)
    attributes = describe(series, "days at or above a threshold", units="d")
    return found.transpose("year", ...).assign_attrs(attributes)


def _of_variable(
    series: xr.DataArray, chosen: Mapping[str, Index], season: str | None
) -> dict[str, xr.DataArray]:
    """Return several indices of one variable, from one pass over the data."""
    years, groups = _groups(series[TIME], season)
    units = str(series.attrs["units"])
    scale = conversion("degC", units) or Conversion()
    limits = {name: scale(index.limit) for name, index in chosen.items()}

    def compute(values: np.ndarray) -> np.ndarray:
        parts = [
            _by_year(_moving_sum(values, one.window), groups, _with_limit(one, limits[name]))
            for name, one in chosen.items()
        ]
        return np.concatenate(parts, axis=-1)

    flat = by_cell(series, compute, ("part", range(len(years) * len(chosen))), pooled=False)
    found = {}
    for place, (name, index) in enumerate(chosen.items()):
        part = flat.isel(part=slice(place * len(years), (place + 1) * len(years)))
        part = part.rename(part="year").assign_coords(year=years).transpose("year", ...)
        attributes = describe(series, index.text, units=index.units, values=True)
        found[name] = part.assign_attrs(attributes, long_name=index.text)
    return found


def _by_year(
    values: np.ndarray, groups: Sequence[np.ndarray], of: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return (..., year) of (..., day), NaN where too few days of a year are known."""
    found = np.full((*values.shape[:-1], len(groups)), np.nan)
    for place, group in enumerate(groups):
        days = values[..., group]
        full = np.isfinite(days).sum(axis=-1) >= COMPLETE * max(group.size, 1)
        if group.size:
            found[..., place] = np.where(full, of(days), np.nan)
    return found


def _with_limit(index: Index, limit: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda days: index.of(days, limit)


def _moving_sum(values: np.ndarray, window: int) -> np.ndarray:
    """Return sums of each day and those before it; NaN where one of them is missing."""
    if window == 1:
        return values
    parts = sliding_window_view(values, window, axis=-1).sum(axis=-1, dtype=float)
    return np.concatenate([np.full((*values.shape[:-1], window - 1), np.nan), parts], axis=-1)


def _groups(days: xr.DataArray, season: str | None) -> tuple[list[int], list[np.ndarray]]:
    """Return years, and the places of the days of each; none where a month of it is missing."""
    months = days.dt.month.values
    years = days.dt.year.values if season is None else season_years(days)
    inside = (
        np.ones(days.size, bool) if season is None else seasons_of(days) == SEASONS.index(season)
    )
    labels = np.unique(years[inside])
    whole = 12 if season is None else 3
    groups = []
    for label in labels:
        places = np.flatnonzero(inside & (years == label))
        groups.append(places if np.unique(months[places]).size == whole else places[:0])
    return labels.tolist(), groups


def variable_role(field: xr.DataArray) -> str | None:
    """Return whether a field is ``"pr"``, ``"tasmax"`` or ``"tasmin"``; None for others.

    >>> variable_role(xr.DataArray(name="tmax")), variable_role(xr.DataArray(name="t2m"))
    ('tasmax', None)
    """
    if is_total_precipitation(field):
        return "pr"
    methods = text_of(field.attrs, "cell_methods")
    for role, names in NAMES.items():
        named = str(field.name).lower() in names
        stated = text_of(field.attrs, "standard_name") == "air_temperature"
        if named or (stated and METHODS[role] in methods):
            return role
    return None


def _variables(fields: xr.DataArray | xr.Dataset) -> dict[str, xr.DataArray]:
    """Return the daily series that indices are computed of, by role."""
    fields = with_plain_attributes(fields)
    if isinstance(fields, xr.DataArray):
        candidates = [fields]
    else:
        candidates = [with_positions(fields, name) for name in fields_of(fields)]
    found: dict[str, xr.DataArray] = {}
    for one in candidates:
        role = variable_role(one)
        if role is None:
            continue
        if role in found:
            raise FlexclimError(
                f"{found[role].name!r} and {one.name!r} are both {role!r}. Select one of them."
            )
        series = time_series(one, str(one.name))
        series = millimetres_a_day(series, role) if role == "pr" else _temperature(series)
        found[role] = daily(series)
    if not found:
        raise FlexclimError(
            f"no precipitation and no daily maxima or minima of temperature among "
            f"{[one.name for one in candidates]}. Name them pr, tasmax and tasmin, or set their "
            "standard_name and cell_methods."
        )
    return found


def _temperature(series: xr.DataArray) -> xr.DataArray:
    """Return temperatures in K or degC, the one they are in, or degC."""
    units = cf_units(text_of(series.attrs, "units"))
    change = conversion(units, "degC") if units else None
    if change is None:
        raise FlexclimError(
            f"{series.name!r} is in {units!r}, which is no unit of temperature. Correct its units "
            "attribute, for example to 'K'."
        )
    if units in ("K", "degC"):
        return series.assign_attrs(units=units)
    return change(series).assign_attrs(units="degC")


def _chosen(names: Sequence[str] | None, known: Mapping[str, xr.DataArray]) -> list[str]:
    """Return the names of the indices to compute."""
    if names is None:
        return [name for name, index in INDICES.items() if index.variable in known]
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        check_choice("names", name, tuple(INDICES))
        if INDICES[name].variable not in known:
            raise FlexclimError(
                f"{name!r} needs {INDICES[name].variable!r}; there is {', '.join(known)} alone. "
                "Add it, or choose other indices."
            )
    return chosen
