"""Batches of training patches by step, and what the patches of all tasks share.

A patch depends on (seed, step, position in the global batch) alone, so a run that is resumed, or
split over another number of ranks, trains on the same batches.

Legend: B patches, C input channels, S static ones among them, T targets, L entries of the label, H
W rows and columns of a tile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

import numpy as np

from flexclim.errors import FlexclimError, RecipeError
from flexclim.models.settings import SUPERRES, ModelSettings

if TYPE_CHECKING:
    from torch.utils.data import DataLoader, Dataset

    from flexclim.sampling.local_scaling import Scaled
    from flexclim.train.data.sources import TrainingSource

Tiles = tuple[tuple[int, int], ...]

PREFETCHED = 3  # batches prepared ahead of the step that needs them
TRIES = 20
# They keep the random choices of tasks and of sizes independent of that of patches.
TASK_STREAM, TILE_STREAM = 7, 13


@dataclass(frozen=True)
class Patch:
    """Arrays of one patch, float32; a :class:`Batch` stacks those of B patches."""

    inputs: np.ndarray
    residual: np.ndarray
    label: np.ndarray
    scale: np.ndarray
    base: np.ndarray
    amplitude: np.ndarray
    factor: int = 0
    later: np.ndarray | None = None
    statics_ahead: np.ndarray | None = None
    label_ahead: np.ndarray | None = None
    nearest: np.ndarray | None = None


@dataclass(frozen=True)
class Batch:
    """Arrays of B patches of one task, float32.

    ``inputs`` (B, C, H, W) and ``residual`` (B, T, H, W) are normalised; a residual is NaN where
    the truth is missing or the field is constant. ``label`` is (B, L). ``scale`` (B, T) is the unit
    of the residual over that of the input to which it is added. ``base`` and ``amplitude`` (B, T,
    H, W), in transformed units, are what the residual is added to and its unit. ``factor`` (B,) is
    the refinement factor, 0 for forecasts. ``later``, for forecasts trained by roll-out, is the
    residual (B, T, H, W) ``ahead`` steps ahead of the same inputs, instead of one step. The steps
    between, A = ``ahead`` - 1 of them, read the static channels ``statics_ahead`` (B, A, S, H, W)
    and ``label_ahead`` (B, A, L) of their own times; gaps in what they read are filled from the
    cells ``nearest`` (B, T, H, W), as indices into a plane of H W cells.
    """

    inputs: np.ndarray
    residual: np.ndarray
    label: np.ndarray
    scale: np.ndarray
    base: np.ndarray | None = None
    amplitude: np.ndarray | None = None
    factor: np.ndarray | None = None
    task: str = SUPERRES
    later: np.ndarray | None = None
    ahead: int = 1
    statics_ahead: np.ndarray | None = None
    label_ahead: np.ndarray | None = None
    nearest: np.ndarray | None = None


def patch_of(
    scaled: Scaled, residual: np.ndarray, label: np.ndarray, scale: np.ndarray, factor: int = 0
) -> Patch:
    """Return a patch from its scaled inputs and the residual (T, H, W) to be learned."""
    return Patch(
        scaled.inputs,
        residual,
        label,
        scale,
        scaled.base.astype(np.float32),
        scaled.amplitude.astype(np.float32),
        factor,
    )


class Batches(ABC):
    """Makes the batch of each step.

    ``workers`` is the number of processes that prepare batches; 0: one thread.
    """

    workers = 0

    @abstractmethod
    def batch(self, step: int, size: int, first: int = 0) -> Batch:
        """Return the patches at positions ``first`` to ``first + size - 1`` of one step."""

    def stream(self, steps: range, size: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``steps``, prepared ahead by a thread or by worker processes."""
        if self.workers:
            for made in _loader(self, steps, size, first):
                if isinstance(made, FlexclimError):
                    raise made
                yield made
            return
        with ThreadPoolExecutor(1) as pool:
            waiting = [pool.submit(self.batch, step, size, first) for step in steps[:PREFETCHED]]
            for step in steps:
                yield waiting.pop(0).result()
                if step + PREFETCHED in steps:
                    waiting.append(pool.submit(self.batch, step + PREFETCHED, size, first))


class TaskBatches(Batches):
    """Makes batches of a single task, patch by patch.

    ``tiles`` are the sizes of patches; all patches of a step have the same size.
    """

    task = SUPERRES
    seed: int
    tiles: Tiles

    def tile_of(self, step: int) -> tuple[int, int]:
        """Return the size of the patches of a step."""
        if len(self.tiles) == 1:
            return self.tiles[0]
        random = np.random.default_rng([self.seed, step, 0, TILE_STREAM])
        return self.tiles[int(random.integers(len(self.tiles)))]

    @abstractmethod
    def patch(self, step: int, position: int) -> Patch:
        """Return the patch at a position of the global batch of one step."""

    def batch(self, step: int, size: int, first: int = 0) -> Batch:
        """Return the patches at positions ``first`` to ``first + size - 1`` of one step."""
        patches = [self.patch(step, first + position) for position in range(size)]
        arrays = {
            field.name: np.stack([getattr(patch, field.name) for patch in patches])
            for field in fields(Patch)
            if getattr(patches[0], field.name) is not None
        }
        for name in {"label", "label_ahead"} & arrays.keys():
            if not arrays[name].size:  # a network without a label reads a zero
                arrays[name] = np.zeros((*arrays[name].shape[:-1], 1), np.float32)
        return Batch(
            inputs=arrays["inputs"],
            residual=arrays["residual"],
            label=arrays["label"],
            scale=arrays["scale"],
            base=arrays["base"],
            amplitude=arrays["amplitude"],
            factor=arrays["factor"],
            task=self.task,
            later=arrays.get("later"),
            statics_ahead=arrays.get("statics_ahead"),
            label_ahead=arrays.get("label_ahead"),
            nearest=arrays.get("nearest"),
        )


