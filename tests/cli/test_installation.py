"""The doctor finds what is there and names what is missing."""

import importlib.metadata

import pytest

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
