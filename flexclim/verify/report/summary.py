"""From scores of each time to one number, and to a table."""

from __future__ import annotations

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError
from flexclim.verify.metrics.significance import bootstrap

ROOTS = ("rmse", "spread")
TABLE = {
    "crps": "CRPS",
    "mae": "MAE",
    "rmse": "RMSE",
    "bias": "bias",
    "spread_skill": "spread/skill",
    "log_spectral_distance": "spectrum, dB",
    "energy_score": "energy",
    "variogram_score": "variogram",
    "ssim": "SSIM",
    "rfne": "RFNE",
    "brier": "Brier",
    "roc_area": "ROC area",
}
BEST = {"bias": 0.0, "spread_skill": 1.0, "ssim": 1.0, "roc_area": 1.0}


def variables_of(scores: xr.Dataset) -> list[str]:
    """Return the names of the variables that were scored.

    Raises
    ------
    FlexclimError
        If ``scores`` did not come from :func:`flexclim.verify.evaluate`.
    """
    names = [str(n).partition(".")[2] for n in scores.data_vars if str(n).startswith("crps.")]
    if not names:
        raise FlexclimError(
            f"no scores among {list(scores.data_vars)[:4]}: give what verify.evaluate returned."
        )
    return names


def summary(scores: xr.Dataset) -> xr.Dataset:
    """Average the scores of :func:`flexclim.verify.evaluate` over times.

    Root mean squares are averaged as squares, and spread over skill is the ratio of the averages,
    with the spread times sqrt((M + 1) / M).

    Returns
    -------
    Dataset
        ``{metric}.{variable}`` along ``candidate``.
    """
    found: dict[str, xr.DataArray] = {}
    for variable in variables_of(scores):
        for metric in TABLE:
            name = f"{metric}.{variable}"
            if name not in scores:
                continue
            values = scores[name]
            times = [d for d in values.dims if d != "candidate"]
            power = 2 if metric in ROOTS else 1
            found[name] = (values**power).mean(times) ** (1 / power)
            found[name].attrs = values.attrs
        if f"spread.{variable}" in scores:
            found[f"spread_skill.{variable}"] = _spread_skill(scores, variable)
    return xr.Dataset(found)


def _spread_skill(scores: xr.Dataset, variable: str) -> xr.DataArray:
    spread, error = (scores[f"{name}.{variable}"] for name in ROOTS[::-1])
    size = scores[f"rank_histogram.{variable}"].sizes["rank"] - 1
    times = [d for d in spread.dims if d != "candidate"]
    ratio = (((spread**2).mean(times, skipna=False)) / (error**2).mean(times)) ** 0.5
    ratio = ratio * ((size + 1) / size) ** 0.5
    return ratio.assign_attrs(long_name="spread over error of the ensemble mean", units="1")


def intervals(scores: xr.Dataset, name: str, against: str | None = None) -> xr.Dataset | None:
    """Bootstrap one score over times, or its difference from the method ``against``.

    Returns
    -------
    Dataset or None
        As :func:`flexclim.verify.bootstrap`, along ``candidate``; None with fewer than 5 times.
    """
    values = scores[name]
    times = [d for d in values.dims if d != "candidate"]
    if len(times) != 1 or values.sizes[times[0]] < 5:
        return None
    other = None
    if against is not None:
        other = values.sel(candidate=against, drop=True).broadcast_like(values)
    return bootstrap(values, other, dim=str(times[0]))


def table(scores: xr.Dataset) -> str:
    """Return the summary as text, one row for each variable and method.

    >>> scores = xr.Dataset({"crps.u": ("candidate", [0.5])}, {"candidate": ["forecast"]})
    >>> print(table(scores))
    variable  candidate    CRPS
    u         forecast   0.5000
    """
    means = summary(scores)
    columns = [m for m in TABLE if any(str(n).startswith(f"{m}.") for n in means.data_vars)]
    rows = [["variable", "candidate", *(TABLE[metric] for metric in columns)]]
    for variable in variables_of(scores):
        for method in means["candidate"].values:
            cells = [number(means, f"{metric}.{variable}", method) for metric in columns]
            rows.append([variable, str(method), *cells])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        cells = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join([*names, *cells]).rstrip())
    return "\n".join(lines)


def number(means: xr.Dataset, name: str, method: str) -> str:
    """Return one cell of a table, a dash where there is none."""
    if name not in means:
        return "–"
    value = float(means[name].sel(candidate=method))
    if np.isnan(value):
        return "–"
    metric, _, variable = name.partition(".")
    # A forecast that keeps the coarse means has no bias but for rounding.
    if metric == "bias" and abs(value) < 1e-6 * float(means[f"rmse.{variable}"].max()):
        return "0"
    return f"{value:#.4g}".rstrip(".")
