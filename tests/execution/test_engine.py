"""Work items on threads and on clusters: retried, counted, named when they fail."""

import threading
from pathlib import Path

import dask
import pytest
from coarse_fields import region
from dask.highlevelgraph import HighLevelGraph

from flexclim.errors import FlexclimError
from flexclim.execution import engine
from flexclim.execution.engine import run

distributed = pytest.importorskip("distributed")


def make(folder, index, fails=0, kind="RuntimeError"):
    """Return a number; fail some times first, counted in a folder."""
    calls = Path(folder) / f"calls-{index}"
    with calls.open("a") as file:
        file.write("x")
    if calls.stat().st_size <= fails:
        error = {"RuntimeError": RuntimeError, "FlexclimError": FlexclimError}[kind]("broken disk")
        error.add_note(f"time {index}")
        raise error
    return index


def write(folder, value):
    (Path(folder) / f"item-{value}").touch()
    return value


def work(folder, count=6, fails=None, task=make, **more):
    tasks = {}
    for index in range(count):
        tasks["make", index] = (task, str(folder), index, *(fails or {}).get(index, ()))
        tasks["write", index] = (write, str(folder), ("make", index))
    graph = HighLevelGraph.from_collections("work", tasks, dependencies=[])
    return graph, [("write", index) for index in range(count)]


def written(folder):
    return sorted(int(path.name[5:]) for path in folder.glob("item-*"))


@pytest.fixture(scope="module")
def in_process():
    """Return a cluster of threads in this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        yield cluster


@pytest.fixture(params=["threads", "synchronous", "distributed"])
def scheduler(request):
    if request.param != "distributed":
        with dask.config.set(scheduler=request.param):
            yield request.param
        return
    with distributed.Client(request.getfixturevalue("in_process")):
        yield request.param


def test_all_items_are_done_and_counted(scheduler, tmp_path, monkeypatch):
    counted = []
    from contextlib import contextmanager

    @contextmanager
    def counter(total, noun):
        counted.append((total, noun))
        yield lambda: counted.append(1)

    monkeypatch.setattr(engine, "item_counter", counter)
    run(*work(tmp_path), noun="shards")
    assert written(tmp_path) == list(range(6))
    assert counted == [(6, "shards"), *[1] * 6]


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_sees_a_bar_and_all_else_is_quiet(tmp_path, monkeypatch, capsys, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    run(*work(tmp_path), noun="shards")
    seen = capsys.readouterr().err
    assert ("6/6" in seen and "shards" in seen) == terminal
    assert bool(seen) == terminal


def test_a_task_that_fails_twice_succeeds(scheduler, tmp_path):
    run(*work(tmp_path, fails={2: (2,)}))
    assert written(tmp_path) == list(range(6))
    assert (tmp_path / "calls-2").stat().st_size == 3


def test_a_task_that_fails_three_times_is_named_and_the_rest_done(scheduler, tmp_path):
    with pytest.raises(FlexclimError) as caught:
        run(*work(tmp_path, fails={2: (9,)}), label=lambda key: f"shard {key[1]}", noun="shards")
    assert str(caught.value).startswith(
        "1 of 6 shards failed 3 times: shard 2 (time 2): RuntimeError: broken disk. The others"
    )
    assert written(tmp_path) == [0, 1, 3, 4, 5]
    assert (tmp_path / "calls-2").stat().st_size == 3


def test_what_the_user_must_mend_is_raised_as_it_is(scheduler, tmp_path):
    with pytest.raises(FlexclimError, match=r"^broken disk"):
        run(*work(tmp_path, fails={0: (9, "FlexclimError")}))
    if scheduler != "distributed":
        assert (tmp_path / "calls-0").stat().st_size == 1


def test_a_graph_of_arrays_runs(scheduler, tmp_path):
    import dask.array as da

    array = (da.arange(12, chunks=3) + 1).rechunk(6)
    tasks = {("write", i): (write_sum, str(tmp_path), (array.name, i)) for i in range(2)}
    graph = HighLevelGraph.from_collections("sums", tasks, dependencies=[array])
    run(graph, list(tasks))
    assert written(tmp_path) == [21, 57]


def write_sum(folder, block):
    return write(folder, int(block.sum()))


@pytest.mark.parametrize("said", ["configuration", "threads"])
def test_as_many_turns_run_at_once_as_there_are_threads(tmp_path, said):
    both, begun = threading.Barrier(2), []

    def meet(folder, index):
        begun.append(index)
        both.wait(20)  # passes only if two chains run at once
        return index

    tasks = {("make", n): (meet, str(tmp_path), n) for n in range(4)}
    graph = HighLevelGraph.from_collections("chains", tasks, dependencies=[])
    configured, threads = (2, 3) if said == "configuration" else (3, 2)
    with dask.config.set(num_workers=configured):
        engine.run(graph, list(tasks), round_of=lambda key: 3 - key[1], threads=threads)
    assert [set(begun[:2]), set(begun[2:])] == [{3, 2}, {1, 0}]


def test_a_time_that_can_not_be_sampled_is_named_and_the_rest_written(
    toy_model, tmp_path, monkeypatch
):
    import numpy as np
    import xarray as xr

    from flexclim.downscaling import downscale, downscale_to_zarr
    from flexclim.sampling import downscaling_graph as members

    field = region(18, 6, 6)
    sample, tries = members._sampled, []

    def fails(prepared, plan, place, group):
        if place.time.startswith("2018-09-18T06"):
            tries.append(place.time)
            raise RuntimeError("the device is lost")
        return sample(prepared, plan, place, group)

    options = {"factor": 4, "model": toy_model, "members": 1, "batch": 1}
    with monkeypatch.context() as patch:
        patch.setattr(members, "_sampled", fails)
        with pytest.raises(FlexclimError) as caught:
            downscale_to_zarr(field, tmp_path / "a.zarr", **options)
    assert len(tries) == 3
    for told in ("1 of 2 shards failed 3 times", "time 2018-09-18T06", "device is lost"):
        assert told in str(caught.value)
    early = xr.open_zarr(tmp_path / "a.zarr", consolidated=False)["t"][:, :16]
    whole = downscale(field, **options)
    np.testing.assert_array_equal(early.values, whole[:, :16].values)
    stored = downscale_to_zarr(field, tmp_path / "a.zarr", **options)
    np.testing.assert_array_equal(stored["t"].values, whole.values)
