"""Forecasting: an ensemble at later times from past snapshots.

    past -> grid -> plan of tiles and time steps
         -> [ keyed noise -> network on tiles -> fuse -> add to the last snapshot ] x leads
         -> CF output

Each member continues from its own states. Planning computes nothing.
"""

from __future__ import annotations

from typing import TypeVar

import dask.array as da
import numpy as np
import pandas as pd
import xarray as xr

from flexclim import stores
from flexclim.cf.custom_indexes import pandas_indexes
from flexclim.cf.times import is_time
from flexclim.errors import FlexclimError, suggest_options
from flexclim.models.model import Model, keep_loaded
from flexclim.planning.forecast_plan import ForecastPlan, plan_forecast
from flexclim.planning.leads import Leads, later
from flexclim.planning.model_choice import Choice, choose_forecast
from flexclim.planning.plan import new_run
from flexclim.planning.sampling_options import SamplingOptions
from flexclim.planning.source import Source, resolve
from flexclim.planning.variable_groups import with_attributes_of, with_matches, with_statics
from flexclim.resampling.rows_and_columns import GridHint
from flexclim.sampling.forecast_graph import lazy_rollout
from flexclim.sampling.output import as_given, log_precision, warn_of_spacing, warn_of_steps, write
from flexclim.sampling.part_readers import statics_reader
from flexclim.sampling.planned_ensemble import PlannedEnsemble, describe

T = TypeVar("T", xr.Dataset, xr.DataArray)
REFERENCE, LEAD, VALID = "forecast_reference_time", "lead_time", "valid_time"
# Standard names of time coordinates of the past, which do not hold for the forecast.
TIME_NAMES = "time", "forecast_reference_time", "forecast_period"


@suggest_options
def forecast(
    past: T,
    leads: Leads,
    *,
    model: str | Model | None = None,
    members: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    variables: list[str] | None = None,
    non_negative: bool | None = None,
    grid: GridHint | None = None,
    static: xr.Dataset | None = None,
    overlap: int | None = None,
    batch: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    compile: bool | None = None,
) -> T:
    """Forecast an ensemble from the last times of fields.

    The forecast is autoregressive: each member continues from its own previous states.

    Parameters
    ----------
    past
        Fields on any grid, with a time coordinate; see :func:`flexclim.downscale`. Only as many
        of the last times are used as the model reads. The result is lazy if they are dask arrays.
    leads
        Number of time steps to forecast, or the lead times to return, such as ``["6h", "24h"]``.
        The time step is the spacing of the last times of ``past``.
    model
        Name, folder or file of a forecast model, or a loaded model. Default: the bundled model
        for these variables and units, this time step and about this grid spacing.
    members
        Ensemble size. Default: 8. A member does not depend on the ensemble size.
    steps
        Sampling steps of each time step. Default: the model's.
    seed
        Random seed; each seed gives another ensemble.
    variables
        Variables to return. Default: all that the model predicts.
    non_negative
        Whether values can't be negative. Default: as the model states, else inferred from
        standard_name and units, except in fields that fall below 0 themselves. Fractions are kept
        below 1 (100 %) too.
    grid
        Whether values are ``"cell"`` means or ``"point"`` values, where coordinates don't tell.
        Default: as in the model's training data. ``"healpix"`` or ``"healpix:ring"``: cells are
        HEALPix, nested or along rings, where a file doesn't say so.
    static
        Static fields that the model needs, such as orography, on any grid that covers ``past``.
        Default: as for :func:`flexclim.downscale`.
    overlap
        Minimum overlap of neighbouring tiles, in fine cells. Default: the model's.
    batch
        Tiles per forward pass. Default: chosen from tile size and device. It affects results by
        rounding only.
    device
        Such as ``"cpu"`` or ``"cuda"``. Default: a GPU if there is one.
    precision
        ``"float32"``, ``"bf16"`` or ``"fp16"``. Default: as for :func:`flexclim.downscale`.
    compile
        Whether to compile the network with ``torch.compile``, which pays off in long runs on a
        GPU. It affects results by rounding only; where compilation does not work, an error is
        raised before any work. Default: the existing store's setting, else False.

    Returns
    -------
    Dataset or DataArray
        (realization, time, ..., y, x) at valid times, in the variables' units, following the CF
        conventions. ``forecast_reference_time`` is the last time of ``past``, ``lead_time`` is in
        hours. NaN where the last input field is NaN.

    Raises
    ------
    GridError
        If no grid is found.
    ModelError
        If the model can't be read or does not fit the fields, or no bundled model fits them.
    FlexclimError
        If there are too few past times, they are uneven, or an option is invalid; when values
        are computed, if some are infinite.

    Warns
    -----
    FlexclimWarning
        If the grid or, when they are computed, the past values lie far outside the range of the
        model's training data; once per call.

    >>> ahead = past.flex.forecast(leads=4, members=8)  # doctest: +SKIP
    >>> dict(ahead.u10.sizes)  # doctest: +SKIP
    {'realization': 8, 'time': 4, 'latitude': 181, 'longitude': 360}
    """
    source = resolve(past, grid, static, variables)
    options = SamplingOptions(
        members=members,
        steps=steps,
        seed=seed,
        non_negative=non_negative,
        overlap=overlap,
        batch=batch,
        device=device,
        precision=precision,
        compile=compile,
    )
    choice = Choice(model=model, variables=variables)
    return as_given(past, _planned(source, leads, options, choice))


