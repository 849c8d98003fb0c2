"""Predictors on grids of their own, brought to the coarse grid of the target.

Each may be a variable on a level, and at an earlier time (:mod:`flexclim.cf.predictor_names`);
they may come from several data sets, each with its own grid, times and calendar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr

from flexclim.cf.predictor_names import earlier_times, on_level, read_name
from flexclim.cf.regridding_weights import find_weights
from flexclim.errors import GridError, RecipeError
from flexclim.grids.regridding.cell_discovery import cells_of
from flexclim.grids.regridding.sparse_weights import Weights
from flexclim.grids.regridding.targets import target_of
from flexclim.resampling.target_grids import (
    TEMPLATE,
    check_covered,
    coarse_grid,
    method_between,
    template_of,
)
from flexclim.train.data.common_units import Attributes
from flexclim.train.data.corrected_series import Regridded
from flexclim.train.data.file_fields import Layout, missing_variable, prepared
from flexclim.train.data.paired_source import match_times, shared_numbers
from flexclim.train.data.series import ALL, Series
from flexclim.train.data.source_fields import Fields, open_fields
from flexclim.train.data.source_files import open_datasets
from flexclim.train.data.splits import select_times
from flexclim.train.data.time_axis import has_dates, text_of
from flexclim.train.recipes.source_settings import Reading, SourceSettings


@dataclass(frozen=True)
class AtTimes:
    """A variable at other times: their ``index`` in the series, -1 where it has none."""

    series: Series
    index: np.ndarray

    @property
    def usable(self) -> np.ndarray:
        """Times that the series has."""
        return np.asarray((self.index >= 0) & self.series.usable[self.index])

    def read(self, time: int, rows: slice = ALL, columns: slice = ALL) -> np.ndarray:
        """Read one window."""
        return self.series.read(int(self.index[time]), rows, columns)

    def read_all(self, times: np.ndarray) -> np.ndarray:
        """Read whole planes."""
        return self.series.read_all(self.index[times])


def open_predictors(
    settings: SourceSettings, folder: str, names: Sequence[str], fine: Fields, factor: int
) -> Fields:
    """Open the predictors of a source on the coarse grid and at the times of its targets.

    Parameters
    ----------
    names
        Of the inputs; each comes from the first data set that has it.
    fine
        The targets.

    Raises
    ------
    RecipeError
        If a variable or level is missing, or predictors do not cover the target's area or period.
    """
    series: dict[str, Series] = {}
    attributes: dict[str, Attributes] = {}
    coarse = coarse_grid(template_of(fine.template), factor, settings.grid)
    for reading, own in zip(
        settings.predictors, _shared_out(settings.predictors, folder, names), strict=True
    ):
        if not own:
            continue
        stored = {name: read_name(name).on_level for name in own}
        fields = open_fields(reading, folder, list(dict.fromkeys(stored.values())))
        means = partial(_means, _weights(fields, coarse), coarse[TEMPLATE].shape)
        index = _matched(fields, fine)
        _check_period(fields, fine, settings)
        for name, on in stored.items():
            planes = Regridded(fields.series[on], means)
            series[name] = AtTimes(planes, _earlier(fields, index, name))
            attributes[name] = fields.attributes[on]
    ordered = {name: series[name] for name in names}
    title = " and ".join(reading.title for reading in settings.predictors)
    return Fields(title, ordered, Layout(coarse[TEMPLATE]), attributes, fine.times)


def _shared_out(readings: Sequence[Reading], folder: str, names: Sequence[str]) -> list[list[str]]:
    """Return which names are read from which data set."""
    left, shared, files = list(names), [], {}
    for reading in readings:
        file, dataset = next(iter(open_datasets(reading, folder).items()))
        files[file] = dataset = prepared(dataset, reading, file)
        own = [name for name in left if _holds(dataset, reading, read_name(name).on_level)]
        left = [name for name in left if name not in own]
        shared.append(own)
    if left:
        wanted = read_name(left[0])
        place = next((file for file, one in files.items() if wanted.variable in one), None)
        if place is None:
            place = next(iter(files))
        raise missing_variable(wanted.on_level, files[place], place)
    return shared


def _holds(dataset: xr.Dataset, reading: Reading, name: str) -> bool:
    return name in reading.derive or on_level(dataset, name) is not None


def _means(weights: Weights, shape: tuple[int, ...], planes: np.ndarray) -> np.ndarray:
    """Take planes (..., y, x) to (..., *shape)."""
    lead = planes.shape[:-2]
    return weights.means(planes.reshape(*lead, -1), 0.5).reshape(*lead, *shape)


def _weights(fields: Fields, coarse: xr.Dataset) -> Weights:
    """Return the weights of a data set's cells in those of the coarse grid."""
    try:
        source = cells_of(fields.layout.dataset, bounds=False)
        target = target_of(coarse, source, bounds=False)
        assert target.cells is not None
        weights = find_weights(source, target, method_between(source, target.cells))
        check_covered(weights.covered, source, f"predictors in {fields.title}", target.cells)
    except GridError as error:
        raise RecipeError(str(error)) from None
    return weights


def _matched(fields: Fields, fine: Fields) -> np.ndarray:
    """Return for each time of the targets that of a predictor; -1: it has none."""
    first, second = match_times(fields, fine)
    index = np.full(fine.times.size, -1)
    index[second] = first
    return index


def _earlier(fields: Fields, index: np.ndarray, name: str) -> np.ndarray:
    """Return the times of a predictor that lie its lag before those of ``index``."""
    hours = read_name(name).lag_hours
    if not hours:
        return index
    if not has_dates(fields.times):
        raise RecipeError(
            f"{name!r} lies {hours:g} hours before the target, and {fields.title} has no dates; "
            "give it a time coordinate with dates, or leave the lag out."
        )
    before = earlier_times(fields.times, hours)
    return np.where(index >= 0, before[index], -1)


def _check_period(fields: Fields, fine: Fields, settings: SourceSettings) -> None:
    """Check that predictors begin no later, and end no earlier, than the periods of the target."""
    if not has_dates(fields.times):
        return
    here, there = shared_numbers(fields.times, fine.times)
    for split, period in (("train", settings.train), ("validate", settings.validate_)):
        if period is None:
            continue
        chosen = select_times(fine.times, fine.usable, period, fine.title)
        numbers = there[chosen]
        for verb, side, beyond in (
            ("begin", "after", numbers < here.min()),
            ("end", "before", numbers > here.max()),
        ):
            if beyond.any():
                ends = fields.times[here.argmin() if verb == "begin" else here.argmax()]
                target = fine.times[
                    chosen[numbers.argmin() if verb == "begin" else numbers.argmax()]
                ]
                raise RecipeError(
                    f"predictors in {fields.title} {verb} at {text_of(ends)}, {side} the target in "
                    f"{fine.title} ({text_of(target)}); choose another period to {split}, or add "
                    f"the {int(beyond.sum())} missing times."
                )
