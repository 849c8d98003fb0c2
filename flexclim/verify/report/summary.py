"""Averages over time of the scores of an evaluation, and a table of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from flexclim.errors import FlexclimError, suggest_options
from flexclim.verify.climate.climate_scores import is_climate
from flexclim.verify.metrics.significance import bootstrap
from flexclim.verify.report.climate_page import climate_table

ROOTS = ("rmse", "spread")


@dataclass(frozen=True)
class Column:
    """A score in the tables: its heading, an explanation for readers, and its best value."""

    heading: str
    note: str
    best: float = 0.0


COLUMNS = {
    "crps": Column(
        "CRPS",
        "Continuous ranked probability score (fair), in the variable's units. For a single field "
        "it is the mean absolute error. Lower is better.",
    ),
    "mae": Column("MAE", "Mean absolute error of the ensemble mean."),
    "rmse": Column("RMSE", "Root mean square error of the ensemble mean."),
    "bias": Column("bias", "Mean error. 0 is best."),
    "spread_skill": Column(
        "spread/skill",
        "Ensemble spread over the RMSE of the ensemble mean, corrected for ensemble size. 1 is "
        "best; below 1 the ensemble is overconfident.",
        best=1.0,
    ),
    "log_spectral_distance": Column(
        "spectrum, dB",
        "Root mean square distance between the power spectra of forecast and truth. 0 is best.",
    ),
    "energy_score": Column("energy", "CRPS of patches of 8 × 8 cells. Lower is better."),
    "variogram_score": Column(
        "variogram",
        "Error of the differences between neighbouring cells. Lower is better.",
    ),
    "ssim": Column("SSIM", "Structural similarity of the ensemble mean. 1 is best.", best=1.0),
    "rfne": Column(
        "RFNE",
        "Norm of the error of the ensemble mean over the norm of the truth. Lower is better.",
    ),
    "brier": Column(
        "Brier", "Mean squared error of the forecast probability of the event. Lower is better."
    ),
    "roc_area": Column(
        "ROC area",
        "Area under the relative operating characteristic. 1 is best, 0.5 is no skill.",
        best=1.0,
    ),
}


def variables_of(scores: xr.Dataset) -> list[str]:
    """Return the names of the variables that were scored.

    Raises
    ------
    FlexclimError
        If ``scores`` are not from :func:`flexclim.verify.evaluate`.
    """
    names = [str(n).partition(".")[2] for n in scores.data_vars if str(n).startswith("crps.")]
    if not names:
        raise FlexclimError(
            f"no scores among {list(scores.data_vars)[:4]}: give the result of verify.evaluate."
        )
    return names


@suggest_options
def summary(scores: xr.Dataset) -> xr.Dataset:
    """Average the scores of :func:`flexclim.verify.evaluate` over time.

    Root mean squares are averaged as squares. The ratio of spread to skill is that of the averages,
    with the spread multiplied by sqrt((M + 1) / M) for M members.

    Returns
    -------
    Dataset
        ``{metric}.{variable}`` along ``candidate``.

    >>> summary(verify.evaluate(forecast, truth))["crps.u10"]  # doctest: +SKIP
    """
    found: dict[str, xr.DataArray] = {}
    for variable in variables_of(scores):
        for metric in COLUMNS:
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
    error = error.where(spread.notnull())
    ratio: xr.DataArray = ((spread**2).mean(times) / (error**2).mean(times)) ** 0.5
    ratio = ratio * ((size + 1) / size) ** 0.5
    return ratio.assign_attrs(long_name="spread over error of the ensemble mean", units="1")


def intervals(scores: xr.Dataset, name: str, against: str | None = None) -> xr.Dataset | None:
    """Bootstrap one score over times, or its difference from that of the candidate ``against``.

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


@suggest_options
def table(scores: xr.Dataset) -> pd.DataFrame:
    """Return the summary as a table: rows are variables and candidates, columns are scores.

    Of the climate of simulations, rows are variables and statistics, columns are sources.

    >>> scores = xr.Dataset({"crps.u": ("candidate", [0.5])}, {"candidate": ["forecast"]})
    >>> table(scores)
                        CRPS
    variable candidate
    u        forecast    0.5
    """
    if is_climate(scores):
        return climate_table(scores)
    means = summary(scores)
    names = [(v, c) for v in variables_of(scores) for c in map(str, means["candidate"].values)]
    columns = {
        COLUMNS[metric].heading: [value_of(means, f"{metric}.{v}", c) for v, c in names]
        for metric in used_columns(means)
    }
    index = pd.MultiIndex.from_tuples(names, names=["variable", "candidate"])
    return pd.DataFrame(columns, index=index)


def table_text(scores: xr.Dataset) -> str:
    """Format :func:`table` for a terminal, with four digits.

    >>> scores = xr.Dataset({"crps.u": ("candidate", [0.5])}, {"candidate": ["forecast"]})
    >>> print(table_text(scores))
    variable  candidate    CRPS
    u         forecast   0.5000
    """
    found = table(scores)
    rows = [[*found.index.names, *found.columns]]
    rows += [[*names, *map(number_text, row)] for names, row in found.iterrows()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        cells = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join([*names, *cells]).rstrip())
    return "\n".join(lines)


def used_columns(means: xr.Dataset) -> list[str]:
    """Return the metrics in ``COLUMNS`` that a summary has for any variable."""
    return [m for m in COLUMNS if any(str(n).startswith(f"{m}.") for n in means.data_vars)]


def value_of(means: xr.Dataset, name: str, candidate: str) -> float:
    """Return one cell of a table; NaN where there is no value."""
    if name not in means:
        return np.nan
    value = float(means[name].sel(candidate=candidate))
    metric, _, variable = name.partition(".")
    # The bias of a forecast that conserves the coarse means is only rounding.
    if metric == "bias" and abs(value) < 1e-6 * float(means[f"rmse.{variable}"].max()):
        return 0.0
    return value


def number_text(value: float) -> str:
    """Format a number with four digits; a dash where there is none.

    >>> number_text(1234.56), number_text(0.0), number_text(float("nan"))
    ('1235', '0', '–')
    """
    if np.isnan(value):
        return "–"
    return f"{value:#.4g}".rstrip(".") if value else "0"
