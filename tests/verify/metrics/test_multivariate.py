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
