import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify


def test_threshold_weighted_crps_equals_scores(ensemble):
    from scores.probability import tail_tw_crps_for_ensemble

    forecast, truth = ensemble
    theirs = tail_tw_crps_for_ensemble(
        forecast,
        truth,
        "realization",
        threshold=0.5,
        tail="upper",
        method="fair",
        preserve_dims="all",
    )
    ours = verify.threshold_weighted_crps(forecast, truth, lower=0.5, dim=())
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    whole = verify.threshold_weighted_crps(forecast, truth)
    assert float(whole) == float(verify.crps(forecast, truth))


@pytest.mark.parametrize("chunks", [None, {"time": 1, "lon": 4}])
def test_quantiles_are_right_to_the_width_of_a_bin(ensemble, chunks):
    forecast, truth = ensemble
    lazy = forecast if chunks is None else forecast.chunk(chunks)
    found = verify.quantiles(lazy, truth, weights=None).compute()
    width = float((forecast.max() - forecast.min()) / 2**16)
    for name, field in (("forecast", forecast), ("truth", truth)):
        exact = np.quantile(field, found["quantile"], method="inverted_cdf")
        np.testing.assert_allclose(found[name], exact, atol=2 * width)
    kept = verify.quantiles(lazy, truth, weights=None, dim=["lat", "lon"]).compute()
    single = verify.quantiles(forecast.isel(time=0), truth.isel(time=0), weights=None)
    np.testing.assert_allclose(kept.truth.isel(time=0), single.truth, atol=3 * width)


def test_exceedance_sees_missing_tails():
    rng = np.random.default_rng(0)
    truth = xr.DataArray(rng.normal(size=400_000), dims=["point"])
    same = xr.DataArray(rng.normal(size=(2, 400_000)), dims=["member", "point"])
    np.testing.assert_allclose(verify.exceedance(same, truth), 1, atol=0.06)
    # P(Z > z / 0.8) over P(Z > z) at the 99 % quantile, z = 2.3263.
    thin = verify.exceedance(0.8 * same, truth, levels=[0.99])
    assert float(thin[0]) == pytest.approx(0.00182 / 0.01, rel=0.05)


def test_wet_days():
    truth = xr.DataArray([0.0, 2.0, np.nan, 1.0], dims=["time"])
    forecast = xr.DataArray([[0.0, 2, 9, 1], [3.0, 0, 9, 0]], dims=["member", "time"])
    found = verify.frequency(forecast, truth, threshold=1.0)
    assert float(found.truth) == pytest.approx(2 / 3)
    assert float(found.forecast) == pytest.approx(3 / 6)
    assert float(found.ratio) == pytest.approx(3 / 4)


def test_anomaly_correlation_equals_numpy(ensemble, area):
    forecast, truth = ensemble
    climate = truth.mean("time")
    left, right = forecast.mean("realization") - climate, truth - climate
    weights = area.broadcast_like(truth).values.ravel()
    found = verify.anomaly_correlation(forecast, truth, climate)
    cov = np.cov(left.values.ravel(), right.values.ravel(), aweights=weights)
    assert float(found) == pytest.approx(cov[0, 1] / np.sqrt(cov[0, 0] * cov[1, 1]), rel=1e-12)
    raw = verify.anomaly_correlation(forecast, truth, climate, centred=False, weights=None)
    expected = (left * right).sum() / ((left**2).sum() * (right**2).sum()) ** 0.5
    assert float(raw) == pytest.approx(float(expected), rel=1e-12)
    with pytest.raises(AlignmentError, match="'lat' differs"):
        verify.anomaly_correlation(forecast, truth, climate.assign_coords(lat=climate.lat + 1))
    with pytest.raises(FlexclimError, match="dimension 'x'"):
        verify.anomaly_correlation(forecast, truth, climate.expand_dims("x"))
