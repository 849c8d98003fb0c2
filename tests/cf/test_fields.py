import numpy as np
import pytest
import xarray as xr

from flexclim.cf.fields import as_dataset, fields_on, pick
from flexclim.errors import FlexclimError, FlexclimWarning
from flexclim.grids.discovery import find_grid
from flexclim.planning.source import resolve


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (xr.DataArray([0], dims="lat", name="lat"), "the same name as its coordinate 'lat'"),
        (xr.DataArray(0, coords={"run": 1}, name="run"), "the same name as its coordinate 'run'"),
    ],
)
def test_an_array_named_like_its_coordinate_is_refused(array, message):
    with pytest.raises(FlexclimError, match=message):
        as_dataset(array)


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        (3, {}, "the name of variable 3 is not a string"),
        ("t", {"scale_factor": 0.01, "add_offset": 5}, "scale_factor and add_offset unapplied"),
        ("t", {"_Unsigned": "true"}, "_Unsigned unapplied"),
    ],
)
def test_fields_that_do_not_mean_what_they_hold_are_refused(name, attributes, message):
    coords = {"lat": [1.0, 0.0], "lon": [5.0, 6.0]}
    packed = xr.DataArray(np.zeros((2, 2), "int16"), coords, ("lat", "lon"), attrs=attributes)
    ds = packed.to_dataset(name=name)
    with pytest.raises(FlexclimError, match=message):
        fields_on(ds, find_grid(ds))
    # Numbers with a point were unpacked by whoever made them.
    assert name == 3 or fields_on(ds.astype("float32"), find_grid(ds)) == [name]


def test_an_array_survives_the_way_through_a_dataset():
    array = xr.DataArray(np.eye(2), dims=("lat", "lon"), name="t", attrs={"history": "made"})
    ds = as_dataset(array)
    assert ds.attrs == {"history": "made"}
    xr.testing.assert_identical(pick(ds, "t"), array)


def test_variables_that_are_left_out_for_their_type_are_named(recwarn):
    array = xr.DataArray(np.eye(4), {"lat": np.arange(4.0), "lon": np.arange(4.0)}, name="t")
    hours = (array * 3600).astype("timedelta64[s]")
    ds = array.to_dataset().assign(
        sunshine=hours, dry=array > 0, when=hours + np.datetime64(0, "s")
    )
    message = r"'sunshine' \(timedelta64\[s\]\), 'dry' \(bool\), 'when' .*decode_timedelta=False"
    with pytest.warns(FlexclimWarning, match=message):
        assert resolve(ds).fields == ("t",)
    with pytest.warns(FlexclimWarning, match=r"^'sunshine' \S* 'when' \S* are left out: only"):
        assert {"t", "dry"} <= set(ds.flex.coarsen(2).data_vars)
    recwarn.clear()
    repr(ds.flex)
    resolve(ds, variables=["t"])
    resolve(ds[["t"]].assign(area=array.assign_attrs(standard_name="cell_area")))
    assert not recwarn