class MixedBatches(Batches):
    """Draws a task for each step and returns its batch.

    Parameters
    ----------
    parts
        Batches by task.
    shares
        Share of steps of each task.
    seed
        Seed of the choice of tasks.
    """

    def __init__(
        self, parts: Mapping[str, Batches], shares: Mapping[str, float], seed: int
    ) -> None:
        self.parts, self.seed = dict(parts), seed
        self.workers = next(iter(parts.values())).workers
        weights = np.array([shares[task] for task in parts])
        self._shares = weights / weights.sum()

    def batch(self, step: int, size: int, first: int = 0) -> Batch:
        """Return the batch of the task drawn for the step, which is the same on all ranks."""
        # NumPy reads [seed, step, 7] as [seed, step, 7, 0], which is the stream of a patch.
        random = np.random.default_rng([self.seed, step, 0, TASK_STREAM])
        task = random.choice(list(self.parts), p=self._shares)
        return self.parts[task].batch(step, size, first)


class Drawn(Protocol):
    """Raw fields of a patch, cut from one source."""

    @property
    def source(self) -> TrainingSource:
        """The source."""

    def read(self, name: str) -> np.ndarray:
        """Return the field of a variable that the network reads."""


D = TypeVar("D", bound=Drawn)


def draw_usable(
    random: np.random.Generator, sources: Sequence[TrainingSource], cut: Callable[[], D | None]
) -> D:
    """Return the first patch with enough values, and with enough rain where its source wants some.

    Parameters
    ----------
    random
        Random numbers of the patch.
    cut
        Cuts a patch at a random place; returns None where too many values are missing.

    Returns
    -------
    Drawn
        The wettest patch drawn if none of ``TRIES`` holds enough rain.

    Raises
    ------
    RecipeError
        If ``TRIES`` patches in a row lack too many values.
    """
    rains = [source.settings.rain for source in sources]
    optional = any(rain is not None and rain.share < 1 for rain in rains)
    # One number for all tries: with one for each, nearly every patch would pass in the end.
    urgency = random.random() if optional else 0.0
    wettest: tuple[float, D] | None = None
    for _ in range(TRIES):
        drawn = cut()
        if drawn is None:
            continue
        rain = drawn.source.settings.rain
        if rain is None or urgency >= rain.share:
            return drawn
        wet = float((drawn.read(rain.variable or drawn.source.targets[0]) > rain.above).mean())
        if wet >= rain.wet:
            return drawn
        if wettest is None or wet > wettest[0]:
            wettest = wet, drawn
    if wettest is not None:
        return wettest[1]
    titles = ", ".join(sorted({source.title for source in sources}))
    raise RecipeError(
        f"{TRIES} patches in a row had values in less than half of their cells in {titles}; crop "
        "the source to the region with values."
    )


def base_scale(settings: ModelSettings, sizes: Sequence[float], past: bool = False) -> np.ndarray:
    """Return (T,) float32 units of the residual over those of the input to which it is added.

    Parameters
    ----------
    settings
        From :meth:`ModelSettings.named`.
    sizes
        Standard deviation of each target's residual.
    past
        Whether residuals are added to the targets' own past rather than to a coarse input.
    """
    if past or settings.scaling == "local":
        return np.array(sizes, np.float32)
    assert settings.inputs is not None
    assert settings.targets is not None
    std = {variable.name: variable.std for variable in settings.inputs}
    units = [1.0 if target.base is None else std[target.base] for target in settings.targets]
    return np.divide(sizes, units).astype(np.float32)


class _BatchesOfRank:
    """A rank's batches by step, for the workers of a loader.

    Errors are returned: if a worker raised one, its traceback would become part of the message.
    """

    def __init__(self, batches: Batches, size: int, first: int) -> None:
        self.batches, self.size, self.first = batches, size, first

    def __getitem__(self, step: int) -> Batch | FlexclimError:
        try:
            return self.batches.batch(step, self.size, self.first)
        except FlexclimError as error:
            return error


def _loader(
    batches: Batches, steps: range, size: int, first: int
) -> DataLoader[Batch | FlexclimError]:
    from torch.utils.data import DataLoader

    own = cast("Dataset[Batch | FlexclimError]", _BatchesOfRank(batches, size, first))
    return DataLoader(
        own,
        batch_size=None,
        sampler=steps,
        num_workers=batches.workers,
        prefetch_factor=PREFETCHED,
        collate_fn=_unchanged,  # type: ignore[arg-type]
        # Forked workers would share open files and the locks of other threads.
        multiprocessing_context="spawn",
    )


def _unchanged(batch: Batch | FlexclimError) -> Batch | FlexclimError:
    return batch
