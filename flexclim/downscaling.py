"""The way of the data, from a coarse field to an ensemble of fine ones. Read this first.

    field -> grid -> plan of tiles -> [ keyed noise -> network on tiles -> fuse ] x steps
          -> add back the coarse field -> conserve -> CF output

Nothing is computed while planning: every array is lazy, and a plan is plain data.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import dask
import xarray as xr
from dask.delayed import Delayed

import flexclim
from flexclim import cf, io, stores
from flexclim.checkpoint import Model
from flexclim.chosen import GIVEN, choose
from flexclim.cluster import equip
from flexclim.coverage import arm, far_spacing, warn_once
from flexclim.domain import Kind
from flexclim.errors import FlexclimError
from flexclim.grid import find_grid, whole_factor
from flexclim.groups import Group, with_targets
from flexclim.identity import identity_of
from flexclim.members import lazy_members
from flexclim.plan import FieldPlan, Options, attributes_of, plan_field
from flexclim.progress import progress_bar
from flexclim.provenance import provenance
from flexclim.statics import check_static, static_fields, wanted_fields

T = TypeVar("T", xr.Dataset, xr.DataArray)
CHOICE = "flexclim_model_choice"


def downscale(
    obj: T,
    factor: int,
    *,
    model: str | Model | None = None,
    members: int = 8,
    steps: int | None = None,
    seed: int = 0,
    variables: list[str] | None = None,
    conserve: bool | None = None,
    non_negative: bool | None = None,
    grid: Kind | None = None,
    static: xr.Dataset | None = None,
    noise: str = "independent",
    noise_timescale: str | None = None,
    overlap: int | None = None,
    batch: int | None = None,
    device: str | None = None,
    precision: str | None = None,
) -> T:
    """Downscale fields to an ensemble on a finer grid.

    Parameters
    ----------
    obj
        Fields on a regular grid: latitude and longitude, or projected; any other dimensions.
        Lazy if backed by dask.
    factor
        Fine cells along one side of a coarse cell: 2, 4 or 8 with flex-nano.
    model
        A name, a folder or file, or a loaded model. None: of the models that ship, one made for
        these variables and units, this factor and about this spacing, given the static fields
        that it needs; flex-nano, which serves any field, for all else. Attributes say which and
        why.
    members
        Size of the ensemble. Asking for fewer or more changes no member.
    steps
        Steps of the sampler; None: what the model was made for.
    seed
        Another seed gives another ensemble.
    variables
        Of a Dataset; None: all that have rows and columns. For a model of named variables: which
        of those that it makes to return.
    conserve
        Whether block means of every member equal the input; None: as the model's card says.
    non_negative
        Whether values below 0 make no sense; None: from standard_name and units.
    grid
        ``"cell"`` or ``"point"`` where the coordinates can't tell; None: as the model was trained.
    static
        Fields that a model asks for, such as orography, on any grid that covers the field:
        averaged over fine cells, or interpolated where they are coarser.
    noise
        ``"independent"`` between times, ``"frozen"`` (the same at all times) or ``"ar1"``.
    noise_timescale
        For ``"ar1"``: the time over which the correlation of noise falls to 1/e, such as
        ``"6h"``. None: as measured on the model's training data, of the variable at about this
        spacing.
    overlap
        Pixels that neighbouring tiles share at least; None: as the model says.
    batch
        Tiles in one pass of the network; None: by tile and device. It moves results by rounding.
    device
        Such as ``"cpu"`` or ``"cuda"``; None: a GPU where there is one.
    precision
        ``"float32"``, ``"bf16"`` or ``"fp16"``; None: float32 on a CPU, bf16 on a GPU.

    Returns
    -------
    Dataset or DataArray
        (realization, ..., y, x) in the variables' units, by the CF conventions, on the grid that
        nests in the input's. NaN where the coarse cell is NaN; attributes tell how it was made.

    Raises
    ------
    GridError
        If the grid can't be found or ``factor`` does not fit.
    ModelError
        If the model can't be used.
    FlexclimError
        If an option does not do; when values are computed, if some are infinite.

    Warns
    -----
    FlexclimWarning
        If the grid, or when they are computed the values, are far from what the model's card
        covers; once.
    """
    options = Options(
        factor=whole_factor(factor),
        members=members,
        steps=steps,
        seed=seed,
        conserve=conserve,
        non_negative=non_negative,
        noise=noise,
        noise_timescale=noise_timescale,
        overlap=overlap,
        batch=batch,
        device=device,
        precision=precision,
    )
    source = obj if isinstance(obj, xr.Dataset) else cf.as_dataset(obj)
    made = _downscaled(source, options, model, variables, grid, static)
    result = made.fields
    if not any(dask.is_dask_collection(source[name].data) for name in made.inputs):
        result = _computed(result)
    return cast(T, result if isinstance(obj, xr.Dataset) else _only(result, made.returned))


def downscale_to_zarr(
    obj: xr.Dataset | xr.DataArray,
    store: stores.StoreLike,
    factor: int,
    *,
    model: str | Model | None = None,
    variables: list[str] | None = None,
    grid: Kind | None = None,
    static: xr.Dataset | None = None,
    keep_bits: int | None = None,
    **options: Any,
) -> xr.Dataset:
    """Downscale into a Zarr store, shard by shard; call again to continue.

    A store of fewer members, or of the first of these times, is extended: what it holds is not
    made again. Shards that :func:`flexclim.check_store` found damaged are made anew.

    Parameters
    ----------
    obj, factor, model, variables, grid, static, options
        As for :func:`downscale`.
    store
        A folder, a URL such as ``s3://bucket/fine.zarr``, or a store of zarr's. One that holds
        the same request is continued; nothing else is ever overwritten.
    keep_bits
        Bits of the mantissa to keep, 1 to 23: values are rounded to a relative precision of
        ``2 ** -(keep_bits + 1)``, and compress well. None: all, exactly.

    Returns
    -------
    Dataset
        The finished store, opened lazily.

    Raises
    ------
    StoreError
        If the store holds something else, another process writes to it, or it can't be written.
    """
    keep_bits = _whole_bits(keep_bits)
    place = stores.Place(store)
    stores.check_unlocked(place)
    begun = stores.begun_run(place)
    asked = Options(factor=whole_factor(factor), **options)
    source = (obj if isinstance(obj, xr.Dataset) else cf.as_dataset(obj)).chunk()
    if begun is not None:
        asked = _as_begun(asked, begun)
    made = _downscaled(source, asked, model, variables, grid, static)
    plan = _store_plan(made, source, keep_bits)
    if static is not None:
        wanted = [one for group in made.groups for one in group.model.settings.statics]
        plan["static"] = identity_of(wanted_fields(static, wanted))
    if keep_bits is not None:
        made.fields.attrs["flexclim_keep_bits"] = keep_bits
    so_far = plan if begun is None else _plan_so_far(plan, begun, source[made.inputs])
    equip([each.model for each in made.plans], made.plans[0].device)
    stores.write_store(made.fields, place, plan, plan_so_far=so_far, keep_bits=keep_bits)
    return io.open_input(place.store)


def _whole_bits(keep_bits: int | None) -> int | None:
    """Return how many bits to keep, as Python's own number; refuse what is none."""
    if keep_bits is None:
        return None
    whole = hasattr(keep_bits, "__index__") and not isinstance(keep_bits, bool)
    if not whole or keep_bits not in range(1, 24):
        raise FlexclimError(f"keep_bits={keep_bits!r} is not a whole number from 1 to 23.")
    return int(keep_bits)


