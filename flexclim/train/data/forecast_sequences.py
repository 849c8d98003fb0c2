"""Patches for forecasting: K snapshots one lead apart, and the snapshot that follows them.

Legend: K input snapshots, R steps of a roll-out, T variables, H W rows and columns of a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flexclim.errors import RecipeError
from flexclim.grids.operators import ALL
from flexclim.models.settings import FORECAST, ModelSettings
from flexclim.sampling.labels import label_values
from flexclim.sampling.local_scaling import Scaled, fill_missing, nearest_known
from flexclim.sampling.network_inputs import forecast_inputs, residual
from flexclim.sampling.statics import static_channels
from flexclim.train.data.batches import (
    Batch,
    Patch,
    TaskBatches,
    Tiles,
    base_scale,
    draw_usable,
    patch_of,
)
from flexclim.train.data.mirroring import along, components
from flexclim.train.data.paired_source import PairedSource
from flexclim.train.data.sources import TrainingSource
from flexclim.train.data.time_axis import Time, in_seconds
from flexclim.train.data.windows import Coarsened, read_window, stored
from flexclim.train.recipes.data_settings import Data

ROLLOUT_STREAM = 5  # keeps the random length of roll-outs independent of the choice of patches


@dataclass(frozen=True)
class DrawnSequence:
    """Snapshots (K + R, T, H, W), NaN where missing: K inputs, then the R steps of a roll-out.

    ``statics`` are the static fields of the patch, ``lead`` is in hours, ``times`` (R + 1) are
    those of the last input snapshot and of the steps, ``past`` is K.
    """

    fields: np.ndarray
    statics: dict[str, np.ndarray]
    lead: float
    times: np.ndarray
    source: Coarsened
    past: int

    @property
    def time(self) -> Time:
        """Time of the last input snapshot."""
        return self.times[0]

    def read(self, name: str) -> np.ndarray:
        """Return the last input snapshot of a variable."""
        return np.asarray(self.fields[self.past - 1, self.source.targets.index(name)])


class Sequences(TaskBatches):
    """Makes batches for forecasting.

    Parameters
    ----------
    sources
        From :func:`flexclim.train.data.sources.open_sources`; pairs are skipped.
    data
        Leads and their shares, augmentation.
    settings
        Settings of the model to be trained.
    seed
        Seed of all random choices.
    tiles
        Sizes of patches. Default: that of the network's largest tile.

    Raises
    ------
    RecipeError
        If no source has K + R snapshots that are one of the leads apart.
    """

    task = FORECAST

    def __init__(
        self,
        sources: Sequence[TrainingSource],
        data: Data,
        settings: ModelSettings,
        seed: int,
        tiles: Tiles | None = None,
    ) -> None:
        self.data, self.settings, self.seed, self.workers = data, settings, seed, data.workers
        self.tiles = tiles or (settings.network.tile,)
        self.sources = [source for source in sources if not isinstance(source, PairedSource)]
        hours = data.forecast.hours
        self.past = data.forecast.past
        last = self.past + data.forecast.rollout - 1
        found = [[runs(source.stamps, lead, last) for lead in hours] for source in self.sources]
        self._runs = found
        by_lead = [list(zip(hours.values(), own, strict=True)) for own in found]
        # Where a source has no run of a lead, that lead is not drawn from it.
        self._shares: np.ndarray = np.array(
            [
                [source.weight * share * (len(one) > 0) for share, one in pairs]
                for source, pairs in zip(self.sources, by_lead, strict=True)
            ]
        )
        self._check(list(data.forecast.leads))
        self._shares /= self._shares.sum()
        self._components = [components(source, data) for source in self.sources]

    def ahead(self, step: int) -> int:
        """Return the number of roll-out steps, the same for all patches of a training step."""
        random = np.random.default_rng([self.seed, step, 0, ROLLOUT_STREAM])
        return int(random.integers(self.data.forecast.rollout)) + 1

    def batch(self, step: int, size: int, first: int = 0) -> Batch:
        """Return the patches of one step, with the number of roll-out steps."""
        return replace(super().batch(step, size, first), ahead=self.ahead(step))

    def patch(self, step: int, position: int) -> Patch:
        """Return the patch at a position of the global batch of one step."""
        return self.scaled(self.draw(step, position), self.ahead(step))

    def scaled(self, drawn: DrawnSequence, ahead: int = 1) -> Patch:
        """Scale raw snapshots; with roll-outs, ``later`` is the change over ``ahead`` steps."""
        settings = self.settings
        assert settings.forecast is not None
        size = settings.forecast.residual_scale[settings.forecast.leads.index(drawn.lead)]
        scaled = self._inputs(drawn)
        truth, *later = (
            self._changes(drawn, scaled, drawn.fields[self.past + one - 1])
            for one in ((1, ahead) if self.data.forecast.rollout > 1 else (1,))
        )
        label = self._label(drawn, drawn.time)
        patch = patch_of(scaled, truth, label, base_scale(settings, size, past=True))
        if not later:
            return patch
        patch = replace(patch, later=later[0])
        if ahead == 1:
            return patch
        # As in sampling, a step is conditioned on the time of the snapshot before it.
        times = drawn.times[1:ahead]
        return replace(
            patch,
            statics_ahead=np.stack([self._static_channels(drawn, time) for time in times]),
            label_ahead=np.stack([self._label(drawn, time) for time in times]),
            nearest=nearest_known(drawn.fields[self.past - 1]),
        )

    def _label(self, drawn: DrawnSequence, when: Time) -> np.ndarray:
        return label_values(
            self.settings.labels,
            lead=drawn.lead,
            spacing_km=drawn.source.grid.spacing_km,
            when=when,
            variable=drawn.source.targets[0],
            known=drawn.source.settings.label,
        )

    def _static_channels(self, drawn: DrawnSequence, when: Time) -> np.ndarray:
        size = drawn.fields.shape[-2], drawn.fields.shape[-1]
        return static_channels(drawn.statics, self.settings.statics, size, when)

    def _inputs(self, drawn: DrawnSequence) -> Scaled:
        """Return the input snapshots scaled for the network."""
        statics = self._static_channels(drawn, drawn.time) if self.settings.statics else None
        past = fill_missing(drawn.fields[: self.past])
        return forecast_inputs(past, drawn.lead, self.settings, statics)(ALL)

    def _changes(self, drawn: DrawnSequence, scaled: Scaled, truth: np.ndarray) -> np.ndarray:
        """Return the scaled change from the last input snapshot to a later one (T, H, W)."""
        assert self.settings.targets is not None
        changes = residual(scaled, truth, self.settings.targets).astype(np.float32)
        # Values filled into gaps of the last snapshot are not truth to learn from.
        known = np.isfinite(drawn.fields[self.past - 1])
        return np.where(known, changes, np.float32(np.nan))

    def draw(self, step: int, position: int) -> DrawnSequence:
        """Return the raw fields of one patch.

        Raises
        ------
        RecipeError
            If too many patches in a row lack too many values.
        """
        random = np.random.default_rng([self.seed, step, position])
        tile = self.tile_of(step)
        return draw_usable(random, self.sources, lambda: self._cut(random, tile))

    def _cut(self, random: np.random.Generator, tile: tuple[int, int]) -> DrawnSequence | None:
        place = random.choice(self._shares.size, p=self._shares.ravel())
        number, lead = map(int, np.unravel_index(place, self._shares.shape))
        source, runs_of = self.sources[number], self._runs[number][lead]
        indices = runs_of[random.integers(len(runs_of))]
        rows, columns = self._place(source, random, tile)
        own = stored(source.grid, rows, columns)
        fields = np.stack(
            [
                [
                    read_window(source.series[name], int(source.times[index]), *own)
                    for name in source.targets
                ]
                for index in indices
            ]
        )
        statics = {name: field[np.ix_(rows, columns)] for name, field in source.statics.items()}
        fields, statics = self._augmented(fields, statics, number, random)
        if (np.isfinite(fields).mean((-2, -1)) < 0.5).any():
            return None
        hours = list(self.data.forecast.hours)[lead]
        times = source.stamps[indices[self.past - 1 :]]
        return DrawnSequence(fields, statics, hours, times, source, self.past)

    def _place(
        self, source: Coarsened, random: np.random.Generator, tile: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw the rows and columns of a tile."""
        height, width = source.grid.domain.shape
        rows = random.integers(height - tile[0] + 1) + np.arange(tile[0])
        if source.grid.domain.wrap:
            return rows, (random.integers(width) + np.arange(tile[1])) % width
        return rows, random.integers(width - tile[1] + 1) + np.arange(tile[1])

    def _augmented(
        self,
        fields: np.ndarray,
        statics: dict[str, np.ndarray],
        number: int,
        random: np.random.Generator,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Flip the sign and mirror snapshots and static fields at random, as the recipe allows."""
        if self.sources[number].settings.signed and random.random() < 0.5:
            fields = -fields
        for axis, name in enumerate(("flip_y", "flip_x")):
            if name in self.data.flips and random.random() < 0.5:
                fields = np.flip(fields, axis - 2).copy()
                fields[:, along(self._components[number].targets, axis)] *= -1
                statics = {key: np.flip(field, axis) for key, field in statics.items()}
        return fields, statics

    def _check(self, leads: Sequence[str]) -> None:
        for source in self.sources:
            if source.stamps.dtype.kind == "f":
                raise RecipeError(
                    f"the times of {source.title} are neither dates nor offsets with units, so "
                    "their steps are unknown; give the time coordinate units, such as 'hours since "
                    "2018-01-01'."
                )
        if not self._shares.any():
            titles = ", ".join(sorted({source.title for source in self.sources}))
            raise RecipeError(
                f"{titles} has no {self.past + self.data.forecast.rollout} times of one split that "
                f"are {' or '.join(leads)} apart; change data.forecast.leads, lower "
                "data.forecast.past or data.forecast.rollout, or lengthen the split."
            )
        tile = self.tiles[0]
        for source in self.sources:
            if any(a > b for a, b in zip(tile, source.grid.domain.shape, strict=True)):
                raise RecipeError(
                    f"a patch of {tile[0]} x {tile[1]} cells is larger than the field of "
                    f"{source.grid.domain.shape} in {source.title}; lower network.tile."
                )


def runs(stamps: np.ndarray, lead: float, past: int) -> np.ndarray:
    """Find all runs of ``past + 1`` times that are ``lead`` hours apart.

    Parameters
    ----------
    stamps
        (time,) of a source, in any order.

    Returns
    -------
    ndarray
        (n, past + 1) indices into ``stamps``.

    >>> stamps = np.array(["2018-10-01T00", "2018-10-01T06", "2018-10-01T12"], "datetime64[h]")
    >>> runs(stamps, 6.0, 2)
    array([[0, 1, 2]])
    """
    hours = in_seconds(stamps) / 3600
    order = np.argsort(hours, kind="stable")
    columns = []
    for back in range(past, -1, -1):
        wanted = hours + lead * (1 - back)
        at = np.searchsorted(hours[order], wanted - 1e-3)
        place = order[np.clip(at, 0, len(order) - 1)]
        columns.append(np.where(np.abs(hours[place] - wanted) < 1e-3, place, -1))
    found = np.stack(columns, 1)
    return found[(found >= 0).all(1)]
