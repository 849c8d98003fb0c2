"""Whether the truth looks like one more member: ranks, pull, and the CRPS taken apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from flexclim.errors import FlexclimError
from flexclim.verify.core import kernel
from flexclim.verify.core.align import align, each_variable, need_member
from flexclim.verify.core.sums import Dims, Weights, kept_index, sum_blocks, weighted_sums
from flexclim.verify.metrics.scores import describe, ratio


@each_variable
def rank_histogram(
    forecast: xr.DataArray, truth: xr.DataArray, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """How often the truth has each rank among the members: flat where it is one of them.

    A truth that equals k members is shared evenly among the k + 1 ranks that it could have.
    Parameters as in :func:`flexclim.verify.crps`.

    Returns
    -------
    DataArray
        (kept dimensions..., rank) shares that sum to 1; rank 0: below all members. See
        :func:`flatness` for a test.

    Notes
    -----
    Hamill (2001), Mon. Weather Rev. 129.

    >>> forecast = xr.DataArray([1.0, 3.0], dims=["realization"])
    >>> rank_histogram(forecast, xr.DataArray(3.0)).values
    array([0. , 0.5, 0.5])
    """
    member = need_member(forecast)
    size = forecast.sizes[member]
    forecast, truth = align(forecast, truth)

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        below, equal, known = kernel.count_ranks(members, observed)
        index, count = kept_index(observed.shape, over)
        first = np.broadcast_to(index * (size + 1), observed.shape)
        below, equal, weight, first = (a[known] for a in (below, equal, weight, first))
        counts = kernel.share_ranks(below, equal, weight, first, count * (size + 1))
        return counts.reshape(count, size + 1)

    label = ("rank", range(size + 1))
    counts = sum_blocks(forecast, truth, summed, label, weights=weights, dim=dim)
    total = counts.sum("rank")
    result = counts / total.where(total > 0)
    return result.assign_attrs(describe(truth, forecast, "share of ranks", units="1"))


def pit_histogram(ranks: xr.DataArray, bins: int = 10) -> xr.DataArray:
    """Turn a rank histogram into one of the probability integral transform.

    Rank k of M members stands for probabilities from k / (M + 1) to (k + 1) / (M + 1), spread
    evenly, so ensembles of any size compare on the same ``bins``.

    Returns
    -------
    DataArray
        (..., probability) shares that sum to 1 along the middles of the bins.

    >>> pit_histogram(xr.DataArray([0.2, 0.3, 0.5], dims=["rank"]), bins=2).values
    array([0.35, 0.65])
    """
    size = ranks.sizes["rank"]
    edges, mine = np.linspace(0, 1, bins + 1), np.linspace(0, 1, size + 1)
    low = np.maximum(edges[:-1, None], mine[None, :-1])
    high = np.minimum(edges[1:, None], mine[None, 1:])
    part = xr.DataArray(np.maximum(high - low, 0) * size, dims=["probability", "rank"])
    result = xr.dot(ranks, part, dim="rank")
    result = result.assign_coords(probability=(edges[1:] + edges[:-1]) / 2)
    return result.assign_attrs(long_name="share of the probability integral transform", units="1")


def flatness(
    ranks: xr.DataArray, dim: str | None = "time", samples: float | None = None
) -> xr.Dataset:
    """Test whether a rank histogram is flat, and say in which way it is not.

    Parameters
    ----------
    ranks
        From :func:`rank_histogram`.
    dim
        Dimension of independent histograms, such as times some days apart: a t-test along it.
    samples
        Instead, the number of independent truths behind one histogram: a chi-squared test.
        Neighbouring points of a field are alike, so this is far below the number of points.

    Returns
    -------
    Dataset
        ``deviation``: sum of distances from flat (0 flat, 2 at most); ``slope``: below 0 where
        the forecast is too high; ``convexity``: above 0 where the spread is too small (both
        between about -1 and 1); ``slope_p``, ``convexity_p``: probability of a value as far
        from 0 by chance; with ``samples`` also ``flat_p`` for the whole histogram.

    Notes
    -----
    Contrasts of Jolliffe and Primo (2008), Mon. Weather Rev. 136.

    >>> found = flatness(xr.DataArray([0.5, 0.0, 0.5], dims=["rank"]), samples=12)
    >>> float(found.slope), float(found.convexity.round(4)), float(found.flat_p.round(4))
    (0.0, 0.4082, 0.0498)
    """
    size = ranks.sizes["rank"]
    middle = np.arange(size) - (size - 1) / 2
    bowl = middle**2 - np.mean(middle**2)
    shapes = {"slope": middle, "convexity": bowl}
    parts = {
        name: xr.dot(ranks, xr.DataArray(s / np.linalg.norm(s), dims=["rank"]), dim="rank")
        for name, s in shapes.items()
        if np.linalg.norm(s) > 0
    }
    if samples is None:
        if dim is None or dim not in ranks.dims or ranks.sizes[dim] < 3:
            raise FlexclimError(
                f"no independent histograms along {dim!r} (need 3): keep a dimension in "
                "rank_histogram, or pass samples=."
            )
        mean = ranks.mean(dim)
        found = {name: part.mean(dim) for name, part in parts.items()}
        for name, part in parts.items():
            error = part.std(dim, ddof=1) / ranks.sizes[dim] ** 0.5
            score = abs(found[name] / error)
            found[f"{name}_p"] = 2 * _tail(stats.t.sf, score, ranks.sizes[dim] - 1)
    else:
        mean, found = ranks, dict(parts)
        for name, part in parts.items():
            found[f"{name}_p"] = _tail(stats.chi2.sf, samples * size * part**2, 1)
        whole = samples * size * ((ranks - 1 / size) ** 2).sum("rank")
        found["flat_p"] = _tail(stats.chi2.sf, whole, size - 1)
    found["deviation"] = abs(mean - 1 / size).sum("rank")
    return xr.Dataset({n: v.assign_attrs(units="1", long_name=n) for n, v in found.items()})


def _tail(function: Callable[..., Any], value: xr.DataArray, freedom: int) -> xr.DataArray:
    return xr.apply_ufunc(function, value, freedom, dask="parallelized", output_dtypes=[float])


@each_variable
def pull(
    forecast: xr.DataArray, truth: xr.DataArray, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Error of the ensemble mean in units of the spread, beside that of a perfect ensemble.

    Points where all members are equal have no pull and don't count. Parameters as in
    :func:`flexclim.verify.crps`.

    Returns
    -------
    Dataset
        ``mean`` of (truth - ensemble mean) / spread; ``pull``, its root mean square;
        ``expected``, what a perfect Gaussian ensemble of M members gives,
        sqrt((M + 1) / M * (M - 1) / (M - 3)), from Student's t with M - 1 degrees of freedom;
        ``ratio``, pull over expected: above 1 where the spread is too small.

    Raises
    ------
    FlexclimError
        If there are fewer than 4 members, for which nothing finite is expected.

    >>> forecast = xr.DataArray([-1.0, 0.0, 1.0, 2.0, 3.0], dims=["realization"])
    >>> float(pull(forecast, xr.DataArray(1.0)).expected.round(3))
    1.549
    """
    member = need_member(forecast, least=4)
    size = forecast.sizes[member]
    forecast, truth = align(forecast, truth)
    names = ["pull", "squared_pull", "certain"]
    sums = weighted_sums(forecast, truth, names, weights=weights, dim=dim)
    counted = 1 - ratio(sums, "certain")
    counted = counted.where(counted > 0)
    square = ratio(sums, "squared_pull") / counted
    expected = ((size + 1) / size * (size - 1) / (size - 3)) ** 0.5
    parts = {
        "mean": (ratio(sums, "pull") / counted, "mean pull"),
        "pull": (square**0.5, "root mean square pull"),
        "expected": (xr.full_like(square, expected), "pull of a perfect ensemble of this size"),
        "ratio": (square**0.5 / expected, "pull over that of a perfect ensemble"),
    }
    return xr.Dataset(
        {n: v.assign_attrs(describe(truth, forecast, t, units="1")) for n, (v, t) in parts.items()}
    )


