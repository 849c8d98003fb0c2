import sys
import time

import pytest

from flexclim.errors import RecipeError
from flexclim.train.loop.logs import FILE, open_logs, read_log


def write(folder, step, *steps, loggers=()):
    logs = open_logs(folder, step, loggers, "tiny", {"trainer": {"steps": 4}})
    for number in steps:
        for log in logs:
            log.write(number, {"loss": number / 3, "crps": 0.5} if number == 2 else {"loss": 1.0})
    for log in logs:
        log.flush()
        log.close()


def test_a_row_a_step(tmp_path):
    write(tmp_path, 0, 1, 2, 3)
    rows = read_log(tmp_path / FILE)
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert (rows[1]["loss"], rows[1]["crps"], rows[0]["crps"]) == ("0.666667", "0.5", "")


def test_rows_of_lost_steps_go(tmp_path):
    write(tmp_path, 0, 1, 2, 3)
    with (tmp_path / FILE).open("a") as file:
        file.write("3" + ",0" * 30 + "\n")  # two rows in one
        file.write("4,0.1,0.")  # killed while it was written
    assert len(read_log(tmp_path / FILE)) == 3
    write(tmp_path, 2, 3)
    rows = read_log(tmp_path / FILE)
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert rows[1]["crps"] == "0.5"


def test_no_number_is_dropped(tmp_path):
    """Scores of targets and bands are columns, from their first row on, and stay on resuming."""
    logs = open_logs(tmp_path, 0, [], "tiny", {})
    logs[0].write(1, {"loss": 1.0})
    logs[0].write(2, {"loss": 2.0, "crps": 0.5, "crps_u10": 0.4, "power_2_4": 0.9})
    logs[0].write(3, {"loss": 3.0})
    logs[0].close()
    for begin in (2, 2):
        log = open_logs(tmp_path, begin, [], "tiny", {})[0]
        log.write(3, {"loss": 3.0, "power_2_4": 0.8})
        log.close()
    rows = read_log(tmp_path / FILE)
    assert [row["step"] for row in rows] == ["1", "2", "3"]
    assert [row["crps_u10"] for row in rows] == ["", "0.4", ""]
    assert [row["power_2_4"] for row in rows] == ["", "0.9", "0.8"]
    assert [row["loss"] for row in rows] == ["1", "2", "3"]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    write(tmp_path, 0, 1, 2, loggers=["tensorboard"])
    found = EventAccumulator(str(tmp_path / "tensorboard"))
    found.Reload()
    assert [event.step for event in found.Scalars("loss")] == [1, 2]
    assert found.Scalars("crps")[0].value == 0.5


@pytest.mark.slow
def test_wandb_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb").teardown()  # it keeps its environment
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    write(tmp_path, 0, 1, 2, loggers=["wandb"])
    write(tmp_path, 2, 3, loggers=["wandb"])
    name = (tmp_path / "wandb_run").read_text()
    # Two runs of one id; those begun within a second share a folder.
    stored = list((tmp_path / "wandb").glob(f"offline-run-*/run-{name}.wandb"))
    assert 1 <= len(stored) <= 2
    # W&B's own process may write on for a moment.
    give_up = time.monotonic() + 30
    while any(path.stat().st_size <= 100 for path in stored) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert all(path.stat().st_size > 100 for path in stored)


@pytest.mark.slow
def test_wandb_without_a_key_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("wandb").teardown()  # it keeps its environment
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("HOME", str(tmp_path))  # without its .netrc
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(RecipeError, match=r"wandb login, set WANDB_MODE=offline, or leave"):
        write(tmp_path, 0, loggers=["wandb"])


@pytest.mark.parametrize("logger", ["tensorboard", "wandb"])
def test_a_missing_package_is_one_line(tmp_path, monkeypatch, logger):
    monkeypatch.setitem(sys.modules, logger, None)
    with pytest.raises(RecipeError, match=rf"pip install 'flexclim\[{logger}\]'"):
        write(tmp_path, 0, loggers=[logger])
