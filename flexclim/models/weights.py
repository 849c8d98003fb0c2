"""Weights of a model: in a file that is checked against its hash, or in memory."""

from __future__ import annotations

import hashlib
import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flexclim import files
from flexclim.errors import ModelError
from flexclim.models.settings import ModelSettings

if TYPE_CHECKING:
    from torch import Tensor

    from flexclim.nn.flex import Flex


class Weights:
    """Weights in a file, which is read when they are needed, or in memory.

    Models that differ only in their settings share one object.

    Parameters
    ----------
    path, file_sha256
        Weights file and its hash.
    state
        Weights in memory; instead of a file.
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
        """Hash of the weights file, even if it is not written yet."""
        return self._file_sha256 or hashlib.sha256(self.content()).hexdigest()

    def content(self) -> bytes:
        """Return the content of the weights file."""
        from flexclim.nn import weights_file

        if self._state is not None:
            return weights_file.encode(self._state)
        self.check()
        assert self.path is not None
        return self.path.read_bytes()

    def check(self) -> None:
        """Compare the file with its hash; weights in memory need no check.

        Raises
        ------
        ModelError
            If the file is missing, unreadable or damaged.
        """
        if self.path is None:
            return
        try:
            found = files.sha256(self.path) if self.path.is_file() else ""
        except OSError as error:
            raise ModelError(f"{self.path} can't be read: {error.strerror}.") from None
        if not found:
            raise ModelError(f"{self.path} is missing; a model folder holds its weights.")
        if found != self._file_sha256:
            raise ModelError(
                f"{self.path} is damaged: its sha256 is not the one in model.json. "
                "Download or copy the model again."
            )

    def network(self, settings: ModelSettings, device: str, precision: str) -> Flex:
        """Return the network on a device in a precision; it is built once."""
        key = device, precision
        with self._lock:
            if key not in self._networks:
                self._networks[key] = self._load(settings, device, precision)
            return self._networks[key]

    def _load(self, settings: ModelSettings, device: str, precision: str) -> Flex:
        import torch

        from flexclim.nn import weights_file

        config = settings.network
        if self.path is not None:
            self.check()
            network = weights_file.read(self.path, config)
        else:
            assert self._state is not None
            network = weights_file.build(config, self._state)
        network = weights_file.compute_in(network, precision)
        try:
            # Under the lock: a thread that reads weights while another moves them gets NaN.
            moved: Flex = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            return moved
        except (RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0]
            raise ModelError(f"device {device!r} can't be used here: {reason}") from None
