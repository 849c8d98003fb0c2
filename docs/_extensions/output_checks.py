"""A Sphinx extension: warn of outputs that a reader should not see.

These are paths of the machine that built the pages, and the text of a figure where its picture
belongs.
"""

import re
import tempfile
from html import unescape
from pathlib import Path

from sphinx.util import logging

FOLDERS = (f"{folder}/" for folder in (tempfile.gettempdir(), Path.home(), Path.cwd()))
UNWANTED = {
    "a figure as text": re.compile(r"<Figure size [^>]*>|<Axes: [^>]*>|<matplotlib\.[^>]*>"),
    "a local path": re.compile("|".join(map(re.escape, FOLDERS))),
}
OUTPUT = re.compile(
    r'<div class="(?:output|cell_output).*?(?=<div class="cell |<section|</section)', re.S
)

logger = logging.getLogger(__name__)


def setup(app):
    """Check pages when all are written."""
    app.connect("build-finished", check_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def check_pages(app, exception):
    """Warn of unwanted text in the outputs of every page."""
    if exception or app.builder.format != "html":
        return
    for page in sorted(Path(app.outdir).rglob("*.html")):
        for output in OUTPUT.findall(page.read_text(encoding="utf-8")):
            text = unescape(re.sub(r"<[^>]*>", "", output))
            for what, pattern in UNWANTED.items():
                if found := pattern.search(text):
                    logger.warning("%s shows %s: %s", page.name, what, found[0])
