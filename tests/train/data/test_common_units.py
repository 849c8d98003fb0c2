import numpy as np
import pytest
import xarray as xr

from flexclim.errors import FlexclimWarning, RecipeError
from flexclim.train.data.source_fields import open_fields
from flexclim.train.data.sources import open_sources, units_of
from flexclim.train.data.training_data import open_training_data
from flexclim.train.recipes.data_settings import Data
from flexclim.train.recipes.source_settings import Derived, Reading


def write(ds, path, **units):
    for name, one in units.items():
        ds[name].attrs["units"] = one
    ds.to_netcdf(path)


@pytest.mark.parametrize("first", ["", "mm"])
def test_files_of_one_variable_get_one_unit(tmp_path, dataset, planes, first):
    one, other, third = dataset(), dataset("2018-10-02"), dataset("2018-10-03")
    write(one, tmp_path / "1.nc", u=first)
    write(other / 1000, tmp_path / "2.nc", u="m" if first else "mm")
    write(third, tmp_path / "3.nc", u="mm" if first else "um")
    fields = open_fields(Reading(path="?.nc"), str(tmp_path), ["u"])
    found = planes(fields, "u")
    assert found.dtype == np.float32
    expected = [one.u, other.u, third.u] if first else [one.u, other.u / 1000, third.u / 1000]
    np.testing.assert_allclose(found, np.concatenate(expected), rtol=1e-5)
    assert fields.attributes["u"]["units"] == "mm"


def test_units_of_other_quantities_are_named(tmp_path, dataset):
    write(dataset(), tmp_path / "1.nc", u="mm")
    write(dataset("2018-10-02"), tmp_path / "2.nc", u="kg m-2")
    with pytest.raises(RecipeError) as caught:
        open_fields(Reading(path="?.nc"), str(tmp_path), ["u"])
    assert str(caught.value) == (
        "'u' is in 'kg m-2' in 2.nc and in 'mm' in 1.nc, and neither converts into the other. "
        "Convert one of the files, or correct its units."
    )


def test_a_millimetre_of_water_is_a_kilogram_per_square_metre(tmp_path, dataset, planes):
    for n, units in enumerate(("mm", "kg m-2", "m")):
        ds = dataset(f"2018-10-0{2 * n + 1}")[["u"]].rename(u="tp")
        write(ds / (1000 if units == "m" else 1), tmp_path / f"{n}.nc", tp=units)
    fields = open_fields(Reading(path="?.nc"), str(tmp_path), ["tp"])
    found = planes(fields, "tp")
    for n in (1, 2):
        np.testing.assert_allclose(found[4 * n : 4 * n + 4], found[:4], rtol=1e-5)


def test_differences_of_temperatures_have_no_offset(tmp_path, dataset, planes):
    for n, units in enumerate(("K", "degC")):
        ds = dataset(f"2018-10-0{2 * n + 1}").rename(u="t2m_anomaly")
        write(ds, tmp_path / f"{n}.nc", t2m_anomaly=units)
    found = planes(open_fields(Reading(path="?.nc"), str(tmp_path), ["t2m_anomaly"]), "t2m_anomaly")
    np.testing.assert_array_equal(found[4:], found[:4])


def test_standard_names_that_differ_are_named(tmp_path, dataset):
    for n, name in enumerate(("wind_speed", "wind_speed_of_gust", "unknown", None)):
        ds = dataset(f"2018-10-0{n + 1}")
        if name:
            ds.u.attrs["standard_name"] = name
        ds.to_netcdf(tmp_path / f"{n}.nc")
    with pytest.warns(FlexclimWarning, match=r"'u' is wind_speed in 0.nc and wind_speed_of_gust"):
        open_fields(Reading(path=("0.nc", "1.nc")), str(tmp_path), ["u"])
    open_fields(Reading(path=("0.nc", "2.nc", "3.nc")), str(tmp_path), ["u"])


def test_components_of_different_units(tmp_path, dataset, planes):
    ds = dataset()
    write(ds.assign(v=ds.v / 0.514444), tmp_path / "a.nc", u="m s**-1", v="knot")
    derive = {"speed": Derived(wind_speed=("u", "v")), "fast": Derived(wind_speed=("v", "u")),
              "energy": Derived(kinetic_energy=("v", "u"))}  # fmt: skip
    fields = open_fields(Reading(path="a.nc", derive=derive), str(tmp_path), list(derive))
    speed = np.hypot(ds.u, ds.v)
    np.testing.assert_allclose(planes(fields, "speed"), speed, rtol=1e-5)
    np.testing.assert_allclose(planes(fields, "fast"), speed / 0.514444, rtol=1e-5)
    np.testing.assert_allclose(planes(fields, "energy"), speed**2 / 2, rtol=1e-5)
    units = [fields.attributes[name]["units"] for name in derive]
    assert units == ["m s-1", "knot", "m2 s-2"]


