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


def ones(truth):
    """Return weights that are all 1: they take the way of weighted sums."""
    return xr.ones_like(truth)


@pytest.mark.parametrize("chunks", [None, {"time": 2, "lon": 4, "realization": 1}])
@pytest.mark.parametrize("dim", [None, ["lat", "lon"], "time"])
def test_weighted_sums_equal_the_counts_of_xskillscore(rain, dim, chunks):
    forecast, truth = rain
    event, chance = events(forecast, truth)
    edges = (np.arange(9) - 0.5) / 7
    over = list(truth.dims) if dim is None else dim
    theirs = xskillscore.reliability(event, chance, dim=over, probability_bin_edges=edges)
    lazy = forecast if chunks is None else forecast.chunk(chunks)
    for weights in (None, ones(truth)):
        ours = verify.reliability(lazy, truth, threshold=0.3, weights=weights, dim=dim)
        assert (ours.frequency.chunks is None) == (chunks is None)
        np.testing.assert_allclose(ours.frequency, theirs, rtol=1e-12)
        count = event.size / theirs[..., 0].size
        np.testing.assert_allclose(ours.share * count, theirs.samples, rtol=1e-12)


@pytest.mark.parametrize("score", [verify.brier_decomposition, verify.reliability, verify.roc])
def test_both_ways_leave_missing_values_out(rain, score):
    forecast, truth = rain
    forecast[2, 0, 1, 1], truth[1, 3, 4] = np.nan, np.nan
    counted, added = (score(forecast, truth, 0.3, weights=w) for w in (None, ones(truth)))
    xr.testing.assert_allclose(counted, added, rtol=1e-12)
    whole = truth.notnull() & forecast.notnull().all("realization")
    flat = [f.stack(point=truth.dims)[..., whole.values.ravel()] for f in (forecast, truth)]
    flat = [f.drop_vars(["point", *truth.dims]) for f in flat]
    xr.testing.assert_allclose(score(*flat, 0.3, weights=None), counted, rtol=1e-12)


def test_area_weights_count_points_as_often_as_they_say(rain):
    forecast, truth = rain
    times = np.array([1, 2, 3, 3, 2, 1])
    weights = xr.DataArray(times, dims=["lat"])
    rows = np.repeat(np.arange(6), times)
    often = [field.isel(lat=rows).drop_vars("lat") for field in rain]
    for score in (verify.brier, verify.brier_decomposition, verify.roc):
        found = score(forecast, truth, 0.3, weights=weights)
        xr.testing.assert_allclose(found, score(*often, 0.3, weights=None), rtol=1e-12)


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
    added = verify.roc(*rain, threshold=0.3, weights=ones(rain[1]))
    ours = verify.roc(*rain, threshold=0.3, weights=None)
    np.testing.assert_allclose(added.area, theirs, rtol=1e-12)
    np.testing.assert_allclose(ours.area, theirs, rtol=1e-12)
    assert float(ours.hit_rate[0]) == float(ours.false_alarm_rate[0]) == 1
    assert float(ours.hit_rate[-1]) == float(ours.false_alarm_rate[-1]) == 0


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
