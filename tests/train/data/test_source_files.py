import h5py
import numpy as np
import pytest

from flexclim.errors import RecipeError
from flexclim.train.data.source_fields import open_fields
from flexclim.train.data.source_files import _is_zarr, open_dataset
from flexclim.train.recipes.source_settings import Bare, Derived, Reading

SPEED = {"speed": Derived(wind_speed=("u", "v")), "energy": Derived(kinetic_energy=("u", "v"))}


@pytest.mark.parametrize("kind", ["netcdf", "zarr", "url", "memory", "remote netcdf"])
def test_files_stores_and_urls_hold_the_same(tmp_path, kind, dataset, planes):
    ds = dataset()
    if kind == "netcdf":
        ds.to_netcdf(tmp_path / "a.nc")
        path = "a.nc"
    elif kind == "remote netcdf":
        ds.to_netcdf(tmp_path / "a.nc")
        path = f"file://{tmp_path}/a.nc"
    else:
        path = "memory://flexclim-test/a.zarr" if kind == "memory" else f"{tmp_path}/a.zarr"
        ds.to_zarr(path, consolidated=False, mode="w")
        path = f"file://{path}" if kind == "url" else path
    fields = open_fields(Reading(path=path), str(tmp_path), ["v"])
    np.testing.assert_array_equal(planes(fields, "v"), ds.v.values)
    np.testing.assert_array_equal(fields.times, ds.time.values)
    assert fields.grid().domain.shape == (6, 8)


def test_a_folder_named_after_zarr_holds_a_file(tmp_path, dataset):
    """Only the suffix of a path or of a folder above tells of a store."""
    folder = tmp_path / "from.zarr.2018"
    folder.mkdir()
    dataset().to_netcdf(folder / "a.nc")
    assert set(open_dataset(str(folder / "a.nc"), Reading(path="a.nc")).data_vars) == {"u", "v"}
    for path in ("a.zarr/group", "gs://b/a.zarr-v3", "simplecache::s3://b/a.zarr", "a.zarr"):
        assert _is_zarr(path)
    for path in ("my.zarr.nc", "s3://zarr.org/a.nc", "x.zarrs/a.nc"):
        assert not _is_zarr(path)


def test_a_bare_hdf5_file(tmp_path, planes):
    values = np.random.default_rng(0).normal(size=(5, 2, 8, 8)).astype("float32")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["fields"] = values
    bare = Bare(channels=("u", "v"), latitude=(40, 33), longitude=(0, 7), start="2018-01-01")
    fields = open_fields(Reading(path="a.h5", bare=bare), str(tmp_path), ["v"])
    np.testing.assert_array_equal(planes(fields, "v"), values[:, 1])
    assert fields.times[1] == np.datetime64("2018-01-01T01")
    assert not fields.grid().flip_y
    # Without coordinates: a plane whose rows are stored from the top, and times that are counted.
    fields = open_fields(Reading(path="a.h5", bare=Bare(channels=("u", "v"))), str(tmp_path), ["u"])
    np.testing.assert_array_equal(planes(fields, "u"), values[:, 0])
    np.testing.assert_array_equal(fields.grid().canonical(values[0, 0]), values[0, 0])
    assert fields.times.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("reading", "name", "message"),
    [
        ({"path": "absent.nc"}, "u", "absent.nc is not there; set data.folder"),
        ({"path": "no*.nc"}, "u", "no file matches .*no.*; set data.folder"),
        ({"path": "text.nc"}, "u", "text.nc can't be opened: "),
        ({"path": "memory://nowhere/x.zarr"}, "u", "x.zarr can't be opened: "),
        ({"path": "a.nc"}, "uu", r"a.nc has no variable 'uu'; did you mean u\?"),
        ({"path": "a.nc", "derive": SPEED}, "sped", "did you mean speed"),
        ({"path": "a.nc", "rename": {"w": "x"}}, "x", "has no variable 'w'"),
        ({"path": "bare.h5", "bare": {"channels": ["a", "b"]}}, "a", "has 1 channels; bare"),
        ({"path": "bare.h5", "bare": {"channels": ["a"], "dataset": "w"}}, "a", "has no array 'w'"),
    ],
)
def test_what_can_not_be_read_gets_one_line(tmp_path, reading, name, message, dataset):
    dataset().to_netcdf(tmp_path / "a.nc")
    (tmp_path / "text.nc").write_text("no netcdf")
    with h5py.File(tmp_path / "bare.h5", "w") as file:
        file["fields"] = np.zeros((5, 8, 8), "float32")
    with pytest.raises(RecipeError, match=message) as caught:
        open_fields(Reading(**reading), str(tmp_path), [name])
    assert "\n" not in str(caught.value)


def test_brackets_in_names_are_no_pattern_where_there_is_such_a_file(tmp_path, dataset):
    folder = tmp_path / "d [1]"
    folder.mkdir()
    dataset().to_netcdf(folder / "f [2018].nc")
    for path in ("f [2018].nc", "f*.nc"):
        assert open_fields(Reading(path=path), str(folder), ["u"])
