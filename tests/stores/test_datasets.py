"""Opening fields; NetCDF files that are whole or not there."""

import os

import dask.array as da
import numpy as np
import psutil
import pytest
import xarray as xr

from flexclim.errors import FlexclimError, StoreError
from flexclim.stores import write_store
from flexclim.stores.datasets import open_input, write_netcdf_files


@pytest.fixture
def field():
    """Return five lazy members of a field, and a number without dimensions."""
    values = np.random.default_rng(1).normal(size=(5, 4, 8, 8)).astype("float32")
    blocks = da.from_array(values, chunks=(2, 1, 8, 8))
    return xr.Dataset(
        {"t": (("realization", "time", "lat", "lon"), blocks, {"units": "K"}), "crs": ((), 0)},
        {
            "realization": np.arange(5, dtype="int32"),
            "time": np.datetime64("2020-01-01", "ns") + np.arange(4) * np.timedelta64(1, "D"),
            "lat": np.arange(8) * 1.0,
            "lon": np.arange(8) * 2.0,
        },
    )


def test_netcdf_is_whole_or_not_there(field, tmp_path, monkeypatch):
    (path,) = write_netcdf_files(field, tmp_path / "new" / "a.nc")
    xr.testing.assert_equal(open_input(path).load(), field.compute())
    with pytest.raises(StoreError, match="exists"):
        write_netcdf_files(field, path)
    write_netcdf_files(field.isel(time=slice(2)), path, overwrite=True)
    assert open_input(path).sizes["time"] == 2

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="can't be written: No space left on device"):
        write_netcdf_files(field, path, overwrite=True)
    assert open_input(path).sizes["time"] == 2
    assert os.listdir(path.parent) == ["a.nc"]


def test_inputs_are_opened_lazily(field, tmp_path):
    for path in (
        *write_netcdf_files(field, tmp_path / "a.nc"),
        write_store(field, tmp_path / "a.zarr", {}).path,
    ):
        for name in (path, str(path)):
            assert isinstance(open_input(name)["t"].data, da.Array)


@pytest.mark.filterwarnings("error")
def test_an_unfinished_store_is_opened_without_a_warning(field, tmp_path):
    field.to_zarr(tmp_path / "begun.zarr", consolidated=False)
    assert set(open_input(tmp_path / "begun.zarr").data_vars) == set(field.data_vars)


def test_a_file_that_can_not_be_opened_is_let_go(field, tmp_path, monkeypatch):
    (path,) = write_netcdf_files(field, tmp_path / "a.nc")

    def fails(opened):
        raise KeyError("t")

    monkeypatch.setattr("flexclim.stores.datasets._blocks", fails)
    with pytest.raises(FlexclimError, match="can't be opened") as caught:
        open_input(path)
    assert str(path) not in [file.path for file in psutil.Process().open_files()], caught


@pytest.mark.parametrize("kind", ["missing", "text", "empty", "cut", "folder"])
def test_what_is_no_field_gets_one_line(field, tmp_path, kind):
    path = tmp_path / "a.nc"
    if kind == "text":
        path.write_text("lat,lon\n1,2\n")
    elif kind == "empty":
        path.touch()
    elif kind == "cut":
        (whole,) = write_netcdf_files(field, tmp_path / "whole.nc")
        content = whole.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(FlexclimError, match=r"a\.nc") as error:
        open_input(path)
    assert "\n" not in str(error.value)
    assert "Give" in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path))
