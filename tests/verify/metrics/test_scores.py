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


def random_case(seed):
    """Return an ensemble, its truth and weights: few or many members and points, ties, gaps."""
    rng = np.random.default_rng(seed)
    members, points = rng.choice([1, 2, 3, 12]), rng.choice([1, 2, 30])
    make = [rng.normal, lambda size: rng.integers(0, 4, size).astype(float)][seed % 2]
    forecast = xr.DataArray(make(size=(members, 2, points)), dims=["member", "time", "point"])
    truth = xr.DataArray(make(size=(2, points)), dims=["time", "point"])
    if seed % 3:
        forecast = forecast.where(rng.random(forecast.shape) > 0.05)
        truth = truth.where(rng.random(truth.shape) > 0.1)
    weights = xr.DataArray(rng.random(points), dims=["point"]) if seed % 4 else None
    return forecast, truth, weights


@pytest.mark.parametrize("seed", range(12))
def test_random_cases_agree_with_xskillscore_and_scores(seed):
    """Ties, gaps, weights, one member, one point: the other packages get points without gaps."""
    import scores.probability as other

    forecast, truth, weights = random_case(seed)
    known = forecast.notnull().all("member") & truth.notnull()
    given = forecast.where(known), truth.where(known)
    every = None if weights is None else weights.broadcast_like(truth)
    dim = ["time", "point"]
    mean = given[0].mean("member", skipna=False)
    pairs = {
        "crps": (
            verify.crps(forecast, truth, estimator="ecdf", weights=weights),
            xskillscore.crps_ensemble(*given[::-1], member_dim="member", dim=dim, weights=every),
            other.crps_for_ensemble(*given, "member", method="ecdf", weights=weights),
        ),
        "rmse": (
            verify.rmse(forecast, truth, weights=weights),
            xskillscore.rmse(mean, given[1], dim=dim, weights=every, skipna=True),
        ),
        "bias": (
            verify.bias(forecast, truth, weights=weights),
            xskillscore.me(mean, given[1], dim=dim, weights=every, skipna=True),
        ),
        "brier": (
            verify.brier(forecast, truth, 1.0, weights=weights),
            other.brier_score_for_ensemble(
                *given, "member", 1.0, fair_correction=False, weights=weights
            ).squeeze(),
        ),
        "tail": (
            verify.threshold_weighted_crps(forecast, truth, 1.0, weights=weights, estimator="ecdf"),
            other.tail_tw_crps_for_ensemble(
                *given, "member", threshold=1.0, tail="upper", method="ecdf", weights=weights
            ),
        ),
        "ranks": (
            verify.rank_histogram(forecast, truth, weights=None),
            other.rank_histogram(*given, "member"),
        ),
    }
    if forecast.sizes["member"] > 1:
        pairs["fair"] = (
            verify.crps(forecast, truth, weights=weights),
            other.crps_for_ensemble(*given, "member", method="fair", weights=weights),
        )
    for name, (ours, *theirs) in pairs.items():
        for one in theirs:
            np.testing.assert_allclose(ours, one, rtol=1e-12, atol=1e-14, err_msg=name)
