"""Validation scores of the averaged weights, on times not used in training.

Legend: B patches, M members, T channels of the residual, R rings of wavenumbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from flexclim.models.settings import FORECAST, SUPERRES, ModelSettings
from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex
from flexclim.train.loop.draws import draw, draw_amplitudes
from flexclim.train.loop.losses import DenoisingLoss, filled, ring_power, sample_members
from flexclim.train.loop.pictures import ROWS, Sampled
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.training_step import tensors

if TYPE_CHECKING:
    from flexclim.train.data.batches import Batch

SEED = 20_000
# The forecast of a network whose output is 0, by task.
BASELINES = {SUPERRES: "interpolation", FORECAST: "persistence"}
BANDS = ((2, 4), (4, 8), (8, 16))  # wavelengths in cells


class Validation:
    """Scores a network on fixed patches, with fixed diffusion times and noise.

    Parameters
    ----------
    settings
        Scaling of the patches, and the sampler.
    batch
        This rank's patches.
    positions
        Their positions among the patches of all ranks.
    size
        Samples in one forward pass.

    Attributes
    ----------
    sampled
        What :meth:`scores` sampled last, to be drawn.
    """

    sampled: Sampled

    def __init__(
        self, settings: ModelSettings, batch: Batch, positions: range, size: int, ranks: Ranks
    ) -> None:
        self.settings, self.ranks = settings.named(), ranks
        self.batch, self.positions, self.size = batch, positions, size

    @torch.no_grad()
    def losses(self, network: Flex, diffusion: Diffusion) -> dict[str, float]:
        """Return ``validation``, the denoising loss at t = 1/4, 1/2, 3/4 and 1, and ``rmse``.

        ``rmse`` is the root mean square error of the one-step estimate from pure noise (close to
        the ensemble mean), divided by that of interpolation, or of persistence for forecasts.
        """
        network.eval()
        loss = DenoisingLoss(network, diffusion)
        sums = torch.zeros(4, dtype=torch.float64)
        for positions, inputs, residual, label in self._parts(1):
            noise = self._noise(positions, (1, *residual.shape[1:]))[:, 0]
            t = (torch.tensor(list(positions), device=residual.device) % 4 + 1) / 4
            task = self.batch.task
            mean = loss(inputs, residual, label, noise, t, task)
            _, first = sample_members(
                network, diffusion, inputs, label, noise[:, None], 1, self.settings.method, task
            )
            truth, known = filled(residual)
            error = (first[:, 0] * known - truth).double().square().sum()
            total = truth.double().square().sum()
            count = len(positions)
            part = mean.double() * count, error, total, total.new_tensor(count)
            sums += torch.stack(part).cpu()
        loss_sum, error, total, count = self.ranks.sum(sums).tolist()
        return {"validation": loss_sum / count, "rmse": _root(error, total)}

    @torch.no_grad()
    def scores(self, network: Flex, diffusion: Diffusion, members: int) -> dict[str, float]:
        """Return the scores of a sampled ensemble.

        Returns
        -------
        dict
            ``crps``: fair CRPS over the mean absolute error of interpolation (of persistence for
            forecasts), ``crps_NAME`` for each of several targets; ``spread_skill``: spread over
            the error of the ensemble mean, corrected for ensemble size (Fortin et al. 2014);
            ``log_spectral_distance`` in dB, and ``power_2_4`` ...: the power of wavelengths of 2 to
            4 ... cells relative to the truth. The last two are of normalised fields, and
            ``interpolation_...`` or ``persistence_...`` are those of the baseline.
        """
        network.eval()
        settings, points, powers = self.settings, [], []
        shown: list[list[list[Tensor]]] = []  # by part, target and kind of field
        for positions, inputs, residual, label in self._parts(members):
            noise = self._noise(positions, (members, *residual.shape[1:]))
            found, _ = sample_members(
                network, diffusion, inputs, label, noise, settings.steps, settings.method,
                self.batch.task,
            )  # fmt: skip
            truth, known = filled(residual)
            found = found * known[:, None]
            points.append(_point_sums(found.double(), truth.double()))
            fields = list(self._fields(positions, inputs, truth, found))
            powers.append(_powers(fields))
            if len(shown) < ROWS:
                shown.append([[f[:ROWS, :2].float().cpu() for f in one] for one in fields])
        points_sum = self.ranks.sum(torch.stack(points).sum(0).cpu())
        powers_sum = self.ranks.sum(torch.stack(powers).sum(0).cpu())
        self.sampled = self._sampled(shown, powers_sum)
        return self._point_scores(points_sum, members) | self._spectral_scores(powers_sum)

    def _parts(self, members: int) -> Iterator[tuple[range, Tensor, Tensor, Tensor]]:
        size = max(1, self.size // members)
        for first in range(0, len(self.positions), size):
            chosen = slice(first, first + size)
            yield self.positions[chosen], *tensors(self.batch, self.ranks.device, chosen)

    def _noise(self, positions: range, shape: tuple[int, ...]) -> Tensor:
        """Return the noise (B, M, T, H, W) of the patches at ``positions``."""
        noise, _ = draw(SEED, 0, positions, 1, shape)
        if (strength := self.settings.noise_amplitude) and self.batch.task == SUPERRES:
            assert self.batch.factor is not None
            first = self.positions.start
            factors = self.batch.factor[positions.start - first : positions.stop - first]
            noise = noise * draw_amplitudes(SEED, 0, positions, factors, shape, strength)
        return noise.to(self.ranks.device)

    def _fields(
        self, positions: range, inputs: Tensor, residual: Tensor, found: Tensor
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield truth (B, 1, H, W), members (B, M, H, W) and base (B, 1, H, W) of each target."""
        assert self.settings.targets is not None
        first = self.positions.start
        own = slice(positions.start - first, positions.stop - first)
        scales = torch.from_numpy(self.batch.scale[own]).to(inputs.device)
        for index in range(len(self.settings.targets)):
            base, scale = self._base(index, inputs), scales[:, index, None, None, None]
            truth, members = residual[:, None, index], found[:, :, index]
            yield base + scale * truth, base + scale * members, base

    def _sampled(self, shown: list[list[list[Tensor]]], powers: Tensor) -> Sampled:
        """Gather what is drawn of some patches and of the powers of all."""
        assert self.settings.targets is not None
        kinds = [
            [torch.cat(parts) for parts in zip(*one, strict=True)]
            for one in zip(*shown, strict=True)
        ]
        truth, members, base = (torch.stack(one).numpy() for one in zip(*kinds, strict=True))
        return Sampled(
            names=tuple(target.name for target in self.settings.targets),
            baseline=BASELINES[self.batch.task],
            base=base[:, :, 0],
            truth=truth[:, :, 0],
            members=members,
            powers=powers.numpy(),
        )

    def _base(self, index: int, inputs: Tensor) -> Tensor:
        """Return the normalised base of a target, (B, 1, H, W); zeros if it has none."""
        settings = self.settings
        assert settings.inputs is not None
        assert settings.targets is not None
        if self.batch.task == FORECAST:
            assert settings.forecast is not None
            place = (settings.forecast.past - 1) * len(settings.targets) + index
            return inputs[:, None, place]
        base = settings.targets[index].base
        if base is None:
            return torch.zeros_like(inputs[:, :1])
        return inputs[:, None, [variable.name for variable in settings.inputs].index(base)]

    def _point_scores(self, sums: Tensor, members: int) -> dict[str, float]:
        """Compute scores from (5, T) sums over points."""
        assert self.settings.targets is not None
        error, pairs, squared, variance, zero = sums
        crps = ((error - pairs) / zero).tolist()
        spread = _root(float((variance).sum()), float(squared.sum()))
        scores = {
            "crps": sum(crps) / len(crps),
            "spread_skill": spread * math.sqrt((members + 1) / members),
        }
        if len(crps) > 1:
            names = (target.name for target in self.settings.targets)
            scores |= {f"crps_{name}": value for name, value in zip(names, crps, strict=True)}
        return scores

    def _spectral_scores(self, powers: Tensor) -> dict[str, float]:
        """Compute distances in dB, and ratios by wavelength band, from (3, T, R) powers."""
        assert self.settings.targets is not None
        forecast = self.batch.task == FORECAST
        based = [forecast or target.base is not None for target in self.settings.targets]
        truth, found, base = powers.clamp_min(1e-30)
        rings = truth.shape[-1]
        wavelength = 2 * rings / torch.arange(1, rings + 1)
        scores = {}
        for prefix, power, chosen in (
            ("", found, [True] * len(based)),
            (f"{BASELINES[self.batch.task]}_", base, based),
        ):
            if not any(chosen):
                continue
            level = 10 * (power / truth).log10()[chosen]
            distance = float(level.square().mean(-1).sqrt().mean())
            scores[f"{prefix}log_spectral_distance"] = distance
            for low, high in BANDS:
                band = (wavelength >= low) & (wavelength < high)
                ratio = (power[:, band].sum(-1) / truth[:, band].sum(-1))[chosen].mean()
                scores[f"{prefix}power_{low}_{high}"] = float(ratio)
        return scores


