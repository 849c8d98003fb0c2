"""What downscaling takes, settled before any work: plain data, the same everywhere."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import pandas as pd
import xarray as xr
from dask.base import tokenize

from flexclim.checkpoint import Model, ModelReference
from flexclim.coverage import correlation_hours
from flexclim.domain import Domain, Kind
from flexclim.errors import FlexclimError, ModelError
from flexclim.grid import Grid, find_grid
from flexclim.memory import choose_batch, choose_device
from flexclim.quantities import non_negative, vector_component
from flexclim.regions import Part, Region, part_grid, part_of, region_shape, regions
from flexclim.settings import ModelSettings, Target
from flexclim.tiles import TilePlan, plan_tiles

NOISES = "independent", "frozen", "ar1"
PRECISIONS = "float32", "bf16", "fp16"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked for; None where flexclim chooses.

    ``breaks`` are members that are not made together with the one before: what a store holds
    already is not made again for the sake of new members.
    """

    factor: int
    members: int = 8
    steps: int | None = None
    seed: int = 0
    conserve: bool | None = None
    non_negative: bool | None = None
    noise: str = "independent"
    noise_timescale: str | None = None
    overlap: int | None = None
    batch: int | None = None
    region: tuple[int, int] | None = None
    device: str | None = None
    precision: str | None = None
    breaks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name in ("members", "steps", "batch", "overlap"):
            value = getattr(self, name)
            if value is not None and (not _whole(value) or value < 1):
                raise FlexclimError(f"{name}={value!r} is not a whole number of at least 1.")
        if not _whole(self.seed):
            raise FlexclimError(f"seed={self.seed!r} is not a whole number.")
        if self.noise not in NOISES:
            raise FlexclimError(f"noise={self.noise!r} is not one of {', '.join(NOISES)}.")
        if self.noise != "ar1" and self.noise_timescale is not None:
            raise FlexclimError(f'noise_timescale is for noise="ar1", not for {self.noise!r}.')
        if self.precision not in (None, *PRECISIONS):
            raise FlexclimError(
                f"precision={self.precision!r} is not one of {', '.join(PRECISIONS)}."
            )


