import numpy as np
import pytest
import xarray as xr

from flexclim.grids.attributes import plain_attributes, with_plain_attributes
from flexclim.grids.discovery import find_grid
from flexclim.resampling import coarsen
from flexclim.resampling.regridding import regrid

NONSENSE = (None, [], ["a", "b"], np.array([1, 2]), {"a": 1}, np.nan, 3, b"K", True)
KEYS = ("units", "standard_name", "bounds", "cell_measures", "grid_mapping", "coordinates", "axis")


@pytest.fixture
def field():
    values = np.arange(24.0).reshape(4, 6)
    coords = {"lat": [53.0, 52, 51, 50], "lon": np.arange(5.0, 11)}
    return xr.DataArray(values, coords=coords, dims=("lat", "lon"), name="t")


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (b"K", "K"),
        (np.array("K"), "K"),
        (["K"], "K"),
        (np.float32(1), "1"),
        (1, "1"),
        (True, None),
        (np.nan, None),
        (None, None),
        ([], None),
        ({"a": 1}, None),
        (np.array([1, 2]), None),
    ],
)
def test_units_are_text(given, plain):
    assert plain_attributes({"units": given}).get("units") == plain


def test_several_texts_become_one():
    names = np.array(["nav_lat", "nav_lon"], object)
    assert plain_attributes({"coordinates": names}) == {"coordinates": "nav_lat nav_lon"}


@pytest.mark.parametrize("flags", [None, [], np.nan, [np.nan, 1], b"K", {"a": 1}])
def test_flags_without_numbers_are_none(flags):
    assert plain_attributes({"flag_values": flags, "flag_masks": flags}) == {}


def test_flags_are_kept():
    assert plain_attributes({"flag_values": [0, 1]}) == {"flag_values": [0, 1]}
    assert plain_attributes({"flag_values": "0, 1"}) == {"flag_values": "0, 1"}


def test_an_object_with_plain_attributes_is_returned_as_it_is(field):
    assert with_plain_attributes(field) is field


def test_the_given_object_is_not_changed(field):
    field.attrs, field.lat.attrs = {"units": b"K", 3: "x"}, {"bounds": ["lat_bnds"]}
    for obj in (field, field.to_dataset()):
        plain = with_plain_attributes(obj)
        assert plain["t" if isinstance(obj, xr.Dataset) else "lat"].attrs
        assert plain["lat"].attrs == {"bounds": "lat_bnds"}
        assert obj["lat"].attrs == {"bounds": ["lat_bnds"]}
    assert with_plain_attributes(field).attrs == {"units": "K", "3": "x"}
    assert field.attrs == {"units": b"K", 3: "x"}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("where", ["lat", "t"])
def test_attributes_of_wrong_types_change_no_value(field, where, key):
    target = xr.Dataset(coords={"lat": [52.5, 51.5], "lon": [6.5, 8.5]})
    right = coarsen(field, 2).values, regrid(field, target).values
    for value in NONSENSE:
        odd = field.to_dataset()
        odd[where].attrs[key] = value
        assert find_grid(odd).domain == find_grid(field).domain
        np.testing.assert_array_equal(coarsen(odd, 2)["t"], right[0])
        np.testing.assert_array_equal(regrid(odd, target)["t"], right[1])
