"""The synthetic climate is what its formula says, and a small model recovers its expectation."""

import numpy as np
import pytest

from benchmarks.prognosis import colder_half
from benchmarks.prognosis.world import LAPSE, make_world


@pytest.fixture(scope="module")
def world():
    return make_world(years=2, days=4, side=16)


def test_the_target_is_its_expectation_and_texture(world):
    texture = (world.target.tas - world.mean).values
    assert texture.std() == pytest.approx(0.7, rel=0.01)
    assert abs(texture.mean()) < 1e-3
    # 0.5 K per year at all heights, of air and surface.
    warmer = world.predictors.t.isel(time=slice(4, 8)).mean() - world.predictors.t[:4].mean()
    assert float(warmer) == pytest.approx(0.5, abs=2.5)
    assert list(world.predictors.t.dims) == ["time", "plev", "lat", "lon"]


def test_the_expectation_follows_from_the_predictors(world):
    """The formula holds at 42 N 4 E, near the first cell."""
    cell = world.mean.sel(lat=42.05, lon=4.05, method="nearest")
    orog = world.static.orog.sel(lat=42.05, lon=4.05, method="nearest")
    south = world.predictors.sel(lat=42.0, lon=4.0)
    wanted = (
        south.t.sel(plev=85000)
        + 8
        - LAPSE * orog
        + 1.5 * np.tanh(1000 * south.q.sel(plev=70000) - 3)
    )
    np.testing.assert_allclose(cell, wanted, atol=0.25)  # 0.05 degree apart


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_small_model_recovers_the_expectation_and_its_change(tmp_path, capsys):
    model = colder_half.train(tmp_path, 150)
    assert "of it lost" in capsys.readouterr().err
    scores = colder_half.compare(tmp_path, model, members=4, every=6)
    rmse = scores.rmse.to_series()
    assert rmse["mean of the model"] < 0.75 * rmse["t@850 shifted"]
