"""Scores of quantiles and intervals that the members give."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.core.alignment import Dims, Pair, Weights
from flexclim.verify.core.option_checks import check_number, check_numbers
from flexclim.verify.core.scoring import Fields, score_pairs
from flexclim.verify.core.sums import sum_blocks
from flexclim.verify.metrics.scores import ratio

LEVELS = (0.1, 0.5, 0.9)


@suggest_options
def quantile_score(
    forecast: Fields,
    truth: Fields,
    levels: Sequence[float] = LEVELS,
    weights: Weights = "area",
    dim: Dims = None,
) -> Fields:
    """Quantile score (pinball loss) of the quantiles of the members, in field units.

    A truth above the quantile of level p costs p times the distance, one below it 1 - p times. It
    is smallest for the true quantile.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`.
    levels
        Probabilities from 0 to 1. Quantiles are interpolated between members, as in numpy.

    Returns
    -------
    DataArray or Dataset
        (kept dimensions..., quantile).

    Notes
    -----
    Koenker and Bassett (1978), Econometrica 46; Gneiting (2011), Int. J. Forecast. 27, 197-207.

    >>> forecast = xr.DataArray([0.0, 1.0, 2.0], dims=["realization"])
    >>> quantile_score(forecast, xr.DataArray(3.0), levels=[0.5, 1.0]).values
    array([1., 1.])
    """
    return score_pairs(quantile_score_of, forecast, truth, levels, weights, dim)


@suggest_options
def interval_score(
    forecast: Fields,
    truth: Fields,
    level: float = 0.9,
    weights: Weights = "area",
    dim: Dims = None,
) -> xr.Dataset:
    """Interval score of the central interval of the members, its width, and its coverage.

    The score is the width of the interval plus 2 / (1 - ``level``) times the distance by which the
    truth lies outside it.

    Parameters
    ----------
    forecast, truth, weights, dim
        As in :func:`flexclim.verify.crps`.
    level
        Probability of the interval, above 0 and below 1.

    Returns
    -------
    Dataset
        ``score`` and ``width`` in field units, and ``coverage``: how often the truth lies in the
        interval, ideally ``level``. Quantiles of few members give intervals that are too narrow:
        M equally likely values leave 2 / (M + 1) outside their range.

    Notes
    -----
    Gneiting and Raftery (2007), J. Am. Stat. Assoc. 102, eq. 43.

    >>> forecast = xr.DataArray([0.0, 1.0, 2.0], dims=["realization"])
    >>> found = interval_score(forecast, xr.DataArray(3.0), level=0.5)
    >>> float(found.score), float(found.width), float(found.coverage)
    (7.0, 1.0, 0.0)
    """
    return score_pairs(interval_score_of, forecast, truth, level, weights, dim)


def quantile_score_of(
    pair: Pair, levels: Sequence[float] = LEVELS, weights: Weights = "area", dim: Dims = None
) -> xr.DataArray:
    """Score an aligned pair with :func:`quantile_score`."""
    pair.need_members(least=2)
    wanted = check_numbers("levels", levels, 0, 1)

    def losses(members: np.ndarray, observed: np.ndarray) -> list[np.ndarray]:
        apart = observed - np.quantile(members, wanted, axis=0)
        return [
            p * np.maximum(d, 0) + (1 - p) * np.maximum(-d, 0)
            for p, d in zip(wanted, apart, strict=True)
        ]

    means = _means(pair, losses, [str(place) for place in range(len(wanted))], weights, dim)
    found = xr.concat(means, xr.Variable("quantile", wanted), coords="minimal")
    return found.transpose(..., "quantile").assign_attrs(pair.describe("quantile score"))


def interval_score_of(
    pair: Pair, level: float = 0.9, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Score an aligned pair with :func:`interval_score`."""
    pair.need_members(least=2)
    level = check_number("level", level, 0, 1, above=True)
    if level == 1:
        raise FlexclimError("level=1 has no finite interval. Give a number below 1.")
    outside = 1 - level

    def parts(members: np.ndarray, observed: np.ndarray) -> list[np.ndarray]:
        low, high = np.quantile(members, [outside / 2, 1 - outside / 2], axis=0)
        beyond = np.maximum(low - observed, 0) + np.maximum(observed - high, 0)
        return [high - low + 2 / outside * beyond, high - low, beyond == 0]

    names = {
        "score": "interval score",
        "width": "width of the interval",
        "coverage": "coverage of the interval",
    }
    means = _means(pair, parts, list(names), weights, dim)
    described = [
        mean.assign_attrs(pair.describe(text, units="1" if n == "coverage" else None, level=level))
        for mean, (n, text) in zip(means, names.items(), strict=True)
    ]
    return xr.Dataset(dict(zip(names, described, strict=True)))


def _means(
    pair: Pair,
    statistics: Callable[[np.ndarray, np.ndarray], list[np.ndarray]],
    names: list[str],
    weights: Weights,
    dim: Dims,
) -> list[xr.DataArray]:
    """Average statistics of members (M, ...) and truth (...) over ``dim``."""

    def summed(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, over: tuple[int, ...]
    ) -> np.ndarray:
        known = ~(np.isnan(observed) | np.isnan(members).any(axis=0))
        filled = np.where(known, members, 0.0), np.where(known, observed, 0.0)
        weight = np.where(known, weight, 0.0)
        columns = [*statistics(*filled), np.ones(known.shape)]
        return np.stack([(column * weight).sum(axis=over) for column in columns], axis=-1)

    label = ("statistic", [*names, "weight"])
    sums = sum_blocks(pair, summed, label, weights=weights, dim=dim)
    return [ratio(sums, name) for name in names]
