import math

from flexclim.train.loop.terminal import Terminal


def lines(capsys):
    return capsys.readouterr().err.splitlines()


def test_a_line_of_scores_has_the_mean_loss_and_no_nan(capsys):
    terminal = Terminal("tiny", 0, 40)
    for step, loss in enumerate((1.0, math.nan, 2.0), 1):
        terminal.update(step, loss, 3.0)
    terminal.report(3, {"validation": 0.25, "rmse": math.nan})
    terminal.update(4, math.nan, 3.0)
    terminal.report(4, {"crps": 0.5})
    first, second = lines(capsys)
    assert first.startswith("step 3 of 40  loss 1.5000  validation 0.2500  ")
    assert second.startswith("step 4 of 40  crps 0.5000  ")
    assert "nan" not in first + second


def test_the_time_left_is_that_of_the_steps_left(capsys, monkeypatch):
    """Ten steps of this process took 30 s, so 60 more take 3 minutes; earlier ones do not count."""
    clock = iter([100.0, 130.0, 130.0])
    monkeypatch.setattr("flexclim.train.loop.terminal.time.monotonic", lambda: next(clock))
    terminal = Terminal("tiny", 30, 100)
    for step in range(31, 41):
        terminal.update(step, 1.0, 3.0)
    terminal.report(40, {})
    assert lines(capsys) == [
        "step 40 of 100  3 min 0 s left",
        "step 40 of 100  loss 1.0000  3 min 0 s left",
    ]


def test_nothing_is_left_at_the_end_and_a_quiet_one_prints_nothing(capsys):
    terminal = Terminal("tiny", 0, 1)
    terminal.update(1, 1.0, 3.0)
    terminal.report(1, {})
    assert lines(capsys) == ["step 1 of 1  loss 1.0000"]
    quiet = Terminal("tiny", 0, 1, quiet=True)
    quiet.update(1, 1.0, 3.0)
    quiet.report(1, {})
    assert lines(capsys) == []


def test_a_bar_begins_where_a_run_goes_on_and_tells_steps_and_loss(capsys, monkeypatch):
    monkeypatch.setattr("flexclim.train.loop.terminal.has_bars", lambda: True)
    with Terminal("tiny", 30, 40) as terminal:
        for step in range(31, 41):
            terminal.update(step, 1.0, 3.0)
        terminal.say("a line")
    shown = capsys.readouterr().err
    assert "30/40 steps" in shown
    assert "a line\n" in shown
    last = shown.splitlines()[-1]
    assert last.startswith("tiny")
    assert "40/40 steps" in last
    assert "loss 1.0000  3.0 patches/s" in last
