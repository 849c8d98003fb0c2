"""Fields on simple grids, for tests of grids and of their coordinates."""

import numpy as np
import xarray as xr

POLES = np.linspace(90, -90, 7)

CENTRES = np.linspace(75, -75, 6)


def field(lat, lon, names=("lat", "lon"), **attrs):
    """Return a field whose values tell its longitude and latitude."""
    lat, lon = np.asarray(lat, float), np.asarray(lon, float)
    values = 1000 * np.round(lat, 3)[:, None] + np.round(lon % 360, 3)
    return xr.DataArray(
        values, dims=names, coords=dict(zip(names, (lat, lon), strict=True)), **attrs
    )


def projected(height=6, width=8, *, x_attrs=None, y_attrs=None, coords=True):
    """Return a field on a polar stereographic plane with 2-D latitude and longitude, in m."""
    y, x = 2500.0 * np.arange(height) - 3e6, 2500.0 * np.arange(width) - 1e6
    lat, lon = plane_positions(y, x)
    result = xr.DataArray(np.zeros((height, width)), dims=("y", "x"), name="t2m")
    result = result.assign_coords(latitude=(("y", "x"), lat), longitude=(("y", "x"), lon))
    if coords:
        result = result.assign_coords(y=("y", y, y_attrs or {}), x=("x", x, x_attrs or {}))
    return result


def plane_positions(y, x):
    """Invert a polar stereographic projection of a sphere, tangent at the pole."""
    x, y = np.meshgrid(x, y)
    latitude = 90 - 2 * np.rad2deg(np.arctan(np.hypot(x, y) / (2 * 6.371e6)))
    return latitude, np.rad2deg(np.arctan2(x, -y))
