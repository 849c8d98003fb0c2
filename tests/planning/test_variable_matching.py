"""Fields found for a model's variables, and output under the users' own names and units."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimError, ModelError
from flexclim.forecasting import forecast
from flexclim.models.channels import Target, Variable
from flexclim.planning.source import resolve
from flexclim.planning.variable_matching import adopted, match


def temperature(name="t2m", freq="6h", **attributes):
    values = 280 + np.random.default_rng(0).normal(size=(2, 8, 8)).astype("float32")
    coords = {
        "time": pd.date_range("2018-09-14", periods=2, freq=freq),
        "lat": 50.0 - np.arange(8),
        "lon": 5.0 + np.arange(8),
    }
    return xr.DataArray(
        values, coords, ("time", "lat", "lon"), name, {"units": "K", **attributes}
    ).to_dataset()


def celsius(name):
    kelvin = temperature(name)
    return kelvin.assign({name: (kelvin[name] - 273.15).assign_attrs(units="degC")})


@pytest.fixture(scope="module")
def model(make_toy):
    return make_toy(
        1,
        1,
        {"variables": ("t2m",), "inputs": ("t2m",), "units": {"t2m": "K"}},
        inputs=(Variable(name="t2m", mean=280.0),),
        targets=(Target(name="t2m", base="t2m", mean=280.0),),
    )


def test_a_field_of_that_name_comes_first():
    source = resolve(temperature("t2m").assign(tas=temperature("tas")["tas"]))
    assert match(source, "t2m", "K").name == "t2m"
    assert match(source, "tas", "K").name == "tas"
    assert match(source, "2t", "K") is None  # two fields could be meant
    assert match(source, "vorticity", None) is None


def test_other_names_and_units_are_read_and_kept(model):
    plain = downscale(temperature(), 2, model=model, members=2)["t2m"]
    other = downscale(celsius("tas"), 2, model=model, members=2)["tas"]
    assert other.attrs["units"] == "degC"
    assert other.dtype == plain.dtype
    np.testing.assert_allclose(other + 273.15, plain, atol=2e-4)
    same_name = downscale(celsius("t2m"), 2, model=model, members=2)["t2m"]
    assert same_name.attrs["units"] == "degC"
    np.testing.assert_array_equal(same_name, other)


@pytest.mark.parametrize("lazy", [False, True])
def test_declared_missing_values_are_decoded_before_conversion(model, lazy):
    holes = celsius("tas").where(lambda ds: ds.tas > 6)
    coded = holes.fillna(-9999.0)
    coded["tas"].attrs |= {"_FillValue": -9999.0, "valid_range": [-100.0, 60.0], "units": "degC"}
    found = downscale(coded.chunk(lat=3) if lazy else coded, 2, model=model, members=1)["tas"]
    np.testing.assert_array_equal(found, downscale(holes, 2, model=model, members=1)["tas"])
    undeclared = coded.tas.drop_attrs().assign_attrs(units="degC").to_dataset()
    with pytest.raises(FlexclimError, match=r"'tas' has \d+ values of -9999, far from all others"):
        downscale(undeclared, 2, model=model)


def test_differences_of_temperatures_have_no_offset(model):
    change = (temperature()["t2m"] - 280).assign_attrs(units="degC", long_name="anomaly")
    anomaly = change.to_dataset()
    source = resolve(anomaly)
    found = match(source, "t2m", "K")
    assert (found.conversion.scale, found.conversion.offset) == (1, 0)
    np.testing.assert_array_equal(adopted(source, {"t2m": found})["t2m"], anomaly["t2m"])
    coarse = anomaly.assign_coords(lat=50 - 4.0 * np.arange(8), lon=4.0 * np.arange(8))
    assert downscale(coarse.chunk(), 4).attrs["flexclim_model"] == "flex-nano"


def test_output_can_be_selected_by_either_name(model):
    for name in ("tas", "t2m"):
        assert "tas" in downscale(celsius("tas"), 2, model=model, members=1, variables=[name])


@pytest.mark.slow
def test_laziness_and_stores(model, tmp_path):
    coarse = celsius("tas")
    lazy = downscale(coarse.chunk(time=1), 2, model=model, members=1)
    assert lazy["tas"].chunks is not None
    stored = downscale_to_zarr(coarse, tmp_path / "fine.zarr", 2, model=model, members=1)
    np.testing.assert_array_equal(stored["tas"], lazy["tas"])
    more = downscale_to_zarr(coarse, tmp_path / "fine.zarr", 2, model=model, members=2)
    np.testing.assert_array_equal(more["tas"][:1], lazy["tas"])
    assert more["tas"].attrs["units"] == "degC"


def test_units_that_do_not_convert_are_refused(model):
    with pytest.raises(ModelError, match="'tas' is in 'Pa', and model 'toy' reads t2m in 'K'"):
        downscale(temperature("tas", units="Pa"), 2, model=model)


@pytest.mark.slow
def test_the_bundled_models_are_chosen_by_meaning():
    values = temperature()["t2m"].assign_coords(lat=50 - 4.0 * np.arange(8), lon=4.0 * np.arange(8))
    units = {"tas": "degC", "uas": "kt", "vas": "kt"}
    ds = xr.Dataset({name: (values - 273.15).assign_attrs(units=u) for name, u in units.items()})
    fine = downscale(ds.chunk(), 4, members=1)
    models = {name: fine[name].attrs["flexclim_model"] for name in ("tas", "uas", "vas")}
    assert models == {"tas": "flex-t2m", "uas": "flex-wind", "vas": "flex-wind"}
    assert "made for uas (u10), vas (v10)" in fine["uas"].attrs["flexclim_model_choice"]


def test_hourly_rates_of_rain_are_amounts():
    rain = temperature("pr", "1h", units="kg m-2 s-1", standard_name="precipitation_flux")
    found = match(resolve(rain), "qpe_01h", "mm")
    assert found.name == "pr"
    assert found.conversion.scale == pytest.approx(3600)
    assert match(resolve(temperature("pr", "1D", units="kg m-2 s-1")), "qpe_01h", "mm") is None


def test_fields_that_need_no_change_are_not_copied():
    source = resolve(temperature())
    assert adopted(source, {"t2m": match(source, "t2m", "K")}) is source


@pytest.mark.slow
def test_forecasts_too():
    times = pd.date_range("2018-09-14", periods=3, freq="6h")
    coords = {"time": times, "lat": np.arange(30.0, -34, -1), "lon": np.arange(0.0, 64)}
    wind = xr.DataArray(
        np.random.default_rng(0).normal(size=(3, 64, 64)).astype("f4"), coords, list(coords)
    )
    plain = xr.Dataset(dict.fromkeys(("u10", "v10"), wind.assign_attrs(units="m s-1")))
    other = xr.Dataset(dict.fromkeys(("uas", "vas"), (wind * 3.6).assign_attrs(units="km h-1")))
    expected, found = (forecast(ds, leads=1, members=1, steps=1) for ds in (plain, other))
    assert found["uas"].attrs["units"] == "km h-1"
    np.testing.assert_allclose(found["uas"], 3.6 * expected["u10"], atol=1e-3)
