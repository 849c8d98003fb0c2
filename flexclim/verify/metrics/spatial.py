"""Scores of spatial structure: fractions in windows, relative error, structural similarity."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from scipy import ndimage

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.box_sums import box_sum
from flexclim.verify.core.geometry import Plane, whole_planes
from flexclim.verify.core.local_thresholds import Threshold, local_event, named_threshold
from flexclim.verify.core.option_checks import as_list, check_count, check_number
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.metrics.probability import event_and_probability

WINDOWS = (1, 3, 5, 9, 17, 33)


@suggest_options
def fss(
    forecast: Fields,
    truth: Fields,
    threshold: Threshold,
    window: int | Sequence[int] = WINDOWS,
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """Fractions skill score of the event "at or above ``threshold``" in windows of cells.

    1 minus the mean squared difference between the two fractions of event cells in a window,
    divided by the mean of the sum of their squares. The fractions of members are averaged. Windows
    wrap around a global grid; missing cells neither count in a window nor have one.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`.
    threshold
        A number in the forecast's units, or a DataArray of thresholds by place, such as
        ``truth.quantile(0.95, "time")``.
    window
        Window widths in cells: odd numbers.

    Returns
    -------
    DataArray
        (kept dimensions..., window); NaN where neither field has an event.

    Notes
    -----
    Roberts and Lean (2008), Mon. Weather Rev. 136; for ensembles Duc et al. (2013), Tellus A 65.

    >>> truth = xr.DataArray(np.eye(4), dims=["y", "x"])
    >>> fss(truth, truth, threshold=0.5, window=[1, 3]).values
    array([1., 1.])
    """
    return score_pairs(fss_of, forecast, truth, threshold, window, weights, dim)


@suggest_options
def rfne(forecast: Fields, truth: Fields, dim: Dims = None) -> Fields:
    """Relative Frobenius norm of the error: norm of the error over the norm of the truth.

    The error is that of the ensemble mean where there are members. Each plane's ratio is taken
    first, with all cells weighted equally, and then averaged over the other dimensions in
    ``dim``, as papers on FLEX report it.

    >>> truth = xr.DataArray([[3.0, 4.0]], dims=["y", "x"])
    >>> float(rfne(truth * 1.1, truth).round(6))
    0.1
    """
    return score_pairs(rfne_of, forecast, truth, dim)


@suggest_options
def ssim(
    forecast: Fields,
    truth: Fields,
    data_range: float | None = None,
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """Structural similarity of the ensemble mean and the truth: 1 for equal fields.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`. Cells with a missing value in their window are
        excluded.
    data_range
        Difference between the largest and the smallest possible value; None: that of each plane
        of the truth.

    Notes
    -----
    Wang et al. (2004), IEEE Trans. Image Process. 13, with its Gaussian window of 1.5 cells (11
    x 11), K1 = 0.01 and K2 = 0.03; windows wrap around a global grid and are mirrored at edges.

    >>> truth = xr.DataArray(np.random.default_rng(0).normal(size=(16, 16)), dims=["y", "x"])
    >>> float(ssim(truth, truth))
    1.0
    """
    return score_pairs(ssim_of, forecast, truth, data_range, weights, dim)


def fss_of(
    pair: Pair,
    threshold: Threshold,
    window: int | Sequence[int] = WINDOWS,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Score an aligned pair with :func:`fss`."""
    shifted, limit = local_event(pair, threshold)
    sizes = [check_count("window", size) for size in as_list(window)]
    if not sizes:
        raise FlexclimError("window=[] holds no number of cells.")
    if bad := [size for size in sizes if size % 2 == 0]:
        raise FlexclimError(f"window={bad[0]} has no central cell: use odd numbers of cells.")
    plane = pair.plane
    event, chance = event_and_probability(shifted, limit)
    known = chance.notnull()
    chance, event = chance.where(known, 0.0), event.astype(float).where(known, 0.0)
    weight = pair.point_weights(weights) * known
    over = pair.reduced_dims(dim)
    results = []
    for size in sizes:
        cells = _map_planes(box_sum, [known.astype(float)], plane, size=size, wrap=plane.wrap)
        left, right = (
            _map_planes(box_sum, [field], plane, size=size, wrap=plane.wrap)
            / cells.where(cells > 0.5)
            for field in (chance, event)
        )
        difference = ((left - right) ** 2 * weight).sum(over)
        most = ((left**2 + right**2) * weight).sum(over)
        results.append(1 - difference / most.where(most > 0))
    result = xr.concat(results, "window").assign_coords(window=("window", sizes, {"units": "1"}))
    shown, value = named_threshold(pair, threshold)
    text = f"fractions skill score of values at or above {shown}"
    return result.transpose(..., "window").assign_attrs(
        pair.describe(text, units="1", threshold=value)
    )


