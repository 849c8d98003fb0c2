"""Opening fields; NetCDF files that are whole or not there."""

import os

import dask.array as da
import numpy as np
import psutil
import pytest
import xarray as xr
from dask.highlevelgraph import HighLevelGraph

from flexclim.errors import FlexclimError, FlexclimWarning, StoreError
from flexclim.execution.network_tasks import network_layer
from flexclim.execution.notes import record
from flexclim.stores import write_store
from flexclim.stores.datasets import open_input, write_dataset, write_netcdf_files
from flexclim.stores.place import Place


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


def test_links_and_modes_of_files_stay(field, tmp_path):
    (tmp_path / "disk").mkdir()
    real, link = tmp_path / "disk" / "real.nc", tmp_path / "link.nc"
    write_netcdf_files(field, real)
    real.chmod(0o640)
    link.symlink_to(real)
    assert write_netcdf_files(field + 1, link, overwrite=True) == [link]
    np.testing.assert_allclose(open_input(real)["t"], field["t"] + 1, rtol=1e-6)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path / "disk") == ["real.nc"]


def failing(field):
    """Return a field of which one block can't be computed."""
    data = field["t"].data

    def broken(block, block_info=None):
        if block_info[0]["chunk-location"][1] == 3:
            raise ValueError("no number")
        return block

    return field.assign(t=field["t"].copy(data=data.map_blocks(broken, dtype="float32")))


def test_a_store_is_whole_or_not_there(field, tmp_path):
    path = str(tmp_path / "a.zarr")
    with pytest.raises(ValueError, match="no number"):
        write_dataset(failing(field), path)
    assert os.listdir(tmp_path) == []
    write_dataset(field, path)
    with pytest.raises(ValueError, match="no number"):
        write_dataset(failing(field), path, overwrite=True)
    xr.testing.assert_equal(open_input(path).load(), field.compute())
    later = open_input(path)  # what is read while its store is replaced
    write_dataset(later.assign(t=later["t"] + 1), path, overwrite=True)
    np.testing.assert_allclose(open_input(path)["t"], field["t"] + 1, rtol=1e-6)
    assert os.listdir(tmp_path) == ["a.zarr"]


def test_links_and_modes_of_stores_stay(field, tmp_path):
    (tmp_path / "disk").mkdir()
    real, link = tmp_path / "disk" / "real.zarr", tmp_path / "link.zarr"
    write_dataset(field, str(real))
    real.chmod(0o750)
    link.symlink_to(real)
    for more in (1, 2):
        write_dataset(field + more, str(link), overwrite=True)
        np.testing.assert_allclose(open_input(real)["t"], field["t"] + more, rtol=1e-6)
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o750
    assert os.listdir(tmp_path / "disk") == ["real.zarr"]
    (tmp_path / "file.zarr").write_text("thesis")
    with pytest.raises(StoreError, match="is a file, not a store"):
        write_dataset(field, str(tmp_path / "file.zarr"), overwrite=True)
    assert (tmp_path / "file.zarr").read_text() == "thesis"


def test_tasks_that_compute_others_are_stored(field, tmp_path):
    """With a pool of its own for all, dask would wait for itself."""
    other = da.from_array(np.ones((8, 8), "float32"), chunks=4)
    nested = field["t"].data.map_blocks(lambda block: block + np.asarray(other), dtype="float32")
    write_dataset(field.assign(t=field["t"].copy(data=nested)), str(tmp_path / "a.zarr"))
    np.testing.assert_allclose(open_input(tmp_path / "a.zarr")["t"], field["t"] + 1, rtol=1e-6)


def test_a_store_on_a_server_is_whole_or_not_there(field):
    path = "memory://whole/a.zarr"
    with pytest.raises(ValueError, match="no number"):
        write_dataset(failing(field), path)
    assert not Place(path).keys()
    write_dataset(field, path)
    with pytest.raises(StoreError, match="on a server can't be replaced"):
        write_dataset(field, path, overwrite=True)
    xr.testing.assert_equal(open_input(path).load(), field.compute())


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


def test_what_is_opened_is_copied_by_plain_to_zarr(field, tmp_path):
    """Chunks of files are not kept: dask's blocks need not fit them."""
    values = np.zeros((5, 40, 8, 8), "float32")
    days = np.datetime64("2020-01-01", "ns") + np.arange(40) * np.timedelta64(1, "D")
    blocks = da.from_array(values, chunks=(2, 1, 8, 8))
    long = field.drop_dims("time").assign(t=(("realization", "time", "lat", "lon"), blocks))
    opened = open_input(write_store(long.assign_coords(time=days), tmp_path / "a.zarr", {}).path)
    opened.to_zarr(tmp_path / "copy.zarr", consolidated=False)
    xr.testing.assert_equal(open_input(tmp_path / "copy.zarr"), opened)
    opened.to_netcdf(tmp_path / "copy.nc")
    copied = open_input(tmp_path / "copy.nc").chunk(time=7)
    copied.to_zarr(tmp_path / "again.zarr", consolidated=False)
    for name in ("chunks", "shards", "preferred_chunks", "chunksizes"):
        assert name not in opened["t"].encoding, name
        assert name not in copied["t"].encoding, name


