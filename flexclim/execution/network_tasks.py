"""Mark the tasks of a dask graph that run the network, which a GPU should get.

The mark is an annotation of a graph layer under a key of our own. It is not ``resources``: a user
who computes a lazy field on a cluster whose workers offer no such resource would wait forever.
"""

from __future__ import annotations

from collections.abc import Mapping

import dask
from dask.highlevelgraph import HighLevelGraph, Layer, MaterializedLayer
from dask.typing import Key

RUNS_NETWORK = "flexclim_runs_network"


def network_layer(tasks: Mapping[Key, object]) -> MaterializedLayer:
    """Return a graph layer of tasks that run the network; culling keeps the mark."""
    return MaterializedLayer(tasks, annotations=dask.get_annotations() | {RUNS_NETWORK: True})


def runs_network(layer: Mapping[Key, object]) -> bool:
    """Return whether the tasks of a graph layer run the network."""
    return bool((getattr(layer, "annotations", None) or {}).get(RUNS_NETWORK))


def with_resources(graph: HighLevelGraph, resources: Mapping[str, float]) -> HighLevelGraph:
    """Return the same graph with layers that run the network asking workers for resources.

    Parameters
    ----------
    resources
        What each task takes of a worker, by the name of the resource.
    """
    layers = {
        name: _annotated(layer, resources=dict(resources)) if runs_network(layer) else layer
        for name, layer in graph.layers.items()
    }
    return HighLevelGraph(layers, graph.dependencies)


def _annotated(layer: Layer, **more: object) -> MaterializedLayer:
    return MaterializedLayer(layer, annotations={**(layer.annotations or {}), **more})
