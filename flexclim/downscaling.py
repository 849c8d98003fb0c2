"""Downscaling: from a coarse field to an ensemble of fine ones. Read this first.

    field -> grid -> plan of tiles -> [ keyed noise -> network on tiles -> fuse ] x steps
          -> add back the coarse field -> conserve -> CF output

Nothing is computed while planning: every array is lazy, and a plan is plain data.
"""

from __future__ import annotations

from typing import Any, TypeVar

import xarray as xr
from dask.delayed import Delayed

from flexclim import stores
from flexclim.errors import suggest_options
from flexclim.grids.domain import Kind
from flexclim.grids.grid import whole_factor
from flexclim.models.model import Model, keep_loaded
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.model_choice import Choice, choose
from flexclim.planning.plan import new_run
from flexclim.planning.source import Source, resolve
from flexclim.planning.variable_groups import with_targets
from flexclim.sampling.downscaling_graph import lazy_members
from flexclim.sampling.output import (
    PlannedEnsemble,
    as_given,
    describe,
    lazy_statics,
    warn_of_spacing,
    write,
)

T = TypeVar("T", xr.Dataset, xr.DataArray)


@suggest_options
def downscale(
    obj: T,
    factor: int,
    *,
    model: str | Model | None = None,
    members: int | None = None,
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
    compile: bool | None = None,
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
        Size of the ensemble; None: 8. Asking for fewer or more changes no member. An ensemble
        along ``realization`` is downscaled member by member: one fine member for each coarse one,
        of the same number.
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
    compile
        Whether ``torch.compile`` makes one program of the network first, which pays for long runs
        on a GPU. It moves results by rounding; where it can't be done, that is told before any
        work. None: as a store was begun, else not.

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
    source = resolve(obj, grid, static)
    options = DownscalingOptions(
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
        compile=compile,
    )
    return as_given(obj, _planned(source, options, Choice(model=model, variables=variables)))


@suggest_options
def downscale_to_zarr(
    obj: xr.Dataset | xr.DataArray,
    store: stores.StoreLike,
    factor: int,
    *,
    model: str | Model | None = None,
    members: int | None = None,
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
    compile: bool | None = None,
    keep_bits: int | None = None,
) -> xr.Dataset:
    """Downscale into a Zarr store, shard by shard; call again to continue.

    A store of fewer members, or of the first of these times, is extended: what it holds is not
    made again. Shards that :func:`flexclim.check_store` found damaged are made anew.

    Parameters
    ----------
    obj, factor
        As for :func:`downscale`.
    store
        A folder, a URL such as ``s3://bucket/fine.zarr``, or a store of zarr's. One that holds
        the same request is continued; nothing else is ever overwritten.
    model, members, steps, seed, variables, conserve, non_negative, grid, static
        As for :func:`downscale`.
    noise, noise_timescale, overlap, batch, device, precision, compile
        As for :func:`downscale`.
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
    options = DownscalingOptions(
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
        compile=compile,
    )
    choice = Choice(model=model, variables=variables)

    def plan(source: Source, asked: DownscalingOptions) -> PlannedEnsemble:
        return _planned(source, asked, choice)

    return write(resolve(obj, grid, static), store, plan, options, keep_bits)


def _planned(source: Source, options: DownscalingOptions, choice: Choice) -> PlannedEnsemble:
    """Choose models, plan, and describe the lazy ensemble; nothing is computed."""
    groups = choose(source, choice, options.factor)
    for group in groups:
        source = with_targets(source, group.model)
    run = new_run()
    plans = [
        plan_downscaling(source, group.inputs, group.targets, group.model, options, run)
        for group in groups
    ]
    warn_of_spacing(plans, groups)
    arrays: dict[str, Any] = {}
    statics: dict[str, list[Delayed]] = {}
    for group, plan in zip(groups, plans, strict=True):
        keep_loaded(group.model)  # the graph holds its reference
        if group.model.sha256 not in statics:
            statics[group.model.sha256] = lazy_statics(source, plan, group)
        inputs = [source[name] for name in group.inputs]
        members = lazy_members(inputs, plan, statics[group.model.sha256])
        arrays |= {name: members[name] for name in group.returned}
    fields = describe(source, arrays, plans, groups, f"downscaled x{options.factor}")
    follows = tuple(map(str, source.dataset.dims))
    return PlannedEnsemble(
        source=source, fields=fields, groups=groups, plans=plans, follows=follows
    )
