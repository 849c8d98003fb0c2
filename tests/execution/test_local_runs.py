"""Runs on threads: as many chains at once as threads."""

import threading

import dask
import pytest
from dask.highlevelgraph import HighLevelGraph

from flexclim.execution import engine


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
