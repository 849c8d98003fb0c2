from itertools import combinations

import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify


@pytest.fixture
def patches():
    rng = np.random.default_rng(3)
    forecast = xr.DataArray(rng.normal(size=(4, 2, 7, 9)), dims=["member", "time", "y", "x"])
    return forecast, xr.DataArray(rng.normal(size=(2, 7, 9)), dims=["time", "y", "x"])


@pytest.mark.parametrize("estimator", ["fair", "ecdf"])
def test_energy_score_by_brute_force(patches, estimator):
    forecast, truth = patches
    scores = []
    for time, row, column in np.ndindex(2, 2, 3):
        cut = (time, slice(3 * row, 3 * row + 3), slice(3 * column, 3 * column + 3))
        members = [forecast.values[(m, *cut)].ravel() for m in range(4)]
        observed = truth.values[cut].ravel()
        skill = np.mean([np.linalg.norm(m - observed) for m in members])
        pairs = sum(np.linalg.norm(a - b) for a, b in combinations(members, 2))
        scores.append((skill - pairs / (12 if estimator == "fair" else 16)) / 3)
    found = verify.energy_score(forecast, truth, patch=3, estimator=estimator)
    assert float(found) == pytest.approx(np.mean(scores), rel=1e-12)
    lazy = verify.energy_score(forecast.chunk(member=1, time=1, y=2), truth, 3, estimator)
    assert float(lazy) == pytest.approx(np.mean(scores), rel=1e-12)


def test_energy_score_of_single_cells_is_the_crps(patches):
    found = verify.energy_score(*patches, patch=1)
    assert float(found) == pytest.approx(float(verify.crps(*patches)), rel=1e-12)


def test_variogram_score_by_brute_force(patches):
    forecast, truth = (field.isel(time=0, y=slice(0, 3), x=slice(0, 3)) for field in patches)
    cells = list(np.ndindex(3, 3))
    total = weights = 0.0
    for a, b in combinations(cells, 2):
        mine = np.mean([abs(m[a] - m[b]) ** 0.5 for m in forecast.values])
        weight = 1 / np.hypot(a[0] - b[0], a[1] - b[1])
        total += weight * (mine - abs(truth.values[a] - truth.values[b]) ** 0.5) ** 2
        weights += weight
    found = verify.variogram_score(forecast, truth, patch=3)
    assert float(found) == pytest.approx(total / weights, rel=1e-12)


def test_energy_score_of_a_wind_by_brute_force(patches):
    """With single cells, the score of their vectors; with patches, of all their components."""
    other = np.random.default_rng(4)
    datasets = [
        xr.Dataset({"u10": one, "v10": one.copy(data=other.normal(size=one.shape))})
        for one in patches
    ]
    members, truth = ([one[name].values for name in ("u10", "v10")] for one in datasets)
    for patch in (1, 3):
        scores = []
        for time, row, column in np.ndindex(2, 7 // patch, 9 // patch):
            cut = (time, *(slice(patch * at, patch * (at + 1)) for at in (row, column)))
            vectors = [np.ravel([field[(m, *cut)] for field in members]) for m in range(4)]
            observed = np.ravel([field[cut] for field in truth])
            skill = np.mean([np.linalg.norm(one - observed) for one in vectors])
            pairs = sum(np.linalg.norm(a - b) for a, b in combinations(vectors, 2))
            scores.append((skill - pairs / 12) / patch)
        found = verify.energy_score(*datasets, patch=patch, vector=("u10", "v10"))
        assert float(found) == pytest.approx(np.mean(scores), rel=1e-12)
        lazy = [one.chunk(time=1) for one in datasets]
        again = verify.energy_score(*lazy, patch=patch, vector=("u10", "v10"))
        assert float(again) == pytest.approx(np.mean(scores), rel=1e-12)


def test_a_dimension_is_no_vector_unless_it_is_named(patches):
    """Along ``component``, fields are scored one by one, as along any other dimension."""
    fields = [xr.concat([one, 2 * one], "component") for one in patches]
    found = verify.energy_score(*fields, patch=3, dim=("time", "y", "x"))
    expected = float(verify.energy_score(*patches, patch=3))
    np.testing.assert_allclose(found, [expected, 2 * expected])


def test_components_are_two_variables_in_the_same_units(patches):
    datasets = [xr.Dataset({"u10": one, "t2m": one.assign_attrs(units="K")}) for one in patches]
    for vector in (("u10", "v10"), ("u10",), "u10"):
        with pytest.raises(FlexclimError, match="does not name two or more of the variables"):
            verify.energy_score(*datasets, vector=vector)
    with pytest.raises(FlexclimError, match="two Datasets, and the forecast is a DataArray, the "):
        verify.energy_score(*patches, vector=("u10", "v10"))
    with pytest.raises(FlexclimError, match="the components have different units"):
        verify.energy_score(*datasets, vector=("u10", "t2m"))


def test_fair_variogram_score_does_not_depend_on_the_number_of_members():
    """Its mean over many draws is the score of the expectation, 2/sqrt(pi) - 1 squared."""
    rng = np.random.default_rng(5)
    truth = xr.DataArray(np.tile([0.0, 1.0], (2, 20_000)), dims=["y", "x"])
    members = xr.DataArray(rng.normal(size=(3, 2, 40_000)), dims=["member", "y", "x"])
    found = verify.variogram_score(members, truth, patch=2, order=1, estimator="fair")
    mean, far = 2 / np.pi**0.5, 0.5**0.5
    weights = [1, 1, 1, 1, far, far]  # of neighbours, across and along, and diagonals
    errors = [mean - 1, mean - 1, mean, mean, mean - 1, mean - 1]
    expected = np.average(np.square(errors), weights=weights)
    assert float(found) == pytest.approx(expected, rel=0.02)
    biased = verify.variogram_score(members, truth, patch=2, order=1)
    variance = 2 - 4 / np.pi
    assert float(biased - found) == pytest.approx(variance / 3, rel=0.02)


def test_patches_that_miss_a_value_do_not_count(patches):
    forecast, truth = patches
    truth = truth.copy()
    truth[0, 0, 0] = np.nan
    each = verify.energy_score(forecast, truth, patch=3, dim=())
    assert each.shape == (2, 2, 3)
    assert int(each.isnull().sum()) == 1
    mean = verify.energy_score(forecast, truth, patch=3, weights=None)
    assert float(mean) == pytest.approx(float(each.mean()), rel=1e-12)
    with pytest.raises(FlexclimError, match="patch=8 does not fit 7 x 9"):
        verify.energy_score(forecast, truth)
