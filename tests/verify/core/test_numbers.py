import dask.array
import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, verify
from flexclim.verify.core.numbers import as_numbers


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("f4", "f4"),
        ("f8", "f8"),
        (">f4", "f4"),
        (">f8", "f8"),
        ("f2", "f4"),
        ("longdouble", "f8"),
        ("?", "f4"),
        ("u1", "f4"),
        ("i2", "f4"),
        ("i4", "f8"),
        ("u8", "f8"),
        ("O", "f8"),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_types_that_hold_the_values(kind, target, lazy):
    field = xr.DataArray(np.array([0, 1]).astype(kind), dims="x", name="t", attrs={"units": "K"})
    found = as_numbers(field.chunk() if lazy else field, "truth")
    assert found.dtype == target
    assert found.dtype.isnative
    assert (found.chunks is not None) == lazy
    assert (found.name, found.attrs) == ("t", {"units": "K"})
    assert found.values.tolist() == [0, 1]


def test_floats_are_not_copied_and_read_only_values_are_scored():
    values = np.arange(3.0)
    values.setflags(write=False)
    field = xr.DataArray(values, dims="x")
    assert np.shares_memory(as_numbers(field, "truth").values, values)
    assert float(verify.mae(field + 1, field)) == 1


@pytest.mark.parametrize("kind", ["f4", "f8", "i2", "i4"])
@pytest.mark.parametrize("lazy", [False, True])
def test_declared_missing_values_are_left_out(kind, lazy):
    field = xr.DataArray(np.array([1, -999, 5]).astype(kind), dims="x", name="t")
    coded = field.assign_attrs(missing_value=-999)
    coded = coded.chunk() if lazy else coded
    np.testing.assert_array_equal(as_numbers(coded, "truth"), [1, np.nan, 5])
    assert float(verify.mae(xr.zeros_like(field), coded)) == 3
    with pytest.raises(FlexclimError, match="'truth' has 1 values of -999, far from all others"):
        as_numbers(coded.drop_attrs(), "truth").compute()


def test_none_among_objects_is_missing():
    field = xr.DataArray(np.array([1, None, 3.5], object), dims="x")
    np.testing.assert_array_equal(as_numbers(field, "truth"), [1, np.nan, 3.5])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([1, 2], "m8[h]"), "field / np.timedelta64"),
        (np.array([1, 2], "M8[ns]"), "since a date"),
        (np.array([1j, 2]), "its real part"),
        (np.array(["a", "b"]), "not real numbers"),
        (np.array(["a", None], object), "objects that are not numbers"),
    ],
)
def test_other_types_are_named(values, words):
    field = xr.DataArray(values, dims="x")
    with pytest.raises(FlexclimError, match=words):
        as_numbers(field, "truth")
    with pytest.raises(FlexclimError, match=words):
        as_numbers(field.copy(data=dask.array.from_array(values, chunks=1)), "truth").compute()


def test_arrays_without_dimensions_and_packed_values_are_named():
    with pytest.raises(AlignmentError, match="the truth is of type ndarray"):
        as_numbers(np.zeros(2), "truth")
    packed = xr.DataArray(np.zeros(2, "i2"), dims="x", attrs={"scale_factor": 0.1})
    with pytest.raises(FlexclimError, match="packed values, with scale_factor unapplied"):
        as_numbers(packed, "truth")
