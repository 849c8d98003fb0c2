import json

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from flexclim import AlignmentError, FlexclimError, GridError, verify

TILES = {"rows": [64, 128], "columns": [0, 96, 192, 288], "overlap": 16, "wrap": True}
DIMS = ["realization", "y", "x"]


def noise(seed=0, red=False):
    values = np.random.default_rng(seed).normal(size=(24, 192, 384))
    if red:
        values = ndimage.gaussian_filter(values, (0, 2, 2), mode="wrap")
    return xr.DataArray(values, dims=DIMS)


@pytest.mark.parametrize("red", [False, True])
def test_noise_without_seams_gives_one(red):
    found = verify.seam(noise(red=red), **TILES)
    for name in ("gradient", "variance", "spread"):
        assert float(found[name]) == pytest.approx(1, abs=0.02)


def strips(values):
    """Average two independent halves in the overlaps of the columns, as careless tiles would."""
    other = noise(seed=1).values
    for border in TILES["columns"]:
        band = np.arange(border - 8, border + 8) % 384
        values[..., band] = (values[..., band] + other[..., band]) / 2
    return values


def test_averaged_halves_lose_half_of_the_variance():
    field = noise()
    found = verify.seam(field.copy(data=strips(field.values.copy())), **TILES)
    for name in ("variance_by_axis", "spread_by_axis"):
        assert float(found[name].sel(axis="x")) == pytest.approx(0.5, abs=0.02)
        assert float(found[name].sel(axis="y")) == pytest.approx(1, abs=0.02)


