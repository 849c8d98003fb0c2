"""The output of a planned ensemble: described, computed, or written to a store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import dask
import numpy as np
import xarray as xr

from flexclim import errors, stores
from flexclim.cf.fields import pick
from flexclim.errors import FlexclimError
from flexclim.execution.cluster import equip
from flexclim.execution.network_tasks import passes_in, runs_of
from flexclim.execution.notes import attributes_of, collecting, warn_of
from flexclim.execution.progress import progress_bar
from flexclim.execution.workers import active_client
from flexclim.grids.arguments import is_whole, shown
from flexclim.planning.block_sizes import Chunks
from flexclim.planning.forecast_plan import ForecastPlan
from flexclim.planning.sampling_options import SamplingOptions
from flexclim.planning.source import Source
from flexclim.planning.variable_groups import VariableGroup
from flexclim.sampling.planes import Plan
from flexclim.sampling.planned_ensemble import PlannedEnsemble
from flexclim.sampling.store_plan import as_begun, plan_so_far, store_plan
from flexclim.sampling.training_range import warn
from flexclim.stores.datasets import KEEP_BITS, open_input
from flexclim.stores.formats import check_format

LOG = logging.getLogger(__name__)

T = TypeVar("T", xr.Dataset, xr.DataArray)
R = TypeVar("R", bound=SamplingOptions)


def as_given(obj: T, planned: PlannedEnsemble) -> T:
    """Return the output as a Dataset or DataArray like ``obj``, computed if that is in memory."""
    result = planned.fields
    if any(dask.is_dask_collection(field.data) for field in planned.inputs.values()):
        result = _chunked_alike(result, planned.returned)
    else:
        runs = [plan.sampling.run for plan in planned.plans]
        client, passes = active_client(), partial(passes_in, result.__dask_graph__())
        with collecting(runs, client) as notes, progress_bar(passes, here=client is None):
            result = result.compute()
            left = notes()
        result.attrs |= attributes_of(left, result)
        warn_of(left)
    return result if isinstance(obj, xr.Dataset) else _only(result, planned.returned)


def _chunked_alike(result: xr.Dataset, names: Sequence[str]) -> xr.Dataset:
    """Return lazy positions and bounds in the chunks of the named fields, as ``.chunks`` needs."""
    fields = [result[name].variable for name in names]
    sizes = {dim: size for field in fields for dim, size in field.chunksizes.items()}
    changed = {
        name: one.chunk({dim: sizes[dim] for dim in one.dims if dim in sizes})
        for name, one in result.drop_vars(names).variables.items()
        if one.chunks is not None
    }
    places = {name: one for name, one in changed.items() if name in result.coords}
    return result.assign(changed).assign_coords(places)


def in_chunks(planned: PlannedEnsemble, chunks: Chunks) -> PlannedEnsemble:
    """Return lazy fields in the chunks that the user asks for; those of planes have them already.

    Raises
    ------
    FlexclimError
        If the input is in memory, or chunks do not fit.
    """
    if chunks is None:
        return planned
    if not any(dask.is_dask_collection(field.data) for field in planned.inputs.values()):
        raise FlexclimError(
            "chunks is for lazy results, and the input is in memory. Make it lazy with .chunk(), "
            "or leave chunks out."
        )
    fields = {name: planned.fields[name] for name in planned.returned}
    plane = next(iter(fields.values())).dims[-2:]
    asked: Mapping[Any, Any]
    asked = chunks if isinstance(chunks, Mapping) else dict.fromkeys(plane, chunks)
    known = {dim for field in fields.values() for dim in field.dims}
    if unknown := [dim for dim in asked if dim not in known]:
        raise FlexclimError(
            f"chunks names {unknown[0]!r}, and the result has the dimensions "
            f"{', '.join(map(str, known))}."
        )
    sizes = {dim: size for dim, size in asked.items() if size not in (None, "auto")}
    try:
        changed = {
            name: field.chunk({dim: size for dim, size in sizes.items() if dim in field.dims})
            for name, field in fields.items()
        }
    except (TypeError, ValueError) as error:
        raise FlexclimError(f"chunks={shown(chunks)} does not fit the result: {error}") from None
    return replace(planned, fields=planned.fields.assign(changed))


def _only(result: xr.Dataset, names: Iterable[str]) -> xr.DataArray:
    """Return the one variable that was predicted from a DataArray."""
    first, *others = names
    if others:
        raise FlexclimError(
            f"the model predicts {first!r} and {', '.join(map(repr, others))}: give it a Dataset "
            f"(da.to_dataset()), or variables=[{first!r}]."
        )
    return pick(result, first)


def write(
    source: Source,
    where: stores.StoreLike,
    plan: Callable[[Source, R], PlannedEnsemble],
    options: R,
    keep_bits: int | None,
    zarr_format: int | None,
) -> xr.Dataset:
    """Write an ensemble into a store, or continue one; return it, opened lazily.

    ``plan`` returns the ensemble of a source with some options.
    """
    keep_bits = check_keep_bits(keep_bits)
    form = check_format(zarr_format)
    place = stores.Place(where)
    stores.check_unlocked(place)
    begun = stores.begun_run(place)
    source = source.with_dataset(_chunked(source.dataset))
    options = replace(options, entire=True)
    if begun is not None:
        time = stores.time_dimension(source.dataset)
        options = as_begun(options, begun, place, time)
    planned = plan(source, options)
    request = store_plan(planned, keep_bits)
    if keep_bits is not None:
        planned.fields.attrs[KEEP_BITS] = keep_bits
    so_far = request if begun is None else plan_so_far(request, begun, planned, place)
    shared = [each.sampling for stage in planned.stages for each in stage.plans]
    equip(
        list(dict.fromkeys((each.model, each.precision) for each in shared)),
        shared[0].device,
        stores.ZARR_SETTINGS,
    )
    how = stores.WriteOptions(
        device=shared[0].device,
        members_in_order=_rolls_out(planned),
        keep_bits=keep_bits,
        zarr_format=form,
    )
    stores.write_store(planned.fields, place, request, plan_so_far=so_far, options=how)
    return open_input(place.store)


def _chunked(ds: xr.Dataset) -> xr.Dataset:
    """Return a lazy Dataset; coordinates of types that dask does not know are kept as they are."""
    kept = [name for name, one in ds.coords.items() if not isinstance(one.dtype, np.dtype)]
    kept = [name for name in kept if name not in ds.xindexes]
    lazy = ds.drop_vars(kept).chunk()
    return lazy.assign_coords({name: ds[name].variable for name in kept})


def _rolls_out(planned: PlannedEnsemble) -> bool:
    """Return whether members are chains of steps: of a forecast, or downscaled from a lazy one."""
    forecasts = any(isinstance(plan, ForecastPlan) for plan in planned.plans)
    return forecasts or any(runs_of(field.data.dask) for field in planned.inputs.values())


def check_keep_bits(keep_bits: int | None) -> int | None:
    """Return the number of mantissa bits to keep as an int; raise if it can't be used."""
    if keep_bits is None:
        return None
    if not is_whole(keep_bits) or keep_bits not in range(1, 24):
        raise FlexclimError(f"keep_bits={shown(keep_bits)} is not a whole number from 1 to 23.")
    return int(keep_bits)