@suggest_options
def forecast_to_zarr(
    past: xr.Dataset | xr.DataArray,
    store: stores.StoreLike,
    leads: Leads,
    *,
    model: str | Model | None = None,
    members: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    variables: list[str] | None = None,
    non_negative: bool | None = None,
    grid: GridHint | None = None,
    static: xr.Dataset | None = None,
    overlap: int | None = None,
    batch: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    compile: bool | None = None,
    keep_bits: int | None = None,
    zarr_format: int | None = None,
) -> xr.Dataset:
    """Forecast into a Zarr store, shard by shard; call again to continue.

    An existing store of the same request with fewer members or leads is extended; its content is
    not written again. For more leads the roll-out is repeated from the start, with the same
    members.

    Parameters
    ----------
    past, leads
        As for :func:`forecast`.
    model, members, steps, seed, variables, non_negative, grid, static
        As for :func:`forecast`.
    overlap, batch, device, precision, compile
        As for :func:`forecast`.
    store, keep_bits, zarr_format
        As for :func:`flexclim.downscale_to_zarr`.

    Returns
    -------
    Dataset
        The finished store, opened lazily.

    Raises
    ------
    StoreError
        If the store holds another request, is in use by another process, or can't be written.
    GridError, ModelError, FlexclimError
        As for :func:`forecast`.

    >>> ahead = past.flex.forecast_to_zarr("ahead.zarr", leads=4, members=50)  # doctest: +SKIP
    """
    options = SamplingOptions(
        members=members,
        steps=steps,
        seed=seed,
        non_negative=non_negative,
        overlap=overlap,
        batch=batch,
        device=device,
        precision=precision,
        compile=compile,
    )
    choice = Choice(model=model, variables=variables)

    def plan(source: Source, options: SamplingOptions) -> PlannedEnsemble:
        return _planned(source, leads, options, choice)

    source = resolve(past, grid, static, variables)
    return write(source, store, plan, options, keep_bits, zarr_format)


