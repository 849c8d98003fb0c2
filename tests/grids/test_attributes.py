import numpy as np
import pytest
import xarray as xr

from flexclim import verify
from flexclim.grids.attributes import plain_attributes, with_plain_attributes
from flexclim.grids.discovery import find_grid
from flexclim.resampling import coarsen, interpolate
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


def test_quantities_of_pint_keep_their_units(field):
    pytest.importorskip("pint_xarray")
    import cf_xarray.units  # noqa: F401  knows degrees_north

    field = field.assign_attrs(units="m/s").assign_coords(
        lat=field.lat.assign_attrs(units="degrees_north")
    )
    quantities = field.pint.quantify()
    found, expected = coarsen(quantities, 2), coarsen(field, 2)
    xr.testing.assert_equal(found, expected)
    assert found.attrs["units"] == "m s-1"
    fast = field.copy(data=field * 3.6).assign_attrs(units="km h-1")
    assert float(verify.mae(quantities, fast)) == pytest.approx(0, abs=1e-12)
    lazy = with_plain_attributes(field.to_dataset().chunk().pint.quantify())
    assert lazy["t"].chunks is not None


@pytest.mark.parametrize("back", [coarsen, interpolate])
def test_what_grid_says_is_remembered(field, back):
    field = field.isel(lon=slice(None, 5)).pad(lat=(0, 1), mode="edge")
    field["lat"] = [53.0, 52, 51, 50, 49]
    coarse = coarsen(field, 2, grid="point")
    assert find_grid(coarse).domain.kind == "point"
    expected = back(coarse, 2, grid="point")
    xr.testing.assert_identical(back(coarse, 2).drop_attrs(), expected.drop_attrs())
    assert find_grid(expected).domain.kind == "point"
    assert find_grid(coarse, "cell").domain.kind == "cell"  # what is said counts first
    assert "flexclim_grid" not in coarsen(coarse, 3, grid="cell").lat.attrs


def test_rows_of_another_spacing_remember_nothing(field):
    coarse = interpolate(field, 2, grid="point")
    assert find_grid(coarse.isel(lat=slice(None, None, 2))).domain.kind == "cell"
