"""Patches at random offsets: what the network learns from.

A patch is a function of (seed, step, position in the batch) alone, so a resumed run sees the
batches it would have seen. Each is cut with enough of its surroundings that its local scaling is
that of the whole field.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from flexclim.domain import Domain, Kind
from flexclim.errors import RecipeError
from flexclim.fields import REACH, fill_missing, scale
from flexclim.grid import Grid, find_grid
from flexclim.regrid import block_mean
from flexclim.train.recipe import Data, Source

TRIES = 20
LARGEST_INPUT = 10.0


@dataclass(frozen=True)
class Batch:
    """Arrays of B patches, float32.

    ``inputs`` and ``residual`` are (B, 1, H, W) in the network's units (a residual is 0 where the
    truth is missing or nothing varies), ``factor`` is (B,).
    """

    inputs: np.ndarray
    residual: np.ndarray
    factor: np.ndarray


@dataclass(frozen=True)
class OpenSource:
    """One variable of one source, opened lazily, with the times of one split."""

    field: xr.DataArray
    grid: Grid
    settings: Source
    weight: float

    def plane(self, index: int) -> xr.DataArray:
        """Return one time."""
        return self.field.isel({self.field.dims[0]: index})


def open_sources(data: Data, split: str) -> list[OpenSource]:
    """Open every variable of every source for ``"train"`` or ``"validate"``.

    Raises
    ------
    RecipeError
        If a file, a variable or a split is missing.
    """
    opened = []
    for settings in data.sources:
        period = settings.train if split == "train" else settings.validate_
        if period is None:
            continue
        dataset = _open(Path(data.folder) / settings.path)
        for name in settings.variables:
            if name not in dataset:
                raise RecipeError(
                    f"{settings.path} has no variable {name!r}; "
                    f"it has {', '.join(map(str, dataset.data_vars))}."
                )
            field = _select(dataset[name].squeeze(), period, settings.path)
            grid = find_grid(field)
            field = field.transpose(..., grid.y, grid.x)
            weight = settings.weight / len(settings.variables)
            # Small sources are read once; large ones are read window by window.
            if field.size < 3e7:
                field = field.load()
            opened.append(OpenSource(field, grid, settings, weight))
    if not opened:
        raise RecipeError(f"no source has times to {split}; give 'validate: [first, last]'.")
    return opened


def _open(path: Path) -> xr.Dataset:
    if not path.exists():
        raise RecipeError(
            f"{path} is not there; set data.folder (or FLEXCLIM_DATA) to the folder that holds it."
        )
    try:
        # Without dask: windows are read one by one, by several threads' turns.
        return xr.open_dataset(path, chunks=None)
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} can't be opened: {' '.join(str(error).split())}") from None


def _select(field: xr.DataArray, period: tuple[str, str], path: str) -> xr.DataArray:
    dim = field.dims[0]
    if all(part.lstrip("-").isdigit() and len(part) < 4 for part in period):
        first, last = map(int, period)
        chosen = field.isel({dim: slice(first, last + 1)})
    else:
        chosen = field.sel({dim: slice(*period)})
    if chosen.sizes[dim] == 0:
        times = field[dim].values
        raise RecipeError(
            f"{path} has no time from {period[0]} to {period[1]}; it runs from {times[0]} "
            f"to {times[-1]}."
        )
    return chosen


class Patches:
    """Makes batches by step.

    Parameters
    ----------
    sources
        From :func:`open_sources`.
    data
        Factors and the share of grids of points.
    tile
        (H, W) of a patch.
    residual_scale
        Standard deviation of the locally scaled residual, by factor.
    """

    def __init__(
        self,
        sources: list[OpenSource],
        data: Data,
        tile: tuple[int, int],
        residual_scale: dict[int, float],
        seed: int,
    ) -> None:
        self.sources, self.data, self.tile, self.seed = sources, data, tile, seed
        self.residual_scale = residual_scale
        weights = np.array([source.weight for source in sources])
        self._source_share = weights / weights.sum()
        shares = np.array(list(data.factors.values()))
        self._factor_share = shares / shares.sum()

    def batch(self, step: int, size: int, first: int = 0) -> Batch:
        """Return the patches at positions ``first`` .. ``first + size - 1`` of one step."""
        patches = [self.patch(step, first + position) for position in range(size)]
        stacked: list[Any] = [np.stack(parts) for parts in zip(*patches, strict=True)]
        return Batch(*stacked)

    def stream(self, steps: range, size: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``steps``, made ahead in another thread."""
        with ThreadPoolExecutor(1) as pool:
            waiting = [pool.submit(self.batch, step, size, first) for step in steps[:3]]
            for step in steps:
                yield waiting.pop(0).result()
                if step + 3 in steps:
                    waiting.append(pool.submit(self.batch, step + 3, size, first))

    def patch(self, step: int, position: int) -> tuple[np.ndarray, np.ndarray, np.float32]:
        """Return (inputs, residual, factor) of one patch."""
        random = np.random.default_rng([self.seed, step, position])
        for _ in range(TRIES):
            source = self.sources[random.choice(len(self.sources), p=self._source_share)]
            factor = int(random.choice(list(self.data.factors), p=self._factor_share))
            kind: Kind = "point" if random.random() < self.data.points else "cell"
            window, domain, area, inner = self._window(source, factor, kind, random)
            made = self._scaled(window, domain, area, factor, source.settings, inner)
            if made is not None:
                return *made, np.float32(factor)
        raise RecipeError(
            f"{TRIES} patches in a row held too few values; lower rain.wet or crop the source."
        )

    def _window(
        self, source: OpenSource, factor: int, kind: Kind, random: np.random.Generator
    ) -> tuple[np.ndarray, Domain, np.ndarray | None, tuple[slice, slice]]:
        """Cut a window with surroundings, flipped at random, and say where the patch lies in it."""
        height, width = source.grid.domain.shape
        extra = int(kind == "point")
        rows, row_start = _span(height, self.tile[0], factor, extra, random)
        if source.grid.domain.wrap and width >= self.tile[1] + 2 * REACH * factor + extra:
            start = int(random.integers(width))
            columns = (start + np.arange(self.tile[1] + 2 * REACH * factor + extra)) % width
            column_start = REACH * factor
        else:
            columns, column_start = _span(width, self.tile[1], factor, extra, random)
        plane = source.plane(int(random.integers(source.field.shape[0])))
        window = _read(plane, source.grid, rows, columns)
        area = None if source.grid.row_area is None else source.grid.row_area[rows]
        inner = [row_start, column_start]
        for axis in (0, 1):
            if random.random() < 0.5:
                window = np.flip(window, axis)
                area = area[::-1] if area is not None and axis == 0 else area
                inner[axis] = window.shape[axis] - extra - inner[axis] - self.tile[axis]
        if source.settings.signed and random.random() < 0.5:
            window = -window
        domain = Domain(shape=(rows.size, columns.size), kind=kind)
        slices = tuple(
            slice(start, start + side) for start, side in zip(inner, self.tile, strict=True)
        )
        return window, domain, area, (slices[0], slices[1])

    def _scaled(
        self,
        window: np.ndarray,
        domain: Domain,
        area: np.ndarray | None,
        factor: int,
        settings: Source,
        inner: tuple[slice, slice],
    ) -> tuple[np.ndarray, np.ndarray] | None:
        if settings.largest is not None:
            window = np.where(window > settings.largest, np.nan, window)
        known = np.isfinite(window[inner])
        if known.mean() < 0.5:
            return None
        coarse = fill_missing(block_mean(window, domain, factor, area))
        if settings.rain and (coarse > settings.rain.above).mean() < settings.rain.wet:
            return None
        scaled = scale(coarse, domain.coarsen(factor), factor)
        amplitude = scaled.amplitude[inner]
        known &= amplitude > 0
        with np.errstate(invalid="ignore", divide="ignore"):
            residual = (window[inner] - scaled.base[inner]) / amplitude
        residual = np.where(known, residual / self.residual_scale[factor], 0.0)
        limit = LARGEST_INPUT
        return (
            np.clip(scaled.inputs[inner], -limit, limit)[None],
            np.clip(residual, -limit, limit).astype(np.float32)[None],
        )


def _span(
    size: int, side: int, factor: int, extra: int, random: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Choose a patch on one bounded axis; return the indices to read and where it starts there."""
    if size < side + extra:
        raise RecipeError(f"a patch of {side} cells is larger than the field of {size}.")
    start = int(random.integers(size - side - extra + 1))
    before = min(start // factor, REACH) * factor
    after = min((size - extra - start - side) // factor, REACH) * factor
    return np.arange(start - before, start + side + after + extra), before


def _read(plane: xr.DataArray, grid: Grid, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Read canonical rows and columns of one plane, in float32."""
    height, width = grid.domain.shape
    own_rows = height - 1 - rows if grid.flip_y else rows
    own_columns = grid.canonical(np.arange(width)[None].repeat(height, 0))[0][columns]
    low, high = own_rows.min(), own_rows.max() + 1
    window = plane.isel({grid.y: slice(low, high)})
    contiguous = np.ptp(own_columns) + 1 == own_columns.size
    if contiguous:
        left = own_columns.min()
        window = window.isel({grid.x: slice(left, left + own_columns.size)})
        own_columns = own_columns - left
    values = np.asarray(window.values, np.float32)
    return values[np.ix_(own_rows - low, own_columns)]
