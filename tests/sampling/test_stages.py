import coarse_fields
import dask
import numpy as np
import pytest
import xarray as xr

import flexclim
from flexclim.errors import ModelError
from flexclim.resampling import coarsen


@pytest.fixture
def region():
    return coarse_fields.region(2, 4, 5)


@pytest.fixture
def run(toy_model):
    def downscale(obj, factor, **options):
        usual = {"model": toy_model, "members": 2, "precision": "float32"}
        return flexclim.downscale(obj, factor, **(usual | options))

    return downscale


def refuse(*args, **kwargs):
    raise AssertionError("something was computed")


def test_sixteen_is_four_and_four_with_members_paired(region, run):
    fine, first = run(region, 16), run(region, 4)
    assert fine.dims == ("realization", "time", "lat", "lon")
    assert fine.shape == (2, 2, 64, 80)
    np.testing.assert_allclose(coarsen(fine, 4), first, atol=1e-4)
    assert fine.attrs["flexclim_factor"] == 16
    assert fine.attrs["flexclim_chain"] == "x4 with toy, x4 with toy"
    assert fine.attrs["history"].count("downscaled x4 with toy") == 2
    with dask.config.set(scheduler=refuse):
        lazy = run(region.chunk(time=1), 16)
    np.testing.assert_allclose(lazy.isel(realization=1, time=0), fine[1, 0], atol=1e-5)


def test_each_step_has_noise_of_its_own(region, run):
    """The second step by hand, with the seed of the first, is the same but for the noise."""
    again = run(run(region, 4), 4, members=None)
    fine = run(region, 16)
    np.testing.assert_allclose(coarsen(again, 4), coarsen(fine, 4), atol=1e-4)
    details = [field - field.mean("realization") for field in (again, fine)]
    correlation = float(xr.corr(*details))
    assert abs(correlation) < 0.9
    assert float(details[1].std()) == pytest.approx(float(details[0].std()), rel=0.1)


def test_members_and_times_do_not_depend_on_others(region, run):
    fine = run(region, 16, members=3)
    part = run(region.isel(time=[1]), 16, members=2)
    np.testing.assert_allclose(part, fine[:2, 1:], atol=1e-4)


def test_an_ensemble_is_refined_member_by_member(region, run):
    numbers = xr.DataArray([4, 2], dims="realization")
    ensemble = (region + numbers).assign_coords(realization=numbers).rename("t")
    fine = run(ensemble, 16, members=None)
    assert fine.realization.values.tolist() == [4, 2]
    np.testing.assert_allclose(coarsen(fine, 16), ensemble.transpose(*fine.dims), atol=1e-4)


def test_other_factors_are_those_of_the_model(region, run, make_toy):
    fine = run(region, 8, model=make_toy(factors=(2, 4)))
    assert fine.attrs["flexclim_chain"] == "x2 with toy, x4 with toy"
    assert "flexclim_chain" not in run(region, 8).attrs
    with pytest.raises(ModelError, match="was not trained at x3; it knows 2, 4, 8"):
        run(region, 3)


def test_the_second_model_reads_all_that_the_first_one_predicts(make_toy):
    from flexclim.models.channels import Target, Variable

    names = "u10", "v10"
    model = make_toy(
        channels=2,
        read=2,
        inputs=tuple(Variable(name=name) for name in names),
        targets=tuple(Target(name=name, base=name) for name in names),
        scaling="fixed",
        factors=(4,),
        residual_scale={4: (1.0, 1.0)},
    )
    field = coarse_fields.region(1, 4, 5)
    ds = xr.Dataset({"u10": field, "v10": -field})
    fine = flexclim.downscale(ds, 16, model=model, members=1, variables=["u10"])
    assert list(fine.data_vars) == ["u10"]
    assert fine.u10.shape == (1, 1, 64, 80)


def test_a_chain_to_a_target(region, run):
    stations = xr.Dataset(coords={"lat": ("s", [48.1, 49.9]), "lon": ("s", [5.2, 8.8])})
    fine = run(region, 16)
    there = run(region, 16, to=stations)
    np.testing.assert_allclose(there, flexclim.regrid(fine, stations), atol=1e-5)
    auto = run(region.to_dataset(), None, to=0.07)
    assert auto.attrs["flexclim_factor"] == 16


@pytest.mark.slow
def test_a_store_of_a_chain_is_continued(region, toy_model, tmp_path, run):
    options = {"model": toy_model, "precision": "float32"}
    path = tmp_path / "fine.zarr"
    flexclim.downscale_to_zarr(region.isel(time=[0]), path, 16, members=1, **options)
    found = flexclim.downscale_to_zarr(region, path, 16, members=2, **options)
    np.testing.assert_allclose(found.t, run(region, 16), atol=1e-4)
    assert flexclim.check_store(path) == {}
    with pytest.raises(flexclim.StoreError, match="seed 0, not 1"):
        flexclim.downscale_to_zarr(region, path, 16, members=2, seed=1, **options)
