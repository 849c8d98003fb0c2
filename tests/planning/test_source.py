"""What is found in a Dataset when it enters."""

import coarse_fields
import dask.array as da
import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError, GridError
from flexclim.planning.source import resolve, time_name


@pytest.fixture
def dataset():
    field = coarse_fields.region(2).assign_attrs(units="K")
    return field.to_dataset().assign(
        flag=field > 0, count=field.astype("int16"), step=("time", [1.0, 2.0])
    )


def test_fields_are_numbers_along_both_grid_dimensions(dataset):
    source = resolve(dataset)
    assert source.fields == ("t", "count")
    assert source.times == {"t": "time", "count": "time"}
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


def test_times_are_dimensions_or_scalars_named_time():
    field = coarse_fields.region(2)
    assert time_name(field) == "time"
    assert time_name(field.isel(time=0)) == "time"
    assert time_name(field.isel(time=0, drop=True)) is None
    assert time_name(field.rename(time="valid")) == "valid"
    reference = field.isel(time=0).rename(time="forecast_reference_time")
    assert time_name(reference) is None


def test_what_is_no_field_raises(dataset):
    with pytest.raises(FlexclimError, match="can't have the name 'realization'"):
        resolve(dataset["t"].rename("realization"))
    with pytest.raises(GridError):
        resolve(xr.DataArray(np.zeros(3), dims="station", name="t"))
