"""Downscaling with models whose inputs are other variables on grids of their own."""

import numpy as np
import prognosis_data as world
import pytest
import xarray as xr

from flexclim.downscaling import downscale, downscale_to_zarr, estimate
from flexclim.errors import FlexclimError
from flexclim.models.channels import Target, Variable
from flexclim.resampling import interpolate
from flexclim.resampling.regridding import regrid
from flexclim.resampling.target_grids import coarse_grid, template_of
from flexclim.train.calibrate import calibrate

CARD = {
    "units": {"t@850": "K", "t@500@-48h": "K", "msl": "Pa", "tasmax": "K"},
    "attributes": {"tasmax": {"standard_name": "air_temperature", "cell_methods": "time: maximum"}},
}
INPUTS = (
    Variable(name="t@850", mean=285.0, std=3.0),
    Variable(name="t@500@-48h", mean=263.0, std=3.0),
    Variable(name="msl", mean=128500.0, std=300.0),
)


@pytest.fixture(scope="module")
def model(make_toy):
    """Return a model that predicts its base: the temperature at 850 hPa, 8 K warmer."""
    return make_toy(
        1,
        3,
        CARD,
        {"tile": (16, 16), "unshuffle": 2},
        inputs=INPUTS,
        targets=(Target(name="tasmax", base="t@850", mean=293.0, std=3.0),),
        factors=(4,),
        residual_scale={4: (1e-7,)},
        scaling="fixed",
        conserve=False,
        perfect_prognosis=True,
        halo=4,
    )


@pytest.fixture
def predictors():
    return world.levels().assign(msl=world.surface()["msl"]).isel(time=slice(0, 4))


def run(ds, model, **options):
    given = {"to": world.target(), "members": 2, "steps": 1} | options
    return downscale(ds, model=model, **given)


def test_the_target_comes_on_its_own_grid_with_its_own_attributes(predictors, model):
    """Values are those of the closed form: predictors are linear and the residual is nothing."""
    fine = run(predictors, model)
    assert list(fine.data_vars) == ["tasmax"]
    assert fine["tasmax"].dims == ("realization", "time", "lat", "lon")
    wanted = world.target()
    for name in ("lat", "lon"):
        np.testing.assert_array_equal(fine[name], wanted[name])
    # The first two days have no temperature two days before.
    np.testing.assert_array_equal(fine["time"], predictors["time"][2:])
    truth = wanted["tasmax"].sel(time=fine.time)
    low = world.levels()["t"].isel(plev=0, drop=True).sel(time=fine.time)
    low = regrid(low, coarse_grid(template_of(wanted), 4), "bilinear")
    base = interpolate(low, 4).isel(lon=slice(18)) + 8  # 18 columns lie in 5 coarse ones
    np.testing.assert_allclose(fine["tasmax"], np.stack(2 * [base]), atol=1e-3)
    np.testing.assert_allclose(base, truth, atol=0.3)  # but for the edges
    attrs = fine["tasmax"].attrs
    assert (attrs["standard_name"], attrs["units"]) == ("air_temperature", "K")
    assert attrs["cell_methods"].startswith("time: maximum")


def test_predictors_may_lie_on_several_grids_and_in_other_units(predictors, model):
    other = world.surface().isel(time=slice(0, 4)).rename(lat="lat1", lon="lon1")
    for name, standard_name in {"lat1": "latitude", "lon1": "longitude"}.items():
        other[name].attrs["standard_name"] = standard_name
    other["msl"] = (100 * other["msl"]).assign_attrs(other["msl"].attrs, units="Pa")
    ds = world.levels().isel(time=slice(0, 4)).merge(other)
    xr.testing.assert_allclose(run(ds, model).tasmax, run(predictors, model).tasmax, rtol=1e-6)


@pytest.mark.slow
def test_lazy_input_is_computed_later_and_stores_resume(predictors, model, tmp_path):
    whole = run(predictors, model)
    lazy = run(predictors.chunk(time=1), model)
    assert lazy.chunks
    xr.testing.assert_allclose(lazy.compute(), whole, rtol=1e-6)
    options = {"model": model, "to": world.target(), "steps": 1}
    path = tmp_path / "fine.zarr"
    downscale_to_zarr(predictors.isel(time=slice(0, 3)), path, members=1, **options)
    grown = downscale_to_zarr(predictors, path, members=2, **options)
    xr.testing.assert_allclose(grown.tasmax.load(), whole.tasmax, rtol=1e-6)


def test_cost_is_estimated(predictors, model):
    # Two days and two members of 2 x 2 tiles, one step each.
    found = estimate(predictors, model=model, to=world.target(), members=2, steps=1)
    assert found.passes > 0


def test_calibration_takes_the_grid_of_the_truth(predictors, model, monkeypatch):
    calls = []

    def noted(source, factor, model, **options):
        calls.append(options)
        return run(source, model, **options)

    monkeypatch.setattr("flexclim.train.calibrate.downscale", noted)
    truth = world.target().isel(time=slice(2, 4))
    with pytest.raises(FlexclimError):  # members that do not differ have no spread to scale
        calibrate(model, truth, 4, coarse=predictors, members=2, steps=1)
    assert calls[0]["to"] is truth
    with pytest.raises(FlexclimError, match=r"reads predictors.*coarse="):
        calibrate(model, truth, 4)


def refused(match, *args, **options):
    with pytest.raises(FlexclimError, match=match) as error:
        run(*args, **options)
    assert "\n" not in str(error.value)


def test_bad_input_is_an_error_of_one_line(predictors, model):
    refused(r"no 'msl': it has t\.", predictors.drop_vars("msl"), model)
    refused(r"no 't@850': 't' has the levels 50000 Pa", predictors.isel(plev=[1]), model)
    refused(r"reads predictors on any grid.*to=None", predictors, model, to=None)
    refused(r"to=0.5 has no rows", predictors, model, to=0.5)
    refused(r"no two times of 't@500' are that far", predictors.isel(time=slice(2)), model)
    refused(r"span 37 to 47 north.*lie outside", predictors.sel(lat=slice(38, 46)), model)


def test_predictors_without_shared_times_are_an_error(predictors, model):
    later = predictors["msl"].assign_coords(time=predictors.time + np.timedelta64(90, "D"))
    ds = predictors.drop_vars("msl").assign(msl=later.rename(time="valid_time"))
    refused(r"no 'msl'|time", ds, model)
