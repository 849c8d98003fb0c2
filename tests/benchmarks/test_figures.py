"""What draws the pages on models, and what measures members in time."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from benchmarks import coherence
from benchmarks.figures import downscaled, drawing, forecasts
from benchmarks.figures.shown import Shown
from benchmarks.forecast.cases import CASES
from flexclim.models.channels import Target


@pytest.fixture
def shown():
    """Return a field of 2 x 96 x 96 cells that is missed by far in one window."""
    random = np.random.default_rng(0)
    coords = {
        "time": pd.date_range("2018-09-01", periods=2),
        "latitude": 60.0 - np.arange(96),
        "longitude": np.arange(96.0),
    }
    truth = xr.DataArray(random.normal(size=(2, 96, 96)), coords, list(coords), name="u10")
    truth.attrs["units"] = "m s-1"
    members = truth + xr.DataArray(
        random.normal(size=(3, 2, 96, 96)), dims=["realization", *coords]
    )
    members = members.transpose("realization", ...).assign_coords(realization=range(3))
    members[:, 1, 48:, :48] += 5
    coarse = truth.coarsen(latitude=4, longitude=4).mean()
    bicubic = truth.copy()
    return Shown(
        name="a",
        title="a",
        truth=truth,
        given=coarse,
        simple=bicubic,
        members=members,
        given_title="coarse",
        rival="bicubic",
        how="2 fields",
        step=4,
    )


@pytest.mark.slow
def test_the_worst_place_is_found_and_drawn(shown, tmp_path):
    usual, worst = shown.places()
    assert worst == (1, (48, 0))
    gap = replace(shown, truth=shown.truth.where(shown.truth.latitude > 12))
    assert {place for _, place in gap.places()} <= {(0, 0), (0, 48)}
    assert not np.isnan(list(gap.scores().values())).any()
    assert usual != worst
    window = shown.window(*worst, "given")
    assert window.sizes == {"latitude": 12, "longitude": 12}
    assert float(window.latitude[0]) == pytest.approx(60 - 48 - 1.5)
    drawing.save(drawing.draw(shown), tmp_path / "a.png")
    assert 10_000 < (tmp_path / "a.png").stat().st_size < 200_000


@pytest.mark.slow
def test_a_model_of_any_field_is_shown_once_a_kind(toy_model):
    assert tuple(case.name for case in downscaled.cases(toy_model)) == downscaled.SHOWN
    assert not forecasts.cases(toy_model)


def test_members_in_time_are_compared_by_hand():
    times = pd.date_range("2018-09-14", periods=8, freq="6h")
    wave = np.cos(2 * np.pi * np.arange(8) / 4)[:, None, None] * np.ones((1, 2, 2))
    field = xr.DataArray(wave, {"time": times}, ["time", "y", "x"]).to_dataset(name="u10")
    assert coherence.variance_of_steps(field.u10) == pytest.approx(1)
    members = xr.concat([1 + 2 * field, 1 + 2 * field], "realization").transpose("realization", ...)
    case = replace(coherence.CASES["gfs-2018"], variables=("u10",), lags=(2, 4))
    shown = coherence.table(case, {"truth": field, "ar1": members}, xr.zeros_like(field))
    assert shown.heads == ["12 h", "24 h", "differences", "fair CRPS, m/s"]
    assert shown.rows[0] == ["truth", "-1.00", "1.00", "1.00", ""]
    assert shown.rows[1][0] == "AR(1)"
    assert shown.rows[1][3] == "4.00"


@pytest.mark.slow
def test_forecasts_are_shown_at_their_first_and_last_lead(make_forecaster, tmp_path):
    random = np.random.default_rng(0)
    flows = xr.Dataset(
        {"vorticity": (("time", "y", "x"), random.normal(size=(5, 64, 64)).cumsum(0))},
        {"time": pd.date_range("2000-01-01", periods=5, freq="6h"), "y": -np.arange(64.0)},
    ).assign_coords(x=np.arange(64.0))
    model = make_forecaster((Target(name="vorticity", std=20.0),), leads=(6.0,))
    case = replace(
        next(case for case in CASES if case.name == "turbulence-unseen"),
        variables=("vorticity",),
        hours=6.0,
        leads=3,
        load=lambda folder, case, past, ahead: iter([flows, flows + 1]),
    )
    first, last = forecasts.forecasts(model, case, tmp_path, 2)
    assert first.title.endswith(", 6 h ahead")
    assert last.title.endswith(", 18 h ahead")
    for shown, lead in ((first, 1), (last, 3)):
        np.testing.assert_array_equal(shown.truth[0], flows.vorticity[1 + lead])
        np.testing.assert_array_equal(shown.given[1], flows.vorticity[1] + 1)
        made = flexclim.forecast(
            flows[["vorticity"]].isel(time=slice(2)), 3, model=model, members=8
        )
        np.testing.assert_allclose(shown.members[:, 0], made.vorticity[:, lead - 1], rtol=1e-5)
        assert shown.scores()["fair CRPS relative to persistence's MAE"] > 0
    drawing.save(drawing.draw(last), tmp_path / "a.png")
