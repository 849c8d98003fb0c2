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
from flexclim.checkpoint import Model, load_model
from flexclim.domain import Kind
from flexclim.errors import FlexclimError
from flexclim.grid import find_grid, whole_factor
from flexclim.groups import group_variables, with_targets
from flexclim.members import lazy_members
from flexclim.plan import DEFAULT_MODEL, FieldPlan, Options, plan_field
from flexclim.progress import progress_bar
from flexclim.statics import check_static, static_fields, wanted_fields

T = TypeVar("T", xr.Dataset, xr.DataArray)


def downscale(
    obj: T,
    factor: int,
    *,
    model: str | Model = DEFAULT_MODEL,
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
        Fine cells along one side of a coarse cell: 2, 4 or 8 with the bundled model.
    model
        A name, a folder or file, or a loaded model.
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
        ``"6h"``.
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
    loaded = model if isinstance(model, Model) else load_model(model)
    source = obj if isinstance(obj, xr.Dataset) else cf.as_dataset(obj)
    groups = group_variables(source, loaded, variables, grid)
    source = with_targets(source, loaded)
    plans = [
        plan_field(source, group.inputs, group.targets, loaded, options, grid) for group in groups
    ]
    statics = _lazy_statics(source, static, plans[0], loaded)
    lazy: dict[str, Any] = {}
    for group, plan in zip(groups, plans, strict=True):
        made = lazy_members([source[name] for name in group.inputs], plan, statics)
        lazy |= {name: made[name] for name in group.returned}
    result = _describe(source, lazy, plans, loaded)
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
    model = options.get("model", DEFAULT_MODEL)
    loaded = model if isinstance(model, Model) else load_model(model)
    groups = group_variables(source, loaded, options.get("variables"), options.get("grid"))
    lazy = downscale(source.chunk(), factor, **options | {"model": loaded})
    plan = {key: value for key, value in lazy.attrs.items() if key.startswith("flexclim_")}
    plan["input"] = _identity(source[[name for group in groups for name in group.inputs]])
    plan["members"] = lazy.sizes["realization"]
    if options.get("static") is not None:
        plan["static"] = _identity(wanted_fields(options["static"], loaded.settings.statics))
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
    source: xr.Dataset, static: xr.Dataset | None, plan: FieldPlan, model: Model
) -> Delayed | None:
    """Return the static fields that the model takes on the fine grid, to be computed once."""
    wanted = model.settings.statics
    fine = plan.fine_grid(find_grid(source, plan.coarse.kind))
    check_static(static, fine, wanted, model.name)
    if not wanted:
        return None
    fields = None if static is None else wanted_fields(static, wanted)
    return dask.delayed(static_fields, pure=True)(fields, fine, wanted)


def _describe(
    source: xr.Dataset, lazy: dict[str, Any], plans: list[FieldPlan], model: Model
) -> xr.Dataset:
    """Put the arrays into a CF dataset that tells how they were made."""
    dims = {target.name: plan.dims for plan in plans for target in plan.targets}
    fields = {
        name: xr.Variable(("realization", *dims[name]), array) for name, array in lazy.items()
    }
    attributes = plans[0].attributes()
    result = cf.describe(
        fields,
        source,
        plans[0].fine_grid(find_grid(source, plans[0].coarse.kind)),
        action=f"downscaled x{plans[0].factor} with {model.name}",
        attributes=attributes,
    )
    for name in lazy:  # so that verify.seam knows the borders in one variable too
        result[name].attrs["flexclim_tiles"] = attributes["flexclim_tiles"]
    return result


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
