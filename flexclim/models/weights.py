"""Weights of a model: in a file that is checked against its hash, or in memory."""

from __future__ import annotations

import hashlib
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flexclim import files
from flexclim.errors import ModelError
from flexclim.execution.allocation import keep_memory
from flexclim.models.settings import ModelSettings

if TYPE_CHECKING:
    from torch import Tensor

    from flexclim.nn.flex import Flex


class Weights:
    """Where weights are: in a file that is read when needed, or in memory.

    Models that differ in settings share them.
    """

    def __init__(
        self,
        *,
        path: Path | None = None,
        file_sha256: str = "",
        state: dict[str, Tensor] | None = None,
    ) -> None:
        self.path, self._file_sha256, self._state = path, file_sha256, state
        self._networks: dict[tuple[str, str], Flex] = {}
        self._lock = threading.RLock()

    @cached_property
    def sha256(self) -> str:
        """Hash of the file, there or to be written."""
        return self._file_sha256 or hashlib.sha256(self.content()).hexdigest()

    def content(self) -> bytes:
        """Return the weights file's content."""
        from flexclim.nn import weights_file as weights

        if self._state is not None:
            return weights.encode(self._state)
        self.check()
        assert self.path is not None
        return self.path.read_bytes()

    def check(self) -> None:
        """Compare the file with its hash."""
        if self.path is None:
            return
        try:
            found = files.sha256(self.path) if self.path.is_file() else ""
        except OSError as error:
            raise ModelError(f"{self.path} can't be read: {error.strerror}.") from None
        if not found:
            raise ModelError(f"{self.path} is not there; a model folder holds its weights.")
        if found != self._file_sha256:
            raise ModelError(
                f"{self.path} is damaged: its sha256 is not the one that model.json gives. "
                "Get the model again."
            )

    def network(self, settings: ModelSettings, device: str, precision: str) -> Flex:
        """Return the network on a device."""
        own = device, precision
        with self._lock:
            if own not in self._networks:
                self._networks[own] = self._load(settings, device, precision)
            return self._networks[own]

    def _load(self, settings: ModelSettings, device: str, precision: str) -> Flex:
        if device == "cpu":
            keep_memory()  # before torch starts threads

        import torch

        from flexclim.nn import weights_file as weights

        config = settings.network.config()
        if self.path is not None:
            self.check()
            network = weights.read(self.path, config)
        else:
            assert self._state is not None
            network = weights.build(config, self._state)
        network = weights.compute_in(network, precision)
        try:
            # Here, under the lock: rearranging weights that another thread reads gives NaN.
            moved: Flex = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            return moved
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise ModelError(f"device {device!r} can't be used here: {reason}") from None
