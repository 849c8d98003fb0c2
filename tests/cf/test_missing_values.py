import numpy as np
import pytest
import xarray as xr

from flexclim.cf.missing_values import check_values, declared, decoded
from flexclim.errors import FlexclimError, FlexclimWarning


@pytest.mark.parametrize("bad", [np.inf, -np.inf, 9.97e36, -3.4e38])
def test_check_values_names_what_it_finds(bad):
    array = np.zeros((3, 4), np.float32)
    array[0, 0], array[1, 1:3] = np.nan, bad
    with pytest.raises(
        FlexclimError, match="'u10' has 2 infinite or fill values at time 3, such as"
    ) as caught:
        check_values(array, "u10", "time 3")
    assert str(caught.value).endswith("Mask them with .where(abs(u10) < 1e30).")


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 2)), np.full(3, np.nan), np.arange(3), np.array([1e30, -1e30]), np.ones(2, bool)],
)
def test_check_values_lets_the_rest_pass(array):
    check_values(array, "u10", "")


@pytest.mark.parametrize(
    ("attributes", "codes"),
    [
        ({"_FillValue": np.float32(-9999)}, [-9999.0]),
        ({"missing_value": 1e20}, [1e20]),
        ({"missing_value": np.array([-9999.0, -8888.0]), "_FillValue": -9999.0}, [-9999, -8888]),
        ({"missing_value": "-999.9f"}, [-999.9]),
        ({"_FillValue": np.nan}, []),
        ({"missing_value": "none"}, []),
        ({}, []),
    ],
)
def test_codes_are_read_from_attributes(attributes, codes):
    assert list(declared(xr.DataArray(0.0, attrs=attributes)).codes) == codes


def packed(**encoding):
    field = xr.DataArray(np.zeros(1, "f4"))
    field.encoding = encoding
    return field


@pytest.mark.parametrize(
    ("field", "attributes", "valid"),
    [
        (packed(), {"valid_range": [0.0, 100.0]}, (0, 100)),
        (packed(), {"valid_min": 0.0}, (0, np.inf)),
        (packed(), {"valid_max": "50."}, (-np.inf, 50)),
        # Of an integer type it is packed: 0.5 x 20 + 270 to 0.5 x 80 + 270.
        (
            packed(scale_factor=0.5, add_offset=270.0),
            {"valid_range": np.array([20, 80], "i2")},
            (280, 310),
        ),
        (packed(scale_factor=-1.0), {"valid_range": np.array([20, 80], "i2")}, (-80, -20)),
        (packed(scale_factor=0.5), {"valid_range": np.array([0.0, 9.0], "f4")}, (0, 9)),
        # The packing was lost on the way.
        (packed(), {"valid_range": np.array([-100, 100], "i2")}, (-np.inf, np.inf)),
        (packed(), {"valid_range": [0, 100]}, (0, 100)),
        # Stored as unsigned numbers: -6 stands for 65530.
        (
            packed(scale_factor=0.5, _Unsigned="true"),
            {"valid_range": np.array([0, -6], "i2")},
            (0, 32765),
        ),
        (
            packed(scale_factor=0.5, _Unsigned="false"),
            {"valid_range": np.array([65530, 100], "u2")},
            (-3, 50),
        ),
    ],
)
def test_valid_ranges_hold_for_unpacked_values(field, attributes, valid):
    assert declared(field.assign_attrs(attributes)).valid == valid


def test_packing_is_known_after_chunking_and_selecting(tmp_path):
    """The range of the file holds for what is read from it, lazily or not."""
    stored = xr.Dataset({"t2m": (("y", "x"), np.array([[280.0, 300.0], [310.0, 250.0]]))})
    stored["t2m"].attrs["valid_range"] = np.array([1000, 4000], "i2")
    packing = {"dtype": "i2", "scale_factor": 0.01, "add_offset": 270.0, "_FillValue": -1}
    stored.to_netcdf(tmp_path / "t.nc", encoding={"t2m": packing})
    with xr.open_dataset(tmp_path / "t.nc") as ds:
        for opened in (ds, ds.chunk(), ds.isel(y=[0])):
            assert declared(opened["t2m"]).valid == (280, 310)


def decode(values, name="tp", units="", **attributes):
    field = xr.DataArray(values, attrs=attributes)
    return decoded(np.asarray(values), declared(field, units), name, "time 3")


@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4"])
def test_declared_codes_become_nan(dtype):
    values = np.array([[1, -9999], [3, -9999]], dtype)
    result = decode(values, missing_value=-9999.0)
    np.testing.assert_array_equal(result, [[1, np.nan], [3, np.nan]])
    assert result.dtype == np.result_type(dtype, "f4")
    assert values[0, 1] == -9999  # unchanged