def rfne_of(pair: Pair, dim: Dims = None) -> xr.DataArray:
    """Score an aligned pair with :func:`rfne`."""
    error = pair.mean.astype(float) - pair.truth
    norm, whole = (
        (f.astype(float) ** 2).sum((pair.plane.y, pair.plane.x)) ** 0.5
        for f in (error, pair.truth.where(error.notnull()))
    )
    result = norm / whole.where(whole > 0)
    others = [d for d in pair.reduced_dims(dim) if d in result.dims]
    text = "relative Frobenius norm of the error"
    return result.mean(others).assign_attrs(pair.describe(text, units="1"))


def ssim_of(
    pair: Pair, data_range: float | None = None, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Score an aligned pair with :func:`ssim`."""
    if data_range is not None:
        data_range = check_number("data_range", data_range, 0, above=True)
    plane, fields = pair.plane, [pair.mean, pair.truth]
    similar = _map_planes(_ssim, fields, plane, data_range=data_range, wrap=plane.wrap)
    over = pair.reduced_dims(dim)
    weight = pair.point_weights(weights)
    result = similar.weighted(weight).mean(over) if over else similar
    text = "structural similarity of the ensemble mean"
    return result.assign_attrs(pair.describe(text, units="1"))


def _map_planes(
    function: Callable[..., np.ndarray],
    fields: Sequence[xr.DataArray],
    plane: Plane,
    **options: float | bool | None,
) -> xr.DataArray:
    """Apply a function of whole planes that keeps their shape."""
    core = [plane.y, plane.x]
    result: xr.DataArray = xr.apply_ufunc(
        function,
        *(whole_planes(field, plane) for field in fields),
        input_core_dims=[core] * len(fields),
        output_core_dims=[core],
        kwargs=options,
        dask="parallelized",
        output_dtypes=[float],
    )
    return result.transpose(*fields[0].dims)


def _ssim(mean: np.ndarray, truth: np.ndarray, data_range: float | None, wrap: bool) -> np.ndarray:
    # fmax and fmin ignore NaN, and leave it where there is nothing else.
    high, low = (f.reduce(truth, axis=(-2, -1), keepdims=True) for f in (np.fmax, np.fmin))
    own = np.where(high > low, high - low, 1.0)
    span: np.ndarray | float = own if data_range is None else data_range

    def blur(field: np.ndarray) -> np.ndarray:
        for axis, mode in ((-2, "reflect"), (-1, "wrap" if wrap else "reflect")):
            field = ndimage.gaussian_filter1d(field, 1.5, axis=axis, mode=mode, radius=5)
        return field

    level = 0.0 if np.isnan(truth).all() else np.nanmean(truth).item()
    left, right = mean.astype(float) - level, truth.astype(float) - level
    here, there = blur(left), blur(right)
    variances = blur(left**2) - here**2 + blur(right**2) - there**2
    common = blur(left * right) - here * there
    here, there = here + level, there + level
    small, large = (0.01 * span) ** 2, (0.03 * span) ** 2
    likeness = (2 * here * there + small) * (2 * common + large)
    result: np.ndarray = likeness / ((here**2 + there**2 + small) * (variances + large))
    return result
