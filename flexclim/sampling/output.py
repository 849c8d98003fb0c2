"""The output of a planned ensemble: described, computed, or written to a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import dask
import dask.array as da
import xarray as xr
from dask.delayed import Delayed

from flexclim import stores
from flexclim._version import __version__
from flexclim.cf.description import describe_fields
from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.fields import pick
from flexclim.cf.provenance import provenance
from flexclim.errors import FlexclimError
from flexclim.execution.cluster import equip
from flexclim.execution.network_tasks import runs_of
from flexclim.execution.notes import NOTES, collecting, warn_of
from flexclim.execution.progress import progress_bar
from flexclim.execution.workers import active_client
from flexclim.planning.forecast_plan import ForecastPlan
from flexclim.planning.plan import Attributes
from flexclim.planning.sampling_options import SamplingOptions, is_whole
from flexclim.planning.source import Source
from flexclim.planning.variable_groups import VariableGroup
from flexclim.sampling.planes import Plan
from flexclim.sampling.statics import check_coverage, static_fields
from flexclim.sampling.training_range import warn
from flexclim.stores.datasets import KEEP_BITS, open_input
from flexclim.stores.identity import identity_of

T = TypeVar("T", xr.Dataset, xr.DataArray)
R = TypeVar("R", bound=SamplingOptions)
CHOICE = "flexclim_model_choice"


@dataclass(frozen=True, kw_only=True)
class PlannedEnsemble:
    """Lazy output fields, with the source and the plans that they are computed from.

    Parameters
    ----------
    source, fields
        Input and described output.
    groups, plans
        Variables that are sampled together, and how; in the same order.
    follows
        Dimensions along which a longer source gives a longer output.
    """

    source: Source
    fields: xr.Dataset
    groups: Sequence[VariableGroup]
    plans: Sequence[Plan]
    follows: tuple[str, ...] = ()

    @property
    def inputs(self) -> xr.Dataset:
        """The variables that are read."""
        names = dict.fromkeys(name for group in self.groups for name in group.inputs)
        return self.source.dataset[list(names)]

    @property
    def returned(self) -> list[str]:
        """The variables that are returned."""
        return [name for group in self.groups for name in group.outputs.values()]


def as_given(obj: T, planned: PlannedEnsemble) -> T:
    """Return the output as a Dataset or DataArray like ``obj``, computed if that is in memory."""
    result = planned.fields
    if not any(dask.is_dask_collection(field.data) for field in planned.inputs.values()):
        runs = [plan.sampling.run for plan in planned.plans]
        with collecting(runs, active_client()) as notes, progress_bar():
            result = result.compute()
            if left := notes():
                result.attrs[NOTES] = "\n".join(left)
                warn_of(left)
    return result if isinstance(obj, xr.Dataset) else _only(result, planned.returned)


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
) -> xr.Dataset:
    """Write an ensemble into a store, or continue one; return it, opened lazily.

    ``plan`` returns the ensemble of a source with some options.
    """
    keep_bits = _check_keep_bits(keep_bits)
    place = stores.Place(where)
    stores.check_unlocked(place)
    begun = stores.begun_run(place)
    source = source.with_dataset(source.dataset.chunk())
    options = replace(options, entire=True)
    planned = plan(source, options if begun is None else _as_begun(options, begun))
    request = _store_plan(planned, keep_bits)
    if keep_bits is not None:
        planned.fields.attrs[KEEP_BITS] = keep_bits
    so_far = request if begun is None else _plan_so_far(request, begun, planned)
    shared = [each.sampling for each in planned.plans]
    equip(
        [each.model for each in shared],
        shared[0].device,
        shared[0].precision,
        stores.ZARR_SETTINGS,
    )
    how = stores.WriteOptions(
        device=shared[0].device, members_in_order=_rolls_out(planned), keep_bits=keep_bits
    )
    stores.write_store(planned.fields, place, request, plan_so_far=so_far, options=how)
    return open_input(place.store)


def _rolls_out(planned: PlannedEnsemble) -> bool:
    """Return whether members are chains of steps: of a forecast, or downscaled from a lazy one."""
    forecasts = any(isinstance(plan, ForecastPlan) for plan in planned.plans)
    return forecasts or any(runs_of(field.data.dask) for field in planned.inputs.values())


def _check_keep_bits(keep_bits: int | None) -> int | None:
    """Return the number of mantissa bits to keep as an int; raise if it can't be used."""
    if keep_bits is None:
        return None
    if not is_whole(keep_bits) or keep_bits not in range(1, 24):
        raise FlexclimError(f"keep_bits={keep_bits!r} is not a whole number from 1 to 23.")
    return int(keep_bits)


def lazy_statics(source: Source, plan: Plan, group: VariableGroup) -> list[Delayed]:
    """Return the static fields that the model needs, on the grid of each part of the plan."""
    wanted = group.model.settings.statics
    if not wanted:
        return []
    grid = source.grid_for(plan.sampling.grid.domain.kind)
    fields = {one.name: source.static_fields[one.name] for one in wanted if not one.computed}
    check_coverage(fields, plan.fine_grid(grid), wanted)
    read = dask.delayed(static_fields, pure=True)
    return [read(fields, part.fine_grid(grid), wanted) for part in plan.parts]


