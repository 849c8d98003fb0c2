import numpy as np
import pytest
import xarray as xr
from scipy import stats

from flexclim import FlexclimError, verify


def gaussian(members=5, points=200_000, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    forecast = xr.DataArray(
        rng.normal(size=(members, 8, points // 8)) * spread, dims=["member", "time", "point"]
    )
    return forecast, xr.DataArray(rng.normal(size=(8, points // 8)), dims=["time", "point"])


def test_pull_of_a_calibrated_ensemble_equals_the_expected_one():
    found = verify.pull(*gaussian(members=8))
    assert float(found.ratio) == pytest.approx(1, abs=0.02)
    assert float(found["mean"]) == pytest.approx(0, abs=0.01)
    with pytest.raises(FlexclimError, match="at least 4"):
        verify.pull(*gaussian(members=3))


def test_points_without_spread_have_no_pull():
    forecast, truth = gaussian(points=800)
    dry = forecast.where(forecast.point < 50, 0.0)
    wet = forecast.isel(point=slice(0, 50)), truth.isel(point=slice(0, 50))
    np.testing.assert_allclose(verify.pull(dry, truth).pull, verify.pull(*wet).pull, rtol=1e-12)


def test_crps_decomposition_sums_and_knows_reliability(ensemble):
    forecast, truth = ensemble
    parts = verify.crps_decomposition(forecast, truth)
    crps = verify.crps(forecast, truth, estimator="ecdf")
    np.testing.assert_allclose(parts.crps, crps, rtol=1e-12)
    lazy = verify.crps_decomposition(forecast.chunk(realization=1, lat=3), truth).compute()
    xr.testing.assert_allclose(lazy, parts, rtol=1e-12)
    good = verify.crps_decomposition(*gaussian(members=20, points=40_000))
    bad = verify.crps_decomposition(*gaussian(members=20, points=40_000, spread=0.3))
    assert float(good.reliability) < 0.005 < 0.05 < float(bad.reliability)


def test_bins_with_the_same_share_of_points_by_brute_force():
    rng = np.random.default_rng(7)
    width = rng.lognormal(size=600)
    forecast = xr.DataArray(width * rng.normal(size=(8, 600)), dims=["member", "point"])
    truth = xr.DataArray(width * rng.normal(size=600), dims=["point"])
    for halves, first, size in ((False, 0, 8), (True, 4, 4)):
        found = verify.spread_error(forecast, truth, bins=6, halves=halves)
        judged = forecast.values[first:]
        chosen = forecast.values[:first] if halves else judged
        order = chosen.std(axis=0).argsort()[:100]
        spread = (judged.var(axis=0, ddof=1)[order].mean() * (size + 1) / size) ** 0.5
        error = ((judged.mean(axis=0) - truth.values)[order] ** 2).mean() ** 0.5
        assert float(found.spread[0]) == pytest.approx(spread, rel=5e-3)
        assert float(found.error[0]) == pytest.approx(error, rel=5e-3)
        np.testing.assert_allclose(found.share, 1 / 6)
        np.testing.assert_allclose(found.spread_bin, np.arange(6) / 6)


def test_halves_keep_chance_out_of_the_bins():
    """Equal members everywhere: their spread in the lowest bin is low by chance alone."""
    rng = np.random.default_rng(8)
    forecast = xr.DataArray(rng.normal(size=(8, 40_000)), dims=["member", "point"])
    truth = xr.DataArray(rng.normal(size=40_000), dims=["point"])
    chance = verify.spread_error(forecast, truth, bins=6)
    fair = verify.spread_error(forecast, truth, bins=6, halves=True)
    # Mean of the lowest sixth of chi-squared with 7 degrees of freedom, over 7.
    low = stats.chi2.cdf(stats.chi2.ppf(1 / 6, 7), 9) * 6
    assert float((chance.error / chance.spread)[0]) == pytest.approx(low**-0.5, rel=0.02)
    np.testing.assert_allclose(fair.error / fair.spread, 1, atol=0.03)


def test_points_of_equal_spread_fill_bins_in_proportion():
    forecast = xr.DataArray(np.zeros((4, 6)), dims=["member", "point"])
    found = verify.spread_error(forecast, xr.DataArray(np.arange(6.0), dims=["point"]), bins=3)
    np.testing.assert_allclose(found.share, 1 / 3)
    np.testing.assert_allclose(found.error**2, np.mean(np.arange(6.0) ** 2))
