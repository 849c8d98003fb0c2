"""The diffusion process: schedule, targets and losses.

Legend: r residual, eps standard normal noise, r_t = alpha r + sigma eps, s shift, B batch.
An angle parametrises the schedule: alpha = cos(theta), sigma = sin(theta), and
tan(theta) = s tan(a t + b). For s = 1 this is the cosine schedule, with log-SNR from 20 to -20.
"""

from __future__ import annotations

import math
from typing import Self

import torch
from torch import Tensor

from flexclim.nn.configuration import DiffusionSettings

LOWEST = math.atan(math.exp(-10))
RANGE = math.atan(math.exp(10)) - LOWEST


class Diffusion(DiffusionSettings):
    """The diffusion process on tensors.

    The network's prediction is ``"v"``: alpha eps - sigma r; ``"x"``: r; or ``"eps"``: the output
    is read as a velocity, and the loss is that of the noise it implies.
    """

    @classmethod
    def of(cls, settings: DiffusionSettings) -> Self:
        """Return the process with these settings."""
        return cls(prediction=settings.prediction, loss=settings.loss, shift=settings.shift)

    def angle(self, t: Tensor) -> Tensor:
        """Return theta in radians, in float64."""
        return torch.atan(self.shift * torch.tan(RANGE * t.double() + LOWEST))

    def log_snr(self, t: Tensor) -> Tensor:
        """Return log(alpha^2 / sigma^2).

        >>> Diffusion().log_snr(torch.tensor([0.0, 0.5])).round(decimals=3).abs()
        tensor([20.,  0.], dtype=torch.float64)
        """
        return -2 * torch.log(self.shift * torch.tan(RANGE * t.double() + LOWEST))

    def alpha_sigma(self, t: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """Return (alpha, sigma) of (B,) times, shaped to multiply ``like`` (B, ...)."""
        angle = self.angle(t).reshape(-1, *[1] * (like.ndim - 1))
        return angle.cos().to(like.dtype), angle.sin().to(like.dtype)

    def diffuse(self, residual: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return r_t."""
        alpha, sigma = self.alpha_sigma(t, residual)
        return alpha * residual + sigma * noise

    def clean(self, output: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        """Return the clean residual that the network's output implies."""
        if self.prediction == "x":
            return output
        alpha, sigma = self.alpha_sigma(t, noisy)
        return alpha * noisy - sigma * output

    def losses(
        self,
        output: Tensor,
        residual: Tensor,
        noise: Tensor,
        t: Tensor,
        weight: Tensor | float = 1.0,
    ) -> Tensor:
        """Return the mean loss of each sample, (B,); ``weight`` multiplies errors cell by cell."""
        alpha, sigma = self.alpha_sigma(t, residual)
        if self.prediction == "x":
            error = output - residual
        elif self.prediction == "v":
            error = output - (alpha * noise - sigma * residual)
        else:
            error = alpha * output + sigma * self.diffuse(residual, noise, t) - noise
        error = (error * weight).flatten(1)
        return (error.abs() if self.loss == "absolute" else error.square()).mean(1)
