"""Sources of one split, opened and checked before any step is spent."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr

from flexclim.cf.fields import check_values
from flexclim.errors import RecipeError
from flexclim.grids.domain import Kind
from flexclim.models.settings import COMPUTED, Static
from flexclim.sampling.statics import static_fields
from flexclim.train.data.opening import open_dataset
from flexclim.train.data.pairs import Pair, align, match_times
from flexclim.train.data.sources import apart, in_memory, open_fields, select_times
from flexclim.train.data.windows import Coarsened
from flexclim.train.recipes.data_settings import Data, Reading, Source

TrainingSource = Coarsened | Pair


def open_sources(data: Data, split: str) -> list[TrainingSource]:
    """Open what the patches of ``"train"`` or ``"validate"`` are cut from.

    Returns
    -------
    list
        One entry a source; one a variable where they are learnt one at a time.

    Raises
    ------
    RecipeError
        If a file, a variable or a split is missing, or a pair does not match.
    """
    opened: list[TrainingSource] = []
    for settings in data.sources:
        if (settings.train if split == "train" else settings.validate_) is None:
            continue
        if settings.coarse:
            pair = _pair(data, settings, settings.coarse, split)
            opened.append(_with_statics(pair, data, settings))
        elif data.named:
            inputs, targets = _names(data)
            source = _coarsened(data, settings, inputs, targets, split, settings.weight)
            opened.append(_with_statics(source, data, settings))
        else:
            share = settings.weight / len(settings.variables)
            opened += [
                _coarsened(data, settings, (name,), (name,), split, share)
                for name in settings.variables
            ]
    if not opened:
        raise RecipeError(f"no source has times to {split}; give '{split}: [first, last]'.")
    return opened


def check_sources(sources: Sequence[TrainingSource], data: Data, tile: tuple[int, int]) -> None:
    """Check that patches can be cut and hold values; reads one plane of each variable.

    Raises
    ------
    RecipeError
        If a patch is larger than a field, a variable is missing everywhere, or the label needs
        dates that are not there.
    """
    for source in sources:
        if source.stamps.dtype.kind == "i" and "day_of_year" in {one.name for one in data.told}:
            raise RecipeError(
                f"label day_of_year needs dates, and {source.title} counts its times; leave it "
                "out, or give dates."
            )
        kinds: list[Kind] = ["cell"] if data.downscales and data.points < 1 else []
        kinds += ["point"] if data.downscales and data.points > 0 else []
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
        if isinstance(source, Pair):
            parts = [
                (source.coarse_series, source.coarse_times, source.coarse.title),
                (source.fine_series, source.fine_times, source.fine.title),
            ]
        else:
            parts = [(source.series, source.times, source.title)]
        for series, times, title in parts:
            for name, one in series.items():
                plane = one.read(int(times[times.size // 2]))
                if np.isnan(plane).all():
                    raise RecipeError(
                        f"{name!r} in {title} is NaN everywhere at the middle of its split; "
                        "choose other times, or check the file."
                    )
                check_values(plane, name, title)


def open_statics(path: str, data: Data, settings: Source) -> xr.Dataset:
    """Open the file of the static fields; sizes of one, such as time, are dropped."""
    reading = Reading(path=path, storage=settings.storage)
    place = path if "://" in path else str(Path(data.folder) / path)
    dataset = open_dataset(place, reading)
    wanted = [part.name for part in data.statics if part.name not in COMPUTED]
    for name in wanted:
        if name not in dataset:
            known = [str(key) for key in dataset.data_vars]
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.4) or known[:12]
            raise RecipeError(
                f"{path} has no static field {name!r}; did you mean {' or '.join(near)}?"
            )
    chosen = dataset[wanted]
    return chosen.isel({dim: 0 for dim in chosen.dims if dim == "time"})


def _names(data: Data) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(part.name for part in data.inputs), tuple(part.name for part in data.all_targets)


def _coarsened(
    data: Data,
    settings: Source,
    inputs: tuple[str, ...],
    targets: tuple[str, ...],
    split: str,
    weight: float,
) -> Coarsened:
    fields = open_fields(settings, data.folder, list(dict.fromkeys(inputs + targets)))
    chosen = _split(fields.times, fields.usable, settings, data.gap, split, fields.title)
    series, times = in_memory(fields, chosen)
    return Coarsened(
        fields=fields,
        series=series,
        times=times,
        stamps=fields.times[chosen],
        grid=fields.grid(),
        settings=settings,
        inputs=inputs,
        targets=targets,
        weight=weight,
    )


def _pair(data: Data, settings: Source, partner: Reading, split: str) -> Pair:
    inputs, targets = _names(data)
    factor = next(iter(data.factors))
    coarse = open_fields(partner, data.folder, inputs)
    fine = open_fields(settings, data.folder, targets)
    first, second = match_times(coarse, fine)
    stamps = fine.times[second]
    usable = np.ones(stamps.size, bool)
    chosen = _split(stamps, usable, settings, data.gap, split, fine.title)
    rows, columns, shared, fine_grid, row_axis, column_axis = align(
        coarse, fine, factor, settings.grid
    )
    coarse_series, coarse_times = in_memory(coarse, first[chosen])
    fine_series, fine_times = in_memory(fine, second[chosen])
    return Pair(
        coarse=coarse,
        fine=fine,
        coarse_series=coarse_series,
        fine_series=fine_series,
        coarse_times=coarse_times,
        fine_times=fine_times,
        stamps=stamps[chosen],
        coarse_rows=rows,
        coarse_columns=columns,
        domain=shared.domain,
        grid=shared.refined(factor),
        fine_grid=fine_grid,
        rows=row_axis,
        columns=column_axis,
        factor=factor,
        settings=settings,
        inputs=inputs,
        targets=targets,
        weight=settings.weight,
    )


def _split(
    times: np.ndarray, usable: np.ndarray, settings: Source, gap: str, split: str, title: str
) -> np.ndarray:
    """Return the indices of the times of a split."""
    if split != "train":
        assert settings.validate_ is not None
        return select_times(times, usable, settings.validate_, title)
    chosen = select_times(times, usable, settings.train, title)
    if settings.validate_ is None:
        return chosen
    other = select_times(times, usable, settings.validate_, title)
    kept = apart(times, chosen, other, gap)
    if kept.size == 0:
        raise RecipeError(
            f"all {chosen.size} training times of {title} lie within {gap} of validation; "
            "choose other splits or a smaller data.gap."
        )
    return kept


def _with_statics(source: TrainingSource, data: Data, settings: Source) -> TrainingSource:
    if not data.statics:
        return source
    path = settings.static_file or data.static_file
    dataset = open_statics(path, data, settings) if path else None
    wanted = [Static(name=part.name) for part in data.statics]
    return replace(source, statics=static_fields(dataset, source.grid, wanted))
