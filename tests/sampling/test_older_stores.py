"""Stores of 0.1.0 are continued to the values that it would have made, or refused in one line."""

import json

import coarse_fields
import numpy as np
import pytest
import xarray as xr
import zarr

from flexclim.cf.physical_bounds import NO_BOUNDS, Bounds
from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimWarning, StoreError
from flexclim.sampling.older_stores import RECORDED, bounds_as_begun
from flexclim.stores import Place

CLIPPED = Bounds(lower=0.0, stated=True)


@pytest.fixture
def options(toy_model):
    return {"factor": 2, "model": toy_model, "members": 2, "steps": 1, "batch": 4}


def rain(times=2):
    attributes = {"standard_name": "rainfall_rate", "units": "mm h-1"}
    return np.maximum(coarse_fields.region(times), 0).assign_attrs(attributes).rename("tp")


def humidity(times=2):
    attributes = {"standard_name": "relative_humidity", "units": "%"}
    field = 95 + 3 * coarse_fields.region(times)
    return field.clip(max=100).assign_attrs(attributes).rename("hurs")


def age(place, **changed):
    """Leave of a store's plan what 0.1.0 recorded."""
    group = zarr.open_group(place, use_consolidated=False)
    plan = json.loads(group.attrs["flexclim_plan"])
    plan = {k: v for k, v in plan.items() if k in RECORDED} | {"version": "0.1.0"} | changed
    group.attrs["flexclim_plan"] = json.dumps(plan)
    group.attrs.pop("flexclim_first_shards", None)
    zarr.consolidate_metadata(place)


def begin(field, place, **options):
    """Begin a store with the bounds that 0.1.0 had, which knew no upper ones."""
    stored = downscale_to_zarr(field, place, **options)
    age(place)
    return stored


def test_a_store_is_continued_and_gets_a_plan_of_today(options, tmp_path):
    place = tmp_path / "a.zarr"
    begin(rain(), place, **options)
    downscale_to_zarr(rain(), place, **options)  # nothing to do
    grown = downscale_to_zarr(rain(4), place, **(options | {"members": 3}))
    np.testing.assert_array_equal(
        grown["tp"], downscale(rain(4), **(options | {"members": 3, "batch": 4}))
    )
    assert json.loads(grown.attrs["flexclim_plan"])["sampling"] == 1
    downscale_to_zarr(rain(5), place, **(options | {"members": 3}))


def test_treatment_is_told_by_values(options, tmp_path):
    """Where they don't tell, by attributes of the store."""
    place = tmp_path / "a.zarr"
    begin(rain(), place, non_negative=False, **options)
    assert bounds_as_begun(Place(place), None) == {"tp": NO_BOUNDS}
    with pytest.raises(StoreError, match="begun with non_negative=False for 'tp', as its values"):
        downscale_to_zarr(rain(4), place, non_negative=True, **options)
    grown = downscale_to_zarr(rain(4), place, **options)
    np.testing.assert_array_equal(grown["tp"], downscale(rain(4), non_negative=False, **options))
    other = tmp_path / "b.zarr"
    begin(rain(), other, **options)
    assert bounds_as_begun(Place(other), None) == {"tp": CLIPPED}
    with pytest.raises(StoreError, match="begun with non_negative=True for 'tp', as its values"):
        downscale_to_zarr(rain(4), other, non_negative=False, **options)


