import pytest

from flexclim import FlexclimError, verify


@pytest.mark.slow
def test_the_climate_has_a_report_of_its_own(climate_world, tmp_path):
    text = verify.report(climate_world[1], tmp_path / "climate.html").read_text()
    assert text.count("<img") == 2 * (4 + 2) - 1
    for words in ("change signal kept", "RX1DAY", "TXX", "Wasserstein", "% kept)", "adjusted"):
        assert words in text
    assert ">nan<" not in text


@pytest.mark.slow
def test_the_climate_is_a_page_of_a_report(climate_world, scores, tmp_path):
    text = verify.report(scores, tmp_path / "both.html", climate=climate_world[1]).read_text()
    assert '<h2 id="u10">' in text
    assert '<h2 id="climate-tasmax">' in text


def test_scores_are_no_climate(scores, tmp_path):
    with pytest.raises(FlexclimError, match="climate= holds no climate"):
        verify.report(scores, tmp_path / "both.html", climate=scores)
