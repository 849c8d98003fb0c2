"""The plugin that prepares dask's workers before their first task; needs dask.distributed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence

import zarr
from distributed import Worker, WorkerPlugin

from flexclim.errors import FlexclimWarning
from flexclim.execution.allocation import keep_memory
from flexclim.execution.workers import TORCH_THREADS
from flexclim.models.model import ModelReference


class LoadModels(WorkerPlugin):
    """Load models onto their device once per process, and divide the cores among processes.

    torch uses as many threads in a worker as the environment variable ``FLEXCLIM_TORCH_THREADS``
    says; default: as many as the worker has. A worker without a nanny shares its process with
    others, so process-wide settings stay as they are there.
    """

    idempotent = True

    def __init__(
        self,
        models: Sequence[tuple[ModelReference, str]],
        device: str,
        zarr_settings: Mapping[str, object],
    ) -> None:
        self.models, self.device = tuple(models), device
        self.zarr_settings = dict(zarr_settings)
        named = " ".join(f"{model.sha256[:12]} {precision}" for model, precision in self.models)
        self.name = f"flexclim {named} {device}"

    def setup(self, worker: Worker) -> None:
        """Set up a process that has just started."""
        if worker.nanny:
            zarr.config.set(self.zarr_settings)
            # They reach the client as events; here they would be printed a second time.
            warnings.filterwarnings("ignore", category=FlexclimWarning)
            if self.device == "cpu":
                keep_memory()  # before torch starts threads
        import torch

        threads = os.environ.get(TORCH_THREADS)
        if threads or worker.nanny:
            torch.set_num_threads(int(threads) if threads else max(1, worker.state.nthreads))
        for reference, precision in self.models:
            reference.load().network_on(self.device, precision)
