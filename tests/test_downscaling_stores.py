"""Downscaling into a store: the same numbers, resumable, extended, never over somebody's data."""

import time

import coarse_fields
import dask
import numpy as np
import pytest
import xarray as xr
from filelock import FileLock
from kept_stores import slow_repeats

import flexclim
from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimError, StoreError
from flexclim.stores.datasets import write_dataset


def field(times):
    return coarse_fields.region(times, 6, 9)


@pytest.fixture
def region():
    return field(3)


@pytest.mark.parametrize("lazy", [False, True])
@slow_repeats
def test_a_store_holds_what_downscale_returns(region, toy_model, kept, lazy):
    given = region.chunk(time=2) if lazy else region
    stored = downscale_to_zarr(given, kept.store, 4, model=toy_model, members=3, batch=4)
    fine = downscale(region, 4, model=toy_model, members=3, batch=4)
    np.testing.assert_array_equal(stored["t"].values, fine.values)
    assert stored["t"].dims == fine.dims
    assert stored.attrs["flexclim_model_sha256"] == toy_model.sha256


@pytest.mark.usefixtures("single_planes")
@slow_repeats
def test_a_stopped_run_goes_on(toy_model, kept, sampled, monkeypatch):
    """Shards hold 16 times; those of the first are kept, in a folder."""
    options = {"model": toy_model, "members": 2, "batch": 4, "steps": 1}
    noted = flexclim.sampling.downscaling_graph.sample

    def dies(*arguments):
        if len(sampled) == 17:
            raise KeyboardInterrupt
        return noted(*arguments)

    with monkeypatch.context() as patch, dask.config.set(scheduler="synchronous"):
        patch.setattr("flexclim.sampling.downscaling_graph.sample", dies)
        with pytest.raises(KeyboardInterrupt):
            downscale_to_zarr(field(18), kept.store, 4, **options)
    found = flexclim.stores.progress_of(kept.store)
    if kept.in_folder:  # both members are made by one task a time
        assert found.done["t"] == 2
    else:
        assert found is None
    sampled.clear()
    stored = downscale_to_zarr(field(18), kept.store, 4, **options)
    assert len(sampled) == (2 if kept.in_folder else 18)
    np.testing.assert_array_equal(stored["t"].values, downscale(field(18), 4, **options).values)


@pytest.mark.slow
@slow_repeats
def test_times_in_another_resolution_continue_a_store(toy_model, kept):
    options = {"model": toy_model, "members": 1, "steps": 1}
    fine, coarse = (
        field(2).assign_coords(time=field(2).time.astype(f"datetime64[{unit}]"))
        for unit in ("ns", "s")
    )
    downscale_to_zarr(fine.isel(time=[0]), kept.store, 4, **options)
    for given in (coarse, fine, coarse):
        stored = downscale_to_zarr(given, kept.store, 4, **options)
    assert stored.sizes["time"] == 2
    with pytest.raises(StoreError, match="was begun with input"):
        downscale_to_zarr(coarse + 1, kept.store, 4, **options)


@pytest.mark.slow
@slow_repeats
def test_a_forecast_by_lead_times_is_continued_and_extended(toy_model, kept):
    options = {"model": toy_model, "members": 1, "steps": 1}
    times = field(3).time.values
    run = field(3).rename(time="step")
    run = run.assign_coords(step=times - times[0], time=times[0], valid_time=("step", times))
    for stop in (2, 2, 3):
        stored = downscale_to_zarr(run.isel(step=slice(stop)), kept.store, 4, **options)
        assert stored.sizes["step"] == stop
    np.testing.assert_array_equal(stored["t"].values, downscale(run, 4, **options).values)
    np.testing.assert_array_equal(stored.valid_time.values, times)
    later = run.assign_coords(step=run.step * 2, valid_time=run.valid_time + run.step)
    with pytest.raises(StoreError):
        downscale_to_zarr(later, kept.store, 4, **options)


@pytest.mark.parametrize(("members", "times"), [(5, 3), (2, 5), (5, 5)])
@slow_repeats
def test_more_members_and_later_times_extend(toy_model, kept, sampled, members, times):
    options = {"model": toy_model, "steps": 1}
    place = kept.store
    downscale_to_zarr(field(3), place, 4, members=2, batch=16, **options)
    days = list(dict.fromkeys(day for day, _ in sampled))
    sampled.clear()
    # Batches stay the store's.
    stored = downscale_to_zarr(field(times), place, 4, members=members, **options)
    made = {(day, member) for day, together in sampled for member in together}
    assert not made & {(day, member) for day in days for member in (0, 1)}
    assert len(made) == members * times - 6
    assert stored.attrs["flexclim_batch"] == 16
    fine = downscale(field(times), 4, members=members, batch=16, **options)
    np.testing.assert_array_equal(stored["t"].values, fine.values)
    assert stored.attrs["history"].count("downscaled x4") == 2
    sampled.clear()
    downscale_to_zarr(field(times), place, 4, members=members, **options)
    assert sampled == []
    with pytest.raises(StoreError, match="begun with"):
        downscale_to_zarr(field(3), place, 4, members=2, **options)


