"""Work items on threads and on clusters: retried, counted, named when they fail."""

import dask
import pytest
from counted_items import work, write, written
from dask.highlevelgraph import HighLevelGraph

from flexclim.errors import FlexclimError
from flexclim.execution import engine
from flexclim.execution.engine import run

distributed = pytest.importorskip("distributed")


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
    def counter(total, noun, passes, *, here):
        counted.append((total, noun))
        yield lambda: counted.append(1)

    monkeypatch.setattr(engine, "item_counter", counter)
    run(*work(tmp_path), noun="shards")
    assert written(tmp_path) == list(range(6))
    assert counted == [(6, "shards"), *[1] * 6]


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
