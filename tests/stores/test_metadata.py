"""Metadata and coordinates of a store are repaired."""

import json
import re

import numpy as np
import pytest
from kept_stores import Kept, slow_repeats
from toys import PLAN, contents, file_of, key_of, toy

from flexclim.errors import StoreError
from flexclim.stores import check_store, progress_of, write_store

# Files of metadata of an array, by format.
FILES = {3: ["zarr.json"], 2: [".zarray", ".zattrs"]}


@pytest.fixture
def store(store):
    write_store(toy(), store, PLAN)
    return store


def test_coordinates_are_repaired(kept):
    write_store(toy(), kept.store, PLAN)
    whole = kept.contents()
    lat, times = kept.key("lat/c/0"), kept.key("time/c/0")
    kept.change({lat: b"nonsense", times: None})
    wrong = "checksum" if kept.zarr_format == 3 else "unreadable"
    assert check_store(kept.store) == {lat: wrong, times: "missing"}
    write_store(toy(), kept.store, PLAN)
    assert kept.contents() == whole
    assert check_store(kept.store) == {}


def test_coordinates_and_metadata_are_repaired(store, zarr_format):
    whole = contents(store)
    file_of(store, "lat", 0).write_bytes(b"nonsense")
    expected = {key_of(store, "lat", 0): "checksum" if zarr_format == 3 else "unreadable"}
    for name in FILES[zarr_format]:
        (store / "time" / name).write_text("{")
        (store / "t" / name).unlink()
        expected |= {f"time/{name}": "unreadable", f"t/{name}": "missing"}
    assert check_store(store) == expected
    write_store(toy(), store, PLAN)
    assert contents(store) == whole
    assert check_store(store) == {}


@slow_repeats
def test_other_attributes_of_the_input_are_no_damage(kept):
    write_store(toy(), kept.store, PLAN)
    other = toy()
    other["t"].attrs["long_name"] = "temperature"
    write_store(other, kept.store, PLAN)
    assert check_store(kept.store) == {}
    assert progress_of(kept.store).complete
    assert kept.open()["t"].attrs["long_name"] == "temperature"


def unconsolidated(place):
    """Return the changed file of metadata, as of a run that was stopped; None: it goes."""
    if (root := place.read("zarr.json")) is None:
        return {".zmetadata": None}
    content = json.loads(root)
    del content["consolidated_metadata"]
    return {"zarr.json": json.dumps(content).encode()}


@pytest.mark.parametrize("content", ["{", "{}"])
def test_metadata_that_can_not_be_mended_is_reported_in_one_line(store, zarr_format, content):
    kept, name = Kept(store, zarr_format), f"t/{FILES[zarr_format][0]}"
    kept.change(unconsolidated(kept))
    (store / name).write_text(content)
    with pytest.raises(StoreError, match=f"{re.escape(name)} is damaged") as error:
        write_store(toy(), store, PLAN)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("zarr_format", [2], indirect=True)
@pytest.mark.parametrize("content", ["{", "[]", "{}"])
def test_damaged_consolidated_metadata_are_written_again(store, content):
    whole = (store / ".zmetadata").read_bytes()
    (store / ".zmetadata").write_text(content)
    assert not progress_of(store).complete
    assert check_store(store) == {".zmetadata": "unreadable"}
    write_store(toy(), store, PLAN)
    assert (store / ".zmetadata").read_bytes() == whole
    assert progress_of(store).complete


def test_an_array_whose_metadata_are_lost_is_reported_in_one_line(kept):
    write_store(toy(), kept.store, PLAN)
    if kept.in_folder:  # of those there is no other copy
        kept.change(unconsolidated(kept))
    name = f"t/{FILES[kept.zarr_format][0]}"
    kept.change({name: None})
    with pytest.raises(StoreError, match=f"{re.escape(name)} is damaged") as error:
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
