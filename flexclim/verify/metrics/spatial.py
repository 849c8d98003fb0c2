"""Scores that look at neighbourhoods: fractions, patches, structure, and whole fields."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from scipy import ndimage

from flexclim.errors import FlexclimError
from flexclim.verify.core.align import align, each_variable, find_member, need_member
from flexclim.verify.core.box_sums import box_sum
from flexclim.verify.core.geometry import Plane, find_plane
from flexclim.verify.core.sums import Dims, Weights, point_weights, reduced_dims
from flexclim.verify.metrics.distribution import ensemble_mean
from flexclim.verify.metrics.scores import describe
from flexclim.verify.metrics.spectra import whole_planes


@each_variable
def fss(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    threshold: float,
    window: int | Sequence[int] = (1, 3, 5, 9, 17, 33),
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Fractions skill score of the event "at or above ``threshold``" in windows of cells.

    1 minus the mean squared difference of the fractions of event cells in a window, over the
    mean of the squares of both. Members count as chances. Windows wrap on a global grid; missing
    cells count neither in a window nor as its centre.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`.
    threshold
        In the forecast's units.
    window
        Odd numbers of cells along the side of a window.

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
    forecast, truth = align(forecast, truth)
    sizes = [window] if isinstance(window, int) else list(window)
    if bad := [size for size in sizes if size < 1 or size % 2 == 0]:
        raise FlexclimError(f"window={bad[0]} has no middle cell: use odd numbers of cells.")
    plane = find_plane(truth)
    known = truth.notnull() & ensemble_mean(forecast.notnull().astype(float)).isin([1.0])
    chance = ensemble_mean((forecast >= threshold).astype(float)).where(known, 0.0)
    event = (truth >= threshold).astype(float).where(known, 0.0)
    weight = point_weights(truth, weights) * known
    over = reduced_dims(truth.dims, dim)
    results = []
    for size in sizes:
        cells = _planes(box_sum, [known.astype(float)], plane, size=size, wrap=plane.wrap)
        shares = [
            _planes(box_sum, [field], plane, size=size, wrap=plane.wrap) / cells.where(cells > 0.5)
            for field in (chance, event)
        ]
        difference = ((shares[0] - shares[1]) ** 2 * weight).sum(over)
        most = ((shares[0] ** 2 + shares[1] ** 2) * weight).sum(over)
        results.append(1 - difference / most.where(most > 0))
    result = xr.concat(results, "window").assign_coords(window=("window", sizes, {"units": "1"}))
    text = f"fractions skill score of values at or above {threshold:g}"
    return result.transpose(..., "window").assign_attrs(
        describe(truth, forecast, text, units="1", threshold=threshold)
    )


@each_variable
def energy_score(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    patch: int = 8,
    estimator: str = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Energy score: the CRPS with patches of ``patch`` x ``patch`` cells in place of values.

    Distances are Euclidean, over the root of the number of cells, so a patch of equal values
    scores its CRPS. Patches that miss a value don't count, nor do rows and columns that fill
    none.

    Parameters
    ----------
    forecast, truth, estimator, dim
        As in :func:`flexclim.verify.crps`; the plane's dimensions are those of the patches.
    weights
        As in :func:`flexclim.verify.crps`, averaged over the patch.

    Notes
    -----
    Gneiting and Raftery (2007), J. Am. Stat. Assoc. 102, eq. 22.

    >>> forecast = xr.DataArray(np.ones((2, 4, 4)) * [[[1.0]], [[3.0]]], dims=["member", "y", "x"])
    >>> truth = xr.DataArray(np.zeros((4, 4)), dims=["y", "x"])
    >>> float(energy_score(forecast, truth, patch=2, estimator="ecdf"))
    1.5
    """
    if estimator not in ("fair", "ecdf"):
        raise FlexclimError(f"estimator={estimator!r} is unknown: use 'fair' or 'ecdf'.")
    need_member(forecast, least=2 if estimator == "fair" else 1)
    result = _by_patch(_energy, forecast, truth, patch, weights, dim, fair=estimator == "fair")
    text = f"energy score of {patch} x {patch} cells"
    return result.assign_attrs(describe(truth, forecast, text, estimator=estimator))