def data(folder, targets=(), **source):
    split = {"train": ["0", "2"], "validate": ["3", "3"]}
    return Data.model_validate(
        {
            "folder": str(folder),
            "inputs": ["u"],
            "targets": targets,
            "sources": [{"path": "1.nc"} | split | source, {"path": "2.nc"} | split],
        }
    )


@pytest.mark.parametrize("split", ["train", "validate"])
def test_sources_get_the_units_of_the_first(tmp_path, dataset, split):
    one, other = dataset(), dataset("2019-01-01") + 20
    write(one - 273.15 + 300, tmp_path / "1.nc", u="degC")
    write(other + 280, tmp_path / "2.nc", u="K")
    first, second = open_sources(data(tmp_path), split)
    assert [units_of(source)["u"] for source in (first, second)] == ["degC", "degC"]
    truth = (other.u + 280 - 273.15).isel(time=0 if split == "train" else 3)
    np.testing.assert_allclose(second.series["u"].read(0), truth, rtol=1e-5)


def test_a_target_has_the_units_of_its_base(tmp_path, dataset):
    ds = dataset()
    write(ds, tmp_path / "1.nc", u="m s-1", v="km h-1")
    write(ds, tmp_path / "2.nc", u="knot", v="knot")
    first, second = open_sources(data(tmp_path, [{"name": "v", "base": "u"}]), "train")
    np.testing.assert_allclose(first.series["v"].read(1), ds.v[1] / 3.6, rtol=1e-5)
    np.testing.assert_allclose(second.series["v"].read(1), ds.v[1] * 1852 / 3600, rtol=1e-5)
    np.testing.assert_allclose(second.series["u"].read(1), ds.u[1] * 1852 / 3600, rtol=1e-5)
    (tmp_path / "1.nc").unlink()
    write(ds, tmp_path / "1.nc", v="K")
    with pytest.raises(RecipeError, match=r"'v' is in 'K' in 1.nc and .* where its base is 'u'"):
        open_sources(data(tmp_path, [{"name": "v", "base": "u"}]), "train")
    own = [{"name": "v", "base": None}]
    values = data(tmp_path, own and ()).model_dump(by_alias=True)
    fixed = Data.model_validate(values | {"targets": own, "scaling": "fixed"})
    with pytest.raises(RecipeError, match=r"'v' is in 'knot' in 2.nc and in 'K' in 1.nc"):
        open_sources(fixed, "train")


def test_a_pair_has_one_unit(tmp_path, dataset):
    coarse = dataset()
    fine = xr.concat([coarse] * 2, "n").mean("n")
    fine = fine.interp(latitude=np.arange(0, 5.01, 0.5)[::-1], longitude=np.arange(0, 7.01, 0.5))
    write(coarse, tmp_path / "coarse.nc", u="m s-1")
    write(fine.astype("float32"), tmp_path / "1.nc", u="km h-1")
    values = data(tmp_path, coarse={"path": "coarse.nc"}, grid="point").model_dump(by_alias=True)
    values = values | {"factors": {2: 1}, "sources": values["sources"][:1]}
    (pair,) = open_sources(Data.model_validate(values), "train")
    np.testing.assert_allclose(pair.fine_series["u"].read(0), fine.u[0] / 3.6, rtol=1e-5)
    np.testing.assert_array_equal(pair.coarse_series["u"].read(0), coarse.u[0])
    assert units_of(pair) == {"u": "m s-1"}


NAMED = ("data.inputs=[u10, v10]", "data.sources.0.variables=[]", "data.sources.0.signed=false")


def test_a_resumed_run_keeps_its_units(folder, read):
    ds = xr.load_dataset(folder / "wind.nc")
    (folder / "wind.nc").unlink()
    write(ds, folder / "wind.nc", u10="m s-1")
    before = open_training_data(read(folder, *NAMED))
    assert before.units == before.fitted["units"] == {"u10": "m s-1"}
    (folder / "wind.nc").unlink()
    write(ds.assign(u10=ds.u10 * 3.6), folder / "wind.nc", u10="km h-1")
    after = open_training_data(read(folder, *NAMED), before.fitted)
    first, second = (one.train.batch(0, 2) for one in (before, after))
    np.testing.assert_allclose(first.inputs, second.inputs, atol=2e-5)
