"""More members and later times extend a store; what is there is neither made nor written again."""

import json

import dask
import pytest
import xarray as xr
from kept_stores import METADATA, slow_repeats
from toys import BOTH, PLAN, contents, file_of, toy

from flexclim.errors import FlexclimError, StoreError
from flexclim.stores import Place, check_store, progress_of, write_store


def stopped_growth(store, stop_after):
    """Extend a store of 20 times to 30, interrupted once some values are made."""

    class Stop(list):
        def append(self, value):
            super().append(value)
            if len(self) > stop_after:
                raise KeyboardInterrupt

    # One thread: what is done when the interrupt comes would depend on the threads' turns.
    with dask.config.set(scheduler="synchronous"), pytest.raises(KeyboardInterrupt):
        write_store(toy(times=30, calls=Stop()), store, PLAN | {"times": 30}, plan_so_far=PLAN)


def plain(store):
    """Return contents of all shards."""
    return {key: value for key, value in contents(store).items() if not key.endswith(METADATA)}


@pytest.mark.parametrize(("members", "times"), [(8, 20), (5, 33), (8, 45)])
@slow_repeats
def test_only_what_is_new_is_made(make_kept, members, times):
    kept, new = make_kept(), make_kept("new.zarr")
    write_store(toy(times=20), kept.store, PLAN)
    before, moment = kept.shards("t", "empty"), kept.moment()
    calls, larger = [], PLAN | {"n": 1}
    given = toy(times=times, members=members, calls=calls)
    write_store(given, kept.store, larger, plan_so_far=PLAN)
    old = {(m, t) for m in range(5) for t in range(20)}
    # Blocks of two members: the last of the old ones shares its block with a new one.
    assert not set(calls) & {(m, t) for m, t in old if m < 4}
    assert not (set(calls) & old and members == 5)
    assert len(calls) == len(set(calls))
    touched = [kept.index(key) for key in kept.written_since(moment) & set(before)]
    # Of the shards that were there only those that were not full were written.
    assert all(index[-3] == 1 for _, index in touched)
    assert bool(touched) == (times > 20)
    xr.testing.assert_equal(kept.open().load(), toy(times=times, members=members).compute())
    write_store(toy(times=times, members=members), new.store, PLAN)
    assert kept.chunks() == new.chunks()
    assert json.loads(kept.attributes()["flexclim_plan"])["n"] == 1
    assert progress_of(kept.store).complete
    assert check_store(kept.store) == {}


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("stop_after", [0, 25, 45])
def test_a_stopped_extension_goes_on_and_may_be_extended_again(store, tmp_path, stop_after):
    write_store(toy(times=20), store, PLAN)
    waiting = {m: file_of(store, "t", m, 1, 0, 0) for m in range(5)}
    old = {m: file.read_bytes() for m, file in waiting.items()}
    stopped_growth(store, stop_after)
    grown = {m for m, content in old.items() if waiting[m].read_bytes() != content}
    assert bool(grown) == (stop_after > 0)
    assert len(grown) < 5
    progress = progress_of(store)
    assert progress.done["t"] == 5 + len(grown)
    assert not progress.complete
    # Shards that wait for more times are not done; readers find what was there.
    assert set(check_store(store).values()) == {"missing"}
    opened = xr.open_zarr(store, consolidated=False)
    xr.testing.assert_equal(opened.isel(time=slice(20)).load(), toy(times=20).compute())
    calls = []
    write_store(
        toy(times=35, calls=calls), store, PLAN | {"times": 35}, plan_so_far=PLAN | {"times": 30}
    )
    assert not {t for _, t in calls} & set(range(20))
    pairs = [pair for pair in ((0, 1), (2, 3), (4,)) if set(pair) <= grown]
    assert bool(pairs) == (stop_after > 0)
    assert not {m for m, t in calls if t < 30} & {m for pair in pairs for m in pair}
    xr.testing.assert_equal(xr.open_zarr(store, consolidated=True).load(), toy(times=35).compute())
    write_store(toy(times=35), tmp_path / "new.zarr", PLAN)
    assert plain(store) == plain(tmp_path / "new.zarr")


@slow_repeats
def test_a_damaged_shard_that_waits_for_times_is_found_and_computed_again(make_kept):
    kept, new = make_kept(), make_kept("new.zarr")
    write_store(toy(times=20), kept.store, PLAN)
    key = kept.key("t/c/1/1/0/0")
    content = bytearray(kept.read(key))
    content[-30] ^= 1  # the table of its chunks in format 3, which new times need
    kept.change({key: bytes(content)})
    longer = PLAN | {"times": 30}
    with pytest.raises(FlexclimError, match=r"1 of .* shards failed 3 times: t, realization 1"):
        write_store(toy(times=30), kept.store, longer, plan_so_far=PLAN)
    assert set(check_store(kept.store)) == {key}
    # A run that fails leaves nothing in a repository, not even the longer plan.
    write_store(toy(times=30), kept.store, longer, plan_so_far=longer if kept.in_folder else PLAN)
    write_store(toy(times=30), new.store, PLAN)
    assert kept.chunks() == new.chunks()


@slow_repeats
def test_history_states_an_extension_once(kept, monkeypatch):
    write_store(toy(times=20), kept.store, PLAN)
    longer = toy(times=30).assign_attrs(history="made\nmade longer")

    def dies(self, key, content):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Place, "write", dies)  # sizes are not written yet, the plan is
        with pytest.raises(KeyboardInterrupt):
            write_store(longer, kept.store, PLAN | {"times": 30}, plan_so_far=PLAN)
    plan = json.loads(kept.attributes()["flexclim_plan"])
    write_store(longer, kept.store, PLAN | {"times": 30}, plan_so_far=plan)
    assert kept.attributes()["history"] == "made\nmade longer"


def test_fewer_is_refused(kept):
    write_store(toy(times=20), kept.store, PLAN)
    for sizes in ({"times": 19}, {"members": 4}):
        with pytest.raises(StoreError, match=r"and this request realization|has times from"):
            write_store(toy(**({"times": 20} | sizes)), kept.store, PLAN)


def test_other_times_are_refused(kept):
    write_store(toy(times=20), kept.store, PLAN)
    with pytest.raises(StoreError, match="time"):
        write_store(toy(times=30, first=3), kept.store, PLAN)
