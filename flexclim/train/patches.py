"""Patches at random offsets: what the network learns from.

A patch is a function of (seed, step, position in the global batch) alone, so a run that is
resumed, or split over other ranks, sees the batches it would have seen. Each is cut with enough
of its surroundings that its scaling is that of the whole field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from flexclim.channels import residual, see
from flexclim.domain import Kind
from flexclim.errors import FlexclimError, RecipeError
from flexclim.fields import REACH, Scaled, fill_missing
from flexclim.settings import ModelSettings
from flexclim.statics import static_channels
from flexclim.train.augment import components, mirror
from flexclim.train.data import Data
from flexclim.train.splits import TrainingSource
from flexclim.train.splits import open_sources as open_sources
from flexclim.train.windows import Window

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

TRIES = 20
LARGEST_INPUT = 10.0
AHEAD = 3  # batches that are made ahead
STENCIL = 3  # coarse cells around a patch that bicubic interpolation reads


@dataclass(frozen=True)
class Batch:
    """Arrays of B patches, float32.

    ``inputs`` (B, C, H, W) and ``residual`` (B, T, H, W) are in the network's units (a residual
    is NaN where the truth is missing or nothing varies), ``factor`` is (B,).
    """

    inputs: np.ndarray
    residual: np.ndarray
    factor: np.ndarray


@dataclass(frozen=True)
class Drawn:
    """A window, its coarse inputs (I, y, x) without NaN, and its factor."""

    window: Window
    coarse: np.ndarray
    factor: int


class Patches:
    """Makes batches by step.

    Parameters
    ----------
    sources
        From :func:`open_sources`.
    data
        Factors, the share of grids of points, augmentation.
    settings
        Of the model that is trained: tile, variables, scaling, normalisation.
    seed
        Of all choices.
    """

    def __init__(
        self, sources: Sequence[TrainingSource], data: Data, settings: ModelSettings, seed: int
    ) -> None:
        self.sources, self.data, self.seed = sources, data, seed
        self.settings = settings.named()
        self.tile = settings.network.tile
        weights = np.array([source.weight for source in sources])
        self._source_share = weights / weights.sum()
        shares = np.array(list(data.factors.values()))
        self._factor_share = shares / shares.sum()
        self._components = [components(source, data) for source in sources]
        self._reach = REACH if settings.scaling == "local" else STENCIL

    def batch(self, step: int, size: int, first: int = 0) -> Batch:
        """Return the patches at positions ``first`` .. ``first + size - 1`` of one step."""
        patches = [self.patch(step, first + position) for position in range(size)]
        stacked: list[Any] = [np.stack(parts) for parts in zip(*patches, strict=True)]
        return Batch(*stacked)

    def stream(self, steps: range, size: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``steps``, made ahead by a thread or by ``data.workers``."""
        if self.data.workers:
            for made in _loader(self, steps, size, first):
                if isinstance(made, FlexclimError):
                    raise made
                yield made
            return
        with ThreadPoolExecutor(1) as pool:
            waiting = [pool.submit(self.batch, step, size, first) for step in steps[:AHEAD]]
            for step in steps:
                yield waiting.pop(0).result()
                if step + AHEAD in steps:
                    waiting.append(pool.submit(self.batch, step + AHEAD, size, first))

    def patch(self, step: int, position: int) -> tuple[np.ndarray, np.ndarray, np.float32]:
        """Return (inputs, residual, factor) of one patch."""
        drawn = self.draw(step, position)
        inputs, truth = self._scaled(drawn)
        return inputs, truth, np.float32(drawn.factor)

    def draw(self, step: int, position: int) -> Drawn:
        """Return the raw fields of one patch.

        Raises
        ------
        RecipeError
            If too many windows in a row hold too few values.
        """
        random = np.random.default_rng([self.seed, step, position])
        urgency = random.random() if self._some_rain_is_optional() else 0.0
        wettest: tuple[float, Drawn] | None = None
        for _ in range(TRIES):
            number = random.choice(len(self.sources), p=self._source_share)
            source = self.sources[number]
            factor = int(random.choice(list(self.data.factors), p=self._factor_share))
            kind: Kind = "point" if random.random() < self.data.points else "cell"
            window = source.cut(random, factor, kind, self.tile, self._reach)
            window = self._augmented(window, int(number), random)
            if _too_empty(window):
                continue
            drawn = Drawn(window, fill_missing(window.coarse(factor)), factor)
            rain = source.settings.rain
            if rain is None or urgency >= rain.share:
                return drawn
            wet = self._wetness(drawn, source)
            if wet >= rain.wet:
                return drawn
            if wettest is None or wet > wettest[0]:
                wettest = wet, drawn
        if wettest is not None:
            return wettest[1]
        titles = ", ".join(sorted({source.title for source in self.sources}))
        raise RecipeError(
            f"{TRIES} patches in a row held less than half of their values in {titles}; crop the "
            "source to where it has values."
        )

    def _augmented(self, window: Window, number: int, random: np.random.Generator) -> Window:
        for axis, name in enumerate(("flip_y", "flip_x")):
            if name in self.data.flips and random.random() < 0.5:
                window = mirror(window, axis, self._components[number])
        if self.sources[number].settings.signed and random.random() < 0.5:
            window = replace(window, inputs=-window.inputs, targets=-window.targets)
        return window

    def _some_rain_is_optional(self) -> bool:
        rains = [source.settings.rain for source in self.sources]
        return any(rain is not None and rain.share < 1 for rain in rains)

    def _wetness(self, drawn: Drawn, source: TrainingSource) -> float:
        """Return the share of cells above the limit, of the coarse field where there is one."""
        rain = source.settings.rain
        assert rain is not None
        name = rain.variable or source.targets[0]
        if name in source.inputs:
            field = drawn.coarse[source.inputs.index(name)]
        else:
            field = drawn.window.truth[source.targets.index(name)]
        return float((field > rain.above).mean())

    def _scaled(self, drawn: Drawn) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs (C, H, W) and residual (T, H, W) in the network's units."""
        window, factor = drawn.window, drawn.factor
        whole = see(drawn.coarse, window.domain.coarsen(factor), factor, self.settings)
        inner = (slice(None), *window.inner)
        scaled = Scaled(whole.base[inner], whole.inputs[inner], whole.amplitude[inner])
        assert self.settings.targets is not None
        truth = residual(scaled, window.truth, self.settings.targets).astype(np.float32)
        inputs = scaled.inputs
        if self.settings.scaling == "local":
            # An amplitude near 0 makes rounding look like weather.
            inputs = np.clip(inputs, -LARGEST_INPUT, LARGEST_INPUT)
            truth = np.clip(truth, -LARGEST_INPUT, LARGEST_INPUT)
        if self.settings.statics:
            fixed = static_channels(
                window.predictors, self.settings.statics, self.tile, window.time
            )
            inputs = np.concatenate([inputs, fixed])
        return inputs, truth


