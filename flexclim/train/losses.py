"""What training minimises.

Legend: B patches, M members, H W rows and columns of a tile.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from flexclim.nn.diffusion import Diffusion
from flexclim.nn.flex import Flex
from flexclim.nn.sampler import Method, sample, time_grid

TASK = "superres"


def factor_label(factor: Tensor) -> Tensor:
    """Return the (B, 1) label of (B,) factors: log2(factor) - 2, so 0 for the usual 4."""
    return (factor.float().log2() - 2)[:, None]


def diffusion_loss(
    network: Flex,
    diffusion: Diffusion,
    inputs: Tensor,
    residual: Tensor,
    label: Tensor,
    noise: Tensor,
    t: Tensor,
) -> Tensor:
    """Return the mean loss of a batch at the times ``t`` (B,)."""
    features = network.encode(TASK, inputs, label)
    output = network(diffusion.diffuse(residual, noise, t), t, features, label)
    return diffusion.losses(output.float(), residual, noise, t).mean()


def sample_members(
    network: Flex,
    diffusion: Diffusion,
    inputs: Tensor,
    label: Tensor,
    noise: Tensor,
    steps: int,
    method: Method,
) -> tuple[Tensor, Tensor]:
    """Run the few-step sampler on a batch of tiles, with gradients where they are enabled.

    Parameters
    ----------
    inputs, label
        (B, 1, H, W) and (B, 1).
    noise
        (B, M, H, W) standard normal.

    Returns
    -------
    members, first
        (B, M, H, W) the sampled residuals, and the clean residuals estimated at the first step.
    """
    patches, members = noise.shape[:2]
    index = torch.arange(patches).repeat_interleave(members)
    features = network.encode(TASK, inputs, label).take(index)
    estimates = []

    def estimate(state: Tensor, time: float) -> Tensor:
        t = state.new_full((state.shape[0],), time)
        output = network(state, t, features, label[index])
        estimates.append(diffusion.clean(output.float(), state, t))
        return estimates[-1]

    result = sample(estimate, noise.flatten(0, 1)[:, None], diffusion, time_grid(steps), method)
    shape = noise.shape
    return result.reshape(shape), estimates[0].reshape(shape)


def fair_crps(members: Tensor, truth: Tensor) -> Tensor:
    """Return the mean fair CRPS (Ferro 2014) of (B, M, ...) members against (B, 1, ...) truth."""
    count = members.shape[1]
    error = (members - truth).abs().mean(1)
    ordered = members.sort(dim=1).values
    rank = torch.arange(count, device=members.device, dtype=members.dtype)
    weight = (2 * rank - count + 1).reshape(-1, *[1] * (members.ndim - 2))
    spread = (ordered * weight).sum(1) / (count * (count - 1))
    return (error - spread).mean()


def ensemble_loss(
    members: Tensor, first: Tensor, truth: Tensor, gradient: float, mean: float
) -> Tensor:
    """Return the fair CRPS of members, of their gradients, and the error of the first estimate.

    Parameters
    ----------
    members, first
        (B, M, H, W) from :func:`sample_members`.
    truth
        (B, 1, H, W).
    gradient
        Weight of the CRPS of differences between neighbouring cells.
    mean
        Weight of the squared error of the first step's estimate, which keeps that estimate the
        conditional mean.
    """
    loss = fair_crps(members, truth)
    for axis in (-2, -1):
        differences = fair_crps(members.diff(dim=axis), truth.diff(dim=axis))
        loss = loss + gradient / 2 * differences
    return loss + mean * (first - truth).square().mean()


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Return the rate at a step: linear warm-up, then half a cosine down to 1 % of ``peak``."""
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
