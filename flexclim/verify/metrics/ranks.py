"""Rank histograms, and tests of their flatness."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import xarray as xr
from scipy import stats

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core import kernel
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.option_checks import check_count, check_number
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.core.sums import kept_index, sum_blocks


@suggest_options
def rank_histogram(
    forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None
) -> Fields:
    """Frequency of each rank of the truth among the members: flat for a calibrated ensemble.

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
    return score_pairs(rank_histogram_of, forecast, truth, weights, dim)


def rank_histogram_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.DataArray:
    """Score an aligned pair with :func:`rank_histogram`."""
    pair.need_members()
    size = pair.size

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        below, equal, known = kernel.count_ranks(members, observed)
        index, count = kept_index(observed.shape, over)
        first = np.broadcast_to(index * (size + 1), observed.shape)
        below, equal, weight, first = (a[known] for a in (below, equal, weight, first))
        counts = kernel.share_ranks(below, equal, weight, first, count * (size + 1))
        return counts.reshape(count, size + 1)

    counts = sum_blocks(pair, summed, ("rank", range(size + 1)), weights=weights, dim=dim)
    total = counts.sum("rank")
    result = counts / total.where(total > 0)
    return result.assign_attrs(pair.describe("share of ranks", units="1"))


@suggest_options
def pit_histogram(ranks: xr.DataArray, bins: int = 10) -> xr.DataArray:
    """Convert a rank histogram to a histogram of the probability integral transform.

    Rank k of M members covers probabilities from k / (M + 1) to (k + 1) / (M + 1), spread evenly,
    so that ensembles of any size compare on the same ``bins``.

    Returns
    -------
    DataArray
        (..., probability) shares that sum to 1; ``probability`` is the centre of a bin.

    >>> pit_histogram(xr.DataArray([0.2, 0.3, 0.5], dims=["rank"]), bins=2).values
    array([0.35, 0.65])
    """
    size, bins = _count_ranks(ranks), check_count("bins", bins)
    edges, mine = np.linspace(0, 1, bins + 1), np.linspace(0, 1, size + 1)
    low = np.maximum(edges[:-1, None], mine[None, :-1])
    high = np.minimum(edges[1:, None], mine[None, 1:])
    part = xr.DataArray(np.maximum(high - low, 0) * size, dims=["probability", "rank"])
    result: xr.DataArray = xr.dot(ranks, part, dim="rank")
    result = result.assign_coords(probability=(edges[1:] + edges[:-1]) / 2)
    return result.assign_attrs(long_name="share of the probability integral transform", units="1")


@suggest_options
def flatness(
    ranks: xr.DataArray, dim: str | None = "time", samples: float | None = None
) -> xr.Dataset:
    """Test whether a rank histogram is flat, and describe how it deviates.

    Parameters
    ----------
    ranks
        From :func:`rank_histogram`.
    dim
        Dimension of independent histograms, such as times some days apart: a t-test along it.
    samples
        Instead, the number of independent truths behind one histogram: a chi-squared test.
        Neighbouring points of a field are correlated, so this is far below the number of points.

    Returns
    -------
    Dataset
        ``deviation``: sum of absolute deviations from flat (0 flat, at most 2); ``slope``:
        negative where the forecast is too high; ``convexity``: positive where the spread is too
        small (both between about -1 and 1); ``slope_p``, ``convexity_p``: two-sided p-values;
        with ``samples`` also ``flat_p`` for the whole histogram.

    Raises
    ------
    FlexclimError
        If neither ``samples`` nor at least 3 histograms along ``dim`` are given.

    Notes
    -----
    Contrasts of Jolliffe and Primo (2008), Mon. Weather Rev. 136.

    >>> found = flatness(xr.DataArray([0.5, 0.0, 0.5], dims=["rank"]), samples=12)
    >>> float(found.slope), float(found.convexity.round(4)), float(found.flat_p.round(4))
    (0.0, 0.4082, 0.0498)
    """
    size = _count_ranks(ranks)
    middle = np.arange(size) - (size - 1) / 2
    shapes = {"slope": middle, "convexity": middle**2 - np.mean(middle**2)}
    parts = {
        name: xr.dot(ranks, xr.DataArray(s / np.linalg.norm(s), dims=["rank"]), dim="rank")
        for name, s in shapes.items()
        if np.linalg.norm(s) > 0
    }
    if samples is None:
        found = _over_cases(ranks, parts, dim)
    else:
        found = _for_samples(ranks, parts, check_number("samples", samples, 0, above=True))
    return xr.Dataset({n: v.assign_attrs(units="1", long_name=n) for n, v in found.items()})


def _count_ranks(ranks: xr.DataArray) -> int:
    """Return the number of ranks of a histogram."""
    if not isinstance(ranks, xr.DataArray) or "rank" not in ranks.dims:
        given = ranks.dims if isinstance(ranks, xr.DataArray) else type(ranks).__name__
        raise FlexclimError(
            f"a rank histogram is a DataArray with the dimension 'rank', not {given}. Give a "
            "result of verify.rank_histogram."
        )
    return ranks.sizes["rank"]


def _over_cases(
    ranks: xr.DataArray, parts: Mapping[str, xr.DataArray], dim: str | None
) -> dict[str, xr.DataArray]:
    """Test the contrasts ``parts`` along independent histograms, by t-tests."""
    if dim is None or dim not in ranks.dims or ranks.sizes[dim] < 3:
        raise FlexclimError(
            f"no independent histograms along {dim!r} (need 3): keep a dimension in "
            "rank_histogram, or pass samples=."
        )
    found = {name: part.mean(dim) for name, part in parts.items()}
    for name, part in parts.items():
        count = part.count(dim)  # histograms of cases without truth are NaN
        error = part.std(dim, ddof=1) / count**0.5
        score = abs(found[name] / error).where(count > 2)
        found[f"{name}_p"] = 2 * _tail(stats.t.sf, score, count - 1)
    return found | {"deviation": _deviation(ranks.mean(dim))}


def _for_samples(
    ranks: xr.DataArray, parts: Mapping[str, xr.DataArray], samples: float
) -> dict[str, xr.DataArray]:
    """Test the contrasts ``parts`` of one histogram of ``samples`` truths, by chi-squared tests."""
    size = ranks.sizes["rank"]
    found = dict(parts)
    for name, part in parts.items():
        found[f"{name}_p"] = _tail(stats.chi2.sf, samples * size * part**2, 1)
    whole = samples * size * ((ranks - 1 / size) ** 2).sum("rank", skipna=False)
    return found | {"flat_p": _tail(stats.chi2.sf, whole, size - 1), "deviation": _deviation(ranks)}


def _deviation(ranks: xr.DataArray) -> xr.DataArray:
    return abs(ranks - 1 / ranks.sizes["rank"]).sum("rank", skipna=False)


def _tail(
    function: Callable[[np.ndarray, int], np.ndarray],
    value: xr.DataArray,
    freedom: int | xr.DataArray,
) -> xr.DataArray:
    p: xr.DataArray = xr.apply_ufunc(
        function, value, freedom, dask="parallelized", output_dtypes=[float]
    )
    return p
