"""Multivariate scores, of patches of neighbouring cells: energy score and variogram score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import overload

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.geometry import whole_planes
from flexclim.verify.core.option_checks import check_count, check_number
from flexclim.verify.core.scoring import (
    VECTOR,
    Fields,
    drop_inherited,
    score_pairs,
    vector_pair,
)
from flexclim.verify.metrics.scores import Estimator, check_estimator


@overload
def energy_score(
    forecast: Fields,
    truth: Fields,
    patch: int = 8,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
    vector: None = None,
) -> Fields: ...


@overload
def energy_score(
    forecast: xr.Dataset,
    truth: xr.Dataset,
    patch: int = 8,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
    *,
    vector: Sequence[str],
) -> xr.DataArray: ...


@suggest_options
def energy_score(
    forecast: Fields,
    truth: Fields,
    patch: int = 8,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
    vector: Sequence[str] | None = None,
) -> Fields | xr.DataArray:
    """Energy score: the CRPS with patches of ``patch`` x ``patch`` cells in place of values.

    Distances are Euclidean, divided by the root of the number of cells, so that the score of a
    patch of equal values is its CRPS. Patches with a missing value are excluded, as are rows and
    columns that do not fill a patch.

    Parameters
    ----------
    forecast, truth, estimator, dim
        As in :func:`flexclim.verify.crps`. Along horizontal dimensions that are kept there is
        one value for each patch.
    patch
        Width of a patch in cells.
    weights
        As in :func:`flexclim.verify.crps`, averaged over the patch.
    vector
        Names of variables of two Datasets, in the same units, that are components of one vector,
        such as a wind: scores them together. With ``patch=1``, the score of the vectors of cells.

    Raises
    ------
    FlexclimError
        If ``patch`` does not fit, or the components have different units.

    Notes
    -----
    Gneiting and Raftery (2007), J. Am. Stat. Assoc. 102, eq. 22.

    >>> forecast = xr.DataArray(np.ones((2, 4, 4)) * [[[1.0]], [[3.0]]], dims=["member", "y", "x"])
    >>> truth = xr.DataArray(np.zeros((4, 4)), dims=["y", "x"])
    >>> float(energy_score(forecast, truth, patch=2, estimator="ecdf"))
    1.5
    """
    if vector is not None:
        pair = vector_pair(forecast, truth, vector)
        result = energy_score_of(pair, patch, estimator, weights, dim)
        drop_inherited(result, *(one[name] for one in (forecast, truth) for name in vector))
        return result
    return score_pairs(energy_score_of, forecast, truth, patch, estimator, weights, dim)


@suggest_options
def variogram_score(
    forecast: Fields,
    truth: Fields,
    patch: int = 8,
    order: float = 0.5,
    weights: Weights = "area",
    dim: Dims = None,
    estimator: Estimator = "ecdf",
) -> Fields:
    """Variogram score: error of the differences between the cells of a patch.

    The squared error of the members' mean of abs(x_i - x_j)**order, averaged over pairs of cells
    with weights of one over their distance in cells. It is sensitive to wrong correlations, which
    the energy score hardly detects.

    Parameters
    ----------
    forecast, truth, patch, weights, dim
        As in :func:`energy_score`.
    order
        Exponent of the differences.
    estimator
        ``"ecdf"`` scores the M members as they are; ``"fair"`` estimates the score of an infinite
        ensemble: the squared error of the mean of M values exceeds it by their variance over M,
        which is subtracted.

    Notes
    -----
    Scheuerer and Hamill (2015), Mon. Weather Rev. 143, eq. 3; fair scores after Ferro (2014),
    Q. J. R. Meteorol. Soc. 140.

    >>> forecast = xr.DataArray(np.zeros((2, 2, 2)), dims=["member", "y", "x"])
    >>> truth = xr.DataArray([[0.0, 0.0], [1.0, 1.0]], dims=["y", "x"])
    >>> float(variogram_score(forecast, truth, patch=2, order=1).round(3))
    0.631
    """
    return score_pairs(variogram_score_of, forecast, truth, patch, order, weights, dim, estimator)


def energy_score_of(
    pair: Pair,
    patch: int = 8,
    estimator: Estimator = "fair",
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.DataArray:
    """Score an aligned pair with :func:`energy_score`."""
    check_estimator(pair, estimator)
    patch = check_count("patch", patch)
    result = _by_patch(_energy, pair, patch, weights, dim, fair=estimator == "fair")
    text = f"energy score of {patch} x {patch} cells"
    return result.assign_attrs(pair.describe(text, estimator=estimator))


def variogram_score_of(
    pair: Pair,
    patch: int = 8,
    order: float = 0.5,
    weights: Weights = "area",
    dim: Dims = None,
    estimator: Estimator = "ecdf",
) -> xr.DataArray:
    """Score an aligned pair with :func:`variogram_score`."""
    check_estimator(pair, estimator)
    patch, order = check_count("patch", patch), check_number("order", order, 0, above=True)
    result = _by_patch(_variogram, pair, patch, weights, dim, order=order, fair=estimator == "fair")
    units = f"({pair.units}){2 * order:g}" if pair.units else "1"
    text = f"variogram score of {patch} x {patch} cells"
    return result.assign_attrs(pair.describe(text, units=units, order=order, estimator=estimator))


def _by_patch(
    score: Callable[..., np.ndarray],
    pair: Pair,
    patch: int,
    weights: Weights,
    dim: Dims,
    **options: float | bool,
) -> xr.DataArray:
    """Average a score of patches over ``dim``; of a pair of vectors, their score together."""
    member, plane = pair.need_members(), pair.plane
    forecast, truth = pair.forecast, pair.truth
    if VECTOR not in truth.dims:
        forecast, truth = forecast.expand_dims(VECTOR), truth.expand_dims(VECTOR)
    core, corners = [plane.y, plane.x], {plane.y: "_y", plane.x: "_x"}
    if patch > min(truth.sizes[d] for d in core):
        raise FlexclimError(
            f"patch={patch} does not fit {truth.sizes[plane.y]} x {truth.sizes[plane.x]} cells. "
            "Choose a smaller patch."
        )
    if forecast.chunks is not None:
        forecast = forecast.chunk({member: -1, VECTOR: -1})
    if truth.chunks is not None:
        truth = truth.chunk({VECTOR: -1})

    def each(members: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """Score one case after the other, since scores take several copies of the members."""
        shape = observed.shape[:-3]
        parts = [score(members[i], observed[i], patch=patch, **options) for i in np.ndindex(shape)]
        return np.reshape(parts, (*shape, *(observed.shape[a] // patch for a in (-2, -1))))

    values = xr.apply_ufunc(
        each,
        whole_planes(forecast, plane),
        whole_planes(truth, plane),
        input_core_dims=[[member, VECTOR, *core], [VECTOR, *core]],
        output_core_dims=[list(corners.values())],
        dask="parallelized",
        output_dtypes=[float],
        dask_gufunc_kwargs={"output_sizes": {corners[d]: truth.sizes[d] // patch for d in core}},
    ).rename({new: old for old, new in corners.items()})
    return _mean_of_patches(values, pair, patch, weights, dim)


def _mean_of_patches(
    values: xr.DataArray, pair: Pair, patch: int, weights: Weights, dim: Dims
) -> xr.DataArray:
    core = (pair.plane.y, pair.plane.x)
    for name in core:
        if name in pair.truth.coords:
            middles = pair.truth[name].coarsen({name: patch}, boundary="trim").mean()
            values = values.assign_coords({name: middles})
    over = [name for name in pair.reduced_dims(dim) if name in values.dims]
    if not over:
        return values
    weight = pair.point_weights(weights)
    sizes = {name: patch for name in core if name in weight.dims}
    weight = weight.coarsen(sizes, boundary="trim").mean() if sizes else weight
    return values.weighted(weight.drop_vars(weight.coords)).mean(over)


def _patches(field: np.ndarray, patch: int) -> np.ndarray:
    """Cut (..., y, x) into (..., y', x', patch, patch)."""
    rows, columns = (size // patch for size in field.shape[-2:])
    cut = field[..., : rows * patch, : columns * patch]
    return cut.reshape(*field.shape[:-2], rows, patch, columns, patch).swapaxes(-3, -2)


def _energy(members: np.ndarray, truth: np.ndarray, patch: int, fair: bool) -> np.ndarray:
    """Score members (M, component, y, x) of one case."""
    count = members.shape[0]
    apart = np.moveaxis(_patches(members.astype(float) - truth, patch), 1, 3)
    apart = apart.reshape(*apart.shape[:3], -1) / patch
    skill = np.linalg.norm(apart, axis=-1).mean(axis=0)
    between = np.zeros(skill.shape)
    for step in range(1, count):
        between += np.linalg.norm(apart[step:] - apart[:-step], axis=-1).sum(axis=0)
    score: np.ndarray = skill - between / (count * (count - 1) if fair else count**2)
    return score


def _variogram(
    members: np.ndarray, truth: np.ndarray, patch: int, order: float, fair: bool
) -> np.ndarray:
    """Score members (M, 1, y, x) of one case."""
    cells = _patches(members[:, 0], patch).astype(float)
    observed = _patches(truth[0], patch).astype(float)
    total, weight_sum = np.zeros(observed.shape[:-2]), 0.0
    for dy, dx in product(range(patch), range(1 - patch, patch)):
        if dy == 0 and dx <= 0:
            continue
        first = (..., slice(0, patch - dy), slice(max(0, -dx), patch - max(0, dx)))
        second = (..., slice(dy, patch), slice(max(0, dx), patch - max(0, -dx)))
        each = _power_of(np.abs(cells[first] - cells[second]), order)
        theirs = _power_of(np.abs(observed[first] - observed[second]), order)
        error = (each.mean(axis=0) - theirs) ** 2
        if fair:
            error -= each.var(axis=0, ddof=1) / len(each)
        weight = 1 / np.hypot(dy, dx)
        total += weight * error.sum(axis=(-2, -1))
        weight_sum += weight * error.shape[-1] * error.shape[-2]
    return total / weight_sum


def _power_of(values: np.ndarray, order: float) -> np.ndarray:
    return np.sqrt(values) if order == 0.5 else values**order
