"""The doctor finds what is there and names what is missing."""

import importlib.metadata

import pytest
from command_line import run

from flexclim.cli import installation


def test_every_requirement_is_looked_at(monkeypatch):
    lines = ["numpy>=1.0", "torch>=999", "no-such-package", "ruff>=0; extra == 'dev'"]
    monkeypatch.setattr(installation, "requires", lambda _: lines)
    monkeypatch.setattr(
        installation,
        "version",
        lambda name: "0.1.0" if name == "flexclim" else importlib.metadata.version(name),
    )
    found = installation.examine()["Versions"]
    assert found["numpy"] == importlib.metadata.version("numpy")
    assert found["torch"].startswith("missing: ")
    assert found["torch"].endswith("is not supported; pip install 'torch>=999'")
    assert found["no-such-package"] == "missing: pip install 'no-such-package'"
    assert "ruff" not in found


def test_files_that_ship_are_there():
    files = installation.examine()["Files"]
    assert installation.missing({"Files": files}) == []


@pytest.mark.parametrize(
    ("function", "shown"),
    [("sample_file", "sample"), ("coastlines_file", "coastlines"), ("recipes_folder", "recipes")],
)
def test_a_missing_file_is_named(monkeypatch, tmp_path, function, shown):
    monkeypatch.setattr(installation, function, lambda: tmp_path / "gone")
    assert installation.missing({"Files": installation.examine()["Files"]}) == [shown]


def test_memory_disk_and_storage_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "hidden")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://here:9000")
    found = installation.examine(str(tmp_path))
    assert found["Machine"]["memory"].endswith(" GiB free for this process")
    assert found["Storage"]["output"] == f"{tmp_path} can be written"
    assert found["Storage"]["disk"].endswith(" GiB free")
    assert list(tmp_path.iterdir()) == []
    s3 = found["Storage"]["S3"]
    assert "credentials in AWS_ACCESS_KEY_ID" in s3
    assert "http://here:9000" in s3
    assert "hidden" not in s3


def test_a_place_that_is_not_there_is_missing(tmp_path, capsys):
    assert run("doctor", tmp_path / "none") == 1
    shown = capsys.readouterr()
    assert "none does not exist; make it first" in shown.out
    assert shown.err == "flexclim: missing: output\n"


def test_a_gpu_that_torch_can_not_use_is_named(monkeypatch):
    monkeypatch.setattr(installation.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "sees no GPU" in installation._device()["GPU"]
