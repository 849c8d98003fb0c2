import warnings

import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimError, FlexclimWarning, RecipeError
from flexclim.train import load_recipe
from flexclim.train.data.sources import check_sources, open_sources, units_of, warn_of_leaks
from flexclim.train.data.training_data import open_training_data


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
    message = "missing everywhere" if np.isnan(value) else "infinite or fill values"
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


def test_a_missing_plane_is_not_a_missing_variable(folder, read):
    ds = xr.load_dataset(folder / "wind.nc")
    ds["u10"][4] = np.nan  # the middle of the training split
    (folder / "wind.nc").unlink()
    ds.to_netcdf(folder / "wind.nc")
    recipe = read(folder)
    check_sources(open_sources(recipe.data, "train"), recipe.data, (32, 32))
    ds["v10"][8:] = np.nan
    (folder / "wind.nc").unlink()
    ds.to_netcdf(folder / "wind.nc")
    check_sources(open_sources(recipe.data, "train"), recipe.data, (32, 32))
    message = r"'v10' in wind.nc is NaN or declared missing everywhere at 4 of 4 times of its split"
    with pytest.raises(RecipeError, match=message):
        check_sources(open_sources(recipe.data, "validate"), recipe.data, (32, 32))


@pytest.fixture
def static_folder(folder):
    """Return the folder with a static file: height in km, at two times, and as a coordinate."""
    latitude, longitude = np.linspace(90, -90, 91), np.arange(0, 360, 4.0)
    height = np.random.default_rng(0).normal(size=(91, 90))
    dims = ("latitude", "longitude")
    static = xr.Dataset(
        {
            "orog": (dims, height, {"units": "km"}),
            "still": (("time", *dims), np.stack([height, height])),
            "leaves": (("time", *dims), np.stack([height, height + 1])),
            "area": (dims, height, {"units": "m2"}),
            "f": (dims, height, {"standard_name": "coriolis_parameter", "units": "s-1"}),
            "slope": (dims, height, {"long_name": "eastward component of slope"}),
        },
        {"latitude": latitude, "longitude": longitude, "mask": (dims, height)},
    )
    static.orog.attrs["cell_measures"] = "area: area"
    static.to_netcdf(folder / "static.nc")
    metres = static[["orog"]] * 1000
    metres.assign(orog=metres.orog.assign_attrs(units="m")).to_netcdf(folder / "metres.nc")
    return folder


def with_statics(read, folder, names, *overrides):
    return read(folder, *NAMED, f"data.statics=[{names}]", "data.static_file=static.nc",
                *overrides).data  # fmt: skip


def test_static_fields_of_any_kind_of_variable(static_folder, read):
    names = ("orog", "still", "mask", "area")
    (source,) = open_sources(with_statics(read, static_folder, ", ".join(names)), "train")
    for name in names:
        np.testing.assert_array_equal(source.statics[name], source.statics["orog"])
    for name, message in (
        ("leaves", "'leaves' in static.nc differs between its first and last time"),
        ("latitude_bnds", "no static field 'latitude_bnds'; did you mean"),
    ):
        with pytest.raises(RecipeError, match=message):
            open_sources(with_statics(read, static_folder, name), "train")


@pytest.mark.parametrize("name", ["f", "slope"])
def test_a_static_field_that_a_mirror_image_would_negate(static_folder, read, name):
    (source,) = open_sources(with_statics(read, static_folder, name), "train")
    assert source.statics[name].any()
    mirrored = with_statics(read, static_folder, name, "data.augment=[flip_x]")
    with pytest.raises(RecipeError, match=f"'{name}' changes its sign in mirror images"):
        open_sources(mirrored, "train")


def test_static_fields_of_all_sources_are_in_one_unit(static_folder, read):
    source = "path: wind.nc, train: ['0', '3'], validate: ['8', '11']"
    both = f"data.sources=[{{{source}}}, {{{source}, static_file: metres.nc}}]"
    first, second = open_sources(with_statics(read, static_folder, "orog", both), "train")
    np.testing.assert_allclose(first.statics["orog"], second.statics["orog"], rtol=1e-5)
    made = open_training_data(
        read(static_folder, *NAMED, both, "data.statics=[orog]", "data.static_file=metres.nc")
    )
    assert made.units == {"orog": "m"}
    height = np.concatenate([one.statics["orog"].ravel() for one in made.sources])
    assert made.settings.statics[0].std == pytest.approx(height.std(), rel=1e-4)


def test_times_of_validation_in_another_source_give_a_warning(folder, read):
    source = "path: wind.nc, variables: [{}], train: ['{}', '{}'], validate: ['{}', '{}']"

    def opened(*sources):
        parts = ", ".join(f"{{{source.format(*one)}}}" for one in sources)
        data = read(folder, f"data.sources=[{parts}]").data
        return open_sources(data, "train"), open_sources(data, "validate")

    with pytest.warns(
        FlexclimWarning, match=r"wind.nc has 2 times .* such as 2018-10-03T00:00:00\."
    ):
        warn_of_leaks(*opened(("u10", 0, 3, 8, 9), ("u10", 6, 11, 0, 1)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_leaks(*opened(("u10", 0, 3, 8, 9), ("v10", 6, 11, 0, 1)))
        warn_of_leaks(*opened(("u10", 0, 3, 8, 9), ("u10", 4, 5, 10, 11)))