def _planned(
    source: Source, leads: Leads, options: SamplingOptions, choice: Choice
) -> PlannedEnsemble:
    """Choose models, plan, and describe the lazy forecast; compute nothing."""
    source, time = _with_time(source)
    groups = choose_forecast(source, choice, source[time].values)
    given = source = with_statics(source, groups)
    source = with_matches(source, groups)
    run = new_run()
    plans = [
        plan_forecast(source, group.inputs, group.model, options, leads, time, run)
        for group in groups
    ]
    warn_of_spacing(plans, groups)
    warn_of_steps(plans, groups)
    log_precision(plans, groups)
    longest = max(plan.past for plan in plans)
    source = source.with_dataset(source.dataset.isel({time: slice(-longest, None)}))
    arrays: dict[str, da.Array] = {}
    for group, plan in zip(groups, plans, strict=True):
        keep_loaded(group.model)  # the graph holds its reference
        last = source.dataset.isel({time: slice(-plan.past, None)})
        inputs = [last[name] for name in group.inputs]
        reader = statics_reader(source, plan, group)
        statics = [] if reader is None else [reader(plan)]
        members = lazy_rollout(inputs, plan, *statics)
        arrays |= group.restored(members)
    steps = f"{plans[0].kept[-1]} steps of {plans[0].lead:g} h"
    ahead = source.with_dataset(_ahead(with_attributes_of(given, source).dataset, plans[0]))
    fields = describe(ahead, arrays, plans, groups, f"forecast {steps}")
    return PlannedEnsemble(source=source, fields=fields, groups=groups, plans=plans)


def _with_time(source: Source) -> tuple[Source, str]:
    """Return the source with a time dimension, and the name of that dimension."""
    dated = next((name for name, times in source.times.items() if times.dated), None)
    if dated is None:
        why = source.without_dates(source.fields[0]) if source.fields else "there are no fields."
        raise FlexclimError(
            f"the past has no time coordinate of dates, so its time step is unknown: {why}"
        )
    dataset, times = source.dataset, source.times[dated]
    name, valid = times.valid or VALID, times.valid_times(source[dated])
    if valid.ndim > 1:
        raise FlexclimError(
            f"times of the past vary along {' and '.join(map(repr, valid.dims))}. Select one "
            f"forecast or one lead time, such as .isel({valid.dims[0]}=-1)."
        )
    if not valid.ndim:
        return source.with_times(dataset.assign_coords({name: valid}).expand_dims(name)), name
    along = str(valid.dims[0])
    if isinstance(pandas_indexes(dataset).get(along), pd.MultiIndex):
        raise FlexclimError(
            f"times of the past are stacked along {along!r}. Use .unstack({along!r}) first."
        )
    if along in dataset.coords and is_time(dataset[along]):
        if not (dataset[along].values == valid.values).all():  # starts of forecasts
            stated = [one for one in (times.period, times.valid) if one not in (None, along)]
            dataset = dataset.drop_vars(stated).assign_coords({along: valid.values})
        return source.with_times(dataset), along
    return source.with_times(dataset.assign_coords({name: valid}).swap_dims({along: name})), name


def _ahead(source: xr.Dataset, plan: ForecastPlan) -> xr.Dataset:
    """Return the source with the coordinates of the forecast times, which describe the output."""
    past_times = source[plan.time]
    reference, hours = past_times.values[-1], [plan.lead * step for step in plan.kept]
    valid_times = np.array([later(reference, lead) for lead in hours])
    stale = [
        name
        for name, variable in source.variables.items()
        if name in source.coords
        and (
            plan.time in variable.dims
            or variable.attrs.get("standard_name") in TIME_NAMES
            or variable.dtype.kind == "m"
            or is_time(variable)
        )
    ]
    ahead = source.drop_vars(stale).isel({plan.time: 0}, missing_dims="ignore")
    said = past_times.attrs if past_times.attrs.get("standard_name", "time") == "time" else {}
    attributes = {k: v for k, v in said.items() if k not in ("bounds", "climatology")}
    return ahead.assign_coords(
        {
            plan.time: (plan.time, valid_times, attributes),
            REFERENCE: ((), reference, {"standard_name": REFERENCE, "long_name": "start"}),
            LEAD: (
                plan.time,
                np.array(hours, float),
                # xarray decodes "hours" to timedelta64 when the file is read.
                {"standard_name": "forecast_period", "long_name": "lead time", "units": "h"},
            ),
        }
    )
