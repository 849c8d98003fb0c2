"""What draws the pages on models, and what measures members in time."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from benchmarks import coherence, figures
from benchmarks.skill.cases import CASES


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
    case = next(case for case in CASES if case.name == "gfs-wind-x4")
    return figures.Shown(truth, coarse, bicubic, members, case)


@pytest.mark.slow
def test_the_worst_place_is_found_and_drawn(shown, tmp_path):
    usual, worst = figures.places(shown)
    assert worst == (1, (48, 0))
    assert usual != worst
    window = shown.window(*worst, "coarse")
    assert window.sizes == {"latitude": 12, "longitude": 12}
    assert float(window.latitude[0]) == pytest.approx(60 - 48 - 1.5)
    figures.save(figures.draw(shown, usual, worst), tmp_path / "a.png")
    assert 10_000 < (tmp_path / "a.png").stat().st_size < 200_000


@pytest.mark.slow
def test_a_model_of_any_field_is_shown_once_a_kind(toy_model):
    shown = [case.name for case in CASES if figures.fits(toy_model, case)]
    assert tuple(shown) == figures.SHOWN


def test_steps_and_spectra_in_time_by_hand():
    times = pd.date_range("2018-10-15", periods=16, freq="3h")
    wave = np.cos(2 * np.pi * np.arange(16) / 8)[:, None, None] * np.ones((1, 2, 2))
    field = xr.DataArray(wave, {"time": times}, ["time", "latitude", "longitude"])
    assert coherence.structure(field, 12) == pytest.approx(4 * np.mean(wave[:12] ** 2), rel=1e-6)
    power = coherence.spectrum(field)
    assert power.argmax() == 1  # the second frequency: 24 h in 48 h
    member = xr.concat([10 ** (3 / 20) * field, 10 ** (3 / 20) * field], "realization")
    assert coherence.decibels(member, field) == "3.00"
    assert coherence.decibels(field, field) == ""
