import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, GridError, verify


def plane(shape, step=(1e3, 1e3), seed=0):
    values = np.random.default_rng(seed).normal(5, 2, size=shape)
    y, x = (np.arange(n) * d for n, d in zip(shape[-2:], step, strict=True))
    return xr.DataArray(values, {"y": y, "x": x}, ["time", "y", "x"][-len(shape) :])


@pytest.mark.parametrize("edges", ["dct", "periodic"])
@pytest.mark.parametrize("shape", [(16, 16), (15, 22), (9, 33)])
@pytest.mark.parametrize("step", [(1e3, 1e3), (1e3, 2500.0)])
def test_powers_sum_to_the_variance(edges, shape, step):
    field = plane(shape, step)
    power = verify.spectrum(field, edges=edges)
    assert float(power.sum()) == pytest.approx(float(field.var()), rel=1e-12)
    zonal = verify.spectrum(field, "zonal", edges=edges)
    assert float(zonal.sum()) == pytest.approx(float(field.var("x").mean()), rel=1e-12)


def test_taper_keeps_the_variance_on_average():
    field = plane((200, 32, 32))
    power = verify.spectrum(field, edges="taper").sum()
    assert float(power) == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize(("waves", "axis"), [(3, "x"), (5, "y")])
def test_a_wave_lies_at_its_wavelength_off_the_square(waves, axis):
    field = plane((40, 60), (2e3, 1e3))
    length = {"x": 60e3, "y": 80e3}[axis]
    wave = np.sin(2 * np.pi * waves * field[axis] / length).broadcast_like(field)
    power = verify.spectrum(wave.transpose("y", "x"), edges="periodic")
    peak = int(power.argmax("wavenumber"))
    width = 1 / 60e3
    assert abs(float(power.wavenumber[peak]) - waves / length) <= width / 2
    assert float(power[peak]) == pytest.approx(0.5, rel=1e-9)
    assert power.wavelength.attrs["units"] == "m"


def test_the_nyquist_wave_is_counted_once():
    field = plane((8, 8)) * 0 + (-1.0) ** np.arange(8)
    for kind in ("radial", "zonal"):
        power = verify.spectrum(field, kind, edges="periodic")
        assert float(power.sum()) == pytest.approx(1, rel=1e-12)


def globe(rows=37, columns=72, pole=True):
    lat = np.linspace(90, -90, rows) if pole else 90 - (np.arange(rows) + 0.5) * 180 / rows
    return xr.DataArray(
        np.zeros((rows, columns)),
        {"lat": lat, "lon": np.arange(columns) * 360 / columns},
        ["lat", "lon"],
    )


@pytest.mark.parametrize("pole", [True, False])
def test_spherical_power_of_one_harmonic_by_hand(pole):
    pytest.importorskip("ducc0")
    field = globe(37 if pole else 36, pole=pole)
    theta, lon = np.deg2rad(90 - field.lat), np.deg2rad(field.lon)
    # P_3^2 ~ sin^2 cos: degree 3. Its mean square over the sphere is 1/2 * 8/105.
    wave = (np.sin(theta) ** 2 * np.cos(theta) * np.cos(2 * lon)).transpose("lat", "lon")
    for turned in (wave, wave[::-1]):
        power = verify.spectrum(turned, "spherical")
        assert float(power.sel(degree=3)) == pytest.approx(4 / 105, rel=1e-9)
        assert float(power.sum()) == pytest.approx(4 / 105, rel=1e-9)


def test_kinetic_energy_of_solid_rotation_on_the_sphere():
    pytest.importorskip("ducc0")
    u = globe() + np.cos(np.deg2rad(globe().lat)) * 10
    winds = xr.Dataset({"u": u, "v": u * 0})
    power = verify.spectrum(winds, "spherical", vector=("u", "v"))
    # Solid rotation is the first vector harmonic; mean of cos^2 is 2/3.
    assert float(power.sel(degree=1)) == pytest.approx(100 * 2 / 3 / 2, rel=1e-9)
    flat = verify.spectrum(winds, vector=("u", "v")).sum()
    assert float(flat) == pytest.approx(float(u.var() / 2), rel=1e-9)


def test_lazy_equals_eager_and_averages():
    field = plane((6, 16, 20))
    whole = verify.spectrum(field)
    each = verify.spectrum(field, dim=())
    xr.testing.assert_allclose(each.mean("time"), whole, rtol=1e-12)
    lazy = verify.spectrum(field.chunk(time=2, y=5))
    assert lazy.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), whole, rtol=1e-12)


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
    from scipy import fft

    truth = plane((20, 64, 64))
    waves = fft.fft2(truth.values - truth.values.mean((1, 2), keepdims=True))
    k = np.hypot(fft.fftfreq(64)[:, None], fft.fftfreq(64)[None])
    smooth = truth.copy(data=fft.ifft2(waves * (k < 0.25)).real)
    for by in ("power", "coherence"):
        found = verify.effective_resolution(smooth, truth, by=by, edges="periodic")
        assert float(found) == pytest.approx(4e3, rel=0.06)
        assert found.attrs["units"] == "m"


def test_missing_values_are_refused_or_filled():
    field = plane((16, 16))
    field[3, 3] = np.nan
    with pytest.raises(FlexclimError, match=r"1 NaN.*fill='mean'"):
        verify.spectrum(field)
    assert float(verify.spectrum(field, fill="mean").sum()) == pytest.approx(
        float(field.fillna(field.mean()).var()), rel=1e-12
    )


def test_irregular_and_missing_planes_are_named():
    field = plane((16, 16)).assign_coords(y=np.arange(16.0) ** 2)
    with pytest.raises(GridError, match="'y' is not regular: its spacing runs from 1 to 29"):
        verify.spectrum(field)
    with pytest.raises(GridError, match="no rows and columns"):
        verify.spectrum(xr.DataArray(np.zeros((3, 3)), dims=["a", "b"]))
    pytest.importorskip("ducc0")
    with pytest.raises(GridError, match="spherical harmonics"):
        verify.spectrum(globe(20).isel(lat=slice(0, 10)), "spherical")
