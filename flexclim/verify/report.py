"""One HTML file that tells a reader who was not there how good a forecast is."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from flexclim.verify import plot
from flexclim.verify.calibration import flatness
from flexclim.verify.summary import BEST, TABLE, intervals, number, summary, variables_of

OWN = "forecast"
NOTES = {
    "crps": "Continuous ranked probability score (fair), in the variable's units. For a single "
    "field it is the mean absolute error. Lower is better.",
    "mae": "Mean absolute error of the ensemble mean.",
    "rmse": "Root mean square error of the ensemble mean.",
    "bias": "Mean error. 0 is best.",
    "spread_skill": "Spread over error of the mean, with the finite-size factor. 1 is best; below "
    "1 the ensemble is too sure of itself.",
    "log_spectral_distance": "Root mean square distance of the power spectrum from the truth's.",
    "energy_score": "CRPS of patches of 8 × 8 cells.",
    "variogram_score": "Whether neighbouring cells differ as much as in the truth.",
    "ssim": "Structural similarity of the mean. 1 is best.",
    "rfne": "Norm of the error of the mean over the norm of the truth.",
    "brier": "Mean squared error of the probability of the event.",
    "roc_area": "Area under the relative operating characteristic. 1 is best, 0.5 no skill.",
}
CAPTIONS = {
    "spectrum": "Below the black curve variance is missing at that scale, above it there is too "
    "much.",
    "coherence": "1: waves in place; 0: waves unrelated to the truth's. An ensemble counts as its "
    "members on average.",
    "spread_error": "Points sorted by spread. On the diagonal the error is as large as the "
    "ensemble says.",
    "reliability": "On the diagonal, probabilities mean what they say. Grey bars: where a "
    "reliable forecast would lie if all points were independent.",
    "quantiles": "0: as common as in the truth. Values that fall off to the right miss extremes.",
    "series": "CRPS of each time.",
    "worst_case": "The case where the forecast's CRPS is largest, on the truth's colour scale.",
}
STYLE = """
:root{--ink:#222;--soft:#5d6470;--line:#dfe3e8;--own:#eaf4fa}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:1rem 1.2rem 4rem;color:var(--ink);background:#fff;
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:1rem 0 .4rem}
h2{font-size:1.3rem;margin:2.6rem 0 .6rem;padding-top:.8rem;border-top:1px solid var(--line)}
h3{font-size:1.05rem;margin:1.8rem 0 .3rem}
p{max-width:46rem;margin:.4rem 0}
.soft{color:var(--soft);font-size:.92rem}
.scroll{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.82rem}
th,td{padding:.3rem .42rem;text-align:right;white-space:nowrap;border-bottom:1px solid var(--line)}
th:first-child,td:first-child{text-align:left;position:sticky;left:0;background:#fff}
thead th{border-bottom:2px solid var(--ink);font-weight:600}
tr.own td{background:var(--own)}
td.best{font-weight:700}
.interval{display:block;color:var(--soft);font-size:.8rem}
.pair{display:grid;gap:1rem 1.6rem;
grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr))}
figure{margin:.6rem 0}
figure img{width:100%;height:auto;display:block}
figcaption{color:var(--soft);font-size:.88rem;margin-top:.2rem;max-width:46rem}
nav a{margin-right:1rem}
a{color:#0b6fa4}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;font-size:.92rem}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
@media(max-width:560px){body{padding:.6rem .8rem 3rem;font-size:15px}dl{grid-template-columns:1fr}
dd{margin-bottom:.4rem}}
"""


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
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Verification: {escape(', '.join(variables))}</title>"
        f"<style>{STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


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
    """List what was compared: variables, candidates, members, area and times."""
    example = scores[f"crps_map.{variables[0]}"]
    facts = {
        "variables": ", ".join(f"{v} ({_unit(scores[f'crps.{v}'])})" for v in variables),
        "candidates": ", ".join(str(c) for c in scores["candidate"].values),
    }
    if "ensemble_size" in example.attrs:
        facts["members"] = str(example.attrs["ensemble_size"])
    for name in [d for d in example.dims if d != "candidate"]:
        facts[str(name)] = _extent(scores, str(name))
    series = scores[f"crps.{variables[0]}"]
    for name in [d for d in series.dims if d != "candidate"]:
        facts[str(name)] = _extent(scores, str(name))
    for key, value in scores.attrs.items():
        if str(key).startswith("flexclim_") and len(str(value)) < 90:
            facts[str(key).removeprefix("flexclim_").replace("_", " ")] = str(value)
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<h2>What was compared</h2><dl>{items}</dl>"


def section(scores: xr.Dataset, means: xr.Dataset, variable: str) -> str:
    """Return the table and the pictures of one variable."""
    parts = [f'<h2 id="{escape(variable)}">{escape(variable)}</h2>']
    parts.append(score_table(scores, means, variable))
    parts.append("<h3>Scale by scale</h3>")
    parts.append(
        _pair(
            _figure(plot.spectrum, scores, variable),
            _figure(plot.coherence, scores, variable),
        )
    )
    if f"rank_histogram.{variable}" in scores:
        parts.append("<h3>Does the ensemble know what it does not know?</h3>")
        parts.append(
            _pair(
                _figure(plot.rank_histogram, scores, variable, ranks_text(scores, variable)),
                _figure(plot.spread_error, scores, variable),
                _figure(plot.reliability, scores, variable),
                _figure(plot.quantiles, scores, variable),
            )
        )
    if f"crps.{variable}" in scores and scores[f"crps.{variable}"].ndim == 2:
        parts.append("<h3>Time by time</h3>")
        parts.append(
            _pair(
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
    parts.append(_pair(*maps(scores, variable)))
    case = scores[f"worst_case.{variable}"].attrs.get("case", "")
    parts.append(f"<h3>The worst case: {escape(case)}</h3>")
    parts.append(_figure(plot.worst_case, scores, variable))
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
    return (
        f'<div class="scroll"><table><thead><tr><th>{unit}</th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>" + differences(scores, variable)
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
        '<p class="soft">CRPS less that of '
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
    items = "".join(f"<dt>{escape(TABLE[m])}</dt><dd>{escape(NOTES[m])}</dd>" for m in used)
    return (
        f"<h2>What the numbers mean</h2><dl>{items}</dl>"
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
    return f'<span class="interval">{low:.3g} … {high:.3g}</span>'


def _extent(scores: xr.Dataset, name: str) -> str:
    size = scores.sizes[name]
    if name not in scores.coords:
        return f"{size} values"
    values = scores[name].values
    first, last = (str(v)[:16].replace("T", " ") for v in (values[0], values[-1]))
    return f"{size} values, {first} to {last}" if size > 1 else first


def _unit(values: xr.DataArray) -> str:
    return str(values.attrs.get("units", "no units stated"))


def _pair(*figures: str) -> str:
    return f'<div class="pair">{"".join(figures)}</div>'


def _figure(
    draw: Callable[..., Any],
    scores: xr.Dataset,
    variable: str,
    text: str | None = None,
    **options: Any,
) -> str:
    """Draw a picture into the page as PNG."""
    drawn = draw(scores, variable, **options)
    figure = (drawn[0] if isinstance(drawn, list) else drawn).figure
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    data = base64.b64encode(stream.getvalue()).decode()
    name = escape(f"{draw.__name__.replace('_', ' ')} of {variable}")
    return (
        f'<figure><img alt="{name}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(text or CAPTIONS[draw.__name__])}</figcaption></figure>"
    )
