"""Mark the tasks of a dask graph that run the network, which a GPU should get.

The mark is an annotation of a graph layer under a key of our own. It is not ``resources``: a user
who computes a lazy field on a cluster whose workers offer no such resource would wait forever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dask.base import get_annotations
from dask.highlevelgraph import HighLevelGraph, Layer, MaterializedLayer
from dask.typing import Key

# The key of the annotation; its value identifies the run whose plan the tasks carry.
NETWORK_RUN = "flexclim_network_run"
# And another: how many forward passes a task of the layer takes on average.
PASSES = "flexclim_passes"


def network_layer(tasks: Mapping[Key, object], run: str, passes: int = 0) -> MaterializedLayer:
    """Return a graph layer of tasks that run the network; culling keeps its annotation.

    Parameters
    ----------
    run
        Identifies the call by the user that planned the tasks.
    passes
        Forward passes that all tasks take together.
    """
    own = {NETWORK_RUN: run, PASSES: passes / max(1, len(tasks))}
    return MaterializedLayer(tasks, annotations=get_annotations() | own)


def passes_in(graph: HighLevelGraph) -> int:
    """Return how many forward passes the tasks of a graph take, those of culled layers on average.

    >>> layer = network_layer({"a": 1, "b": 2}, "run", passes=10)
    >>> passes_in(HighLevelGraph({"members": layer, "other": {"c": 3}}, {"members": set()}))
    10
    """
    layers = graph.layers.values()
    return round(sum(len(layer) * float(_annotation(layer, PASSES, 0.0)) for layer in layers))


def run_of(layer: Mapping[Key, object]) -> str | None:
    """Return the run of a graph layer whose tasks run the network; None for any other layer."""
    run: str | None = _annotation(layer, NETWORK_RUN, None)
    return run


def _annotation(layer: Mapping[Key, object], key: str, default: object) -> Any:
    annotations = layer.annotations if isinstance(layer, Layer) else None
    return (annotations or {}).get(key, default)


def runs_of(graph: HighLevelGraph) -> list[str]:
    """Return the runs whose tasks are in a graph: several where one's output is another's input."""
    runs = map(run_of, graph.layers.values())
    return list(dict.fromkeys(run for run in runs if run is not None))


def with_resources(graph: HighLevelGraph, resources: Mapping[str, float]) -> HighLevelGraph:
    """Return the same graph with layers that run the network asking workers for resources.

    Parameters
    ----------
    resources
        How much each task takes of a worker, by the name of the resource.
    """
    layers = {
        name: layer if run_of(layer) is None else _annotated(layer, resources=dict(resources))
        for name, layer in graph.layers.items()
    }
    return HighLevelGraph(layers, graph.dependencies)


def _annotated(layer: Layer, **more: object) -> MaterializedLayer:
    return MaterializedLayer(layer, annotations={**(layer.annotations or {}), **more})
