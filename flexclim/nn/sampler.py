"""The sampler: from noise to a residual in a few steps.

The state may be a tile or a whole field; ``estimate`` returns an estimate of its clean residual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from flexclim.nn.configuration import Method
from flexclim.nn.diffusion import Diffusion

Estimate = Callable[[Tensor, float], Tensor]


def time_grid(steps: int) -> list[float]:
    """Return the times 1, ..., 1/N, 0 of N equal steps.

    >>> time_grid(2)
    [1.0, 0.5, 0.0]
    """
    return [index / steps for index in range(steps, -1, -1)]


def sample(
    estimate: Estimate,
    state: Tensor,
    diffusion: Diffusion,
    times: Sequence[float],
    method: Method = "ddim",
) -> Tensor:
    """Follow the probability flow from noise to a residual.

    Parameters
    ----------
    estimate
        Maps a state at a time to an estimate of the clean residual, of the same shape.
    state
        (B, ...) standard normal noise, r at ``times[0]``.
    times
        Decreasing from 1 to 0; one network evaluation for each but the last.
    method
        ``"ddim"``: Song et al. (2021), eta = 0. ``"euler"``: Euler's method in the angle, which
        does not damp the unpredictable part. A single step returns the estimate with both: along
        the whole arc Euler's method would leave the noise in the residual.

    Returns
    -------
    Tensor
        (B, ...) residual.
    """
    if len(times) == 2:
        method = "ddim"
    for now, then in pairwise(times):
        state = advance(state, estimate(state, now), diffusion, now, then, method)
    return state


def advance(
    state: Tensor, clean: Tensor, diffusion: Diffusion, now: float, then: float, method: Method
) -> Tensor:
    """Move the state from one time to an earlier one, given the clean residual.

    The last DDIM step returns ``clean`` itself. Temporaries are reused in place, since a state may
    be a large field.
    """
    angle_now, angle_then = diffusion.angle(torch.tensor([now, then])).unbind()
    alpha, sigma = float(angle_now.cos()), float(angle_now.sin())
    if method == "euler":
        velocity = (alpha * state - clean).div_(sigma)
        return velocity.mul_(-float(angle_now - angle_then)).add_(state)
    if then == 0:
        return clean
    noise = (state - alpha * clean).div_(sigma)
    return noise.mul_(float(angle_then.sin())).add_(float(angle_then.cos()) * clean)
