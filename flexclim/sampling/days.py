"""Days split into times of the day, lazily, with daily values kept.

A network that splits days is one of downscaling with factor 1: its inputs are daily fields
interpolated to each time of the day, its targets the fields at these times. All of them are
channels, so a member's times belong together.

    daily fields -> interpolated to times -> members of all times -> daily values kept -> one series
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import xarray as xr

from flexclim.cf.conversion import conversion
from flexclim.cf.missing_values import decoded_field
from flexclim.cf.times import seconds_of
from flexclim.errors import FlexclimError, GridError, ModelError
from flexclim.execution.notes import record
from flexclim.models.channels import hours_of, interpolated_at, value_at
from flexclim.models.model import Model, load_model
from flexclim.planning.downscaling_plan import DownscalingOptions
from flexclim.planning.leads import later
from flexclim.planning.model_choice import Choice
from flexclim.planning.output_target import Aim
from flexclim.planning.source import Source
from flexclim.planning.variable_groups import group_variables
from flexclim.planning.variable_matching import Match, adopted, match
from flexclim.resampling.day_operators import day_weights, keep_known, unreachable
from flexclim.sampling.planned_ensemble import PlannedEnsemble
from flexclim.sampling.stages import plan_stage

HOUR = "hour of the day"  # dimension of the times of a day
DAY = 86400.0
# Share of the mean daily range by which a mean may exceed an extreme, from packing.
ROUNDING = 0.02
ENCODED = "_FillValue", "dtype"  # of what a target is encoded with


@dataclass(frozen=True, kw_only=True)
class Daily:
    """A variable of daily fields.

    Parameters
    ----------
    found
        The field that holds it.
    mean
        The mean over the times of the day, decoded, in the units of that field.
    lowest, highest
        Daily extremes in the same units; None: not given.
    non_negative
        Whether it can't be negative.
    """

    found: Match
    mean: xr.DataArray
    lowest: xr.DataArray | None
    highest: xr.DataArray | None
    non_negative: bool


def split_days(
    source: Source, options: DownscalingOptions, choice: Choice, aim: Aim, run: str
) -> PlannedEnsemble:
    """Plan how days are split into times, and return the lazy ensemble.

    Raises
    ------
    ModelError
        If no model is given, or it does not split days into this many times.
    FlexclimError
        If times are not days that follow each other, or a refinement in space is asked for too.
    """
    count = options.time_factor
    assert count is not None
    if options.factor is not None or aim.to is not None:
        raise FlexclimError(
            f"time_factor={count} goes without factor and to. Split days first, and downscale the "
            "result in space: its members are refined one by one."
        )
    model = _model(choice, count)
    if source.cells is not None:
        raise GridError(
            "time_factor needs rows and columns, and the cells given have none. Regrid them first "
            "(flexclim.regrid)."
        )
    time = _day_dimension(source)
    matches = {name: _matched(source, name, model) for name in _variables(model)}
    daily = {name: _daily(source, found, count) for name, found in matches.items()}
    inputs = _inputs(adopted(source, matches), daily, time, count)
    groups = group_variables(inputs, model, None, "as given", requested=True)
    stage = replace(options, factor=1, conserve=False, time_factor=None)
    planned = plan_stage(inputs, groups, stage, run, None)
    wanted = [n for n, one in daily.items() if _is_wanted(choice, n, one.found.name)]
    if not wanted:
        raise FlexclimError(
            f"variables={list(choice.variables or ())}: model {model.name!r} splits "
            f"{', '.join(one.found.name for one in daily.values())}. Name some of these."
        )
    return _in_series(planned, {name: daily[name] for name in wanted}, time, count, options)


def _model(choice: Choice, count: int) -> Model:
    if choice.model is None:
        raise ModelError(
            f"time_factor={count} needs a model that splits days, and none is bundled. Pass one as "
            "model= (--model at the shell)."
        )
    model = choice.model if isinstance(choice.model, Model) else load_model(choice.model)
    known = model.settings.times
    if known == 1:
        raise ModelError(
            f"model {model.name!r} does not split days, so it has no time_factor. Pass another "
            "model, or factor= to downscale in space."
        )
    if known != count:
        raise ModelError(
            f"model {model.name!r} splits days into {known} times, not {count}. Pass "
            f"time_factor={known}."
        )
    return model


def _variables(model: Model) -> list[str]:
    """Return the variables of a model that splits days."""
    targets = model.settings.targets or ()
    return list(dict.fromkeys(target.name.rpartition("+")[0] for target in targets))


def _matched(source: Source, name: str, model: Model) -> Match:
    found = match(source, name, model.card.units.get(value_at(name, 0)))
    if found is None or found.conversion is None:
        has = ", ".join(source.fields) or "none"
        raise ModelError(
            f"model {model.name!r} reads daily {name!r}, and no field can be read as it; there are "
            f"{has}. Rename or convert the intended one."
        )
    return found


def _is_wanted(choice: Choice, *names: str) -> bool:
    return choice.variables is None or bool(set(names) & set(choice.variables))


def _day_dimension(source: Source) -> str:
    """Return the dimension of days that follow each other."""
    name = source.fields[0]
    times = source.times[name]
    if not times.dated:
        raise FlexclimError(f"time_factor needs days, and {source.without_dates(name)}")
    valid = times.valid_times(source[name])
    if valid.ndim != 1:
        raise FlexclimError(
            f"time_factor needs a series of days, and times of {name!r} have the dimensions "
            f"{valid.dims}. Select one of each but days."
        )
    steps = np.diff(seconds_of(valid.values))
    if (wrong := np.flatnonzero(np.abs(steps - DAY) > 1)).size:
        place = int(wrong[0])
        first, second = (str(one)[:16] for one in valid.values[place : place + 2])
        raise FlexclimError(
            f"times of {name!r} are not days that follow each other: {second} is "
            f"{steps[place] / 3600:g} h after {first}. Average to days, for example with "
            ".resample(time='1D').mean(), and select a period without gaps."
        )
    return str(valid.dims[0])


def _daily(source: Source, found: Match, count: int) -> Daily:
    """Return the daily values of a variable, and its extremes where they are given."""
    field, plane = source[found.name], (source.grid.y, source.grid.x)
    mean = decoded_field(field, plane)
    if is_sum(field):
        mean = (mean / count).assign_attrs(mean.attrs)
    return Daily(
        found=found,
        mean=mean,
        lowest=_extreme(source, found.name, "minimum"),
        highest=_extreme(source, found.name, "maximum"),
        non_negative=source.properties(found.name).bounds.lower == 0,
    )


def is_sum(field: xr.DataArray) -> bool:
    """Return whether values are sums over their day."""
    return "time: sum" in str(field.attrs.get("cell_methods", ""))


def _extreme(source: Source, name: str, kind: str) -> xr.DataArray | None:
    """Return the daily minimum or maximum of a field, in its units: by name or by cell_methods."""
    field, short = source[name], kind[:3]
    names = {f"{name}{short}", f"{name}_{short}", f"{short}_{name}"}
    standard = field.attrs.get("standard_name")
    found = [
        other
        for other in source.fields
        if other != name
        and (
            other in names
            or (
                standard is not None
                and source[other].attrs.get("standard_name") == standard
                and f"time: {kind}" in str(source[other].attrs.get("cell_methods", ""))
            )
        )
    ]
    if len(found) != 1 or set(source[found[0]].dims) != set(field.dims):
        return None
    change = conversion(source.units(found[0]) or "", source.units(name) or "")
    if change is None:
        raise FlexclimError(
            f"{found[0]!r} is in {source.units(found[0])!r} and {name!r} in "
            f"{source.units(name)!r}, which do not convert. Correct the units."
        )
    values = decoded_field(source[found[0]], (source.grid.y, source.grid.x))
    return values if change.changes_nothing else change(values)


def _inputs(source: Source, daily: Mapping[str, Daily], time: str, count: int) -> Source:
    """Return a source whose fields are daily ones interpolated to the times of the day."""
    dataset = source.dataset
    size = dataset.sizes[time]
    order = np.arange(size)
    around = [np.maximum(order - 1, 0), order, np.minimum(order + 1, size - 1)]
    valid = source.times[source.fields[0]].valid_times(source[source.fields[0]])
    stamps = np.array([_start_of_day(when) for when in valid.values])
    added = {}
    for name, one in daily.items():
        summed = is_sum(source[one.found.name])
        field = decoded_field(source[name], (source.grid.y, source.grid.x)) / (
            count if summed else 1
        )
        field = field.drop_vars([key for key, one in field.coords.items() if time in one.dims])
        here = [field.isel({time: places}) for places in around]
        here = [part.where(part.notnull(), here[1]) for part in here]
        said = source[name].attrs.items()
        attributes = {k: v for k, v in said if summed or k != "cell_methods"}
        lowest = source.properties(name).bounds.lower
        for hour, weights in zip(hours_of(count), day_weights(count), strict=True):
            value = sum(float(w) * part for w, part in zip(weights, here, strict=True))
            assert isinstance(value, xr.DataArray)
            value = value if lowest is None else value.clip(min=lowest)
            value = value.astype(field.dtype)
            value.attrs = dict(attributes)
            added[interpolated_at(name, hour)] = value
    described = dataset[time].attrs if time in dataset.coords else {}
    described = {k: v for k, v in described.items() if k not in ("bounds", "climatology")}
    kept = dataset.drop_vars([name for name in dataset.coords if time in dataset[name].dims])
    kept = kept.assign_coords({time: (time, stamps, described)}).assign(added)
    return replace(source, fields=tuple(added)).with_times(kept)


def _start_of_day(when: object) -> object:
    if isinstance(when, np.datetime64):
        return when.astype("M8[D]").astype(when.dtype)
    return when.replace(hour=0, minute=0, second=0, microsecond=0)  # type: ignore[attr-defined]


def _in_series(
    planned: PlannedEnsemble,
    daily: Mapping[str, Daily],
    time: str,
    count: int,
    options: DownscalingOptions,
) -> PlannedEnsemble:
    """Return members as series of all times, with daily values kept."""
    fields, days = planned.fields, planned.fields[time]
    stamps = np.array([later(day, hour) for day in days.values for hour in hours_of(count)])
    said = {key: value for key, value in days.attrs.items() if key != "bounds"}
    series = fields.drop_dims(time).assign_coords({time: (time, stamps, said)})
    made: dict[str, str] = {}
    kept = planned.source.dataset
    for name, one in daily.items():
        names = [value_at(name, hour) for hour in hours_of(count)]
        made |= dict.fromkeys(names, one.found.name)
        members = xr.concat([fields[each].drop_vars(time) for each in names], HOUR)
        members = members.copy(data=one.found.restored(members.data)).chunk({HOUR: -1})
        attributes = dict(fields[names[0]].attrs) | {"flexclim_time_factor": count}
        if units := one.mean.attrs.get("units"):
            attributes["units"] = units
        if options.conserve is not False:
            members = _kept(members, one, time, planned.plans[0].sampling.run)
            attributes["flexclim_conserve"] = "daily values"
        dims = list(fields[names[0]].dims)
        place = dims.index(time)
        data = members.transpose(*dims[: place + 1], HOUR, *dims[place + 1 :]).data
        shape = (*data.shape[:place], len(stamps), *data.shape[place + 2 :])
        series[one.found.name] = (dims, data.reshape(shape), attributes)
        encoding = fields[names[0]].encoding
        series[one.found.name].encoding = {k: v for k, v in encoding.items() if k in ENCODED}
        extremes = {"lowest": one.lowest, "highest": one.highest}
        kept = kept.assign(
            {f"{name} {k}": v.variable for k, v in extremes.items() if v is not None}
        )
    read = tuple(str(name) for name in kept.data_vars if name not in planned.source.dataset)
    return replace(
        planned,
        source=planned.source.with_dataset(kept),
        fields=series,
        follows=(),
        made_into=made,
        also_read=read,
    )


def _kept(members: xr.DataArray, daily: Daily, time: str, run: str) -> xr.DataArray:
    """Return members (..., HOUR) that keep the daily values."""
    given = {"mean": daily.mean, "lowest": daily.lowest, "highest": daily.highest}
    known = {
        name: one.drop_vars(list(one.coords)) for name, one in given.items() if one is not None
    }
    keep: Callable[..., np.ndarray] = partial(
        _keep,
        names=tuple(known),
        title=daily.found.name,
        non_negative=daily.non_negative,
        run=run,
    )
    result: xr.DataArray = xr.apply_ufunc(
        keep,
        members.drop_vars(list(members.coords)),
        *known.values(),
        input_core_dims=[[HOUR], *([] for _ in known)],
        output_core_dims=[[HOUR]],
        dask="parallelized",
        output_dtypes=[members.dtype],
    )
    return result


def _keep(
    members: np.ndarray,
    *daily: np.ndarray,
    names: tuple[str, ...],
    title: str,
    non_negative: bool,
    run: str,
) -> np.ndarray:
    """Make a block (..., K) keep daily values (...), after a check of these."""
    known = {name: np.asarray(one, float) for name, one in zip(names, daily, strict=True)}
    mean, lowest, highest = (known.get(name) for name in ("mean", "lowest", "highest"))
    assert mean is not None
    lowest, highest = _checked(mean, lowest, highest, title)
    both = None if lowest is None or highest is None else (lowest, highest)
    if both and unreachable(members.shape[-1], mean, *both).any():
        record(
            run,
            f"in some cells {members.shape[-1]} values a day can't have the mean, the minimum and "
            f"the maximum of {title!r} at once; there the extreme that is far from the mean is not "
            "reached.",
        )
    kept = keep_known(members, mean, lowest, highest, non_negative=non_negative)
    return kept.astype(members.dtype)


def _checked(
    mean: np.ndarray, lowest: np.ndarray | None, highest: np.ndarray | None, title: str
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Raise if extremes and mean are out of order; allow what packing explains."""
    if lowest is not None and highest is not None and (wrong := lowest > highest).any():
        low, high = lowest[wrong][0], highest[wrong][0]
        raise FlexclimError(
            f"the minimum of {title!r} is above its maximum in {int(wrong.sum())} cells, such as "
            f"{low:.6g} above {high:.6g}. Correct them, or leave them out."
        )
    gaps = [mean - lowest] if lowest is not None else []
    gaps += [highest - mean] if highest is not None else []
    known = [gap[np.isfinite(gap)] for gap in gaps]
    slack = ROUNDING * sum(float(gap.mean()) for gap in known if gap.size)
    for gap, extreme in zip(
        gaps, (one for one in (lowest, highest) if one is not None), strict=True
    ):
        if (wrong := gap < -abs(slack)).any():
            raise FlexclimError(
                f"the daily mean of {title!r} is beyond its minimum or maximum in "
                f"{int(wrong.sum())} cells, such as {mean[wrong][0]:.6g} beyond "
                f"{extreme[wrong][0]:.6g}. Correct them, or leave the extremes out."
            )
    return (
        None if lowest is None else np.minimum(lowest, mean),
        None if highest is None else np.maximum(highest, mean),
    )
