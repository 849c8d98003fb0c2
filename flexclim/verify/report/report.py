"""The verification report: one self-contained HTML file."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
import xarray as xr

from flexclim.errors import FlexclimError, StoreError, suggest_options
from flexclim.files import store_errors
from flexclim.verify import plot
from flexclim.verify.climate.climate_scores import is_climate
from flexclim.verify.judgement import OWN
from flexclim.verify.report import figures
from flexclim.verify.report.climate_page import climate_sections, signal_lines
from flexclim.verify.report.climate_page import variables_of as climate_variables
from flexclim.verify.report.html import document, facts, folded, pair
from flexclim.verify.report.summary import (
    COLUMNS,
    intervals,
    number_text,
    summary,
    used_columns,
    value_of,
    variables_of,
)

IN_UNITS = ("crps", "mae", "rmse", "bias", "energy_score")


@suggest_options
def report(scores: xr.Dataset, path: str | Path, *, climate: xr.Dataset | None = None) -> Path:
    """Write the scores of :func:`flexclim.verify.evaluate` to one self-contained HTML file.

    Parameters
    ----------
    scores
        From :func:`flexclim.verify.evaluate`, or read back from a file; or, for a report of the
        climate alone, from :func:`flexclim.verify.climate.evaluate`.
    path
        Where to write; an existing file is replaced.
    climate
        From :func:`flexclim.verify.climate.evaluate`: adds pages on the climate.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    FlexclimError
        If ``scores`` holds no scores.
    StoreError
        If the file can't be written.

    >>> scores = verify.evaluate(forecast, truth, coarse=coarse)  # doctest: +SKIP
    >>> report(scores, "report.html")  # doctest: +SKIP
    PosixPath('report.html')
    """
    path = Path(path)
    if path.is_dir():
        raise StoreError(f"{path} is a folder. Give the name of a file in it.")
    # numbagg, where it is installed, takes longer to compile than the whole report takes.
    with xr.set_options(use_numbagg=False):
        text = page(scores, climate)
    with store_errors(path, " Give the name of a file in an existing folder."):
        path.write_text(text, encoding="utf-8")
    return path


def page(scores: xr.Dataset, climate: xr.Dataset | None = None) -> str:
    """Return the report as text."""
    if climate is not None and not is_climate(climate):
        raise FlexclimError(
            "climate= holds no climate: give the result of verify.climate.evaluate."
        )
    if is_climate(scores):
        return climate_page(scores)
    variables = variables_of(scores)
    means = summary(scores)
    sections = [section(scores, means, variable) for variable in variables]
    links = "".join(f'<a href="#{escape(v)}">{escape(v)}</a>' for v in variables)
    body = [
        "<h1>Verification of a forecast</h1>",
        lead(scores, means, variables),
        compared(scores, variables),
        f"<nav>{links}</nav>" if len(variables) > 1 else "",
        *sections,
        glossary(means),
    ]
    if climate is not None:
        body += [signal_lines(climate), climate_sections(climate)]
    return document(f"Verification: {', '.join(variables)}", "\n".join(body))


def climate_page(climate: xr.Dataset) -> str:
    """Return a report of the climate alone."""
    names = climate_variables(climate)
    sources = ", ".join(map(str, climate["source"].values))
    body = [
        "<h1>Climate of simulations</h1>",
        signal_lines(climate),
        f"<h2>What was compared</h2>{facts({'variables': ', '.join(names), 'sources': sources})}",
        climate_sections(climate),
    ]
    return document(f"Climate: {', '.join(names)}", "\n".join(body))


def lead(scores: xr.Dataset, means: xr.Dataset, variables: list[str]) -> str:
    """Return one sentence per variable that compares the forecast with its baselines."""
    sentences = []
    for variable in variables:
        crps = means[f"crps.{variable}"]
        own = float(crps.sel(candidate=OWN))
        sentence = f"<b>{escape(variable)}</b>: CRPS {own:.4g} {escape(_unit(crps))}"
        for other in [str(c) for c in crps["candidate"].values if c != OWN]:
            gain = 1 - own / float(crps.sel(candidate=other))
            word = "below" if gain >= 0 else "above"
            sentence += f", {abs(gain):.0%} {word} {escape(other)}"
        sentences.append(f"<p>{sentence}.</p>")
    return "".join(sentences)


def compared(scores: xr.Dataset, variables: list[str]) -> str:
    """List the variables, files, candidates, members, area and times."""
    example, series = (scores[f"{name}.{variables[0]}"] for name in ("crps_map", "crps"))
    listed = {"variables": "; ".join(_describe(scores, v) for v in variables)}
    for name in ("forecast", "truth", "coarse", "residuals"):
        if f"{name}_from" in scores.attrs:
            listed[name] = str(scores.attrs[f"{name}_from"])
    listed["compared"] = ", ".join(str(c) for c in scores["candidate"].values)
    if "ensemble_size" in example.attrs:
        listed["members"] = str(example.attrs["ensemble_size"])
    for dim in [d for d in (*example.dims, *series.dims) if d != "candidate"]:
        listed[str(dim)] = _extent(scores, str(dim))
    settings = {
        str(key).removeprefix("flexclim_").replace("_", " "): str(value)
        for key, value in scores.attrs.items()
        if str(key).startswith("flexclim_") and len(str(value)) < 90
    }
    how = folded("Settings of the forecast", facts(settings)) if settings else ""
    return f"<h2>What was compared</h2>{facts(listed)}{how}"


def section(scores: xr.Dataset, means: xr.Dataset, variable: str) -> str:
    """Return the table and the figures of one variable."""
    name = escape(str(scores[f"crps.{variable}"].attrs.get("variable", variable)))
    more = f' <span class="name">{name}</span>' if name != variable else ""
    parts = [
        f'<h2 id="{escape(variable)}">{escape(variable)}{more}</h2>',
        score_table(scores, means, variable),
        "<h3>By scale</h3>",
        pair(*figures.spectra(scores, variable)),
    ]
    if f"rank_histogram.{variable}" in scores:
        parts.append("<h3>Calibration of the ensemble</h3>")
        parts.append(pair(*figures.ensemble(scores, variable)))
    if scores[f"crps.{variable}"].ndim == 2:
        parts.append("<h3>By time</h3>")
        parts.append(pair(*figures.series(scores, variable)))
    case = escape(scores[f"worst_case.{variable}"].attrs.get("case", ""))
    parts += [
        "<h3>By place</h3>",
        pair(*figures.maps(scores, variable)),
        f"<h3>The worst case: {case}</h3>",
        '<p class="soft">The case with the largest CRPS of the forecast, on the truth\'s colour '
        "scale.</p>",
        pair(*figures.worst_case(scores, variable)),
    ]
    return "\n".join(parts)


def score_table(scores: xr.Dataset, means: xr.Dataset, variable: str) -> str:
    """Return the scores of all candidates, the best in bold, with intervals if there are any."""
    metrics = [m for m in COLUMNS if f"{m}.{variable}" in means]
    head = "".join(f"<th>{escape(COLUMNS[m].heading)}</th>" for m in metrics)
    limits = {
        m: intervals(scores, f"{m}.{variable}")
        for m in ("crps", "mae")
        if f"{m}.{variable}" in scores
    }
    rows = []
    for candidate in [str(c) for c in means["candidate"].values]:
        cells = [f"<td>{escape(candidate)}</td>"]
        for metric in metrics:
            text = number_text(value_of(means, f"{metric}.{variable}", candidate))
            best = ' class="best"' if candidate == _best(means, metric, variable) else ""
            cells.append(f"<td{best}>{text}{_interval(limits.get(metric), candidate)}</td>")
        own = ' class="own"' if candidate == OWN else ""
        rows.append(f"<tr{own}>{''.join(cells)}</tr>")
    unit = escape(_unit(scores[f"crps.{variable}"]))
    named = [COLUMNS[m].heading for m in IN_UNITS if m in metrics]
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="soft">{", ".join(named)} in {unit}; best values in bold.</p>'
        + differences(scores, variable)
    )


def differences(scores: xr.Dataset, variable: str) -> str:
    """Report the difference of the CRPS from that of each baseline, with its interval."""
    found = []
    for other in [str(c) for c in scores["candidate"].values if c != OWN]:
        gap = intervals(scores, f"crps.{variable}", against=other)
        if gap is None:
            return '<p class="soft">Confidence intervals need at least five times.</p>'
        own = gap.sel(candidate=OWN)
        found.append(
            f"{escape(other)} {float(own['mean']):+.3g} [{float(own['low']):+.3g}, "
            f"{float(own['high']):+.3g}]"
        )
    if not found:
        return ""
    return (
        '<p class="soft">CRPS of the forecast minus that of '
        + "; ".join(found)
        + " (95 % confidence intervals, here and in the table, from a paired moving-block "
        "bootstrap over times).</p>"
    )


def glossary(means: xr.Dataset) -> str:
    """Explain the columns of the table."""
    notes = {COLUMNS[m].heading: COLUMNS[m].note for m in used_columns(means)}
    return (
        f"<h2>Scores</h2>{facts(notes)}"
        '<p class="soft">Averages are weighted by cell area. A point counts only where the truth '
        "and all members have a value.</p>"
    )


def _best(means: xr.Dataset, metric: str, variable: str) -> str:
    values = means[f"{metric}.{variable}"]
    distance = abs(values - COLUMNS[metric].best)
    if not np.isfinite(distance).any():
        return ""
    return str(values["candidate"].values[int(np.nanargmin(distance))])


def _interval(limits: xr.Dataset | None, candidate: str) -> str:
    if limits is None:
        return ""
    low, high = (float(limits[n].sel(candidate=candidate)) for n in ("low", "high"))
    if np.isnan(low):
        return ""
    # CRPS and MAE are never negative, though a wide interval from few times may be.
    return f'<span class="interval">{max(low, 0.0):.3g} … {high:.3g}</span>'


def _extent(scores: xr.Dataset, name: str) -> str:
    size = scores.sizes[name]
    if name not in scores.coords:
        return f"{size} values"
    values = scores[name].values
    if values.dtype.kind == "f":
        first, last = (f"{v:.6g}" for v in (values[0], values[-1]))
    else:
        first, last = (str(v)[:16].replace("T", " ") for v in (values[0], values[-1]))
    return f"{size} values, {first} to {last}" if size > 1 else first


def _unit(values: xr.DataArray) -> str:
    return plot.pretty_units(str(values.attrs.get("units", "no units stated")))


def _describe(scores: xr.Dataset, variable: str) -> str:
    values = scores[f"crps.{variable}"]
    name = str(values.attrs.get("variable", variable))
    return f"{variable}{f', {name}' if name != variable else ''} ({_unit(values)})"
