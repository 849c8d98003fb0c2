import pytest

from flexclim import verify
from flexclim.verify.report import figures


@pytest.fixture
def captions(monkeypatch):
    """Names and captions of figures, drawn but not saved."""
    drawn = {}

    def noted(ax, name, caption):
        drawn[name] = caption
        return name

    monkeypatch.setattr(figures, "picture", noted)
    return drawn


def test_spectra_state_the_effective_resolution(scores, captions):
    assert figures.spectra(scores, "u10") == ["spectrum of u10", "coherence of u10"]
    length = float(scores["effective_resolution.u10"].sel(candidate="bicubic"))
    assert f"bicubic {length / 1000:,.0f} km" in captions["spectrum of u10"]


def test_the_rank_histogram_comes_with_the_test_of_flatness(scores, captions):
    found = figures.ensemble(scores, "u10")
    assert found[0] == "rank histogram of u10"
    assert len(found) == 4
    test = verify.flatness(scores["rank_histogram.u10"].sel(candidate="forecast"))
    text = f"Convexity {float(test.convexity):+.3f} (p = {float(test.convexity_p):.2g})"
    assert text in captions["rank histogram of u10"]
    few = scores.isel(time=slice(0, 4))
    figures.ensemble(few, "u10")
    assert "Convexity" not in captions["rank histogram of u10"]


def test_maps_and_panels_have_captions(scores, captions):
    figures.maps(scores, "u10")
    assert captions["score map of u10"] == figures.MAPS["bias"]
    found = figures.worst_case(scores, "u10")
    assert len(found) == 5
    assert captions["bicubic of u10 in the worst case"] == "The baseline: bicubic."
