import os
from pathlib import Path

import numpy as np
import pytest
import torch

from flexclim.models.minflex import import_minflex


@pytest.fixture(scope="session")
def reference():
    """The folder of a toy minFLEX checkpoint and what it must produce, or skip."""
    beside = Path(__file__).parents[3] / "shared" / "reference"
    folder = Path(os.environ.get("FLEXCLIM_REFERENCE", beside))
    if not (folder / "expected_tiny.npz").is_file():
        pytest.skip(f"no minFLEX reference at {folder}: set FLEXCLIM_REFERENCE to its folder")
    return folder


@pytest.fixture(scope="session")
def expected(reference):
    """Inputs and outputs of the reference, as tensors by name."""
    with np.load(reference / "expected_tiny.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


@pytest.fixture(scope="session", params=["ema", "raw"])
def imported(request, reference):
    """Name of the weights, and the network that holds them."""
    model = import_minflex(reference / "checkpoint_tiny_v.pt", weights=request.param, num_heads=4)
    return request.param, model.network
