"""Spread against error: whether the ensemble knows where it will be wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from flexclim.verify.core import kernel
from flexclim.verify.core.align import align, each_variable, need_member
from flexclim.verify.core.sums import Dims, Weights, sum_bins, weighted_sums
from flexclim.verify.metrics.scores import describe, ratio

# Bins of the spread over its root mean square; the last one is open.
EDGES = np.array([0, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3])


@each_variable
def spread_error(
    forecast: xr.DataArray, truth: xr.DataArray, weights: Weights = "area", dim: Dims = None
) -> xr.Dataset:
    """Error of the ensemble mean where the spread is small, medium and large.

    Points are sorted by their spread into bins; in a good ensemble the error grows with it, along
    the diagonal. Parameters as in :func:`flexclim.verify.crps`.

    Returns
    -------
    Dataset
        (kept dimensions..., spread_bin) ``spread``, with the factor sqrt((M + 1) / M) for a
        finite ensemble, ``error``, both as root mean squares, and ``share`` of the points.
        ``spread_bin`` is the lower end of a bin over the overall spread.

    Notes
    -----
    Leutbecher and Palmer (2008), J. Comput. Phys. 227.

    >>> forecast = xr.DataArray([[1.0, 1.0], [-1.0, -3.0]], dims=["member", "point"])
    >>> found = spread_error(forecast, xr.DataArray([0.0, 0.0], dims=["point"]))
    >>> found.error.dropna("spread_bin").values
    array([0., 1.])
    """
    member = need_member(forecast, least=2)
    size = forecast.sizes[member]
    forecast, truth = align(forecast, truth)
    overall = ratio(weighted_sums(forecast, truth, ["variance"], weights=weights), "variance")
    edges = (overall**0.5 * xr.DataArray(EDGES, dims=["edge"])).rename("edges")

    def binned(
        members: np.ndarray, observed: np.ndarray, weight: np.ndarray, bounds: np.ndarray
    ) -> tuple[np.ndarray, list[Any]]:
        values, known = kernel.point_statistics(members, observed, ["variance", "squared_error"])
        variance, error, light = values[0][known], values[1][known], weight[known]
        place = np.searchsorted(bounds[1:], np.sqrt(variance), side="right")
        amounts = {"variance": light * variance, "error": light * error, "weight": light}
        return known, [(name, place, amount) for name, amount in amounts.items()]

    names = ["variance", "error", "weight"]
    table = sum_bins(
        forecast, truth, binned, names, EDGES.size, weights=weights, dim=dim, extra=edges
    )
    variance, error, weight = (table[name].rename(bin="spread_bin") for name in names)
    counted = weight.where(weight > 0)
    parts = {
        "spread": ((variance / counted * (size + 1) / size) ** 0.5, "spread", None),
        "error": ((error / counted) ** 0.5, "error of the ensemble mean", None),
        "share": (weight / weight.sum("spread_bin"), "share of points", "1"),
    }
    return xr.Dataset(
        {n: v.assign_attrs(describe(truth, forecast, t, units=u)) for n, (v, t, u) in parts.items()}
    ).assign_coords(spread_bin=EDGES)
