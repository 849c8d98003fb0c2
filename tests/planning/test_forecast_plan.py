"""Plans of forecasts: their time step is that of the past."""

import numpy as np
import pytest
from past_fields import fields

from flexclim.errors import FlexclimError
from flexclim.forecasting import forecast
from flexclim.models.channels import Target


@pytest.fixture
def region():
    """Return three times of a field as large as a tile."""
    return fields(np.arange(60.0, 44, -1), np.arange(5.0, 21))


def test_uneven_times_are_refused(make_forecaster, region):
    model = make_forecaster((Target(name="tp"),), past=3, leads=(6.0,))
    times = region.time.values + np.array([-6, 0, 0], "timedelta64[h]")
    with pytest.raises(FlexclimError, match="last 3 times are uneven: they lie 12, 6 h apart"):
        forecast(region.assign_coords(time=times), 1, model=model)
    one = make_forecaster((Target(name="tp"),), past=1)
    with pytest.raises(FlexclimError, match="infers its time step from 2 past times"):
        forecast(region.isel(time=[0]), 1, model=one)
