"""Patches of forecasts: some snapshots a lead apart, and the one that follows them.

Legend: K snapshots that are read, T variables, Y X the whole field, H W a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from flexclim.cf.times import seconds_of
from flexclim.errors import RecipeError
from flexclim.grids.operators import ALL
from flexclim.models.settings import FORECAST, ModelSettings
from flexclim.sampling.labels import label_values
from flexclim.sampling.local_scaling import Scaled, fill_missing
from flexclim.sampling.network_inputs import forecast_inputs, residual
from flexclim.sampling.statics import static_channels
from flexclim.train.data.augment import components
from flexclim.train.data.batches import Batch, Batches, Patch, base_scale, draw_known, patch_of
from flexclim.train.data.pairs import Pair
from flexclim.train.data.splits import TrainingSource
from flexclim.train.data.windows import Coarsened, read_window, stored
from flexclim.train.recipes.data_settings import Data

ROLLING = 5  # sets the length of roll-outs apart from the choice of patches


@dataclass(frozen=True)
class Drawn:
    """Snapshots (K + R, T, H, W), NaN where missing: K to be read, those of a roll-out to forecast.

    ``statics`` are the static fields there, ``lead`` is in hours, ``time`` that of the last
    snapshot that is read.
    """

    fields: np.ndarray
    statics: dict[str, np.ndarray]
    lead: float
    time: Any
    source: Coarsened
    past: int

    def seen(self, name: str) -> np.ndarray:
        """Return a variable's last snapshot that is read."""
        return self.fields[self.past - 1, self.source.targets.index(name)]


