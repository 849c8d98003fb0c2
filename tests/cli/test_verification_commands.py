"""The command that scores forecasts: what it passes on, prints and saves."""

import re

import numpy as np
import pytest
import xarray as xr
from command_line import run

from flexclim import verify


@pytest.fixture
def files(tmp_path):
    """A forecast of two variables, and its truth."""
    values = np.random.default_rng(0).normal(size=(4, 1, 8, 8))
    dims = "realization", "time", "lat", "lon"
    forecast = xr.Dataset(
        {"u10": (dims, values, {"units": "m s-1"}), "t2m": (dims, 280 + values, {"units": "K"})},
        {
            "time": [np.datetime64("2020-01-01", "ns")],
            "lat": 60.0 - np.arange(8),
            "lon": 5.0 + np.arange(8),
        },
    )
    paths = tmp_path / "forecast.nc", tmp_path / "truth.nc"
    forecast.isel(realization=slice(1, None)).to_netcdf(paths[0])
    forecast.isel(realization=0).to_netcdf(paths[1])
    return paths


def test_variables_and_thresholds_are_chosen_and_scores_saved(files, tmp_path, capsys):
    saved = tmp_path / "scores.nc"
    chosen = "--variables", "u10", "--thresholds", "u10=0.5"
    assert run("verify", *files, *chosen, "--save", saved) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[:-1]] == ["variable", "u10"]
    assert printed[-1] == str(saved)
    with xr.open_dataset(files[0]) as forecast, xr.open_dataset(files[1]) as truth:
        brier = verify.brier(forecast.u10, truth.u10, 0.5)
    with xr.open_dataset(saved) as scores:
        assert scores.attrs["variables"] == "u10"
        assert float(scores["brier.u10"][0, 0]) == pytest.approx(float(brier))
    assert run("verify", *files, *chosen, "--save", saved) == 1
    assert "scores.nc exists. Give --overwrite" in capsys.readouterr().err


def test_stores_on_servers_are_scored(files, capsys):
    urls = [f"memory://scored/{path.stem}.zarr" for path in files]
    for path, url in zip(files, urls, strict=True):
        with xr.open_dataset(path) as fields:
            fields.to_zarr(url)
    assert run("verify", *urls, "--coarse", urls[1]) == 1
    assert "memory:/" not in capsys.readouterr().err.replace("memory://", "")
    assert run("verify", *urls) == 0
    assert "u10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--variables", "v10"), 1, "forecast.nc has no variable 'v10'. It has: u10, t2m."),
        (("--thresholds", "u10"), 2, "'u10' is not of the form u10=12"),
        (("--thresholds", "u10=high"), 2, "is not of the form u10=12"),
        (("--save", "scores.csv"), 2, "ends in neither .zarr nor .nc"),
        (("--save", "s3://bucket/scores.nc"), 2, "NetCDF files are written to local folders"),
    ],
)
def test_wrong_arguments_are_errors(files, capsys, arguments, code, message):
    assert run("verify", *files, *arguments) == code
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_verify_compares_climates_of_other_years_and_grids(capsys, tmp_path):
    def write(name, first, step, warmer, members=()):
        time = xr.date_range(first, periods=730)
        axis = 50 + step * np.arange(round(4 / step)) + step / 2
        shape = (*members, 730, axis.size, axis.size)
        values = 280 + warmer + np.random.default_rng(0).normal(size=shape)
        dims = ("realization", "time", "lat", "lon")[-len(shape) :]
        coords = {"time": time, "lat": axis, "lon": axis}
        field = xr.DataArray(values, coords, dims, "tas", {"units": "K"})
        field.to_netcdf(tmp_path / name)
        return tmp_path / name

    fine = write("fine.nc", "2002-01-01", 0.5, 1, members=(2,))
    truth, coarse = (write(f"{n}.nc", "2001-01-01", 1.0, w) for n, w in (("truth", 0), ("gcm", 3)))
    report = tmp_path / "climate.html"
    options = "--coarse", coarse, "--climate", "--report", report
    assert run("verify", fine, truth, *options) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["variable", "statistic", "truth", "forecast", "coarse"]
    cells = [re.split(r"\s{2,}", line) for line in printed[1:-1]]
    rows = {statistic: numbers for _, statistic, *numbers in cells}
    assert [round(float(one)) for one in rows["mean, K"]] == [280, 281, 283]
    assert rows["|bias|, K"][0] == "–"
    assert float(rows["|bias|, K"][2]) == pytest.approx(3, abs=0.2)
    assert printed[-1] == str(report)
    assert "Climate of simulations" in report.read_text()
    assert run("verify", fine, truth, "--climate", "--thresholds", "tas=280") == 2
