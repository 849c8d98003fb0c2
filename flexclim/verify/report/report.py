"""One HTML file that tells a reader who was not there how good a forecast is."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from flexclim.verify import plot
from flexclim.verify.metrics.calibration import flatness
from flexclim.verify.report.captions import CAPTIONS, NOTES
from flexclim.verify.report.html import document, facts, folded, pair, picture
from flexclim.verify.report.summary import BEST, TABLE, intervals, number, summary, variables_of

OWN = "forecast"
IN_UNITS = ("crps", "mae", "rmse", "bias", "energy_score")


def report(scores: xr.Dataset, path: str | Path) -> Path:
    """Write what :func:`flexclim.verify.evaluate` found into one HTML file without links.

    Parameters
    ----------
    scores
        From :func:`flexclim.verify.evaluate`, or read back from a file.
    path
        Where to write; an existing file is replaced.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    FlexclimError
        If ``scores`` hold no scores.
    """
    # numbagg, where it is installed, compiles for longer than all of this takes.
    with xr.set_options(use_numbagg=False):
        text = page(scores)
    path = Path(path)
    path.write_text(text, encoding="utf-8")
    return path


def page(scores: xr.Dataset) -> str:
    """Return the report as text."""
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
    return document(f"Verification: {', '.join(variables)}", "\n".join(body))


def lead(scores: xr.Dataset, means: xr.Dataset, variables: list[str]) -> str:
    """Say in a sentence a variable how the forecast does against its baselines."""
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
    """List what was compared: variables, files, candidates, members, area and times."""
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
    made = {
        str(key).removeprefix("flexclim_").replace("_", " "): str(value)
        for key, value in scores.attrs.items()
        if str(key).startswith("flexclim_") and len(str(value)) < 90
    }
    how = folded("How the forecast was made", facts(made)) if made else ""
    return f"<h2>What was compared</h2>{facts(listed)}{how}"


def section(scores: xr.Dataset, means: xr.Dataset, variable: str) -> str:
    """Return the table and the pictures of one variable."""
    name = escape(str(scores[f"crps.{variable}"].attrs.get("variable", variable)))
    more = f' <span class="name">{name}</span>' if name != variable else ""
    parts = [f'<h2 id="{escape(variable)}">{escape(variable)}{more}</h2>']
    parts.append(score_table(scores, means, variable))
    parts.append("<h3>Scale by scale</h3>")
    parts.append(
        pair(
            _figure(plot.spectrum, scores, variable, spectrum_text(scores, variable)),
            _figure(plot.coherence, scores, variable),
        )
    )
    if f"rank_histogram.{variable}" in scores:
        parts.append("<h3>Does the ensemble know what it does not know?</h3>")
        parts.append(
            pair(
                _figure(plot.rank_histogram, scores, variable, ranks_text(scores, variable)),
                _figure(plot.spread_error, scores, variable),
                _figure(plot.reliability, scores, variable),
                _figure(plot.quantiles, scores, variable),
            )
        )
    if f"crps.{variable}" in scores and scores[f"crps.{variable}"].ndim == 2:
        parts.append("<h3>Time by time</h3>")
        parts.append(
            pair(
                _figure(plot.series, scores, variable),
                _figure(
                    plot.series,
                    scores,
                    variable,
                    "Error of the ensemble mean at each time.",
                    metric="rmse",
                ),
            )
        )
    parts.append("<h3>Where</h3>")
    parts.append(pair(*maps(scores, variable)))
    case = scores[f"worst_case.{variable}"].attrs.get("case", "")
    parts.append(f"<h3>The worst case: {escape(case)}</h3>")
    parts.append(f'<p class="soft">{CAPTIONS["worst_case"]}</p>')
    parts.append(pair(*worst(scores, variable)))
    return "\n".join(parts)


def score_table(scores: xr.Dataset, means: xr.Dataset, variable: str) -> str:
    """Return the scores of all candidates, the best in bold, with intervals where there are any."""
    metrics = [m for m in TABLE if f"{m}.{variable}" in means]
    head = "".join(f"<th>{escape(TABLE[m])}</th>" for m in metrics)
    limits = {
        m: intervals(scores, f"{m}.{variable}")
        for m in ("crps", "mae")
        if f"{m}.{variable}" in scores
    }
    rows = []
    for candidate in [str(c) for c in means["candidate"].values]:
        cells = [f"<td>{escape(candidate)}</td>"]
        for metric in metrics:
            text = number(means, f"{metric}.{variable}", candidate)
            best = ' class="best"' if candidate == _best(means, metric, variable) else ""
            cells.append(f"<td{best}>{text}{_interval(limits.get(metric), candidate)}</td>")
        own = ' class="own"' if candidate == OWN else ""
        rows.append(f"<tr{own}>{''.join(cells)}</tr>")
    unit = escape(_unit(scores[f"crps.{variable}"]))
    named = [TABLE[m] for m in IN_UNITS if m in metrics]
    return (
        f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
        f'<p class="soft">{", ".join(named)} in {unit}; best values in bold.</p>'
        + differences(scores, variable)
    )


def differences(scores: xr.Dataset, variable: str) -> str:
    """Say how sure the difference of the CRPS from each baseline is."""
    found = []
    for other in [str(c) for c in scores["candidate"].values if c != OWN]:
        gap = intervals(scores, f"crps.{variable}", against=other)
        if gap is None:
            return (
                '<p class="soft">Fewer than five times: too few to say how much of a difference '
                "is chance.</p>"
            )
        own = gap.sel(candidate=OWN)
        found.append(
            f"{escape(other)} {float(own['mean']):+.3g} [{float(own['low']):+.3g}, "
            f"{float(own['high']):+.3g}]"
        )
    if not found:
        return ""
    return (
        '<p class="soft">CRPS of the forecast less that of '
        + "; ".join(found)
        + " (95 % intervals, here and in the table, from a moving-block bootstrap over times, "
        "paired).</p>"
    )


def ranks_text(scores: xr.Dataset, variable: str) -> str:
    """Explain the rank histogram, with the test of flatness where times allow it."""
    text = "Flat: the truth is like one more member. A bowl: too little spread. A slope: a bias."
    ranks = scores[f"rank_histogram.{variable}"].sel(candidate=OWN)
    times = [d for d in ranks.dims if d != "rank"]
    if len(times) == 1 and ranks.sizes[times[0]] >= 5:
        test = flatness(ranks, dim=str(times[0]))
        text += (
            f" Convexity {float(test.convexity):+.3f} (p = {float(test.convexity_p):.2g}), slope "
            f"{float(test.slope):+.3f} (p = {float(test.slope_p):.2g}), by t-tests over times."
        )
    return text


def spectrum_text(scores: xr.Dataset, variable: str) -> str:
    """Explain the spectra, and say down to which wavelength each holds half the true power."""
    lengths = scores[f"effective_resolution.{variable}"]
    unit = lengths.attrs.get("units", "m")
    found = {str(c): float(lengths.sel(candidate=c)) for c in lengths["candidate"].values}
    texts = [
        f"{name} {value / 1000:,.0f} km" if unit == "m" else f"{name} {value:.3g} {unit}"
        for name, value in found.items()
        if np.isfinite(value)
    ]
    more = f" Half of the truth's power is there down to: {', '.join(texts)}." if texts else ""
    return CAPTIONS["spectrum"] + more


def worst(scores: xr.Dataset, variable: str) -> list[str]:
    """Return the maps of the worst case one by one, so that they stand on a narrow page too."""
    texts = {
        "truth": "What happened.",
        OWN: "The forecast.",
        "one member": "One member of the forecast.",
        "ensemble mean": "The mean of all members.",
        "spread": "Their spread.",
    }
    return [
        picture(
            plot.field_map(field, title=name, **style),
            f"{name} of {variable} in the worst case",
            texts.get(name, f"The baseline: {name}."),
        )
        for name, field, style in plot.worst_panels(scores, variable)
    ]


def maps(scores: xr.Dataset, variable: str) -> list[str]:
    """Return maps of CRPS, error, bias and spread of the forecast."""
    texts = {
        "crps": "CRPS of the forecast, averaged over times.",
        "rmse": "Root mean square error of the ensemble mean.",
        "spread": "Ensemble spread: where it looks like the error, the ensemble knows its doubts.",
        "bias": "Mean error, forecast less truth.",
    }
    return [
        _figure(plot.score_map, scores, variable, text, metric=metric)
        for metric, text in texts.items()
        if f"{metric}_map.{variable}" in scores
    ]


def glossary(means: xr.Dataset) -> str:
    """Explain the columns of the table."""
    used = [m for m in TABLE if any(str(n).startswith(f"{m}.") for n in means.data_vars)]
    return (
        f"<h2>What the numbers mean</h2>{facts({TABLE[m]: NOTES[m] for m in used})}"
        '<p class="soft">Averages are weighted by the area of cells. A point counts only where '
        "the truth and all members are there.</p>"
    )


def _best(means: xr.Dataset, metric: str, variable: str) -> str:
    values = means[f"{metric}.{variable}"]
    distance = abs(values - BEST.get(metric, 0.0))
    if not np.isfinite(distance).any():
        return ""
    return str(values["candidate"].values[int(np.nanargmin(distance))])


def _interval(limits: xr.Dataset | None, candidate: str) -> str:
    if limits is None:
        return ""
    low, high = (float(limits[n].sel(candidate=candidate)) for n in ("low", "high"))
    if np.isnan(low):
        return ""
    # CRPS and MAE are no less than 0, though few times give a wide interval.
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


def _figure(
    draw: Callable[..., Any],
    scores: xr.Dataset,
    variable: str,
    text: str | None = None,
    **options: Any,
) -> str:
    name = f"{draw.__name__.replace('_', ' ')} of {variable}"
    return picture(draw(scores, variable, **options), name, text or CAPTIONS[draw.__name__])
