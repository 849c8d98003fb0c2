"""Summary of a source as text and HTML: grid, variables, times, calendar and members."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.times import calendar_of, seconds_of
from flexclim.errors import FlexclimError, GridError
from flexclim.models.facts import rows_html, rows_text
from flexclim.planning.model_choice import expected_choice
from flexclim.planning.source import Source, resolve
from flexclim.resampling.rows_and_columns import as_planned, find_cell_list

# Seconds of the units in which a time step is given.
UNITS = {"days": 86400, "h": 3600, "min": 60, "s": 1}
# Of downscaling, for which models are named.
FACTOR = 4


def summary_text(obj: xr.Dataset | xr.DataArray) -> str:
    """Summarise fields in lines of text; no data is computed.

    >>> print(summary_text(xr.DataArray([1.0, 2.0], dims="station", name="t2m")))
    <flexclim on a DataArray>
    Grid:       not found: 't2m' with dimensions (station) has no rows and no columns. ...
    """
    return rows_text(_title(obj), _summary(obj))


def summary_html(obj: xr.Dataset | xr.DataArray) -> str:
    """Summarise fields in HTML."""
    return rows_html(_title(obj), _summary(obj))


def _title(obj: xr.Dataset | xr.DataArray) -> str:
    return f"flexclim on a {type(obj).__name__}"


def _summary(obj: xr.Dataset | xr.DataArray) -> dict[str, str]:
    """Return the summary by topic, or the reason why the fields can't be used."""
    try:
        with warnings.catch_warnings(action="ignore"):
            found = find_cell_list(obj)
            source = resolve(obj if found is None else as_planned(obj, found))
    except GridError as error:
        return {"Grid": f"not found: {error}"}
    except FlexclimError as error:
        return {"Variables": f"can't be used: {error}"}
    rows = {
        "Grid": source.grid.summary if found is None else found.text(),
        "Variables": ", ".join(_named(source[name]) for name in source.fields)
        or f"none with numbers along {source.grid.y} and {source.grid.x}",
    }
    dated = next((name for name, times in source.times.items() if times.dated), None)
    if dated is not None and source[dated].size:
        times = source.times[dated].valid_times(source[dated])
        rows |= {"Time": _span(times), "Calendar": calendar_of(times)}
    if REALIZATION in source.dataset.sizes:
        rows["Members"] = f"{source.dataset.sizes[REALIZATION]} along {REALIZATION}"
    if source.fields:
        rows[f"Model x{FACTOR}"] = _models(source)
    return rows


def _models(source: Source) -> str:
    """Say which models would downscale which variables, and what better ones lack."""
    try:
        return " | ".join(expected_choice(source, FACTOR))
    except FlexclimError as error:
        return f"none: {error}"


def _named(field: xr.DataArray) -> str:
    units = field.attrs.get("units")
    return f"{field.name} ({units})" if units else f"{field.name}"


def _span(times: xr.Variable) -> str:
    """Return the first and last time, their number and step.

    >>> hours = np.arange("2020-01-01T00", "2020-01-02T00", 6, "M8[h]").astype("M8[ns]")
    >>> _span(xr.Variable("time", hours))
    '2020-01-01T00:00 to 2020-01-01T18:00 (4 times, every 6 h)'
    """
    values = np.atleast_1d(times.values)
    if values.ndim > 1:  # of several forecasts
        values = np.unique(values[~pd.isna(values)])
    if values.size == 0:
        return "missing"
    first, last = (
        str(np.datetime64(v, "m")) if times.dtype.kind == "M" else v.isoformat(timespec="minutes")
        for v in (values[0], values[-1])
    )
    if values.size == 1:
        return first
    steps = np.diff(seconds_of(values))
    shortest, longest = (_duration(step) for step in (steps.min(), steps.max()))
    pace = f"every {longest}" if shortest == longest else f"{shortest} to {longest} apart"
    return f"{first} to {last} ({values.size} times, {pace})"


def _duration(seconds: float) -> str:
    """Return a time step in its largest whole unit.

    >>> _duration(21600.0), _duration(86400.0), _duration(0.5)
    ('6 h', '1 days', '0.5 s')
    """
    unit = next((name for name, size in UNITS.items() if seconds % size == 0), "s")
    return f"{seconds / UNITS[unit]:g} {unit}"
