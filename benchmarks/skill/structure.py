"""Whether members look like the truth: texture, patches, tails, and spread where it is low.

Departures are those from bicubic interpolation. Statistics are kept as means over one field, from
which those of any group of fields are made.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from flexclim import verify
from flexclim.verify.core.alignment import Pair
from flexclim.verify.metrics.calibration import spread_error_of
from flexclim.verify.metrics.multivariate import energy_score_of, variogram_score_of
from flexclim.verify.metrics.quantiles import quantiles_of
from flexclim.verify.metrics.ranks import rank_histogram_of
from flexclim.verify.metrics.scores import Estimator, rmse_of, spread_of
from flexclim.verify.metrics.texture import (
    increments_of,
    lag_correlation_of,
    two_cell_noise_of,
)

Record = dict[str, Any]
PATCH = 8
LEVELS = [0.99, 0.999]
# The lowest sixth of all cells by spread.
BINS = 6
CALM, STORM = 3.0, 12.0  # m/s, of the coarse field
HIGH = 1000.0  # m


def measure(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    base: xr.DataArray,
    regimes: dict[str, xr.DataArray],
) -> Record:
    """Describe the structure of one forecast of one variable at one time.

    Parameters
    ----------
    forecast
        (realization, time, y, x), or without members; ``time`` has length 1.
    truth, base
        (time, y, x), and bicubic interpolation.
    regimes
        Labels of cells, by kind; empty text is none.

    Returns
    -------
    dict
        ``time``; ``energy`` and ``variogram`` scores of patches (fair; of single fields those of
        an ensemble of one); and of ensembles, of departures by axis (y, x): ``lag`` (correlations
        at 1 and 2 cells), ``square`` and ``fourth`` (moments of differences between neighbours),
        ``noise`` (of two cells: y, x, both), ``tail`` (quantiles of absolute departures), each
        also as ``truth_...``; ``spread_tail`` and ``error_tail``, quantiles of absolute departures
        of members and of the truth from the mean of members; ``low``, ``low_halves`` and
        ``low_ideal``: [squared error, spread squared] where the spread is lowest, by all members,
        by halves, and with a member as the truth; ``regimes``: share, ranks, squared error and
        spread of each label.
    """
    ensemble = "realization" in forecast.dims
    pair = Pair.align(forecast if ensemble else forecast.expand_dims(realization=1), truth)
    estimator: Estimator = "fair" if ensemble else "ecdf"
    found: Record = {
        "time": str(truth.time.values[0].astype("datetime64[h]")),
        "energy": float(energy_score_of(pair, PATCH, estimator)),
        "variogram": float(variogram_score_of(pair, PATCH, estimator=estimator)),
    }
    if not ensemble:
        return found
    found |= _texture(replace(pair, forecast=pair.forecast - base, truth=pair.truth - base))
    found["spread_tail"], found["error_tail"] = _tails(_about_mean(pair))
    found["low"], found["low_halves"] = _low(pair), _low(pair, halves=True)
    own = pair.forecast.isel(realization=0, drop=True)
    others = pair.forecast.isel(realization=slice(1, None))
    found["low_ideal"] = _low(replace(pair, forecast=others, truth=own))
    found["regimes"] = {k: v for one in regimes.values() for k, v in _by(pair, one).items()}
    return found


def vectors(forecast: xr.Dataset, truth: xr.Dataset) -> Record:
    """Score all variables together: ``vector``, of cells, and ``vector_energy``, of patches."""
    if "realization" not in forecast.dims:
        forecast = forecast.expand_dims(realization=1)
    estimator = "fair" if forecast.sizes["realization"] > 1 else "ecdf"
    score = partial(
        verify.energy_score, forecast, truth, estimator=estimator, vector=list(truth.data_vars)
    )
    return {"vector": float(score(patch=1)), "vector_energy": float(score(patch=PATCH))}


def _texture(pair: Pair) -> Record:
    """Describe departures."""
    lag, noise, step = lag_correlation_of(pair), two_cell_noise_of(pair), increments_of(pair)
    found: dict[str, xr.DataArray] = {}
    for source, lead in (("forecast", ""), ("truth", "truth_")):
        square = step[f"{lead}variance"]
        found[f"{lead}lag"], found[f"{lead}noise"] = lag[source], noise[source]
        found[f"{lead}square"] = square
        found[f"{lead}fourth"] = step[f"{lead}kurtosis"] * square**2
    kept: Record = {name: values.values.tolist() for name, values in found.items()}
    kept["tail"], kept["truth_tail"] = _tails(pair)
    return kept


def _tails(pair: Pair) -> list[list[float]]:
    """Return quantiles of absolute values of the members and of the truth."""
    size = replace(pair, forecast=abs(pair.forecast), truth=abs(pair.truth))
    found = quantiles_of(size, levels=LEVELS)
    return [found[source].values.tolist() for source in ("forecast", "truth")]


def _about_mean(pair: Pair) -> Pair:
    """Return departures from the mean of members.

    Those of M members are multiplied by sqrt((M + 1) / (M - 1)), which makes them as large as
    those of another member, since the mean holds each of them (as for spread/skill).
    """
    inflated = (pair.forecast - pair.mean) * ((pair.size + 1) / (pair.size - 1)) ** 0.5
    return replace(pair, forecast=inflated, truth=pair.truth - pair.mean)


def _low(pair: Pair, *, halves: bool = False) -> list[float]:
    found = spread_error_of(pair, bins=BINS, halves=halves).isel(spread_bin=0)
    return [float(found.error) ** 2, float(found.spread) ** 2]


def _by(pair: Pair, labels: xr.DataArray) -> Record:
    """Return the share of cells, ranks, squared error and squared spread of each label."""
    found = {}
    for label in np.unique(labels.values[labels.values != ""]):
        here = labels == label
        part = replace(pair, truth=pair.truth.where(here))
        found[str(label)] = {
            "share": float(here.mean()),
            "ranks": rank_histogram_of(part).values.tolist(),
            "square": float(rmse_of(part)) ** 2,
            "variance": float(spread_of(part)) ** 2,
        }
    return found


def surfaces(path: Path, like: xr.DataArray) -> xr.DataArray:
    """Return what each cell of a global grid in degrees is: sea, land, coast or mountains.

    A coast has sea and land among its neighbours; mountains are other land above 1000 m.
    """
    static = xr.open_dataset(path)[["lsm", "orog"]]
    places = {"latitude": like.latitude, "longitude": like.longitude % 360}
    static = static.sel(places, method="nearest").load()
    land = static["lsm"].values > 0.5
    around = [
        np.roll(np.pad(land, ((1, 1), (0, 0)), mode="edge"), shift, axis=1)[row : row + len(land)]
        for shift in (-1, 0, 1)
        for row in range(3)
    ]
    coast = np.any(around, axis=0) & ~np.all(around, axis=0)
    high = static["orog"].values > HIGH
    kinds = np.select([coast, land & high, land], ["coast", "mountains", "land"], "sea")
    coords = {dim: like[dim] for dim in ("latitude", "longitude")}
    return xr.DataArray(kinds, coords, list(coords), "surface")


def strengths(coarse: xr.Dataset, truth: xr.DataArray, factor: int) -> xr.DataArray:
    """Return whether the coarse wind of each fine cell is calm or a storm; else an empty label."""
    u, v = (field.values[0] for field in coarse.data_vars.values())
    speed = np.hypot(u, v).repeat(factor, axis=0).repeat(factor, axis=1)
    kinds = np.select([speed < CALM, speed > STORM], ["calm", "storm"], "")
    return xr.DataArray(kinds[None], truth.coords, truth.dims, "wind")
