"""Constraints between variables: never broken, with block means, and nothing else changes."""

import json

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from grid_kinds import healpix_field
from hypothesis import given, settings
from hypothesis import strategies as st

import flexclim
from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimWarning, StoreError
from flexclim.resampling import coarsen

AIR = {"units": "K", "standard_name": "air_temperature"}


def temperatures(times=1, apart=0.3, seed=0, rows=6):
    """Return temperatures whose extremes are so far from the mean, and a dew point below it."""
    random = np.random.default_rng(seed)
    mean = 280 + 2 * random.normal(size=(times, rows, 7)).cumsum(1).cumsum(2) / 7
    coordinates = {
        "time": pd.date_range("2018-09-14", periods=times, freq="D"),
        "lat": 50.0 - np.arange(rows),
        "lon": np.arange(5.0, 12),
    }
    values = {"tasmin": mean - apart, "tas": mean, "tasmax": mean + apart, "tdps": mean - 2 * apart}
    dims = "time", "lat", "lon"
    fields = {name: (dims, one.astype("float32"), dict(AIR)) for name, one in values.items()}
    ds = xr.Dataset(fields, coordinates)
    ds["tdps"].attrs["standard_name"] = "dew_point_temperature"
    return ds


def described(ds, **attributes):
    """Return a Dataset whose variables have these attributes."""
    return ds.assign({name: field.assign_attrs(attributes) for name, field in ds.items()})


def winds():
    u, v = (temperatures().tas.drop_attrs() - mean for mean in (279, 281))
    ds = xr.Dataset({"u10": u, "v10": v, "si10": np.hypot(u, v) + 0.5})
    return described(ds, units="m s-1")


@pytest.fixture(scope="module")
def run(toy_model):
    def run(ds, **options):
        return downscale(ds, 4, **{"model": toy_model, "members": 2, "batch": 4} | options)

    return run


@pytest.fixture(scope="module")
def free(run):
    return run(temperatures(times=2), constraints=False)


@pytest.fixture(scope="module")
def fine(run):
    return run(temperatures(times=2))


def is_in_order(fine):
    below = (fine.tasmin <= fine.tas) & (fine.tdps <= fine.tas)
    return bool((below & (fine.tas <= fine.tasmax)).all())


def assert_means_are_those_of(ds, fine):
    for name in ds:
        means = coarsen(fine[name], 4).isel(realization=0).values
        np.testing.assert_allclose(means, ds[name].values, atol=2e-4)


def test_the_order_is_never_broken_and_block_means_are_kept(free, fine):
    broken = (free.tasmin > free.tas) | (free.tas > free.tasmax)
    assert float(broken.mean()) > 0.1
    assert is_in_order(fine)
    assert_means_are_those_of(temperatures(times=2), fine)
    np.testing.assert_array_equal(fine.tas.values, free.tas.values)  # what bounds others stays


def test_chunks_that_cut_blocks_change_nothing(run, fine, monkeypatch):
    monkeypatch.setattr("flexclim.planning.downscaling_plan.FEW_WINDOWS", 0)
    ds = temperatures(times=2)
    lazy = run(ds.chunk(), chunks={"lat": 10, "lon": 9})
    assert lazy.tasmin.chunksizes["lat"] == (10, 10, 4)
    np.testing.assert_allclose(lazy.tasmin.values, fine.tasmin.values, atol=1e-3)


def test_variables_with_the_same_noise_vary_together(free, fine):
    def correlation(fine, name):
        one, other = (fine[name] - fine[name].mean("realization") for name in (name, "tas"))
        return float(xr.corr(one, other))

    for name, expected in {"tasmin": 1.0, "tasmax": 1.0, "tdps": 0.7}.items():
        assert abs(correlation(free, name)) < 0.2
        assert correlation(fine, name) == pytest.approx(expected, abs=0.1)


def test_attributes_state_the_rule_and_count_what_was_moved(run):
    ds = temperatures(apart=0.02)
    fine = run(ds)
    assert fine.tasmin.attrs["flexclim_constraints"] == "tasmin <= tas"
    assert "flexclim_constraints" not in fine.tas.attrs
    moved = json.loads(fine.attrs["flexclim_moved"])
    assert {name: (one["of"], one["units"]) for name, one in moved.items()} == dict.fromkeys(
        ("tasmin", "tasmax", "tdps"), (fine.tas.size, "K")
    )
    lazy = run(ds.chunk())
    assert "flexclim_moved" not in lazy.attrs
    assert lazy.tasmin.attrs["flexclim_constraints"] == "tasmin <= tas"
    # Members of a dew point differ from those of its noise by what was moved.
    noise = run(ds, constraints=["dew_point"]).tdps
    np.testing.assert_array_equal(fine.tdps.values, noise.values)
    assert 0 < moved["tdps"]["cells"] <= moved["tdps"]["of"]
    assert 0 < moved["tdps"]["largest"] < 20


