"""Whether the spread of an ensemble matches its error: pull, spread-error, CRPS reliability."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from flexclim.errors import suggest_options
from flexclim.verify.core import kernel
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.histogram import Batch, Histogram, count_values
from flexclim.verify.core.merging import merge_blocks
from flexclim.verify.core.option_checks import check_count, check_flag
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.core.sums import sum_blocks, weighted_sums
from flexclim.verify.metrics.scores import ratio

# Bins of the spread divided by its root mean square; the last one is open.
EDGES = np.array([0, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3])


@suggest_options
def pull(
    forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Error of the ensemble mean in units of the spread, compared with a calibrated ensemble.

    Points where all members are equal have no pull and are excluded. Parameters as in
    :func:`flexclim.verify.crps`.

    Returns
    -------
    Dataset
        ``mean`` of (truth - ensemble mean) / spread; ``pull``, its root mean square;
        ``expected``, the pull of a calibrated Gaussian ensemble of M members,
        sqrt((M + 1) / M * (M - 1) / (M - 3)), from Student's t with M - 1 degrees of freedom;
        ``ratio``, pull over expected: above 1 where the spread is too small.

    Raises
    ------
    FlexclimError
        If there are fewer than 4 members, for which the expected pull is infinite.

    >>> forecast = xr.DataArray([-1.0, 0.0, 1.0, 2.0, 3.0], dims=["realization"])
    >>> float(pull(forecast, xr.DataArray(1.0)).expected.round(3))
    1.549
    """
    return score_pairs(pull_of, forecast, truth, weights, dim)


