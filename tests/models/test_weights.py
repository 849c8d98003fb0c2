"""Weights: from their file onto a device."""

import contextlib

import numpy as np
import pytest
import torch
from model_folders import forge

from flexclim.errors import ModelError
from flexclim.models.model import load_model


def test_devices_that_are_not_there_are_named(folder):
    with pytest.raises(ModelError, match="device 'tpu9' can't be used"):
        load_model(folder, device="tpu9")


def test_damage_that_hashes_agree_with_is_no_crash(folder):
    """A forger knows SHA-256 too: no other error than ours, and never a NaN weight."""
    content = (folder / "weights.safetensors").read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    random = np.random.default_rng(1)
    for trial in range(16):
        damaged = bytearray(content)
        damaged[random.integers(start if trial % 4 else len(content))] ^= 1 << random.integers(8)
        (folder / "weights.safetensors").write_bytes(damaged)
        forge(folder)
        with contextlib.suppress(ModelError):
            weights = load_model(folder).network.parameters()
            assert all(torch.isfinite(weight).all() for weight in weights)
