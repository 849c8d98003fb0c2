"""Rounded weights: converted folders, and the table of their scores."""

import sys

import numpy as np
import pytest
import xarray as xr

from benchmarks import rounding
from flexclim import load_model


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["rounding", *map(str, arguments)])
    rounding.main()


def test_folders_are_converted_once(toy_model, tmp_path, monkeypatch, capsys):
    folder = toy_model.replace().save(tmp_path / "toy")
    before = rounding.size(folder)
    run(monkeypatch, "--model", folder, "--convert")
    after = rounding.size(folder)
    assert after < 0.55 * before
    assert load_model(folder).card.precision == "int8"
    assert f"toy: {before / 1e6:.2f} MB before, {after / 1e6:.2f} MB as int8" in (
        capsys.readouterr().out
    )
    hashed = load_model(folder).sha256
    run(monkeypatch, "--model", folder, "--convert")
    assert "int8 already" in capsys.readouterr().out
    assert load_model(folder).sha256 == hashed


@pytest.mark.slow
def test_cases_are_scored_before_and_after(toy_model, tmp_path, monkeypatch):
    from benchmarks.skill.cases import Case
    from benchmarks.skill.fields import Split

    random = np.random.default_rng(0)
    rows = {"lat": 50.0 - np.arange(32), "lon": np.arange(48.0)}
    wind = xr.Dataset(
        {"u10": (("time", "lat", "lon"), random.normal(size=(2, 32, 48)).astype("float32"))},
        {"time": np.array(["2018-09-01", "2018-09-02"], "M8[ns]"), **rows},
    )
    (tmp_path / "wind.nc").write_bytes(b"")
    fields = [wind.isel(time=[index]) for index in (0, 1)]
    case = Case(
        name="made", title="", file="wind.nc", variables=("u10",), factor=4, steps={1: None, 2: 1},
        load=lambda _: Split(fields, fields, fixed=True),
    )  # fmt: skip
    monkeypatch.setattr(rounding, "CASES", [case])
    monkeypatch.setenv("FLEXCLIM_DATA", str(tmp_path))
    model = toy_model.replace().save(tmp_path / "toy")
    page, cache = tmp_path / "page.md", tmp_path / "cache"
    run(monkeypatch, "--model", model, "--cache", cache, "--markdown", page)
    (line,) = (one for one in page.read_text().splitlines() if one.startswith("| made: toy"))
    _, crps, rounded, change, *_ = (cell.strip() for cell in line.strip("|").split("|"))
    assert float(crps) == pytest.approx(float(rounded), rel=0.01)
    assert change.endswith("%")
    assert len(list(cache.glob("*.json"))) == 3  # the number of fields, and one record each
