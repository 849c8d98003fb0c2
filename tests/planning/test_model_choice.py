"""The model that downscale chooses, and what it says of the choice."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimError, ModelError
from flexclim.models import catalogue
from flexclim.models.card import Coverage
from flexclim.models.channels import Static, Target, Variable
from flexclim.stores.datasets import open_input

SPACING = 111.195 / 4  # km, of 1 degree at x4


@pytest.fixture(scope="module")
def models(make_toy, tmp_path_factory):
    """Return a folder of toys: of any field, of wind, of temperature with orography."""
    folder = tmp_path_factory.mktemp("models")
    wind = tuple(Variable(name=name, vector=True) for name in ("u10", "v10"))
    near = {"spacing_km": (SPACING, SPACING)}
    make_toy().replace(card={"name": "flex-nano"}).save(folder / "flex-nano")
    make_toy(
        2,
        2,
        {"variables": ("u10", "v10"), "inputs": ("u10", "v10"), **near}
        | {"units": {"u10": "m s-1", "v10": "m s-1"}},
        inputs=wind,
        targets=tuple(Target(name=v.name, base=v.name, vector=True) for v in wind),
        factors=(4,),
    ).replace(card={"name": "flex-wind"}, steps=1).save(folder / "flex-wind")
    hours = Coverage(
        variable="t2m",
        spacing_km=SPACING,
        values=(200.0, 320.0),
        scale=(0.0, 9.0),
        contrast=(0.1, 9.0),
        hours={4: 5.0},
    )
    make_toy(
        1,
        2,
        {"variables": ("t2m",), "inputs": ("t2m",), "statics": ("orog",), **near}
        | {"units": {"t2m": "K"}, "coverage": (hours,)},
        inputs=(Variable(name="t2m"),),
        targets=(Target(name="t2m", base="t2m"),),
        statics=(Static(name="orog"),),
        factors=(4,),
    ).replace(card={"name": "flex-t2m"}).save(folder / "flex-t2m")
    return folder


@pytest.fixture(autouse=True)
def shipped(models, monkeypatch):
    monkeypatch.setattr(catalogue, "BUNDLED", models)


def fields(spacing=1.0, **changed):
    units = {"u10": "m s**-1", "v10": "m s-1", "t2m": "K", "msl": "Pa"} | changed
    random = np.random.default_rng(0)
    return xr.Dataset(
        {
            name: (("time", "lat", "lon"), 280 + random.normal(size=(1, 8, 8)), {"units": unit})
            for name, unit in units.items()
        },
        {
            "time": pd.date_range("2018-09-14", periods=1),
            "lat": 50 - spacing * np.arange(8),
            "lon": 5 + spacing * np.arange(8),
        },
    ).chunk()


@pytest.fixture
def static():
    lat, lon = np.arange(55.0, 35, -1), np.arange(0.0, 20)
    return xr.Dataset({"orog": (("lat", "lon"), np.ones((20, 20)))}, {"lat": lat, "lon": lon})


def chosen(fine):
    return fine.attrs["flexclim_model"]


def why(fine):
    return fine.attrs["flexclim_model_choice"]


def test_each_variable_goes_to_the_model_that_is_made_for_it(static):
    fine = downscale(fields(), 4, members=1, static=static)
    own = {name: fine[name].attrs for name in ("u10", "v10", "t2m", "msl")}
    models = {name: attributes["flexclim_model"] for name, attributes in own.items()}
    assert models == {"u10": "flex-wind", "v10": "flex-wind", "t2m": "flex-t2m", "msl": "flex-nano"}
    steps = {name: attributes["flexclim_steps"] for name, attributes in own.items()}
    assert steps == {"u10": 1, "v10": 1, "t2m": 2, "msl": 2}
    assert own["t2m"]["flexclim_static"] == "orog"
    assert "flexclim_static" not in own["msl"]
    assert fine.attrs["flexclim_seed"] == 0  # what all share is told once
    assert not {"flexclim_model", "flexclim_steps", "flexclim_static"} & set(fine.attrs)
    assert "flexclim_seed" not in own["u10"]
    assert list(fine.data_vars)[:4] == ["u10", "v10", "t2m", "msl"]
    assert why(fine["v10"]).startswith("flex-wind: made for u10, v10")
    assert why(fine["msl"]).startswith("flex-nano: serves any field")
    assert "flex-wind and flex-t2m and flex-nano" in fine.attrs["history"]


@pytest.mark.slow
def test_a_mixture_has_the_numbers_of_each_model(static):
    mixed = downscale(fields(), 4, members=1, static=static).compute()
    for name, model, given in (("t2m", "flex-t2m", static), ("msl", "flex-nano", None)):
        alone = downscale(fields()[[name]], 4, model=model, members=1, static=given).compute()
        np.testing.assert_array_equal(mixed[name], alone[name])


def test_attributes_of_an_earlier_run_do_not_hold(static):
    earlier = {"flexclim_model": "other", "flexclim_breaks": "[3]", "flexclim_lead_hours": 6.0}
    source = fields().assign_attrs(earlier, project="mine")
    fine = downscale(source, 4, static=static, members=1)
    assert fine.attrs.get("flexclim_model") != "other"
    assert not {"flexclim_breaks", "flexclim_lead_hours"} & fine.attrs.keys()
    assert fine.attrs["project"] == "mine"


def test_one_model_has_plain_attributes():
    fine = downscale(fields()[["u10", "v10"]], 4, members=1)
    assert chosen(fine) == "flex-wind"
    assert fine.attrs["flexclim_steps"] == 1
    only = downscale(fields(), 4, variables=["v10"], members=1)
    assert chosen(only) == "flex-wind"
    assert "u10" not in only


@pytest.mark.parametrize(
    ("source", "factor", "reason"),
    [
        (fields()[["u10"]], 4, "flex-wind reads v10 too"),
        (fields(u10="Pa")[["u10", "v10"]], 4, "flex-wind reads u10 in m s-1, not in Pa"),
        (fields(spacing=0.25)[["u10", "v10"]], 4, "flex-wind is for 27.8 to 27.8 km, not 6.95 km"),
        (fields()[["u10", "v10"]], 2, "flex-wind is for x4"),
        (fields()[["t2m"]], 4, "flex-t2m needs static orog"),
    ],
)
def test_what_does_not_fit_goes_to_flex_nano(source, factor, reason):
    fine = downscale(source, factor, members=1)
    assert chosen(fine) == "flex-nano"
    assert reason in why(fine)


def test_static_fields_that_nothing_takes_are_refused(static):
    with pytest.raises(ModelError, match="flex-t2m is for x4"):
        downscale(fields()[["t2m"]], 2, members=1, static=static)
    with pytest.raises(ModelError, match="takes no static fields"):
        downscale(fields()[["t2m"]], 4, model="flex-nano", members=1, static=static)
    with pytest.raises(FlexclimError, match="there is no field 'sst'"):
        downscale(fields(), 4, variables=["sst"])


def test_a_given_model_is_taken_as_it_is():
    fine = downscale(fields(), 4, model="flex-nano", members=1)
    assert chosen(fine) == "flex-nano"
    assert why(fine) == "flex-nano: as given"


def test_time_scales_of_noise_are_each_model_s_own(static):
    """flex-wind and flex-nano tell none here, flex-t2m does."""
    fine = downscale(fields()[["t2m"]], 4, static=static, noise="ar1", members=1)
    assert fine.attrs["flexclim_noise_timescale_seconds"] == 5 * 3600
    with pytest.raises(ModelError, match="'flex-wind' holds no correlation time"):
        downscale(fields(), 4, static=static, noise="ar1", members=1)


def test_a_store_is_continued_by_another_way_to_name_the_same_model(tmp_path):
    source = fields()[["u10", "v10"]]
    downscale_to_zarr(source, tmp_path / "fine.zarr", 4, members=1)
    again = downscale_to_zarr(source, tmp_path / "fine.zarr", 4, members=1, model="flex-wind")
    assert chosen(again) == "flex-wind"
    assert chosen(open_input(tmp_path / "fine.zarr")) == "flex-wind"


def test_the_list_says_for_what_in_a_line_each():
    lines = str(catalogue.list_models()).splitlines()
    assert [line.split()[0] for line in lines] == ["flex-nano", "flex-t2m", "flex-wind"]
