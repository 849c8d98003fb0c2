"""Runs on a cluster: GPUs get the sampling; workers may leave or be killed."""

import os
import signal
import threading
import time
from pathlib import Path

import dask
import pytest
from dask.highlevelgraph import HighLevelGraph

from flexclim.errors import FlexclimError
from flexclim.execution.engine import run
from flexclim.execution.network_tasks import network_layer

distributed = pytest.importorskip("distributed")


def write(folder, value):
    (Path(folder) / f"item-{value}").touch()


def written(folder):
    return sorted(int(path.name[5:]) for path in folder.glob("item-*"))


def work(folder, count, task):
    """Return the graph of items that each depend on a task, and the items."""
    tasks = {}
    for index in range(count):
        tasks["make", index] = (task, str(folder), index)
        tasks["write", index] = (write, str(folder), ("make", index))
    graph = HighLevelGraph.from_collections("work", tasks, dependencies=[])
    return graph, [("write", index) for index in range(count)]


def test_workers_with_a_gpu_get_the_sampling(tmp_path):
    graph = network_graph(str(tmp_path))
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, dashboard_address=":0", threads_per_worker=1
        ) as cluster,
        distributed.Client(cluster),
    ):
        workers = {
            "plain": {"cls": distributed.Worker, "options": {"nthreads": 1}},
            "gpu": {"cls": distributed.Worker, "options": {"nthreads": 1, "resources": {"GPU": 1}}},
        }
        cluster.worker_spec.update(workers)
        cluster.sync(cluster._correct_state)
        distributed.get_client().wait_for_workers(2)
        run(graph, [("write", i) for i in range(4)])
    assert [path.name for path in tmp_path.iterdir()] == ["item-gpu"]


def network_graph(folder):
    """Return a graph of tasks that run the network, and of others that read what they make."""
    sampling = network_layer({("sample", i): (worker_name, i) for i in range(4)}, run="a")
    writing = {("write", i): (write, folder, ("sample", i)) for i in range(4)}
    return HighLevelGraph(
        {"sample": sampling, "write": writing}, {"sample": set(), "write": {"sample"}}
    )


def worker_name(index):
    return distributed.get_worker().name


def when_written(folder, then):
    while not written(folder):
        time.sleep(0.05)
    then()


def slow(folder, index):
    time.sleep(0.1)
    return index


def test_without_workers_a_run_ends_in_time(tmp_path):
    with (
        dask.config.set({"distributed.scheduler.no-workers-timeout": "1s"}),
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
    ):
        leave = threading.Thread(target=when_written, args=(tmp_path, lambda: cluster.scale(0)))
        leave.start()
        began = time.monotonic()
        with pytest.raises(FlexclimError, match=r"no worker for 1 s|NoValidWorker"):
            run(*work(tmp_path, 100, slow))
        assert time.monotonic() - began < 60
        leave.join()
    assert 0 < len(written(tmp_path)) < 100


def dies_once(folder, index):
    """Kill the worker process at the first call of some tasks."""
    mark = Path(folder) / f"died-{index}"
    if index in (1, 4) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return index


@pytest.mark.slow
def test_killed_workers_cost_nothing(tmp_path):
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 10}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster),
    ):
        run(*work(tmp_path, 6, dies_once))
    assert written(tmp_path) == list(range(6))
    assert len(list(tmp_path.glob("died-*"))) == 2