def warn_of_steps(plans: Sequence[Plan], groups: Sequence[VariableGroup]) -> None:
    """Warn, once per model, if its members were trained for other numbers of sampler steps."""
    chosen = {
        group.model.sha256: (group.model, plan.sampling.steps)
        for plan, group in zip(plans, groups, strict=True)
    }
    for model, steps in chosen.values():
        trained = model.card.trained_steps
        if trained and steps not in trained:
            errors.warn(
                f"members of {model.name!r} were trained for steps={' or '.join(map(str, trained))}"
                f", and with steps={steps} their spread may be far off. Leave steps out, or verify "
                "the spread."
            )


def log_precision(plans: Sequence[Plan], groups: Sequence[VariableGroup]) -> None:
    """Log, once per model, that forward passes are not in float32."""
    chosen = {g.model.name: p.sampling.precision for p, g in zip(plans, groups, strict=True)}
    for name, precision in chosen.items():
        if precision != "float32":
            LOG.info("%s: forward passes in %s, not in float32", name, precision)


def warn_of_spacing(plans: Sequence[Plan], groups: Sequence[VariableGroup]) -> None:
    """Warn, once per model, if the output's grid spacing is far from those of training."""
    by_model = {
        group.model.sha256: (plan, group.model) for plan, group in zip(plans, groups, strict=True)
    }
    for plan, model in by_model.values():
        far = filter(None, map(model.card.far_spacing, plan.spacings_km))
        if first := next(far, ""):
            warn(model.name, [first])