def test_a_reference_takes_out_what_the_place_itself_does():
    coast = 1 + 0.3 * np.isin(np.arange(384) // 8, [11, 12])
    truth, field = noise(seed=2) * coast, noise(seed=3) * coast
    assert float(verify.seam(field, **TILES).variance) > 1.05
    found = verify.seam(field, reference=truth, **TILES)
    assert float(found.variance) == pytest.approx(1, abs=0.01)
    assert float(found.gradient) == pytest.approx(1, abs=0.01)


def test_a_step_raises_the_gradient():
    field = noise(red=True)
    field[..., 96:192] += 0.5
    found = verify.seam(field, **TILES).gradient_by_axis
    assert float(found.sel(axis="x")) > 1.5
    assert float(found.sel(axis="y")) == pytest.approx(1, abs=0.03)


def test_tiles_come_from_the_attribute_and_follow_the_storage_order():
    lat, lon = 89.5 - np.arange(180), np.arange(360) + 0.5
    rng = np.random.default_rng(4)
    field = xr.DataArray(
        rng.normal(size=(5, 180, 360)),
        {"latitude": lat, "longitude": lon},
        ["time", "latitude", "longitude"],
    )
    field[:, 60:] += 1
    field[..., 90:180] += 1
    tiles = {"rows": [60, 120], "columns": [0, 90, 180, 270], "overlap": 8, "wrap": True}
    field.attrs["flexclim_tiles"] = json.dumps(tiles)
    expected = verify.seam(field)
    assert float(expected.gradient) > 1.05
    turned = field.isel(latitude=slice(None, None, -1)).roll(longitude=180, roll_coords=True)
    turned = turned.assign_coords(longitude=(turned.longitude + 180) % 360 - 180)
    xr.testing.assert_allclose(verify.seam(turned.chunk(time=1)), expected, rtol=1e-12)
    named = verify.seam(field.to_dataset(name="u"))
    assert float(named["gradient.u"]) == float(expected.gradient)


def test_a_baseline_or_reference_of_another_place_raises_an_error():
    axes = {"y": np.arange(192) * 1e3, "x": np.arange(384) * 1e3}
    field, other = (noise(seed)[:4].assign_coords(axes) for seed in (0, 1))
    expected = verify.seam(field, baseline=other * 0.5, **TILES)
    near = (other * 0.5).assign_coords(x=other.x + 1e-6)
    xr.testing.assert_identical(verify.seam(field, baseline=near, **TILES), expected)
    same = (other * 0.5).rename(y="northing", x="easting").isel(northing=slice(None, None, -1))
    xr.testing.assert_identical(verify.seam(field, baseline=same, **TILES), expected)
    expected = verify.seam(field, reference=other, **TILES)
    later = other.rename(realization="time").isel(time=slice(0, 3)).transpose("y", "x", "time")
    assert set(verify.seam(field, reference=later, **TILES)) == set(expected)
    far = other.assign_coords(x=other.x + 500)
    for name in ("baseline", "reference"):
        with pytest.raises(AlignmentError, match=f"'x' differs in 384 .* in the {name}"):
            verify.seam(field, **{name: far}, **TILES)


def test_borders_must_be_known_and_have_room():
    with pytest.raises(GridError, match="no tile borders"):
        verify.seam(noise())
    with pytest.raises(GridError, match="no room for shifts"):
        verify.seam(noise(), rows=[5, 10, 15], columns=[5], overlap=64)


def test_borders_of_the_whole_are_not_those_of_a_part():
    """Attributes survive a crop and a change of grid."""
    field = noise()
    tiles = TILES | {"cells": list(field.shape[-2:])}
    field.attrs["flexclim_tiles"] = json.dumps(tiles)
    xr.testing.assert_identical(verify.seam(field), verify.seam(noise(), **TILES))
    for part in (field.isel(y=slice(8, None)), field.isel(x=slice(None, None, 2))):
        with pytest.raises(GridError, match=r"borders of 192 x 384 cells, and the field has"):
            verify.seam(part)
        kept = verify.seam(part, rows=[96], columns=[96], overlap=16, wrap=False)
        assert np.isfinite(float(kept.gradient))


NOISE = xr.DataArray(np.random.default_rng(0).normal(size=(3, 64, 64)), dims=["member", "y", "x"])
SMALL = {"rows": [32], "columns": [32], "overlap": 8}


@pytest.mark.parametrize(
    ("field", "options", "words"),
    [
        (NOISE, {"baseline": NOISE[0], "reference": NOISE[0]}, "reference does not differ from"),
        (NOISE, {"baseline": NOISE}, "field does not differ from the baseline"),
        (NOISE * 0 + 3, {}, "field does not vary"),
        (NOISE, {"reference": NOISE * 0}, "reference does not vary"),
        (NOISE * np.nan, {}, "or is NaN"),
        (NOISE.where(NOISE < 2, np.inf), {}, "infinite"),
        (NOISE.isel(y=[]), {}, "'y' is empty"),
        (NOISE.values, {}, "field is of type ndarray"),
        (NOISE, {"baseline": NOISE.values}, "baseline is of type ndarray"),
        (NOISE, {"baseline": NOISE.rename(y="z")}, "no dimension 'y'"),
        (NOISE.assign_attrs(units="K"), {"baseline": NOISE.assign_attrs(units="m")}, "converts"),
        (NOISE, {"rows": "a"}, "rows='a'"),
        (NOISE, {"rows": [3.5]}, "rows=3.5"),
        (NOISE, {"columns": [-5]}, "columns=-5"),
        (NOISE, {"overlap": -3}, "overlap=-3"),
        (NOISE, {"overlap": "8"}, "overlap='8'"),
        (NOISE, {"wrap": "no"}, "wrap='no'"),
        (NOISE.assign_attrs(flexclim_tiles="[1"), {}, "does not list tiles"),
    ],
)
def test_nonsense_is_named(field, options, words):
    with pytest.raises(FlexclimError, match=words):
        verify.seam(field, **{**SMALL, **options})


def test_borders_where_the_field_is_missing_are_left_out():
    known = verify.seam(NOISE.isel(y=slice(0, 20)), rows=[], columns=[32], overlap=8)
    found = verify.seam(NOISE.where(NOISE.y < 20), **SMALL)
    xr.testing.assert_allclose(found.gradient, known.gradient, rtol=1e-12)


@pytest.mark.parametrize("kind", ["uint8", "bool", "float16"])
def test_types_of_numbers_have_the_seam_of_their_values(kind):
    field = (NOISE * 10 + 100).astype(kind) if kind != "bool" else NOISE > 0
    xr.testing.assert_allclose(
        verify.seam(field, **SMALL), verify.seam(field.astype(float), **SMALL), rtol=1e-5
    )


def test_a_reference_may_have_one_time_as_a_scalar(ensemble):
    fine = ensemble[0].isel(time=0).assign_attrs(units="K")
    options = {"rows": [4], "columns": [5], "overlap": 2}
    seam = verify.seam(fine, reference=fine, **options)
    assert float(seam["gradient"]) == pytest.approx(1)