@dataclass(frozen=True, kw_only=True)
class TargetPlan:
    """How one variable is finished; ``base`` is the number of the input that it adds to."""

    name: str
    dtype: str
    base: int | None
    conserve: bool
    non_negative: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldPlan:
    """How the variables that a network reads together become those that it makes.

    ``grid`` is the coarse grid without 2-D coordinates, ``dims`` the dimensions of the output
    after ``realization``, ``timescale`` in seconds; ``vector`` counts where any variable will do;
    ``labels`` are coordinates that the network is told.
    ``region`` is the shape of what is computed at once; the plan of one has the grid and the tiles
    of its ``part`` of the field.
    """

    inputs: tuple[str, ...]
    targets: tuple[TargetPlan, ...]
    dims: tuple[str, ...]
    model: ModelReference
    model_name: str
    grid: Grid
    tiles: TilePlan
    factor: int
    members: int
    steps: int
    method: str
    seed: int
    vector: bool
    statics: tuple[str, ...]
    noise: str
    timescale: float
    batch: int
    region: tuple[int, int]
    device: str
    precision: str
    labels: tuple[str, ...] = ()
    breaks: tuple[int, ...] = ()
    part: Part | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldPlan) and self.token == other.token

    def __hash__(self) -> int:
        return hash(self.token)

    @cached_property
    def token(self) -> str:
        """A hash of all of it: a plan that was sent to another process is the same."""
        return str(tokenize([getattr(self, one.name) for one in fields(self)]))

    def __dask_tokenize__(self) -> str:
        return self.token

    @property
    def coarse(self) -> Domain:
        """The coarse domain."""
        return self.grid.domain

    @property
    def settings(self) -> ModelSettings:
        """The model's, with inputs and targets; loads the model."""
        return self.model.load().settings.named(vector=self.vector)

    @property
    def members_a_task(self) -> int:
        """Members computed together: enough to fill a batch, no more."""
        return min(self.members, max(1, self.batch // len(self.tiles.corners)))

    @property
    def member_groups(self) -> list[tuple[int, ...]]:
        """The members that one task makes each."""
        ends = [0, *(end for end in self.breaks if end < self.members), self.members]
        return [
            tuple(range(start, min(start + self.members_a_task, stop)))
            for first, stop in pairwise(ends)
            for start in range(first, stop, self.members_a_task)
        ]

    @property
    def regions(self) -> list[Region]:
        """The chunks of the output, each computed on its own; often just one."""
        return regions(self.grid.refined(self.factor), self.region)

    def of(self, region: Region) -> FieldPlan:
        """Return the plan of one region: that of its part of the field."""
        if self.region == self.tiles.domain.shape:
            return self
        part, tiles = part_of(region, self.tiles, self.coarse, self.factor, self.steps)
        return replace(
            self, grid=part_grid(self.grid, part.rows, part.columns), tiles=tiles, part=part
        )

    def fine_grid(self, grid: Grid) -> Grid:
        """Return the output's grid, with the coordinates of ``grid``; of a part, the part's."""
        if self.part is not None:
            grid = part_grid(grid, self.part.rows, self.part.columns)
        return grid.refined(self.factor)

    def attributes(self) -> dict[str, str | int | float]:
        """Return what the output's attributes tell."""
        chosen: dict[str, str | int | float] = {
            "flexclim_model": self.model_name,
            "flexclim_model_sha256": self.model.sha256,
            "flexclim_factor": self.factor,
            "flexclim_seed": self.seed,
            "flexclim_steps": self.steps,
            "flexclim_sampler": self.method,
            "flexclim_noise": self.noise,
            "flexclim_conserve": self._conserved(),
            "flexclim_batch": self.batch,
            "flexclim_region": f"{self.region[0]} x {self.region[1]}",
            "flexclim_device": self.device,
            "flexclim_precision": self.precision,
            "flexclim_tiles": json.dumps(self.tiles.describe()),
        }
        if self.noise == "ar1":
            chosen["flexclim_noise_timescale_seconds"] = self.timescale
        if self.statics:
            chosen["flexclim_static"] = " ".join(self.statics)
        return chosen

    @property
    def request(self) -> tuple[object, ...]:
        """What one request of the user has in common in all its regions."""
        return self.model.sha256, self.inputs, self.factor, self.seed

    def _conserved(self) -> str:
        """Return ``true``, ``false`` or, where targets differ, the names of those that are."""
        kept = [target.name for target in self.targets if target.conserve]
        if kept and len(kept) < len(self.targets):
            return " ".join(kept)
        return str(bool(kept)).lower()


def attributes_of(plans: Sequence[FieldPlan]) -> dict[str, str | int | float]:
    """Return the attributes of an output of several plans; where they differ, by variable."""
    each = [plan.attributes() for plan in plans]
    together: dict[str, str | int | float] = {}
    for key in dict.fromkeys(key for one in each for key in one):
        values = [one.get(key) for one in each]
        if all(value == values[0] for value in values):
            together[key] = each[0][key]
            continue
        names: dict[str, list[str]] = {}
        for plan, value in zip(plans, values, strict=True):
            own = [target.name for target in plan.targets]
            names.setdefault("none" if value is None else str(value), []).extend(own)
        together[key] = "; ".join(f"{' '.join(own)}: {value}" for value, own in names.items())
    return together


def plan_field(
    source: xr.Dataset,
    inputs: Sequence[str],
    targets: Sequence[str],
    model: Model,
    options: Options,
    kind: Kind | None = None,
) -> FieldPlan:
    """Settle how variables are downscaled together; no data is computed.

    Parameters
    ----------
    source
        Holds the inputs, and for each target what tells its units and its sign.
    inputs, targets
        Names in the order of the model's channels.

    Raises
    ------
    GridError
        If the grid can't be found or the factor does not fit.
    ModelError
        If the model does not serve the factor or the fields.
    """
    field, factor = source[inputs[0]], options.factor
    vector = vector_component(field)
    settings = model.settings.named(vector=vector)
    if factor not in settings.factors:
        known = ", ".join(map(str, sorted(settings.factors)))
        raise ModelError(f"model {model.name!r} was not trained at x{factor}; it knows {known}.")
    grid = replace(find_grid(field, kind or settings.grid), latitude=None, longitude=None)
    grid.refined(factor)
    device, free = choose_device(options.device)
    precision = options.precision or ("float32" if device == "cpu" else "bf16")
    tile = tuple(settings.network.tile)
    lead = [str(dim) for dim in field.dims if dim not in (grid.y, grid.x)]
    _check_alike([source[name] for name in inputs])
    _check_time(field, options, settings, model.name)
    fine = grid.domain.refine(factor)
    assert settings.targets is not None
    return FieldPlan(
        inputs=tuple(inputs),
        targets=tuple(
            _plan_target(source, name, target, inputs, settings, model.name, options)
            for name, target in zip(targets, settings.targets, strict=True)
        ),
        dims=(*lead, grid.y, grid.x),
        model=model.reference,
        model_name=model.name,
        grid=grid,
        tiles=plan_tiles(fine, (tile[0], tile[1]), factor, options.overlap or settings.halo),
        factor=factor,
        members=options.members,
        steps=options.steps or settings.steps,
        method=settings.method,
        seed=int(options.seed),
        vector=vector,
        statics=tuple(static.name for static in settings.statics),
        noise=options.noise,
        timescale=_timescale(options, model, inputs, grid.spacing_km / factor),
        batch=options.batch or choose_batch(settings.network, device, precision, free),
        region=options.region or region_shape(fine),
        device=device,
        precision=precision,
        labels=_labels(field, settings, model.name),
        breaks=options.breaks,
    )


def _plan_target(
    source: xr.Dataset,
    name: str,
    target: Target,
    inputs: Sequence[str],
    settings: ModelSettings,
    model: str,
    options: Options,
) -> TargetPlan:
    """Settle how one target is finished: as asked, else as the model says, else by its names."""
    assert settings.inputs is not None
    base = None
    if target.base is not None:
        base = [variable.name for variable in settings.inputs].index(target.base)
    keep = settings.conserve if options.conserve is None else options.conserve
    if keep and settings.operator != "block_mean":
        raise ModelError(f"model {model!r} samples points, not means: conserve can't be true.")
    if options.conserve and base is None:
        raise ModelError(
            f"model {model!r} makes {name!r} of no coarse one: conserve can't be true."
        )
    negative = (options.non_negative, target.non_negative, non_negative(source[name]))
    double = base is not None and source[inputs[base]].dtype == "float64"
    return TargetPlan(
        name=name,
        dtype="float64" if double else "float32",
        base=base,
        conserve=keep and base is not None,
        non_negative=next(said for said in negative if said is not None),
    )


def _check_alike(fields: Sequence[xr.DataArray]) -> None:
    """Refuse inputs of different dimensions, or without values."""
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


def _labels(field: xr.DataArray, settings: ModelSettings, model: str) -> tuple[str, ...]:
    """Return the coordinates that the label tells; refuse a field that lacks one."""
    names = tuple(part.name for part in settings.labels if part.coordinate)
    for name in names:
        if name not in field.coords or not set(field[name].dims) <= set(field.dims[:-2]):
            raise ModelError(
                f"model {model!r} is told {name}, and {field.name!r} has no such coordinate. Give "
                f"it one number with .assign_coords({name}=...)."
            )
    return names


def _check_time(field: xr.DataArray, options: Options, settings: ModelSettings, model: str) -> None:
    if time_name(field) is not None:
        return
    if options.noise == "ar1":
        raise FlexclimError(f'{field.name!r} has no time; noise="ar1" needs one.')
    timely = [one.name for one in settings.statics if one.timely]
    if timely:
        raise ModelError(
            f"model {model!r} needs {timely[0]}, and {field.name!r} has no time. Give it the "
            "coordinate time."
        )


def time_name(field: xr.DataArray) -> str | None:
    """Return the coordinate that holds valid time: of a dimension, or scalar."""
    for name, coordinate in field.coords.items():
        own = name in field.dims or (coordinate.ndim == 0 and name == "time")
        if own and (coordinate.dtype.kind == "M" or _is_cftime(coordinate)):
            return str(name)
    return None


def _is_cftime(coordinate: xr.DataArray) -> bool:
    if coordinate.dtype != object or coordinate.size == 0:
        return False
    return hasattr(coordinate.values.flat[0], "calendar")


def _timescale(options: Options, model: Model, inputs: Sequence[str], spacing_km: float) -> float:
    """Return the time scale of AR(1) noise in seconds: as asked, else as the card says."""
    if options.noise_timescale is not None:
        return _seconds(options.noise_timescale)
    if options.noise != "ar1":
        return 0.0
    hours = correlation_hours(model.card, inputs[0], options.factor, spacing_km)
    if hours is None:
        raise ModelError(
            f"the card of {model.name!r} tells no correlation time: give noise_timescale, such as "
            '"6h".'
        )
    return 3600 * hours


def _seconds(text: str) -> float:
    try:
        seconds = pd.Timedelta(text).total_seconds()
    except ValueError:
        seconds = math.nan
    if not seconds >= 1:  # a number without a unit counts nanoseconds
        raise FlexclimError(f'noise_timescale={text!r} is not a time span such as "6h".')
    return float(seconds)


def _whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