def combined(scores: Mapping[str, dict[str, float]]) -> dict[str, float]:
    """Combine the scores of several tasks: each under ``TASK_NAME``, and their mean.

    >>> combined({"superres": {"crps": 0.5}, "forecast": {"crps": 0.7}})
    {'superres_crps': 0.5, 'forecast_crps': 0.7, 'crps': 0.6}
    """
    if len(scores) == 1:
        return next(iter(scores.values()))
    own = {f"{task}_{name}": value for task, one in scores.items() for name, value in one.items()}
    first, *others = scores.values()
    shared = [name for name in first if all(name in other for other in others)]
    mean = {name: sum(one[name] for one in scores.values()) / len(scores) for name in shared}
    return own | mean


def _point_sums(members: Tensor, truth: Tensor) -> Tensor:
    """Return (5, T) sums over patches and cells for (B, M, T, H, W) members, (B, T, H, W) truth.

    These are: the mean distance between members and truth; half the mean distance between pairs of
    members (the fair CRPS is the difference of the two); the squared error of the ensemble mean;
    the variance; and the distance between 0 and the truth.
    """
    count = members.shape[1]
    rank = 2 * torch.arange(count, device=members.device) - count + 1
    ordered = members.sort(dim=1).values
    pairs = (ordered * rank[:, None, None, None]).sum(1) / (count * (count - 1))
    parts = (
        (members - truth[:, None]).abs().mean(1),
        pairs,
        (members.mean(1) - truth).square(),
        members.var(1),
        truth.abs(),
    )
    return torch.stack([part.sum((0, 2, 3)) for part in parts])


def _powers(fields: Sequence[tuple[Tensor, ...]]) -> Tensor:
    """Return (3, T, R) power of truth, members and base of each target, summed over patches."""
    powers = [torch.stack([ring_power(f).double().mean(1).sum(0) for f in one]) for one in fields]
    return torch.stack(powers, 1)


def _root(part: float, whole: float) -> float:
    """Return the square root of a ratio; NaN if the denominator is 0."""
    return math.sqrt(part / whole) if whole > 0 else math.nan
