import numpy as np
import pytest
import xarray as xr

from flexclim import FlexclimError, GridError, verify


def globe(rows=37, columns=72, pole=True):
    lat = np.linspace(90, -90, rows) if pole else 90 - (np.arange(rows) + 0.5) * 180 / rows
    return xr.DataArray(
        np.zeros((rows, columns)),
        {"lat": lat, "lon": np.arange(columns) * 360 / columns},
        ["lat", "lon"],
    )


@pytest.mark.parametrize("pole", [True, False])
def test_spherical_power_of_one_harmonic_by_hand(pole):
    field = globe(37 if pole else 36, pole=pole)
    theta, lon = np.deg2rad(90 - field.lat), np.deg2rad(field.lon)
    # P_3^2 ~ sin^2 cos: degree 3. Its mean square over the sphere is 1/2 * 8/105.
    wave = (np.sin(theta) ** 2 * np.cos(theta) * np.cos(2 * lon)).transpose("lat", "lon")
    for turned in (wave, wave[::-1]):
        power = verify.spectrum(turned, "spherical")
        assert float(power.sel(degree=3)) == pytest.approx(4 / 105, rel=1e-9)
        assert float(power.sum()) == pytest.approx(4 / 105, rel=1e-9)


def by_ducc(maps, spin, degrees, geometry):
    """Return the power by degree that ducc0 finds for (1 or 2, rows, columns)."""
    ducc0 = pytest.importorskip("ducc0")
    waves = ducc0.sht.analysis_2d(map=maps, spin=spin, lmax=degrees, geometry=geometry)
    pairs = [(m, n) for m in range(degrees + 1) for n in range(m, degrees + 1)]
    order, degree = np.array(pairs).T
    squares = (np.abs(waves) ** 2).sum(axis=0) * np.where(order > 0, 2, 1) / (4 * np.pi)
    return np.bincount(degree, squares)[1:]


# Where rows outnumber what the columns resolve, ducc0 sums the rows as they are.
@pytest.mark.parametrize(
    ("rows", "geometry", "rough"), [(37, "CC", 1e-11), (36, "F1", 1e-11), (90, "F1", 2e-3)]
)
def test_spherical_powers_of_noise_equal_ducc0(rows, geometry, rough):
    field = globe(rows, pole=geometry == "CC")
    u, v = (field + np.random.default_rng(s).normal(size=field.shape) for s in (0, 1))
    power = verify.spectrum(u, "spherical")
    expected = by_ducc(u.values[None], 0, power.degree.size, geometry)
    np.testing.assert_allclose(power, expected, rtol=rough)
    energy = verify.spectrum(xr.Dataset({"u": u, "v": v}), "spherical", vector=("u", "v"))
    expected = by_ducc(np.stack([-v.values, u.values]), 1, power.degree.size, geometry) / 2
    np.testing.assert_allclose(energy, expected, rtol=rough)


def smooth_waves(lat, lon, seed=0):
    """Return a field of harmonics up to degree 6 with random weights, and its variance."""
    from scipy.special import sph_harm_y

    rng = np.random.default_rng(seed)
    theta, phi = np.deg2rad(90 - lat)[:, None], np.deg2rad(lon)[None]
    total, variance = 0.0, 0.0
    for degree in range(1, 7):
        for order in range(degree + 1):
            weight = rng.normal() + 1j * rng.normal() * (order > 0)
            wave = weight * sph_harm_y(degree, order, theta, phi)
            total = total + (2 if order else 1) * wave.real
            variance += (2 if order else 1) * abs(weight) ** 2 / (4 * np.pi)
    return total, variance


@pytest.mark.parametrize("rows", ["poles", "cells", "north"])
def test_spherical_powers_sum_to_the_variance_lazily_on_each_kind_of_rows(rows):
    step = 180 / 36
    lat = {"poles": 90 - step * np.arange(37), "cells": 90 - step * (np.arange(36) + 0.5)}
    lat["north"] = lat["poles"][:-1]
    lon = np.arange(72) * 5.0
    parts = [smooth_waves(lat[rows], lon, seed) for seed in (0, 1, 2)]
    values = np.stack([field for field, _ in parts])
    field = xr.DataArray(values, {"lat": lat[rows], "lon": lon}, ["time", "lat", "lon"])
    power = verify.spectrum(field, "spherical", dim=())
    rough = 2e-4 if rows == "north" else 1e-10  # the missing row on the pole is a guess
    np.testing.assert_allclose(power.sum("degree"), [v for _, v in parts], rtol=rough)
    assert float(power.sel(degree=slice(7, None)).max()) < rough
    lazy = verify.spectrum(field.chunk(time=1, lat=9), "spherical", dim=())
    assert lazy.chunks is not None
    xr.testing.assert_allclose(lazy.compute(), power, rtol=1e-11)
    np.testing.assert_allclose(verify.coherence(field, field, "spherical")[:6], 1, rtol=1e-9)


def test_gaps_on_the_sphere_raise_an_error_or_are_filled():
    field = globe() + np.cos(np.deg2rad(globe().lat))
    gaps = field.where((field.lat != 50) | (field.lon != 40))
    with pytest.raises(FlexclimError, match=r"1 NaN.*fill='mean'"):
        verify.spectrum(gaps, "spherical")
    filled = gaps.fillna(gaps.mean())
    winds = xr.Dataset({"u": gaps, "v": gaps})
    for kind in ("radial", "spherical"):
        found = verify.spectrum(gaps, kind, fill="mean")
        xr.testing.assert_allclose(found, verify.spectrum(filled, kind), rtol=1e-12)
        energy = verify.spectrum(winds, kind, vector=("u", "v"), fill="mean")
        whole = verify.kinetic_energy(filled, filled, kind)
        np.testing.assert_allclose(energy, whole, rtol=1e-10, atol=1e-15)


def test_too_fine_a_sphere_raises_an_error():
    lat = np.linspace(90, -90, 3601)
    field = xr.DataArray(np.zeros((3601, 4)), {"lat": lat, "lon": np.arange(4) * 90.0})
    with pytest.raises(GridError, match="up to degree 1900"):
        verify.spectrum(field, "spherical")


def test_kinetic_energy_of_solid_rotation_on_the_sphere():
    u = globe() + np.cos(np.deg2rad(globe().lat)) * 10
    winds = xr.Dataset({"u": u, "v": u * 0})
    power = verify.spectrum(winds, "spherical", vector=("u", "v"))
    # Solid rotation is the first vector harmonic; mean of cos^2 is 2/3.
    assert float(power.sel(degree=1)) == pytest.approx(100 * 2 / 3 / 2, rel=1e-9)
    flat = verify.spectrum(winds, vector=("u", "v")).sum()
    assert float(flat) == pytest.approx(float(u.var() / 2), rel=1e-9)