@suggest_options
def crps_decomposition(
    forecast: Fields, truth: Fields, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Decompose the ``"ecdf"`` CRPS: ``crps`` = ``reliability`` + ``potential``.

    Reliability is 0 if the truth falls into each gap between sorted members as often as it should;
    potential is the CRPS that the ensemble would then have. Parameters as in
    :func:`flexclim.verify.crps`.

    Notes
    -----
    Hersbach (2000), Weather Forecast. 15, eqs. 26 to 36.

    >>> forecast = xr.DataArray([[1.0], [3.0]], dims=["realization", "point"])
    >>> parts = crps_decomposition(forecast, xr.DataArray([0.0], dims=["point"]))
    >>> [float(parts[name]) for name in ("crps", "reliability", "potential")]
    [1.5, 1.5, 0.0]
    """
    return score_pairs(crps_decomposition_of, forecast, truth, weights, dim)


@suggest_options
def spread_error(
    forecast: Fields,
    truth: Fields,
    weights: Weights = "area",
    dim: Dims = None,
    bins: int | None = None,
    halves: bool = False,
) -> xr.Dataset:
    """Error of the ensemble mean as a function of the ensemble spread.

    Points are sorted into bins by their spread; in a large calibrated ensemble the error equals
    the spread in every bin. Of few members, points with a low spread are partly those whose
    members lie close together by chance, and the error there exceeds the spread even if the
    ensemble is calibrated (by half, in the lowest sixth of 8 Gaussian members): ``halves`` avoids
    that. Edges of bins are exact to 1/65 536 of the largest spread.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`.
    bins
        Number of bins, each with the same share of the points; None: bins of fixed widths.
    halves
        Whether to sort points by the spread of the first half of the members, and to measure
        spread and error of the second half.

    Returns
    -------
    Dataset
        (kept dimensions..., spread_bin) ``spread``, with the factor sqrt((M + 1) / M) for a
        finite ensemble, ``error``, both as root mean squares, and ``share`` of the points.
        ``spread_bin`` is the lower edge of a bin divided by the overall spread; with ``bins``,
        the share of the points below it.

    Notes
    -----
    Leutbecher and Palmer (2008), J. Comput. Phys. 227.

    >>> forecast = xr.DataArray([[1.0, 1.0], [-1.0, -3.0]], dims=["member", "point"])
    >>> found = spread_error(forecast, xr.DataArray([0.0, 0.0], dims=["point"]))
    >>> found.error.dropna("spread_bin").values
    array([0., 1.])
    """
    return score_pairs(spread_error_of, forecast, truth, weights, dim, bins, halves)


def pull_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.Dataset:
    """Score an aligned pair with :func:`pull`."""
    pair.need_members(least=4)
    size = pair.size
    names = ["pull", "squared_pull", "certain"]
    sums = weighted_sums(pair, names, weights=weights, dim=dim)
    counted = 1 - ratio(sums, "certain")
    counted = counted.where(counted > 0)
    square = ratio(sums, "squared_pull") / counted
    expected = ((size + 1) / size * (size - 1) / (size - 3)) ** 0.5
    parts = {
        "mean": (ratio(sums, "pull") / counted, "mean pull"),
        "pull": (square**0.5, "root mean square pull"),
        "expected": (xr.full_like(square, expected), "pull of a calibrated ensemble of this size"),
        "ratio": (square**0.5 / expected, "pull over that of a calibrated ensemble"),
    }
    return xr.Dataset(
        {n: v.assign_attrs(pair.describe(t, units="1")) for n, (v, t) in parts.items()}
    )


def crps_decomposition_of(pair: Pair, weights: Weights = "area", dim: Dims = None) -> xr.Dataset:
    """Score an aligned pair with :func:`crps_decomposition`."""
    pair.need_members()

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        parts, known = _gaps(members, observed)
        shared = np.where(known, weight, 0.0)[..., None]
        total: np.ndarray = (np.where(known[..., None], parts, 0.0) * shared).sum(axis=over)
        return total

    label = ("part", range(2 * pair.size + 5))
    sums = sum_blocks(pair, summed, label, weights=weights, dim=dim)
    total = xr.DataArray(sums.isel(part=-1, drop=True))
    mean = sums / total.where(total > 0)
    result = xr.apply_ufunc(
        _hersbach,
        mean if mean.chunks is None else mean.chunk(part=-1),
        input_core_dims=[["part"]],
        output_core_dims=[[], []],
        kwargs={"size": pair.size},
        dask="parallelized",
        output_dtypes=[float, float],
    )
    named = {"reliability": result[0], "potential": result[1], "crps": result[0] + result[1]}
    texts = {"crps": "continuous ranked probability score (ecdf)"}
    return xr.Dataset(
        {
            n: v.assign_attrs(
                pair.describe(texts.get(n, f"{n} part of the CRPS"), estimator="ecdf")
            )
            for n, v in named.items()
        }
    )


def spread_error_of(
    pair: Pair,
    weights: Weights = "area",
    dim: Dims = None,
    bins: int | None = None,
    halves: bool = False,
) -> xr.Dataset:
    """Score an aligned pair with :func:`spread_error`."""
    split = check_flag("halves", halves)
    pair.need_members(least=4 if split else 2)
    first = pair.size // 2 if split else 0
    if bins is None:
        edges = EDGES
        overall = ratio(weighted_sums(pair, ["variance"], weights=weights), "variance") ** 0.5
    else:
        edges, overall = np.arange(check_count("bins", bins)) / bins, None

    def finish(spreads: Histogram, *overall: np.ndarray) -> np.ndarray:
        cells = map(spreads.of_cell, range(len(spreads.level)))
        if overall:
            return np.stack([_by_spread(*cell, overall[0].item()) for cell in cells])
        return np.stack([_by_share(sums, edges) for _, sums, _ in cells])

    label = ("part", range(3 * edges.size))
    counted = partial(_count_spreads, first=first)
    table = merge_blocks(pair, counted, finish, label, weights=weights, dim=dim, extra=overall)
    table = table.drop_vars("part").rename(part="spread_bin")
    variance, error, weight = (
        table.isel(spread_bin=slice(start, start + edges.size))
        for start in range(0, 3 * edges.size, edges.size)
    )
    size, share, total = pair.size - first, weight.where(weight > 0), weight.sum("spread_bin")
    parts = {
        "spread": ((variance / share * (size + 1) / size) ** 0.5, "spread", None),
        "error": ((error / share) ** 0.5, "error of the ensemble mean", None),
        "share": (weight / total.where(total > 0), "share of points", "1"),
    }
    return xr.Dataset(
        {n: v.assign_attrs(pair.describe(t, units=u)) for n, (v, t, u) in parts.items()}
    ).assign_coords(spread_bin=edges)


def _count_spreads(
    members: np.ndarray,
    observed: np.ndarray,
    weight: np.ndarray,
    cell: np.ndarray,
    cells: int,
    first: int,
) -> Histogram:
    """Count variance, squared error and weight by spread: that of the ``first`` members, if any.

    Variance and error are those of the other members.
    """
    names = ["variance", "squared_error"]
    (variance, error), _ = kernel.point_statistics(members[first:], observed, names)
    sorted_by = variance
    if first:
        (sorted_by,), _ = kernel.point_statistics(members[:first], observed, ["variance"])
    amounts = {0: weight * variance, 1: weight * error, 2: weight}
    batch = Batch(source=0, values=np.sqrt(sorted_by), amounts=amounts)
    return count_values([batch], cell, cells, columns=3)


def _by_spread(bins: np.ndarray, sums: np.ndarray, width: float, overall: float) -> np.ndarray:
    """Return the sums (3 x bins) of a cell by bin of the spread relative to the ``overall`` one.

    A narrow bin of the histogram that contains an edge goes where its middle belongs.
    """
    place = np.searchsorted(EDGES[1:] * overall, (bins + 0.5) * width, side="right")
    return np.concatenate([np.bincount(place, row, minlength=EDGES.size) for row in sums])


def _by_share(sums: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the sums (3 x bins) of a cell in bins that start at shares of its weight.

    Points with the same spread are divided among the bins that they fill.
    """
    total = np.pad(sums.cumsum(axis=1), ((0, 0), (1, 0)))
    at = np.append(edges, 1.0) * total[2, -1]
    return np.concatenate([np.diff(np.interp(at, total[2], row)) for row in total])


def _gaps(members: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for each point Hersbach's alpha and beta of each gap, both outliers, and a 1."""
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
        # Outside the ensemble the observed frequency is that of the outliers.
        observed[..., 0], observed[..., -1] = mean[..., -3], 1 - mean[..., -2]
        width[..., 0] = np.where(mean[..., -3] > 0, beta[..., 0] / mean[..., -3], 0.0)
        width[..., -1] = np.where(mean[..., -2] > 0, alpha[..., -1] / mean[..., -2], 0.0)
    forecast = np.arange(size + 1) / size
    reliability = (width * (observed - forecast) ** 2).sum(axis=-1)
    potential = (width * observed * (1 - observed)).sum(axis=-1)
    missing = np.isnan(mean[..., -1])
    return np.where(missing, np.nan, reliability), np.where(missing, np.nan, potential)
