"""The way of the data, from a coarse field to an ensemble of fine ones. Read this first.

    field -> grid -> plan of tiles -> [ keyed noise -> network on tiles -> fuse ] x steps
          -> add back the coarse field -> conserve -> CF output

Nothing is computed while planning: every array is lazy, and a plan is plain data.
"""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import Any, TypeVar, cast

import dask
import numpy as np
import xarray as xr

from flexclim import cf, io
from flexclim.checkpoint import Model, load_model
from flexclim.domain import Kind
from flexclim.errors import FlexclimError, GridError, ModelError
from flexclim.grid import find_grid, whole_factor
from flexclim.members import lazy_members
from flexclim.plan import DEFAULT_MODEL, FieldPlan, Options, plan_field
from flexclim.progress import progress_bar

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
        Of a Dataset; None: all that have rows and columns.
    conserve
        Whether block means of every member equal the input; None: as the model's card says.
    non_negative
        Whether values below 0 make no sense; None: from standard_name and units.
    grid
        ``"cell"`` or ``"point"`` where the coordinates can't tell.
    static
        Fields that a model asks for.
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
    if static is not None:
        raise ModelError(f"model {loaded.name!r} takes no static fields. Leave static out.")
    source = obj if isinstance(obj, xr.Dataset) else cf.as_dataset(obj)
    names = _chosen(source, variables, grid)
    plans = {name: plan_field(source[name], loaded, options, grid) for name in names}
    lazy = {name: lazy_members(source[name], plan) for name, plan in plans.items()}
    result = _describe(source, lazy, plans, loaded)
    if not any(dask.is_dask_collection(source[name].data) for name in names):
        result = _computed(result)
    return cast(T, result if isinstance(obj, xr.Dataset) else cf.pick(result, names[0]))


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
    lazy = downscale(source.chunk(), factor, **options)
    names = [name for name in lazy.data_vars if "realization" in lazy[name].dims]
    plan = {key: value for key, value in lazy.attrs.items() if key.startswith("flexclim_")}
    plan |= {"input": _identity(source[names]), "members": lazy.sizes["realization"]}
    return io.open_input(io.write_store(lazy, store, plan))


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


def _chosen(source: xr.Dataset, variables: list[str] | None, grid: Kind | None) -> list[str]:
    """Return the variables to downscale."""
    found = find_grid(source, grid)
    fields = [
        str(name)
        for name, field in source.data_vars.items()
        if {found.y, found.x} <= set(field.dims) and field.dtype.kind in "fiu"
    ]
    if variables is None:
        if not fields:
            raise GridError(f"no variable has the dimensions {found.y!r} and {found.x!r}.")
        return fields
    if isinstance(variables, str):
        variables = [variables]
    for name in variables:
        if name not in fields:
            raise FlexclimError(
                f"there is no field {name!r} to downscale; there are {', '.join(fields)}."
            )
    return list(variables)


def _describe(
    source: xr.Dataset, lazy: dict[str, Any], plans: dict[str, FieldPlan], model: Model
) -> xr.Dataset:
    """Put the arrays into a CF dataset that tells how they were made."""
    plan = next(iter(plans.values()))
    fields = {
        name: xr.Variable(("realization", *plans[name].dims), array) for name, array in lazy.items()
    }
    return cf.describe(
        fields,
        source,
        plan.fine_grid(find_grid(source, plan.coarse.kind)),
        action=f"downscaled x{plan.factor} with {model.name}",
        attributes=plan.attributes(),
    )


def _computed(lazy: xr.Dataset) -> xr.Dataset:
    """Compute, with a progress bar in a terminal."""
    with progress_bar():
        return lazy.compute()
