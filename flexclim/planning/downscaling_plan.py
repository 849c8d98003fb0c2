"""What downscaling takes, settled before any work: plain data, the same everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.cf.quantities import non_negative, vector_component
from flexclim.errors import FlexclimError, ModelError
from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Domain, Kind
from flexclim.grids.grid import Grid
from flexclim.models.model import Model
from flexclim.models.settings import SUPERRES, ModelSettings, Target, Variable
from flexclim.planning.plan import Plan, Request, TargetPlan, check_switch, settle, time_name
from flexclim.planning.regions import Part, Region, part_grid, part_of, region_shape, regions
from flexclim.planning.tiles import plan_tiles
from flexclim.sampling.local_scaling import Rows
from flexclim.sampling.network_inputs import see

NOISES = "independent", "frozen", "ar1"


@dataclass(frozen=True, kw_only=True)
class Options(Request):
    """What the user asked of a downscaling; None where flexclim chooses."""

    factor: int
    conserve: bool | None = None
    noise: str = "independent"
    noise_timescale: str | None = None
    region: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_switch("conserve", self.conserve)
        if self.noise not in NOISES:
            raise FlexclimError(f"noise={self.noise!r} is not one of {', '.join(NOISES)}.")
        if self.noise != "ar1" and self.noise_timescale is not None:
            raise FlexclimError(f'noise_timescale is for noise="ar1", not for {self.noise!r}.')


@dataclass(frozen=True, kw_only=True, eq=False)
class FieldPlan(Plan):
    """How the variables that a network reads together become those that it makes.

    ``vector`` counts where any variable will do. ``region`` is the shape of what is computed at
    once; the plan of one has the grid and the tiles of its ``part`` of the field.
    """

    factor: int
    vector: bool
    region: tuple[int, int]
    part: Part | None = None

    @property
    def coarse(self) -> Domain:
        """The coarse domain."""
        return self.grid.domain

    @property
    def settings(self) -> ModelSettings:
        """The model's, with inputs and targets; loads the model."""
        return self.model.load().settings.named(vector=self.vector)

    @property
    def task(self) -> str:
        """The task encoder that reads the inputs."""
        return SUPERRES

    @property
    def told(self) -> dict[str, Any]:
        """What the label tells of the task."""
        return {"factor": self.factor}

    @property
    def read(self) -> tuple[Variable, ...]:
        """The channels that the task encoder reads before static fields."""
        return self.settings.inputs or ()

    def seen(self, given: np.ndarray, statics: np.ndarray | None = None) -> Rows:
        """Return what makes some rows of what the network sees, and of how to read its answer."""
        return see(given, self.coarse, self.factor, self.settings, statics)

    @property
    def origin(self) -> tuple[int, int]:
        """Canonical row and column of the first pixel that is made."""
        return (0, 0) if self.part is None else self.part.origin

    @property
    def active(self) -> tuple[tuple[int, ...], ...]:
        """For each step the windows to sample; empty: all."""
        return () if self.part is None else self.part.windows

    @property
    def regions(self) -> list[Region]:
        """The chunks of the output, each computed on its own; often just one."""
        return regions(self.grid.refined(self.factor), self.region)

    @property
    def parts(self) -> list[FieldPlan]:
        """The plans of all regions."""
        return [self.of(region) for region in self.regions]

    @property
    def spacing_km(self) -> float:
        """Distance of neighbouring rows of the output in km; NaN where it is not known."""
        return self.grid.spacing_km / self.factor

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
        chosen = super().attributes() | {
            "flexclim_factor": self.factor,
            "flexclim_noise": self.noise,
            "flexclim_conserve": self._conserved(),
            "flexclim_region": f"{self.region[0]} x {self.region[1]}",
        }
        if self.noise == "ar1":
            chosen["flexclim_noise_timescale_seconds"] = self.timescale
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
    tile = tuple(settings.network.tile)
    _check_time(field, options, settings, model.name)
    fine = grid.domain.refine(factor)
    assert settings.targets is not None
    overlap = options.overlap or settings.halo
    tiles = plan_tiles(fine, (tile[0], tile[1]), factor, overlap)
    return FieldPlan(
        **settle(source, inputs, model, settings, options, grid, tiles),
        targets=tuple(
            _plan_target(source, name, target, inputs, settings, model.name, options)
            for name, target in zip(targets, settings.targets, strict=True)
        ),
        factor=factor,
        vector=vector,
        noise=options.noise,
        timescale=_timescale(options, model, inputs, grid.spacing_km / factor),
        region=options.region or region_shape(fine),
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


def _timescale(options: Options, model: Model, inputs: Sequence[str], spacing_km: float) -> float:
    """Return the time scale of AR(1) noise in seconds: as asked, else as the card says."""
    if options.noise_timescale is not None:
        return _seconds(options.noise_timescale)
    if options.noise != "ar1":
        return 0.0
    hours = model.card.correlation_hours(inputs[0], options.factor, spacing_km)
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
