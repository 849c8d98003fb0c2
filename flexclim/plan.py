"""What downscaling one field takes, settled before any work: plain data, the same everywhere."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import xarray as xr

from flexclim.checkpoint import Model, ModelReference
from flexclim.domain import Domain, Kind
from flexclim.errors import FlexclimError, ModelError
from flexclim.grid import Grid, find_grid
from flexclim.quantities import non_negative, vector_component
from flexclim.tiles import TilePlan, plan_tiles

DEFAULT_MODEL = "flex-nano"
NOISES = "independent", "frozen", "ar1"
PRECISIONS = "float32", "bf16", "fp16"
# Pixels in one pass of the network: enough to keep a device busy, few enough for its memory.
PASS_PIXELS = {"cpu": 2**16, "cuda": 2**20}


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked for; None where flexclim chooses."""

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
    device: str | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        for name in ("members", "steps", "batch", "overlap"):
            value = getattr(self, name)
            if value is not None and (not _whole(value) or value < 1):
                raise FlexclimError(f"{name}={value!r} is not a whole number of at least 1.")
        if not _whole(self.seed):
            raise FlexclimError(f"seed={self.seed!r} is not a whole number.")
        if self.noise not in NOISES:
            raise FlexclimError(f"noise={self.noise!r} is not one of {', '.join(NOISES)}.")
        if (self.noise == "ar1") != (self.noise_timescale is not None):
            raise FlexclimError('noise="ar1" and noise_timescale (such as "6h") go together.')
        if self.precision not in (None, *PRECISIONS):
            raise FlexclimError(
                f"precision={self.precision!r} is not one of {', '.join(PRECISIONS)}."
            )


@dataclass(frozen=True, kw_only=True)
class FieldPlan:
    """How one field is downscaled.

    ``grid`` is the coarse grid without 2-D coordinates, ``dims`` the dimensions of the output
    after ``realization``, ``timescale`` in seconds.
    """

    name: str
    dtype: str
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
    conserve: bool
    non_negative: bool
    vector: bool
    noise: str
    timescale: float
    batch: int
    device: str
    precision: str

    @property
    def coarse(self) -> Domain:
        """The coarse domain."""
        return self.grid.domain

    @property
    def members_a_task(self) -> int:
        """Members computed together: enough to fill a batch, no more."""
        return min(self.members, max(1, self.batch // len(self.tiles.corners)))

    def fine_grid(self, grid: Grid) -> Grid:
        """Return the output's grid, with the coordinates of ``grid``."""
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
            "flexclim_conserve": str(self.conserve).lower(),
            "flexclim_batch": self.batch,
            "flexclim_device": self.device,
            "flexclim_precision": self.precision,
            "flexclim_tiles": json.dumps(self.tiles.describe()),
        }
        if self.noise == "ar1":
            chosen["flexclim_noise_timescale_seconds"] = self.timescale
        return chosen


def plan_field(
    field: xr.DataArray, model: Model, options: Options, kind: Kind | None = None
) -> FieldPlan:
    """Settle how a field is downscaled; no data is computed.

    Raises
    ------
    GridError
        If the grid can't be found or the factor does not fit.
    ModelError
        If the model does not serve the factor or the field.
    """
    settings, factor = model.settings, options.factor
    if factor not in settings.factors:
        known = ", ".join(map(str, sorted(settings.factors)))
        raise ModelError(f"model {model.name!r} was not trained at x{factor}; it knows {known}.")
    grid = replace(find_grid(field, kind), latitude=None, longitude=None)
    grid.refined(factor)
    device = options.device or _best_device()
    tile = tuple(settings.network.tile)
    lead = [str(dim) for dim in field.dims if dim not in (grid.y, grid.x)]
    if options.noise == "ar1" and time_name(field) is None:
        raise FlexclimError(f'{field.name!r} has no time; noise="ar1" needs one.')
    keep = settings.conserve if options.conserve is None else options.conserve
    if keep and settings.operator != "block_mean":
        raise ModelError(f"model {model.name!r} samples points, not means: conserve can't be true.")
    return FieldPlan(
        name=str(field.name),
        dtype="float64" if field.dtype == "float64" else "float32",
        dims=(*lead, grid.y, grid.x),
        model=model.reference,
        model_name=model.name,
        grid=grid,
        tiles=plan_tiles(
            grid.domain.refine(factor), (tile[0], tile[1]), factor, options.overlap or settings.halo
        ),
        factor=factor,
        members=options.members,
        steps=options.steps or settings.steps,
        method=settings.method,
        seed=int(options.seed),
        conserve=keep,
        non_negative=(
            non_negative(field) if options.non_negative is None else options.non_negative
        ),
        vector=vector_component(field),
        noise=options.noise,
        timescale=_seconds(options.noise_timescale),
        batch=options.batch or max(1, PASS_PIXELS[device.split(":")[0]] // math.prod(tile)),
        device=device,
        precision=options.precision or ("float32" if device == "cpu" else "bf16"),
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


def _best_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _seconds(text: str | None) -> float:
    if text is None:
        return 0.0
    try:
        seconds = pd.Timedelta(text).total_seconds()
    except ValueError:
        seconds = math.nan
    if not seconds > 0:
        raise FlexclimError(f'noise_timescale={text!r} is not a time span such as "6h".')
    return float(seconds)


def _whole(value: Any) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
