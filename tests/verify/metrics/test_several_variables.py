import numpy as np
import pytest
import xarray as xr
from scipy import stats

from flexclim import AlignmentError, FlexclimError, verify


@pytest.fixture
def winds(ensemble):
    forecast, truth = ensemble
    rng = np.random.default_rng(3)

    def with_v(u):
        return xr.Dataset({"u": u, "v": u + rng.normal(size=u.shape)}).assign_attrs()

    return with_v(forecast), with_v(truth)


def test_vector_errors_by_hand(winds):
    forecast, truth = winds
    truth.u[0, 0, 0] = np.nan
    found = verify.vector_error(forecast.chunk(time=1), truth, ("u", "v"), weights=None)
    gap = forecast.mean("realization") - truth
    length = np.hypot(gap.u, gap.v).values
    assert float(found.mae) == pytest.approx(np.nanmean(length))
    assert float(found.rmse) == pytest.approx(np.sqrt(np.nanmean(length**2)))
    assert found.mae.attrs["units"] == "m s-1"
    each = verify.vector_error(forecast, truth, ("u", "v"), dim=["lat", "lon"])
    assert each.rmse.dims == ("time",)


def test_components_in_other_units_are_converted(winds):
    forecast, truth = winds
    knots = forecast.assign(v=(forecast.v * 3.6).assign_attrs(units="km h-1"))
    expected, found = (
        verify.vector_error(one, truth, ("u", "v")).rmse for one in (forecast, knots)
    )
    assert float(found) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("method", ["spearman", "pearson"])
@pytest.mark.parametrize("chunks", [None, {"time": 1, "realization": 2}])
def test_correlations_are_those_of_scipy(winds, method, chunks):
    forecast, truth = winds
    truth.v[1, 2, 3] = np.nan
    lazy = forecast if chunks is None else forecast.chunk(chunks)
    found = verify.variable_correlation(lazy, truth, ("u", "v"), method)
    known = truth.v.notnull().values
    one = {"spearman": stats.spearmanr, "pearson": stats.pearsonr}[method]
    fields = zip(forecast.u.values, forecast.v.values, strict=True)
    members = [one(u[known], v[known])[0] for u, v in fields]
    own = one(truth.u.values[known], truth.v.values[known])[0]
    assert float(found.forecast) == pytest.approx(np.mean(members))
    assert float(found.truth) == pytest.approx(own)
    assert float(found.bias) == pytest.approx(np.mean(members) - own)
    assert found.bias.attrs["long_name"] == "bias of the correlation of u and v"


def test_correlations_in_time_of_each_cell(winds):
    forecast, truth = winds
    truth.u[:, 0, 0] = 1.0
    truth.u[0, 1, 0] = np.nan
    found = verify.variable_correlation(forecast, truth, ("u", "v"), dim="time").truth
    assert found.sizes == {"lat": 8, "lon": 10}
    assert np.isnan(found[:2, 0]).all()
    expected = stats.spearmanr(truth.u[:, 4, 4], truth.v[:, 4, 4])[0]
    assert float(found[4, 4]) == pytest.approx(expected)


def test_what_is_no_pair_of_variables_is_an_error(winds):
    forecast, truth = winds
    with pytest.raises(AlignmentError, match="the truth is a DataArray"):
        verify.vector_error(forecast, truth.u, ("u", "v"))
    with pytest.raises(FlexclimError, match="names of two variables"):
        verify.vector_error(forecast, truth, "uv")
    with pytest.raises(FlexclimError, match="no 'w' in the forecast"):
        verify.variable_correlation(forecast, truth, ("u", "w"))
    with pytest.raises(FlexclimError, match="leaves nothing to correlate"):
        verify.variable_correlation(forecast, truth, ("u", "v"), dim=())
    with pytest.raises(FlexclimError, match="method='kendall' is unknown"):
        verify.variable_correlation(forecast, truth, ("u", "v"), "kendall")
    with pytest.raises(AlignmentError, match="Select the points that both have"):
        verify.vector_error(
            forecast.assign(v=forecast.v.isel(time=0)),
            truth.assign(v=truth.v.isel(time=0)),
            "uv"[:2] and ("u", "v"),
        )