def describe(
    source: Source,
    arrays: Mapping[str, da.Array],
    plans: Sequence[Plan],
    groups: Sequence[VariableGroup],
    action: str,
) -> xr.Dataset:
    """Put arrays into a CF dataset with attributes that record how each was made.

    What all variables share stands in the dataset's attributes, what differs in each variable's.
    """
    dims = {
        name: plan.sampling.dims
        for plan, group in zip(plans, groups, strict=True)
        for name in group.outputs.values()
    }
    fields = {
        name: xr.Variable((REALIZATION, *dims[name]), array) for name, array in arrays.items()
    }
    models = dict.fromkeys(group.model.name for group in groups)
    by_variable = attributes_by_variable(plans, groups)
    shared = shared_attributes(by_variable)
    result = describe_fields(
        fields,
        source.dataset,
        plans[0].fine_grid(source.grid_for(plans[0].sampling.grid.domain.kind)),
        action=f"{action} with {' and '.join(models)}",
        attributes=shared | provenance(),
    )
    for name, attributes in by_variable.items():
        own = {key: value for key, value in attributes.items() if key not in shared}
        # Each DataArray keeps its tiles, which verify.seam reads.
        result[name].attrs |= own | {"flexclim_tiles": attributes["flexclim_tiles"]}
    return result


def attributes_by_variable(
    plans: Sequence[Plan], groups: Sequence[VariableGroup]
) -> dict[str, Attributes]:
    """Return for each returned variable the attributes that record how it was made."""
    return {
        group.output(target.name): plan.attributes(target)
        | {CHOICE: f"{group.model.name}: {group.reason}"}
        for plan, group in zip(plans, groups, strict=True)
        for target in plan.sampling.targets
        if target.name in group.returned
    }


def shared_attributes(by_variable: Mapping[str, Attributes]) -> Attributes:
    """Return the attributes with equal values in all variables."""
    first, *others = by_variable.values()
    return {
        key: value
        for key, value in first.items()
        if all(key in other and other[key] == value for other in others)
    }


def warn_of_spacing(plans: Sequence[Plan], groups: Sequence[VariableGroup]) -> None:
    """Warn, once per model, if the output's grid spacing is far from those of training."""
    by_model = {
        group.model.sha256: (plan, group.model) for plan, group in zip(plans, groups, strict=True)
    }
    for plan, model in by_model.values():
        far = filter(None, map(model.card.far_spacing, plan.spacings_km))
        if first := next(far, ""):
            warn(model.name, [first])


def _store_plan(planned: PlannedEnsemble, keep_bits: int | None) -> dict[str, Any]:
    """Return everything that determines the values in a store."""
    by_variable = attributes_by_variable(planned.plans, planned.groups)
    shared = shared_attributes(by_variable)
    time = stores.time_dimension(planned.fields)
    plan: dict[str, Any] = _settings(shared) | {
        "version": __version__,
        "input": _input_identity(planned),
        "members": planned.fields.sizes[REALIZATION],
        "times": planned.fields.sizes[time] if time else 1,
        "keep_bits": keep_bits,
    }
    own = {
        name: {key: value for key, value in attributes.items() if key not in shared}
        for name, attributes in by_variable.items()
    }
    if variables := {name: _settings(one) for name, one in own.items() if _settings(one)}:
        plan["variables"] = variables
    if fields := planned.source.static_fields:
        assert planned.source.static is not None
        plane_dims = {dim for static in fields.values() for dim in (static.grid.y, static.grid.x)}
        plan["static"] = identity_of(planned.source.static[list(fields)], plane_dims)
    return plan


def _settings(attributes: Attributes) -> Attributes:
    """Return attributes as settings of a store's plan."""
    return {
        key.removeprefix("flexclim_"): value for key, value in attributes.items() if key != CHOICE
    }


def _input_identity(
    planned: PlannedEnsemble,
    part: Mapping[str, slice] | None = None,
    resolution: str | None = None,
) -> str:
    plane_dims = planned.source.grid.y, planned.source.grid.x
    return identity_of(planned.inputs, plane_dims, part, resolution=resolution)


def _as_begun(options: R, begun: stores.Begun) -> R:
    """Fill options of forward passes from the existing store, so that values stay equal."""
    batch, members = begun.plan.get("batch"), begun.plan.get("members")
    if options.batch is None and isinstance(batch, int):
        options = replace(options, batch=batch)
    if options.compile is None:
        options = replace(options, compile=begun.plan.get("compiled") == "true")
    breaks = (*begun.breaks, members) if isinstance(members, int) else begun.breaks
    return replace(options, breaks=breaks)


def _plan_so_far(
    plan: dict[str, Any], begun: stores.Begun, planned: PlannedEnsemble
) -> dict[str, Any]:
    """Return the plan of the members and times that a store already holds."""
    first: dict[str, slice] = {}
    sizes = {"members": REALIZATION, "times": stores.time_dimension(planned.fields)}
    for name, dim in sizes.items():
        count = begun.plan.get(name)
        if isinstance(count, int) and 0 < count < plan[name]:
            plan = plan | {name: count}
            if dim in planned.follows:
                first[str(dim)] = slice(count)
    if first:
        plan = plan | {"input": _input_identity(planned, first)}
    if plan["input"] != begun.plan.get("input"):
        # Times may have been stored in another resolution when the store was begun.
        others = (_input_identity(planned, first, unit) for unit in ("ns", "us", "ms", "s"))
        same = [one for one in others if one == begun.plan.get("input")]
        plan = plan | {"input": same[0]} if same else plan
    return plan
