import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

from flexclim import StoreError, verify


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.links, self.images, self.open, self.text = [], 0, [], ""

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.links += [given[k] for k in ("src", "href") if k in given]
        self.images += tag == "img"
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="session")
def written(evaluated, tmp_path_factory):
    return verify.report(evaluated[1], tmp_path_factory.mktemp("report") / "report.html")


def test_the_report_is_one_whole_page_without_links_outside(written, scores):
    page = Page()
    text = written.read_text()
    page.feed(text)
    assert page.open == []
    assert page.images == 17
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in page.links)
    assert "@import" not in text
    assert "url(" not in text
    assert scores.attrs["truth_from"] == "truth.nc: Made up"
    assert "truth.nc: Made up" in text
    assert str(written.parents[1]) not in text
    for words in ("u10", "bicubic + residuals", "CRPS", "Rank histogram", "The worst case: time"):
        assert words.lower() in (page.text + text).lower()


def test_the_report_renders_in_a_browser(written, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here")
    from matplotlib.image import imread

    for width in (400, 1200):
        shot = tmp_path / f"{width}.png"
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / str(width)}",
        ]
        subprocess.run(
            [
                browser,
                *flags,
                f"--screenshot={shot}",
                f"--window-size={width},3000",
                written.as_uri(),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )
        picture = imread(shot)[..., :3]
        assert picture.shape[:2] == (3000, width)
        # Text and pictures down to the bottom: no part is blank, and curves have colours.
        for part in np.array_split(picture, 6):
            assert part.std() > 0.03
        assert (picture.std(axis=2) > 0.1).any()


def test_a_folder_is_no_report(evaluated, tmp_path):
    with pytest.raises(StoreError, match=r"is a folder\. Give the name"):
        verify.report(evaluated[1], tmp_path)
