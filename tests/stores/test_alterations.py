"""Copies and altered stores are not continued as what their attributes say."""

import numpy as np
import pytest
import xarray as xr
from kept_stores import slow_repeats
from toys import PLAN, toy

from flexclim.errors import StoreError
from flexclim.stores import Place, check_store, progress_of, write_store


@pytest.fixture
def written(kept):
    """Return a complete store, opened in memory with the encodings of its files."""
    write_store(small(), kept.store, PLAN)
    return xr.open_zarr(Place(kept.store).store, chunks=None, consolidated=kept.in_folder).load()


@pytest.fixture
def copied(make_kept):
    """Return what writes a copy as any program may: with all attributes."""

    def copy(ds):
        kept = make_kept("copy.zarr")
        kept.save(ds)
        return kept

    return copy


def small(times=20, members=3):
    return toy(times=times, members=members)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda ds: ds.isel(realization=[1]), "realization 1, and this request realization 0"),
        (lambda ds: ds.isel(realization=[2, 1, 0]), "has realization from 2 to 0"),
        (lambda ds: ds.isel(lat=slice(None, None, -1)), r"has lat from 7.0 to 0.0"),
        (lambda ds: ds.isel(lon=slice(4)), r"has lon from 0.0 to 6.0 \(4 values\)"),
        (lambda ds: ds.assign_coords(lon=ds.lon + 360), r"has lon from 360.0"),
        (lambda ds: ds.isel(time=slice(1, None)), "has times from 2020-01-02"),
        (lambda ds: ds * 2, "flexclim did not begin it"),
        (lambda ds: ds.drop_encoding(), "flexclim did not begin it"),
        (
            lambda ds: ds.assign(t=ds["t"].copy(data=2 * ds["t"].values)),
            r"has another t/(c/)?0.0.0.0 ",
        ),
    ],
)
def test_a_copy_of_something_else_is_not_continued(written, copied, change, named):
    copy = copied(change(written))
    before = copy.contents(), copy.attributes()
    for sizes in ({}, {"members": 5, "times": 24}):
        with pytest.raises(StoreError, match=named):
            write_store(small(**sizes), copy.store, PLAN)
    assert before == (copy.contents(), copy.attributes())


def test_a_copy_of_changed_values_is_no_store_of_ours(written, copied):
    copy = copied(written + 1).store
    assert progress_of(copy) is None
    with pytest.raises(StoreError, match="is not a store that flexclim began"):
        check_store(copy)


def test_a_whole_copy_is_continued(written, copied):
    calls = []
    write_store(toy(times=20, members=5, calls=calls), copied(written).store, PLAN)
    assert {member for member, _ in calls} == {2, 3, 4}  # the block of 2 is computed again


def test_rounding_of_coordinates_does_not_count(written, kept):
    near = small()
    near = near.assign_coords(lat=near["lat"] * (1 + 1e-12))
    write_store(near, kept.store, PLAN)
    with kept.open() as opened:
        np.testing.assert_array_equal(opened["lat"], near["lat"])


def test_times_that_are_missing_in_a_coordinate_are_no_alteration(tmp_path):
    dates = np.array(["2020-01-01", "NaT"], "datetime64[ns]")
    small = toy(times=2, members=1).assign_coords(seen=("time", dates))
    for _ in range(2):
        write_store(small, tmp_path / "a.zarr", PLAN)
    other = small.assign_coords(seen=("time", dates[::-1]))
    with pytest.raises(StoreError, match="has seen from"):
        write_store(other, tmp_path / "a.zarr", PLAN)


def test_an_altered_shard_is_told_and_a_damaged_one_repaired(written, kept):
    first = kept.key("t/c/0/0/0/0")
    whole = kept.read(first)
    kept.change({first: whole[:-1] + bytes([whole[-1] ^ 1])})
    with pytest.raises(StoreError, match=f"has another {first} than flexclim wrote"):
        write_store(small(), kept.store, PLAN)
    assert set(check_store(kept.store)) == {first}
    write_store(small(), kept.store, PLAN)
    assert kept.read(first) == whole
    assert check_store(kept.store) == {}


@slow_repeats
def test_a_store_that_was_extended_or_stopped_is_continued(kept):
    """The first shard changes where it waits for times."""
    for sizes in (
        {"times": 3},
        {"times": 5},
        {"times": 5, "members": 4},
        {"times": 20, "members": 4},
    ):
        write_store(small(**sizes), kept.store, PLAN)
    xr.testing.assert_equal(
        kept.open().load(), small(times=20, members=4).compute().drop_attrs(deep=False)
    )


def test_stores_without_hashes_are_continued(kept):
    """As 0.1.0 wrote them."""
    import zarr

    write_store(small(), kept.store, PLAN)
    place = Place(kept.store)
    del place.group("r+").attrs["flexclim_first_shards"]
    if kept.in_folder:
        zarr.consolidate_metadata(kept.store)
    place.commit("as 0.1.0")
    calls = []
    write_store(toy(times=20, members=3, calls=calls), kept.store, PLAN)
    assert calls == []
