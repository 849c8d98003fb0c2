"""The models that ship, on fields that training never saw."""

import coarse_fields
import numpy as np
import pytest
import xarray as xr

import flexclim
from benchmarks.skill.borders import moved_borders
from flexclim import verify


@pytest.fixture(scope="module")
def days(data_dir):
    wind = xr.open_dataset(data_dir / "gfs_wind_1deg_2018.nc")["u10"]
    return wind.isel(time=[3, 12]).load()


@pytest.fixture(scope="module")
def september(days):
    return days.isel(time=[0])


@pytest.fixture(scope="module")
def fine(september):
    return flexclim.downscale(flexclim.coarsen(september, 4), 4, members=4)


def test_flex_nano_beats_interpolation(september, fine):
    bicubic = flexclim.interpolate(flexclim.coarsen(september, 4), 4)
    error = verify.mae(bicubic, september)
    assert float(verify.crps(fine, september)) < 0.70 * float(error)
    assert 0.7 < float(verify.spread_skill(fine, september)) < 1.2


@pytest.mark.slow
def test_no_seam_shows(days):
    """Borders are judged against the same members sampled with borders elsewhere."""
    coarse = flexclim.coarsen(days, 4)
    fine = flexclim.downscale(coarse, 4, members=4)
    with moved_borders():
        elsewhere = flexclim.downscale(coarse, 4, members=4)
    assert elsewhere.attrs["flexclim_tiles"] != fine.attrs["flexclim_tiles"]
    seam = verify.seam(fine, reference=elsewhere)
    for name in ("gradient", "variance"):
        assert abs(float(seam[name]) - 1) < 0.02


def test_members_have_the_truth_s_fine_scales(september, fine):
    distance = verify.log_spectral_distance(fine, september, kind="zonal")
    assert float(distance) < 3


@pytest.mark.slow
@pytest.mark.parametrize("factor", [2, 8])
def test_other_factors(september, factor):
    # 8 does not divide the 180 rows between the poles.
    field = september.isel(time=[0], latitude=slice(2, 179), longitude=slice(0, 177))
    coarse = flexclim.coarsen(field, factor, grid="point")
    made = flexclim.downscale(coarse, factor, members=2, grid="point")
    error = verify.mae(flexclim.interpolate(coarse, factor, grid="point"), field)
    assert float(verify.crps(made, field)) < 0.85 * float(error)


def test_rain_that_training_never_saw(data_dir):
    rain = xr.open_dataset(data_dir / "small" / "mrms_1km_6x128x128.nc")
    name = next(iter(rain.data_vars))
    field = rain[name].isel(time=[2]).fillna(0.0)
    coarse = flexclim.coarsen(field, 4, grid="cell")
    made = flexclim.downscale(coarse, 4, members=4, grid="cell", non_negative=True)
    error = verify.mae(flexclim.interpolate(coarse, 4, grid="cell"), field)
    assert float(made.min()) >= 0
    assert float(verify.crps(made, field)) < float(error)
    np.testing.assert_allclose(
        flexclim.coarsen(made, 4, grid="cell").values - coarse.values, 0, atol=1e-4
    )


def test_the_card_tells_what_matters():
    card = flexclim.load_model("flex-nano").card
    assert card.factors == (2, 4, 8)
    assert {part.source for part in card.data}
    assert card.licence
    assert card.scores


@pytest.mark.slow
@pytest.mark.parametrize(("spacing", "factor"), [(4.0, 4), (0.04, 4), (0.3, 4), (4.0, 8)])
def test_hourly_rain_has_a_model_of_its_own_at_factor_4(spacing, factor):
    rain = coarse_fields.region(2).rename("tp").assign_attrs(units="m").chunk()
    hours = rain.time[0].values + np.array([0, 1], "timedelta64[h]")
    rain = rain.assign_coords(time=hours, lat=spacing * rain.lat, lon=spacing * rain.lon)
    rain = rain.assign_coords(lat=50 + rain.lat - rain.lat[0])
    fine = flexclim.downscale(rain, factor, members=1)
    assert fine.attrs["flexclim_model"] == ("flex-rain" if factor == 4 else "flex-nano")
