"""Versions of the Zarr format: kept for good once a store is begun."""

import json

import numpy as np
import pytest
import xarray as xr
import zarr
from toys import PLAN, contents, file_of, key_of, toy

from flexclim.errors import FlexclimError, StoreError
from flexclim.stores import Place, WriteOptions, write_store
from flexclim.stores.datasets import write_dataset
from flexclim.stores.faults import fault_of
from flexclim.stores.formats import check_format


def test_a_store_keeps_its_format(store, zarr_format):
    write_store(toy(times=3), store, PLAN, options=WriteOptions(zarr_format=zarr_format))
    before = contents(store)
    other = 5 - zarr_format
    with pytest.raises(StoreError, match=rf"has Zarr format {zarr_format}, not {other}\. Leave"):
        write_store(toy(times=3), store, PLAN, options=WriteOptions(zarr_format=other))
    assert contents(store) == before
    write_store(toy(times=5), store, PLAN)
    assert zarr.open_group(store).metadata.zarr_format == zarr_format
    xr.testing.assert_equal(xr.open_zarr(store).load(), toy(times=5).compute())


@pytest.mark.parametrize("zarr_format", [2], indirect=True)
def test_only_codecs_that_all_programs_know_are_in_format_2(store):
    write_store(toy(times=3), store, PLAN)
    arrays = [json.loads(path.read_text()) for path in store.glob("*/.zarray")]
    assert len(arrays) == 8
    assert all(one["compressor"].keys() == {"id", "level"} for one in arrays)
    assert {one["compressor"]["id"] for one in arrays} == {"zlib"}
    assert all(one["filters"] is None and one["zarr_format"] == 2 for one in arrays)
    nothing = {path.parent.name for path in store.glob("*/.zarray") if "null" in path.read_text()}
    filled = {name: json.loads((store / name / ".zarray").read_text())["fill_value"]
              for name in nothing}  # fmt: skip
    # What is 0 in a coordinate is not missing.
    assert {name for name, value in filled.items() if value is not None} == {"t", "empty"}


@pytest.mark.slow
@pytest.mark.parametrize("zarr_format", [2], indirect=True)
@pytest.mark.parametrize("name", ["t", "lat"])
def test_any_flipped_bit_that_changes_values_is_found(store, name):
    write_store(toy(times=2, members=1, side=4), store, PLAN)
    place, array = Place(store), zarr.open_array(store, path=name)
    index = (0,) * array.ndim
    path, key = file_of(store, name, *index), key_of(store, name, *index)
    whole, expected, harmless = path.read_bytes(), array[:], 0
    for position in range(len(whole)):
        content = bytearray(whole)
        content[position] ^= 1 << position % 8
        path.write_bytes(content)
        if fault_of(place, array, key, index) is None:
            harmless += 1
            np.testing.assert_array_equal(array[:], expected)
    assert harmless < 0.1 * len(whole)


def test_texts_of_pandas_are_written_in_format_2(tmp_path):
    """They have a variable length, as ``DataFrame.to_xarray`` returns names of stations."""
    names = np.array(["Bex", "Zürich", ""], dtype=object)
    named = toy(times=3, members=1).assign_coords(place=("time", names), at=np.array("x", object))
    for _ in range(2):
        write_store(named, tmp_path / "a.zarr", PLAN, options=WriteOptions(zarr_format=2))
    write_dataset(named[["crs"]], str(tmp_path / "b.zarr"), zarr_format=2)
    for path, has_names in (("a.zarr", True), ("b.zarr", False)):
        with xr.open_zarr(tmp_path / path) as opened:
            assert opened["at"].item() == "x"
            assert not has_names or opened["place"].values.tolist() == names.tolist()
    arrays = [json.loads(path.read_text()) for path in tmp_path.glob("*/*/.zarray")]
    assert all(one["filters"] is None for one in arrays)


def test_what_is_no_format_is_refused():
    assert [check_format(one) for one in (None, 2, 3, np.int64(2))] == [None, 2, 3, 2]
    for wrong in (1, True, "2", 2.5, [2]):
        with pytest.raises(FlexclimError, match="is neither 2 nor 3"):
            check_format(wrong)


def test_a_repository_has_format_3_alone():
    icechunk = pytest.importorskip("icechunk")
    repository = icechunk.Repository.create(icechunk.in_memory_storage())
    for kept in (repository, repository.writable_session("main").store):
        with pytest.raises(StoreError, match="holds Zarr format 3 alone") as error:
            write_store(toy(times=1), kept, PLAN, options=WriteOptions(zarr_format=2))
        assert "\n" not in str(error.value)
