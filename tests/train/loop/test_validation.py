from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from flexclim.models.channels import Target, Variable
from flexclim.models.settings import ModelSettings
from flexclim.nn.configuration import NetworkSettings
from flexclim.nn.diffusion import Diffusion
from flexclim.train.data.batches import Batch
from flexclim.train.loop import validation
from flexclim.train.loop.processes import Ranks
from flexclim.train.loop.validation import Validation
from flexclim.verify import crps, spread_skill


@pytest.fixture
def settings(one_level):
    sizes = NetworkSettings(tile=(32, 32), **one_level)
    names = "u", "v"
    return ModelSettings(
        network=sizes,
        halo=8,
        factors=(2, 4),
        residual_scale={2: (0.5, 2.0), 4: (1.0, 1.0)},
        scaling="fixed",
        inputs=(*(Variable(name=name, std=2.0) for name in names), Variable(name="t")),
        targets=tuple(Target(name=name, base=name) for name in names),
    )


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    smooth = random.normal(size=(6, 3, 32, 32)).cumsum(-1).cumsum(-2) / 10
    return Batch(
        inputs=smooth.astype("float32"),
        residual=random.normal(size=(6, 2, 32, 32)).astype("float32"),
        label=np.array([[-1], [0]] * 3, "float32"),
        scale=np.array([[0.25, 1], [0.5, 0.5]] * 3, "float32"),
    )


def sampled(monkeypatch, spread):
    """Let sampling return noise of a given size in place of a network's answer."""

    def members(network, diffusion, inputs, label, noise, steps, method, task):
        return noise * spread, noise * 0

    monkeypatch.setattr(validation, "sample_members", members)


def network():
    return SimpleNamespace(eval=lambda: None)


def test_scores_are_those_of_verify(settings, batch, monkeypatch):
    sampled(monkeypatch, 0.7)
    found = Validation(settings, batch, range(6), 8, Ranks()).scores(network(), Diffusion(), 4)
    noise, _ = validation.draw(validation.SEED, 0, range(6), 1, (4, 2, 32, 32))
    dims = "patch", "realization", "target", "y", "x"
    forecast = xr.DataArray(noise.numpy() * 0.7, dims=dims).transpose("realization", ...)
    truth = xr.DataArray(batch.residual, dims=("patch", "target", "y", "x"))
    for index, name in enumerate("uv"):
        own = crps(forecast.isel(target=index), truth.isel(target=index), weights=None)
        share = float(own) / np.abs(batch.residual[:, index]).mean()
        assert found[f"crps_{name}"] == pytest.approx(share, rel=1e-4)
    assert found["crps"] == pytest.approx((found["crps_u"] + found["crps_v"]) / 2)
    expected = float(spread_skill(forecast, truth, weights=None))
    assert found["spread_skill"] == pytest.approx(expected, rel=1e-4)


def test_a_perfect_ensemble_scores_so(settings, batch, monkeypatch):
    sampled(monkeypatch, 1.0)
    found = Validation(settings, batch, range(6), 16, Ranks()).scores(network(), Diffusion(), 16)
    # Truth and members are white noise of the same size.
    assert found["spread_skill"] == pytest.approx(1, abs=0.03)
    assert found["log_spectral_distance"] < 1
    assert found["interpolation_log_spectral_distance"] > 3
    assert found["power_2_4"] == pytest.approx(1, abs=0.05)
    assert found["interpolation_power_2_4"] < 0.5
    assert found["crps"] == pytest.approx(0.708, abs=0.02)  # 1 / sqrt 2 of the error of zero


def test_the_way_of_cutting_changes_nothing(settings, batch, monkeypatch):
    sampled(monkeypatch, 0.7)
    whole = Validation(settings, batch, range(6), 100, Ranks()).scores(network(), Diffusion(), 4)
    parts = Validation(settings, batch, range(6), 4, Ranks()).scores(network(), Diffusion(), 4)
    assert whole.keys() == parts.keys()
    assert all(whole[name] == pytest.approx(parts[name]) for name in whole)


def test_a_target_without_base_has_no_interpolation(settings, batch, monkeypatch):
    sampled(monkeypatch, 0.7)
    bare = tuple(Target(name=name, base=None) for name in "uv")
    settings = settings.model_copy(update={"targets": bare})
    found = Validation(settings, batch, range(6), 8, Ranks()).scores(network(), Diffusion(), 4)
    assert "interpolation_log_spectral_distance" not in found
    # 0.7 times the amplitude is 3.1 dB less.
    assert found["log_spectral_distance"] == pytest.approx(3.1, abs=0.3)


def test_unknown_truth_changes_no_score(settings, batch, monkeypatch):
    """What is sampled in unknown cells does not matter, and no score is NaN."""
    known = np.random.default_rng(1).random(batch.residual.shape) > 0.3
    known[0, 0] = False
    batch.residual[~known] = np.nan
    cells = torch.from_numpy(known)
    seen = []
    for elsewhere in (0.0, 50.0):

        def members(network, diffusion, inputs, label, noise, steps, method, task, other=elsewhere):
            found = (noise * 0.7).where(cells[:, None], torch.tensor(other))
            return found, found

        def answer(noisy, t, features, label, other=elsewhere):
            assert noisy.isfinite().all()
            return (noisy * 0.5).where(cells, torch.tensor(other))

        class Fake(torch.nn.Module):
            def encode(self, *_):
                return None

            def forward(self, *parts, answer=answer):
                return answer(*parts)

        monkeypatch.setattr(validation, "sample_members", members)
        check = Validation(settings, batch, range(6), 100, Ranks())
        fake = Fake()
        seen.append(check.losses(fake, Diffusion()) | check.scores(fake, Diffusion(), 4))
    assert all(np.isfinite(value) for value in seen[0].values())
    assert seen[0] == seen[1]
