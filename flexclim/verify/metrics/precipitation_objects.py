"""Structure, amplitude and location of precipitation (SAL), from coherent objects."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy import ndimage

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core.alignment import Dims, Pair
from flexclim.verify.core.geometry import Plane, whole_planes
from flexclim.verify.core.option_checks import check_number
from flexclim.verify.core.scoring import Fields, score_pairs

# A field's own threshold: this share of a quantile of its positive values.
SHARE, QUANTILE = 1 / 15, 0.95
TOUCHING = np.ones((3, 3), int)
TEXTS = {
    "structure": "structure component of SAL",
    "amplitude": "amplitude component of SAL",
    "location": "location component of SAL",
}


@suggest_options
def sal(
    forecast: Fields, truth: Fields, threshold: float | None = None, dim: Dims = None
) -> xr.Dataset:
    """Structure, amplitude and location of precipitation in a region, such as a catchment.

    Objects are cells at or above a threshold that touch each other, also at corners. Missing cells
    of either field count in neither. Suited to regions with one kind of weather, of up to about
    500 km.

    Parameters
    ----------
    forecast, truth
        As in :func:`flexclim.verify.crps`; precipitation on regularly spaced rows and columns.
    threshold
        In the forecast's units. Default: of each field a fifteenth of the 95 % quantile of its
        positive values.
    dim
        Dimensions to average over, besides rows and columns; None: all; ``()``: none.

    Returns
    -------
    Dataset
        Averages over members. ``structure``, -2 to 2: objects are too large or flat (above 0), or
        too small or peaked. ``amplitude``, -2 to 2: twice the difference of area means over their
        sum. ``location``, 0 to 2: distance of the centres of mass, and difference of the mean
        distances of objects from it. All are 0 for equal fields, and NaN where either has no
        object.

    Raises
    ------
    FlexclimError
        If fields span the globe, or are negative where they are computed.

    Notes
    -----
    Wernli et al. (2008), Mon. Weather Rev. 136, eqs. 2-10; threshold after Wernli et al. (2009),
    Weather Forecast. 24.

    >>> truth = xr.DataArray(np.zeros((8, 8)), dims=["y", "x"])
    >>> truth[2:4, 2:4] = 3.0
    >>> found = sal(2 * truth.roll(x=3), truth)
    >>> {name: round(float(part), 4) for name, part in found.items()}
    {'structure': 0.0, 'amplitude': 0.6667, 'location': 0.2652}
    """
    return score_pairs(sal_of, forecast, truth, threshold, dim)


def sal_of(pair: Pair, threshold: float | None = None, dim: Dims = None) -> xr.Dataset:
    """Score an aligned pair with :func:`sal`."""
    if threshold is not None:
        threshold = check_number("threshold", threshold, 0, above=True)
    plane = pair.plane
    if plane.wrap:
        raise FlexclimError("sal is for regions, and the fields span the globe. Select a region.")
    member = pair.member or "_single"
    forecast = pair.forecast if pair.member else pair.forecast.expand_dims(member)
    weight = pair.point_weights("area").broadcast_like(pair.truth)
    core = list(plane.dims)
    parts = xr.apply_ufunc(
        _components,
        *(whole_planes(one, plane) for one in (forecast, pair.truth, weight)),
        input_core_dims=[core] * 3,
        output_core_dims=[["component"]],
        kwargs={"plane": plane, "threshold": threshold},
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {"component": len(TEXTS)}},
    )
    others = [name for name in pair.reduced_dims(dim) if name in parts.dims]
    means = parts.mean([member, *others])
    return xr.Dataset(
        {
            name: means.isel(component=at).assign_attrs(pair.describe(text, units="1"))
            for at, (name, text) in enumerate(TEXTS.items())
        }
    )


def _components(
    forecast: np.ndarray,
    truth: np.ndarray,
    weight: np.ndarray,
    *,
    plane: Plane,
    threshold: float | None,
) -> np.ndarray:
    """Return structure, amplitude and location (..., 3) of planes (..., y, x)."""
    arrays = np.broadcast_arrays(forecast, truth, weight)
    height, width = truth.shape[-2:]
    diagonal = float(np.hypot(height * plane.step_y, width * plane.step_x))
    result = np.full((*arrays[0].shape[:-2], len(TEXTS)), np.nan)
    for case in np.ndindex(result.shape[:-1]):
        one, other, light = (array[case].astype(float) for array in arrays)
        known = np.isfinite(one + other)
        light = np.where(known, light, 0.0)
        fields = [np.where(known, field, 0.0) for field in (one, other)]
        if min(field.min() for field in fields) < 0:
            raise FlexclimError("sal is for precipitation, and a field is negative. Check it.")
        ours, theirs = (_described(field, light, plane, threshold) for field in fields)
        if ours is not None and theirs is not None:
            result[case] = _compared(ours, theirs, diagonal)
    return result


# Area mean, centre of mass (y, x), mean distance of objects from it, their mean scaled volume.
Described = tuple[float, np.ndarray, float, float]


def _described(
    field: np.ndarray, light: np.ndarray, plane: Plane, threshold: float | None
) -> Described | None:
    """Return what is compared of a field (y, x); None if it has no object."""
    wet = field[(field > 0) & (light > 0)]
    if not wet.size:
        return None
    limit = SHARE * float(np.quantile(wet, QUANTILE)) if threshold is None else threshold
    labels, count = ndimage.label((field >= limit) & (light > 0), TOUCHING)
    if count == 0:
        return None
    mass = field * light
    rows, columns = np.indices(field.shape)
    places = np.stack([rows * plane.step_y, columns * plane.step_x], axis=-1)
    centre = np.tensordot(mass, places, 2) / mass.sum()
    of_object = labels.ravel()
    totals = np.bincount(of_object, mass.ravel())[1:]
    centres = np.stack(
        [np.bincount(of_object, (mass * places[..., k]).ravel())[1:] / totals for k in (0, 1)]
    )
    distances = np.hypot(*(centres - centre[:, None]))
    volumes = totals / ndimage.maximum(field, labels, np.arange(1, count + 1))
    mean, scattered, volume = (
        float(mass.sum() / light.sum()),
        float((totals * distances).sum() / totals.sum()),
        float((totals * volumes).sum() / totals.sum()),
    )
    return mean, centre, scattered, volume


def _compared(forecast: Described, truth: Described, diagonal: float) -> tuple[float, float, float]:
    """Return structure, amplitude and location of two fields."""
    apart = float(np.hypot(*(forecast[1] - truth[1])))
    location = (apart + 2 * abs(forecast[2] - truth[2])) / diagonal
    return _gap(forecast[3], truth[3]), _gap(forecast[0], truth[0]), location


def _gap(own: float, other: float) -> float:
    """Return the difference of two positive numbers over their mean."""
    return (own - other) / (0.5 * (own + other))
