"""Tasks that run the network are marked in the graph; the mark survives what dask does to it."""

from coarse_fields import region

from flexclim.downscaling import downscale
from flexclim.execution.network_tasks import network_layer, runs_network, with_resources
from flexclim.forecasting import forecast


def functions(graph, wanted=True):
    """Return the names of the functions in layers that run the network, or in the others."""
    found = set()
    for layer in graph.layers.values():
        if runs_network(layer) == wanted:
            found |= {getattr(task[0], "__name__", "") for task in layer.values() if task}
    return found


def graph_of(array):
    return array.data.__dask_graph__().cull(set(_flat(array.data.__dask_keys__())))


def _flat(keys):
    return [one for key in keys for one in (_flat(key) if isinstance(key, list) else [key])]


def legacy(graph):
    """Return the graph without layers that dask makes itself."""
    return {name: layer for name, layer in graph.layers.items() if runs_network(layer)}


def test_downscaling_marks_what_it_prepares_and_samples(toy_model):
    fine = downscale(region(3, 6, 9).chunk(time=1), 4, model=toy_model, members=2, batch=2)
    whole, part = graph_of(fine), graph_of(fine[:, :1])
    for graph in (whole, part):
        assert functions(graph) == {"prepare_planes", "sample_members"}
    assert sum(map(len, legacy(part).values())) < sum(map(len, legacy(whole).values()))


def test_forecasts_mark_steps_but_not_what_reads_or_returns(make_forecaster):
    from flexclim.models.settings import Target

    model = make_forecaster((Target(name="t"),), past=2, leads=(6.0,), steps=1)
    past = region(3, 16, 16).chunk(time=1)
    ahead = forecast(past, 3, model=model, members=2, batch=2)
    graph = graph_of(ahead[:, :2])
    assert functions(graph) == {"prepare_past", "first_states", "next_states"}


def test_resources_are_asked_for_by_marked_layers_only():
    import dask
    from dask.highlevelgraph import HighLevelGraph

    with dask.annotate(priority=2):
        layers = {"network": network_layer({"a": (abs, -1)}), "other": {"b": (abs, "a")}}
    graph = HighLevelGraph(layers, {"network": set(), "other": {"network"}})
    asked = with_resources(graph, {"GPU": 0.25})
    assert asked.layers["network"].annotations["resources"] == {"GPU": 0.25}
    assert asked.layers["network"].annotations["priority"] == 2
    assert not asked.layers["other"].annotations
    assert graph.layers["network"].annotations.get("resources") is None
