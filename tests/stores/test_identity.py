"""Inputs are the same if their coordinates and their first and last planes are."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr

from flexclim.cf.description import LEAD_HOURS
from flexclim.stores.identity import identity_of, rolled_out


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


@pytest.fixture
def ahead(source):
    """Return a lazy forecast, whose later steps must not be computed."""
    lead = ("time", [6, 12, 18], {"standard_name": "forecast_period"})
    lazy = unreadable(source, 1, 2)["t"]
    field = lazy.copy(data=rolled_out(lazy.data))
    return source.assign(t=field).assign_coords(lead_time=lead).assign_attrs({LEAD_HOURS: 6.0})


def test_of_a_lazy_forecast_only_the_first_step_is_read(ahead, source):
    identity(ahead.chunk())
    with pytest.raises(RuntimeError, match="computed"):
        identity(ahead.drop_vars("lead_time"))


@pytest.mark.parametrize(
    "change",
    [lambda ds: ds * 1.0, lambda ds: ds.isel(time=slice(None, 2)), lambda ds: ds.astype("float32")],
)
def test_what_is_computed_from_a_forecast_is_none(ahead, change):
    """Attributes survive arithmetic: the last step may be another where the first is the same."""
    changed = change(ahead.assign_attrs({LEAD_HOURS: 6.0}))
    with pytest.raises(RuntimeError, match="computed"):
        identity(changed)


def test_a_forecast_in_memory_is_identified_by_both_ends(source):
    lead = ("time", [6, 12, 18], {"standard_name": "forecast_period"})
    ahead = source.assign_coords(lead_time=lead).assign_attrs({LEAD_HOURS: 6.0})
    other = ahead.copy(deep=True)
    other["t"][2] += 1
    assert identity(other) != identity(ahead)
    older = [identity_of(one, ("lat", "lon"), by_attributes=True) for one in (ahead, other)]
    assert older[0] == older[1]


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


def test_times_are_read_in_another_resolution_where_that_changes_none(source):
    dates = np.datetime64("2018-09-14", "ns") + np.array([0, 6, 12], "timedelta64[h]")
    fine = source.assign_coords(time=dates, start=dates[0])
    for unit in ("s", "us"):
        coarse = fine.assign_coords(
            time=dates.astype(f"datetime64[{unit}]"), start=dates[0].astype(f"datetime64[{unit}]")
        )
        assert identity(coarse) != identity(fine)
        assert identity_of(fine, ("lat", "lon"), resolution=unit) == identity(coarse)
        assert identity_of(coarse, ("lat", "lon"), resolution="ns") == identity(fine)
    moved = fine.assign_coords(time=dates + 1)
    assert identity_of(moved, ("lat", "lon"), resolution="s") != identity(coarse)
