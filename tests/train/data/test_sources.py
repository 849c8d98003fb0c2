import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError, RecipeError
from flexclim.train import load_recipe
from flexclim.train.data.sources import check_sources, open_sources, units_of


def test_splits_are_by_time(recipe):
    train = open_sources(recipe.data, "train")[0].stamps
    validate = open_sources(recipe.data, "validate")[0].stamps
    assert train.max() < validate.min()


def test_the_gap_is_kept(folder, read):
    recipe = read(folder, "data.gap=12h")
    train = open_sources(recipe.data, "train")[0].stamps
    validate = open_sources(recipe.data, "validate")[0].stamps
    assert validate.min() - train.max() > np.timedelta64(12, "h")
    with pytest.raises(RecipeError, match=r"all 8 training times of wind\.nc lie within 9D"):
        open_sources(read(folder, "data.gap=9D").data, "train")


def test_missing_data_gets_one_line(folder, read):
    for override, message in (
        ("data.folder=/nowhere", "is not there; set data.folder"),
        (
            "data.sources=[{path: wind.nc, variables: [u11], train: ['0', '1']}]",
            "no variable 'u11'; did you mean u10",
        ),
        (
            "data.sources=[{path: wind.nc, variables: [u10], train: ['1999', '2000']}]",
            "no time from 1999 to 2000",
        ),
    ):
        data = read(folder, override).data
        with pytest.raises(RecipeError, match=message) as caught:
            open_sources(data, "train")
        assert "\n" not in str(caught.value)
    only = "data.sources=[{path: wind.nc, variables: [u10], train: ['0', '1']}]"
    with pytest.raises(RecipeError, match="no source has times to validate"):
        open_sources(read(folder, only).data, "validate")


def test_a_patch_larger_than_the_field(folder, read):
    recipe = read(folder, "network.tile=[128, 128]")
    sources = open_sources(recipe.data, "train")
    with pytest.raises(RecipeError, match=r"128 x 128 cells is larger than the field of 65 x 128"):
        check_sources(sources, recipe.data, (128, 128))
    with pytest.raises(RecipeError, match=r"larger than the field of 64 x 128 points.*points to 0"):
        check_sources(sources, recipe.data, (65, 128))


@pytest.mark.parametrize("value", [np.nan, np.inf, 9.97e36])
def test_fields_without_values(folder, value, read):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    (ds * 0 + value).to_netcdf(folder / "wind.nc")
    recipe = read(folder)
    message = "NaN everywhere" if np.isnan(value) else "infinite or fill values"
    with pytest.raises(FlexclimError, match=message) as caught:
        check_sources(open_sources(recipe.data, "train"), recipe.data, (32, 32))
    assert "\n" not in str(caught.value)


NAMED = ("data.inputs=[u10]", "data.targets=[{name: v10, base: u10}]",
         "data.sources.0.variables=[]", "data.sources.0.signed=false")  # fmt: skip


def test_units_are_those_of_the_files(folder):
    ds = xr.open_dataset(folder / "wind.nc").load()
    ds.close()
    ds["u10"].attrs["units"] = "m s-1"
    ds.to_netcdf(folder / "wind.nc")
    data = load_recipe(folder / "tiny.yaml", NAMED).data
    (source,) = open_sources(data, "train")
    assert units_of(source) == {"u10": "m s-1"}
