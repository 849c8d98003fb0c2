"""Work items that count their calls in a folder, for tests."""

from pathlib import Path

from dask.highlevelgraph import HighLevelGraph

from flexclim.errors import FlexclimError


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
