"""The correlation of noise in time is found from the truth and from members."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.cli import main
from flexclim.errors import FlexclimError
from flexclim.models.card import Coverage
from flexclim.train.noise_persistence import (
    calibrate_persistence,
    fit_persistence,
    lag_correlations,
    needed_correlation,
)


@pytest.fixture
def model(make_toy):
    ranges = {"values": (0.0, 1.0), "scale": (0.0, 1.0), "contrast": (1.0, 2.0)}
    parts = [Coverage(variable="t", spacing_km=spacing, **ranges) for spacing in (1.0, 50.0)]
    return make_toy(card={"coverage": tuple(parts)})


@pytest.fixture(scope="module")
def truth():
    """Return cells of which a part never changes."""
    random = np.random.default_rng(0)
    values = random.normal(size=(10, 32, 32)) + 2 * random.normal(size=(32, 32))
    return xr.Dataset(
        {"t": (("time", "y", "x"), values, {"units": "K"})},
        {
            "time": pd.date_range("2020-01-01", periods=10, freq="6h"),
            "y": ("y", np.arange(32.0)[::-1] * 1e3, {"units": "m", "axis": "Y"}),
            "x": ("x", np.arange(32.0) * 1e3, {"units": "m", "axis": "X"}),
        },
    )


def test_known_shares_are_found():
    hours = 6.0 * np.arange(1, 13)
    noise = 0.2 + 0.5 * np.exp(-hours / 9) + 0.1 * np.cos(2 * np.pi * hours / 24)
    independent, frozen = 0.2 * np.exp(-hours / 20), 0.6 + 0.3 * np.exp(-hours / 30)
    half = independent + 0.3 * (frozen - independent)

    def members(correlation):  # 0.2 and 0.8 of it and of its square
        return independent + (frozen - independent) * (0.2 + 0.8 * correlation) * correlation

    np.testing.assert_allclose(members(0.5), half)
    found = fit_persistence(hours, members(noise), independent, half, frozen)
    assert found.hours == pytest.approx(9, rel=0.1)
    shares = found.constant, found.lasting, found.daily
    np.testing.assert_allclose(shares, (0.2, 0.5, 0.1), atol=0.03)


@pytest.mark.parametrize("curve", [1.0, 0.3, -0.3, 0.0])
def test_the_needed_correlation_is_that_of_the_members(curve):
    noise = np.linspace(0, 1, 11)
    independent, frozen = 0.1, 0.7

    def members(correlation):
        return 0.1 + 0.6 * ((1 - curve) * correlation + curve * correlation**2)

    found = needed_correlation(members(noise), independent, members(0.5), frozen)
    np.testing.assert_allclose(found, noise, atol=1e-6)


def test_unreachable_correlations_are_the_nearest():
    truth = np.array([0.0, 0.9])
    found = needed_correlation(truth, *(np.full(2, one) for one in (0.1, 0.3, 0.7)))
    np.testing.assert_array_equal(found, [0, 1])


def test_members_that_persist_by_themselves_get_independent_noise():
    hours = np.arange(1.0, 9)
    steady = np.full(8, 0.5)
    found = fit_persistence(hours, steady, steady, np.full(8, 0.6), np.full(8, 0.9))
    assert found.constant == found.lasting == found.daily == 0


def test_lag_correlations_by_hand():
    series = xr.DataArray([[1.0, 2, 2, 1], [0, 0, 0, np.nan]], dims=("point", "time"))
    found = lag_correlations(series, "time", 2)
    np.testing.assert_allclose(found, [8 / 9, 4 / np.sqrt(5 * 5)])


def test_fields_without_structure_raise_an_error(model, truth):
    with pytest.raises(FlexclimError, match="correlations in time are undefined"):
        calibrate_persistence(model, xr.zeros_like(truth), 4, members=1)


def test_the_noise_is_no_option(model, truth):
    with pytest.raises(TypeError, match="noise"):
        calibrate_persistence(model, truth, 4, members=1, noise="frozen")


def test_the_card_holds_what_was_found(model, truth):
    found = calibrate_persistence(model, truth, 4, members=1)
    entries = [part for part in found.card.coverage if part.noise]
    assert [part.spacing_km for part in entries] == [1.0]
    assert 0.5 < entries[0].noise[4].constant <= 1
    assert found.sha256 == model.sha256
    coarse = flexclim.coarsen(truth, 4)
    fine = flexclim.downscale(coarse, 4, model=found, members=1, noise="ar1")
    assert fine.attrs["flexclim_noise_constant_share"] == entries[0].noise[4].constant


def test_from_a_shell(model, truth, tmp_path, capsys):
    folder = model.save(tmp_path / "model")
    truth.to_netcdf(tmp_path / "truth.nc")
    asked = ["calibrate", str(folder), str(tmp_path / "truth.nc"), "--persistence", "-n", "2"]
    with pytest.raises(SystemExit) as stop:
        main([*asked, "--in-place"])
    assert stop.value.code == 0
    assert "constant at x4" in capsys.readouterr().out
    assert flexclim.load_model(folder).card.coverage[0].noise
    with pytest.raises(SystemExit) as stop:
        main([*asked, "--in-place", "--lead", "6h"])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ds: ds.isel(time=slice(7)), "has 7 times, too few"),
        (lambda ds: ds.isel(time=[0, 1, 2, 4, 5, 6, 7, 8, 9]), "do not follow each other evenly: "),
        (lambda ds: ds.isel(time=slice(None, None, -1)), "do not follow each other evenly"),
        (lambda ds: ds.isel(time=0), "the truth has no dates"),
        (lambda ds: ds.rename(t="z"), "does not say what training covered of 'z'"),
    ],
)
def test_unsuitable_times_are_named(model, truth, change, message):
    with pytest.raises(FlexclimError, match=message):
        calibrate_persistence(model, change(truth), 4, members=1)
