"""One training step: the loss of a batch, its gradients summed over ranks, and the update.

Legend: B patches of one part, S steps of a roll-out, M members, T channels of the residual, H W
rows and columns of a tile.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from flexclim.errors import RecipeError
from flexclim.models.settings import SUPERRES
from flexclim.nn.copies import to_device
from flexclim.train.loop.averages import Averages
from flexclim.train.loop.draws import Sampling, draw, draw_amplitudes, key, labels_kept
from flexclim.train.loop.processes import Ranks

if TYPE_CHECKING:
    from flexclim.train.data.batches import Batch
    from flexclim.train.recipes.recipe import Trainer

TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Overflows at a larger loss scale are part of the search for that scale in fp16, not a fault.
USUAL_SCALE = 1.0


@dataclass(frozen=True)
class StepOutcome:
    """Result of one step, the same on all ranks.

    ``loss`` is the mean over the global batch, ``norm`` the norm of the gradient before clipping.
    ``applied`` is False if the norm was not finite and the update was skipped; ``faulty`` excludes
    those skipped in fp16's search for a loss scale.
    """

    loss: float
    norm: float
    applied: bool
    faulty: bool


class TrainingStep:
    """Takes optimizer steps on one loss.

    Parameters
    ----------
    loss
        Maps (inputs, residual, label, noise, t, task) to a mean over patches. With members, the
        residual is as many steps ahead as the batch says, and scale, base, amplitude and what
        later steps read follow.
    ranks
        Each rank takes an equal share of the batch.
    members
        Noise fields drawn for each patch and roll-out step, (B, S, M, ...); None: one field per
        patch, (B, ...).
    sampling
        How diffusion times are drawn.
    several_tasks
        Whether some steps do not use all task encoders.
    noise_amplitude
        Strength of the random amplitude of the noise in downscaling.
    """

    def __init__(
        self,
        loss: nn.Module,
        optimizer: Optimizer,
        averages: Averages,
        ranks: Ranks,
        settings: Trainer,
        *,
        members: int | None = None,
        sampling: Sampling = "uniform",
        scaler: torch.amp.GradScaler | None = None,
        several_tasks: bool = False,
        noise_amplitude: float = 0.0,
    ) -> None:
        self.noise_amplitude = noise_amplitude
        self.optimizer, self.averages, self.ranks = optimizer, averages, ranks
        self.settings, self.members, self.sampling = settings, members, sampling
        self.scaler = scaler or make_scaler(ranks.device, settings.precision)
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if settings.compile:
            loss.compile()
        self.loss: nn.Module = loss
        if ranks.world > 1:
            devices = [ranks.device] if ranks.device.type == "cuda" else None
            self.loss = DistributedDataParallel(
                loss,
                device_ids=devices,
                gradient_as_bucket_view=True,
                find_unused_parameters=several_tasks,
            )

    @property
    def own(self) -> range:
        """Positions of this rank in the global batch."""
        return own_positions(self.settings.batch, self.settings.accumulate, self.ranks)

    def take(self, step: int, batch: Batch, rate: float) -> StepOutcome:
        """Take one step on this rank's patches with a learning rate."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        total = 0.0
        size = len(self.own) // self.settings.accumulate
        for first in range(0, len(self.own), size):
            last = first + size == len(self.own)
            with nullcontext() if last else self._no_sync():
                loss = self._loss(step, slice(first, first + size), batch)
                loss = loss / self.settings.accumulate
                torch.autograd.backward(self.scaler.scale(loss))
            total += float(loss.detach())
        mean = self.ranks.sums({"loss": total / self.ranks.world})["loss"]
        return self._update(mean)

    def _loss(self, step: int, chosen: slice, batch: Batch) -> Tensor:
        """Return the loss of a part of this rank's patches."""
        seed, device, positions = self.settings.seed, self.ranks.device, self.own[chosen]
        inputs, residual, label = tensors(batch, device, chosen)
        more: list[Tensor | None] = []
        if self.settings.label_dropout:
            kept = labels_kept(seed, step, positions, self.settings.label_dropout)
            label = label * kept.to(device)[:, None]
        shape = tuple(residual.shape[1:])
        if self.members is not None:
            shape = batch.ahead, self.members, *shape
            arrays = (batch.scale, batch.base, batch.amplitude,
                      batch.statics_ahead, batch.label_ahead, batch.nearest)  # fmt: skip
            more = [None if one is None else to_device(one[chosen], device) for one in arrays]
            if self.settings.label_dropout and more[4] is not None:
                more[4] = more[4] * kept.to(device)[:, None, None]
            if batch.later is not None:
                residual = to_device(batch.later[chosen], device)
        noise, t = draw(seed, step, positions, self.settings.batch, shape, self.sampling)
        if self.noise_amplitude and batch.task == SUPERRES:
            assert batch.factor is not None
            factors, strength = batch.factor[chosen], self.noise_amplitude
            noise = noise * draw_amplitudes(seed, step, positions, factors, shape, strength)
        # Dropout is drawn for the whole part, from the step and the first position of the part.
        torch.manual_seed(key(seed, step, positions.start, 1))
        precision = self.settings.precision
        with torch.autocast(device.type, TYPES[precision], enabled=precision != "float32"):
            loss: Tensor = self.loss(
                inputs, residual, label, noise.to(device), t.to(device), batch.task, *more
            )
        return loss

    def _update(self, loss: float) -> StepOutcome:
        # Gradients are summed over ranks, so the norm is the same on all: all skip, or none.
        self.scaler.unscale_(self.optimizer)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.settings.clip))
        finite = norm < float("inf")
        searching = self.scaler.is_enabled() and self.scaler.get_scale() > USUAL_SCALE
        if finite:
            self.scaler.step(self.optimizer)
            self.averages.update()
        self.scaler.update()
        return StepOutcome(loss, norm, finite, not finite and not searching)

    def _no_sync(self) -> nullcontext[None]:
        """Defer the sum of gradients over ranks to the last part of the batch."""
        if isinstance(self.loss, DistributedDataParallel):
            context: nullcontext[None] = self.loss.no_sync()  # type: ignore[assignment]
            return context
        return nullcontext()


def make_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Return the loss scaler, which is active in fp16 only."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def own_positions(batch: int, accumulate: int, ranks: Ranks) -> range:
    """Return a rank's positions in the global batch.

    Raises
    ------
    RecipeError
        If the batch is not a multiple of ranks times parts.
    """
    if batch % (ranks.world * accumulate):
        raise RecipeError(
            f"trainer.batch {batch} is not a multiple of {ranks.world} ranks times "
            f"{accumulate} parts (trainer.accumulate); choose a multiple of "
            f"{ranks.world * accumulate}."
        )
    return ranks.share(batch)


def tensors(
    batch: Batch, device: torch.device, chosen: slice = slice(None)
) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs (B, C, H, W), residual (B, T, H, W) and label (B, L) on a device."""
    inputs, residual, label = (
        to_device(array[chosen], device) for array in (batch.inputs, batch.residual, batch.label)
    )
    return inputs, residual, label
