"""Parts of a self-contained HTML page: style, lists, figures embedded as PNG."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
th,td:first-child{white-space:normal}
thead th{vertical-align:bottom;border-bottom:2px solid var(--ink);font-weight:600}
tr.own td{background:var(--own)}
td.best{font-weight:700}
summary{cursor:pointer;color:#0b6fa4;margin:.4rem 0}
.name{font-weight:400;color:var(--soft)}
.interval{display:block;font-weight:400;color:var(--soft);font-size:.8rem}
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


def document(title: str, body: str) -> str:
    """Return a complete page."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title>"
        f"<style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def facts(items: Mapping[str, str]) -> str:
    """Return a list of terms and their descriptions."""
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in items.items())
    return f"<dl>{rows}</dl>"


def folded(title: str, body: str) -> str:
    """Return a part that is folded until a reader opens it."""
    return f"<details><summary>{escape(title)}</summary>{body}</details>"


def pair(*figures: str) -> str:
    """Set figures side by side where there is room."""
    return f'<div class="pair">{"".join(figures)}</div>'


def blank_axes(field: xr.DataArray | None = None) -> Axes:
    """Return axes, for a map if there is a field, of a figure that pyplot does not know.

    A report can be written in any thread, and shows nothing on a screen.
    """
    from matplotlib.figure import Figure

    from flexclim.verify.plot.score_maps import axes_for

    if field is not None:
        return axes_for(field, Figure(layout="constrained"))
    return Figure(figsize=(5.2, 4), layout="constrained").subplots()


def picture(figure: Figure, name: str, caption: str) -> str:
    """Embed a figure as PNG; ``name`` is its alternative text."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    data = base64.b64encode(stream.getvalue()).decode()
    return (
        f'<figure><img alt="{escape(name)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )
