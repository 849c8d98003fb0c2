"""Random noise and diffusion times of a training step, by position in the global batch.

They depend on (seed, step, position) alone, and so not on the number of ranks, on accumulation, or
on when a run was resumed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from flexclim.nn.noise_amplitude import amplitudes, node_span

Sampling = Literal["uniform", "stratified", "logit_normal"]


def key(*numbers: int) -> int:
    """Hash numbers to a seed for torch.

    >>> key(0, 1) == key(0, 1), key(0, 1) == key(1, 0)
    (True, False)
    """
    state = np.random.SeedSequence(numbers).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def draw(
    seed: int,
    step: int,
    positions: range,
    batch: int,
    shape: tuple[int, ...],
    sampling: Sampling = "uniform",
) -> tuple[Tensor, Tensor]:
    """Return standard normal noise (B, *shape) and times (B,) of the patches at ``positions``.

    Parameters
    ----------
    batch
        Patches of a step over all ranks.
    sampling
        Distribution of times: ``"uniform"``; ``"stratified"``: one in each of ``batch`` equal parts
        of [0, 1]; ``"logit_normal"``: the logistic of a standard normal number (Esser et al. 2024,
        arXiv 2403.03206), which favours the middle.
    """
    noise, uniform = [], []
    for position in positions:
        random = torch.Generator().manual_seed(key(seed, step, position))
        uniform.append(torch.rand((), generator=random))
        noise.append(torch.randn(shape, generator=random))
    t = torch.stack(uniform)
    if sampling == "stratified":
        t = (torch.tensor(list(positions)) + t) / batch
    elif sampling == "logit_normal":
        t = torch.special.ndtri(t.double().clamp(1e-6, 1 - 1e-6)).sigmoid().float()
    return torch.stack(noise), t


def draw_amplitudes(
    seed: int,
    step: int,
    positions: range,
    factors: np.ndarray,
    shape: tuple[int, ...],
    strength: float,
) -> Tensor:
    """Return the random amplitude (B, *shape) of the noise of the patches at ``positions``.

    Parameters
    ----------
    factors
        (B,) refinement factor of each patch, whose coarse cells are the nodes.
    shape
        (..., T, H, W) of one patch's noise. All T targets share an amplitude.
    strength
        See :mod:`flexclim.nn.noise_amplitude`.
    """
    *lead, _, height, width = shape
    found = []
    for position, factor in zip(positions, factors.tolist(), strict=True):
        random = np.random.default_rng([key(seed, step, position, 3)])
        size = [node_span(side, factor)[1] for side in (height, width)]
        nodes = random.standard_normal((*lead, *size), np.float32)
        amplitude = amplitudes(nodes.reshape(-1, *size), (height, width), strength, factor)
        found.append(amplitude.reshape(*lead, 1, height, width))
    return torch.from_numpy(np.stack(found))


def labels_kept(seed: int, step: int, positions: range, dropout: float) -> Tensor:
    """Return (B,) 1 where a patch keeps its label, 0 for a share ``dropout`` of all patches."""
    drawn = [
        torch.rand((), generator=torch.Generator().manual_seed(key(seed, step, position, 2)))
        for position in positions
    ]
    return (torch.stack(drawn) >= dropout).float()
