"""Named facts as lines of text and as HTML, for the representations of objects."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

LIST = "display: grid; grid-template-columns: max-content auto; gap: 0.1em 1em; margin: 0.3em 0"
TITLE = "border-bottom: 1px solid currentColor; padding-bottom: 0.2em"


def rows_text(title: str, rows: Mapping[str, str]) -> str:
    """Return named facts as lines of text.

    >>> print(rows_text("title", {"Grid": "global", "Forward passes": "12"}))
    <title>
    Grid:           global
    Forward passes: 12
    """
    width = max(11, *(len(name) + 1 for name in rows))
    lines = [f"{f'{name}:':<{width}} {text}" for name, text in rows.items()]
    return "\n".join([f"<{title}>", *lines])


def rows_html(title: str, rows: Mapping[str, str]) -> str:
    """Return named facts in HTML that inherits the colours of its page, light or dark.

    Lines of a fact stay lines.
    """
    listed = "".join(
        f'<dt style="opacity: 0.7; font-weight: normal">{escape(name)}</dt>'
        f'<dd style="margin: 0">{"<br>".join(map(escape, text.splitlines()))}</dd>'
        for name, text in rows.items()
    )
    return (
        f'<div style="color: inherit"><div style="{TITLE}">{escape(title)}</div>'
        f'<dl style="{LIST}">{listed}</dl></div>'
    )
