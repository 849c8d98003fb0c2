import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify


def test_contingency_by_hand():
    forecast = xr.DataArray([1.0, 1, 1, 0, 0, np.nan], dims=["point"])
    truth = xr.DataArray([1.0, 1, 0, 1, 0, 1], dims=["point"])
    found = verify.contingency(forecast, truth, threshold=0.5)
    assert float(found.hit_rate) == pytest.approx(2 / 3)
    assert float(found.false_alarm_ratio) == pytest.approx(1 / 3)
    assert float(found.threat_score) == pytest.approx(2 / 4)
    assert float(found.bias_score) == pytest.approx(1)
    with pytest.raises(FlexclimError, match="no points to count"):
        verify.contingency(forecast, truth, threshold=0.5, dim=())
