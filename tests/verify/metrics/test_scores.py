import numpy as np
import pytest
import xarray as xr
import xskillscore

from flexclim import verify


def brute_crps(members, truth, fair):
    count = members.shape[0]
    skill = np.abs(members - truth).mean(axis=0)
    pairs = np.abs(members[:, None] - members[None]).sum(axis=(0, 1))
    return skill - pairs / (2 * count * (count - 1 if fair else count))


@pytest.mark.parametrize("estimator", ["fair", "ecdf"])
def test_crps_of_each_point_equals_the_double_sum(ensemble, estimator):
    forecast, truth = ensemble
    points = verify.crps(forecast, truth, estimator=estimator, dim=())
    expected = brute_crps(forecast.values, truth.values, estimator == "fair")
    np.testing.assert_allclose(points, expected, rtol=1e-12)
    assert points.dims == truth.dims
    assert points.attrs["units"] == "m s-1"
    assert points.attrs["estimator"] == estimator
    assert points.attrs["ensemble_size"] == 6


@pytest.mark.parametrize(("estimator", "expected"), [("fair", 1.0), ("ecdf", 1.5)])
def test_crps_by_hand(estimator, expected):
    forecast = xr.DataArray([1.0, 3.0], dims=["member"])
    assert float(verify.crps(forecast, xr.DataArray(0.0), estimator=estimator)) == expected


def test_crps_with_ties_by_hand():
    forecast = xr.DataArray([2.0, 2.0, 5.0], dims=["member"])
    # |2-2|, |2-2|, |5-2| over 3, less (0 + 3 + 3) over 3 * 2 (fair) or 3 * 3 (ecdf).
    assert float(verify.crps(forecast, xr.DataArray(2.0))) == 0.0
    found = float(verify.crps(forecast, xr.DataArray(2.0), estimator="ecdf"))
    assert found == pytest.approx(1 - 6 / 9, rel=1e-15)


def test_agrees_with_xskillscore_and_scores(ensemble):
    from scores.probability import crps_for_ensemble

    forecast, truth = ensemble
    theirs = xskillscore.crps_ensemble(truth, forecast, member_dim="realization", dim="lon")
    ours = verify.crps(forecast, truth, estimator="ecdf", weights=None, dim="lon")
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    theirs = crps_for_ensemble(forecast, truth, "realization", method="fair", preserve_dims="all")
    np.testing.assert_allclose(verify.crps(forecast, truth, dim=()), theirs, atol=1e-14)


def test_moments_equal_numpy(ensemble, area):
    forecast, truth = ensemble
    mean, weights = forecast.mean("realization"), area
    error = mean - truth

    def average(field):
        return float(field.weighted(weights).mean())

    assert float(verify.mae(forecast, truth)) == pytest.approx(average(abs(error)), rel=1e-12)
    assert float(verify.bias(forecast, truth)) == pytest.approx(average(error), rel=1e-12)
    rmse = average(error**2) ** 0.5
    assert float(verify.rmse(forecast, truth)) == pytest.approx(rmse, rel=1e-12)
    variance = average(forecast.var("realization", ddof=1))
    assert float(verify.spread(forecast, truth)) == pytest.approx(variance**0.5, rel=1e-12)
    for correction, expected in {
        None: variance**0.5 / rmse,
        "spread": (variance * 7 / 6) ** 0.5 / rmse,
        "error": (variance / (rmse**2 - variance / 6)) ** 0.5,
    }.items():
        found = verify.spread_skill(forecast, truth, correction=correction)
        assert float(found) == pytest.approx(expected, rel=1e-12)
        assert found.attrs["units"] == "1"


@pytest.mark.parametrize("correction", ["spread", "error"])
def test_spread_skill_of_a_perfect_small_ensemble_is_one(correction):
    rng = np.random.default_rng(3)
    forecast = xr.DataArray(rng.normal(size=(5, 100_000)), dims=["member", "point"])
    truth = xr.DataArray(rng.normal(size=100_000), dims=["point"])
    found = float(verify.spread_skill(forecast, truth, correction=correction))
    assert found == pytest.approx(1, abs=0.01)


def test_a_single_field_has_errors_without_members(ensemble):
    _, truth = ensemble
    assert float(verify.mae(truth + 2, truth)) == pytest.approx(2)
    assert float(verify.rmse(truth - 2, truth)) == pytest.approx(2)
