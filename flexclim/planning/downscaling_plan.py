"""The plan of a downscaling, fixed before any computation: plain data, equal on every worker."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pandas as pd
from dask.base import is_dask_collection

from flexclim.errors import FlexclimError, ModelError
from flexclim.grids.arguments import is_one_of, is_whole, shown
from flexclim.grids.domain import Domain
from flexclim.grids.grid import Grid
from flexclim.models.channels import Target
from flexclim.models.model import Model
from flexclim.models.settings import SUPERRES, ModelSettings
from flexclim.nn.keyed_noise import Persistence
from flexclim.planning.block_sizes import FEW, Box, Chunks, Sizes, asked_sizes, block_sizes, cut
from flexclim.planning.parts import Area, Part, filled, part_grid, part_of
from flexclim.planning.plan import (
    NO_PERSISTENCE,
    Attributes,
    SamplingPlan,
    TargetPlan,
    bounds_of,
    plan_sampling,
)
from flexclim.planning.regions import Region, Span, along, region_shape, regions
from flexclim.planning.sampling_options import SamplingOptions, check_switch
from flexclim.planning.source import Source
from flexclim.planning.tiles import choose_tile, plan_tiles
from flexclim.planning.tokenized import Tokenized
from flexclim.planning.variable_constraints import Names, constraint_names

NOISES = "independent", "frozen", "ar1"
SHARES = {name: f"flexclim_noise_{name}_share" for name in ("constant", "lasting", "daily")}
# A field of so few windows is computed as a whole: a slice would need most of them.
FEW_WINDOWS = 24
# Fine cells of the part that a slice is computed from, at most.
SLICE_CELLS = 2**20


@dataclass(frozen=True, kw_only=True)
class DownscalingOptions(SamplingOptions):
    """Options of the user for a downscaling; None where flexclim chooses.

    ``stage`` counts the downscalings whose output is the input. ``known_timescales`` are those of
    an existing store's AR(1) noise in seconds, by stage, which are kept. ``places`` states that
    points or regions are taken from the output; ``chunks`` are those of a lazy output.
    """

    factor: int | None = None
    time_factor: int | None = None
    stage: int = 0
    conserve: bool | None = None
    noise: str = "independent"
    noise_timescale: str | None = None
    known_timescales: Mapping[int, float] = field(default_factory=dict)
    constraints: Names = None
    region: tuple[int, int] | None = None
    places: bool = False
    chunks: Chunks = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_switch("conserve", self.conserve)
        count = self.time_factor
        if count is not None and (not is_whole(count) or not 2 <= count <= 24 or 24 % count):
            raise FlexclimError(
                f"time_factor={shown(count)} does not divide the 24 hours of a day. Pass 4 for "
                "times 6 hours apart."
            )
        object.__setattr__(self, "constraints", constraint_names(self.constraints))
        if not is_one_of(self.noise, NOISES):
            raise FlexclimError(f"noise={shown(self.noise)} is not one of {', '.join(NOISES)}.")
        if self.noise != "ar1" and self.noise_timescale is not None:
            raise FlexclimError(f'noise_timescale is for noise="ar1", not for {self.noise!r}.')


@dataclass(frozen=True, kw_only=True, eq=False)
class DownscalingPlan(Tokenized):
    """How fields that a network reads together are downscaled.

    Parameters
    ----------
    sampling
        The settings shared by all sampling; its grid and tiles are those of the whole field, or of
        ``part``.
    factor
        Fine cells along one side of a coarse cell.
    region
        Rows and columns that one task computes at most.
    blocks
        Chunks of the lazy output along stored rows and columns; None: its regions.
    part
        The part of the field that one region is computed from; None in the plan of the whole
        field.
    shift_x
        Of the grid of the whole field that a part is cut from.
    """

    sampling: SamplingPlan
    factor: int
    region: tuple[int, int]
    blocks: tuple[Sizes, Sizes] | None = None
    part: Part | None = None
    shift_x: int | None = None

    @property
    def coarse(self) -> Domain:
        """The coarse domain."""
        return self.sampling.grid.domain

    @cached_property
    def regions(self) -> list[Region]:
        """The chunks of the output, each computed independently; often just one."""
        return regions(self.sampling.grid.refined(self.factor), self.region)

    @property
    def is_slice(self) -> bool:
        """Whether it is that of so few cells that several are computed at once."""
        cells = math.prod(self.sampling.tiles.domain.shape)
        return self.shift_x is not None and cells <= SLICE_CELLS

    @property
    def parts(self) -> list[DownscalingPlan]:
        """The plans of all regions."""
        return [self.of(region) for region in self.regions]

    @property
    def spacings_km(self) -> tuple[float, ...]:
        """Smallest and largest distance between rows of the output in km; NaN where unknown."""
        return tuple(spacing / self.factor for spacing in self.sampling.grid.spacings_km)

    def of(self, region: Region, areas: Sequence[Area] = ()) -> DownscalingPlan:
        """Return the plan of one region, or of some areas of it: that of its part of the field."""
        whole = tuple((0, n) for n in self.sampling.tiles.domain.shape)
        areas = areas or [(region.rows, region.columns)]
        if whole in areas:
            return self
        part, tiles = part_of(
            region,
            areas,
            self.sampling.tiles,
            self.coarse,
            self.factor,
            self.sampling.steps,
            conserve=any(target.conserve for target in self.sampling.targets),
        )
        sampling = replace(
            self.sampling,
            grid=part_grid(self.sampling.grid, part.rows, part.columns),
            tiles=tiles,
            origin=part.origin,
            active=part.windows,
        )
        return replace(self, sampling=sampling, part=part)

    def within(self, box: Box) -> DownscalingPlan:
        """Return the plan of a box of the output."""
        areas = [self._canonical(*area) for area in box.areas]
        rows, columns = self._canonical(box.rows, box.columns)
        part = self.of(Region((0, 0), rows, columns), areas)
        if part is self:
            return self
        shift = self.sampling.grid.shift_x
        return replace(part, sampling=filled(part.sampling), shift_x=shift)

    def _canonical(self, rows: Span, columns: Span) -> Area:
        """Return stored rows and columns of the output in canonical order."""
        grid, (height, width) = self.sampling.grid, self.sampling.tiles.domain.shape
        first, last = along(columns, width, grid.flip_x)
        if last - first < width:
            shifted = (first - grid.shift_x * self.factor) % width
            first, last = shifted, shifted + last - first
        return along(rows, height, grid.flip_y), (first, last)

    def fine_grid(self, grid: Grid) -> Grid:
        """Return the output's grid, with the coordinates of ``grid``; of a part, the part's."""
        return self.coarse_grid(grid).refined(self.factor)

    def coarse_grid(self, grid: Grid) -> Grid:
        """Return ``grid``; of a part, the part's."""
        return grid if self.part is None else part_grid(grid, self.part.rows, self.part.columns)

    def conserves(self, target: TargetPlan) -> str:
        """Return in a word whether block means of a target equal the input.

        Blocks of points share cells, so that means of neighbouring blocks near both bounds may
        exclude each other.
        """
        if target.conserve and target.bounds.upper is not None and self.coarse.kind == "point":
            return "within bounds"
        return str(target.conserve).lower()

    def attributes(self, target: TargetPlan) -> Attributes:
        """Return the attributes that record how one output variable was made."""
        sampling = self.sampling
        attributes = sampling.attributes() | {
            "flexclim_factor": self.factor,
            "flexclim_noise": sampling.noise,
            "flexclim_conserve": self.conserves(target),
            "flexclim_region": f"{self.region[0]} x {self.region[1]}",
        }
        if rule := target.bounds.describe():
            attributes["flexclim_bounds"] = rule
        if sampling.noise == "ar1":
            attributes["flexclim_noise_timescale_seconds"] = sampling.persistence.seconds
            if sampling.persistence.mixed:
                shares = (getattr(sampling.persistence, name) for name in SHARES)
                attributes |= dict(zip(SHARES.values(), shares, strict=True))
        return attributes


