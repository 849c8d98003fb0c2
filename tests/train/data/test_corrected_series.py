import numpy as np
import pytest
import xarray as xr

from flexclim.cf.conversion import Conversion
from flexclim.errors import FlexclimError, FlexclimWarning, RecipeError
from flexclim.train.data.corrected_series import Checked, Converted, Limited
from flexclim.train.data.series import Memory
from flexclim.train.data.source_fields import open_fields
from flexclim.train.data.sources import check_sources, open_sources
from flexclim.train.data.training_data import open_training_data
from flexclim.train.recipes.source_settings import Reading

NAMED = ("data.inputs=[u10, v10]", "data.sources.0.variables=[]", "data.sources.0.signed=false")


class Counted(Memory):
    """Counts requests, as each may read a whole chunk of a file."""

    requests = 0

    def read_all(self, times):
        Counted.requests += 1
        return super().read_all(times)


def test_planes_are_read_with_one_request():
    values = np.arange(48, dtype="float32").reshape(3, 4, 4)
    series = Checked(Limited(Converted(Counted(values), Conversion(2.0, 1.0)), 80.0), "u", "a.nc")
    expected = np.where(2 * values + 1 > 80, np.nan, 2 * values + 1)
    np.testing.assert_array_equal(series.read_all(np.array([2, 0])), expected[[2, 0]])
    assert Counted.requests == 1
    part = slice(1, 3), slice(2, 4)
    np.testing.assert_array_equal(series.read(2, *part), expected[2][part])
    assert series.read(2, *part).dtype == np.float32
    assert series.usable.tolist() == [True] * 3


def test_a_value_alone_in_a_window_is_no_fill_value():
    """A pit of 999 m in a flat part of a sea floor, among others that are as deep."""
    floor = np.full((8, 8), -10, "float32")
    floor[:, 4:] = np.linspace(-1500, -500, 32).reshape(8, 4)
    floor[1, 1] = -999
    series = Checked(Memory(floor[None]), "z", "a.nc")
    assert series.read(0, slice(0, 4), slice(0, 4)).min() == -999
    floor[:, 4:] = -12
    with pytest.raises(FlexclimError, match=r"'z' has 1 values of -999 at a.nc, far from all"):
        series.read(0, slice(0, 4), slice(0, 4))


def fill(folder, value, **attributes):
    """Give an eighth of the globe a fill value."""
    ds = xr.load_dataset(folder / "wind.nc") / 10
    ds = ds.where((ds.longitude > 90) | (ds.latitude < 0), value)
    for field in ds.data_vars.values():
        field.attrs |= attributes
    ds.to_netcdf(folder / "filled.nc", encoding={n: {"_FillValue": None} for n in ds.data_vars})
    return ds


@pytest.mark.parametrize("small", [True, False])
@pytest.mark.parametrize("value", [-9999.0, -999.0, 1e20, 9.96921e36, -32768.0, np.inf])
def test_undeclared_fill_values_are_refused(folder, read, monkeypatch, value, small):
    fill(folder, value)
    if not small:
        monkeypatch.setattr("flexclim.train.data.source_fields.IN_MEMORY", 0)
    with pytest.raises(
        FlexclimError, match=r"'u10' has \d+ (values of|infinite or fill)"
    ) as caught:
        open_training_data(read(folder, *NAMED, "data.sources.0.path=filled.nc"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "attributes"),
    [
        (-9999.0, {"missing_value": "-9999."}),
        (1e20, {"_FillValue": np.float64(1e20)}),
        (-999.0, {"valid_range": np.float32([-500, 500])}),
        (-999.0, {"valid_min": "-500."}),
    ],
)
@pytest.mark.filterwarnings("ignore:values of 'u10' outside its valid range")
def test_declared_missing_values_are_missing(tmp_path, monkeypatch, dataset, value, attributes):
    """Whether xarray decoded them or, as of text or of a store opened raw, did not."""
    ds = dataset().rename(u="u10")
    ds["u10"][:, :3] = value
    ds.u10.attrs |= attributes
    monkeypatch.setattr("flexclim.train.data.source_fields.open_datasets", lambda *_: {"a": ds})
    fields = open_fields(Reading(path="a.nc"), str(tmp_path), ["u10"])
    expected = dataset().u.where(dataset().latitude < 3)
    np.testing.assert_array_equal(fields.series["u10"].read_all(np.arange(4)), expected)
    np.testing.assert_array_equal(fields.series["u10"].read(1, slice(2, 5)), expected[1, 2:5])


def test_values_outside_the_valid_range_give_a_warning(tmp_path, dataset):
    ds = dataset()
    ds["u"][0, 0, 0] = 700
    ds.u.attrs["valid_max"] = np.float32(500)
    ds.to_netcdf(tmp_path / "a.nc")
    fields = open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])
    with pytest.warns(FlexclimWarning, match="'u' outside its valid range"):
        assert np.isnan(fields.series["u"].read(0)[0, 0])


def test_a_variable_without_valid_values_is_refused(folder, read):
    fill(folder, 0.0, valid_min=np.float32(1e6))
    data = read(folder, *NAMED, "data.sources.0.path=filled.nc").data
    with pytest.raises(RecipeError, match=r"'u10' in filled.nc is NaN or declared missing every"):
        check_sources(open_sources(data, "train"), data, (32, 32))


def test_the_recipe_may_set_fill_values_to_missing(folder, read):
    ds = fill(folder, 1e20)
    overrides = "data.sources.0.path=filled.nc", "data.sources.0.largest=1e10"
    source = open_sources(read(folder, *NAMED, *overrides).data, "train")[0]
    expected = ds.u10[0].where(ds.u10[0] < 1e10)
    np.testing.assert_array_equal(source.series["u10"].read(0), expected)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"standard_name": "wind_from_direction", "units": "degree"}, "holds directions"),
        ({"flag_values": [0, 1, 2], "flag_meanings": "a b c"}, "holds categories or flags"),
        ({"long_name": "soil type"}, "holds categories or flags"),
    ],
)
def test_what_has_no_average_is_refused(tmp_path, dataset, attributes, message):
    ds = dataset()
    ds.u.attrs |= attributes
    ds.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(RecipeError, match=f"'u' in a.nc {message}"):
        open_fields(Reading(path="a.nc"), str(tmp_path), ["u"])
