"""The precision that a network computes in: as requested, or by the device and a short timing."""

from __future__ import annotations

import os
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

from flexclim.errors import FlexclimError
from flexclim.execution.workers import active_client, first_worker, workers_of

if TYPE_CHECKING:
    from flexclim.nn.configuration import NetworkSettings

PRECISIONS = "float32", "bf16", "fp16"
# The environment variable that sets the default, so that it depends on no processor.
VARIABLE = "FLEXCLIM_PRECISION"
# bf16 is chosen on a CPU if a forward pass in float32 takes this many times as long.
GAIN = 1.2
_TIMING = threading.Lock()


def choose_precision(network: NetworkSettings, device: str) -> str:
    """Return the precision to sample in where none is requested.

    bf16 on a GPU, and on a CPU with instructions for it where a short timing shows a gain, float32
    elsewhere. If a dask cluster is active, all its workers need these instructions, and the first
    is timed. Within a process, or on a worker, a network is timed once.

    Raises
    ------
    FlexclimError
        If the environment variable names no precision.
    """
    if wanted := os.environ.get(VARIABLE):
        if wanted not in PRECISIONS:
            raise FlexclimError(
                f"the environment variable {VARIABLE} is {wanted!r}, not one of "
                f"{', '.join(PRECISIONS)}. Set one of them, or unset it."
            )
        return wanted
    if device != "cpu":
        return "bf16"
    settings = network.model_dump_json()
    client = active_client()
    if client is None:
        return "bf16" if has_bf16() and gains(settings) else "float32"
    workers = workers_of(client)
    if not all(client.run(has_bf16).values()):
        return "float32"
    (found,) = client.run(gains, settings, workers=[first_worker(workers)]).values()
    return "bf16" if found else "float32"


def has_bf16() -> bool:
    """Return whether this processor has instructions for bf16."""
    from flexclim.nn import half_precision

    return half_precision.has_bf16()


def gains(settings: str) -> bool:
    """Return whether a network, by its settings as JSON, gains enough from bf16 here."""
    with _TIMING:  # so that all plans of a process agree
        return _gain(settings) >= GAIN


@lru_cache
def _gain(settings: str) -> float:
    from flexclim.execution.forward_passes import run_passes
    from flexclim.nn.configuration import NetworkSettings
    from flexclim.nn.half_precision import gain_of_bf16

    config = NetworkSettings.model_validate_json(settings)
    (gain,) = run_passes([lambda: gain_of_bf16(config)], "cpu")
    return gain
