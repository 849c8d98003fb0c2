import numpy as np
import pytest
import xarray as xr
from scipy import fft

from flexclim import verify


def plane(shape, step=(1e3, 1e3), seed=0):
    values = np.random.default_rng(seed).normal(5, 2, size=shape)
    y, x = (np.arange(n) * d for n, d in zip(shape[-2:], step, strict=True))
    return xr.DataArray(values, {"y": y, "x": x}, ["time", "y", "x"][-len(shape) :])


def test_half_the_power_is_three_decibels_away():
    truth = plane((4, 16, 16))
    small = truth * 0.5**0.5
    assert float(verify.log_spectral_distance(small, truth)) == pytest.approx(3.0103, abs=1e-4)
    assert float(verify.spectral_bias(small, truth)) == pytest.approx(-3.0103, abs=1e-4)
    np.testing.assert_allclose(verify.amplitude_ratio(small, truth), 0.5**0.5, rtol=1e-9)
    np.testing.assert_allclose(verify.coherence(small, truth), 1, rtol=1e-9)


def test_coherence_of_signal_and_noise():
    truth, noise = plane((400, 16, 16)), plane((400, 16, 16), seed=1)
    mixed = truth + noise
    # Equal shares of signal and noise: half of the variance is common.
    assert float(verify.coherence(mixed, truth).mean()) == pytest.approx(0.5, abs=0.03)


def test_effective_resolution_finds_the_cut():

    truth = plane((20, 64, 64))
    waves = fft.fft2(truth.values - truth.values.mean((1, 2), keepdims=True))
    k = np.hypot(fft.fftfreq(64)[:, None], fft.fftfreq(64)[None])
    smooth = truth.copy(data=fft.ifft2(waves * (k < 0.25)).real)
    for by in ("power", "coherence"):
        found = verify.effective_resolution(smooth, truth, by=by, edges="periodic")
        assert float(found) == pytest.approx(4e3, rel=0.06)
        assert found.attrs["units"] == "m"


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("kind", ["radial", "spherical"])
def test_gaps_of_the_truth_or_a_member_are_gaps_of_all(lazy, kind):
    rng = np.random.default_rng(0)
    coords = {"time": np.arange(3), "lat": 78.75 - 22.5 * np.arange(8), "lon": 22.5 * np.arange(16)}
    truth = xr.DataArray(rng.normal(size=(3, 8, 16)), coords, list(coords))
    forecast = xr.DataArray(rng.normal(size=(2, 3, 8, 16)), dims=["member", *coords]) + truth
    gaps = truth.where(truth.lat < 50)
    holes = forecast.where((forecast.lon > 30) | xr.DataArray([False, True], dims="member"))
    gaps[1] = np.nan
    if lazy:
        gaps, holes = gaps.chunk(time=1), holes.chunk(member=1, time=2)
    known = gaps.notnull() & holes.notnull().all("member")
    left, right = (field.where(known).isel(time=[0, 2]).compute() for field in (holes, gaps))
    for score in (verify.log_spectral_distance, verify.coherence, verify.amplitude_ratio):
        found = score(holes, gaps, kind, fill="mean").compute()
        xr.testing.assert_allclose(found, score(left, right, kind, fill="mean"), rtol=1e-9)
    masked = verify.spectrum(left.transpose("member", ...), kind, fill="mean")
    power = verify.spectrum(right, kind, fill="mean")
    ratio = verify.amplitude_ratio(holes, gaps, kind, fill="mean")
    np.testing.assert_allclose(ratio, (masked / power) ** 0.5, rtol=1e-9)


@pytest.mark.parametrize("lazy", [False, True])
def test_a_row_has_no_resolution(lazy):
    row = plane((2, 1, 8))
    found = verify.effective_resolution(row.chunk(time=1) if lazy else row, row)
    assert np.isnan(found)
    assert found.attrs["units"] == "m"