def test_codes_are_found_as_floats_round_them():
    values = np.array([[1.0, 1e20]], "f4")
    np.testing.assert_array_equal(decode(values, _FillValue=1e20), [[1, np.nan]])
    values[0, 1] = 9.96921e36
    np.testing.assert_array_equal(decode(values, _FillValue=9.969209968386869e36), [[1, np.nan]])


def test_without_declarations_nothing_is_copied():
    values = np.array([[1.0, np.nan]])
    assert decode(values) is values
    assert decode(values, valid_min=0.0, missing_value=-1.0) is values


def test_what_lies_outside_the_valid_range_is_missing_and_named():
    message = r"values of 'tp' outside its valid range \(0 to 100\) are taken as missing"
    with pytest.warns(FlexclimWarning, match=message):
        result = decode(np.array([[1.0, -5.0], [100.05, 200.0]]), valid_range=[0.0, 100.0])
    # 100.05 is the end of the range, but for rounding.
    np.testing.assert_array_equal(result, [[1, np.nan], [100.05, np.nan]])


def test_infinite_values_are_no_missing_values():
    with pytest.raises(FlexclimError, match="'tp' has 1 infinite or fill values at time 3"):
        decode(np.array([[1.0, np.inf]]), valid_range=[0.0, 100.0])


def test_a_valid_range_of_other_values_is_refused():
    """After a conversion from K the range in K excludes everything."""
    message = (
        r"all values of a plane of 'tp' at time 3 lie outside its valid range \(150 to 400\), "
        r"such as 12\. "
        "Drop valid_range, valid_min and valid_max"
    )
    with pytest.raises(FlexclimError, match=message):
        decode(np.array([[12.0, np.nan], [13.0, 15.0]]), valid_min=150.0, valid_max=400.0)
    planes = np.array([[[280.0, 290.0]], [[12.0, 13.0]]])
    with pytest.raises(FlexclimError, match=message):
        decode(planes, valid_min=150.0, valid_max=400.0)
    planes[1] = np.nan
    decode(planes, valid_min=150.0, valid_max=400.0)


@pytest.mark.parametrize(
    ("fill", "others"),
    [
        (1e20, [0.0, 3.0]),
        (-1e20, [0.0, 3.0]),
        (1e20, [1e19, 0.0]),
        (9.999e20, [280.0, 281.0]),
        (1e15, [0.0, 3.0]),
        (-9999.0, [0.0, 31.0]),
        (-999.0, [0.0, 0.0]),
        (np.float32(-999.99), [280.0, 300.0]),
        (-9999, [98000, 103000]),
        (-32768, [0, 200]),
        (9999.0, [0.0, 200.0]),
    ],
)
def test_undeclared_fill_values_are_refused_by_name(fill, others):
    values = np.array([[fill, others[0]], [fill, others[1]]])
    message = r"'tp' has 2 values of .* at time 3, far from all others: a fill value that no "
    with pytest.raises(FlexclimError, match=message) as caught:
        decode(values)
    condition = str(caught.value).split("Mask them with ")[1].rstrip(".")
    tp = xr.DataArray(values, name="tp")
    assert eval(f"tp{condition}", {"tp": tp, "abs": abs}).isnull().sum() == 2  # as advised


@pytest.mark.parametrize(
    "values",
    [
        [[-9999.0, -9998.0], [-4000.0, 2000.0]],  # depths of the sea
        [[-999.0, -998.0], [-997.0, -996.5]],
        [[-99.0, -12.0], [80.0, 30.0]],
        [[-999.0, -999.0], [-999.0, np.nan]],  # one value alone
        [[99.0, 0.0], [0.0, 1.0]],
        [[0.0, 1e16], [1e10, 1e4]],
        [[0.0, 1e6], [1.0, 2.0]],
    ],
)
def test_values_like_fill_values_among_their_own_kind_pass(values):
    assert decode(np.array(values)) is not None


def test_each_plane_is_judged_by_its_own_values():
    depths = np.array([[-9999.0, -2000.0], [-5000.0, 10.0]])
    with pytest.raises(FlexclimError, match="2 values of -9999"):
        decode(np.stack([depths, np.where(depths < -9000, -9999.0, 1.0)]))
    decode(np.stack([depths, depths + 1]))


@pytest.mark.parametrize(
    ("value", "units"), [(-10272.15, "degC"), (9000.0, "K"), (-9725.85, "K"), (-19998.0, "m s-1")]
)
def test_what_the_units_make_impossible_is_refused(value, units):
    """Such as a fill value after a conversion."""
    with pytest.raises(FlexclimError, match=r"'tp' reaches .* at time 3, which is impossible"):
        decode(np.array([[value, 20.0]]), units=units)
    decode(np.array([[value, 20.0]]), units="m")
