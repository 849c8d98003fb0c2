"""What is found in a Dataset when it enters."""

import coarse_fields
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError, GridError
from flexclim.planning.source import resolve


@pytest.fixture
def dataset():
    field = coarse_fields.region(2).assign_attrs(units="K")
    return field.to_dataset().assign(
        flag=field > 0, count=field.astype("int16"), step=("time", [1.0, 2.0])
    )


def test_fields_are_numbers_along_both_grid_dimensions(dataset):
    source = resolve(dataset)
    assert source.fields == ("t", "count")
    assert {name: times.valid for name, times in source.times.items()} == {
        "t": "time",
        "count": "time",
    }
    assert (source.grid.y, source.grid.x) == ("lat", "lon")
    assert (source.units("t"), source.units("step")) == ("K", None)


def test_nothing_is_computed(dataset):
    def explode(block):
        raise RuntimeError("computed")

    values = da.from_array(dataset["t"].values).map_blocks(explode, dtype="float32")
    source = resolve(dataset.assign(t=dataset["t"].copy(data=values)))
    assert "t" in source.fields


def test_a_stated_kind_comes_before_the_model_s(dataset):
    stated, open_ = resolve(dataset, "cell"), resolve(dataset)
    assert stated.grid_for("point").domain.kind == "cell"
    assert open_.grid_for("point").domain.kind == "point"
    assert open_.grid_for(None) is open_.grid


@pytest.mark.parametrize(
    "name", ["number", "member", "ensemble", "member_id", "ens", "Realisation"]
)
def test_an_ensemble_of_any_name_lies_along_realization(name):
    field = coarse_fields.region(2).rename(time=name).assign_coords({name: [3, 1]})
    source = resolve(field)
    assert source["t"].dims == ("realization", "lat", "lon")
    assert source["t"].realization.values.tolist() == [3, 1]


def test_what_has_no_dates_is_named(dataset):
    assert resolve(dataset).times["t"].dated
    hours = ("time", [0.0, 6.0], {"units": "hours since 1900-01-01"})
    numbers = resolve(dataset.assign_coords(time=hours))
    assert not numbers.times["t"].dated
    expected = "'time' of 't' holds numbers in 'hours since 1900-01-01', not dates."
    assert numbers.without_dates("t").startswith(expected)
    none = resolve(dataset.isel(time=0, drop=True))
    assert none.without_dates("t").startswith("'t' has no time.")


def test_what_is_no_field_raises(dataset):
    with pytest.raises(FlexclimError, match="can't have the name 'realization'"):
        resolve(dataset["t"].rename("realization"))
    with pytest.raises(GridError):
        resolve(xr.DataArray(np.zeros(3), dims="station", name="t"))
