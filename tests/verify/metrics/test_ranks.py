import numpy as np
import pytest
import xarray as xr
import xskillscore

from flexclim import FlexclimError, verify


def gaussian(members=5, points=200_000, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    forecast = xr.DataArray(
        rng.normal(size=(members, 8, points // 8)) * spread, dims=["member", "time", "point"]
    )
    return forecast, xr.DataArray(rng.normal(size=(8, points // 8)), dims=["time", "point"])


def test_ranks_by_hand_share_ties():
    forecast = xr.DataArray([[1.0, 1, 1], [2, 1, np.nan], [3, 1, 1]], dims=["member", "point"])
    truth = xr.DataArray([2.5, 1.0, 1.0], dims=["point"])
    # Rank 2 for the first; a quarter of each for the second; the third misses a member.
    expected = np.array([0.25, 0.25, 1.25, 0.25]) / 2
    np.testing.assert_allclose(verify.rank_histogram(forecast, truth), expected)


@pytest.mark.parametrize("dim", [None, "time", "lat", ()])
def test_ranks_equal_xskillscore_where_nothing_ties(ensemble, dim):
    forecast, truth = ensemble
    ours = verify.rank_histogram(forecast, truth, weights=None, dim=dim)
    over = list(truth.dims) if dim is None else [dim] if dim else []
    if over:
        theirs = xskillscore.rank_histogram(truth, forecast, dim=over, member_dim="realization")
        theirs = theirs / theirs.sum("rank")
        np.testing.assert_allclose(ours.transpose(*theirs.dims), theirs, rtol=1e-12)
    np.testing.assert_allclose(ours.sum("rank"), 1, rtol=1e-12)
    lazy = verify.rank_histogram(forecast.chunk(realization=2, lon=3), truth, weights=None, dim=dim)
    xr.testing.assert_allclose(lazy.compute(), ours, rtol=1e-12)


def test_flatness_of_good_and_bad_ensembles():
    for spread, shift, name, sign in [(0.6, 0, "convexity", 1), (1.0, 0.5, "slope", -1)]:
        forecast, truth = gaussian(spread=spread)
        ranks = verify.rank_histogram(forecast + shift, truth, dim="point")
        found = verify.flatness(ranks)
        assert float(found[name]) * sign > 0.05
        assert float(found[f"{name}_p"]) < 0.01
    ranks = verify.rank_histogram(*gaussian())
    assert float(verify.flatness(ranks, samples=200_000).flat_p) > 0.01
    with pytest.raises(FlexclimError, match="no independent histograms"):
        verify.flatness(ranks)


def test_pit_keeps_the_mass_and_is_flat_for_any_size():
    for members in (3, 7, 20):
        ranks = verify.rank_histogram(*gaussian(members))
        pit = verify.pit_histogram(ranks)
        np.testing.assert_allclose(pit, 0.1, atol=0.003)
        assert float(pit.sum()) == pytest.approx(1, rel=1e-12)


def test_cases_without_truth_do_not_count():
    ranks = xr.DataArray(
        np.random.default_rng(0).dirichlet(np.ones(5), size=20), dims=["time", "rank"]
    )
    gaps = xr.concat([ranks, ranks * np.nan, ranks * np.nan], "time")
    xr.testing.assert_allclose(verify.flatness(gaps), verify.flatness(ranks))
    few = verify.flatness(ranks.where(ranks.time < 2))
    assert few.slope_p.isnull()
    assert few.slope.notnull()
    none = verify.flatness(ranks[0] * np.nan, samples=50)
    assert all(part.isnull() for part in none.values())
