"""Tests of stores import ``toys`` from this folder."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(params=[3, 2], ids=["zarr3", "zarr2"])
def zarr_format(request, monkeypatch):
    """Return the Zarr format of new stores: each in turn."""
    monkeypatch.setattr("flexclim.stores.store.NEW_FORMAT", request.param)
    return request.param


@pytest.fixture
def store(tmp_path, zarr_format):
    return tmp_path / "a.zarr"
