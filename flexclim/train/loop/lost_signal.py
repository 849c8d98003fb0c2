"""How much of a change signal a model reproduces that was trained on the colder half of its data.

The signal is the difference between the means of the warmer and of the colder half. That of the
model is the signal of the truth plus the difference between its biases in the two halves, since it
reads both halves' inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from flexclim.models.settings import SUPERRES, ModelSettings
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex
from flexclim.sampling.local_scaling import Scaled
from flexclim.sampling.network_inputs import physical
from flexclim.train.data.batches import Batch
from flexclim.train.data.common_units import CommonUnits
from flexclim.train.data.downscaling_patches import Patches
from flexclim.train.data.halves import area_means
from flexclim.train.data.paired_source import PairedSource
from flexclim.train.data.sources import TrainingSource, open_sources
from flexclim.train.data.training_data import TrainingData
from flexclim.train.loop.draws import draw
from flexclim.train.loop.losses import sample_members
from flexclim.train.recipes.recipe import Recipe

SEED = 40_000
PATCHES, MEMBERS, TIMES = 64, 4, 400  # of each half


@dataclass(frozen=True, kw_only=True)
class ChangeSignal:
    """The change of a variable from the colder to the warmer half, of the truth and of a model."""

    variable: str
    units: str
    truth: float
    model: float

    @property
    def lost_percent(self) -> float:
        """Share of the truth's signal that the model lacks; negative: it has more."""
        return 100 * (1 - self.model / self.truth) if self.truth else float("nan")

    def __str__(self) -> str:
        return (
            f"change of {self.variable} from the colder half (trained on) to the warmer: truth "
            f"{self.truth:.4g}, model {self.model:.4g} {self.units}".rstrip()
            + f"; {self.lost_percent:.1f} % of it lost"
        )


@torch.no_grad()
def change_signals(
    recipe: Recipe, data: TrainingData, network: Flex, device: torch.device
) -> list[ChangeSignal]:
    """Measure the change signal of each target on patches of both halves.

    Parameters
    ----------
    recipe
        With ``data.colder_half``.
    data
        Of the run, trained on the colder half.
    network
        With the weights to be tested.
    """
    settings = data.settings.named()
    warmer = open_sources(recipe.data, "warmer", CommonUnits(dict(data.units)))
    halves = [list(data.sources), warmer]
    biases = [_biases(sources, recipe, settings, network, device) for sources in halves]
    assert settings.targets is not None
    signals = []
    for number, target in enumerate(settings.targets):
        before, after = (_mean(sources, target.name) for sources in halves)
        change = float(biases[1][number] - biases[0][number])
        truth = after - before
        units = data.units.get(target.name, "")
        signals.append(
            ChangeSignal(variable=target.name, units=units, truth=truth, model=truth + change)
        )
    return signals


def scores_of(signals: Sequence[ChangeSignal]) -> dict[str, float]:
    """Return signals as scores of a card."""
    return {f"change_lost_percent_{one.variable}": one.lost_percent for one in signals}


def _biases(
    sources: Sequence[TrainingSource],
    recipe: Recipe,
    settings: ModelSettings,
    network: Flex,
    device: torch.device,
) -> np.ndarray:
    """Return the mean error (T,) of members on patches of some sources, in the targets' units."""
    # In mirrored patches, errors of vector components would have the other sign and cancel.
    data = recipe.data.model_copy(update={"augment": ()})
    patches = Patches(sources, data, settings, recipe.trainer.seed + 2)
    sums = np.zeros((2, len(settings.targets or ())))
    for position in range(PATCHES):
        batch = patches.batch(0, 1, position)
        members = _members(batch, position, settings, network, device)
        sums += _errors(batch, members, settings)
    return np.asarray(sums[0] / np.maximum(sums[1], 1))


def _members(
    batch: Batch, position: int, settings: ModelSettings, network: Flex, device: torch.device
) -> np.ndarray:
    """Return the sampled residuals (M, T, H, W) of one patch."""
    network.eval()
    inputs, label = (torch.from_numpy(one).to(device) for one in (batch.inputs, batch.label))
    shape = MEMBERS, *batch.residual.shape[1:]
    noise, _ = draw(SEED, 0, range(position, position + 1), 1, shape)
    diffusion = Diffusion.of(settings.diffusion)
    found, _ = sample_members(
        network, diffusion, inputs, label, noise.to(device), settings.steps, settings.method,
        SUPERRES,
    )  # fmt: skip
    return np.asarray(found[0].float().cpu().numpy())


def _errors(batch: Batch, members: np.ndarray, settings: ModelSettings) -> np.ndarray:
    """Return (2, T) sums of errors of the ensemble mean over known cells, and their number."""
    assert batch.base is not None
    assert batch.amplitude is not None
    assert settings.targets is not None
    scaled = Scaled(batch.base[0].astype(float), batch.inputs[0], batch.amplitude[0].astype(float))
    truth = physical(scaled, batch.residual[0], settings.targets)
    error = physical(scaled, members, settings.targets).mean(axis=0) - truth
    known = np.isfinite(error)
    return np.stack([np.where(known, error, 0).sum((1, 2)), known.sum((1, 2))])


def _mean(sources: Sequence[TrainingSource], name: str) -> float:
    """Return the mean of the truth over sources, by their weights, at up to ``TIMES`` times."""
    means = []
    for source in sources:
        if isinstance(source, PairedSource):
            series, times = source.fine_series[name], source.fine_times
        else:
            series, times = source.series[name], source.times
        some = np.unique(np.linspace(0, times.size - 1, TIMES).round().astype(int))
        means.append((float(np.nanmean(area_means(series, times[some]))), source.weight))
    values, weights = zip(*means, strict=True)
    return float(np.average(values, weights=weights))
