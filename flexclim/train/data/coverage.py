"""What the training data cover, for the card: values, local scales, decorrelation times."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import xarray as xr

from flexclim.grids.discovery import find_grid
from flexclim.grids.domain import Domain
from flexclim.models.card import Coverage
from flexclim.models.settings import FORECAST, SUPERRES, ModelSettings
from flexclim.resampling import coarsen, interpolate
from flexclim.sampling.local_scaling import fill_missing
from flexclim.sampling.training_range import FieldStatistics, field_statistics, summarise_coverage
from flexclim.train.data.downscaling_patches import Patches
from flexclim.train.data.forecast_sequences import Sequences, runs
from flexclim.train.data.paired_source import PairedSource
from flexclim.train.data.sources import TrainingSource, units_of
from flexclim.train.data.time_axis import has_dates
from flexclim.train.data.windows import Coarsened
from flexclim.train.recipes.data_settings import Data
from flexclim.verify.metrics.persistence import correlation_time

PATCHES, PLANES = 96, 12  # of each source
TIMES, SIDE = 64, 384  # largest window in which decorrelation times are measured


def coverage(
    sources: Sequence[TrainingSource], data: Data, settings: ModelSettings, seed: int
) -> tuple[Coverage, ...]:
    """Measure what the training data cover, for each source, task and input variable.

    Parameters
    ----------
    sources
        Of the training split.
    settings
        Settings of the model.
    seed
        Seed of the patches that are measured.
    """
    measure = {SUPERRES: _coarse_statistics, FORECAST: _past_statistics}
    found = []
    for source in sources:
        units, spacing = units_of(source), source.grid.spacing_km
        for task in settings.tasks:
            factors = sorted(data.factors) if task == SUPERRES else []
            for name, statistics in measure[task](source, data, settings.named(), seed).items():
                covered = summarise_coverage(statistics, name, units.get(name, ""), spacing, task)
                update = {
                    "values": extremes(source, name, min(factors, default=1), covered.values),
                    "hours": correlation_hours(source, name, [one for one in factors if one > 1]),
                }
                found.append(covered.model_copy(update=update))
    return tuple(found)


def _coarse_statistics(
    source: TrainingSource, data: Data, settings: ModelSettings, seed: int
) -> dict[str, list[FieldStatistics]]:
    """Measure the coarse inputs of patches, by name."""
    assert settings.inputs is not None
    patches = Patches([source], data, settings, seed)
    drawn = [patches.draw(0, position) for position in range(PATCHES)]
    return {
        name: [
            field_statistics(one.coarse[n], one.window.domain.coarsen(one.factor), variable)
            for one in drawn
        ]
        for n, (name, variable) in enumerate(zip(source.inputs, settings.inputs, strict=True))
    }


def _past_statistics(
    source: TrainingSource, data: Data, settings: ModelSettings, seed: int
) -> dict[str, list[FieldStatistics]]:
    """Measure the last input snapshots of forecasts, by name; empty if no run of times exists."""
    assert settings.targets is not None
    past, last = data.forecast.past, data.forecast.past + data.forecast.rollout - 1
    hours = data.forecast.hours
    if isinstance(source, PairedSource) or not any(
        len(runs(source.stamps, h, last)) for h in hours
    ):
        return {}
    patches = Sequences([source], data, settings, seed)
    planes = [
        fill_missing(patches.draw(0, position).fields[past - 1]) for position in range(PATCHES)
    ]
    domain = Domain(shape=patches.tiles[0], kind=source.grid.domain.kind)
    return {
        name: [field_statistics(plane[n], domain, variable) for plane in planes]
        for n, (name, variable) in enumerate(zip(source.targets, settings.targets, strict=True))
    }


def extremes(
    source: TrainingSource, name: str, factor: int, values: tuple[float, float]
) -> tuple[float, float]:
    """Extend the range of values of patches by that of whole planes: at a few times, or all.

    Those of predictors are read at all times, since warnings compare with their range.
    """
    if isinstance(source, PairedSource):
        if not source.settings.predictors:
            return values
        planes = source.coarse_series[name].read_all(source.coarse_times)
        both = *values, float(np.nanmin(planes)), float(np.nanmax(planes))
        return float(f"{min(both):.4g}"), float(f"{max(both):.4g}")
    lowest, highest = values
    for index in np.unique(np.linspace(0, source.times.size - 1, PLANES).round().astype(int)):
        plane = source.series[name].read(int(source.times[index]))
        rows, columns = (size // factor for size in plane.shape)
        blocks = plane[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
        means = blocks.mean((1, 3))
        known = means[np.isfinite(means)]
        if known.size:
            lowest, highest = min(lowest, float(known.min())), max(highest, float(known.max()))
    return float(f"{lowest:.4g}"), float(f"{highest:.4g}")


def correlation_hours(
    source: TrainingSource, name: str, factors: Sequence[int]
) -> dict[int, float]:
    """Return the decorrelation time in hours of the residual of interpolation, by factor.

    Measured in the window of largest variance among nine. Empty for pairs, for simulated flows
    (whose unit of time is their own), and for sources without dates or with too few times.
    """
    if not factors or not isinstance(source, Coarsened) or name not in source.series:
        return {}
    if not has_dates(source.stamps) or source.stamps.size < 2 or source.settings.turbulence:
        return {}
    field = _window(source, name, math.lcm(*factors))
    if field is None:
        return {}
    weights = np.sqrt(cell_weights(field))
    hours = {}
    for factor in factors:
        coarse = coarsen(field, factor, grid="cell")
        residual = field - interpolate(coarse, factor, grid="cell").values
        found = correlation_time(residual * weights)
        if math.isfinite(found):
            hours[factor] = float(f"{found:.3g}")
    return hours


def cell_weights(field: xr.DataArray) -> xr.DataArray:
    """Return the area of a cell in each row or of each cell, or 1 where it is not known."""
    grid = find_grid(field, "cell").with_corners()
    if (areas := grid.cell_areas) is not None:
        return xr.DataArray(grid.restore(areas), dims=(grid.y, grid.x))
    area = np.ones(field.sizes[grid.y]) if grid.row_area is None else grid.row_area
    return xr.DataArray(area[::-1] if grid.flip_y else area, dims=grid.y)


def _window(source: Coarsened, name: str, multiple: int) -> xr.DataArray | None:
    """Read the window of largest variance at up to ``TIMES`` times.

    Sides are multiples of ``multiple``; None if the field is too small for that.
    """
    template = source.target_fields.template
    order = np.argsort(source.stamps, kind="stable")[:TIMES]
    sides = [min(SIDE, size) // multiple * multiple for size in template.shape]
    if min(sides) < 4 * multiple:
        return None
    starts = [
        sorted({round(share * (size - side)) for share in (0, 0.5, 1)})
        for size, side in zip(template.shape, sides, strict=True)
    ]
    windows = [
        (slice(row, row + sides[0]), slice(column, column + sides[1]))
        for row in starts[0]
        for column in starts[1]
    ]
    series = source.series[name]
    middle = series.read(int(source.times[order[order.size // 2]]))
    best = windows[int(np.argmax([_variance(middle[window]) for window in windows]))]
    values = np.stack([series.read(int(source.times[index]), *best) for index in order])
    dims = map(str, template.dims)
    place = template.isel(dict(zip(dims, best, strict=True)))
    stamps = xr.DataArray(source.stamps[order], dims="time")
    return place.expand_dims(time=stamps).copy(data=values).rename(name)


def _variance(values: np.ndarray) -> float:
    """Return the variance of known values; 0 if there are none."""
    return float(np.nanvar(values)) if np.isfinite(values).any() else 0.0