@dataclass(frozen=True, kw_only=True)
class Downscaled:
    """Lazy fields, and what they were planned by."""

    fields: xr.Dataset
    plans: list[FieldPlan]
    groups: list[Group]

    @property
    def inputs(self) -> list[str]:
        """The variables that are read."""
        return list(dict.fromkeys(name for group in self.groups for name in group.inputs))

    @property
    def returned(self) -> list[str]:
        """The variables that are made."""
        return [name for group in self.groups for name in group.returned]


def _downscaled(
    source: xr.Dataset,
    options: Options,
    model: str | Model | None,
    variables: list[str] | None,
    grid: Kind | None,
    static: xr.Dataset | None,
) -> Downscaled:
    """Choose models, plan and describe; nothing is computed."""
    groups = choose(source, model, options.factor, variables, grid, static)
    for group in groups:
        source = with_targets(source, group.model)
    plans = [
        plan_field(source, group.inputs, group.targets, group.model, options, grid)
        for group in groups
    ]
    lazy: dict[str, Any] = {}
    statics: dict[str, list[Delayed]] = {}
    for group, plan in zip(groups, plans, strict=True):
        if group.model.sha256 not in statics:
            statics[group.model.sha256] = _lazy_statics(source, static, plan, group)
            _warn_of_spacing(plan, group.model)
        fields = [source[name] for name in group.inputs]
        made = lazy_members(fields, plan, statics[group.model.sha256])
        lazy |= {name: made[name] for name in group.returned}
        arm(plan.request)
    return Downscaled(fields=_describe(source, lazy, plans, groups), plans=plans, groups=groups)


