import pytest

from flexclim import FlexclimError, verify
from flexclim.verify.report.summary import table_text


def test_the_summary_averages_as_the_scores_do(scores, fields):
    forecast, truth, _ = (f["u10"] for f in fields)
    means = verify.summary(scores).sel(candidate="forecast")
    for name in ("crps", "rmse", "mae", "spread_skill"):
        whole = float(getattr(verify, name)(forecast, truth))
        assert float(means[f"{name}.u10"]) == pytest.approx(whole, rel=1e-9)
    table = verify.table(scores)
    assert table.loc[("u10", "forecast"), "CRPS"] == float(means["crps.u10"])
    assert table.shape[0] == 4
    text = table_text(scores)
    assert text.splitlines()[0].split()[:3] == ["variable", "candidate", "CRPS"]
    assert len(text.splitlines()) == 5


def test_a_bias_of_rounding_alone_is_shown_as_zero(scores):
    scores["bias.u10"] = scores["bias.u10"] * 0 + 1e-9
    assert verify.table(scores).loc[("u10", "forecast"), "bias"] == 0
    assert table_text(scores).splitlines()[1].split()[5] == "0"


def test_scores_from_elsewhere_raise_an_error(fields):
    with pytest.raises(FlexclimError, match="no scores among"):
        verify.summary(fields[1])


def test_a_time_without_truth_is_left_out(scores, fields):
    forecast, truth, _ = (f["u10"] for f in fields)
    gap = truth.where(truth.time != truth.time[1])
    means = verify.summary(verify.evaluate(forecast, gap))
    kept = [one.sel(time=truth.time != truth.time[1]) for one in (forecast, truth)]
    found = float(means["spread_skill.u10"].sel(candidate="forecast"))
    assert found == pytest.approx(float(verify.spread_skill(*kept)), rel=1e-9)
