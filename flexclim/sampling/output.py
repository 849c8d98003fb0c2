"""What was planned, as users get it: described, computed, or written to a store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import dask
import xarray as xr
from dask.delayed import Delayed

from flexclim import stores
from flexclim._version import __version__
from flexclim.cf.description import REALIZATION, describe_fields
from flexclim.cf.fields import as_dataset, pick
from flexclim.cf.provenance import provenance
from flexclim.errors import FlexclimError
from flexclim.execution.cluster import equip
from flexclim.execution.progress import progress_bar
from flexclim.grids.discovery import find_grid
from flexclim.models.model import Model
from flexclim.planning.model_choice import GIVEN
from flexclim.planning.plan import Plan, Request, attributes_of, whole
from flexclim.planning.variable_groups import Group
from flexclim.sampling.statics import check_static, static_fields, wanted_fields
from flexclim.sampling.training_range import arm, warn_once
from flexclim.stores import datasets as io
from flexclim.stores.identity import identity_of

T = TypeVar("T", xr.Dataset, xr.DataArray)
R = TypeVar("R", bound=Request)
CHOICE = "flexclim_model_choice"


@dataclass(frozen=True, kw_only=True)
class Made:
    """Lazy fields of a source, and what they were planned by.

    ``follows`` are dimensions along which more of the source makes more of the fields.
    """

    source: xr.Dataset
    fields: xr.Dataset
    plans: Sequence[Plan]
    groups: Sequence[Group]
    follows: tuple[str, ...] = ()

    @property
    def inputs(self) -> list[str]:
        """The variables that are read."""
        return list(dict.fromkeys(name for group in self.groups for name in group.inputs))

    @property
    def returned(self) -> list[str]:
        """The variables that are made."""
        return [name for group in self.groups for name in group.returned]


def as_given(obj: T, made: Made) -> T:
    """Return what was made as the kind of thing that was given: computed if that was."""
    result = made.fields
    if not any(dask.is_dask_collection(made.source[name].data) for name in made.inputs):
        with progress_bar():
            result = result.compute()
    return cast(T, result if isinstance(obj, xr.Dataset) else _only(result, made.returned))


def _only(result: xr.Dataset, names: Iterable[str]) -> xr.DataArray:
    """Return the one variable that was made of a DataArray."""
    first, *others = names
    if others:
        raise FlexclimError(
            f"the model makes {first!r} and {', '.join(map(repr, others))}: give it a Dataset, "
            f"da.to_dataset(), or variables=[{first!r}]."
        )
    return pick(result, first)


def write(
    obj: xr.Dataset | xr.DataArray,
    where: stores.StoreLike,
    make: Callable[[xr.Dataset, R], Made],
    options: R,
    static: xr.Dataset | None,
    keep_bits: int | None,
) -> xr.Dataset:
    """Write what is made of fields into a store, or go on with it; return it, opened lazily."""
    keep_bits = _whole_bits(keep_bits)
    place = stores.Place(where)
    stores.check_unlocked(place)
    begun = stores.begun_run(place)
    source = (obj if isinstance(obj, xr.Dataset) else as_dataset(obj)).chunk()
    options = replace(options, entire=True)
    made = make(source, options if begun is None else _as_begun(options, begun))
    plan = _store_plan(made, keep_bits)
    if static is not None:
        wanted = [one for group in made.groups for one in group.model.settings.statics]
        plan["static"] = identity_of(wanted_fields(static, wanted))
    if keep_bits is not None:
        made.fields.attrs["flexclim_keep_bits"] = keep_bits
    so_far = plan if begun is None else _plan_so_far(plan, begun, made)
    equip([each.model for each in made.plans], made.plans[0].device, made.plans[0].precision)
    stores.write_store(made.fields, place, plan, plan_so_far=so_far, keep_bits=keep_bits)
    return io.open_input(place.store)


def _whole_bits(keep_bits: int | None) -> int | None:
    """Return how many bits to keep, as Python's own number; refuse what is none."""
    if keep_bits is None:
        return None
    if not whole(keep_bits) or keep_bits not in range(1, 24):
        raise FlexclimError(f"keep_bits={keep_bits!r} is not a whole number from 1 to 23.")
    return int(keep_bits)