def plan_downscaling(
    source: Source,
    inputs: Sequence[str],
    targets: Sequence[str],
    model: Model,
    options: DownscalingOptions,
    run: str = "",
    noise_of: Mapping[str, tuple[str, float]] | None = None,
) -> DownscalingPlan:
    """Plan how fields are downscaled together; compute nothing.

    Parameters
    ----------
    source
        Holds the inputs, and for each target a variable with its units and names.
    inputs, targets
        Names in the order of the model's channels.
    run
        See :class:`~flexclim.planning.plan.SamplingPlan`.
    noise_of
        By target, see :class:`~flexclim.planning.plan.TargetPlan`.

    Raises
    ------
    GridError
        If the factor does not fit the grid.
    ModelError
        If the model was not trained for the factor or the fields.
    """
    factor = options.factor
    assert factor is not None
    settings = model.settings.named(vector=source.properties(inputs[0]).vector)
    if factor not in settings.factors:
        known = ", ".join(map(str, sorted(settings.factors)))
        raise ModelError(f"model {model.name!r} was not trained at x{factor}; it knows {known}.")
    grid = source.grid_for(settings.grid).without_positions()
    grid.refined(factor)
    _check_time(source, inputs[0], options, settings, model.name)
    fine = grid.domain.refine(factor)
    assert settings.targets is not None
    tile, overlap = choose_tile(
        settings.network.tiles, fine, factor, settings.halo, options.overlap
    )
    tiles = plan_tiles(fine, tile, factor, overlap)
    region = options.region or region_shape(fine)
    many = tiles.count > FEW_WINDOWS
    blocks = _blocks(source, inputs, fine, region, options) if many else None
    sampling = plan_sampling(
        source,
        inputs,
        [
            replace(
                _plan_target(source, name, target, inputs, settings, model.name, options),
                noise_of=(noise_of or {}).get(name),
            )
            for name, target in zip(targets, settings.targets, strict=True)
        ],
        model,
        settings,
        options,
        task=SUPERRES,
        grid=grid,
        spacing_km=source.grid.spacing_km / factor,
        tiles=tiles,
        run=run,
        several_planes=region == fine.shape and blocks is None,
        component=source.properties(targets[0]).along,
        stage=options.stage,
        noise=options.noise,
        persistence=_persistence(options, model, inputs, factor, grid.spacing_km / factor),
    )
    return DownscalingPlan(sampling=sampling, factor=factor, region=region, blocks=blocks)


