"""The fair CRPS of members as a loss.

Legend: B patches, M members.
"""

from __future__ import annotations

import torch
from torch import Tensor


def fair_crps(members: Tensor, truth: Tensor) -> Tensor:
    """Return the mean fair CRPS (Ferro 2014) of (B, M, ...) members against (B, 1, ...) truth."""
    count = members.shape[1]
    error = (members - truth).abs().mean(1)
    ordered = members.sort(dim=1).values
    rank = torch.arange(count, device=members.device, dtype=members.dtype)
    weight = (2 * rank - count + 1).reshape(-1, *[1] * (members.ndim - 2))
    spread = (ordered * weight).sum(1) / (count * (count - 1))
    return (error - spread).mean()
