"""Inputs are the same if their coordinates and their first and last planes are."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from flexclim.cf.description import LEAD_HOURS
from flexclim.stores.identity import identity_of


@pytest.fixture
def source():
    values = np.arange(12.0).reshape(3, 2, 2)
    coords = {"time": [0, 1, 2], "lat": [1.0, 0.0], "lon": [5.0, 6.0]}
    return xr.Dataset({"t": (("time", "lat", "lon"), values)}, coords)


def identity(source):
    return identity_of(source, ("lat", "lon"))


def unreadable(source, *times):
    """Return a lazy source with times that must not be computed."""

    def explode(block, block_info=None):
        if block_info and block_info[0]["chunk-location"][0] in times:
            raise RuntimeError("computed")
        return block

    values = da.from_array(source["t"].values, chunks=(1, -1, -1)).map_blocks(explode)
    return source.assign(t=source["t"].copy(data=values))


def test_only_the_first_and_last_planes_are_read(source):
    assert identity(unreadable(source, 1)) == identity(source)
    for time in (0, 2):
        with pytest.raises(RuntimeError, match="computed"):
            identity(unreadable(source, time))


def test_of_a_forecast_only_the_first_step_is_read(source):
    lead = ("time", [6, 12, 18], {"standard_name": "forecast_period"})
    ahead = source.assign_coords(lead_time=lead).assign_attrs({LEAD_HOURS: 6.0})
    assert identity(unreadable(ahead, 1, 2)) == identity(ahead)
    with pytest.raises(RuntimeError, match="computed"):
        identity(unreadable(ahead, 0))


def test_other_values_names_and_coordinates_are_another_input(source):
    first, last = source.copy(deep=True), source.copy(deep=True)
    first["t"][0, 0, 0] += 1
    last["t"][2, 1, 1] += 1
    others = [
        first,
        last,
        source.rename(t="u"),
        source.assign_coords(lon=[5.0, 7.0]),
        source.astype("float32"),
        source.isel(time=[0, 2]),
    ]
    assert len({identity(one) for one in (source, *others)}) == 1 + len(others)