def _store_plan(made: Downscaled, source: xr.Dataset, keep_bits: int | None) -> dict[str, Any]:
    """Return all that decides the values in a store."""
    time = stores.time_dimension(made.fields)
    plan: dict[str, Any] = {
        key.removeprefix("flexclim_"): value for key, value in attributes_of(made.plans).items()
    }
    return plan | {
        "version": flexclim.__version__,
        "input": identity_of(source[made.inputs]),
        "members": made.fields.sizes["realization"],
        "times": made.fields.sizes[time] if time else 1,
        "keep_bits": keep_bits,
    }


def _as_begun(options: Options, begun: stores.Begun) -> Options:
    """Leave to the store what was not asked for: its batches, so that all of it is alike."""
    batch, members = begun.plan.get("batch"), begun.plan.get("members")
    if options.batch is None and isinstance(batch, int):
        options = replace(options, batch=batch)
    if isinstance(members, int) and members < options.members:
        return replace(options, breaks=(*begun.breaks, members))
    return replace(options, breaks=begun.breaks)


def _plan_so_far(plan: dict[str, Any], begun: stores.Begun, source: xr.Dataset) -> dict[str, Any]:
    """Return what the plan was for the members and times that a store has already."""
    members, times = (begun.plan.get(name) for name in ("members", "times"))
    if isinstance(members, int) and members < plan["members"]:
        plan = plan | {"members": members}
    time = stores.time_dimension(source)
    if time is not None and isinstance(times, int) and 0 < times < plan["times"]:
        first = source.isel({time: slice(times)})
        plan = plan | {"times": times, "input": identity_of(first)}
    return plan


def _lazy_statics(
    source: xr.Dataset, static: xr.Dataset | None, plan: FieldPlan, group: Group
) -> list[Delayed]:
    """Return the static fields that the model takes, on each region's part of the fine grid."""
    wanted = group.model.settings.statics
    grid = find_grid(source, plan.coarse.kind)
    if wanted or group.reason == GIVEN:
        check_static(static, plan.fine_grid(grid), wanted, group.model.name)
    if not wanted:
        return []
    fields = None if static is None else wanted_fields(static, wanted)
    read = dask.delayed(static_fields, pure=True)
    return [read(fields, plan.of(region).fine_grid(grid), wanted) for region in plan.regions]


def _describe(
    source: xr.Dataset, lazy: dict[str, Any], plans: list[FieldPlan], groups: list[Group]
) -> xr.Dataset:
    """Put the arrays into a CF dataset that tells how they were made."""
    dims = {target.name: plan.dims for plan in plans for target in plan.targets}
    fields = {
        name: xr.Variable(("realization", *dims[name]), array) for name, array in lazy.items()
    }
    attributes = attributes_of(plans) | {CHOICE: _choice(groups)} | provenance()
    models = dict.fromkeys(group.model.name for group in groups)
    result = cf.describe(
        fields,
        source,
        plans[0].fine_grid(find_grid(source, plans[0].coarse.kind)),
        action=f"downscaled x{plans[0].factor} with {' and '.join(models)}",
        attributes=attributes,
    )
    for plan in plans:  # so that verify.seam knows the borders in one variable too
        for target in plan.targets:
            if target.name in lazy:
                result[target.name].attrs["flexclim_tiles"] = plan.attributes()["flexclim_tiles"]
    return result


def _choice(groups: list[Group]) -> str:
    """Say why each model was taken."""
    return "; ".join(dict.fromkeys(f"{group.model.name}: {group.reason}" for group in groups))


def _warn_of_spacing(plan: FieldPlan, model: Model) -> None:
    key = ("spacing", plan.request)
    arm(key)
    said = far_spacing(model.card, plan.grid.spacing_km / plan.factor)
    warn_once(key, model.name, [said] if said else [])


def _only(result: xr.Dataset, names: Iterable[str]) -> xr.DataArray:
    """Return the one variable that was made of a DataArray."""
    first, *others = names
    if others:
        raise FlexclimError(
            f"the model makes {first!r} and {', '.join(map(repr, others))}: give it a Dataset, "
            f"da.to_dataset(), or variables=[{first!r}]."
        )
    return cf.pick(result, first)


def _computed(lazy: xr.Dataset) -> xr.Dataset:
    """Compute, with a progress bar in a terminal."""
    with progress_bar():
        return lazy.compute()