@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_times_in_months_stay_numbers(field, tmp_path, suffix):
    """UDUNITS' month is 30.44 days, which no calendar knows."""
    path = tmp_path / f"a.{suffix}"
    months = ("time", [0.5, 1.5, 2.5, 3.5], {"units": "months since 1960-01-01"})
    days = ("time", [0, 1, 2, 3], {"units": "days since 1960-01-01"})
    ds = field.assign_coords(time=months, start=days)
    ds.to_netcdf(path) if suffix == "nc" else ds.to_zarr(path, consolidated=False)
    with pytest.warns(FlexclimWarning, match="'time' is in 'months since 1960-01-01', which can't"):
        opened = open_input(path)
    assert opened["time"].values.tolist() == [0.5, 1.5, 2.5, 3.5]
    assert opened["start"].dtype.kind == "M"
    assert opened["t"].shape == field["t"].shape
    months[2]["calendar"] = "360_day"  # where a month is 30 days
    field.assign_coords(time=months).to_netcdf(tmp_path / "b.nc")
    assert open_input(tmp_path / "b.nc")["time"].values[1].isoformat() == "1960-02-16T00:00:00"


def test_years_of_the_valid_times_of_a_forecast(field, tmp_path):
    times = np.array(["2018-12-31T18", "2019-01-01T00"], "datetime64[ns]")
    run = field.isel(time=[0, 0]).drop_vars("time").rename(time="step")
    run = run.assign_coords(valid_time=("step", times))
    files = write_netcdf_files(run, tmp_path / "a.nc", split="year")
    assert [file.name for file in files] == ["a_2018.nc", "a_2019.nc"]


@pytest.mark.parametrize("time", ["time", "valid_time"])
def test_files_of_a_year_each(field, tmp_path, time):
    days = np.array(["1999-12-31", "2000-01-01", "2000-12-31", "2001-01-01"], "M8[ns]")
    field = field.assign_coords(time=days).rename({"time": time} if time != "time" else {})
    files = write_netcdf_files(field, tmp_path / "a.nc", split="year")
    assert [file.name for file in files] == ["a_1999.nc", "a_2000.nc", "a_2001.nc"]
    found = [open_input(file) for file in files]
    assert [ds.sizes[time] for ds in found] == [1, 2, 1]
    xr.testing.assert_equal(xr.concat([ds["t"] for ds in found], time), field["t"].compute())
    with pytest.raises(StoreError, match="no dimension of times to split by year"):
        write_netcdf_files(field.isel({time: 0}), tmp_path / "b.nc", split="year")
    with pytest.raises(StoreError, match="no members to split by member"):
        write_netcdf_files(field.isel(realization=0), tmp_path / "b.nc", split="member")
    missing = field.assign_coords({time: [days[0], np.datetime64("NaT"), *days[2:]]})
    with pytest.raises(StoreError, match=f"'{time}' has missing values, which belong to no year"):
        write_netcdf_files(missing, tmp_path / "b.nc", split="year")


def test_an_unlimited_dimension_is_written_as_one(field, tmp_path):
    field.encoding["unlimited_dims"] = {"time"}
    for split in (None, "year", "member"):
        for file in write_netcdf_files(field, tmp_path / f"{split}.nc", split=split):
            assert open_input(file).encoding["unlimited_dims"] == {"time"}


def test_rounded_values_are_said_to_be_so(field, tmp_path):
    (path,) = write_netcdf_files(field, tmp_path / "a.nc", keep_bits=7)
    rounded = open_input(path)
    assert rounded.attrs["flexclim_keep_bits"] == 7
    assert 0 < float(abs(rounded["t"] / field["t"] - 1).max()) <= 2**-8
    (path,) = write_netcdf_files(field, tmp_path / "b.nc")
    assert "flexclim_keep_bits" not in open_input(path).attrs


def test_notes_of_tasks_are_kept_in_each_file(field, tmp_path):
    def noted(block):
        record("a run", "memory did not suffice")
        return block

    lazy = field["t"].data.map_blocks(noted, dtype="float32", meta=np.zeros((0,) * 4, "float32"))
    graph = lazy.dask
    layers = {name: network_layer(layer, "a run") for name, layer in graph.layers.items()}
    graph = HighLevelGraph(layers, graph.dependencies)
    data = da.Array(graph, lazy.name, lazy.chunks, dtype="float32")
    field = field.assign(t=field["t"].copy(data=data))
    with pytest.warns(FlexclimWarning, match="memory did not suffice"):
        files = write_netcdf_files(field, tmp_path / "a.nc", split="member")
    assert {open_input(file).attrs["flexclim_notes"] for file in files} == {
        "memory did not suffice"
    }


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
    expected = r"a\.nc is a folder, but no Zarr store" if kind == "folder" else r"a\.nc"
    with pytest.raises(FlexclimError, match=expected) as error:
        open_input(path)
    assert "\n" not in str(error.value)
    assert "Give" in str(error.value)
    assert len(str(error.value)) < 400 + len(str(path))
