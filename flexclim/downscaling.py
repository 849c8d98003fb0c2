"""Downscaling: an ensemble of fine fields from coarse ones. Start reading here.

    field -> grid -> tile plan -> [ keyed noise -> network on tiles -> fuse ] x steps
          -> add the interpolated coarse field -> conserve block means -> CF output

Planning computes nothing: all arrays are lazy, and a plan is plain data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import dask.array as da
import xarray as xr
from dask.delayed import Delayed

from flexclim import stores
from flexclim.errors import suggest_options, with_options_of
from flexclim.grids.grid import whole_factor
from flexclim.models.model import Model, keep_loaded
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.model_choice import Choice, choose
from flexclim.planning.plan import new_run
from flexclim.planning.source import Source, resolve
from flexclim.planning.variable_constraints import find_constraints, shared_noise
from flexclim.planning.variable_groups import (
    with_attributes_of,
    with_matches,
    with_statics,
    with_targets,
)
from flexclim.resampling.rows_and_columns import GridHint
from flexclim.sampling.downscaling_graph import lazy_members
from flexclim.sampling.estimation import Estimate, estimate_of
from flexclim.sampling.healpix_members import on_pixels
from flexclim.sampling.imposed_constraints import constrained
from flexclim.sampling.output import as_given, lazy_means, lazy_statics, warn_of_spacing, write
from flexclim.sampling.planned_ensemble import PlannedEnsemble, describe

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
    grid: GridHint | None = None,
    static: xr.Dataset | None = None,
    noise: str = "independent",
    noise_timescale: str | None = None,
    constraints: bool | str | Sequence[str] | None = None,
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
        Fields on any grid. Those without rows and columns (HEALPix, reduced Gaussian,
        unstructured cells or points) are taken to a regular grid of about their own spacing
        first. The result is lazy if they are dask arrays.
    factor
        Fine cells along one side of a coarse cell; 2, 4 or 8 with flex-nano.
    model
        Name, folder or file of a model, or a loaded model. Its variables are found by name or
        meaning, and units are converted. Default: the bundled model for these variables, this
        factor and about this grid spacing, provided that the static fields it needs are there;
        otherwise flex-nano, which takes any field. Attributes of the output name the model and the
        reason for the choice.
    members
        Ensemble size. Default: 8. A member does not depend on the ensemble size. Fields with a
        dimension ``realization`` (or ``number``, ``member``, ``ensemble``, ``member_id``, ``ens``)
        get one fine member for each coarse member, of the same number.
    steps
        Sampling steps. Default: the model's.
    seed
        Random seed; each seed gives another ensemble.
    variables
        Variables to return. Default: all fields of a Dataset or, with a model of specific
        variables, all that it predicts.
    conserve
        Whether the block means of each member equal the input, within the quantity's bounds.
        Default: as the model's card says.
    non_negative
        Whether values can't be negative. Default: as the model states, else inferred from
        standard_name and units, except in fields that fall below 0 themselves. Fractions are kept
        below 1 (100 %) too.
    grid
        Whether values are ``"cell"`` means or ``"point"`` values, where coordinates don't tell.
        Default: as in the model's training data. ``"healpix"`` or ``"healpix:ring"``: cells are
        HEALPix, nested or along rings, where a file doesn't say so.
    static
        Static fields that the model needs, such as orography, on any grid that covers ``obj``.
        They are averaged over fine cells, or interpolated where they are coarser. Default: the
        bundled orography (``orog``, m) and land-sea mask (``lsm``) of ERA5 at 1 degree, where the
        output's spacing is at least 2/3 of a degree.
    noise
        ``"independent"`` at each time, ``"frozen"`` (the same at all times) or ``"ar1"``
        (first-order autoregressive in time).
    noise_timescale
        e-folding time of the autocorrelation of ``"ar1"`` noise, such as ``"6h"``. Default: as
        measured on the model's training data for this variable and about this grid spacing.
    constraints
        Names of constraints between the returned variables: ``"temperature_extremes"`` (tasmin <=
        tas <= tasmax), ``"dew_point"`` (at most the temperature), ``"wind_speed"`` (from its
        components). Their noise is correlated, so that they vary together, and block means are
        kept. Default: those that apply, found by standard_name and usual names. False: none.
    overlap
        Minimum overlap of neighbouring tiles, in fine cells. Default: the model's.
    batch
        Tiles per forward pass. Default: chosen from tile size and device. It affects results by
        rounding only.
    device
        Such as ``"cpu"`` or ``"cuda"``. Default: a GPU if there is one.
    precision
        ``"float32"``, ``"bf16"`` or ``"fp16"``. Default: float32 on a CPU, bf16 on a GPU.
    compile
        Whether to compile the network with ``torch.compile``, which pays off in long runs on a
        GPU. It affects results by rounding only; where compilation does not work, an error is
        raised before any work. Default: the existing store's setting, else False.

    Returns
    -------
    Dataset or DataArray
        (realization, ..., y, x) in the variables' units, following the CF conventions, on the
        fine grid nested in the input's grid; HEALPix pixels are split, one level deeper for each
        factor of two: (realization, ..., cell). NaN where the coarse cell is NaN. Attributes
        describe how it was made.

    Raises
    ------
    GridError
        If no grid is found, or ``factor`` does not fit it.
    ModelError
        If the model can't be read, or does not fit the fields.
    FlexclimError
        If an option is invalid, a named constraint does not apply, a field holds categories or
        directions or, when values are computed, if some are infinite or undeclared fill values.

    Warns
    -----
    FlexclimWarning
        If the grid or, when they are computed, the values lie far outside the range of the
        model's training data, or are negative against the field's names; once per call.
    """
    source = resolve(obj, grid, static, variables)
    options = DownscalingOptions(
        factor=whole_factor(factor),
        members=members,
        steps=steps,
        seed=seed,
        conserve=conserve,
        non_negative=non_negative,
        noise=noise,
        noise_timescale=noise_timescale,
        constraints=constraints,
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
    grid: GridHint | None = None,
    static: xr.Dataset | None = None,
    noise: str = "independent",
    noise_timescale: str | None = None,
    constraints: bool | str | Sequence[str] | None = None,
    overlap: int | None = None,
    batch: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    compile: bool | None = None,
    keep_bits: int | None = None,
) -> xr.Dataset:
    """Downscale into a Zarr store, shard by shard; call again to continue.

    An existing store of the same request with fewer members or only the first times is extended;
    its content is not recomputed, except for shards that :func:`flexclim.check_store` found
    damaged.

    Parameters
    ----------
    obj, factor
        As for :func:`downscale`.
    store
        A folder, a URL such as ``s3://bucket/fine.zarr``, or a ``zarr`` store object. A store of
        the same request is continued; anything else is left as it is.
    model, members, steps, seed, variables, conserve, non_negative, grid, static
        As for :func:`downscale`.
    noise, noise_timescale, constraints, overlap, batch, device, precision, compile
        As for :func:`downscale`.
    keep_bits
        Mantissa bits to keep, 1 to 23. Values are rounded to a relative precision of
        ``2 ** -(keep_bits + 1)`` and compress better. Default: no rounding.

    Returns
    -------
    Dataset
        The finished store, opened lazily.

    Raises
    ------
    StoreError
        If the store holds another request, is in use by another process, or can't be written.
    GridError, ModelError, FlexclimError
        As for :func:`downscale`.
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
        constraints=constraints,
        overlap=overlap,
        batch=batch,
        device=device,
        precision=precision,
        compile=compile,
    )
    choice = Choice(model=model, variables=variables)

    def plan(source: Source, options: DownscalingOptions) -> PlannedEnsemble:
        return _planned(source, options, choice)

    return write(resolve(obj, grid, static, variables), store, plan, options, keep_bits)


@suggest_options
def estimate(
    obj: xr.Dataset | xr.DataArray, /, factor: int, *, keep_bits: int | None = None, **options: Any
) -> Estimate:
    """Estimate what a downscaling will take: passes, time, memory and size, before any work.

    A forward pass of each model is timed on the machine, or on a worker of an active dask cluster;
    nothing else is computed. An existing store is not considered.

    Parameters
    ----------
    obj, factor
        As for :func:`downscale`.
    keep_bits
        As for :func:`downscale_to_zarr`.
    **options
        As for :func:`downscale`.

    Returns
    -------
    Estimate
        With a readable text, and the numbers as attributes.

    Raises
    ------
    GridError, ModelError, FlexclimError
        As for :func:`downscale`.
    """
    choice = Choice(model=options.pop("model", None), variables=options.pop("variables", None))
    hint, static = options.pop("grid", None), options.pop("static", None)
    source = resolve(obj, hint, static, choice.variables)
    asked = DownscalingOptions(factor=whole_factor(factor), entire=True, **options)
    return estimate_of(_planned(source, asked, choice), keep_bits)


with_options_of(estimate, downscale)


def _planned(source: Source, options: DownscalingOptions, choice: Choice) -> PlannedEnsemble:
    """Choose models, plan, and describe the lazy ensemble; compute nothing."""
    groups = choose(source, choice, options.factor)
    given = source = with_statics(source, groups, options.factor)
    source = with_matches(source, groups)
    for group in groups:
        source = with_targets(source, group.model)
    constraints = find_constraints(given, groups, options.constraints)
    noise_of, run = shared_noise(constraints, groups), new_run()
    plans = [
        plan_downscaling(source, group.inputs, group.targets, group.model, options, run, noise_of)
        for group in groups
    ]
    warn_of_spacing(plans, groups)
    arrays: dict[str, da.Array] = {}
    statics: dict[str, list[Delayed]] = {}
    for group, plan in zip(groups, plans, strict=True):
        keep_loaded(group.model)  # the graph holds its reference
        if group.model.sha256 not in statics:
            statics[group.model.sha256] = lazy_statics(source, plan, group)
        inputs = [source[name] for name in group.inputs]
        means = lazy_means(source, plan)
        members = lazy_members(inputs, plan, statics[group.model.sha256], means)
        arrays |= group.restored(members)
    fields = describe(
        with_attributes_of(given, source), arrays, plans, groups, f"downscaled x{options.factor}"
    )
    fields = on_pixels(fields, source, plans, groups, options.factor)
    fields = constrained(fields, constraints, plans, groups, source.grid)
    follows = tuple(map(str, source.dataset.dims))
    return PlannedEnsemble(
        source=source,
        fields=fields,
        groups=groups,
        plans=plans,
        follows=follows,
        constraints=constraints,
    )
