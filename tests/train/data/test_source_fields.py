import numpy as np
import pytest
import xarray as xr

from flexclim.errors import RecipeError
from flexclim.resampling import coarsen
from flexclim.train.data.series import Joined, Memory, Stored
from flexclim.train.data.source_fields import in_memory, open_fields
from flexclim.train.data.sources import check_sources, open_sources
from flexclim.train.data.splits import select_times
from flexclim.train.recipes.data_settings import Data
from flexclim.train.recipes.source_settings import Derived, Reading


@pytest.mark.parametrize("small", [True, False])
def test_a_broken_chunk_gets_one_line(tmp_path, monkeypatch, small, dataset):
    ds = dataset()
    ds.to_zarr(tmp_path / "a.zarr", zarr_format=2, consolidated=False)
    (chunk,) = (tmp_path / "a.zarr" / "u").glob("[0-9]*")
    chunk.write_bytes(b"broken")
    values = {
        "folder": str(tmp_path),
        "inputs": ["u"],
        "sources": [{"path": "a.zarr", "train": ["0", "2"], "validate": ["3", "3"]}],
    }
    data = Data.model_validate(values)
    if not small:
        monkeypatch.setattr("flexclim.train.data.source_fields.IN_MEMORY", 0)
    with pytest.raises(
        RecipeError, match=r"'u' in a.zarr can't be read: .*check the file"
    ) as caught:
        check_sources(open_sources(data, "train"), data, (4, 4))
    assert "\n" not in str(caught.value)


def test_opening_reads_no_field(tmp_path, monkeypatch, dataset):
    dataset().to_netcdf(tmp_path / "a.nc")

    def fails(*_):
        raise AssertionError("a field was read")

    monkeypatch.setattr(Stored, "read", fails)
    monkeypatch.setattr(Stored, "read_all", fails)
    open_fields(Reading(path="a.nc", derive=SPEED), str(tmp_path), ["speed", "u"])


SPEED = {"speed": Derived(wind_speed=("u", "v")), "energy": Derived(kinetic_energy=("u", "v"))}


@pytest.mark.parametrize("path", ["part*.nc", ("part2.nc", "part1.nc")])
def test_several_files_are_one_record(tmp_path, path, dataset):
    first, second = dataset(), dataset("2018-10-02", 3, seed=1)
    first.to_netcdf(tmp_path / "part1.nc")
    second.to_netcdf(tmp_path / "part2.nc")
    fields = open_fields(Reading(path=path), str(tmp_path), ["u"])
    assert isinstance(fields.series["u"].series, Joined)
    chosen = select_times(fields.times, fields.usable, ("2018-10-01T12", "2018-10-02T00"), "x")
    whole = xr.concat([first, second], "time").u.sel(time=fields.times[chosen])
    assert set(fields.times[chosen]) == set(
        np.array(["2018-10-01T12", "2018-10-01T18", "2018-10-02T00"], "M8[ns]")
    )
    np.testing.assert_array_equal(fields.series["u"].read_all(chosen), whole.values)


def test_derived_variables(tmp_path, dataset, planes):
    ds = dataset()
    ds.to_netcdf(tmp_path / "a.nc")
    fields = open_fields(Reading(path="a.nc", derive=SPEED), str(tmp_path), ["speed", "energy"])
    np.testing.assert_allclose(planes(fields, "speed"), np.hypot(ds.u, ds.v), rtol=1e-6)
    np.testing.assert_allclose(planes(fields, "energy"), (ds.u**2 + ds.v**2) / 2, rtol=1e-6)
    assert fields.attributes["energy"]["units"] == "m2 s-2"


def test_renamed_selected_and_limited(tmp_path, dataset, planes):
    ds = dataset().expand_dims(level=[500, 850], axis=1)
    ds = ds * xr.DataArray([1.0, 10.0], dims="level")
    ds.to_netcdf(tmp_path / "a.nc")
    reading = Reading(path="a.nc", rename={"u": "u850"}, select={"level": 850}, largest={"u850": 5})
    fields = open_fields(reading, str(tmp_path), ["u850"])
    truth = ds.u.sel(level=850)
    np.testing.assert_allclose(planes(fields, "u850"), truth.where(truth <= 5), rtol=1e-6)
    with pytest.raises(RecipeError, match=r"has a dimension 'level' of 2; choose one value with"):
        open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])
    with pytest.raises(RecipeError, match=r"has no single level 700\.0 to select; it has 500, 850"):
        open_fields(Reading(path="a.nc", select={"level": 700}), str(tmp_path), ["u"])


