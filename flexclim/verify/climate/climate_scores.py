"""The climate of several sources against a truth, and their change signal, in one Dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import xarray as xr

from flexclim.cf.ensembles import REALIZATION
from flexclim.errors import FlexclimError, suggest_options, warn
from flexclim.verify.climate.change_signal import change_signal
from flexclim.verify.climate.climatology import QUANTILES, climatology_of
from flexclim.verify.climate.common_grid import SOURCE, area_mean, join_sources
from flexclim.verify.climate.cycles import diurnal_cycle_of, hours_of, seasonal_cycle_of
from flexclim.verify.climate.indices import indices, variable_role
from flexclim.verify.climate.return_levels import LEAST, PERIODS, return_levels_of
from flexclim.verify.climate.simulations import Field, by_variable, comparable
from flexclim.verify.climate.spells import spells_of
from flexclim.verify.climate.yearly_series import DAY, TIME, YEAR, step_seconds, time_series

TRUTH = "truth"
KIND = "climate"
# Midpoints of equal shares of a distribution.
SHARED = 0.5  # least share of years in common with the truth
SHARES = (np.arange(100) + 0.5) / 100
STATISTICS = ("mean", "deviation", "interannual", "autocorrelation")

Maps = dict[str, xr.DataArray]


@suggest_options
def evaluate(
    simulations: Mapping[str, xr.DataArray | xr.Dataset],
    truth: xr.DataArray | xr.Dataset | None = None,
    *,
    future: Mapping[str, xr.DataArray | xr.Dataset] | None = None,
) -> xr.Dataset:
    """Compare the climate of several sources with a truth, and their change signals.

    Parameters
    ----------
    simulations
        Fields of the past by source, such as ``{"GCM": ..., "adjusted": ..., "downscaled": ...}``:
        (realization, time, y, x), or Datasets of them. Calendars, grids and units may differ.
    truth
        Fields of the same years and region, such as a reanalysis. Maps of all sources are brought
        onto its grid; without it, onto that of the first simulation.
    future
        Fields of the future by source, for the change signal of those sources.

    Returns
    -------
    Dataset
        In memory, ``{part}.{variable}`` along ``source``, with ``"truth"`` first; means over the
        cells that all sources have, weighted by area. By season: ``mean``, ``quantiles``,
        ``deviation``, ``interannual`` and ``autocorrelation`` of :func:`climatology`. Of the whole
        year against the truth: ``bias``, a map of the difference of the means;
        ``absolute_bias``, its mean absolute value; ``wasserstein``, the mean distance between
        the distributions of each cell, from 100 quantiles. ``seasonal_cycle``,
        ``diurnal_cycle`` of series with several times a day; ``return_level`` with ends of its
        interval, ``return_low`` and ``return_high`` (all three those of single cells, averaged),
        from 10 years or years of members on; of daily series ``spell_share``, and each of the
        :func:`indices`. With ``future``, ``mean_change`` and ``kept`` of :func:`change_signal`.
        NaN where a part is not of a source. Ready for ``to_netcdf`` and for
        :func:`flexclim.verify.report`. Missing values as in those functions.

    Raises
    ------
    FlexclimError
        If there are no dates or sources, or a future has no simulation of its name.
    AlignmentError
        If sources have no variable in common, or units or points that can't be compared.

    Warns
    -----
    FlexclimWarning
        If less than half of the years of a simulation are years of the truth, or the reverse.

    >>> days = xr.date_range("2001-01-01", periods=730, freq="D")
    >>> truth = xr.DataArray(np.zeros(730), {"time": days}, name="tas", attrs={"units": "K"})
    >>> found = evaluate({"GCM": truth + 2}, truth)
    >>> found["wasserstein.tas"].sel(source="GCM").item()
    2.0
    """
    given: dict[str, Field] = {} if truth is None else {TRUTH: truth}
    if isinstance(simulations, Mapping) and TRUTH in simulations:
        raise FlexclimError(f"a simulation can't be called {TRUTH!r}. Rename it.")
    by_variable(simulations)
    planned: Maps = {}
    for name, fields in by_variable(given | dict(simulations)).items():
        label = name or _name_of(next(iter(fields.values())))
        numbers = comparable(fields)
        _warn_of_years(numbers)
        for parts in (_climate(numbers), _cycles(numbers), _daily_parts(numbers)):
            planned |= {f"{part}.{label}": values for part, values in parts.items()}
    if future is not None:
        planned |= _signals(simulations, future)
    return _computed(planned).assign_attrs(title="Climate of simulations", flexclim_kind=KIND)


def is_climate(scores: xr.Dataset) -> bool:
    """Return whether scores are from :func:`evaluate` of this module."""
    return scores.attrs.get("flexclim_kind") == KIND


def _warn_of_years(fields: Maps) -> None:
    """Warn of simulations of other years than the truth."""
    if TRUTH not in fields:
        return
    years = {n: set(time_series(one, n)[TIME].dt.year.values.tolist()) for n, one in fields.items()}
    truth = years[TRUTH]
    for name, own in years.items():
        if len(own & truth) < SHARED * max(len(own), len(truth)):
            warn(
                f"{name!r} covers {min(own)} to {max(own)}, the truth {min(truth)} to "
                f"{max(truth)}: biases include the change between them. Select the same years."
            )


def _climate(fields: Maps) -> Maps:
    """Return statistics by season, and distances from the truth."""
    levels = [*QUANTILES, *SHARES]
    each = {source: climatology_of(one, levels, source) for source, one in fields.items()}
    keep = ("season", "quantile")
    joined = join_sources(each, keep)
    found = {name: area_mean(joined[name], keep) for name in STATISTICS}
    means, maps = joined["mean"].sel(season=YEAR, drop=True), joined["quantiles"]
    found["quantiles"] = area_mean(maps.isel(quantile=slice(0, len(QUANTILES))), keep)
    if TRUTH not in fields:
        return found
    shares = maps.isel(quantile=slice(len(QUANTILES), None)).sel(season=YEAR, drop=True)
    bias, apart = (_from_truth(one) for one in (means, shares))
    found["bias"] = bias.assign_attrs(long_name=f"bias of the {means.attrs['long_name']}")
    text = f"mean absolute bias of the {means.attrs['long_name']}"
    found["absolute_bias"] = area_mean(abs(bias), ()).assign_attrs(bias.attrs, long_name=text)
    distance = area_mean(abs(apart).mean("quantile"), ())
    found["wasserstein"] = distance.assign_attrs(
        apart.attrs, long_name="Wasserstein distance of cells from the truth"
    )
    return found


def _from_truth(maps: xr.DataArray) -> xr.DataArray:
    """Return the difference of all sources but the truth from it."""
    apart = maps.isel({SOURCE: slice(1, None)}) - maps.isel({SOURCE: 0}, drop=True)
    attributes = {key: value for key, value in maps.attrs.items() if key == "units"}
    if "units_metadata" in maps.attrs:
        attributes["units_metadata"] = "temperature: difference"
    return apart.assign_attrs(attributes)


def _cycles(fields: Maps) -> Maps:
    """Return the cycles of the year and, where there are several times a day, of the day."""
    found = {"seasonal_cycle": _joined(fields, seasonal_cycle_of, "month")}
    hours = [np.unique(hours_of(time_series(one, n)[TIME])) for n, one in fields.items()]
    if all(one.size > 1 and np.array_equal(one, hours[0]) for one in hours):
        found["diurnal_cycle"] = _joined(fields, diurnal_cycle_of, "hour")
    return found


def _joined(
    fields: Maps, of: Callable[[xr.DataArray, str], xr.DataArray], dim: str
) -> xr.DataArray:
    """Return the area means of a cycle, averaged over members."""
    maps = {source: _member_mean(of(field, source)) for source, field in fields.items()}
    each = {source: one.to_dataset(name="map") for source, one in maps.items()}
    return area_mean(join_sources(each, (dim,))["map"], (dim,))


def _member_mean(values: xr.DataArray, *more: str) -> xr.DataArray:
    """Average over members and other dimensions."""
    return values.mean([d for d in (REALIZATION, *more) if d in values.dims], keep_attrs=True)


def _daily_parts(fields: Maps) -> Maps:
    """Return return levels, indices and spells of series of at most a day's step."""
    series = {source: time_series(one, source) for source, one in fields.items()}
    steps = [step_seconds(one) for one in series.values()]
    if max(steps) > DAY + 1:
        return {}
    found = dict(_return_levels(series))
    if min(steps) < DAY - 1:
        return found
    first = next(iter(series.values()))
    if variable_role(first) is not None:
        found |= _indices(series)
    if variable_role(first) == "pr":
        each = {source: spells_of(one, role=source)[["share"]] for source, one in series.items()}
        keep = ("spell", "days")
        found["spell_share"] = area_mean(join_sources(each, keep)["share"], keep)
    return found


