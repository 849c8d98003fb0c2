"""Tasks of a forecast: one per step and group of members, each on filled fields."""

import numpy as np
import pytest
from past_fields import STATICS, TARGETS, UNITS, fields

import flexclim
from flexclim.forecasting import forecast
from flexclim.models.channels import Label
from flexclim.sampling.local_scaling import fill_missing


@pytest.fixture
def globe():
    """Return three times on a global grid of cells."""
    return fields(np.linspace(82.5, -82.5, 12), np.arange(0.0, 360, 15))


@pytest.fixture
def region():
    """Return three times of a field as large as a tile."""
    return fields(np.arange(60.0, 44, -1), np.arange(5.0, 21))


@pytest.fixture(scope="module")
def model(make_forecaster):
    """Return a model of wind and rain that knows place, season and hour."""
    label = (Label(name="lead"), Label(name="day_of_year"))
    return make_forecaster(TARGETS, statics=STATICS, label=label, card={"units": UNITS})


@pytest.fixture
def run(model):
    def run(past, leads=2, **options):
        return forecast(past, leads, **({"model": model, "members": 2, "batch": 8} | options))

    return run


def test_the_first_lead_takes_one_step_and_a_member_its_group(run, globe, sampled):
    ahead = run(globe.chunk(), 3, members=4, batch=4)
    assert sampled == []
    ahead["u10"].isel(time=0, realization=3).compute(scheduler="synchronous")
    assert sampled == [("01-01T00", (2, 3))]
    sampled.clear()
    ahead[["u10", "tp"]].isel(time=1, realization=0).compute(scheduler="synchronous")
    assert sampled == [("01-01T00", (0, 1)), ("01-01T06", (0, 1))]


def test_missing_cells_are_filled_anew_at_each_step(run, region, monkeypatch):
    """The network never learnt what to make of them: it reads what lies next to them."""
    seen = []
    plain = flexclim.sampling.planes.forecast_inputs

    def noted(past, *rest):
        if not any(np.shares_memory(past, one) for one in seen):
            seen.append(past)
        return plain(past, *rest)

    monkeypatch.setattr(flexclim.sampling.planes, "forecast_inputs", noted)
    hole = (region.lat > 55) & (region.lon < 9)
    run(region.assign(u10=region["u10"].where(~hole)), 3, grid="cell", members=1)
    assert len(seen) == 3
    hidden = flexclim.find_grid(region, "cell").canonical(hole.transpose("lat", "lon").values)
    for past in seen:
        last = past[-1, 0]
        np.testing.assert_array_equal(last, fill_missing(np.where(hidden, np.nan, last)))
