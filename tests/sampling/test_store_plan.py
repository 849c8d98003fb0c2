"""A store is extended only by requests that make the same values."""

import json

import coarse_fields
import numpy as np
import past_fields
import pytest
import xarray as xr

from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import StoreError
from flexclim.forecasting import forecast, forecast_to_zarr
from flexclim.models.card import Coverage, NoisePersistence

RAIN = {"standard_name": "rainfall_rate", "units": "mm h-1", "long_name": "rain"}


def rain(times=2, **attributes):
    return np.maximum(coarse_fields.region(times), 0).assign_attrs(RAIN | attributes).rename("tp")


@pytest.fixture
def options(toy_model):
    return {"factor": 2, "model": toy_model, "members": 2, "steps": 1, "batch": 4}


@pytest.mark.parametrize(("begun", "other"), [(None, False), (False, True), (True, False)], ids=str)
def test_another_treatment_of_negative_values_is_refused(options, tmp_path, begun, other):
    place = tmp_path / "a.zarr"
    stored = downscale_to_zarr(rain(), place, non_negative=begun, **options)
    with pytest.raises(StoreError, match=r"begun with .*targets tp bounds lower"):
        downscale_to_zarr(rain(4), place, non_negative=other, **options)
    # What is not stated again stays as it was.
    grown = downscale_to_zarr(rain(4), place, **options)
    np.testing.assert_array_equal(grown["tp"][:, :2], stored["tp"])
    whole = downscale(rain(4), non_negative=begun, **options)
    np.testing.assert_array_equal(grown["tp"], whole)


def test_what_is_stated_later_is_no_inferred_bound(options, tmp_path):
    """An inferred bound does not hold in fields below it, where a stated one does."""
    place = tmp_path / "a.zarr"
    downscale_to_zarr(rain(), place, **options)
    with pytest.raises(StoreError, match="targets tp bounds stated false, not true"):
        downscale_to_zarr(rain(4), place, non_negative=True, **options)


def test_bounds_survive_attributes_that_were_lost_on_the_way(options, tmp_path):
    place, field = tmp_path / "a.zarr", rain(4).rename("p1")
    downscale_to_zarr(field[:2], place, **options)
    lost = field.drop_attrs().assign_attrs(units="mm h-1", long_name="a field")
    assert (downscale(lost, **options) < 0).any()
    grown = downscale_to_zarr(lost, place, **options)
    np.testing.assert_array_equal(grown["p1"], downscale(field, **options))
    assert grown["p1"].attrs["standard_name"] == "rainfall_rate"
    assert grown["p1"].attrs["long_name"] == "a field"


@pytest.mark.parametrize(
    ("attributes", "named"),
    [
        ({"units": "m h-1"}, r"inputs tp units .mm h-1., not .m h-1."),
        ({"missing_value": 0.0}, r"inputs tp missing"),
        ({"valid_max": 1.0}, r"inputs tp missing"),
    ],
)
def test_attributes_that_change_the_meaning_of_values(options, tmp_path, attributes, named):
    place = tmp_path / "a.zarr"
    downscale_to_zarr(rain(), place, **options)
    with pytest.raises(StoreError, match=named):
        downscale_to_zarr(rain(4, **attributes), place, **options)


def test_attributes_that_only_name_a_field_may_change(options, tmp_path):
    place = tmp_path / "a.zarr"
    downscale_to_zarr(rain(), place, **options)
    grown = downscale_to_zarr(rain(4, long_name="rain rate", comment="checked"), place, **options)
    np.testing.assert_array_equal(grown["tp"], downscale(rain(4), **options))


def test_a_vector_that_is_no_longer_one_is_refused(options, tmp_path):
    """Its sign flips at a pole, and its noise is that of a component."""
    place, wind = tmp_path / "a.zarr", coarse_fields.region(2).rename("speed_east")
    component = wind.assign_attrs(standard_name="eastward_wind")
    downscale_to_zarr(component, place, **options)
    with pytest.raises(StoreError, match="targets speed_east vector true, not false"):
        downscale_to_zarr(wind, place, **options)


def test_another_kind_of_grid_is_refused(options, tmp_path):
    place = tmp_path / "a.zarr"
    downscale_to_zarr(rain(), place, grid="cell", **options)
    with pytest.raises(StoreError, match=r"grid kind .cell., not .point."):
        downscale_to_zarr(rain(), place, grid="point", **options)


@pytest.fixture(scope="module")
def forecaster(make_forecaster):
    return make_forecaster(past_fields.TARGETS, past=2, leads=(6.0,), steps=1)


@pytest.fixture
def past():
    fields = past_fields.fields(np.arange(60.0, 44, -1), np.arange(5.0, 21))
    fields["tp"].attrs |= RAIN
    return fields


def test_forecasts_are_extended_by_the_same_treatment(past, forecaster, tmp_path):
    place, options = tmp_path / "a.zarr", {"model": forecaster, "members": 2, "batch": 2}
    stored = forecast_to_zarr(past, place, 1, **options)
    assert float(stored["tp"].min()) == 0
    with pytest.raises(StoreError, match=r"targets tp bounds lower 0.0, not null"):
        forecast_to_zarr(past, place, 2, non_negative=False, **options)
    lost = past.assign(tp=past["tp"].drop_attrs().assign_attrs(units="mm h-1", long_name="x"))
    grown = forecast_to_zarr(lost, place, 2, **options)
    whole = forecast(past, 2, **options)
    np.testing.assert_allclose(grown["tp"], whole["tp"], atol=1e-5)
    with pytest.raises(StoreError, match="units"):
        forecast_to_zarr(
            past.assign(tp=past["tp"].assign_attrs(units="m h-1")), place, 2, **options
        )


def test_the_plan_holds_the_number_of_the_algorithm_not_the_version(options, tmp_path):
    stored = downscale_to_zarr(rain(), tmp_path / "a.zarr", **options)
    plan = json.loads(stored.attrs["flexclim_plan"])
    assert plan["sampling"] == 1
    assert "version" not in plan
    assert stored.attrs["flexclim_version"]
    assert plan["grid"] == {
        "kind": "cell", "wrap": False, "north": "edge", "south": "edge", "units": "degrees"
    }  # fmt: skip
    assert plan["inputs"] == {"tp": {"units": "mm h-1"}}
    assert xr.open_zarr(tmp_path / "a.zarr").attrs["flexclim_plan"] == stored.attrs["flexclim_plan"]


def test_ar1_noise_of_a_store_keeps_its_time_scale(make_toy, tmp_path):
    """A store begun before the noise of a model was calibrated is continued as it was."""
    ranges = {"values": (-9.0, 9.0), "scale": (0.0, 9.0), "contrast": (0.0, 9.0)}
    entry = Coverage(variable="t", spacing_km=25.0, hours={4: 6.0}, **ranges)
    noise = {4: NoisePersistence(hours=9.0, constant=0.2, lasting=0.4)}
    before, after = (
        make_toy(card={"coverage": (one,)})
        for one in (entry, entry.model_copy(update={"noise": noise}))
    )
    options = {"factor": 4, "noise": "ar1", "device": "cpu", "batch": 2}
    store, field = tmp_path / "fine.zarr", coarse_fields.region(2)
    downscale_to_zarr(field, store, model=before, members=1, **options)
    longer = downscale_to_zarr(field, store, model=after, members=2, **options)
    whole, again = (downscale(field, model=one, members=2, **options) for one in (before, after))
    np.testing.assert_array_equal(longer.t.values, whole.values)
    assert abs(again - whole).max() > 0
