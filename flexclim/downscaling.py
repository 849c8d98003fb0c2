"""The way of the data, from a coarse field to an ensemble of fine ones. Read this first.

    field -> grid -> plan of tiles -> [ keyed noise -> network on tiles -> fuse ] x steps
          -> add back the coarse field -> conserve -> CF output

Nothing is computed while planning: every array is lazy, and a plan is plain data.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from os import PathLike
from typing import Any, TypeVar, cast

import dask
import numpy as np
import xarray as xr
from dask.delayed import Delayed

from flexclim import cf, io, stores
from flexclim.checkpoint import Model
from flexclim.chosen import GIVEN, choose
from flexclim.coverage import arm, far_spacing, warn_once
from flexclim.domain import Kind
from flexclim.errors import FlexclimError
from flexclim.grid import find_grid, whole_factor
from flexclim.groups import Group, with_targets
from flexclim.members import lazy_members
from flexclim.plan import FieldPlan, Options, attributes_of, plan_field
from flexclim.progress import progress_bar
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
    result = _describe(source, lazy, plans, groups)
    if not any(dask.is_dask_collection(source[name].data) for g in groups for name in g.inputs):
        result = _computed(result)
    return cast(T, result if isinstance(obj, xr.Dataset) else _only(result, lazy))


def downscale_to_zarr(
    obj: xr.Dataset | xr.DataArray, store: str | PathLike[str], factor: int, **options: Any
) -> xr.Dataset:
    """Downscale into a Zarr store, piece by piece; call again to continue.

    Parameters
    ----------
    obj, factor, options
        As for :func:`downscale`.
    store
        A folder. One that holds the same request is continued; nothing else is ever overwritten.

    Returns
    -------
    Dataset
        The finished store, opened lazily.

    Raises
    ------
    StoreError
        If the store holds something else, another process writes to it, or it can't be written.
    """
    source = obj if isinstance(obj, xr.Dataset) else cf.as_dataset(obj)
    static = options.get("static")
    model, variables, grid = (options.get(name) for name in ("model", "variables", "grid"))
    groups = choose(source, model, whole_factor(factor), variables, grid, static)
    lazy = downscale(source.chunk(), factor, **options)
    # Why a model was taken changes no number.
    plan = {
        key: value
        for key, value in lazy.attrs.items()
        if key.startswith("flexclim_") and key != CHOICE
    }
    plan["input"] = _identity(source[[name for group in groups for name in group.inputs]])
    plan["members"] = lazy.sizes["realization"]
    if static is not None:
        wanted = [one for group in groups for one in group.model.settings.statics]
        plan["static"] = _identity(wanted_fields(static, wanted))
    return io.open_input(stores.write_store(lazy, store, plan).store)


def _identity(source: xr.Dataset) -> str:
    """Return a hash of a source's coordinates, and of each field's first and last plane."""
    digest = hashlib.sha256()
    grid = find_grid(source)
    plane_dims = grid.y, grid.x
    for name in sorted(map(str, source.coords)):
        digest.update(f"{name}{source[name].dims}{source[name].values.tolist()}".encode())
    for name in sorted(map(str, source.data_vars)):
        field = source[name]
        lead = [dim for dim in field.dims if dim not in plane_dims]
        digest.update(f"{name}{field.dims}{field.shape}{field.dtype}".encode())
        for end in (0, -1):
            plane = field.isel(dict.fromkeys(lead, end)).values
            digest.update(np.ascontiguousarray(plane).tobytes())
    return digest.hexdigest()


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
    attributes = attributes_of(plans) | {CHOICE: _choice(groups)}
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
