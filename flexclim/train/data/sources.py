"""The sources of one split, opened and checked before training starts."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from flexclim.cf.auxiliary_variables import auxiliary_variables
from flexclim.errors import RecipeError, warn
from flexclim.grids.domain import Kind
from flexclim.models.channels import COMPUTED, Static
from flexclim.planning.source import resolve_static
from flexclim.planning.static_units import convert_statics
from flexclim.sampling.statics import static_fields
from flexclim.train.data.common_units import CommonUnits
from flexclim.train.data.day_fields import open_days
from flexclim.train.data.halves import Half, area_means, half_of
from flexclim.train.data.mirroring import check_statics
from flexclim.train.data.nesting import align
from flexclim.train.data.paired_source import PairedSource, match_times
from flexclim.train.data.predictor_fields import open_predictors
from flexclim.train.data.series import Series
from flexclim.train.data.source_fields import Fields, in_memory, open_fields
from flexclim.train.data.source_files import open_dataset
from flexclim.train.data.splits import Split, split_times
from flexclim.train.data.time_axis import has_dates, text_of
from flexclim.train.data.windows import Coarsened
from flexclim.train.recipes.data_settings import Data
from flexclim.train.recipes.source_settings import Reading, SourceSettings

TrainingSource = Coarsened | PairedSource


def open_sources(
    data: Data, split: Split, units: CommonUnits | None = None
) -> list[TrainingSource]:
    """Open the sources from which the patches of a split are cut.

    Parameters
    ----------
    units
        Units of named variables, those of the other split; units that are new to it are added.

    Returns
    -------
    list
        One entry per source, or per variable where variables are trained one at a time.

    Raises
    ------
    RecipeError
        If a file, a variable or a split is missing, a pair does not match, or units differ.
    """
    units = CommonUnits() if units is None else units
    opened: list[TrainingSource] = []
    for settings in data.sources:
        if split == "validate" and settings.validate_ is None:
            continue
        if settings.coarse or settings.predictors:
            pair = _pair(data, settings, split, units)
            opened.append(_with_statics(pair, data, settings, units))
        elif data.named:
            inputs, targets = _names(data)
            source = _coarsened(data, settings, inputs, targets, split, settings.weight, units)
            opened.append(_with_statics(source, data, settings, units))
        else:
            share = settings.weight / len(settings.variables)
            opened += [
                _coarsened(data, settings, (name,), (name,), split, share, CommonUnits())
                for name in settings.variables
            ]
    if not opened:
        raise RecipeError(f"no source has times to {split}; give '{split}: [first, last]'.")
    return opened


def check_sources(sources: Sequence[TrainingSource], data: Data, tile: tuple[int, int]) -> None:
    """Check that patches can be cut and hold values; reads a few planes of each variable.

    Raises
    ------
    RecipeError
        If a patch is larger than a field, a variable is missing everywhere, or the label needs
        dates that a source lacks.
    """
    for source in sources:
        _check_dates(source, data)
        if data.downscales:
            _check_tile(source, data.points, tile)
        for name, series, times, title in _planes(source):
            _check_some_values(name, series, times, title)


def warn_of_leaks(sources: Sequence[TrainingSource], checked: Sequence[TrainingSource]) -> None:
    """Warn if one source validates on times that another one trains on, in the same files."""
    for held in checked:
        for source in sources:
            same = set(held.targets) & set(source.targets)
            if not same or not _same_files(held.settings, source.settings):
                continue
            shared = np.intersect1d(held.stamps, source.stamps)
            if shared.size:
                warn(
                    f"{held.title} has {shared.size} times that one source trains on and another "
                    f"validates on, such as {text_of(shared[0])}. Validation scores are too good "
                    "then: choose splits that do not overlap."
                )
                return


def _same_files(first: SourceSettings, second: SourceSettings) -> bool:
    return (first.path, first.turbulence, first.select, first.rename) == (
        second.path,
        second.turbulence,
        second.select,
        second.rename,
    )


def _check_some_values(name: str, series: Series, times: np.ndarray, title: str) -> None:
    """Check that a variable has values in the middle of its split, or else at other times."""
    shares = (0.5, 0.0, 1.0, 0.25, 0.75)
    tried = dict.fromkeys(int(share * (times.size - 1) + 0.5) for share in shares)
    for index in tried:
        if not np.isnan(series.read(int(times[index]))).all():
            return
    raise RecipeError(
        f"{name!r} in {title} is NaN or declared missing everywhere at {len(tried)} of "
        f"{times.size} times of its split; choose other times, or check the file."
    )


def _check_dates(source: TrainingSource, data: Data) -> None:
    """Check that a source has dates if the label or a predictor depends on them."""
    if has_dates(source.stamps):
        return
    timely = [part.name for part in data.statics if Static(name=part.name).timely]
    timely += ["day_of_year"] * any(part.name == "day_of_year" for part in data.label_parts)
    if timely:
        raise RecipeError(
            f"{timely[0]} needs dates, but {source.title} has none; leave {timely[0]} out, or give "
            "the source dates."
        )


def _check_tile(source: TrainingSource, points: float, tile: tuple[int, int]) -> None:
    """Check that a patch fits the field, on the kinds of coarse grid that training uses."""
    kinds: list[Kind] = ["cell"] if points < 1 else []
    kinds += ["point"] if points > 0 else []
    for kind in kinds:
        largest = source.largest_tile(kind)
        if tile[0] > largest[0] or tile[1] > largest[1]:
            advice = "lower network.tile"
            cells = source.largest_tile("cell")
            if kind == "point" and cells[0] >= tile[0] and cells[1] >= tile[1]:
                advice = "set data.points to 0"
            raise RecipeError(
                f"a patch of {tile[0]} x {tile[1]} cells is larger than the field of "
                f"{largest[0]} x {largest[1]} {kind}s in {source.title}; {advice}."
            )


def _planes(source: TrainingSource) -> Iterator[tuple[str, Series, np.ndarray, str]]:
    """Yield name, series, times of the split and file of each variable of a source."""
    parts: list[tuple[Mapping[str, Series], np.ndarray, str]]
    if isinstance(source, PairedSource):
        parts = [
            (source.coarse_series, source.coarse_times, source.input_fields.title),
            (source.fine_series, source.fine_times, source.target_fields.title),
        ]
    else:
        parts = [(source.series, source.times, source.title)]
    for series, times, title in parts:
        for name, one in series.items():
            yield name, one, times, title


def units_of(source: TrainingSource) -> dict[str, str]:
    """Return the units of the inputs and targets of a source, by name, as far as they are known."""
    fields = (source.target_fields, source.targets), (source.input_fields, source.inputs)
    return {
        name: str(part.attributes[name]["units"])
        for part, names in fields
        for name in names
        if part.attributes[name].get("units")
    }


def open_statics(path: str, data: Data, settings: SourceSettings) -> xr.Dataset:
    """Open the file of the static fields, at its first time if it has several."""
    reading = Reading(path=path, storage=settings.storage)
    place = path if "://" in path else str(Path(data.folder) / path)
    dataset = open_dataset(place, reading)
    wanted = [part.name for part in data.statics if part.name not in COMPUTED]
    for name in wanted:
        if name not in dataset.variables or name in dataset.dims:
            others = auxiliary_variables(dataset)
            known = [str(key) for key in dataset.data_vars if str(key) not in others]
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:12]
            raise RecipeError(
                f"{path} has no static field {name!r}; did you mean {' or '.join(near)}?"
            )
    chosen = dataset.reset_coords([name for name in wanted if name in dataset.coords])[wanted]
    for name in wanted:
        field = chosen[name]
        if field.sizes.get("time", 0) > 1 and not field[{"time": 0}].equals(field[{"time": -1}]):
            raise RecipeError(
                f"static field {name!r} in {path} differs between its first and last time; select "
                "one time of it, and give the field as a file of its own."
            )
    return chosen.isel({dim: 0 for dim in chosen.dims if dim == "time"})


def _names(data: Data) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(part.name for part in data.inputs), tuple(part.name for part in data.all_targets)


def _coarsened(
    data: Data,
    settings: SourceSettings,
    inputs: tuple[str, ...],
    targets: tuple[str, ...],
    split: Split,
    weight: float,
    units: CommonUnits,
) -> Coarsened:
    names = list(dict.fromkeys(inputs + targets))
    if data.times > 1:
        fields = open_days(settings, data.folder, names, data.times)
    else:
        fields = open_fields(settings, data.folder, names)
    fields = units.convert(fields, dict.fromkeys(inputs) | _bases(data, targets))
    chosen = split_times(fields.times, fields.usable, settings, data.gap, split, fields.title)
    chosen = chosen[_halved(data, split, fields, chosen)]
    series, times = in_memory(fields, chosen)
    grid = fields.grid().with_corners()
    return Coarsened(
        input_fields=fields,
        target_fields=fields,
        series=series,
        times=times,
        stamps=fields.times[chosen],
        grid=grid,
        areas=grid.cell_areas,
        settings=settings,
        inputs=inputs,
        targets=targets,
        weight=weight,
    )


def _pair(data: Data, settings: SourceSettings, split: Split, units: CommonUnits) -> PairedSource:
    inputs, targets = _names(data)
    factor = next(iter(data.factors))
    fine = open_fields(settings, data.folder, targets)
    if settings.coarse:
        coarse = open_fields(settings.coarse, data.folder, inputs)
    else:
        coarse = open_predictors(settings, data.folder, inputs, fine, factor)
    coarse = units.convert(coarse, dict.fromkeys(inputs))
    fine = units.convert(fine, _bases(data, targets))
    kind = settings.grid
    if settings.predictors and kind is None:
        kind = coarse.grid().domain.kind  # with odd factors, centres of cells coincide
    first, second = match_times(coarse, fine)
    stamps = fine.times[second]
    usable = np.ones(stamps.size, bool)
    chosen = split_times(stamps, usable, settings, data.gap, split, fine.title)
    among, index = (coarse, first) if data.colder_half in coarse.series else (fine, second)
    chosen = chosen[_halved(data, split, among, index[chosen])]
    nesting = align(coarse, fine, factor, kind)
    coarse_series, coarse_times = in_memory(coarse, first[chosen])
    fine_series, fine_times = in_memory(fine, second[chosen])
    return PairedSource(
        input_fields=coarse,
        target_fields=fine,
        coarse_series=coarse_series,
        fine_series=fine_series,
        coarse_times=coarse_times,
        fine_times=fine_times,
        stamps=stamps[chosen],
        coarse_rows=nesting.coarse_rows,
        coarse_columns=nesting.coarse_columns,
        domain=nesting.coarse_grid.domain,
        grid=nesting.coarse_grid.refined(factor),
        fine_grid=nesting.fine_grid,
        rows=nesting.rows,
        columns=nesting.columns,
        factor=factor,
        settings=settings,
        inputs=inputs,
        targets=targets,
        weight=settings.weight,
    )


def _halved(data: Data, split: Split, fields: Fields, times: np.ndarray) -> np.ndarray:
    """Return which of the times of a split belong to its half; all, without ``colder_half``."""
    everything = np.arange(times.size)
    if data.colder_half is None or split == "validate":
        return everything
    means = area_means(fields.series[data.colder_half], times)
    half: Half = "warmer" if split == "warmer" else "colder"
    return half_of(everything, means, fields.times[times], half, fields.title)


def _bases(data: Data, targets: Sequence[str]) -> dict[str, str | None]:
    """Return the input to which the residual of each target is added, if it has another name."""
    bases = {part.name: part.base_name for part in data.all_targets}
    return {name: None if bases.get(name) == name else bases.get(name) for name in targets}


def _with_statics(
    source: TrainingSource, data: Data, settings: SourceSettings, units: CommonUnits
) -> TrainingSource:
    if not data.statics:
        return source
    path = settings.static_file or data.static_file
    dataset = open_statics(path, data, settings) if path else xr.Dataset()
    if data.flips:
        check_statics(dataset)
    dataset = convert_statics(dataset, units.known)
    for name, field in dataset.data_vars.items():
        units.note(str(name), field.attrs, path)
    fields = resolve_static(dataset, map(str, dataset.data_vars), source.grid)
    wanted = [Static(name=part.name) for part in data.statics]
    return replace(source, statics=static_fields(fields, source.grid, wanted))
