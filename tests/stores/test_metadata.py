"""Metadata and coordinates of a store are repaired."""

import json

import numpy as np
import pytest
from kept_stores import slow_with_icechunk
from toys import PLAN, contents, toy

from flexclim.errors import StoreError
from flexclim.stores import check_store, progress_of, write_store


@pytest.fixture
def store(tmp_path):
    write_store(toy(), tmp_path / "a.zarr", PLAN)
    return tmp_path / "a.zarr"


def test_coordinates_are_repaired(kept):
    write_store(toy(), kept.store, PLAN)
    whole = kept.contents()
    kept.change({"lat/c/0": b"nonsense", "time/c/0": None})
    assert check_store(kept.store) == {"lat/c/0": "checksum", "time/c/0": "missing"}
    write_store(toy(), kept.store, PLAN)
    assert kept.contents() == whole
    assert check_store(kept.store) == {}


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


@slow_with_icechunk
def test_other_attributes_of_the_input_are_no_damage(kept):
    write_store(toy(), kept.store, PLAN)
    other = toy()
    other["t"].attrs["long_name"] = "temperature"
    write_store(other, kept.store, PLAN)
    assert check_store(kept.store) == {}
    assert progress_of(kept.store).complete
    assert kept.open()["t"].attrs["long_name"] == "temperature"


def without_consolidated(root):
    """Return the metadata of a root as of a run that was stopped."""
    content = json.loads(root)
    del content["consolidated_metadata"]
    return json.dumps(content).encode()


@pytest.mark.parametrize("content", ["{", "{}"])
def test_metadata_that_can_not_be_mended_is_reported_in_one_line(store, content):
    root = store / "zarr.json"
    root.write_bytes(without_consolidated(root.read_bytes()))
    (store / "t" / "zarr.json").write_text(content)
    with pytest.raises(StoreError, match=r"t/zarr\.json is damaged") as error:
        write_store(toy(), store, PLAN)
    assert "\n" not in str(error.value)


def test_an_array_whose_metadata_are_lost_is_reported_in_one_line(kept):
    write_store(toy(), kept.store, PLAN)
    if kept.in_folder:  # of those there is no other copy
        kept.change({"zarr.json": without_consolidated(kept.read("zarr.json"))})
    kept.change({"t/zarr.json": None})
    with pytest.raises(StoreError, match=r"t/zarr\.json is damaged") as error:
        write_store(toy(), kept.store, PLAN)
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("error:The data type")
def test_names_are_written_without_a_warning(kept):
    names = np.array([f"S{n}" for n in range(8)])
    ds = toy(4, 2).assign_coords(lon=names, place=("lat", names))
    write_store(ds, kept.store, PLAN)
    assert check_store(kept.store) == {}
    opened = kept.open()
    assert opened.lon.values.tolist() == names.tolist()
    assert opened.place.dtype == names.dtype
