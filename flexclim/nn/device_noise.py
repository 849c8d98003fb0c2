"""The noise of :mod:`flexclim.nn.keyed_noise`, drawn on the sampling device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from flexclim.nn.copies import to_device
from flexclim.nn.keyed_noise import NoiseKey, philox


def device_normal(
    shape: tuple[int, int],
    key: NoiseKey,
    members: Sequence[int],
    origin: tuple[int, int] = (0, 0),
    *,
    device: torch.device,
) -> Tensor:
    """Draw :func:`~flexclim.nn.keyed_noise.standard_normal` of several members on a device.

    The random bits are those of the CPU. Logarithm, sine and cosine in float64 may differ in the
    last digit, so a few float32 values differ, by one unit in the last place.

    Returns
    -------
    Tensor
        (M, y, x) float32.
    """
    height, width = shape
    first_quad, skipped = divmod(origin[1], 4)
    quads = -(-(skipped + width) // 4)
    rows = torch.arange(origin[0], origin[0] + height, device=device).repeat_interleave(quads)
    columns = torch.arange(first_quad, first_quad + quads, device=device).repeat(height)
    numbers = to_device(np.array(members, np.int64), device)[:, None]
    counter = [rows, columns, numbers, torch.zeros_like(rows)]
    uniform = [(word.double() + 0.5) * 2.0**-32 for word in philox(counter, key.words())]
    normal = torch.empty((*uniform[0].shape, 4), dtype=torch.float32, device=device)
    for first in (0, 2):
        radius = (-2 * uniform[first].log()).sqrt()
        angle = 2 * math.pi * uniform[first + 1]
        normal[..., first] = radius * angle.cos()
        normal[..., first + 1] = radius * angle.sin()
    return normal.reshape(-1, height, 4 * quads)[..., skipped : skipped + width]
