"""The demo: what it writes, and that its numbers are those of the functions it names."""

import io

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from flexclim import verify
from flexclim.cli.demos import downscaling_demo as demo
from flexclim.cli.demos.sample import sample_file


@pytest.fixture
def truth():
    return xr.load_dataset(sample_file())["t2m"]


def test_score_of_a_single_field_is_its_error(truth):
    scores = demo.score(truth + 2.0, truth)
    assert scores["CRPS"] == pytest.approx(2.0, rel=1e-5)
    assert scores["RMSE"] == pytest.approx(2.0, rel=1e-5)
    assert np.isnan(scores["spread/skill"])
    assert scores["spectrum"] == pytest.approx(0.0, abs=1e-3)


def test_score_of_an_ensemble(truth):
    noise = np.random.default_rng(0).normal(size=(6, *truth.shape))
    forecast = truth + xr.DataArray(noise, dims=("realization", *truth.dims))
    scores = demo.score(forecast, truth)
    assert scores["CRPS"] == pytest.approx(float(verify.crps(forecast, truth)))
    assert scores["RMSE"] == pytest.approx(6**-0.5, rel=0.02)
    assert scores["spread/skill"] == pytest.approx(7**0.5, rel=0.02)


def test_view_wraps_around_greenwich():
    window = demo._view(xr.open_dataset(sample_file()), "wind")
    assert float(window.longitude.min()) == -16
    assert float(window.longitude.max()) == 32
    assert (np.diff(window.longitude) == 1).all()


@pytest.mark.slow
def test_demo_runs_twice_and_leaves_foreign_files(tmp_path):
    foreign = tmp_path / "notes.txt"
    foreign.write_text("mine")
    for _ in range(2):
        printed = io.StringIO()
        paths = demo.run(tmp_path, members=2, console=Console(file=printed, width=120))
        assert all(path.exists() for path in paths.values())
        assert all(str(path) in printed.getvalue() for path in paths.values())
        assert [printed.getvalue().count(name) for name in ("flex-wind", "flex-t2m")] == [2, 1]
    assert foreign.read_text() == "mine"
    with xr.open_zarr(paths["store"]) as fine:
        assert fine["t2m"].sizes["realization"] == 2
