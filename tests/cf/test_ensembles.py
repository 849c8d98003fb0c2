"""Ensembles are found under many names and lie along ``realization`` afterwards."""

import numpy as np
import pytest
import xarray as xr

from flexclim.cf.ensembles import find_member, numbers_of, with_realization
from flexclim.errors import FlexclimError

STANDARD = {"standard_name": "realization"}


def ensemble(dim="number", **coords):
    """Return three members at two times."""
    return xr.Dataset({"t": ((dim, "time"), np.zeros((3, 2)))}, coords)


def renamed(ds):
    return with_realization(ds, ds.dims)


@pytest.mark.parametrize(
    ("ds", "numbers"),
    [
        (ensemble(), [0, 1, 2]),
        (ensemble("Ensemble", Ensemble=[3, 1, 2]), [3, 1, 2]),
        (ensemble(number=[3.0, 1.0, 2.0]), [3, 1, 2]),
        (ensemble("realization", realization=[3, 1, 2]), [3, 1, 2]),
        (ensemble(realization=("number", [4, 5, 6])), [4, 5, 6]),
        (ensemble("x", run=("x", [4, 5, 6], STANDARD)), [4, 5, 6]),
        (ensemble(number=[7, 8, 9], run=("number", [4, 5, 6], STANDARD)), [4, 5, 6]),
        (ensemble(number=[4, 5, 6], realization=0), [4, 5, 6]),
    ],
)
def test_members_keep_their_numbers(ds, numbers):
    found = renamed(ds)
    assert found["t"].dims == ("realization", "time")
    assert numbers_of(found["t"]).tolist() == numbers


@pytest.mark.parametrize("dim", ["member_id", "realization"])
def test_members_with_names_keep_them_and_their_noise(dim):
    names = ["r1i1p1f1", "r2i1p1f1", "r1i1p1f2"]
    found = renamed(ensemble(dim, **{dim: names}))
    assert found["t"].dims == ("realization", "time")
    assert found.member_id.values.tolist() == names
    numbers = numbers_of(found["t"])
    assert len(set(numbers)) == 3
    assert numbers.max() < 2**31
    assert numbers_of(found["t"][[2]]).tolist() == [numbers[2]]


def test_only_one_ensemble_is_taken():
    both = ensemble().expand_dims(realization=2)
    assert find_member(both, ["number", "realization"]) == "realization"
    assert renamed(both) is both
    none = ensemble("level")
    assert renamed(none) is none


def test_members_numbered_by_several_coordinates_raise():
    stacked = ensemble("start", start=[1, 2, 3], time=[1, 2]).stack(member=("start", "time"))
    with pytest.raises(FlexclimError, match="'member' are numbered by several coordinates"):
        renamed(stacked)


def test_a_field_called_realization_beside_an_ensemble_is_refused():
    ds = xr.Dataset({"realization": (("number", "lat", "lon"), np.zeros((2, 2, 2)))})
    with pytest.raises(FlexclimError, match="a field can't have the name 'realization'"):
        with_realization(ds, ["number"])


def test_members_stacked_with_other_dimensions_are_refused():
    field = xr.DataArray(np.zeros((2, 3, 2, 2)), dims=["member", "level", "lat", "lon"], name="t")
    ds = field.stack(sample=["member", "level"]).to_dataset()
    with pytest.raises(FlexclimError, match=r"along 'sample'\. Use \.unstack\('sample'\) first"):
        with_realization(ds, ["sample"])
