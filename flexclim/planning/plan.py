"""The part of a plan that downscaling and forecasting share, fixed before any computation."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import uuid4

import xarray as xr
from dask.base import is_dask_collection

from flexclim.cf.ensembles import REALIZATION
from flexclim.cf.physical_bounds import NO_BOUNDS, Bounds
from flexclim.cf.quantities import Direction, FieldProperties
from flexclim.cf.time_coordinates import TimeCoordinates
from flexclim.errors import FlexclimError, ModelError
from flexclim.execution.batch_size import choose_batch, kept_tiles
from flexclim.execution.devices import choose_device
from flexclim.execution.precision import choose_precision
from flexclim.grids.grid import Grid
from flexclim.models.channels import Variable
from flexclim.models.model import Model, ModelReference
from flexclim.models.settings import FORECAST, ModelSettings
from flexclim.nn.keyed_noise import Persistence
from flexclim.planning.member_numbers import member_numbers
from flexclim.planning.sampling_options import SamplingOptions
from flexclim.planning.source import Source
from flexclim.planning.task_sizes import choose_task_size, spans_of
from flexclim.planning.tiles import TilePlan
from flexclim.planning.tokenized import Tokenized

Attributes = dict[str, str | int | float]

NO_PERSISTENCE = Persistence(seconds=0.0)


def new_run() -> str:
    """Return an identifier for one call by the user."""
    return uuid4().hex


@dataclass(frozen=True, kw_only=True)
class TargetPlan:
    """How one output variable is finished.

    Parameters
    ----------
    name, dtype
        Of the output.
    base
        Index of the input that the network's output is added to; None: the network predicts the
        whole field.
    conserve
        Whether block means are restored.
    bounds
        Bounds that its values keep.
    noise_of
        The target of another network whose noise its own is correlated with, and the correlation;
        None: its noise is independent.
    """

    name: str
    dtype: str
    base: int | None = None
    conserve: bool = False
    bounds: Bounds = NO_BOUNDS
    noise_of: tuple[str, float] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplingPlan(Tokenized):
    """The settings that downscaling and forecasting share: plain data, equal on every worker.

    Parameters
    ----------
    inputs, targets
        Variables that the network reads, and those that it predicts.
    properties
        What the inputs are.
    dims
        Dimensions of the output after ``realization``.
    times
        The inputs' coordinates of times.
    model, settings
        The model by reference, and its settings with inputs and targets by name.
    task
        The task encoder that reads the inputs.
    grid
        The grid of the inputs without 2-D coordinates.
    spacing_km
        Distance between rows of the fine grid; NaN if the coordinates don't tell.
    tiles
        Windows over the plane that is sampled.
    origin
        Canonical row and column of the first cell of that plane within the whole field.
    active
        For each sampler step the windows to evaluate; empty: all.
    member_numbers, paired
        Numbers of the members; whether each has an input of its own.
    steps, method, seed
        Sampler steps, sampler method and random seed.
    stage
        How many downscalings came before, each with noise of its own.
    noise, persistence
        How noise at different times is related, and the correlation of AR(1) noise in time.
    statics, labels
        Names of static predictors, and of coordinates in the label.
    component
        For the label, the direction of the first target of a downscaling, if it is the component
        of a vector.
    batch, device, precision, compiled
        How forward passes run.
    keeps_features
        Whether encoded features of the windows are kept between steps and members.
    members_per_task
        Number of members that one task computes, if there are as many.
    planes_per_task, along
        Number of planes that one task computes, along a dimension; empty: there is none.
    breaks, plane_break
        Members, and a plane along ``along``, at which a new task starts, so that what a store
        holds is not recomputed.
    run
        Identifies one call by the user, for warnings and notes; it changes no value.
    """

    inputs: tuple[str, ...]
    targets: tuple[TargetPlan, ...]
    properties: tuple[FieldProperties, ...]
    dims: tuple[str, ...]
    times: TimeCoordinates
    model: ModelReference
    settings: ModelSettings
    task: str
    grid: Grid
    spacing_km: float
    tiles: TilePlan
    origin: tuple[int, int] = (0, 0)
    active: tuple[tuple[int, ...], ...] = ()
    member_numbers: tuple[int, ...]
    paired: bool
    steps: int
    method: Literal["ddim", "euler"]
    seed: int
    stage: int = 0
    noise: str = "independent"
    persistence: Persistence = NO_PERSISTENCE
    statics: tuple[str, ...]
    labels: tuple[str, ...]
    component: Direction | None = None
    batch: int
    device: str
    precision: str
    compiled: bool
    keeps_features: bool
    members_per_task: int
    planes_per_task: int = 1
    along: str = ""
    breaks: tuple[int, ...] = ()
    plane_break: int = 0
    run: str = dataclasses.field(default="", compare=False)

    @property
    def input_channels(self) -> tuple[Variable, ...]:
        """The channels that the task encoder reads before static fields."""
        if self.task == FORECAST:
            assert self.settings.forecast is not None
            return (self.settings.targets or ()) * self.settings.forecast.past
        return self.settings.inputs or ()

    @property
    def member_groups(self) -> list[tuple[int, ...]]:
        """Positions among ``member_numbers`` of the members that each task computes."""
        spans = spans_of(len(self.member_numbers), self.members_per_task, self.breaks)
        return [tuple(range(*span)) for span in spans]

    def plane_groups(self, dim: str, size: int) -> list[slice]:
        """Return the positions along a dimension before (y, x) that each task computes."""
        if dim != self.along:
            return [slice(n, n + 1) for n in range(size)]
        spans = spans_of(size, self.planes_per_task, (self.plane_break,))
        return [slice(*span) for span in spans]

    def attributes(self) -> Attributes:
        """Return the attributes that record how an output was made."""
        attributes: Attributes = {
            "flexclim_model": self.model.name,
            "flexclim_model_sha256": self.model.sha256,
            "flexclim_seed": self.seed,
            "flexclim_steps": self.steps,
            "flexclim_sampler": self.method,
            "flexclim_batch": self.batch,
            "flexclim_device": self.device,
            "flexclim_precision": self.precision,
            "flexclim_tiles": json.dumps(self.tiles.describe()),
        }
        if self.compiled:
            attributes["flexclim_compiled"] = "true"
        if self.statics:
            attributes["flexclim_static"] = " ".join(self.statics)
        return attributes


def plan_sampling(
    source: Source,
    inputs: Sequence[str],
    targets: Sequence[TargetPlan],
    model: Model,
    settings: ModelSettings,
    options: SamplingOptions,
    *,
    task: str,
    grid: Grid,
    spacing_km: float,
    tiles: TilePlan,
    run: str,
    several_planes: bool = False,
    component: Direction | None = None,
    stage: int = 0,
    noise: str = "independent",
    persistence: Persistence = NO_PERSISTENCE,
) -> SamplingPlan:
    """Resolve the options that downscaling and forecasting share, with defaults of the model.

    ``several_planes`` says whether a task may compute several planes; ``component`` is that of
    the plan.

    Raises
    ------
    FlexclimError
        If the inputs' dimensions differ, one holds categories or directions, or another number of
        members is requested than the input has.
    ModelError
        If an input lacks a coordinate that the model needs.
    """
    field = source[inputs[0]]
    _check_alike([source[name] for name in inputs])
    lead = [str(dim) for dim in field.dims if dim not in (REALIZATION, grid.y, grid.x)]
    device, free = choose_device(options.device, bool(options.compile))
    precision = (
        options.precision
        or options.known_precisions.get(model.sha256)
        or choose_precision(settings.network, device)
    )
    network = settings.network.model_copy(update={"tile": tiles.tile})
    batch = options.batch or choose_batch(network, device, precision, free)
    entire = options.entire or not any(is_dask_collection(source[name].data) for name in inputs)
    numbers = options.numbers or member_numbers([field], options.members)
    kept = kept_tiles(network, batch)
    along = max(lead, key=lambda dim: field.sizes[dim], default="")
    size = choose_task_size(
        planes=field.sizes[along] if along and several_planes else 1,
        members=len(numbers),
        tiles=tiles.count,
        batch=batch,
        cells=math.prod(tiles.domain.shape),
        kept_tiles=kept,
        entire=entire and several_planes,
        # Members share features that are not kept, and on a GPU the host-side work as well.
        share=entire and (tiles.count > kept or device != "cpu"),
    )
    return SamplingPlan(
        inputs=tuple(inputs),
        targets=tuple(targets),
        properties=tuple(_continuous(source, name) for name in inputs),
        dims=(*lead, grid.y, grid.x),
        times=source.times[inputs[0]],
        model=model.reference,
        settings=settings,
        task=task,
        grid=grid,
        spacing_km=spacing_km,
        tiles=tiles,
        member_numbers=numbers,
        paired=REALIZATION in field.dims,
        steps=options.steps or settings.steps,
        method=settings.method,
        seed=int(options.seed),
        stage=stage,
        noise=noise,
        persistence=persistence,
        statics=tuple(static.name for static in settings.statics),
        labels=_labels(source, field, lead, settings, model.name),
        component=component,
        batch=batch,
        device=device,
        precision=precision,
        compiled=bool(options.compile),
        keeps_features=tiles.count <= kept,
        members_per_task=size.members,
        planes_per_task=size.planes,
        along=along,
        breaks=options.breaks,
        plane_break=options.held.get(along, 0),
        run=run,
    )


def _check_alike(fields: Sequence[xr.DataArray]) -> None:
    """Raise if inputs differ in their dimensions or have no values."""
    first = fields[0]
    for field in fields:
        if 0 in field.shape:
            raise FlexclimError(
                f"{field.name!r} has no values: its dimension "
                f"{field.dims[field.shape.index(0)]!r} has size 0. Select at least one."
            )
        if set(field.dims) != set(first.dims):
            raise FlexclimError(
                f"the model reads {first.name!r} {first.dims} and {field.name!r} {field.dims} "
                "together, but their dimensions differ. Select or broadcast to the same ones."
            )


def _continuous(source: Source, name: str) -> FieldProperties:
    """Return what an input is; raise if values between its values have no meaning."""
    properties = source.properties(name)
    if properties.category:
        raise FlexclimError(
            f"{name!r} holds flags or categories, and values between them have no meaning. Leave "
            f"it out, for example .drop_vars({name!r}); flexclim.interpolate takes the nearest."
        )
    if properties.period is not None:
        raise FlexclimError(
            f"{name!r} is a direction, and 0 is next to {properties.period:.6g}. Downscale the "
            "components, -speed sin(direction) and -speed cos(direction) for wind, and take the "
            f"direction of the result; leave this one out with .drop_vars({name!r})."
        )
    return properties


def bounds_of(
    properties: FieldProperties, *stated: bool | None, known: Bounds | None = None
) -> Bounds:
    """Return the bounds of a target.

    Parameters
    ----------
    stated
        Whether it is non-negative, as the user and the model state it; the first that is not None
        counts.
    known
        Bounds that it has in an existing store, which are kept unless something else is stated.
        Default: inferred.
    """
    first = next((one for one in stated if one is not None), None)
    if known is not None:
        # An inferred bound is not what the user states: it does not hold in all fields.
        begun = known.stated if first else known.lower is not None
        if first in (None, begun):
            return known
    if first is None:
        return properties.bounds
    return dataclasses.replace(properties.bounds, lower=0.0, stated=True) if first else NO_BOUNDS


def _labels(
    source: Source, field: xr.DataArray, lead: Sequence[str], settings: ModelSettings, model: str
) -> tuple[str, ...]:
    """Return the coordinates in the label; empty if one is absent and the label is optional."""
    names = tuple(label.name for label in settings.labels if label.coordinate)
    needs_time = "day_of_year" in [label.name for label in settings.labels]
    if needs_time and not source.times[str(field.name)].dated:
        raise ModelError(
            f"model {model!r} is conditioned on the day of year, and "
            f"{source.without_dates(str(field.name))}"
        )
    for name in names:
        if name not in field.coords or not set(field[name].dims) <= set(lead):
            if settings.label_optional:
                return ()
            raise ModelError(
                f"model {model!r} is conditioned on {name}, and {field.name!r} has no such "
                f"coordinate. Give it one number with .assign_coords({name}=...)."
            )
    return names
