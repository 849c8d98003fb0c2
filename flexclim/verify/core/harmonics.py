"""Spherical harmonics of global grids: which rows a field has, and its power by degree."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, GridError
from flexclim.verify.core.geometry import EARTH_RADIUS, Plane, find_plane
from flexclim.verify.core.legendre import LARGEST_DEGREE, Rows, Sphere
from flexclim.verify.core.transforms import Fill, fill_gaps


def power(first: xr.DataArray, second: xr.DataArray, fill: Fill = None) -> xr.DataArray:
    """Return the common power of two global fields by degree, summing to their covariance."""

    def transform(left: np.ndarray, right: np.ndarray, sphere: Sphere) -> np.ndarray:
        return sphere.power(left, None if first is second else right)

    return _apply(transform, first, second, fill)


def vector_power(
    eastward: xr.DataArray, northward: xr.DataArray, fill: Fill = None
) -> xr.DataArray:
    """Return the power of a global wind by degree, summing to the mean of its squared speed."""

    def transform(u: np.ndarray, v: np.ndarray, sphere: Sphere) -> np.ndarray:
        return sphere.vector_power(u, v)

    return _apply(transform, eastward, northward, fill)


@lru_cache(maxsize=4)
def make_sphere(rows: int, columns: int, where: Rows) -> Sphere:
    """Return a global grid, kept for the next field on it."""
    return Sphere(rows, columns, where)


def find_rows(field: xr.DataArray, plane: Plane) -> tuple[Rows, bool]:
    """Return where the rows of a global grid lie, and whether they run from the south.

    Raises
    ------
    GridError
        If the grid is not global, or too fine.
    """
    latitude = field[plane.y].values.astype(float)
    step = abs(latitude[1] - latitude[0])
    north, south = latitude.max(), latitude.min()
    known: dict[Rows, tuple[float, float]] = {
        "poles": (90.0, -90.0),
        "cells": (90 - step / 2, step / 2 - 90),
        "north": (90.0, step - 90),
    }
    found = [n for n, (a, b) in known.items() if abs(north - a) + abs(south - b) < 0.01 * step]
    if not found or not plane.wrap:
        raise GridError(
            f"latitudes from {south:g} to {north:g} in {latitude.size} rows are not a regular "
            "global grid that spherical harmonics know. Use kind='radial' or 'zonal'."
        )
    if latitude.size - 1 > LARGEST_DEGREE:
        raise GridError(
            f"{latitude.size} rows: spherical harmonics are good to degree {LARGEST_DEGREE}. "
            "Coarsen the field first, or use kind='radial' or 'zonal'."
        )
    return found[0], bool(latitude[0] < latitude[-1])


def _apply(transform: Any, first: xr.DataArray, second: xr.DataArray, fill: Fill) -> xr.DataArray:
    plane = find_plane(first)
    where, reverse = find_rows(first, plane)
    sphere = make_sphere(first.sizes[plane.y], first.sizes[plane.x], where)

    def each(*maps: np.ndarray) -> np.ndarray:
        flat = [fill_gaps(one, fill).reshape(-1, *one.shape[-2:]) for one in maps]
        flat = [one[:, ::-1] if reverse else one for one in flat]
        if gaps := int(max(np.isnan(one).sum() for one in flat)):
            raise FlexclimError(
                f"{gaps} NaN in the field: spherical harmonics need all values. Pass fill='mean' "
                "to put each plane's mean there, or use kind='radial' on a part without gaps."
            )
        return transform(*flat, sphere).reshape(*maps[0].shape[:-2], sphere.degrees)

    fields = [f.chunk({plane.y: -1, plane.x: -1}) if f.chunks else f for f in (first, second)]
    result = xr.apply_ufunc(
        each,
        *fields,
        input_core_dims=[[plane.y, plane.x]] * 2,
        output_core_dims=[["degree"]],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"degree": sphere.degrees}},
    )
    degree = np.arange(1, sphere.degrees + 1)
    length = 2 * np.pi * EARTH_RADIUS / np.sqrt(degree * (degree + 1.0))
    return result.assign_coords(
        degree=("degree", degree, {"long_name": "degree of spherical harmonics", "units": "1"}),
        wavelength=("degree", length, {"units": "m", "long_name": "wavelength"}),
    )