def lazy_statics(
    source: xr.Dataset, static: xr.Dataset | None, plan: Plan, group: Group
) -> list[Delayed]:
    """Return the static fields that the model takes, on the grid of each part of the plan."""
    wanted = group.model.settings.statics
    grid = find_grid(source, plan.grid.domain.kind)
    if wanted or group.reason == GIVEN:
        check_static(static, plan.fine_grid(grid), wanted, group.model.name)
    if not wanted:
        return []
    fields = None if static is None else wanted_fields(static, wanted)
    read = dask.delayed(static_fields, pure=True)
    return [read(fields, part.fine_grid(grid), wanted) for part in plan.parts]


def describe(
    source: xr.Dataset,
    lazy: Mapping[str, Any],
    plans: Sequence[Plan],
    groups: Sequence[Group],
    action: str,
) -> xr.Dataset:
    """Put arrays into a CF dataset that tells how they were made."""
    dims = {target.name: plan.dims for plan in plans for target in plan.targets}
    fields = {name: xr.Variable((REALIZATION, *dims[name]), array) for name, array in lazy.items()}
    models = dict.fromkeys(group.model.name for group in groups)
    result = describe_fields(
        fields,
        source,
        plans[0].fine_grid(find_grid(source, plans[0].grid.domain.kind)),
        action=f"{action} with {' and '.join(models)}",
        attributes=attributes_of(plans) | {CHOICE: _choice(groups)} | provenance(),
    )
    for plan in plans:  # so that verify.seam knows the borders in one variable too
        for target in plan.targets:
            if target.name in lazy:
                result[target.name].attrs["flexclim_tiles"] = plan.attributes()["flexclim_tiles"]
    return result


def warn_of_spacing(plan: Plan, model: Model) -> None:
    """Warn once if the grid that is made is far from those of training."""
    key = ("spacing", plan.request)
    arm(key)
    said = model.card.far_spacing(plan.spacing_km)
    warn_once(key, model.name, [said] if said else [])


def _choice(groups: Sequence[Group]) -> str:
    """Say why each model was taken."""
    return "; ".join(dict.fromkeys(f"{group.model.name}: {group.reason}" for group in groups))


def _store_plan(made: Made, keep_bits: int | None) -> dict[str, Any]:
    """Return all that decides the values in a store."""
    time = stores.time_dimension(made.fields)
    plan: dict[str, Any] = {
        key.removeprefix("flexclim_"): value for key, value in attributes_of(made.plans).items()
    }
    return plan | {
        "version": __version__,
        "input": identity_of(made.source[made.inputs]),
        "members": made.fields.sizes[REALIZATION],
        "times": made.fields.sizes[time] if time else 1,
        "keep_bits": keep_bits,
    }


def _as_begun(options: R, begun: stores.Begun) -> R:
    """Leave to the store what was not asked for: how passes run, so that all of it is alike."""
    batch, members = begun.plan.get("batch"), begun.plan.get("members")
    if options.batch is None and isinstance(batch, int):
        options = replace(options, batch=batch)
    if options.compile is None:
        options = replace(options, compile=begun.plan.get("compiled") == "true")
    breaks = (*begun.breaks, members) if isinstance(members, int) else begun.breaks
    return replace(options, breaks=breaks)


def _plan_so_far(plan: dict[str, Any], begun: stores.Begun, made: Made) -> dict[str, Any]:
    """Return what the plan was for the members and times that a store has already."""
    first = {}
    sizes = {"members": REALIZATION, "times": stores.time_dimension(made.fields)}
    for name, dim in sizes.items():
        count = begun.plan.get(name)
        if isinstance(count, int) and 0 < count < plan[name]:
            plan = plan | {name: count}
            if dim in made.follows:
                first[str(dim)] = slice(count)
    if first:
        plan = plan | {
            "input": identity_of(made.source[made.inputs].isel(first, missing_dims="ignore"))
        }
    return plan
