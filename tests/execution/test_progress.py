"""The bar that counts items in a terminal."""

import pytest
from counted_items import work

from flexclim.execution.engine import run


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_sees_a_bar_and_all_else_is_quiet(tmp_path, monkeypatch, capsys, terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    run(*work(tmp_path), noun="shards")
    seen = capsys.readouterr().err
    assert ("6/6" in seen and "shards" in seen) == terminal
    assert bool(seen) == terminal
