"""Downscaling: an ensemble of fine fields from coarse ones. Start reading here.

    field -> grid -> tile plan -> [ keyed noise -> network on tiles -> fuse ] x steps
          -> add the interpolated coarse field -> conserve block means -> average to a target
          -> CF output

Planning computes nothing: all arrays are lazy, and a plan is plain data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import xarray as xr

from flexclim import stores
from flexclim.errors import suggest_options, with_options_of
from flexclim.models.model import Model
from flexclim.planning.downscaling_plan import DownscalingOptions
from flexclim.planning.model_choice import Choice, choose
from flexclim.planning.output_target import Aim, plan_target, read_target
from flexclim.planning.plan import new_run
from flexclim.planning.prognosis_input import resolve_input
from flexclim.planning.refinement import choose_refinement
from flexclim.planning.source import Source
from flexclim.resampling.rows_and_columns import GridHint
from flexclim.sampling.days import split_days
from flexclim.sampling.estimation import Estimate, estimate_of
from flexclim.sampling.lapse_rate import lazy_changes
from flexclim.sampling.output import as_given, in_chunks, write
from flexclim.sampling.planned_ensemble import PlannedEnsemble
from flexclim.sampling.stages import (
    finished,
    next_choice,
    next_options,
    next_source,
    plan_stage,
    with_all_targets,
)
from flexclim.sampling.target_fields import on_target

T = TypeVar("T", xr.Dataset, xr.DataArray)


@suggest_options
def downscale(
    obj: T,
    factor: int | None = None,
    *,
    to: Any = None,
    lapse_rate: float | None = None,
    time_factor: int | None = None,
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
    chunks: Mapping[str, Any] | int | str | None = None,
) -> T:
    """Downscale fields to an ensemble on a finer grid.

    Parameters
    ----------
    obj
        Fields on any grid; for a model of perfect prognosis its predictors, which may lie on
        several grids and on levels. Those without rows and columns (HEALPix, reduced Gaussian,
        unstructured cells or points) are taken to a regular grid of about their own spacing
        first. The result is lazy if they are dask arrays.
    factor
        Fine cells along one side of a coarse cell; 2, 4 or 8 with flex-nano. Other products of two
        of a model's factors, such as 16, are downscaled twice: member i of the second step refines
        member i of the first. Default: the factor that ``to`` needs; for points and regions the
        largest of the models made for the fields.
    to
        What the fine grid is averaged to: an object with a grid; a number of degrees, for a
        regular grid over the input's extent; ``"healpix:8"``; points, an object with 1-D latitudes
        and longitudes along one dimension; or polygons, as for :func:`flexclim.regrid`. Cells and
        polygons get means weighted by the area in common, points the value of the fine cell around
        them. Its coordinates are kept as they are. A model of perfect prognosis needs an object
        with the target's rows and columns. Default: the fine grid itself.
    lapse_rate
        Decrease of temperature with height in K/km. Near-surface temperatures are taken by it from
        the surface of the model to the elevation of ``to``, which needs a coordinate or variable
        such as ``elevation`` in m. The model's surface is the orography in ``static``, else the
        bundled one where the input's spacing is at least 2/3 of a degree. Default: no change.
    time_factor
        Times of a day (UTC) that days are split into, such as 4, instead of a downscaling in
        space, by a ``model`` trained for it. Members keep the daily mean, or the sum where
        cell_methods says so, and a daily minimum and maximum given beside it.
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
        Sampling steps; 1 halves the cost where the card says that members were trained for it.
        Default: the model's.
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
        (correlated in time, as calibrated for the model or first-order autoregressive).
    noise_timescale
        e-folding time of the autocorrelation of ``"ar1"`` noise, such as ``"6h"``. Default: as the
        model's card says for this variable and about this grid spacing.
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
        ``"float32"``, ``"bf16"`` or ``"fp16"``. Default: the store's, else bf16 where faster.
    compile
        Whether to compile the network with ``torch.compile``, which pays off in long runs on a
        GPU. It affects results by rounding only; where compilation does not work, an error is
        raised before any work. Default: the existing store's setting, else False.
    chunks
        Of a lazy result, as for ``xarray.DataArray.chunk``; a number is for rows and columns.
        Default: a plane, or pieces of a large one. A slice is computed alone in any case.

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
        If no grid is found, ``factor`` does not fit it, or ``to`` is invalid, is no finer than the
        input, is finer than models reach, or has points or polygons outside the input.
    ModelError
        If the model can't be read, or does not fit the fields.
    FlexclimError
        If an option is invalid, a named constraint does not apply, a field holds categories or
        directions or, when values are computed, if some are infinite or undeclared fill values.

    Warns
    -----
    FlexclimWarning
        If the grid or, when they are computed, the values lie far outside the range of the
        model's training data, or are negative against the field's names; once per call. If members
        were trained for other numbers of sampling steps.

    Examples
    --------
    A dask array gives a lazy result:

    >>> import numpy as np
    >>> coarse = xr.DataArray(
    ...     np.full((6, 6), 280.0, "float32"),
    ...     {"lat": np.arange(44.5, 50), "lon": np.arange(5.5, 11)},
    ...     name="tas",
    ...     attrs={"standard_name": "air_temperature", "units": "K"},
    ... ).chunk()
    >>> dict(downscale(coarse, 4, members=3).sizes)
    {'realization': 3, 'lat': 24, 'lon': 24}
    >>> stations = xr.Dataset(coords={"lat": ("station", [47.0]), "lon": ("station", [7.5])})
    >>> dict(downscale(coarse, to=stations, members=3).sizes)
    {'realization': 3, 'station': 1}
    """
    aim = Aim(to=to, lapse_rate=lapse_rate)
    options = DownscalingOptions(
        factor=factor,
        time_factor=time_factor,
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
        chunks=chunks,
    )
    choice = aim.choice(model, variables)
    source, options = resolve_input(obj, grid, static, choice, aim, options)
    return as_given(obj, in_chunks(_planned(source, options, choice, aim), chunks))


@suggest_options
def downscale_to_zarr(
    obj: xr.Dataset | xr.DataArray,
    store: stores.StoreLike,
    factor: int | None = None,
    *,
    to: Any = None,
    lapse_rate: float | None = None,
    time_factor: int | None = None,
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
    zarr_format: int | None = None,
) -> xr.Dataset:
    """Downscale into a Zarr store, shard by shard; call again to continue.

    An existing store of the same request with fewer members or only the first times is extended;
    of what it holds, only damage that :func:`flexclim.check_store` found is computed again.

    Parameters
    ----------
    obj, factor, to, lapse_rate, time_factor
        As for :func:`downscale`.
    store
        A folder, a URL such as ``s3://bucket/fine.zarr``, or a ``zarr`` store object.
    model, members, steps, seed, variables, conserve, non_negative, grid, static
        As for :func:`downscale`.
    noise, noise_timescale, constraints, overlap, batch, device, precision, compile
        As for :func:`downscale`.
    keep_bits
        Mantissa bits to keep, 1 to 23. Values are rounded to a relative precision of
        ``2 ** -(keep_bits + 1)`` and compress better. Default: no rounding.
    zarr_format
        3, or 2 for programs that can't read shards. Default: the existing store's, else 3.

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

    >>> fine = coarse.flex.downscale_to_zarr("fine.zarr", factor=4, members=50)  # doctest: +SKIP
    """
    aim = Aim(to=to, lapse_rate=lapse_rate)
    options = DownscalingOptions(
        factor=factor,
        time_factor=time_factor,
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
    choice = aim.choice(model, variables)
    source, options = resolve_input(obj, grid, static, choice, aim, options)
    plan = partial(_planned, choice=choice, aim=aim)
    return write(source, store, plan, options, keep_bits, zarr_format)


@suggest_options
def estimate(
    obj: xr.Dataset | xr.DataArray,
    /,
    factor: int | None = None,
    *,
    keep_bits: int | None = None,
    zarr_format: int | None = None,
    **options: Any,
) -> Estimate:
    """Estimate what a downscaling will take: passes, time, memory and size, before any work.

    A forward pass of each model is timed on the machine, or on a worker of an active dask cluster;
    nothing else is computed. An existing store is not considered.

    Parameters
    ----------
    obj, factor
        As for :func:`downscale`.
    keep_bits, zarr_format
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

    Examples
    --------
    A year of daily temperatures on 40 x 60 cells:

    >>> cost = estimate(coarse, factor=4, members=50)  # doctest: +SKIP
    >>> cost.passes, cost.output_bytes / 1e9  # doctest: +SKIP
    (36500, 2.8)
    """
    aim = Aim(to=options.pop("to", None), lapse_rate=options.pop("lapse_rate", None))
    choice = aim.choice(options.pop("model", None), options.pop("variables", None))
    hint, static = options.pop("grid", None), options.pop("static", None)
    asked = DownscalingOptions(factor=factor, entire=True, **options)
    source, asked = resolve_input(obj, hint, static, choice, aim, asked)
    return estimate_of(_planned(source, asked, choice, aim), keep_bits, zarr_format)


with_options_of(estimate, downscale)


def _planned(
    source: Source, options: DownscalingOptions, choice: Choice, aim: Aim
) -> PlannedEnsemble:
    """Choose factors, plan each downscaling, and average to the target; compute nothing."""
    if options.time_factor is not None:
        return split_days(source, options, choice, aim, new_run())
    target = None if aim.to is None else read_target(aim.to, source)
    refinement = choose_refinement(source, choice, options.factor, target)
    given, run = source, new_run()
    planned: PlannedEnsemble | None = None
    for number, factor in enumerate(refinement.factors, 1):
        source = source if planned is None else next_source(planned, given)
        groups = choose(source, choice, factor)
        if choice.static_optional and not any(group.model.settings.statics for group in groups):
            source = replace(source, static=None)
        choice = next_choice(choice, groups)
        last = number == len(refinement.factors)
        groups = groups if last else with_all_targets(groups)
        options = replace(options, places=last and target is not None and target.kind != "cells")
        planned = plan_stage(source, groups, next_options(options, planned, factor), run, planned)
    assert planned is not None
    planned = finished(planned, given, refinement)
    if target is None:
        return planned
    output = plan_target(aim, target, given, planned.fields, planned.returned)
    return on_target(planned, output, lazy_changes(planned, output))
