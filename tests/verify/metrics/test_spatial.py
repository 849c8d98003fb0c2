from itertools import combinations

import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, verify


def test_fss_by_brute_force_wraps_and_masks():
    rng = np.random.default_rng(0)
    coords = {"lat": np.linspace(70, -70, 8), "lon": np.arange(12) * 30.0}
    truth = xr.DataArray(rng.normal(size=(8, 12)), coords, ["lat", "lon"])
    forecast = xr.DataArray(rng.normal(size=(3, 8, 12)), coords, ["member", "lat", "lon"])
    truth[2, 3], forecast[1, 5, 0] = np.nan, np.nan
    known = (truth.notnull() & forecast.notnull().all("member")).values
    chance, event = (forecast >= 0.5).mean("member").values, (truth >= 0.5).values
    difference = most = 0.0
    for row in range(8):
        for column in range(12):
            if not known[row, column]:
                continue
            cells = [
                (r, c % 12)
                for r in range(max(0, row - 2), min(8, row + 3))
                for c in range(column - 2, column + 3)
                if known[r, c % 12]
            ]
            f, o = (np.mean([field[cell] for cell in cells]) for field in (chance, event))
            difference, most = difference + (f - o) ** 2, most + f**2 + o**2
    found = verify.fss(forecast, truth, threshold=0.5, window=[1, 5], weights=None)
    assert float(found.sel(window=5)) == pytest.approx(1 - difference / most, rel=1e-12)
    lazy = verify.fss(forecast.chunk(member=1, lat=3), truth, 0.5, [1, 5], weights=None)
    assert lazy.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), found, rtol=1e-12)


def test_fss_forgives_a_shift_in_large_windows():
    truth = xr.DataArray(np.zeros((40, 40)), dims=["y", "x"])
    truth[18:22, 18:22] = 1
    shifted = truth.roll(x=4)
    found = verify.fss(shifted, truth, threshold=0.5, window=[1, 9, 33])
    assert float(found[0]) == 0
    assert (found.diff("window") > 0).all()
    assert np.isnan(verify.fss(truth, truth, threshold=2, window=1)).all()
    with pytest.raises(FlexclimError, match="odd numbers"):
        verify.fss(truth, truth, threshold=1, window=4)


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


def test_rfne_averages_the_ratios_of_planes():
    truth = xr.DataArray([[[3.0, 4.0]], [[6.0, 8.0]]], dims=["time", "y", "x"])
    forecast = truth + xr.DataArray([1.0, 0.0], dims=["time"])
    expected = (2**0.5 / 5 + 0) / 2
    assert float(verify.rfne(forecast, truth)) == pytest.approx(expected, rel=1e-12)
    each = verify.rfne(forecast.chunk(time=1), truth.chunk(time=1), dim=())
    np.testing.assert_allclose(each, [2**0.5 / 5, 0])


def test_ssim_by_hand_far_from_edges():
    rng = np.random.default_rng(0)
    truth, forecast = (
        xr.DataArray(rng.normal(280, 2, size=(11, 11)), dims=["y", "x"]) for _ in range(2)
    )
    axis = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(axis, axis) / axis.sum() ** 2
    a, b = forecast.values, truth.values
    ma, mb = (window * a).sum(), (window * b).sum()
    va, vb = (window * a**2).sum() - ma**2, (window * b**2).sum() - mb**2
    cov = (window * a * b).sum() - ma * mb
    span = np.ptp(b)
    small, large = (0.01 * span) ** 2, (0.03 * span) ** 2
    expected = (2 * ma * mb + small) * (2 * cov + large)
    expected /= (ma**2 + mb**2 + small) * (va + vb + large)
    found = verify.ssim(forecast, truth, dim=())
    assert float(found[5, 5]) == pytest.approx(expected, rel=1e-9)
    lazy = verify.ssim(forecast.chunk(y=4), truth.chunk(x=3))
    assert float(lazy) == pytest.approx(float(found.mean()), rel=1e-12)
