import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify

EVENTS = (
    verify.brier,
    verify.brier_decomposition,
    verify.contingency,
    verify.frequency,
    verify.fss,
    verify.reliability,
    verify.roc,
)


@pytest.fixture
def limit(ensemble):
    """The median of the three values of each cell."""
    return ensemble[1].quantile(0.5, "time").drop_vars("quantile").assign_attrs(units="m s-1")


@pytest.mark.parametrize("score", EVENTS)
def test_a_local_threshold_is_that_of_each_cell(ensemble, limit, score):
    forecast, truth = ensemble
    one = {"lat": [3], "lon": [4]}
    expected = score(forecast[..., [3], :][..., [4]], truth.isel(one), float(limit[3, 4]))
    found = score(forecast[..., [3], :][..., [4]], truth.isel(one), limit.isel(one))
    xr.testing.assert_allclose(found, expected)
    flat = xr.full_like(limit, 0.25)
    xr.testing.assert_allclose(score(forecast.chunk(time=1), truth, flat), score(*ensemble, 0.25))
    parts = found.data_vars.values() if isinstance(found, xr.Dataset) else [found]
    assert all(part.attrs["threshold"] == "local" for part in parts)


def test_the_median_of_each_cell_is_reached_by_two_of_three_days(ensemble, limit):
    forecast, truth = (one.astype("float32") for one in ensemble)
    found = verify.frequency(forecast, truth, truth.quantile(0.5, "time"), weights=None)
    assert float(found.truth) == pytest.approx(2 / 3)


def test_thresholds_are_converted_and_cells_without_one_left_out(ensemble, limit):
    forecast, truth = ensemble
    faster = (limit * 3.6).assign_attrs(units="km h-1")
    np.testing.assert_allclose(
        verify.brier(forecast, truth, faster + 1e-9), verify.brier(forecast, truth, limit + 1e-9)
    )
    limit[2, 3] = np.nan
    known = truth.where(limit.notnull())
    xr.testing.assert_allclose(
        verify.brier(forecast, truth, limit), verify.brier(forecast, known, limit.fillna(0))
    )
    single = xr.DataArray(3.6, attrs={"units": "km h-1"})
    assert float(verify.brier(forecast, truth, single)) == float(verify.brier(forecast, truth, 1))


def test_a_threshold_elsewhere_is_an_error(ensemble, limit):
    with pytest.raises(AlignmentError, match="threshold"):
        verify.fss(*ensemble, limit.assign_coords(lat=limit.lat + 1))
    with pytest.raises(AlignmentError, match="'band'"):
        verify.brier(*ensemble, limit.expand_dims(band=2))
    with pytest.raises(FlexclimError, match="threshold="):
        verify.brier(*ensemble, np.inf)


@pytest.mark.parametrize("bound", ["lower", "upper"])
def test_the_crps_of_the_tail_of_each_cell(ensemble, limit, bound):
    forecast, truth = ensemble
    found = verify.threshold_weighted_crps(forecast, truth, **{bound: limit}, dim="time")
    cell = (..., 3, 4)
    expected = verify.threshold_weighted_crps(
        forecast[cell], truth[cell], **{bound: float(limit[3, 4])}, dim="time"
    )
    assert float(found[3, 4]) == pytest.approx(float(expected))
    limit[0, 0] = np.nan
    found = verify.threshold_weighted_crps(forecast, truth, **{bound: limit}, dim="time")
    assert np.isnan(found[0, 0])


def test_bounds_that_cross_leave_a_cell_out(ensemble, limit):
    found = verify.threshold_weighted_crps(
        *ensemble, lower=limit, upper=xr.where(limit > 0, limit + 1, limit - 1), dim="time"
    )
    np.testing.assert_array_equal(found.isnull(), limit <= 0)


def test_a_threshold_is_told_in_the_units_of_the_forecast(ensemble):
    forecast, truth = (one.assign_attrs(units="m s-1") for one in ensemble)
    limit = xr.DataArray(2.0, attrs={"units": "knot"})
    found = verify.brier(forecast, truth, limit)
    assert found.threshold == pytest.approx(1.02889, rel=1e-5)
    assert found.threshold_units == "m s-1"
    tail = verify.threshold_weighted_crps(forecast, truth, lower=limit)
    assert "1.02889" in tail.long_name
