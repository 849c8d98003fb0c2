"""Patches for downscaling, cut at random offsets and times.

A patch depends on (seed, step, position in the global batch) alone. It is cut with enough
surroundings for its scaling to equal that of the whole field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from flexclim.cf.quantities import Direction, vector_direction
from flexclim.grids.domain import Kind
from flexclim.models.settings import SCALING_REACH, ModelSettings
from flexclim.sampling.labels import label_values
from flexclim.sampling.local_scaling import Scaled, fill_missing
from flexclim.sampling.network_inputs import downscaling_inputs, residual
from flexclim.sampling.statics import static_channels
from flexclim.train.data.batches import Patch, TaskBatches, Tiles, base_scale, draw_usable, patch_of
from flexclim.train.data.mirroring import components, mirror
from flexclim.train.data.sources import TrainingSource
from flexclim.train.data.windows import Window
from flexclim.train.recipes.data_settings import Data

LARGEST_INPUT = 10.0
TURNED: dict[Direction, Direction] = {"x": "y", "y": "x"}
STENCIL = 3  # coarse cells around a patch that bicubic interpolation reads


@dataclass(frozen=True)
class DrawnPatch:
    """A window, its coarse inputs (I, y, x) with gaps filled, its factor and its source."""

    window: Window
    coarse: np.ndarray
    factor: int
    source: TrainingSource

    @property
    def along(self) -> Direction | None:
        """Direction of the first target in this patch, which may be turned; None for scalars."""
        found = vector_direction(self.source.target_fields.named(self.source.targets[0]))
        return TURNED[found] if found and self.window.turned else found

    def read(self, name: str) -> np.ndarray:
        """Return a variable's coarse field, or its truth where it is not an input."""
        if name in self.source.inputs:
            return np.asarray(self.coarse[self.source.inputs.index(name)])
        return np.asarray(self.window.truth[self.source.targets.index(name)])


class Patches(TaskBatches):
    """Makes batches for downscaling.

    Parameters
    ----------
    sources
        From :func:`flexclim.train.data.sources.open_sources`.
    data
        Factors, the share of grids of points, augmentation.
    settings
        Settings of the model to be trained: tile, variables, scaling, normalisation.
    seed
        Seed of all random choices.
    tiles
        Sizes of patches. Default: that of the network's largest tile.
    """

    def __init__(
        self,
        sources: Sequence[TrainingSource],
        data: Data,
        settings: ModelSettings,
        seed: int,
        tiles: Tiles | None = None,
    ) -> None:
        self.sources, self.data, self.seed, self.workers = sources, data, seed, data.workers
        self.settings = settings.named()
        self.tiles = tiles or (settings.network.tile,)
        weights = np.array([source.weight for source in sources])
        self._source_shares: np.ndarray = weights / weights.sum()
        shares = np.array(list(data.factors.values()))
        self._factor_shares: np.ndarray = shares / shares.sum()
        self._components = [components(source, data) for source in sources]
        self._reach = SCALING_REACH if settings.scaling == "local" else STENCIL

    def patch(self, step: int, position: int) -> Patch:
        """Return the patch at a position of the global batch of one step."""
        drawn = self.draw(step, position)
        scaled, truth = self.scaled(drawn)
        settings, factor = self.settings, drawn.factor
        label = label_values(
            settings.labels,
            factor=factor,
            spacing_km=drawn.source.grid.spacing_km,
            along=drawn.along,
            when=drawn.window.time,
            variable=drawn.source.targets[0],
            known=drawn.source.settings.label,
        )
        scale = base_scale(settings, settings.residual_scale[factor])
        return patch_of(scaled, truth, label, scale, factor)

    def draw(self, step: int, position: int) -> DrawnPatch:
        """Return the raw fields of one patch.

        Raises
        ------
        RecipeError
            If too many windows in a row lack too many values.
        """
        random = np.random.default_rng([self.seed, step, position])
        tile = self.tile_of(step)
        return draw_usable(random, self.sources, lambda: self._cut(random, tile))

    def _cut(self, random: np.random.Generator, tile: tuple[int, int]) -> DrawnPatch | None:
        number = random.choice(len(self.sources), p=self._source_shares)
        source = self.sources[number]
        factor = int(random.choice(list(self.data.factors), p=self._factor_shares))
        kind: Kind = "point" if random.random() < self.data.points else "cell"
        window = source.cut(random, factor, kind, tile, self._reach)
        window = self._augmented(window, int(number), random)
        if _too_empty(window):
            return None
        return DrawnPatch(window, fill_missing(window.coarse(factor)), factor, source)

    def _augmented(self, window: Window, number: int, random: np.random.Generator) -> Window:
        for axis, name in enumerate(("flip_y", "flip_x")):
            if name in self.data.flips and random.random() < 0.5:
                window = mirror(window, axis, self._components[number])
        if "turn" in self.data.flips and _may_turn(window) and random.random() < 0.5:
            window = window.transposed()
        if self.sources[number].settings.signed and random.random() < 0.5:
            window = replace(window, inputs=-window.inputs, targets=-window.targets)
        return window

    def scaled(self, drawn: DrawnPatch) -> tuple[Scaled, np.ndarray]:
        """Return a patch with scaled inputs, and its scaled residual (T, H, W)."""
        window, factor = drawn.window, drawn.factor
        rows, columns = window.inner
        wide = downscaling_inputs(
            drawn.coarse, window.domain.coarsen(factor), factor, self.settings
        )(rows)
        scaled = Scaled(*(part[..., columns] for part in (wide.base, wide.inputs, wide.amplitude)))
        assert self.settings.targets is not None
        truth = residual(scaled, window.truth, self.settings.targets).astype(np.float32)
        inputs = scaled.inputs
        if self.settings.scaling == "local":
            # Division by an amplitude near 0 would turn rounding errors into large values.
            inputs = np.clip(inputs, -LARGEST_INPUT, LARGEST_INPUT)
            truth = np.clip(truth, -LARGEST_INPUT, LARGEST_INPUT)
        if self.settings.statics:
            fixed = static_channels(
                window.predictors, self.settings.statics, truth.shape[-2:], window.time
            )
            inputs = np.concatenate([inputs, fixed])
        return replace(scaled, inputs=inputs), truth


def _may_turn(window: Window) -> bool:
    """Return whether rows and columns are interchangeable, which they are not on the sphere."""
    height, width = window.truth.shape[-2:]
    return window.row_sines is None and height == width


def _too_empty(window: Window) -> bool:
    """Return whether a target, or a pair's input, lacks half of its values, or an input all."""
    checked = (window.truth, window.inputs) if window.paired else (window.truth,)
    if not np.isfinite(window.inputs).any(axis=(1, 2)).all():
        return True
    return any(bool((np.isfinite(part).mean(axis=(1, 2)) < 0.5).any()) for part in checked)
