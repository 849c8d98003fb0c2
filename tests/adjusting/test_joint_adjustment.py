"""Joint adjustment: variables depend on each other as in the reference."""

import numpy as np
import pytest
import xarray as xr

import flexclim
from flexclim.adjusting import joint_adjustment
from flexclim.errors import FlexclimError, FlexclimWarning

pytest.importorskip("xsdba", reason="needs the extra climate")


def climate(first, years, correlation, *, shift=0.0, calendar="standard"):
    """Return daily temperature and wind speed that depend on each other."""
    end = f"{first + years - 1}-12-{30 if calendar == '360_day' else 31}"
    times = xr.date_range(f"{first}-01-01", end, calendar=calendar, use_cftime=None)
    random = np.random.default_rng([first, int(10 * correlation)])
    one, other = random.standard_normal((2, times.size, 2))
    wind = np.exp(0.3 * (correlation * one + np.sqrt(1 - correlation**2) * other) + shift / 10)
    dims = ("time", "station")
    return xr.Dataset(
        {
            "tas": (dims, 280 + 3 * one + shift, {"units": "K"}),
            "sfcWind": (dims, wind, {"units": "m s-1", "standard_name": "wind_speed"}),
        },
        {"time": times, "lat": ("station", [40.0, 45.0]), "lon": ("station", [5.0, 6.0])},
    )


def correlation(ds):
    return float(xr.corr(ds["tas"], ds["sfcWind"], "time").mean())


@pytest.mark.slow
def test_variables_depend_on_each_other_as_in_the_reference(monkeypatch):
    monkeypatch.setattr(joint_adjustment, "ROTATIONS", 6)
    reference, past = climate(1981, 10, 0.8), climate(1981, 10, 0.1, shift=2)
    later = climate(2021, 10, 0.1, shift=4)
    given = {"reference": reference, "historical": past, "window": "month"}
    alone = later.flex.adjust(**given)
    found = later.chunk(station=1).flex.adjust(**given, multivariate="mbcn").compute()
    assert correlation(alone) == pytest.approx(correlation(later), abs=0.03)
    assert correlation(found) > 0.7
    for name in ("tas", "sfcWind"):
        quantiles = [one[name].quantile([0.05, 0.5, 0.95], "time") for one in (found, alone)]
        np.testing.assert_allclose(*quantiles, rtol=0.03)
        assert "jointly by MBCn" in found[name].attrs["bias_adjustment"]
    leap = later.time.dt.strftime("%m-%d") == "02-29"
    xr.testing.assert_equal(found.sel(time=leap), alone.sel(time=leap))
    assert not found["tas"].isnull().any()


def test_what_mbcn_needs_is_said():
    reference, past = climate(1981, 10, 0.8), climate(1981, 10, 0.1)
    given = {"reference": reference, "window": "month", "multivariate": "mbcn"}
    with pytest.raises(FlexclimError, match="needs at least two variables"):
        past[["tas"]].flex.adjust(**given)
    with pytest.raises(FlexclimError, match="multivariate='npdf' is not known"):
        past.flex.adjust(**{**given, "multivariate": "npdf"})
    fit = flexclim.fit_adjustment(past, reference=reference, window="month")
    with pytest.raises(FlexclimError, match="needs more than quantiles"):
        past.flex.adjust(fitted=fit, multivariate="mbcn")
    gap = past.isel(time=np.delete(np.arange(past.time.size), 1000))
    with pytest.raises(FlexclimError, match="the historical run has incomplete years"):
        gap.flex.adjust(historical=gap, **given)
    other = climate(1981, 10, 0.1, calendar="360_day")
    with pytest.raises(FlexclimError, match=r"a calendar of 360 days, .*convert_calendar"):
        other.flex.adjust(**given)


def test_cells_with_gaps_are_told():
    reference, past = climate(1981, 10, 0.8), climate(1981, 10, 0.1)
    past["tas"][100] = np.nan
    given = {"reference": reference, "window": "month", "multivariate": "mbcn"}
    with pytest.warns(FlexclimWarning, match="cells that lack values on some days"):
        past.flex.adjust(**given).compute()
