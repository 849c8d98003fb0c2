"""Tasks that run the network are marked in the graph, and the mark survives culling."""

import dask
from coarse_fields import region
from dask.core import flatten
from dask.highlevelgraph import HighLevelGraph

from flexclim.downscaling import downscale
from flexclim.execution.network_tasks import network_layer, run_of, runs_of, with_resources
from flexclim.forecasting import forecast
from flexclim.models.channels import Target


def graph_of(field):
    """Return the graph of a lazy field, culled."""
    return field.data.__dask_graph__().cull(set(flatten(field.data.__dask_keys__())))


def marked_tasks(graph):
    """Return the tasks that run the network."""
    layers = [layer for layer in graph.layers.values() if run_of(layer) is not None]
    return [task for layer in layers for task in layer.values()]


def functions(graph):
    return {task[0].__name__ for task in marked_tasks(graph)}


def test_downscaling_marks_what_it_prepares_and_samples(toy_model):
    fine = downscale(region(3, 6, 9).chunk(time=1), 4, model=toy_model, members=2, batch=2)
    whole, part = graph_of(fine), graph_of(fine[:, :1])
    for graph in (whole, part):
        assert functions(graph) == {"prepare_planes", "sample_members"}
    assert len(marked_tasks(part)) < len(marked_tasks(whole))


def test_forecasts_mark_steps_but_not_what_reads_or_returns(make_forecaster):
    model = make_forecaster((Target(name="t"),), past=2, leads=(6.0,), steps=1)
    past = region(3, 16, 16).chunk(time=1)
    ahead = forecast(past, 3, model=model, members=2, batch=2)
    assert functions(graph_of(ahead[:, :2])) == {"prepare_past", "first_states", "next_states"}


def test_only_marked_layers_ask_for_resources():
    with dask.annotate(priority=2):
        layers = {"network": network_layer({"a": (abs, -1)}, "run"), "other": {"b": (abs, "a")}}
    graph = HighLevelGraph(layers, {"network": set(), "other": {"network"}})
    assert runs_of(graph) == ["run"]
    asked = with_resources(graph, {"GPU": 0.25})
    assert asked.layers["network"].annotations["resources"] == {"GPU": 0.25}
    assert asked.layers["network"].annotations["priority"] == 2
    assert not asked.layers["other"].annotations
    assert "resources" not in graph.layers["network"].annotations