def test_humidity_keeps_to_the_bounds_of_its_store(options, tmp_path):
    """0.1.0 did not limit per cent to 100."""
    place = tmp_path / "a.zarr"
    downscale_to_zarr(humidity(1), place, **options)
    assert float(downscale(humidity(), **options).max()) == 100
    age(place)
    assert bounds_as_begun(Place(place), None) == {"hurs": CLIPPED}
    with pytest.warns(FlexclimWarning, match="which did not limit 'hurs' to 100"):
        grown = downscale_to_zarr(humidity(2), place, **options)
    assert float(grown["hurs"][:, 1].max()) > 100
    # And so it does when it is extended again, by a plan of today.
    assert float(downscale_to_zarr(humidity(3), place, **options)["hurs"][:, 2].max()) > 100


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("hurs", {"standard_name": "relative_humidity"}, CLIPPED),
        ("x", {"standard_name": "air_temperature"}, NO_BOUNDS),
        ("x", {"long_name": "2 metre temperature"}, NO_BOUNDS),
        ("x", {"long_name": "total precipitation"}, CLIPPED),
        ("x", {"long_name": "precipitation anomaly", "units": "mm"}, NO_BOUNDS),
        ("x", {"long_name": "x", "units": "mm"}, CLIPPED),  # the long name that outputs get
        ("x", {"long_name": "depth", "units": "mm"}, NO_BOUNDS),
        ("swvl1", {"long_name": "soil water", "units": "m3 m-3"}, NO_BOUNDS),  # today it is one
    ],
)
def test_names_mean_what_they_did(tmp_path, name, attributes, expected):
    group = zarr.create_group(tmp_path / "a.zarr")
    array = group.create_array(
        name, shape=(1, 1, 2, 2), dtype="f4", chunks=(1, 1, 2, 2), shards=(1, 1, 2, 2)
    )
    array.attrs.update(attributes)
    array[:] = 5.0
    assert bounds_as_begun(Place(tmp_path / "a.zarr"), None) == {name: expected}
    for stated in (True, False):
        found = bounds_as_begun(Place(tmp_path / "a.zarr"), stated)
        assert found == {name: CLIPPED if stated else NO_BOUNDS}


def test_attributes_that_were_lost_are_refused_if_they_matter(options, tmp_path):
    place = tmp_path / "a.zarr"
    begin(rain(), place, **options)
    with pytest.raises(StoreError, match=r"'tp' with units 'mm h-1' .* this input .*units ''"):
        downscale_to_zarr(rain(4).drop_attrs(), place, **options)


def test_settings_that_were_recorded_still_count(options, tmp_path):
    place = tmp_path / "a.zarr"
    begin(rain(), place, **options)
    with pytest.raises(StoreError, match="begun with seed 0, not 1"):
        downscale_to_zarr(rain(4), place, seed=1, **options)
    with pytest.raises(StoreError, match="begun with input"):
        downscale_to_zarr(rain(4) + 1, place, **options)


def test_several_models_in_a_line_are_refused(options, tmp_path):
    place = tmp_path / "a.zarr"
    begin(rain(), place, **options)
    age(place, model_sha256="u10 v10: 12ab; t2m: 34cd")
    with pytest.raises(StoreError, match=r"with several models, .* can be read, but not continued"):
        downscale_to_zarr(rain(4), place, **options)
    assert xr.open_zarr(place)["tp"].shape[1] == 2


@pytest.mark.parametrize(
    ("coordinates", "same"),
    [
        ({}, True),
        ({"height": 2.0}, True),  # a coordinate of the vertical always counted
        ({"scenario": "ssp245"}, False),
        ({"reynolds": 1e4}, False),
    ],
)
def test_a_store_whose_noise_would_be_another_is_refused(options, tmp_path, coordinates, same):
    """It depended on fewer coordinates."""
    place = tmp_path / "a.zarr"
    begin(rain().assign_coords(coordinates), place, **options)
    more = rain(4).assign_coords(coordinates)
    if same:
        assert downscale_to_zarr(more, place, **options).sizes["time"] == 4
        return
    with pytest.raises(StoreError, match=r"drew other noise .* read, but not continued") as error:
        downscale_to_zarr(more, place, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kind", "conserve", "same"),
    [("point", True, False), ("point", False, True), ("cell", True, True)],
)
def test_a_store_whose_block_means_had_other_weights_is_refused(
    options, tmp_path, kind, conserve, same
):
    """Rows that two blocks of points share had half of the whole row's area in each."""
    place, options = tmp_path / "a.zarr", options | {"grid": kind, "conserve": conserve}
    begin(rain(), place, **options)
    if same:
        assert downscale_to_zarr(rain(4), place, **options).sizes["time"] == 4
        return
    with pytest.raises(
        StoreError, match=r"block means of 'tp' .* read, but not continued"
    ) as error:
        downscale_to_zarr(rain(4), place, **options)
    assert "\n" not in str(error.value)
