import numpy as np
import pytest
import xarray as xr
from scipy import stats

from flexclim import FlexclimError, verify


@pytest.mark.parametrize("chunks", [None, {"time": 1, "lon": 4}])
def test_the_wasserstein_distance_is_that_of_scipy(ensemble, area, chunks):
    forecast, truth = ensemble
    truth[0, 3, 2] = np.nan
    lazy = forecast if chunks is None else forecast.chunk(chunks)
    found = verify.wasserstein(2 * lazy + 1, truth)
    assert (found.chunks is None) is (chunks is None)
    known = truth.notnull()
    weight = area.broadcast_like(truth).transpose(*truth.dims).where(known, 0.0)
    expected = stats.wasserstein_distance(
        (2 * forecast + 1).values.ravel(),
        truth.fillna(0).values.ravel(),
        np.tile(weight.values.ravel(), 6),
        weight.values.ravel(),
    )
    assert float(found) == pytest.approx(expected, rel=1e-4)
    assert found.attrs["units"] == "m s-1"


def test_the_wasserstein_distance_of_each_cell_forgets_the_order_of_times(ensemble):
    truth = ensemble[1]
    shuffled = truth.isel(time=[2, 0, 1]).assign_coords(time=truth.time)
    found = verify.wasserstein(shuffled + 1.5, truth, dim="time")
    assert found.sizes == {"lat": 8, "lon": 10}
    np.testing.assert_allclose(found, 1.5, atol=1e-3)
    assert (verify.wasserstein(shuffled, truth, dim="time") == 0).all()


def test_histogram_scores_are_those_of_numpy():
    rng = np.random.default_rng(1)
    values = rng.gamma(2, 1, 5000), rng.gamma(2.2, 0.8, 5000)
    forecast, truth = (xr.DataArray(one, dims=["day"]) for one in values)
    edges = np.linspace(np.min(values), np.max(values), 41)
    mine, theirs = (np.histogram(one, edges)[0] for one in values)
    overlap = np.minimum(mine, theirs).sum() / 5000
    full = (mine > 10) & (theirs > 10)
    ratio = 10 * np.log10(mine[full] / theirs[full])
    assert float(verify.perkins(forecast, truth, bins=40)) == pytest.approx(overlap, abs=2e-4)
    found = float(verify.histogram_distance(forecast, truth, bins=40))
    assert found == pytest.approx(np.sqrt(np.mean(ratio**2)), abs=0.02)
    assert float(verify.histogram_distance(truth, truth)) == 0
    assert float(verify.perkins(truth, truth)) == pytest.approx(1)


def test_members_are_pooled_and_rare_bins_left_out():
    truth = xr.DataArray([0.0, 0.0, 1.0, 1.0], dims=["day"])
    forecast = xr.DataArray([[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]], dims=["member", "day"])
    assert float(verify.perkins(forecast, truth, bins=2)) == 0.75
    # Frequencies 3/4 over 1/2 and 1/4 over 1/2; the second bin holds two values of each.
    both = 10 * np.log10([1.5, 0.5])
    found = verify.histogram_distance(forecast, truth, bins=2, least=1)
    assert float(found) == pytest.approx(np.sqrt(np.mean(both**2)))
    assert np.isnan(verify.histogram_distance(forecast, truth, bins=2, least=2))


@pytest.mark.parametrize("score", [verify.wasserstein, verify.perkins, verify.histogram_distance])
def test_nothing_to_compare_is_nan(ensemble, score):
    forecast, truth = ensemble
    truth = truth.where(truth.lat < 80)
    assert np.isnan(score(forecast, truth, dim=["time", "lon"])[0])
    assert np.isnan(score(forecast, truth * np.nan))


@pytest.mark.parametrize("options", [{"bins": 0}, {"bins": 2.5}])
def test_bins_are_counted(ensemble, options):
    with pytest.raises(FlexclimError, match="bins="):
        verify.perkins(*ensemble, **options)
