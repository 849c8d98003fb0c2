"""What dask's workers load before their first task; needs dask.distributed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import zarr
from distributed import WorkerPlugin

from flexclim.execution.engine import TORCH_THREADS
from flexclim.models.model import ModelReference
from flexclim.stores.shards import BATCHES


class LoadModels(WorkerPlugin):
    """Models lie ready on their device, once a process, and processes do not fight for cores.

    torch uses as many threads in a worker as the variable ``FLEXCLIM_TORCH_THREADS`` says, else as
    the worker has. One without a nanny shares its process with others, whose settings it leaves.
    """

    idempotent = True

    def __init__(self, references: Sequence[ModelReference], device: str, precision: str) -> None:
        self.references, self.device, self.precision = tuple(references), device, precision
        hashes = " ".join(reference.sha256[:12] for reference in self.references)
        self.name = f"flexclim {hashes} {device} {precision}"

    def setup(self, worker: Any) -> None:
        """Load the models of each process that starts."""
        import torch

        if worker.nanny:
            zarr.config.set(BATCHES)
        asked = os.environ.get(TORCH_THREADS)
        if asked or worker.nanny:
            torch.set_num_threads(int(asked) if asked else max(1, worker.state.nthreads))
        for reference in self.references:
            reference.load().network_on(self.device, self.precision)