@each_variable
def variogram_score(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    patch: int = 8,
    order: float = 0.5,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Variogram score: whether differences between cells of a patch are as large as the truth's.

    The squared error of the members' mean of abs(x_i - x_j)**order, averaged over pairs of cells
    with weights of one over their distance in cells. It sees what the energy score hardly does:
    wrong correlations.

    Parameters
    ----------
    forecast, truth, patch, weights, dim
        As in :func:`energy_score`.
    order
        Exponent of the differences.

    Notes
    -----
    Scheuerer and Hamill (2015), Mon. Weather Rev. 143, eq. 3.

    >>> forecast = xr.DataArray(np.zeros((2, 2, 2)), dims=["member", "y", "x"])
    >>> truth = xr.DataArray([[0.0, 0.0], [1.0, 1.0]], dims=["y", "x"])
    >>> float(variogram_score(forecast, truth, patch=2, order=1).round(3))
    0.631
    """
    need_member(forecast)
    result = _by_patch(_variogram, forecast, truth, patch, weights, dim, order=order)
    units = forecast.attrs.get("units", truth.attrs.get("units"))
    text = f"variogram score of {patch} x {patch} cells"
    attributes = describe(truth, forecast, text, units=f"({units}){2 * order:g}" if units else "1")
    return result.assign_attrs(attributes, order=order)


@each_variable
def rfne(forecast: xr.DataArray, truth: xr.DataArray, dim: Dims = None) -> xr.DataArray:
    """Relative Frobenius error: norm of the error of a plane over the norm of the truth.

    Of the ensemble mean where there are members; each plane's ratio is taken first, all cells
    alike, and then averaged over ``dim`` (beside the plane's), as papers on FLEX report it.

    >>> truth = xr.DataArray([[3.0, 4.0]], dims=["y", "x"])
    >>> float(rfne(truth * 1.1, truth).round(6))
    0.1
    """
    forecast, truth = align(forecast, truth)
    plane = find_plane(truth)
    error = ensemble_mean(forecast).astype(float) - truth
    norms = [
        (f.astype(float) ** 2).sum((plane.y, plane.x)) ** 0.5
        for f in (error, truth.where(error.notnull()))
    ]
    result = norms[0] / norms[1].where(norms[1] > 0)
    others = [d for d in reduced_dims(truth.dims, dim) if d in result.dims]
    text = "relative Frobenius error"
    return result.mean(others).assign_attrs(describe(truth, forecast, text, units="1"))


@each_variable
def ssim(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    data_range: float | None = None,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Structural similarity of the ensemble mean and the truth: 1 for equal fields.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`. Cells whose window misses a value don't count.
    data_range
        Largest minus smallest value that the field can have; None: of each plane of the truth.

    Notes
    -----
    Wang et al. (2004), IEEE Trans. Image Process. 13, with its Gaussian window of 1.5 cells (11
    x 11), K1 = 0.01 and K2 = 0.03; windows wrap on a global grid and are mirrored at edges.

    >>> truth = xr.DataArray(np.random.default_rng(0).normal(size=(16, 16)), dims=["y", "x"])
    >>> float(ssim(truth, truth))
    1.0
    """
    forecast, truth = align(forecast, truth)
    plane = find_plane(truth)
    mean = ensemble_mean(forecast)
    similar = _planes(_ssim, [mean, truth], plane, data_range=data_range, wrap=plane.wrap)
    over = reduced_dims(truth.dims, dim)
    weight = point_weights(truth, weights).broadcast_like(truth)
    result = similar.weighted(weight).mean(over) if over else similar
    text = "structural similarity of the ensemble mean"
    return result.assign_attrs(describe(truth, forecast, text, units="1"))


def _planes(
    function: Callable[..., np.ndarray],
    fields: Sequence[xr.DataArray],
    plane: Plane,
    **options: Any,
) -> xr.DataArray:
    """Apply a function of whole planes that keeps their shape."""
    core = [plane.y, plane.x]
    return xr.apply_ufunc(
        function,
        *(whole_planes(field, plane) for field in fields),
        input_core_dims=[core] * len(fields),
        output_core_dims=[core],
        kwargs=options,
        dask="parallelized",
        output_dtypes=[float],
    ).transpose(*fields[0].dims)


def _ssim(mean: np.ndarray, truth: np.ndarray, data_range: float | None, wrap: bool) -> np.ndarray:
    span = np.nanmax(truth, (-2, -1), keepdims=True) - np.nanmin(truth, (-2, -1), keepdims=True)
    span = np.where(span > 0, span, 1.0) if data_range is None else data_range

    def blur(field: np.ndarray) -> np.ndarray:
        for axis, mode in ((-2, "reflect"), (-1, "wrap" if wrap else "reflect")):
            field = ndimage.gaussian_filter1d(field, 1.5, axis=axis, mode=mode, radius=5)
        return field

    level = np.nanmean(truth)
    left, right = mean.astype(float) - level, truth.astype(float) - level
    here, there = blur(left), blur(right)
    variances = blur(left**2) - here**2 + blur(right**2) - there**2
    common = blur(left * right) - here * there
    here, there = here + level, there + level
    small, large = (0.01 * span) ** 2, (0.03 * span) ** 2
    likeness = (2 * here * there + small) * (2 * common + large)
    return likeness / ((here**2 + there**2 + small) * (variances + large))


def _by_patch(
    score: Callable[..., np.ndarray],
    forecast: xr.DataArray,
    truth: xr.DataArray,
    patch: int,
    weights: Weights,
    dim: Dims,
    **options: Any,
) -> xr.DataArray:
    """Average a score of patches; over kept plane dimensions there is one value a patch."""
    forecast, truth = align(forecast, truth)
    plane, member = find_plane(truth), str(find_member(forecast))
    if patch < 1 or patch > min(truth.sizes[plane.y], truth.sizes[plane.x]):
        raise FlexclimError(
            f"patch={patch} does not fit {truth.sizes[plane.y]} x {truth.sizes[plane.x]} cells. "
            "Choose a smaller patch."
        )
    core, corners = [plane.y, plane.x], {plane.y: "_y", plane.x: "_x"}
    if forecast.chunks is not None:
        forecast = forecast.chunk({member: -1})
    counts = {corners[d]: truth.sizes[d] // patch for d in core}
    values = xr.apply_ufunc(
        score,
        whole_planes(forecast, plane),
        whole_planes(truth, plane),
        input_core_dims=[[member, *core], core],
        output_core_dims=[list(corners.values())],
        kwargs={"patch": patch, **options},
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": counts},
    ).rename({new: old for old, new in corners.items()})
    for name in core:
        if name in truth.coords:
            middles = truth[name].coarsen({name: patch}, boundary="trim").mean()
            values = values.assign_coords({name: middles})
    over = reduced_dims(truth.dims, dim)
    if not over:
        return values
    weight = point_weights(truth, weights).broadcast_like(truth)
    weight = weight.coarsen(dict.fromkeys(core, patch), boundary="trim").mean()
    return values.weighted(weight.drop_vars(weight.coords)).mean(over)


def _patches(field: np.ndarray, patch: int) -> np.ndarray:
    """Cut (..., y, x) into (..., y', x', patch, patch)."""
    rows, columns = (size // patch for size in field.shape[-2:])
    cut = field[..., : rows * patch, : columns * patch]
    return cut.reshape(*field.shape[:-2], rows, patch, columns, patch).swapaxes(-3, -2)


def _energy(members: np.ndarray, truth: np.ndarray, patch: int, fair: bool) -> np.ndarray:
    count = members.shape[-3]
    apart = _patches(members.astype(float) - truth[..., None, :, :], patch)
    apart = apart.reshape(*apart.shape[:-2], -1) / patch
    skill = np.linalg.norm(apart, axis=-1).mean(axis=-3)
    between = np.zeros(skill.shape)
    for step in range(1, count):
        pair = apart[..., step:, :, :, :] - apart[..., :-step, :, :, :]
        between += np.linalg.norm(pair, axis=-1).sum(axis=-3)
    return skill - between / (count * (count - 1) if fair else count**2)


def _variogram(members: np.ndarray, truth: np.ndarray, patch: int, order: float) -> np.ndarray:
    cells, observed = _patches(members, patch).astype(float), _patches(truth, patch).astype(float)
    total, weight_sum = np.zeros(observed.shape[:-2]), 0.0
    for dy, dx in product(range(patch), range(1 - patch, patch)):
        if dy == 0 and dx <= 0:
            continue
        first = (..., slice(0, patch - dy), slice(max(0, -dx), patch - max(0, dx)))
        second = (..., slice(dy, patch), slice(max(0, dx), patch - max(0, -dx)))
        mine = _power_of(np.abs(cells[first] - cells[second]), order).mean(axis=-5)
        theirs = _power_of(np.abs(observed[first] - observed[second]), order)
        weight = 1 / np.hypot(dy, dx)
        total += weight * ((mine - theirs) ** 2).sum(axis=(-2, -1))
        weight_sum += weight * mine.shape[-1] * mine.shape[-2]
    return total / weight_sum


def _power_of(values: np.ndarray, order: float) -> np.ndarray:
    return np.sqrt(values) if order == 0.5 else values**order
