import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify
from flexclim.verify.core.point_weights import check_weights


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (np.ones(3), "type ndarray"),
        (1.0, "type float"),
        (xr.Dataset(), "type Dataset"),
        (xr.DataArray([1.0, -1.0, 1.0], dims="lat"), "1 of 3 weights is negative, such as -1"),
        (xr.DataArray([1.0, np.nan, np.nan], dims="lat"), "2 of 3 weights are NaN"),
        (xr.DataArray([1.0, np.inf, 1.0], dims="lat"), "infinite"),
        (xr.DataArray(["a", "b", "c"], dims="lat"), "not real numbers"),
        ("aera", "use 'area', None or a DataArray"),
    ],
)
@pytest.mark.parametrize("score", [verify.crps, verify.brier, verify.ssim, verify.energy_score])
def test_weights_that_are_none_are_named(weights, words, score):
    forecast = xr.DataArray(np.ones((2, 3, 4)), dims=["member", "lat", "lon"])
    options = {verify.brier: {"threshold": 0.0}, verify.energy_score: {"patch": 1}}.get(score, {})
    with pytest.raises(FlexclimError, match=words):
        score(forecast, forecast[0], weights=weights, **options)
    if isinstance(weights, xr.DataArray):
        with pytest.raises(FlexclimError, match=words):
            score(forecast, forecast[0], weights=weights.chunk(), **options).compute()


def test_weights_of_any_number_count():
    given = xr.DataArray(np.array([0, 1, 3], np.uint8), dims="x")
    assert check_weights(given).dtype == float
    found = verify.bias(xr.DataArray([9.0, 1.0, 2.0], dims="x"), xr.zeros_like(given), given)
    assert float(found) == 1.75
