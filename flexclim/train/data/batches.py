"""Batches by step: what every task's patches have in common.

A patch is a function of (seed, step, position in the global batch) alone, so a run that is
resumed, or split over other ranks, sees the batches it would have seen.

Legend: B patches, C channels of inputs, T targets, L numbers of the label, H W a tile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from flexclim.errors import FlexclimError, RecipeError
from flexclim.models.settings import SUPERRES, ModelSettings

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

    from flexclim.sampling.local_scaling import Scaled
    from flexclim.train.data.splits import TrainingSource

AHEAD = 3  # batches that are made ahead
TRIES = 20
MIXING = 7  # sets the choice of tasks apart from that of patches

Patch = dict[str, np.ndarray]  # of one patch what Batch has of all, by its names


@dataclass(frozen=True)
class Batch:
    """Arrays of B patches of one task, float32.

    ``inputs`` (B, C, H, W) and ``residual`` (B, T, H, W) are in the network's units (a residual
    is NaN where the truth is missing or nothing varies), ``label`` is (B, L); ``scale`` (B, T) is
    the unit of the residual in that of the input which it adds to. ``base`` and ``amplitude``
    (B, T, H, W) are, in transformed units, what the residual adds to and its unit. ``later``, of
    forecasts that learn to roll out, is the residual (B, T, H, W) of what is ``ahead`` steps ahead,
    not one, from the same input.
    """

    inputs: np.ndarray
    residual: np.ndarray
    label: np.ndarray
    scale: np.ndarray
    base: np.ndarray | None = None
    amplitude: np.ndarray | None = None
    task: str = SUPERRES
    later: np.ndarray | None = None
    ahead: int = 1


def patch_of(scaled: Scaled, truth: np.ndarray, label: np.ndarray, scale: np.ndarray) -> Patch:
    """Return a patch from how it is seen and the residual (T, H, W) that is its answer."""
    return {
        "inputs": scaled.inputs,
        "residual": truth,
        "label": label,
        "scale": scale,
        "base": scaled.base.astype(np.float32),
        "amplitude": scaled.amplitude.astype(np.float32),
    }


class Batches:
    """Makes batches of one task by step."""

    task = SUPERRES
    workers = 0

    def patch(self, step: int, position: int) -> Patch:
        """Return what a network learns from one patch."""
        raise NotImplementedError

    def batch(self, step: int, size: int, first: int = 0) -> Batch:
        """Return the patches at positions ``first`` .. ``first + size - 1`` of one step."""
        patches = [self.patch(step, first + position) for position in range(size)]
        arrays: dict[str, Any] = {
            name: np.stack([patch[name] for patch in patches]) for name in patches[0]
        }
        if not arrays["label"].size:  # a network that is told nothing takes a zero
            arrays["label"] = np.zeros((size, 1), np.float32)
        return Batch(**arrays, task=self.task)

    def stream(self, steps: range, size: int, first: int = 0) -> Iterator[Batch]:
        """Yield the batches of ``steps``, made ahead by a thread or by ``workers`` processes."""
        if self.workers:
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


class Mixed(Batches):
    """Takes the batch of each step from one of several tasks.

    Parameters
    ----------
    parts
        By task.
    shares
        Share of steps of each task.
    seed
        Of the choice.
    """

    def __init__(
        self, parts: Mapping[str, Batches], shares: Mapping[str, float], seed: int
    ) -> None:
        self.parts, self.seed = dict(parts), seed
        self.workers = next(iter(parts.values())).workers
        weights = np.array([shares[task] for task in parts])
        self._shares = weights / weights.sum()

    def batch(self, step: int, size: int, first: int = 0) -> Batch:
        """Return the batch of the task that the step is for, the same on all ranks."""
        # Numpy takes [seed, step, 7] for [seed, step, 7, 0], which is the stream of a patch.
        random = np.random.default_rng([self.seed, step, 0, MIXING])
        task = random.choice(list(self.parts), p=self._shares)
        return self.parts[task].batch(step, size, first)


class Cut(Protocol):
    """What was cut from one source."""

    @property
    def source(self) -> TrainingSource:
        """Which one."""

    def seen(self, name: str) -> np.ndarray:
        """Return the field of a variable that the network is shown."""


C = TypeVar("C", bound=Cut)


def draw_known(
    random: np.random.Generator, sources: Sequence[TrainingSource], cut: Callable[[], C | None]
) -> C:
    """Return the first patch that is known, and holds rain where its source asks for that.

    Parameters
    ----------
    random
        Of the patch.
    cut
        Cuts a patch anywhere; returns None where too little is known.

    Returns
    -------
    Cut
        The wettest, if too many in a row hold too little rain.

    Raises
    ------
    RecipeError
        If too many in a row hold too few values.
    """
    rains = [source.settings.rain for source in sources]
    optional = any(rain is not None and rain.share < 1 for rain in rains)
    # One number for all tries, as many of which would else find dry ones good enough.
    urgency = random.random() if optional else 0.0
    wettest: tuple[float, C] | None = None
    for _ in range(TRIES):
        drawn = cut()
        if drawn is None:
            continue
        rain = drawn.source.settings.rain
        if rain is None or urgency >= rain.share:
            return drawn
        wet = float((drawn.seen(rain.variable or drawn.source.targets[0]) > rain.above).mean())
        if wet >= rain.wet:
            return drawn
        if wettest is None or wet > wettest[0]:
            wettest = wet, drawn
    if wettest is not None:
        return wettest[1]
    titles = ", ".join(sorted({source.title for source in sources}))
    raise RecipeError(
        f"{TRIES} patches in a row held less than half of their values in {titles}; crop the "
        "source to where it has values."
    )


def base_scale(settings: ModelSettings, sizes: Sequence[float], past: bool = False) -> np.ndarray:
    """Return (T,) float32 units of the residual in that of the input which it adds to.

    Parameters
    ----------
    settings
        From :meth:`ModelSettings.named`.
    sizes
        Standard deviations of the residual, of each target.
    past
        Whether targets add to their own past, else to a coarse input.
    """
    if past or settings.scaling == "local":
        return np.array(sizes, np.float32)
    assert settings.inputs is not None
    assert settings.targets is not None
    std = {variable.name: variable.std for variable in settings.inputs}
    units = [1.0 if target.base is None else std[target.base] for target in settings.targets]
    return np.divide(sizes, units).astype(np.float32)


class _Steps:
    """The batches of a rank by step, for a loader's workers.

    Errors are returned: raised, a worker's traceback would become part of their message.
    """

    def __init__(self, patches: Batches, size: int, first: int) -> None:
        self.patches, self.size, self.first = patches, size, first

    def __getitem__(self, step: int) -> Batch | FlexclimError:
        try:
            return self.patches.batch(step, self.size, self.first)
        except FlexclimError as error:
            return error


def _loader(
    patches: Batches, steps: range, size: int, first: int
) -> DataLoader[Batch | FlexclimError]:
    from torch.utils.data import DataLoader

    steps_of: Any = _Steps(patches, size, first)
    return DataLoader(
        steps_of,
        batch_size=None,
        sampler=steps,
        num_workers=patches.workers,
        prefetch_factor=AHEAD,
        collate_fn=_as_it_is,
        # Forked workers would share open files and the locks of other threads.
        multiprocessing_context="spawn",
    )


def _as_it_is(batch: Any) -> Any:
    return batch
