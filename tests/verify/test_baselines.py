import numpy as np
import pytest
import xarray as xr

from flexclim import AlignmentError, FlexclimError, coarsen, interpolate, verify
from flexclim.verify.baselines import find_factor, interpolations
from flexclim.verify.core.alignment import Pair
from flexclim.verify.evaluation import gather


def test_interpolation_is_scored_as_interpolation(scores, fields):
    _, truth, coarse = fields
    fine = interpolate(coarse["u10"], 4, "bicubic")
    expected = verify.mae(fine, truth["u10"], dim=["lat", "lon"])
    found = scores["crps.u10"].sel(candidate="bicubic")
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert scores["spread.u10"].sel(candidate="bicubic").isnull().all()


def test_a_region_of_points_finds_its_factor():
    rng = np.random.default_rng(0)
    coords = {"lat": 40.0 - np.arange(17), "lon": 5.0 + np.arange(25)}
    truth = xr.DataArray(rng.normal(size=(17, 25)), coords, ["lat", "lon"], "t")
    coarse = coarsen(truth, 4, grid="point")
    assert find_factor(coarse, truth) == (4, "point")
    found = interpolations(coarse, truth)
    assert list(found) == ["bilinear", "bicubic"]
    assert all(field.shape == truth.shape for field in found.values())


def test_residuals_differ_between_members_and_repeat_with_the_seed(fields):
    base, missed = fields[1]["u10"] * 0, verify.residuals(fields[1]["u10"], 4)
    drawn = verify.residual_ensemble(base, missed, members=4, seed=3)
    assert drawn.dims == ("realization", "time", "lat", "lon")
    assert float(drawn.std("realization").min("time").max()) > 0
    again = verify.residual_ensemble(base.chunk(time=2), missed.chunk(time=1), members=4, seed=3)
    np.testing.assert_allclose(again, drawn)
    pool = {tuple(plane) for plane in missed.values.reshape(5, -1)[:, :3].round(9).tolist()}
    planes = drawn.values.reshape(20, -1)[:, :3].round(9).tolist()
    assert {tuple(plane) for plane in planes} <= pool


def test_declared_missing_values_of_residuals_and_coarse_fields(fields):
    """A valid range does not hold for residuals, codes not for other units."""
    forecast, truth, coarse = (ds["u10"] for ds in fields)
    holes = truth.where(truth > truth.min())
    coded = holes.fillna(-999.0).assign_attrs(missing_value=-999.0, valid_min=-20.0, units="m s-1")
    missed = verify.residuals(coded, 4)
    np.testing.assert_array_equal(missed, verify.residuals(holes, 4))
    assert not {"missing_value", "valid_min"} & missed.attrs.keys()
    first = coarse.min()
    slow = (coarse.where(coarse > first) * 3.6).fillna(-999.0)
    slow = slow.assign_attrs(missing_value=-999.0, units="km h-1")
    pair = Pair.align(forecast.assign_attrs(units="m s-1"), truth.assign_attrs(units="m s-1"))
    found = gather(pair, slow, None, 0)["bilinear"]
    expected = interpolations(coarse.where(coarse > first), truth)["bilinear"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    assert found.isnull().any()


def test_residuals_of_words_and_of_small_integers(fields):
    truth = (fields[1]["u10"] * 20 + 100).round().clip(0, 255)
    expected = verify.residuals(truth, 4)
    xr.testing.assert_allclose(verify.residuals(truth.astype("uint8"), 4), expected, atol=1e-4)
    with pytest.raises(FlexclimError, match="not real numbers"):
        verify.residuals(truth.astype(str), 4)


def test_residuals_are_drawn_at_their_own_place(fields):
    base, missed = fields[1]["u10"] * 0, verify.residuals(fields[1]["u10"], 4)
    expected = verify.residual_ensemble(base, missed, members=2)
    other = missed.isel(lat=slice(None, None, -1)).rename(lat="latitude", lon="longitude")
    xr.testing.assert_identical(verify.residual_ensemble(base, other, members=2), expected)
    with pytest.raises(AlignmentError, match=r"'lat' differs in 16 of 16 .* in the residuals"):
        verify.residual_ensemble(base, missed.assign_coords(lat=missed.lat + 1), members=2)


@pytest.mark.parametrize("step", [1.0, 0.1, 0.01])
def test_float32_coordinates_lose_no_residual(step):
    axes = {"lat": 50 - step * np.arange(16), "lon": 340.3 + step * np.arange(24)}
    field = xr.DataArray(np.random.default_rng(1).normal(size=(16, 24)), axes, name="t")
    narrow = field.assign_coords({n: v.astype("float32") for n, v in axes.items()})
    expected = verify.residuals(field, 4)
    for found in (verify.residuals(narrow, 4), verify.residuals(narrow.to_dataset(), 4).t):
        np.testing.assert_allclose(found, expected, atol=1e-3)
        xr.testing.assert_identical(found.lon, narrow.lon)


def test_residuals_in_other_units_are_converted():
    base = xr.DataArray(np.full((1, 1), 20.0), dims=["y", "x"], attrs={"units": "degC"})
    drawn = verify.residual_ensemble(base, base.expand_dims(sample=1) / 20 * 9, 2)
    warm = (base.expand_dims(sample=1) / 20 * 9).assign_attrs(
        units="K", units_metadata="temperature: difference"
    )
    np.testing.assert_allclose(verify.residual_ensemble(base, warm, 2), drawn)
    wind = base.assign_attrs(units="m s-1")
    knots = base.expand_dims(sample=1).assign_attrs(units="knot")
    np.testing.assert_allclose(verify.residual_ensemble(wind, knots, 1), 20 * 1.514444, rtol=1e-5)
