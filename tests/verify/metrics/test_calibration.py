import numpy as np
import pytest
import xarray as xr

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