class Sequences(Batches):
    """Makes batches for forecasting by step.

    Parameters
    ----------
    sources
        From :func:`flexclim.train.data.splits.open_sources`.
    data
        Leads and their shares, augmentation.
    settings
        Of the model that is trained.
    seed
        Of all choices.

    Raises
    ------
    RecipeError
        If no source has as many snapshots as that, any of the leads apart.
    """

    task = FORECAST

    def __init__(
        self, sources: Sequence[TrainingSource], data: Data, settings: ModelSettings, seed: int
    ) -> None:
        self.data, self.settings, self.seed, self.workers = data, settings, seed, data.workers
        self.tile = settings.network.tile
        self.sources = [source for source in sources if not isinstance(source, Pair)]
        hours = data.forecast.hours
        self.past = data.forecast.past
        last = self.past + data.forecast.rollout - 1
        found = [[runs(source.stamps, lead, last) for lead in hours] for source in self.sources]
        self._runs = found
        by_lead = [list(zip(hours.values(), own, strict=True)) for own in found]
        # A lead that a source has no run of is not drawn there.
        self._shares = np.array(
            [
                [source.weight * share * (len(one) > 0) for share, one in pairs]
                for source, pairs in zip(self.sources, by_lead, strict=True)
            ]
        )
        self._check(list(data.forecast.leads))
        self._shares /= self._shares.sum()
        self._components = [components(source, data) for source in self.sources]

    def ahead(self, step: int) -> int:
        """Return how many steps a roll-out takes, the same for all patches of a step."""
        random = np.random.default_rng([self.seed, step, 0, ROLLING])
        return int(random.integers(self.data.forecast.rollout)) + 1

    def batch(self, step: int, size: int, first: int = 0) -> Batch:
        """Return patches of one step, and how many steps ahead what is later lies."""
        return replace(super().batch(step, size, first), ahead=self.ahead(step))

    def patch(self, step: int, position: int) -> Patch:
        """Return what a network learns from one patch, and what is later if it rolls out."""
        return self.learnt(self.draw(step, position), self.ahead(step))

    def learnt(self, drawn: Drawn, ahead: int = 1) -> Patch:
        """Return what a network learns from what was drawn, and what is later."""
        settings = self.settings
        assert settings.forecast is not None
        scaled = self._seen(drawn)
        truth, *later = (
            self._changes(drawn, scaled, drawn.fields[self.past + one - 1])
            for one in ((1, ahead) if self.data.forecast.rollout > 1 else (1,))
        )
        label = label_values(
            settings.labels, lead=drawn.lead, when=drawn.time, known=drawn.source.settings.label
        )
        size = settings.forecast.residual_scale[settings.forecast.leads.index(drawn.lead)]
        patch = patch_of(scaled, truth, label, base_scale(settings, size, past=True))
        return patch | ({"later": later[0]} if later else {})

    def _seen(self, drawn: Drawn) -> Scaled:
        """Return the past as the network sees it."""
        statics = None
        if self.settings.statics:
            statics = static_channels(drawn.statics, self.settings.statics, self.tile, drawn.time)
        past = fill_missing(drawn.fields[: self.past])
        return forecast_inputs(past, drawn.lead, self.settings, statics)(ALL)

    def _changes(self, drawn: Drawn, scaled: Scaled, truth: np.ndarray) -> np.ndarray:
        """Return by how much a later snapshot (T, H, W) differs from the last one that is read."""
        assert self.settings.targets is not None
        changes = residual(scaled, truth, self.settings.targets).astype(np.float32)
        # What persists where nothing is known is made up.
        known = np.isfinite(drawn.fields[self.past - 1])
        return np.where(known, changes, np.float32(np.nan))

    def draw(self, step: int, position: int) -> Drawn:
        """Return the raw fields of one patch.

        Raises
        ------
        RecipeError
            If too many patches in a row hold too few values.
        """
        random = np.random.default_rng([self.seed, step, position])
        return draw_known(random, self.sources, lambda: self._cut(random))

    def _cut(self, random: np.random.Generator) -> Drawn | None:
        place = random.choice(self._shares.size, p=self._shares.ravel())
        number, lead = map(int, np.unravel_index(place, self._shares.shape))
        source, runs_of = self.sources[number], self._runs[number][lead]
        indices = runs_of[random.integers(len(runs_of))]
        grid = source.grid
        height, width = grid.domain.shape
        rows = random.integers(height - self.tile[0] + 1) + np.arange(self.tile[0])
        if grid.domain.wrap:
            columns = (random.integers(width) + np.arange(self.tile[1])) % width
        else:
            columns = random.integers(width - self.tile[1] + 1) + np.arange(self.tile[1])
        own = stored(grid, rows, columns)
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
        if source.settings.signed and random.random() < 0.5:
            fields = -fields
        for axis, name in enumerate(("flip_y", "flip_x")):
            if name in self.data.flips and random.random() < 0.5:
                fields = np.flip(fields, axis - 2).copy()
                turned = self._components[number][f"targets {'yx'[axis]}"]
                fields[:, list(turned)] *= -1
                statics = {key: np.flip(field, axis) for key, field in statics.items()}
        hours = list(self.data.forecast.hours)[lead]
        if (np.isfinite(fields).mean((-2, -1)) < 0.5).any():
            return None
        now = source.stamps[indices[self.past - 1]]
        return Drawn(fields, statics, hours, now, source, self.past)

    def _check(self, leads: Sequence[str]) -> None:
        if not self._shares.any():
            titles = ", ".join(sorted({source.title for source in self.sources}))
            raise RecipeError(
                f"{titles} has no {self.past + self.data.forecast.rollout} times of one split that "
                f"are {' or '.join(leads)} apart; change data.forecast.leads, lower "
                "data.forecast.past or data.forecast.rollout, or give a longer split."
            )
        for source in self.sources:
            if any(a > b for a, b in zip(self.tile, source.grid.domain.shape, strict=True)):
                raise RecipeError(
                    f"a patch of {self.tile[0]} x {self.tile[1]} cells is larger than the field of "
                    f"{source.grid.domain.shape} in {source.title}; lower network.tile."
                )


def runs(stamps: np.ndarray, lead: float, past: int) -> np.ndarray:
    """Return the indices (n, past + 1) of times that follow each other ``lead`` hours apart.

    Parameters
    ----------
    stamps
        (time,) datetime64, cftime, or counts: those are taken as hours.

    >>> stamps = np.array(["2018-10-01T00", "2018-10-01T06", "2018-10-01T12"], "datetime64[h]")
    >>> runs(stamps, 6.0, 2)
    array([[0, 1, 2]])
    """
    hours = stamps.astype(float) if stamps.dtype.kind == "i" else seconds_of(stamps) / 3600
    order = np.argsort(hours, kind="stable")
    columns = []
    for back in range(past, -1, -1):
        wanted = hours + lead * (1 - back)
        at = np.searchsorted(hours[order], wanted - 1e-3)
        place = order[np.clip(at, 0, len(order) - 1)]
        columns.append(np.where(np.abs(hours[place] - wanted) < 1e-3, place, -1))
    found = np.stack(columns, 1)
    return found[(found >= 0).all(1)]
