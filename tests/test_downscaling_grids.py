"""Fields on grids of every kind are downscaled, and every member keeps the area mean."""

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from grid_kinds import GLOBAL, healpix_field, smooth

from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.grids.regridding.cell_discovery import cells_of

ROWS = 9


def field_of(kind, f=smooth):
    made = GLOBAL[kind](ROWS, f)
    return made if isinstance(made, xr.Dataset) else made.to_dataset()


def run(obj, model, factor=4, **options):
    return downscale(obj, factor, model=model, **{"members": 2, "precision": "float32", **options})


def area_mean(ds):
    areas = cells_of(ds).areas
    values = ds.t.values
    return (
        values.reshape(*values.shape[: values.ndim - ds.t.ndim], -1, areas.size)
        @ areas
        / (areas.sum())
    )


@pytest.mark.parametrize("kind", GLOBAL)
def test_members_keep_the_global_mean(kind, toy_model):
    ds = field_of(kind)
    fine = run(ds, toy_model)
    lazy = run(ds.chunk(), toy_model)
    assert isinstance(lazy.t.data, da.Array)
    np.testing.assert_array_equal(lazy.t, fine.t)
    wanted = 1e-4 * float(ds.t.std())
    assert abs(area_mean(fine) - area_mean(ds)).max() < wanted
    assert float(fine.t.std()) > 0.5 * float(ds.t.std())


@pytest.mark.parametrize("kind", ["gaussian", "curvilinear", "nested"])
def test_a_member_is_the_same_whatever_else_is_asked_for(kind, toy_model):
    field = field_of(kind).t.expand_dims(time=np.arange(2).astype("M8[D]").astype("M8[ns]"))
    whole = run(field, toy_model, members=2)
    part = run(field.isel(time=[1]), toy_model, members=1)
    scale = float(field.std())
    assert float(abs(whole.isel(time=1) - whole.isel(time=0)).max()) > 0.01 * scale
    np.testing.assert_allclose(part[0, 0], whole[0, 1], atol=1e-5 * scale)


@pytest.mark.parametrize("nested", [True, False])
@pytest.mark.parametrize("factor", [2, 4])
def test_pixels_are_split_and_keep_their_means(nested, factor, toy_model):
    field = healpix_field(2, nested=nested)
    fine = run(field, "flex-nano" if factor == 2 else toy_model, factor, steps=1)
    assert fine.dims == ("realization", "cell")
    assert fine.healpix_index.values.tolist() == list(range(192 * factor**2))
    assert fine.crs.attrs["refinement_level"] == 2 + factor // 2
    assert "HEALPix level 2" in fine.attrs["input_grid"]
    means = fine.coarsen(cell=factor**2).mean()
    np.testing.assert_allclose(means, healpix_field(2).broadcast_like(means), rtol=1e-12)
    # Members differ from interpolation by no more than the toy's noise.
    assert float(abs(fine.mean("realization") - smooth(fine.lat, fine.lon)).max()) < 1.5
    assert float(abs(fine[0] - fine[1]).max()) > 0.01


def test_bounds_and_missing_pixels(toy_model):
    rain = healpix_field(2, lambda lat, lon: np.maximum(smooth(lat, lon) - 3, 0)).rename("pr")
    rain = rain.assign_attrs(units="mm h-1").expand_dims(time=[0, 1]).copy(deep=True)
    rain[0, 5] = np.nan
    fine = run(rain, toy_model)
    assert np.isnan(fine).sum() == 2 * 16
    assert fine.min() == 0
    means = fine.coarsen(cell=16).mean()
    np.testing.assert_allclose(means, rain.broadcast_like(means), rtol=1e-9, atol=1e-12)
    free = run(rain, toy_model, conserve=False)
    assert np.isnan(free).sum() == 2 * 16
    assert abs(free.coarsen(cell=16).mean() - rain).max() > 1e-3


def test_fine_members_of_coarse_ones(toy_model):
    members = healpix_field(1).expand_dims(member=[3, 7]) + xr.DataArray([0.0, 5.0], dims="member")
    fine = run(members, toy_model, members=None)
    assert fine.realization.values.tolist() == [3, 7]
    np.testing.assert_allclose(fine.coarsen(cell=16).mean(), members, rtol=1e-12)


@pytest.mark.slow
def test_stores_of_pixels_are_extended(toy_model, tmp_path):
    field = healpix_field(1).expand_dims(time=[0, 1]).to_dataset()
    path = tmp_path / "fine.zarr"
    for members in (1, 2):
        stored = downscale_to_zarr(field, path, 4, model=toy_model, members=members)
    assert stored.t.dims == ("realization", "time", "cell")
    np.testing.assert_array_equal(stored.t, run(field, toy_model, members=2).t)
