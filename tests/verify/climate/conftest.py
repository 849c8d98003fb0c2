import numpy as np
import pytest
import xarray as xr


def make_days(years=2, first=2001, calendar="standard"):
    """Return all days of some years."""
    return xr.date_range(
        f"{first}-01-01",
        f"{first + years}-01-01",
        freq="D",
        calendar=calendar,
        use_cftime=calendar != "standard",
        inclusive="left",
    )


@pytest.fixture
def days():
    return make_days


@pytest.fixture
def daily_field():
    """Return random daily values on 3 x 4 cells, with members if asked for."""

    def make(years=2, first=2001, calendar="standard", members=None, seed=0, name="tas"):
        times = make_days(years, first, calendar)
        rng = np.random.default_rng(seed)
        coords = {"time": times, "lat": [50.0, 51, 52], "lon": [5.0, 6, 7, 8]}
        shape, dims = (times.size, 3, 4), ["time", "lat", "lon"]
        if members is not None:
            coords, shape, dims = (
                {"member": range(members), **coords},
                (members, *shape),
                ["member", *dims],
            )
        values = rng.normal(280, 5, size=shape)
        field = xr.DataArray(values, coords, dims, name, {"units": "K"})
        return field if name == "tas" else field.assign_attrs(units="K")

    return make
