"""Spherical harmonics of global grids, by ducc0 (an optional dependency)."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, GridError
from flexclim.verify.geometry import EARTH_RADIUS, Plane, find_plane


def power(first: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    """Return the common power of two global fields by degree, summing to their covariance."""

    def transform(left: np.ndarray, right: np.ndarray, layout: Layout) -> np.ndarray:
        waves = layout.analyse(left[..., None, :, :], spin=0)
        other = waves if first is second else layout.analyse(right[..., None, :, :], spin=0)
        return layout.by_degree((waves * other.conj()).real.sum(axis=-2))

    return _apply(transform, first, second)


def vector_power(eastward: xr.DataArray, northward: xr.DataArray) -> xr.DataArray:
    """Return the power of a global wind by degree, summing to the mean of its squared speed."""

    def transform(u: np.ndarray, v: np.ndarray, layout: Layout) -> np.ndarray:
        waves = layout.analyse(np.stack([-v, u], axis=-3), spin=1)
        return layout.by_degree((np.abs(waves) ** 2).sum(axis=-2))

    return _apply(transform, eastward, northward)


class Layout:
    """The rows of a global grid as ducc0 names them."""

    def __init__(self, field: xr.DataArray, plane: Plane) -> None:
        latitude = field[plane.y].values.astype(float)
        step = abs(latitude[1] - latitude[0])
        north, south = latitude.max(), latitude.min()
        names = {(90.0, -90.0): "CC", (90 - step / 2, step / 2 - 90): "F1"}
        names |= {(90.0, step - 90): "DH"}
        found = [n for (a, b), n in names.items() if abs(north - a) + abs(south - b) < 0.01 * step]
        if not found or not plane.wrap:
            raise GridError(
                f"latitudes from {south:g} to {north:g} in {latitude.size} rows are not a regular "
                "global grid that spherical harmonics know. Use kind='radial' or 'zonal'."
            )
        self.geometry = found[0]
        self.reverse = latitude[0] < latitude[-1]
        rows, columns = latitude.size, field.sizes[plane.x]
        top = {"CC": rows - 2, "F1": rows - 1, "DH": (rows - 2) // 2}[self.geometry]
        self.degrees = min(top, (columns - 1) // 2)
        order = [np.full(self.degrees + 1 - m, m) for m in range(self.degrees + 1)]
        degree = [np.arange(m, self.degrees + 1) for m in range(self.degrees + 1)]
        self.order, self.degree = np.concatenate(order), np.concatenate(degree)

    def analyse(self, maps: np.ndarray, spin: int) -> np.ndarray:
        """Return the (..., components, coefficients) of (..., components, y, x)."""
        import ducc0  # type: ignore[import-not-found]

        if np.isnan(maps).any():
            raise FlexclimError(
                f"{int(np.isnan(maps).sum())} NaN in the field: spherical harmonics need all "
                "values. Fill them, or use kind='radial' on a part without gaps."
            )
        if self.reverse:
            maps = maps[..., ::-1, :]
        flat = np.ascontiguousarray(maps.reshape(-1, *maps.shape[-3:]), dtype=float)
        options: dict[str, Any] = {"spin": spin, "lmax": self.degrees, "geometry": self.geometry}
        waves = np.stack([ducc0.sht.analysis_2d(map=one, **options) for one in flat])
        return waves.reshape(*maps.shape[:-2], -1)

    def by_degree(self, squares: np.ndarray) -> np.ndarray:
        """Sum squared coefficients over orders, for each degree but 0."""
        weighted = squares * np.where(self.order > 0, 2.0, 1.0) / (4 * np.pi)
        flat = weighted.reshape(-1, self.order.size)
        sums = [np.bincount(self.degree, row, minlength=self.degrees + 1)[1:] for row in flat]
        return np.stack(sums).reshape(*squares.shape[:-1], self.degrees)


def _apply(transform: Any, first: xr.DataArray, second: xr.DataArray) -> xr.DataArray:
    try:
        import ducc0  # noqa: F401
    except ImportError:
        raise FlexclimError(
            "spherical harmonics need ducc0, which is not installed. Install it with "
            "pip install ducc0, or use kind='radial' or 'zonal'."
        ) from None
    plane = find_plane(first)
    layout = Layout(first, plane)
    fields = [f.chunk({plane.y: -1, plane.x: -1}) if f.chunks else f for f in (first, second)]
    result = xr.apply_ufunc(
        transform,
        *fields,
        input_core_dims=[[plane.y, plane.x]] * 2,
        output_core_dims=[["degree"]],
        kwargs={"layout": layout},
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"degree": layout.degrees}},
    )
    degree = np.arange(1, layout.degrees + 1)
    length = 2 * np.pi * EARTH_RADIUS / np.sqrt(degree * (degree + 1.0))
    return result.assign_coords(
        degree=("degree", degree, {"long_name": "degree of spherical harmonics", "units": "1"}),
        wavelength=("degree", length, {"units": "m", "long_name": "wavelength"}),
    )