@slow_repeats
def test_a_damaged_shard_of_an_extended_store_gets_its_very_bytes_again(toy_model, kept, sampled):
    options = {"factor": 4, "model": toy_model, "steps": 1, "batch": 16}
    for members in (2, 5):
        downscale_to_zarr(field(1), kept.store, members=members, **options)
    shard = kept.key("t/c/3/0/0/0")
    whole = kept.read(shard)
    kept.change({shard: whole[:-9]})
    assert list(flexclim.check_store(kept.store)) == [shard]
    sampled.clear()
    downscale_to_zarr(field(1), kept.store, members=5, **options)
    assert kept.read(shard) == whole
    # Members that were made together are made together again.
    assert [together for _, together in sampled] == [(2, 3, 4)]


def test_a_second_writer_is_refused_at_once(region, toy_model, tmp_path):
    with FileLock(tmp_path / "a.zarr.lock"):
        begun = time.perf_counter()
        with pytest.raises(StoreError, match="being written by another process"):
            downscale_to_zarr(region, tmp_path / "a.zarr", 4, model=toy_model)
        assert time.perf_counter() - begun < 1


@pytest.mark.usefixtures("single_planes")
@slow_repeats
def test_an_input_that_vanishes_is_told_in_one_line(toy_model, tmp_path, kept):
    options = {"factor": 4, "model": toy_model, "members": 1, "batch": 4, "steps": 1}
    source = tmp_path / "coarse.zarr"
    field(20).to_dataset().chunk(time=1).to_zarr(source, zarr_format=3)
    coarse = xr.open_zarr(source)
    middle = source / "t" / "c" / "8" / "0" / "0"
    content = middle.read_bytes()
    middle.write_bytes(content[:9])
    with pytest.raises(FlexclimError, match=r"1 of 2 shards.*time 2018-09-14.*again") as error:
        downscale_to_zarr(coarse, kept.store, **options)
    assert "\n" not in str(error.value)
    found = flexclim.stores.progress_of(kept.store)
    assert found.done["t"] == 1 if kept.in_folder else found is None
    middle.write_bytes(content)
    stored = downscale_to_zarr(coarse, kept.store, **options)
    np.testing.assert_array_equal(stored["t"].values, downscale(field(20), **options).values)


def test_another_format_is_refused_before_any_work(region, toy_model, tmp_path, sampled):
    options = {"factor": 4, "model": toy_model, "members": 1, "steps": 1}
    downscale_to_zarr(region.isel(time=[0]), tmp_path / "a.zarr", zarr_format=2, **options)
    sampled.clear()
    with pytest.raises(StoreError, match=r"has Zarr format 2, not 3\. Leave zarr_format out"):
        downscale_to_zarr(region, tmp_path / "a.zarr", zarr_format=3, **options)
    with pytest.raises(FlexclimError, match="zarr_format=4 is neither 2 nor 3"):
        downscale_to_zarr(region, tmp_path / "b.zarr", zarr_format=4, **options)
    assert sampled == []
    assert not (tmp_path / "b.zarr").exists()


@pytest.mark.parametrize("attribute", [[1, 2], np.array([1, 2]), {"x": 1}])
def test_attributes_that_are_no_text_are_kept(region, toy_model, kept, attribute):
    given = region.to_dataset().assign_attrs(domain=attribute)
    options = {"model": toy_model, "members": 1}
    for _ in range(2):
        stored = downscale_to_zarr(given, kept.store, 4, **options)
    plain = attribute.tolist() if isinstance(attribute, np.ndarray) else attribute
    assert stored.attrs["domain"] == plain


def test_an_attribute_that_a_store_cannot_hold_is_named(region, toy_model, tmp_path, sampled):
    given = region.assign_attrs(made=np.datetime64("2000-01-01"))
    with pytest.raises(StoreError, match="the attribute 'made' of 't' is a date"):
        downscale_to_zarr(given, tmp_path / "a.zarr", 4, model=toy_model, members=1)
    assert not sampled


@pytest.mark.parametrize("name", ["a/b", "/t"])
def test_names_that_are_paths_are_refused(region, toy_model, tmp_path, sampled, name):
    ds = region.rename(name).to_dataset()
    with pytest.raises(StoreError, match=f"'{name}' can't be a name in a file or store"):
        downscale_to_zarr(ds, tmp_path / "a.zarr", 4, model=toy_model, members=1)
    with pytest.raises(StoreError, match="can't be a name"):
        write_dataset(ds, str(tmp_path / "b.zarr"))
    with pytest.raises(StoreError, match="can't be a name"):
        write_dataset(ds, str(tmp_path / "b.nc"))
    assert not sampled
    assert not list(tmp_path.glob("[ab].*[!k]"))
