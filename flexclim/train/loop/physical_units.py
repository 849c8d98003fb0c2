"""Residuals of a network in the targets' physical units, as tensors with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from flexclim.models.channels import Target

if TYPE_CHECKING:
    from flexclim.train.data.batches import Batch

LARGEST = 10.0  # standard deviations; beyond, exp() of an early guess may overflow


@dataclass(frozen=True)
class PhysicalUnits:
    """Inverts transforms and scaling, as ``network_inputs.physical`` does in sampling.

    Each target is divided by its entry of ``sizes``: the mean absolute error of the base to which
    residuals are added.
    """

    targets: Sequence[Target]
    sizes: Sequence[float]

    @classmethod
    def of(cls, targets: Sequence[Target], batch: Batch) -> Self:
        """Measure ``sizes`` on the patches of a batch."""
        assert batch.base is not None
        assert batch.amplitude is not None
        residual, base, amplitude = map(
            torch.from_numpy, (batch.residual, batch.base, batch.amplitude)
        )
        plain, known = cls(targets, [1.0] * len(targets)), ~residual.isnan()
        residual = residual.where(known, 0.0)
        truth, guess = (plain(one, base, amplitude) for one in (residual, 0 * residual))
        errors = (truth - guess).abs().mean((0, 2, 3))
        return cls(targets, [float(error) or 1.0 for error in errors])

    def __call__(self, residual: Tensor, base: Tensor, amplitude: Tensor) -> Tensor:
        """Return fields divided by their sizes, (..., T, H, W) like all three arguments."""
        fields = base + amplitude * residual.clamp(-LARGEST, LARGEST)
        parts = zip(fields.unbind(-3), self.targets, self.sizes, strict=True)
        return torch.stack([_untransformed(part, one) / size for part, one, size in parts], -3)


def _untransformed(values: Tensor, target: Target) -> Tensor:
    if target.non_negative:
        values = values.clamp_min(0.0)
    if target.transform == "none":
        return values
    share = values.abs().expm1() if target.transform == "log1p" else values.square()
    return torch.copysign(share * target.unit, values)
