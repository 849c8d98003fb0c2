"""Losses of members that a score taken cell by cell can't see: texture and intermittency.

Members with the right distribution in every cell have the lowest CRPS, whether they look like
weather or like speckle. The same score of linear features of neighbouring cells tells them apart:
here all coefficients of the discrete cosine transform in sliding windows, and the local amplitude
of fields and their gradients. The fair CRPS of any feature is a proper score of the members.

Legend: B patches, M members, T channels of the residual, H W rows and columns, K coefficients.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from flexclim.train.loop.crps import fair_crps

WINDOWS = {4: 1, 8: 2}  # side of a window, and the step between windows
LOCAL, LOCAL_STEP = 8, 4
SMALL = 1e-6


def texture_loss(members: Tensor, truth: Tensor) -> Tensor:
    """Return the fair CRPS of cosine coefficients in windows, each over the truth's RMS.

    Parameters
    ----------
    members
        (B, M, T, H, W).
    truth
        (B, 1, T, H, W).
    """
    losses = []
    for side, step in WINDOWS.items():
        found, wanted = (cosine_coefficients(one, side, step) for one in (members, truth))
        rms = wanted.square().mean((0, 1, 2, -2, -1), keepdim=True).sqrt() + SMALL
        losses.append(fair_crps(found / rms, wanted / rms))
    return torch.stack(losses).mean()


def amplitude_loss(members: Tensor, truth: Tensor) -> Tensor:
    """Return the fair CRPS of the local RMS of fields and of their gradients, over the truth's.

    Shapes are those of :func:`texture_loss`.
    """
    losses = []
    for found, wanted in zip(local_amplitudes(members), local_amplitudes(truth), strict=True):
        losses.append(fair_crps(found, wanted) / (wanted.square().mean().sqrt() + SMALL))
    return torch.stack(losses).mean()


def cosine_coefficients(fields: Tensor, side: int, step: int) -> Tensor:
    """Return the coefficients (..., K, h, w) of the orthonormal DCT-II in windows of (..., H, W).

    K is ``side`` squared; windows lie ``step`` cells apart.
    """
    basis = cosines(side).to(fields)
    kernels = torch.einsum("ku,lv->kluv", basis, basis).reshape(side**2, 1, side, side)
    found = nn.functional.conv2d(fields.flatten(0, -3)[:, None].float(), kernels, stride=step)
    return found.reshape(*fields.shape[:-2], *found.shape[1:])


def cosines(size: int) -> Tensor:
    """Return the orthonormal basis (size, size) of the DCT-II, a row for each wavenumber."""
    place = (torch.arange(size) + 0.5) * math.pi / size
    basis = torch.cos(torch.arange(size)[:, None] * place) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis


def local_amplitudes(fields: Tensor) -> list[Tensor]:
    """Return the RMS in windows of (..., H, W) fields, and of their differences in y and in x."""
    return [
        _pooled(one.float().square()).add(SMALL).sqrt()
        for one in (fields, fields.diff(dim=-2), fields.diff(dim=-1))
    ]


def _pooled(squares: Tensor) -> Tensor:
    mean = nn.functional.avg_pool2d(squares.flatten(0, -3), LOCAL, LOCAL_STEP)
    return mean.reshape(*squares.shape[:-2], *mean.shape[-2:])
