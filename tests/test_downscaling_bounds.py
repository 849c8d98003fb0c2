"""Values stay within the bounds of their quantity, and what is no average is refused."""

import warnings

import coarse_fields
import dask
import numpy as np
import pytest
import xarray as xr

from flexclim.downscaling import downscale
from flexclim.errors import FlexclimError, FlexclimWarning
from flexclim.resampling import coarsen

CLOUD = {"standard_name": "cloud_area_fraction", "units": "%"}
RAIN = {"standard_name": "precipitation_flux", "units": "mm h-1"}


@pytest.fixture
def noise():
    return coarse_fields.region(2, 8, 8)


def run(field, model, **options):
    usual = {"members": 1, "precision": "float32", "grid": "cell"}
    return downscale(field, 2, model=model, **(usual | options))


def error_of_means(fine, coarse, grid="cell"):
    return float(np.abs(coarsen(fine, 2, grid=grid) - coarse).max()) / float(coarse.std())


def cloud_of(noise):
    """Return cloud cover that is 0 and 100 % in places."""
    return ((noise * 40 + 50).clip(0, 100)).rename("clt").assign_attrs(CLOUD)


def test_fractions_keep_both_bounds_and_block_means(noise, toy_model):
    cloud = cloud_of(noise)
    assert float(run(cloud, toy_model, non_negative=False).max()) > 110
    fine = run(cloud, toy_model)
    assert float(fine.min()) == 0
    assert float(fine.max()) == 100
    assert error_of_means(fine, cloud) < 1e-5
    assert fine.attrs["flexclim_conserve"] == "true"
    assert fine.attrs["flexclim_bounds"] == "0 to 100, except in fields whose input lies beyond"
    share = run((cloud / 100).assign_attrs(CLOUD | {"units": "1"}), toy_model)
    np.testing.assert_allclose(share * 100, fine, atol=1e-3)


def test_supersaturation_is_bounded_by_the_field(noise, toy_model):
    humid = cloud_of(noise).rename("hur").assign_attrs(standard_name="relative_humidity") * 1.1
    humid[1] /= 1.1
    fine = run(humid, toy_model)
    assert fine.max(["realization", "lat", "lon"]).values.tolist() == pytest.approx([110, 100])
    assert error_of_means(fine, humid) < 1e-5


def test_blocks_that_share_points_claim_no_exact_means(noise, toy_model):
    cloud = cloud_of(noise)
    fine = run(cloud, toy_model, grid="point")
    assert float(fine.min()) >= 0
    assert float(fine.max()) <= 100
    assert fine.attrs["flexclim_conserve"] == "within bounds"
    rain = run(cloud.assign_attrs(RAIN), toy_model, grid="point")
    assert rain.attrs["flexclim_conserve"] == "true"
    assert error_of_means(rain, cloud, "point") < 1e-5


def test_a_signed_field_with_the_names_of_rain_is_not_clipped(noise, toy_model):
    """Arithmetic keeps attributes: an anomaly is called like its terms."""
    anomaly = noise.rename("pr").assign_attrs(RAIN)
    with pytest.warns(FlexclimWarning, match=r"'pr' falls to -\d\.\d+ \(2018-09-14T") as found:
        fine = run(anomaly, toy_model)
    assert len([one for one in found if "falls to" in str(one.message)]) == 1
    xr.testing.assert_equal(fine, run(anomaly, toy_model, non_negative=False))
    assert error_of_means(fine, anomaly) < 1e-5
    rule = "at least 0, except in fields whose input falls below"
    assert fine.attrs["flexclim_bounds"] == rule
    free = run(anomaly, toy_model, non_negative=False)
    assert "flexclim_bounds" not in free.attrs


def test_each_plane_is_judged_alone(noise, toy_model):
    """Neither chunks nor the period decide what is clipped."""
    mixed = noise.rename("pr").assign_attrs(RAIN)
    mixed[1] = abs(mixed[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = run(mixed, toy_model)
        assert float(whole.isel(time=0).min()) < -1
        assert float(whole.isel(time=1).min()) >= 0
        for one in (0, 1):
            part = run(mixed.isel(time=[one]), toy_model)
            np.testing.assert_allclose(part, whole.isel(time=[one]), atol=1e-5)
        lazy = run(mixed.chunk(time=1, lat=5), toy_model)
        np.testing.assert_allclose(lazy.isel(lat=slice(12)), whole.isel(lat=slice(12)), atol=1e-5)


def test_negligible_negative_values_of_rain_stay_rain(noise, toy_model):
    rain = noise.clip(0).rename("pr").assign_attrs(RAIN)
    packed = rain.where(rain > 0, -1e-7)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FlexclimWarning)
        fine = run(packed, toy_model)
    assert float(fine.min()) == 0
    assert error_of_means(fine, rain) < 1e-5


def test_what_is_stated_counts_whatever_the_values(noise, toy_model):
    stated = noise.rename("x").assign_attrs(units="m")
    with pytest.warns(FlexclimWarning, match="stated to be non-negative: those of the input below"):
        fine = run(stated, toy_model, non_negative=True)
    assert float(fine.min()) == 0
    assert error_of_means(fine, stated.clip(0)) < 1e-5
    assert fine.attrs["flexclim_bounds"] == "at least 0"


def test_members_of_an_ensemble_are_judged_each(noise, toy_model):
    ensemble = noise.rename("pr").assign_attrs(RAIN).isel(time=[0])
    both = xr.concat([ensemble, abs(ensemble)], "realization").assign_coords(realization=[0, 1])
    with pytest.warns(FlexclimWarning, match="falls to"):
        fine = run(both, toy_model, members=None)
    assert float(fine.sel(realization=0).min()) < 0 <= float(fine.sel(realization=1).min())


@pytest.mark.parametrize("lazy", [False, True])
def test_declared_missing_values_are_missing(noise, toy_model, lazy):
    holes = noise.where(noise > -1)
    coded = holes.fillna(-9999).assign_attrs(_FillValue=np.float32(-9999), valid_max=1e4)
    expected = run(holes, toy_model)
    assert expected.isnull().any()
    with dask.config.set(scheduler="synchronous"):
        found = run(coded.chunk(time=1) if lazy else coded, toy_model)
        assert "_FillValue" not in found.attrs
        np.testing.assert_array_equal(found, expected)


def test_integers_with_a_missing_value(noise, toy_model):
    whole = (noise * 10).round()
    holes = whole.where(whole > -10)
    coded = holes.fillna(-99).astype("i2").assign_attrs(missing_value=np.int16(-99))
    np.testing.assert_array_equal(run(coded, toy_model), run(holes, toy_model))


def test_undeclared_fill_values_are_refused(noise, toy_model):
    broken = noise.where(noise > -1, 1e20).rename("pr")
    with pytest.raises(FlexclimError, match=r"'pr' has \d+ values of 1e\+20 at 2018-09-14T"):
        run(broken, toy_model)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"flag_values": [0, 1, 2]}, "'t' holds flags or categories.*drop_vars"),
        ({"standard_name": "wind_from_direction"}, "'t' is a direction, and 0 is next to 360"),
    ],
)
def test_what_has_no_average_is_refused(noise, toy_model, attributes, message):
    with pytest.raises(FlexclimError, match=message):
        run(noise.assign_attrs(attributes), toy_model)
    ds = xr.Dataset({"t": noise.assign_attrs(attributes), "z": noise})
    assert list(run(ds, toy_model, variables=["z"]).data_vars) == ["z"]
