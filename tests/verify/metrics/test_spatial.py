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
