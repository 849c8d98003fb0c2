import numpy as np
import pytest
import xarray as xr
import xskillscore

from flexclim import verify

SIZES = {"realization": 7, "time": 5, "lat": 6, "lon": 9}


@pytest.fixture
def rain():
    rng = np.random.default_rng(2)
    signal = rng.normal(size=(5, 6, 9))
    coords = {"lat": np.linspace(75, -75, 6), "lon": np.arange(9) * 40.0}
    truth = xr.DataArray(signal + rng.normal(size=signal.shape), coords, ["time", "lat", "lon"])
    forecast = signal + rng.normal(size=(7, *signal.shape))
    return xr.DataArray(forecast, coords, list(SIZES)), truth


def events(forecast, truth, threshold=0.3):
    return truth >= threshold, (forecast >= threshold).mean("realization")


def test_brier_parts_sum_to_the_score(rain):
    for weights in ("area", None):
        whole = verify.brier(*rain, threshold=0.3, weights=weights)
        parts = verify.brier_decomposition(*rain, threshold=0.3, weights=weights)
        np.testing.assert_allclose(parts.brier, whole, rtol=1e-12)
    event, chance = events(*rain)
    np.testing.assert_allclose(whole, ((chance - event) ** 2).mean(), rtol=1e-12)


def test_fair_brier_does_not_depend_on_the_size_of_the_ensemble():
    rng = np.random.default_rng(0)
    truth = xr.DataArray(rng.normal(size=100_000), dims=["point"])
    for size in (3, 30):
        forecast = xr.DataArray(rng.normal(size=(size, 100_000)), dims=["member", "point"])
        assert float(verify.brier(forecast, truth, 0.0, fair=True)) == pytest.approx(
            0.25, abs=0.002
        )


def test_reliability_equals_xskillscore(rain):
    event, chance = events(*rain)
    edges = (np.arange(9) - 0.5) / 7
    theirs = xskillscore.reliability(event, chance, probability_bin_edges=edges)
    ours = verify.reliability(*rain, threshold=0.3, weights=None)
    np.testing.assert_allclose(ours.frequency, theirs, rtol=1e-12)
    np.testing.assert_allclose(ours.share * event.size, theirs.samples, rtol=1e-12)


def test_consistency_bars_hold_a_reliable_forecast():
    rng = np.random.default_rng(1)
    chance = rng.random(40_000)
    forecast = xr.DataArray((rng.random((10, 40_000)) < chance).astype(float), dims=["member", "p"])
    truth = xr.DataArray((rng.random(40_000) < chance).astype(float), dims=["p"])
    found = verify.reliability(forecast, truth, threshold=0.5, level=0.99)
    # Ten members draw probabilities, so the diagram is a little flat: only the middle is exact.
    middle = found.sel(probability=slice(0.45, 0.55))
    assert ((middle.low <= middle.frequency) & (middle.frequency <= middle.high)).all()
    wide = verify.reliability(forecast, truth, threshold=0.5, level=0.99, independent=0.01)
    assert ((wide.high - wide.low) > 5 * (found.high - found.low)).isel(probability=5)


def test_roc_equals_xskillscore(rain):
    event, chance = events(*rain)
    theirs = xskillscore.roc(event, chance, "continuous", return_results="area")
    ours = verify.roc(*rain, threshold=0.3, weights=None)
    np.testing.assert_allclose(ours.area, theirs, rtol=1e-9)
    assert float(ours.hit_rate[0]) == float(ours.false_alarm_rate[0]) == 1
    assert float(ours.hit_rate[-1]) == float(ours.false_alarm_rate[-1]) == 0


def test_contingency_by_hand():
    forecast = xr.DataArray([1.0, 1, 1, 0, 0, np.nan], dims=["point"])
    truth = xr.DataArray([1.0, 1, 0, 1, 0, 1], dims=["point"])
    found = verify.contingency(forecast, truth, threshold=0.5)
    assert float(found.hit_rate) == pytest.approx(2 / 3)
    assert float(found.false_alarm_ratio) == pytest.approx(1 / 3)
    assert float(found.threat_score) == pytest.approx(2 / 4)
    assert float(found.bias_score) == pytest.approx(1)


@pytest.mark.parametrize("score", [verify.brier, verify.brier_decomposition, verify.roc])
def test_chunks_and_kept_dimensions(rain, score):
    forecast, truth = rain
    holes = truth.copy()
    holes[0, 2, 3] = np.nan
    plain = score(forecast, holes, threshold=0.3, dim=["lat", "lon"])
    lazy = score(
        forecast.chunk(realization=2, time=2, lon=4),
        holes.chunk(),
        threshold=0.3,
        dim=["lat", "lon"],
    )
    xr.testing.assert_allclose(lazy.compute(), plain, rtol=1e-11)
    one = score(forecast.isel(time=1), holes.isel(time=1), threshold=0.3)
    xr.testing.assert_allclose(plain.isel(time=1), one, rtol=1e-12)