def test_small_variables_are_read_once(tmp_path, monkeypatch, dataset):
    dataset().to_netcdf(tmp_path / "a.nc")
    fields = open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])
    series, times = in_memory(fields, np.array([1, 3]))
    assert isinstance(series["u"], Memory)
    assert times.tolist() == [0, 1]
    np.testing.assert_array_equal(series["u"].read(1), fields.series["u"].read(3))
    monkeypatch.setattr("flexclim.train.data.source_fields.IN_MEMORY", 10)
    series, times = in_memory(fields, np.array([1, 3]))
    assert isinstance(series["u"].series, Stored)
    assert times.tolist() == [1, 3]


FORECAST = (
    "data.tasks={forecast: 1}",
    "data.scaling=fixed",
    "data.inputs=[u10, v10]",
    "data.sources.0.variables=[]",
    "data.sources.0.signed=false",
    "data.forecast.leads={6h: 1, 12h: 1}",
)


def test_fields_are_averaged_first(folder, read):
    ds = xr.load_dataset(folder / "wind.nc").isel(latitude=slice(64), longitude=slice(0, 100))
    ds.u10[0, :1, :3] = np.nan
    ds.u10[0, 2:4, 5:7] = ds.u10[0, 2, 4] = np.nan
    ds.to_netcdf(folder / "cells.nc")
    data = read(folder, *FORECAST, "data.sources.0.path=cells.nc", "data.sources.0.coarsen=2").data
    (source,) = open_sources(data, "train")
    assert source.grid.domain.shape == (32, 50)
    found = source.series["u10"].read(0, slice(0, 5), slice(0, 9))
    part = ds.u10[0, :10, :18]
    half = abs(float(ds.latitude[1] - ds.latitude[0])) / 2
    latitude = ds.latitude[:10]
    north, south = np.deg2rad((latitude + half).clip(max=90)), np.deg2rad(latitude - half)
    area = np.sin(north) - np.sin(south)
    sides = {"latitude": 2, "longitude": 2}
    weight = (part.notnull() * area).coarsen(sides).sum()
    blocks = (part * area).coarsen(sides).sum() / weight
    blocks[1, 2] = np.nan  # one cell of four is known; half are of its neighbour
    np.testing.assert_allclose(found, blocks, atol=1e-5)
    expected = ds.latitude.coarsen(latitude=2).mean()
    np.testing.assert_allclose(source.target_fields.template.latitude, expected)


@pytest.mark.parametrize("repeats", [False, True])
def test_points_are_averaged_about_every_second_one(folder, repeats, read):
    latitude, longitude = np.linspace(90, -90, 91), np.arange(0, 360, 4.0)
    values = np.random.default_rng(0).normal(size=(4, 91, 90)).astype("float32")
    coords = {"time": xr.date_range("2018-10-01", periods=4), "latitude": latitude}
    wind = xr.Dataset(
        {"u10": (("time", "latitude", "longitude"), values, {"units": "m s-1"})},
        coords | {"longitude": longitude},
    )
    first = wind.isel(longitude=[0]).assign_coords(longitude=[360.0])
    stored = xr.concat([wind, first], "longitude") if repeats else wind
    stored.to_netcdf(folder / "points.nc")
    (reading,) = read(
        folder, "data.sources.0.path=points.nc", "data.sources.0.coarsen=2"
    ).data.sources
    fields = open_fields(reading, str(folder), ["u10"])
    means = coarsen(wind.u10, 2)
    assert means.shape == (4, 46, 45)
    series = fields.series["u10"]
    np.testing.assert_allclose(series.read_all(np.arange(4)), means, atol=1e-5)
    np.testing.assert_allclose(
        series.read(2, slice(10, 30), slice(40, 45)), means[2, 10:30, 40:45], atol=1e-5
    )
    np.testing.assert_array_equal(fields.template.latitude, means.latitude)
    np.testing.assert_array_equal(fields.template.longitude, means.longitude)
    assert fields.grid().domain.kind == "point"