@each_variable
def crps_decomposition(
    forecast: xr.DataArray, truth: xr.DataArray, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """CRPS of the members as they are, taken apart into reliability and what is left.

    ``crps`` = ``reliability`` + ``potential``. Reliability is 0 where the truth falls into the
    gaps between members as often as it should; potential is what the ensemble would score then.
    Parameters as in :func:`flexclim.verify.crps`.

    Notes
    -----
    Hersbach (2000), Weather Forecast. 15, eqs. 26 to 36.

    >>> forecast = xr.DataArray([[1.0], [3.0]], dims=["realization", "point"])
    >>> parts = crps_decomposition(forecast, xr.DataArray([0.0], dims=["point"]))
    >>> [float(parts[name]) for name in ("crps", "reliability", "potential")]
    [1.5, 1.5, 0.0]
    """
    member = need_member(forecast)
    size = forecast.sizes[member]
    forecast, truth = align(forecast, truth)

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        parts, known = _gaps(members, observed)
        shared = np.where(known, weight, 0.0)[..., None]
        return (np.where(known[..., None], parts, 0.0) * shared).sum(axis=over)

    label = ("part", range(2 * size + 5))
    sums = sum_blocks(forecast, truth, summed, label, weights=weights, dim=dim)
    total = xr.DataArray(sums.isel(part=-1, drop=True))
    mean = sums / total.where(total > 0)
    result = xr.apply_ufunc(
        _hersbach,
        mean if mean.chunks is None else mean.chunk(part=-1),
        input_core_dims=[["part"]],
        output_core_dims=[[], []],
        kwargs={"size": size},
        dask="parallelized",
        output_dtypes=[float, float],
    )
    named = {"reliability": result[0], "potential": result[1], "crps": result[0] + result[1]}
    texts = {"crps": "continuous ranked probability score (ecdf)"}
    return xr.Dataset(
        {
            n: v.assign_attrs(
                describe(truth, forecast, texts.get(n, f"{n} part of the CRPS"), estimator="ecdf")
            )
            for n, v in named.items()
        }
    )


def _gaps(members: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Hersbach's alpha and beta of each gap, both outliers and a one, for each point."""
    size = members.shape[0]
    distance = kernel.differences(members, truth).astype(float)
    distance.sort(axis=1)
    known = ~np.isnan(distance[:, -1])
    parts = np.zeros((truth.size, 2 * size + 5))
    parts[:, 1:size] = np.diff(np.minimum(distance, 0), axis=1)
    parts[:, size] = np.maximum(-distance[:, -1], 0)
    beta = parts[:, size + 1 : 2 * size + 2]
    beta[:, 0] = np.maximum(distance[:, 0], 0)
    beta[:, 1:size] = np.diff(np.maximum(distance, 0), axis=1)
    parts[:, -3] = distance[:, 0] > 0
    parts[:, -2] = distance[:, -1] < 0
    parts[:, -1] = 1
    return parts.reshape(*truth.shape, -1), known.reshape(truth.shape)


def _hersbach(mean: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    alpha, beta = mean[..., : size + 1], mean[..., size + 1 : 2 * size + 2]
    width = alpha + beta
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = np.where(width > 0, beta / width, 0.0)
        # Outside the ensemble the frequency of the outlier stands for the observed one.
        observed[..., 0], observed[..., -1] = mean[..., -3], 1 - mean[..., -2]
        width[..., 0] = np.where(mean[..., -3] > 0, beta[..., 0] / mean[..., -3], 0.0)
        width[..., -1] = np.where(mean[..., -2] > 0, alpha[..., -1] / mean[..., -2], 0.0)
    forecast = np.arange(size + 1) / size
    reliability = (width * (observed - forecast) ** 2).sum(axis=-1)
    potential = (width * observed * (1 - observed)).sum(axis=-1)
    missing = np.isnan(mean[..., -1])
    return np.where(missing, np.nan, reliability), np.where(missing, np.nan, potential)
