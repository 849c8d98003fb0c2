"""Blocks of cells that hold whole series."""

from types import SimpleNamespace

import dask.array as da
import pytest
import xarray as xr

from flexclim.adjusting import lazy_mapping


@pytest.mark.parametrize(
    ("chunks", "blocks"),
    [
        # Blocks across chunks would hold several of these at once.
        ((4, 4, -1), {"lat": (2, 2, 2, 2), "lon": (4, 4)}),
        ((2, 4, -1), {"lat": (2, 2, 2, 2), "lon": (4, 4)}),
        ((4, 4, 5), {"lat": 1, "lon": 8}),
    ],
)
def test_chunks_that_are_too_large_are_split(monkeypatch, chunks, blocks):
    monkeypatch.setattr(lazy_mapping, "BLOCK", 80)
    field = xr.DataArray(da.zeros((8, 8, 10), chunks=chunks), dims=("lat", "lon", "time"))
    assert lazy_mapping.blocks_of(SimpleNamespace(field=field, time="time")) == blocks
