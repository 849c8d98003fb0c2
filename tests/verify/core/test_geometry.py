import numpy as np
import pytest
import xarray as xr

from flexclim import GridError, verify


def plane(shape, step=(1e3, 1e3), seed=0):
    values = np.random.default_rng(seed).normal(5, 2, size=shape)
    y, x = (np.arange(n) * d for n, d in zip(shape[-2:], step, strict=True))
    return xr.DataArray(values, {"y": y, "x": x}, ["time", "y", "x"][-len(shape) :])


def globe(rows=37, columns=72, pole=True):
    lat = np.linspace(90, -90, rows) if pole else 90 - (np.arange(rows) + 0.5) * 180 / rows
    return xr.DataArray(
        np.zeros((rows, columns)),
        {"lat": lat, "lon": np.arange(columns) * 360 / columns},
        ["lat", "lon"],
    )


def test_a_region_across_greenwich_is_regular():
    lon = np.r_[350:360, 0:10].astype(float)
    field = plane((20, 20)).rename(y="lat", x="lon")
    field = field.assign_coords(lat=np.arange(60.0, 40, -1), lon=lon)
    shifted = field.assign_coords(lon=(lon + 180) % 360 - 180)
    xr.testing.assert_identical(verify.spectrum(field), verify.spectrum(shifted))


def test_irregular_and_missing_planes_are_named():
    field = plane((16, 16)).assign_coords(y=np.arange(16.0) ** 2)
    with pytest.raises(GridError, match="'y' is not regular: its spacing runs from 1 to 29"):
        verify.spectrum(field)
    with pytest.raises(GridError, match="no rows and columns"):
        verify.spectrum(xr.DataArray(np.zeros((3, 3)), dims=["a", "b"]))
    with pytest.raises(GridError, match="spherical harmonics"):
        verify.spectrum(globe(20).isel(lat=slice(0, 10)), "spherical")


def test_area_weights_count_a_pole_row_as_half_a_cell(ensemble, area):
    forecast, truth = ensemble
    points = verify.crps(forecast, truth, dim=())
    expected = points.weighted(area).mean()
    np.testing.assert_allclose(verify.crps(forecast, truth), expected, rtol=1e-12)
    np.testing.assert_allclose(verify.crps(forecast, truth, weights=None), points.mean())
    explicit = verify.crps(forecast, truth, weights=area, dim=["lat", "lon"])
    np.testing.assert_allclose(explicit, points.weighted(area).mean(["lat", "lon"]), rtol=1e-12)
