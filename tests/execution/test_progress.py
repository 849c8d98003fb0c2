"""Progress: a bar in a terminal, a log line a minute elsewhere, in forward passes if there are."""

import logging

import coarse_fields
import pytest
from counted_items import work
from dask.highlevelgraph import HighLevelGraph

from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.execution import progress
from flexclim.execution.engine import run
from flexclim.execution.network_tasks import network_layer, passes_in


@pytest.fixture
def minutes(monkeypatch):
    """A minute passes at each look at the clock."""
    clock = iter(range(0, 10**6, 60))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(progress, "DELAY", 0)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_sees_a_bar_and_all_else_is_quiet(tmp_path, monkeypatch, capsys, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    run(*work(tmp_path), noun="shards")
    seen = capsys.readouterr().err
    assert ("6/6" in seen and "shards" in seen) == terminal
    assert bool(seen) == terminal


def test_a_line_a_minute_with_the_time_left(caplog, minutes):
    caplog.set_level(logging.INFO, "flexclim")
    with progress.item_counter(4, "shards", lambda: 0, here=True) as count_one:
        for _ in range(4):
            count_one()
    assert caplog.messages == [
        "1 of 4 shards, 3 min 0 s left",
        "2 of 4 shards, 2 min 0 s left",
        "3 of 4 shards, 1 min 0 s left",
    ]


def test_nothing_is_logged_within_a_minute(caplog):
    caplog.set_level(logging.INFO, "flexclim")
    with progress.item_counter(4, "shards", lambda: 0, here=True) as count_one:
        count_one()
    assert caplog.messages == []


def test_where_nobody_looks_passes_are_not_counted(caplog):
    caplog.set_level(logging.WARNING, "flexclim")

    def passes():
        raise AssertionError("counted")

    with progress.item_counter(2, "shards", passes, here=True) as count_one:
        count_one()
    with progress.progress_bar(passes, here=True):
        progress.count_pass()


def test_passes_are_counted_here_and_told_by_items_on_a_cluster(caplog, minutes):
    caplog.set_level(logging.INFO, "flexclim")
    with progress.item_counter(2, "shards", lambda: 8, here=True) as count_one:
        progress.count_pass()
        count_one()
        progress.count_pass()
    assert [text.partition(",")[0] for text in caplog.messages] == [
        "1 of 8 forward passes",
        "2 of 8 forward passes",
    ]
    caplog.clear()
    with progress.item_counter(2, "shards", lambda: 8, here=False) as count_one:
        progress.count_pass()
        count_one()
    assert [text.partition(",")[0] for text in caplog.messages] == ["4 of 8 forward passes"]


def test_culled_layers_keep_their_share_of_passes():
    layer = network_layer({("a", index): index for index in range(4)}, "run", passes=12)
    graph = HighLevelGraph({"a": layer, "b": {"b": ("a", 0)}}, {"a": set(), "b": {"a"}})
    assert passes_in(graph) == 12
    assert passes_in(graph.cull({("a", 1), ("a", 3)})) == 6


@pytest.mark.parametrize("lazy", [False, True])
def test_the_bar_of_a_downscaling_counts_its_passes(toy_model, tmp_path, monkeypatch, capsys, lazy):
    """Each of the two planes is one window: of two members, a pass a step."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    field, options = coarse_fields.region(2), {"model": toy_model, "members": 2, "batch": 2}
    if lazy:
        downscale_to_zarr(field, tmp_path / "a.zarr", 4, **options)
    else:
        downscale(field, 4, **options)
    seen = capsys.readouterr().err
    assert "4/4" in seen
    assert "forward passes" in seen
