"""Notes reach the run that they belong to, and no other."""

import json

import numpy as np
import pytest
import xarray as xr
from dask.highlevelgraph import HighLevelGraph

from flexclim.errors import FlexclimWarning
from flexclim.execution.engine import run
from flexclim.execution.network_tasks import network_layer
from flexclim.execution.notes import (
    CONSTRAINTS,
    MOVED,
    NOTES,
    Moved,
    attributes_of,
    collecting,
    record,
)


def graph_of(name, count=3):
    tasks = {
        (name, index): (record, name, f"{name}: memory did not suffice") for index in range(count)
    }
    return HighLevelGraph({name: network_layer(tasks, run=name)}, {name: set()}), list(tasks)


def test_notes_are_returned_once_per_run():
    for name, count in (("first", 3), ("second", 1)):
        notes = []
        graph, keys = graph_of(name, count)
        run(graph, keys, on_notes=notes.extend)
        assert notes == [f"{name}: memory did not suffice"]


def test_notes_of_a_run_that_fails_are_returned():
    graph, keys = graph_of("a", 1)
    tasks = {"fail": (divide, 1, keys[0])}
    graph = HighLevelGraph({**graph.layers, "fail": tasks}, {"a": set(), "fail": {"a"}})
    notes = []
    with pytest.raises(Exception, match="failed 3 times"):
        run(graph, ["fail"], on_notes=notes.extend)
    assert notes == ["a: memory did not suffice"]


def divide(number, by):
    return number / (by or 0)


def test_simultaneous_runs_do_not_mix_up_their_notes():
    with collecting(["a", "shared"], None) as first, collecting(["b", "shared"], None) as second:
        record("a", "of a")
        record("b", "of b")
        record("shared", "of both")
        with pytest.warns(FlexclimWarning, match="of neither"):
            record("c", "of neither")
        assert (first(), second()) == (["of a", "of both"], ["of b", "of both"])
    with collecting(["a", "a"], None) as later:  # of two variables
        assert later() == []


def test_a_cluster_keeps_notes_by_run():
    distributed = pytest.importorskip("distributed")
    with distributed.Client(n_workers=1, processes=False, dashboard_address=":0") as client:
        both = {}
        for name in ("first", "second"):
            graph, keys = graph_of(name)
            notes = both.setdefault(name, [])
            run(graph, keys, on_notes=notes.extend)
        assert client.status == "running"
    assert both == {name: [f"{name}: memory did not suffice"] for name in both}


def test_a_cluster_keeps_what_was_moved():
    distributed = pytest.importorskip("distributed")
    moved = Moved("tasmin", "(0, 1)", 3, 0.2)
    tasks = {"task": (record, "a", moved)}
    graph = HighLevelGraph({"layer": network_layer(tasks, "a")}, {"layer": set()})
    notes = []
    with distributed.Client(n_workers=1, processes=False, dashboard_address=":0"):
        run(graph, ["task"], on_notes=notes.extend)
    assert notes == [moved]


def test_moved_cells_are_added_to_those_of_earlier_calls():
    fields = xr.Dataset({"td": ("x", np.zeros(8), {CONSTRAINTS: "td <= t", "units": "K"})})
    first = attributes_of([Moved("td", "0", 2, 0.5), Moved("td", "1", 1, 0.25)], fields)
    assert json.loads(first[MOVED]) == {"td": {"cells": 3, "largest": 0.5, "of": 8, "units": "K"}}
    more = ["split", Moved("td", "2", 1, 0.75), Moved("renamed", "2", 1, 9.0)]
    second = attributes_of(more, fields, first)
    assert json.loads(second[MOVED])["td"] == {"cells": 4, "largest": 0.75, "of": 8, "units": "K"}
    assert second[NOTES] == "split"
    assert attributes_of([], fields.drop_attrs()) == {}


def test_what_was_moved_is_no_warning(recwarn):
    record("nobody", Moved("td", "0", 2, 0.5))
    assert not recwarn


def test_plans_of_one_run_share_their_notes():
    with collecting(["one", "one"], None) as notes:
        record("one", "split")
    assert notes() == ["split"]