def _too_empty(window: Window) -> bool:
    """Say whether less than half of a target, or of a pair's input, is known."""
    known = np.isfinite(window.truth).mean(axis=(1, 2)) < 0.5
    if known.any():
        return True
    return window.paired and bool((np.isfinite(window.inputs).mean(axis=(1, 2)) < 0.5).any())


class _Steps:
    """The batches of a rank by step, for a loader's workers.

    Errors are returned: raised, a worker's traceback would become part of their message.
    """

    def __init__(self, patches: Patches, size: int, first: int) -> None:
        self.patches, self.size, self.first = patches, size, first

    def __getitem__(self, step: int) -> Batch | FlexclimError:
        try:
            return self.patches.batch(step, self.size, self.first)
        except FlexclimError as error:
            return error


def _loader(
    patches: Patches, steps: range, size: int, first: int
) -> DataLoader[Batch | FlexclimError]:
    from torch.utils.data import DataLoader

    steps_of: Any = _Steps(patches, size, first)
    return DataLoader(
        steps_of,
        batch_size=None,
        sampler=steps,
        num_workers=patches.data.workers,
        prefetch_factor=AHEAD,
        collate_fn=_as_it_is,
        # Forked workers would share open files and the locks of other threads.
        multiprocessing_context="spawn",
    )


def _as_it_is(batch: Any) -> Any:
    return batch
