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
