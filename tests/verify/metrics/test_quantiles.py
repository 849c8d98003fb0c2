import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify


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


def test_quantiles_of_few_values_by_hand():
    truth = xr.DataArray([1.0, 2.0, 2.0, 7.0], dims=["point"])
    found = verify.quantiles(truth + 3, truth, levels=[0, 0.25, 0.5, 0.9, 1], weights=None)
    width = 9.0 / 2**16
    np.testing.assert_allclose(found.truth, [1, 1, 2, 7, 7], atol=width)
    np.testing.assert_allclose(found.forecast, [4, 4, 5, 10, 10], atol=width)
    assert (float(found.truth[0]), float(found.forecast[-1])) == (1, 10)
    same = xr.full_like(truth, 273.15)
    assert (verify.quantiles(same, same).truth == 273.15).all()


def test_weights_of_zero_do_not_count():
    truth = xr.DataArray([1.0, 2.0, 1e6], dims=["point"])
    weights = xr.DataArray([1.0, 1.0, 0.0], dims=["point"])
    found = verify.quantiles(truth, truth, levels=0.99, weights=weights)
    np.testing.assert_allclose(found.truth, 2, atol=1e-4)


def test_exceedance_by_hand():
    truth = xr.DataArray(np.arange(10.0), dims=["point"])
    forecast = xr.concat([truth + 2, truth * 0], "member")
    # Above the 80 per cent quantile, 7: 8 and 9 of the truth; 8 to 11 of 20 values of the members.
    found = verify.exceedance(forecast, truth, levels=[0.8], weights=None)
    assert float(found[0]) == pytest.approx((4 / 20) / (2 / 10), rel=1e-6)
    assert np.isnan(verify.exceedance(forecast, truth, levels=[1.0], weights=None))


@pytest.mark.parametrize("score", [verify.quantiles, verify.exceedance])
@pytest.mark.parametrize("levels", [[1.5], [0.5, -0.1], [np.nan], "a", [], None])
def test_levels_are_probabilities(ensemble, score, levels):
    with pytest.raises(FlexclimError, match="levels="):
        score(*ensemble, levels=levels)
