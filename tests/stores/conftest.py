"""Tests of stores import ``toys`` from this folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def store(tmp_path):
    return tmp_path / "a.zarr"
