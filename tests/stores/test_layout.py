"""Sizes of shards and chunks, worked by hand."""

import dask.array as da
import numpy as np
import xarray as xr

from flexclim.stores.layout import (
    Layout,
    choose_layout,
    lazy_names,
    time_coordinate,
    time_dimension,
)

DIMS = "realization", "time", "lat", "lon"


def test_blocks_that_divide_the_plane_are_shards():
    """No shard has two writers; chunks are the largest divisors up to 128."""
    blocks = da.zeros((2, 40, 600, 254), chunks=(1, 1, 300, 127), dtype="float32")
    field = xr.DataArray(blocks, dims=DIMS)
    expected = Layout(shards=(1, 16, 300, 127), chunks=(1, 4, 100, 127))
    assert choose_layout(field, "time") == expected
    assert choose_layout(field, None) == Layout(shards=(1, 1, 300, 127), chunks=(1, 1, 100, 127))


def test_small_planes_have_more_times():
    """As many as 16 tasks sample, of no more cells than a shard of 256 x 256 cells and 16 times."""

    def found(shape, blocks, dims=DIMS):
        sizes = (8, *blocks, *(-1 for _ in shape))
        values = da.zeros((8, 10950, *shape), chunks=sizes, dtype="float32")
        return choose_layout(xr.DataArray(values, dims=dims[: 2 + len(shape)]), "time")

    assert found((16, 16), (16,)) == Layout(shards=(1, 256, 16, 16), chunks=(1, 256, 16, 16))
    assert found((48, 48), (16,)) == Layout(shards=(1, 256, 48, 48), chunks=(1, 16, 48, 48))
    assert found((96, 128), (4,)) == Layout(shards=(1, 64, 96, 128), chunks=(1, 4, 96, 128))
    assert found((96, 128), (1,)) == Layout(shards=(1, 16, 96, 128), chunks=(1, 4, 96, 128))
    assert found((50,), (4,)) == Layout(shards=(1, 64, 50), chunks=(1, 64, 50))
    assert found((16384,), (4,)) == Layout(shards=(1, 64, 16384), chunks=(1, 16, 16384))


def test_time_and_lazy_variables_are_found():
    times = np.datetime64("2020-01-01", "ns") + np.arange(2) * np.timedelta64(1, "D")
    ds = xr.Dataset({"t": ("valid", da.zeros(2)), "n": ("valid", [1, 2])}, {"valid": times})
    assert time_dimension(ds) == "valid"
    assert time_dimension(ds.assign_coords(valid=[0, 1])) is None
    run = ds.rename(valid="step").assign_coords(
        step=times - times[0], time=times[0], valid_time=("step", times)
    )
    assert (time_dimension(run), time_coordinate(run)) == ("step", "valid_time")
    assert lazy_names(ds) == ["t"]


def test_format_2_has_chunks_of_up_to_a_million_values():
    """Even parts of a plane, or all of it at more times; each chunk is a file."""

    def found(shape, blocks, dims=DIMS):
        sizes = (8, *blocks, *(-1 for _ in shape))
        values = da.zeros((8, 10950, *shape), chunks=sizes, dtype="float32")
        field = xr.DataArray(values, dims=dims[: 2 + len(shape)])
        layout = choose_layout(field, "time", 2)
        assert layout.shards is None
        assert layout.files == layout.chunks
        return layout.chunks

    assert found((16, 16), (16,)) == (1, 256, 16, 16)
    assert found((256, 256), (4,)) == (1, 16, 256, 256)
    assert found((512, 512), (1,)) == (1, 4, 512, 512)
    assert found((50,), (4,)) == (1, 64, 50)
    assert found((100_000,), (4,)) == (1, 16, 50_000)
    tall = da.zeros((8, 40, 724, 1440), chunks=(1, 1, -1, -1), dtype="float32")
    assert choose_layout(xr.DataArray(tall, dims=DIMS), "time", 2).chunks == (1, 4, 362, 480)
    parts = da.zeros((2, 40, 3000, 1016), chunks=(1, 1, 1500, 508), dtype="float32")
    assert choose_layout(xr.DataArray(parts, dims=DIMS), "time", 2).chunks == (1, 4, 500, 508)