def _blocks(
    source: Source,
    inputs: Sequence[str],
    fine: Domain,
    region: tuple[int, int],
    options: DownscalingOptions,
) -> tuple[Sizes, Sizes] | None:
    """Choose the chunks of a large plane of which only parts may be computed."""
    assert options.factor is not None
    if options.places:
        return cut(fine.shape, region, options.factor, FEW)
    fields = [source[name] for name in inputs]
    if options.entire or not any(is_dask_collection(field.data) for field in fields):
        return None
    first, plane = fields[0], (source.grid.y, source.grid.x)
    given = [first.variable.chunksizes.get(dim, (first.sizes[dim],)) for dim in plane]
    sizes = block_sizes(fine.shape, region, options.factor, given)
    return asked_sizes(options.chunks, sizes, fine.shape, plane)


def _plan_target(
    source: Source,
    name: str,
    target: Target,
    inputs: Sequence[str],
    settings: ModelSettings,
    model: str,
    options: DownscalingOptions,
) -> TargetPlan:
    """Plan how one output is finished: by the options, else the model, else names and units."""
    assert settings.inputs is not None
    base = None
    if target.base is not None:
        base = [variable.name for variable in settings.inputs].index(target.base)
    keep = settings.conserve if options.conserve is None else options.conserve
    if keep and settings.operator != "block_mean":
        raise ModelError(f"model {model!r} samples points, not means: conserve can't be true.")
    if options.conserve and base is None:
        raise ModelError(
            f"model {model!r} predicts {name!r}, which has no coarse counterpart: conserve can't "
            "be true."
        )
    double = base is not None and source[inputs[base]].dtype == "float64"
    return TargetPlan(
        name=name,
        dtype="float64" if double else "float32",
        base=base,
        conserve=keep and base is not None,
        bounds=bounds_of(
            source.properties(name),
            options.non_negative,
            target.non_negative,
            known=options.known_bounds.get(name),
        ),
    )


def _check_time(
    source: Source, name: str, options: DownscalingOptions, settings: ModelSettings, model: str
) -> None:
    if source.times[name].dated:
        return
    if options.noise == "ar1":
        raise FlexclimError(f'noise="ar1" needs times, and {source.without_dates(name)}')
    timed = [static.name for static in settings.statics if static.timely]
    if timed:
        raise ModelError(f"model {model!r} needs {timed[0]}, and {source.without_dates(name)}")


def _persistence(
    options: DownscalingOptions,
    model: Model,
    inputs: Sequence[str],
    factor: int,
    spacing_km: float,
) -> Persistence:
    """Return the correlation of AR(1) noise: the user's time scale, the store's, or the card's."""
    if options.noise_timescale is not None:
        return Persistence(seconds=_seconds(options.noise_timescale))
    if options.noise != "ar1":
        return NO_PERSISTENCE
    if (seconds := options.known_timescales.get(options.stage)) is not None:
        return Persistence(seconds=seconds)
    found = model.card.persistence(inputs[0], factor, spacing_km)
    if found is None:
        raise ModelError(
            f"the card of {model.name!r} holds no correlation time: give noise_timescale, such as "
            '"6h".'
        )
    shares = {name: getattr(found, name) for name in SHARES}
    return Persistence(seconds=3600 * found.hours, **shares)


def _seconds(text: str) -> float:
    try:
        seconds = pd.Timedelta(text).total_seconds()
    except ValueError:
        seconds = math.nan
    if not seconds >= 1:  # pandas reads a number without a unit as nanoseconds
        raise FlexclimError(f'noise_timescale={shown(text)} is not a time span such as "6h".')
    return float(seconds)