def test_other_requests_stay_as_they_are(run, free):
    ds = temperatures(times=2)
    alone = run(ds.tasmin.to_dataset())
    np.testing.assert_array_equal(free.tasmin.values, alone.tasmin.values)
    assert "flexclim_moved" not in alone.attrs
    anomalies = described(ds, long_name="temperature anomaly")
    found = run(anomalies)
    for name in ("tasmin", "tdps"):
        np.testing.assert_array_equal(found[name].values, free[name].values)


def test_lazy_fields_and_slices_have_the_same_values(run, fine):
    ds = temperatures(times=2)
    lazy = run(ds.chunk(time=1, lat=3))
    assert isinstance(lazy.tasmin.data, da.Array)
    xr.testing.assert_equal(lazy.compute(), fine)
    part = lazy.tdps.isel(time=1, lat=slice(3, 9)).compute()
    np.testing.assert_array_equal(part.values, fine.tdps.isel(time=1, lat=slice(3, 9)).values)
    one = run(ds.isel(time=[1]), members=1)
    np.testing.assert_allclose(one.tasmin[0, 0].values, fine.tasmin[0, 1].values, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("flipped", [{}, {"lat": slice(None, None, -1)}])
def test_regions_of_a_large_field_keep_their_parts_of_block_means(run, monkeypatch, flipped):
    ds = temperatures(times=1, apart=0.05, rows=32).isel(flipped)
    whole = run(ds, members=1)
    monkeypatch.setattr("flexclim.planning.downscaling_plan.region_shape", lambda fine: (64, 28))
    parts = run(ds, members=1)
    assert parts.attrs["flexclim_region"] == "64 x 28"
    for name in ds:
        np.testing.assert_allclose(parts[name].values, whole[name].values, atol=1e-3)
    assert is_in_order(parts)


def test_grids_of_points(run):
    ds = temperatures(apart=0.05)
    fine = run(ds, grid="point")
    assert is_in_order(fine)
    means = coarsen(fine, 4, grid="point").isel(realization=0)
    for name in ds:
        np.testing.assert_allclose(means[name].values, ds[name].values, atol=2e-4)


def test_a_globe_that_begins_at_any_longitude(run):
    ds = temperatures(times=1, apart=0.05, rows=9)
    lon = np.arange(0.0, 360, 360 / 7)
    ds = ds.assign_coords(lat=np.linspace(80, -80, 9), lon=(lon + 180) % 360 - 180).sortby("lon")
    fine = run(ds, members=1)
    assert is_in_order(fine)
    assert_means_are_those_of(ds, fine)


def test_pixels_of_healpix(run):
    mean = healpix_field(2).to_dataset(name="tas")
    ds = mean.assign(tasmin=mean.tas - 0.05)
    ds = described(ds, **AIR)
    free, fine = run(ds, constraints=False), run(ds)
    assert (free.tasmin > free.tas).any()
    assert (fine.tasmin <= fine.tas).all()
    means = fine.coarsen(cell=16).mean()
    for name in ds:
        expected = np.broadcast_to(ds[name].values, means[name].shape)
        np.testing.assert_allclose(means[name].values, expected, atol=1e-5)


def test_units_of_the_file(run):
    ds = temperatures(apart=0.05)
    celsius = ds.assign(tasmin=(ds.tasmin - 273.15).assign_attrs(AIR, units="degC"))
    fine = run(celsius)
    assert float((fine.tasmin + 273.15 - fine.tas).max()) < 1e-4
    assert_means_are_those_of(celsius, fine)


def test_where_the_input_breaks_the_order_its_means_come_first(run):
    ds = temperatures(times=1)
    ds["tasmin"][0, 2, 3] = ds["tas"][0, 2, 3] + 1
    with pytest.warns(FlexclimWarning, match="block means of the input break tasmin <= tas"):
        fine = run(ds)
    assert_means_are_those_of(ds, fine)
    block = {"lat": slice(8, 12), "lon": slice(12, 16)}
    beyond = (fine.tasmin > fine.tas).astype(int)
    assert beyond.sum() == beyond.isel(block).sum() > 0


def test_missing_cells(run):
    ds = temperatures(times=1, apart=0.05)
    ds["tas"][0, 2, 3] = np.nan
    fine = run(ds)
    hole = fine.tas.isnull()
    assert hole.sum() == 2 * 16
    assert not fine.tasmin.isnull().any()
    assert not ((fine.tasmin > fine.tas) & ~hole).any()


def test_wind_speed_comes_from_its_components(run):
    ds = winds()
    fine = run(ds)
    speed = np.hypot(fine.u10, fine.v10)
    ratio = (fine.si10 / speed).values.reshape(2, 1, 6, 4, 7, 4)
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio[..., :1, :, :1], ratio.shape), 1e-4)
    assert_means_are_those_of(ds[["si10"]], fine)
    exact = run(ds, conserve=False)
    np.testing.assert_allclose(exact.si10, np.hypot(exact.u10, exact.v10), rtol=1e-6)
    daily = ds.assign(si10=ds.si10.assign_attrs(cell_methods="time: mean"))
    free = run(ds, constraints=False)
    np.testing.assert_array_equal(run(daily).si10.values, free.si10.values)


