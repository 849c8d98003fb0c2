"""Options of wrong types are refused in one line, never by an error of Python's or NumPy's."""

import datetime
from pathlib import Path

import coarse_fields
import numpy as np
import past_fields
import pytest
import xarray as xr

import flexclim
from flexclim.errors import FlexclimError

ODD = {
    "text": "abc",
    "bytes": b"x",
    "number": 1.5,
    "nan": np.nan,
    "huge": 10**30,
    "type": int,
    "list": [1, 2],
    "dict": {"a": 1},
    "array": np.array([1, 2]),
    "scalar array": np.array(2),
    "field": xr.DataArray([1.0]),
    "duration": datetime.timedelta(hours=6),
    "path": Path("/nowhere"),
    "complex": 1j,
}
SHARED = ("steps", "seed", "variables", "non_negative", "grid", "static", "overlap", "batch")
SHARED += ("members", "device", "precision", "compile", "model")


def call(function, *given, **options):
    """Call a function; only errors of flexclim's, in one short line, may come."""
    message = ""
    try:
        function(*given, **options)
    except FlexclimError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 500, message


def odd(name):
    """Return odd values of an option, without those that ask for too much."""
    heavy = {"huge"} if name in ("members", "steps", "leads") else set()
    return [value for kind, value in ODD.items() if kind not in heavy]


@pytest.mark.parametrize(
    "name", [*SHARED, "conserve", "noise", "noise_timescale", "time_factor", "factor", "obj"]
)
def test_downscale(name, toy_model):
    options = {"obj": coarse_fields.region().chunk(), "factor": 4, "model": toy_model, "steps": 1}
    if name == "noise_timescale":
        options["noise"] = "ar1"
    for value in odd(name):
        call(flexclim.downscale, **(options | {"members": 1, name: value}))


@pytest.fixture(scope="module")
def forecaster(make_forecaster):
    return make_forecaster(past_fields.TARGETS[:1], past=2, leads=(6.0,), steps=1)


@pytest.mark.parametrize("name", [*SHARED, "leads", "past"])
def test_forecast(name, forecaster):
    past = past_fields.fields(np.arange(60.0, 44, -1), np.arange(5.0, 21))[["u10"]].chunk()
    options = {"past": past, "leads": 1, "model": forecaster, "members": 1}
    for value in odd(name):
        call(flexclim.forecast, **(options | {name: value}))


@pytest.mark.parametrize("name", ["factor", "method", "grid", "obj"])
def test_resampling(name):
    options = {"obj": coarse_fields.region(), "factor": 2}
    for value in odd(name):
        call(flexclim.interpolate, **(options | {name: value}))
        if name != "method":
            call(flexclim.coarsen, **(options | {name: value}))
        if name in ("obj", "grid"):
            kind = {"kind": value} if name == "grid" else {}
            call(flexclim.find_grid, value if name == "obj" else options["obj"], **kind)


def test_stores(toy_model, tmp_path):
    field, options = coarse_fields.region(), {"factor": 4, "model": toy_model, "members": 1}
    for kind, value in ODD.items():
        if kind not in ("text", "path"):
            call(flexclim.check_store, value)
            call(flexclim.downscale_to_zarr, field, value, **options)
        if kind != "scalar array":
            call(flexclim.load_model, value)
            call(flexclim.downscale_to_zarr, field, tmp_path, keep_bits=value, **options)
