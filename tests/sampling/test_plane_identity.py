"""Identities of planes are coordinate values, whatever the order or selection of a field."""

import cftime
import numpy as np
import pytest
import xarray as xr

from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.sampling.plane_identity import (
    PlaneIdentity,
    identify_plane,
    plane_named_in_errors,
    time_text,
)


@pytest.fixture
def field():
    """Return a field of two times and three levels, at a height."""
    coordinates = {
        "time": np.array(["2018-09-14T00", "2018-09-14T06"], "datetime64[ns]"),
        "level": [1000, 850, 500],
        "lat": np.arange(58.0, 50, -1),
        "lon": np.arange(9.0),
    }
    values = np.zeros((2, 3, 8, 9))
    field = xr.DataArray(values, coordinates, list(coordinates), name="t")
    return field.assign_coords(height=2.0, experiment="x")


@pytest.fixture
def identify(toy_model):
    """Return a function that identifies a plane of a field by the numbers of its time and level."""

    def identify(field, **index):
        options = DownscalingOptions(factor=4, members=1, device="cpu", batch=2)
        plan = plan_downscaling(resolve(field), ["t"], ["t"], toy_model, options)
        return identify_plane(field, index, plan.sampling)

    return identify


def test_an_identity_holds_values_not_positions(identify, field):
    found = identify(field, time=1, level=2)
    assert str(found) == "2018-09-14T06:00:00.000000 height=2 level=500"
    assert found.seconds == 1536904800
    for same in (field.isel(time=[1]), field.isel(time=[1]).transpose("level", "time", ...)):
        assert identify(same, time=0, level=2) == found
    assert identify(field.isel(time=1), level=2) == found
    assert str(identify(field.isel(level=2), time=1)) == str(found)


def test_a_dimension_without_coordinate_counts_by_position(identify, field):
    found = identify(field.drop_vars("level"), time=0, level=2)
    assert found.rest == "height=2 level#2"


def test_times_of_other_calendars():
    text, seconds = time_text(cftime.Datetime360Day(1970, 2, 30))
    assert text == "1970-02-30T00:00:00.000000"
    assert seconds == 59 * 86400


def test_errors_name_the_plane():
    with pytest.raises(ValueError, match="bad") as caught:  # noqa: SIM117
        with plane_named_in_errors(PlaneIdentity(time="2018", rest="level=500"), ", rows 0 to 4"):
            raise ValueError("bad")
    assert caught.value.__notes__ == ["time 2018 level=500, rows 0 to 4"]
