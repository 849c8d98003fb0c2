"""Length of the blocks of a moving-block bootstrap, from the autocorrelation of a series."""

from __future__ import annotations

import numpy as np


def optimal_block(values: np.ndarray) -> int:
    """Return the block length with the smallest error of the variance of the mean.

    Politis and White (2004), Econom. Rev. 23, 53-70, as corrected by Patton, Politis and White
    (2009), Econom. Rev. 28, 372-375: with autocovariances R up to lag M, tapered by a flat-top
    window, G = sum |k| R(k), g = sum R(k) and n values it is (2 G² / (4/3 g²))^(1/3) n^(1/3).

    Parameters
    ----------
    values
        (n,) a series without missing values.

    Returns
    -------
    int
        Rounded up; between 1 and the smaller of 3 sqrt(n) and n / 3.

    >>> noise = np.random.default_rng(0).normal(size=400)
    >>> optimal_block(noise), optimal_block(np.convolve(noise, np.ones(10)))
    (1, 10)
    """
    steps = values.size
    longest = max(1, int(np.ceil(min(3 * np.sqrt(steps), steps / 3))))
    covariance = _autocovariance(values)
    if covariance.size < 2 or not covariance[0] > 0:
        return 1
    lag = np.arange(covariance.size)
    last = min(2 * _last_significant(covariance / covariance[0], steps), lag[-1])
    window = np.clip(2 * (1 - lag / last), 0, 1)
    window[1:] *= 2  # lags of both signs
    total = (window * covariance).sum()
    slope = (window * lag * covariance).sum()
    if total == 0:
        return longest
    length = (1.5 * (slope / total) ** 2 * steps) ** (1 / 3)
    return int(np.clip(np.ceil(length), 1, longest))


def _run(steps: int) -> int:
    """Return how many insignificant lags in a row end the correlation."""
    return max(5, int(np.sqrt(np.log10(steps))))


def _autocovariance(values: np.ndarray) -> np.ndarray:
    """Return the autocovariances of lags 0 to sqrt(n) + the run that ends the correlation."""
    steps = values.size
    lags = min(int(np.ceil(np.sqrt(steps))) + _run(steps), steps - 1)
    around = values - values.mean()
    return np.array([around[k:] @ around[: steps - k] for k in range(lags + 1)]) / steps


def _last_significant(correlation: np.ndarray, steps: int) -> int:
    """Return the lag from which correlations are insignificant, at least 1."""
    significant = np.abs(correlation) >= 2 * np.sqrt(np.log10(steps) / steps)
    run = _run(steps)
    for lag in range(1, significant.size - run + 1):
        if not significant[lag : lag + run].any():
            return lag
    return max(1, int(np.flatnonzero(significant)[-1]))
