"""Metadata and coordinates of a store are repaired."""

import json

import numpy as np
import pytest
import xarray as xr
from toys import PLAN, contents, toy

from flexclim.errors import StoreError
from flexclim.stores import check_store, progress_of, write_store
from flexclim.stores.datasets import open_input


@pytest.fixture
def store(tmp_path):
    write_store(toy(), tmp_path / "a.zarr", PLAN)
    return tmp_path / "a.zarr"


def test_coordinates_and_metadata_are_repaired(store):
    whole = contents(store)
    (store / "lat" / "c" / "0").write_bytes(b"nonsense")
    (store / "time" / "zarr.json").write_text("{")
    (store / "t" / "zarr.json").unlink()
    assert check_store(store) == {
        "lat/c/0": "checksum",
        "time/zarr.json": "unreadable",
        "t/zarr.json": "missing",
    }
    write_store(toy(), store, PLAN)
    assert contents(store) == whole
    assert check_store(store) == {}


def test_other_attributes_of_the_input_are_no_damage(store):
    other = toy()
    other["t"].attrs["long_name"] = "temperature"
    write_store(other, store, PLAN)
    assert check_store(store) == {}
    assert progress_of(store).complete
    assert xr.open_zarr(store, consolidated=True)["t"].attrs["long_name"] == "temperature"


@pytest.mark.parametrize("content", ["{", "{}"])
def test_metadata_that_can_not_be_mended_is_reported_in_one_line(store, content):
    root = json.loads((store / "zarr.json").read_text())
    del root["consolidated_metadata"]  # as of a run that was stopped
    (store / "zarr.json").write_text(json.dumps(root))
    (store / "t" / "zarr.json").write_text(content)
    with pytest.raises(StoreError, match=r"t/zarr\.json is damaged") as error:
        write_store(toy(), store, PLAN)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("error:The data type")
def test_names_are_written_without_a_warning(tmp_path):
    names = np.array([f"S{n}" for n in range(8)])
    ds = toy(4, 2).assign_coords(lon=names, place=("lat", names))
    write_store(ds, tmp_path / "a.zarr", PLAN)
    assert check_store(tmp_path / "a.zarr") == {}
    opened = open_input(tmp_path / "a.zarr")
    assert opened.lon.values.tolist() == names.tolist()
    assert opened.place.dtype == names.dtype
