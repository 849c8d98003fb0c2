"""What one forecast of one field scored, as plain sums; tables are made of these later.

A record is JSON: small enough to keep for every forecast, field and variable, and enough to make
every score of any group of fields from it, and to draw fields anew for intervals.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

import flexclim
from flexclim import verify
from flexclim.verify.core.alignment import Pair
from flexclim.verify.core.cell_areas import area_weights
from flexclim.verify.metrics.spectra import powers, resolved

Record = dict[str, Any]
# The band of the log-spectral distance, in grid lengths; 2 is the shortest wave of a grid.
LONGEST = 8.0
BANDS = 12


def score(
    forecast: xr.DataArray,
    truth: xr.DataArray,
    coarse: xr.DataArray,
    *,
    factor: int,
    spectrum: str,
    extreme: float,
    wet: float | None,
) -> Record:
    """Score one forecast of one variable at one time.

    Parameters
    ----------
    forecast
        (realization, time, y, x), or without members; ``time`` has length 1.
    truth, coarse
        (time, y, x), and its block means.
    spectrum
        ``"zonal"`` or ``"radial"``; the latter in grid lengths whatever the spacing.
    extreme
        The absolute value that counts as the tail.
    wet
        From which a cell is wet; None: not asked.

    Returns
    -------
    dict
        Area-weighted means over the field: ``crps`` (fair; of a single field the absolute error),
        ``dispersion`` (half the mean distance between members), ``absolute`` and ``square`` (error
        of the mean of members), ``variance`` between members, ``ranks``, ``above`` and
        ``truth_above`` (share beyond ``extreme``), ``wet`` and ``truth_wet``, ``block`` (mean
        square error of block means), ``truth_variance``; ``power`` and ``truth_power`` of waves
        of 2 to 8 grid lengths; ``members``.
    """
    ensemble = "realization" in forecast.dims
    forecast = forecast.transpose("realization", ...) if ensemble else forecast
    weights = area_weights(truth)

    def mean(values: Any) -> float:
        return float(values.weighted(weights).mean())

    found: Record = {
        "members": forecast.sizes["realization"] if ensemble else 1,
        "absolute": float(verify.mae(forecast, truth)),
        "square": float(verify.rmse(forecast, truth)) ** 2,
        "truth_variance": mean((truth - mean(truth)) ** 2),
        "above": mean(abs(forecast) > extreme),
        "truth_above": mean(abs(truth) > extreme),
        "block": _block_error(forecast, coarse, factor),
    }
    found["crps"] = found["absolute"]
    if ensemble:
        parts = verify.crps_parts(forecast, truth)
        found["crps"], found["dispersion"] = float(parts["crps"]), float(parts["dispersion"])
        found["variance"] = float(verify.spread(forecast, truth)) ** 2
        found["ranks"] = [float(share) for share in verify.rank_histogram(forecast, truth)]
    if wet is not None:
        found["wet"], found["truth_wet"] = mean(forecast >= wet), mean(truth >= wet)
    return found | _powers(forecast, truth, spectrum)


def _block_error(forecast: xr.DataArray, coarse: xr.DataArray, factor: int) -> float:
    """Return the mean square difference of block means from the coarse field."""
    again = flexclim.coarsen(forecast, factor, grid="cell")
    return float(((again.values - coarse.values) ** 2).mean())


def _powers(forecast: xr.DataArray, truth: xr.DataArray, kind: Any) -> Record:
    if kind == "radial":  # on numbered cells: wavelengths are grid lengths whatever the spacing
        forecast, truth = (_numbered(field) for field in (forecast, truth))
    both = powers(Pair.align(forecast, truth), kind)
    nyquist = both["truth"].attrs["nyquist"]
    found = {}
    for name, key in (("forecast", "power"), ("truth", "truth_power")):
        power = resolved(both[name])
        short = power.wavenumber.values >= nyquist * 2 / LONGEST * (1 - 1e-9)
        found[key] = [float(value) for value in power.values[short]]
    return found


def _numbered(field: xr.DataArray) -> xr.DataArray:
    # Named so that nobody takes them for degrees.
    *_, y, x = field.dims
    bare = field.drop_vars(field.coords).rename({y: "row", x: "column"})
    return bare.rename(row="y", column="x").assign_coords(
        {
            dim: np.arange(size, dtype=float)
            for dim, size in zip("yx", field.shape[-2:], strict=True)
        }
    )


def scores(records: list[Record]) -> dict[str, float]:
    """Return the scores of a group of fields: means first, roots and ratios last.

    ``rmse`` of the mean of members, ``crps``, ``spread_skill`` (with the correction for few
    members), ``decibels``: log-spectral distance over 2 to 8 grid lengths, ``bands``: the same of
    power in 12 bands, which hides most of what few fields leave to chance, ``tail`` and ``wet``:
    frequency over the truth's, ``block``: root mean square error of block means over the
    field's standard deviation. NaN where there is no such score.
    """
    own = [key for key in records[0] if key != "structure"]
    mean = {key: np.mean([record[key] for record in records], axis=0) for key in own}
    size = records[0]["members"]
    spread = mean.get("variance", np.nan) * (size + 1) / size
    return {
        "rmse": float(mean["square"] ** 0.5),
        "crps": float(mean["crps"]),
        "dispersion": float(mean.get("dispersion", np.nan)),
        "spread_skill": float((spread / mean["square"]) ** 0.5),
        "decibels": distance(mean["power"], mean["truth_power"]),
        "bands": distance(bands(mean["power"]), bands(mean["truth_power"])),
        "tail": _ratio(mean["above"], mean["truth_above"]),
        "wet": _ratio(mean.get("wet", np.nan), mean.get("truth_wet", np.nan)),
        "block": float((mean["block"] / mean["truth_variance"]) ** 0.5),
    }


def distance(power: np.ndarray, truth: np.ndarray) -> float:
    """Return the root mean square of the ratio of powers in dB.

    >>> distance(np.array([0.5, 0.5]), np.array([1.0, 1.0]))
    3.0102999566398116
    """
    ratio = np.asarray(power) / np.maximum(truth, np.finfo(float).tiny)
    # A forecast without any power lies 300 dB below, not infinitely far.
    return float((10 * np.log10(np.maximum(ratio, 1e-30)) ** 2 * 10).mean() ** 0.5)


def bands(power: np.ndarray) -> np.ndarray:
    """Sum power in bands of equal width in the logarithm of the wavelength, from 8 to 2.

    ``power`` is that of evenly spaced wavenumbers.
    """
    wavenumber = np.linspace(1 / LONGEST, 1 / 2, len(power))
    edges = np.geomspace(1 / LONGEST, 1 / 2, BANDS + 1)
    place = np.clip(np.searchsorted(edges, wavenumber * (1 + 1e-9)) - 1, 0, BANDS - 1)
    sums = np.bincount(place, power, minlength=BANDS)
    return sums[np.bincount(place, minlength=BANDS) > 0]


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def ranks(records: list[Record]) -> list[float]:
    """Return the rank histogram of a group of fields; empty for single forecasts."""
    if "ranks" not in records[0]:
        return []
    return [float(share) for share in np.mean([record["ranks"] for record in records], axis=0)]
