"""One training step: the loss of a batch in parts, gradients over all ranks, an update.

Legend: B patches of one part, M members, T channels of the residual, H W a tile.
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
from flexclim.nn.copies import to_device
from flexclim.train.loop.averages import Averages
from flexclim.train.loop.dist import Ranks
from flexclim.train.loop.draws import Sampling, draw, key, labels_kept

if TYPE_CHECKING:
    from flexclim.train.data.batches import Batch
    from flexclim.train.recipes.recipe import Trainer

TYPES = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# An overflow at a scale above this is how fp16 finds its scale, not a fault.
USUAL_SCALE = 1.0


@dataclass(frozen=True)
class Outcome:
    """What one step came to, the same on all ranks.

    ``loss`` is the mean over the global batch, ``norm`` that of the gradient before clipping;
    ``applied`` is False where the norm was not finite and the step was skipped; ``bad`` says that
    the numbers are at fault, not the search for fp16's scale.
    """

    loss: float
    norm: float
    applied: bool
    bad: bool


class Stage:
    """Steps on one loss.

    Parameters
    ----------
    loss
        Maps (inputs, residual, label, noise, t, task) to a mean over patches; for members with
        the residual as many steps ahead as a batch says, and its scale, base and amplitude as well.
    members
        Noise fields a patch draws for each step ahead; None: one, without dimensions for those.
    ranks
        Each takes an equal share of the batch.
    several_tasks
        Whether some steps leave a task encoder out.
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
        compile_first: bool = False,
        several_tasks: bool = False,
    ) -> None:
        self.optimizer, self.averages, self.ranks = optimizer, averages, ranks
        self.settings, self.members, self.sampling = settings, members, sampling
        self.scaler = scaler or make_scaler(ranks.device, settings.precision)
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        if compile_first:
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
        """Positions in the global batch that are this rank's."""
        return own_positions(self.settings.batch, self.settings.accumulate, self.ranks)

    def step(self, step: int, batch: Batch, rate: float) -> Outcome:
        """Take one step on this rank's patches at a learning rate."""
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
                self.scaler.scale(loss).backward()
            total += float(loss.detach())
        mean = self.ranks.sums({"loss": total / self.ranks.world})["loss"]
        return self._update(mean)

    def _loss(self, step: int, chosen: slice, batch: Batch) -> Tensor:
        """Return the loss of a part of this rank's patches."""
        seed, device, positions = self.settings.seed, self.ranks.device, self.own[chosen]
        inputs, residual, label = tensors(batch, device, chosen)
        more: tuple[Tensor, ...] = ()
        if self.settings.label_dropout:
            kept = labels_kept(seed, step, positions, self.settings.label_dropout)
            label = label * kept.to(device)[:, None]
        shape = tuple(residual.shape[1:])
        if self.members is not None:
            shape = batch.ahead, self.members, *shape
            arrays = batch.scale, batch.base, batch.amplitude
            more = tuple(to_device(one[chosen], device) for one in arrays if one is not None)
            if batch.later is not None:
                residual = to_device(batch.later[chosen], device)
        noise, t = draw(seed, step, positions, self.settings.batch, shape, self.sampling)
        # Dropout is drawn for the whole part: a function of the step and of its first position.
        torch.manual_seed(key(seed, step, positions.start, 1))
        precision = self.settings.precision
        with torch.autocast(device.type, TYPES[precision], enabled=precision != "float32"):
            loss: Tensor = self.loss(
                inputs, residual, label, noise.to(device), t.to(device), batch.task, *more
            )
        return loss

    def _update(self, loss: float) -> Outcome:
        # After the sum over ranks the norm is the same on all, so all skip or none.
        self.scaler.unscale_(self.optimizer)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.settings.clip))
        finite = norm < float("inf")
        searching = self.scaler.is_enabled() and self.scaler.get_scale() > USUAL_SCALE
        if finite:
            self.scaler.step(self.optimizer)
            self.averages.update()
        self.scaler.update()
        return Outcome(loss, norm, finite, not finite and not searching)

    def _no_sync(self) -> nullcontext[None]:
        """Sum gradients over ranks only once a step."""
        if isinstance(self.loss, DistributedDataParallel):
            context: nullcontext[None] = self.loss.no_sync()  # type: ignore[assignment]
            return context
        return nullcontext()


def make_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Return the scaler of losses, which does something for fp16 only."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def own_positions(batch: int, accumulate: int, ranks: Ranks) -> range:
    """Return the positions in the global batch that are a rank's.

    Raises
    ------
    RecipeError
        If ranks and parts do not divide the batch.
    """
    if batch % (ranks.world * accumulate):
        raise RecipeError(
            f"trainer.batch {batch} does not divide into {ranks.world} ranks times "
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
