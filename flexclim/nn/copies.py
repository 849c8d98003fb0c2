"""Copies between the host's arrays and the device that computes.

To and from a GPU they go through pinned memory, and back on a stream of their own, so that the GPU
computes for other threads meanwhile. On a CPU nothing is copied.
"""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np
import torch
from torch import Tensor


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return an array on a device, there as soon as what is asked of that device next."""
    host = torch.from_numpy(array)
    if device.type != "cuda":
        return host.to(device)
    return host.pin_memory().to(device, non_blocking=True)


def to_host(values: Tensor) -> np.ndarray:
    """Return values as an array, once the work that makes them is done."""
    if not values.is_cuda:
        return cast(np.ndarray, values.cpu().numpy())
    stream = _stream(values.device)
    stream.wait_stream(torch.cuda.current_stream(values.device))
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    with torch.cuda.stream(stream):
        host.copy_(values, non_blocking=True)
        values.record_stream(stream)
        stream.record_event().synchronize()
    return cast(np.ndarray, host.numpy())


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
