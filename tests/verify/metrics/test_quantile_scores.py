import numpy as np
import pytest
import scores
import xarray as xr

from flexclim import FlexclimError, verify


@pytest.mark.parametrize("chunks", [None, {"time": 1, "realization": 2}])
def test_the_quantile_score_is_that_of_scores(ensemble, chunks):
    forecast, truth = ensemble
    truth[0, 3, 2], forecast[2, 1, 1, 1] = np.nan, np.nan
    lazy = forecast if chunks is None else forecast.chunk(chunks)
    found = verify.quantile_score(lazy, truth, [0.2, 0.9], weights=None)
    assert (found.chunks is None) is (chunks is None)
    for level in (0.2, 0.9):
        quantile = forecast.quantile(level, "realization", skipna=False)
        expected = scores.continuous.quantile_score(quantile, truth, level)
        assert float(found.sel(quantile=level)) == pytest.approx(float(expected), rel=1e-12)


def test_the_interval_score_is_that_of_scores(ensemble):
    forecast, truth = ensemble
    found = verify.interval_score(forecast, truth, level=0.8, weights=None, dim="time")
    low, high = (forecast.quantile(q, "realization").drop_vars("quantile") for q in (0.1, 0.9))
    expected = scores.continuous.interval_score(low, high, truth, 0.8, reduce_dims=["time"])
    np.testing.assert_allclose(found.score, expected["total"], rtol=1e-12)
    np.testing.assert_allclose(found.width, expected["interval_width_penalty"], rtol=1e-12)
    inside = ((truth >= low) & (truth <= high)).mean("time")
    np.testing.assert_allclose(found.coverage, inside, rtol=1e-12)
    assert found.score.attrs["units"] == "m s-1"
    assert found.coverage.attrs["units"] == "1"


def test_scores_by_hand_with_weights():
    forecast = xr.DataArray([[0.0, 0.0], [2.0, 2.0]], dims=["member", "x"])
    truth = xr.DataArray([1.0, 5.0], dims=["x"])
    weights = xr.DataArray([3.0, 1.0], dims=["x"])
    found = verify.quantile_score(forecast, truth, 0.75, weights=weights)
    # The quantile is 1.5: 0.25 * 0.5 below it, 0.75 * 3.5 above.
    assert float(found[0]) == pytest.approx((3 * 0.125 + 2.625) / 4)
    parts = verify.interval_score(forecast, truth, level=0.5, weights=weights)
    # The interval is 0.5 to 1.5: width 1, and 4 times the 3.5 by which the second lies outside.
    assert float(parts.score) == pytest.approx(1 + 14 / 4)
    assert float(parts.coverage) == 0.75


def test_levels_of_an_interval_and_members_are_checked(ensemble):
    forecast, truth = ensemble
    for level in (0, 1, 1.5):
        with pytest.raises(FlexclimError, match="level=1"):
            verify.interval_score(forecast, truth, level=level or 1)
    with pytest.raises(FlexclimError, match="level=0 "):
        verify.interval_score(forecast, truth, level=0)
    with pytest.raises(FlexclimError, match="levels="):
        verify.quantile_score(forecast, truth, [2])
    with pytest.raises(FlexclimError, match="no ensemble dimension"):
        verify.quantile_score(truth, truth)
    assert np.isnan(verify.quantile_score(forecast, truth * np.nan)).all()