def _return_levels(series: Maps) -> Iterator[tuple[str, xr.DataArray]]:
    counts = [
        np.unique(one[TIME].dt.year).size * one.sizes.get(REALIZATION, 1) for one in series.values()
    ]
    if min(counts) < LEAST:
        return
    periods = [period for period in PERIODS if period <= 2 * min(counts)]
    each = {source: return_levels_of(one, periods, role=source) for source, one in series.items()}
    joined = join_sources(each, ("period",))
    for name, part in (("return_level", "level"), ("return_low", "low"), ("return_high", "high")):
        yield name, area_mean(joined[part], ("period",))


def _indices(series: Maps) -> Maps:
    """Return indices of extremes, averaged over years, members and the area."""
    each = {
        source: indices(one).map(_member_mean, args=("year",)) for source, one in series.items()
    }
    return {str(n): area_mean(one, ()) for n, one in join_sources(each, ()).data_vars.items()}


def _signals(simulations: Mapping[str, Field], future: Mapping[str, Field]) -> Maps:
    """Return the change signals of the sources that have a future."""
    by_variable(future, "future")
    if missing := [name for name in future if name not in simulations]:
        raise FlexclimError(
            f"no {missing[0]!r} among the simulations {[*simulations]}, whose future is given. "
            "Rename it."
        )
    pairs = {name: (simulations[name], later) for name, later in future.items()}
    found = change_signal(pairs)
    first = next(iter(future.values()))
    label = f".{_name_of(first)}" if isinstance(first, xr.DataArray) else ""
    kept = ("mean_change", "kept")
    return {
        f"{name}{label}": values
        for name, values in found.items()
        if str(name).partition(".")[0] in kept
    }


def _name_of(field: xr.DataArray) -> str:
    return "field" if field.name is None else str(field.name)


def _computed(planned: Maps) -> xr.Dataset:
    """Compute everything at once, so that each chunk is read once for all parts."""
    import dask

    lazy = {name: values for name, values in planned.items() if values.chunks is not None}
    for name, data in zip(lazy, dask.compute(*(one.data for one in lazy.values())), strict=True):
        planned[name] = planned[name].copy(data=data)
    sources = next(iter(planned.values()))[SOURCE].values
    found = {
        name: values.reset_coords(drop=True).reindex({SOURCE: sources})
        for name, values in planned.items()
    }
    return xr.Dataset(found)
