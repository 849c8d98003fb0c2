"""Copies between numpy arrays on the host and tensors on a device.

Copies to and from a GPU use pinned memory, and copies back a stream of their own, so that the GPU
keeps computing for other threads. On a CPU nothing is copied.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Copy an array to a device; later work on the device's current stream waits for the copy."""
    host = torch.from_numpy(array)
    if device.type != "cuda":
        return host.to(device)
    return host.pin_memory().to(device, non_blocking=True)


def to_host(values: Tensor) -> np.ndarray:
    """Copy a tensor to the host, after the work that computes it."""
    if not values.is_cuda:
        array: np.ndarray = values.cpu().numpy()
        return array
    stream = _stream(values.device)
    stream.wait_stream(torch.cuda.current_stream(values.device))
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    with torch.cuda.stream(stream):
        host.copy_(values, non_blocking=True)
        values.record_stream(stream)
        stream.record_event().synchronize()
    copied: np.ndarray = host.numpy()
    return copied


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)
