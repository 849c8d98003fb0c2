"""The demo of forecasts: what it writes, and that it leaves alone what is not its own."""

import io

import numpy as np
import pytest
import xarray as xr
from PIL import Image
from rich.console import Console

from flexclim import cli
from flexclim.cli.demos import forecasting_demo as forecast_demo
from flexclim.cli.demos.forecasting_demo import FLOW
from flexclim.models.channels import Target
from flexclim.train import load_recipe


def test_the_flow_is_one_that_training_never_saw():
    sources = load_recipe("flex_turbulence").data.sources
    for source in sources:
        known = source.turbulence
        assert (known.seed, known.viscosity) != (FLOW.seed, FLOW.viscosity)
        own = {"runs", "snapshots", "viscosity", "seed"}
        assert known.model_dump(exclude=own) == FLOW.model_dump(exclude=own)


def test_scores_of_a_single_field_and_of_an_ensemble():
    truth = xr.DataArray(np.random.default_rng(0).normal(size=(16, 16)), dims=["y", "x"])
    alone = forecast_demo.score(truth + 2.0, truth)
    assert alone["CRPS"] == pytest.approx(2.0)
    assert np.isnan(alone["spread/skill"])
    both = xr.concat([truth - 1.0, truth + 1.0], "realization")
    found = forecast_demo.score(both, truth)
    assert found["CRPS"] == pytest.approx(0.0)
    assert found["RMSE"] == pytest.approx(0.0, abs=1e-6)


def test_the_shell_asks_for_it(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(forecast_demo, "run", lambda *args, **more: asked.append((args, more)))
    with pytest.raises(SystemExit) as done:
        cli.main(["demo", "--forecast", "--out", str(tmp_path), "--members", "3"])
    assert done.value.code == 0
    assert asked == [((tmp_path,), {"members": 3})]


@pytest.mark.slow
def test_the_demo_runs_twice_and_leaves_foreign_files(tmp_path, make_forecaster):
    foreign = tmp_path / "notes.txt"
    foreign.write_text("mine")
    model = make_forecaster((Target(name="vorticity", std=5.0),), leads=(1.5,))
    flow = FLOW.model_copy(update={"size": 32, "first": 0.1})
    for _ in range(2):
        printed = io.StringIO()
        console = Console(file=printed, width=120)
        paths = forecast_demo.run(
            tmp_path, members=2, model=model, flow=flow, leads=2, console=console
        )
        assert all(str(path) in printed.getvalue() for path in paths.values())
        assert printed.getvalue().count("persistence") == 2
    assert foreign.read_text() == "mine"
    with xr.open_zarr(paths["store"]) as ahead:
        assert dict(ahead["vorticity"].sizes) == {"realization": 2, "time": 2, "y": 32, "x": 32}
    assert paths["film"].stat().st_size < 2e6
    with Image.open(paths["film"]) as film:
        assert film.n_frames == 2