@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 99), apart=st.sampled_from([0.0, 1e-3, 0.3]), kelvin=st.booleans())
def test_any_field_keeps_the_order(run, seed, apart, kelvin):
    ds = temperatures(1, apart, seed)
    if not kelvin:
        ds = described(ds - 273.15, units="degC", standard_name="air_temperature")
        ds["tdps"].attrs["standard_name"] = "dew_point_temperature"
    fine = run(ds, members=1)
    assert is_in_order(fine)
    assert_means_are_those_of(ds, fine)


@pytest.mark.slow
def test_a_store_holds_what_downscale_returns_and_is_continued(
    run, toy_model, tmp_path, monkeypatch
):
    ds, options = (
        temperatures(times=3, apart=0.02),
        {"model": toy_model, "members": 1, "batch": 4},
    )
    expected = run(ds, members=1)
    imposed = flexclim.sampling.imposed_constraints.impose
    calls = []

    def dies(*given, block_info, **named):
        calls.append(block_info)
        if len(calls) > 4:
            raise KeyboardInterrupt
        return imposed(*given, block_info=block_info, **named)

    with monkeypatch.context() as patch:
        patch.setattr("flexclim.sampling.imposed_constraints.impose", dies)
        with pytest.raises(KeyboardInterrupt):
            downscale_to_zarr(ds, tmp_path / "a.zarr", 4, **options)
    stored = downscale_to_zarr(ds, tmp_path / "a.zarr", 4, **options)
    for name in ds:
        np.testing.assert_array_equal(stored[name].values, expected[name].values)
    assert stored.tasmin.attrs["flexclim_constraints"] == "tasmin <= tas"
    assert json.loads(stored.attrs["flexclim_moved"])["tdps"]["cells"] > 0


def plan_of(path):
    return json.loads(xr.open_zarr(path).attrs["flexclim_plan"])


@pytest.mark.slow
def test_a_store_goes_on_as_it_was_begun(run, toy_model, tmp_path):
    ds, path = temperatures(times=1), tmp_path / "a.zarr"
    options = {"model": toy_model, "batch": 4}
    downscale_to_zarr(ds, path, 4, **options, members=1, constraints=False)
    plan = plan_of(path)
    assert "constraints" not in plan
    assert not any("noise_of" in target for target in plan["targets"].values())
    stored = downscale_to_zarr(ds, path, 4, **options, members=2)
    free = run(ds, constraints=False)
    np.testing.assert_array_equal(stored.tasmin.values, free.tasmin.values)
    with pytest.raises(StoreError, match="constraints tdps <= tas"):
        downscale_to_zarr(ds, path, 4, **options, members=2, constraints="dew_point")


@pytest.mark.slow
def test_a_store_with_constraints_is_extended_with_them(run, toy_model, tmp_path):
    ds, path = temperatures(times=1), tmp_path / "a.zarr"
    options = {"model": toy_model, "batch": 4}
    downscale_to_zarr(ds, path, 4, **options, members=1, constraints=["dew_point"])
    assert plan_of(path)["constraints"] == {"tdps <= tas": "dew_point"}
    stored = downscale_to_zarr(ds, path, 4, **options, members=2)
    expected = run(ds, constraints=["dew_point"])
    for name in ds:
        np.testing.assert_array_equal(stored[name].values, expected[name].values)
    with pytest.raises(StoreError, match="constraints"):
        downscale_to_zarr(ds, path, 4, **options, members=2, constraints=False)
