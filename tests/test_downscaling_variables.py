"""Downscaling with models that read and predict several named variables, with static fields."""

import coarse_fields
import dask.array as da
import named_variables
import numpy as np
import pytest
import xarray as xr
from named_variables import RAIN

import flexclim
from flexclim.cli import main
from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import FlexclimError, ModelError, StoreError
from flexclim.models.channels import Target
from flexclim.resampling import coarsen


@pytest.fixture(scope="module")
def globe():
    """Return a coarse global grid of points with both poles."""
    return named_variables.fields(np.linspace(90, -90, 10), np.arange(0.0, 360, 20))


@pytest.fixture(scope="module")
def whole(globe, model, static):
    """Return the globe downscaled."""
    return downscale(globe, 4, model=model, static=static, members=2, batch=8)


@pytest.fixture
def region():
    return named_variables.coarse_region()


@pytest.fixture(scope="module")
def static():
    return named_variables.static_fields()


@pytest.fixture(scope="session", params=["fixed", "local"])
def model(request, make_toy):
    """Return a model of wind and rain with four static predictors."""
    return named_variables.wind_and_rain(make_toy, request.param)


@pytest.fixture(scope="session")
def energy(make_toy):
    """Return a model that makes of wind its kinetic energy, and wind at another height."""
    return named_variables.wind_energy(make_toy)


@pytest.fixture
def run(model, static):
    def run(ds, **options):
        given = {"members": 2, "model": model, "static": static, "batch": 8} | options
        return downscale(ds, 4, **given)

    return run


def close(found, expected):
    assert list(found.data_vars) == list(expected.data_vars)
    for name, field in expected.data_vars.items():
        tolerance = 1e-5 * float(field.std())
        np.testing.assert_allclose(found[name].values, field.values, atol=tolerance, err_msg=name)


def only_fields(ds):
    return ds[["u10", "v10", "tp"]]


def test_all_targets_come_back(run, globe, whole):
    fine = whole
    for name, units in {"u10": "m s-1", "v10": "m s-1", "tp": "mm h-1"}.items():
        assert fine[name].dims == ("realization", "time", "lat", "lon")
        assert fine[name].shape == (2, 2, 37, 72)
        assert fine[name].dtype == np.float32
        assert fine[name].attrs["units"] == units
        assert np.isfinite(fine[name]).all()
        assert float(fine[name].std("realization").mean()) > 0
    assert fine.attrs["flexclim_static"] == "orography latitude day_of_year solar_time"
    one = run(globe.isel(time=[0]), variables=["tp"])
    assert set(one.data_vars) & {"u10", "v10", "tp"} == {"tp"}
    close(one[["tp"]], fine[["tp"]].isel(time=[0]))


@pytest.mark.slow
def test_chunks_batches_and_members_change_no_pixel(run, globe, whole):
    expected = only_fields(whole)
    found = run(globe.chunk({"time": 2, "lat": 3, "lon": 5}))
    assert isinstance(found["tp"].data, da.Array)
    xr.testing.assert_equal(only_fields(found.compute()), expected)
    close(only_fields(run(globe, batch=5)), expected)
    part = run(globe.isel(time=[1]), members=1)
    close(only_fields(part), expected.isel(time=[1], realization=[0]))
    close(only_fields(run(globe.isel(time=1), members=1)), expected.isel(time=1, realization=[0]))


def test_rolling_and_flipping_the_globe_do_so_to_the_result(run, globe, whole):
    expected = only_fields(whole)
    turned = (
        globe.assign_coords(lon=(globe.lon + 180) % 360 - 180)
        .sortby("lon")
        .isel(lat=slice(None, None, -1))
    )
    found = only_fields(run(turned))
    assert (float(found.lon[0]), float(found.lat[0])) == (-180, -90)
    close(
        found.assign_coords(lon=found.lon % 360)
        .sortby("lon")
        .sortby("lat")[list(expected)]
        .transpose(*expected["u10"].dims),
        expected.sortby("lat"),
    )


@pytest.mark.usefixtures("single_planes")
def test_planning_computes_nothing_and_targets_share_their_tasks(
    region, static, model, monkeypatch
):
    calls = []
    sample = flexclim.sampling.downscaling_graph.sample_members
    monkeypatch.setattr(
        "flexclim.sampling.downscaling_graph.sample_members",
        lambda *a: (calls.append(a[3]), sample(*a))[1],
    )
    looked = []

    def look(block):
        looked.append(block.shape)
        return block

    lazy = static.assign(
        orography=static["orography"].copy(
            data=da.from_array(static["orography"].values).map_blocks(look, dtype=float)
        )
    )
    looked.clear()
    fine = downscale(region.chunk(), 4, model=model, static=lazy, members=3, batch=8)
    assert not calls
    assert not looked
    fine.compute(scheduler="synchronous")
    assert len(looked) == 1
    assert len(calls) == region.sizes["time"] * len(set(calls))
    assert {member for group in calls for member in group} == {0, 1, 2}
    eager = downscale(region, 4, model=model, static=static, members=3, batch=8)
    xr.testing.assert_equal(only_fields(fine.compute()), only_fields(eager))


def test_every_channel_matters(run, region, static):
    """A static field, another input, the hour and the season change the result."""
    region = region.isel(time=[0])
    expected = run(region, noise="frozen", members=1)["u10"].values

    def change(ds, **options):
        found = run(ds, noise="frozen", members=1, **options)["u10"].values
        return abs(found - expected).max()

    assert change(region) == 0
    assert change(region, static=static * 2) > 1e-4
    assert change(region.assign(tp=region["tp"] * 2)) > 1e-4

    def later(count, unit):
        return change(region.assign_coords(time=region.time + np.timedelta64(count, unit)))

    assert later(90, "D") > 1e-4
    # Three hours change solar time; a day brings it back and hardly changes the season.
    assert later(3, "h") > 2 * later(1, "D") > 0


def test_missing_cells_are_those_of_the_base(run, region):
    holes = region.assign(tp=region["tp"].where(region.lat > 46))
    fine = run(holes, grid="cell")
    expected = np.isnan(holes["tp"].values).repeat(4, -1).repeat(4, -2)
    np.testing.assert_array_equal(np.isnan(fine["tp"].values[0]), expected)
    assert np.isfinite(fine["u10"]).all()


def test_each_target_keeps_its_own_means_and_sign(run, region):
    fine = run(region, grid="cell", conserve=True)
    means = coarsen(only_fields(fine), 4, grid="cell")
    for name in ("u10", "v10", "tp"):
        error = abs(means[name] - region[name]).max()
        assert float(error) < 1e-5 * float(region[name].std()), name
    assert float(fine["tp"].min()) >= 0
    assert float(fine["u10"].min()) < 0
    dry = (region["tp"] == 0).values.repeat(4, -1).repeat(4, -2)
    assert (fine["tp"].values[:, dry] == 0).all()
    free = coarsen(run(region, grid="cell", conserve=False)["u10"], 4, grid="cell")
    assert float(abs(free - region["u10"]).max()) > 0.01


def test_targets_may_be_other_variables(energy, region):
    fine = downscale(region, 4, model=energy, members=2, grid="cell", batch=4)
    assert {"ke", "u100"} <= set(fine.data_vars)
    assert not {"u10", "v10", "tp"} & set(fine.data_vars)
    assert fine["ke"].attrs["units"] == "m2 s-2"
    assert fine["u100"].attrs["units"] == "m s-1"
    assert float(fine["ke"].min()) >= 0
    # Only what adds to an input has means to keep.
    assert fine["u100"].attrs["flexclim_conserve"] == "true"
    assert fine["ke"].attrs["flexclim_conserve"] == "false"
    error = coarsen(fine["u100"], 4, grid="cell") - region["u10"]
    assert float(abs(error).max()) < 1e-5
    holes = region.assign(u10=region["u10"].where(region.lat > 46))
    found = downscale(holes, 4, model=energy, members=1, grid="cell", batch=4)
    assert np.isfinite(found["ke"]).all()
    assert np.isnan(found["u100"]).any()


def test_static_fields_are_read_in_the_units_of_the_card(run, region, static, model):
    metres = static.assign(orography=static.orography.assign_attrs(units="m"))
    stated = model.replace(card={"units": {"orography": "m"}})
    expected = run(region, model=stated, static=metres)
    close(expected, run(region))
    kilometres = metres.assign(orography=(static.orography / 1000).assign_attrs(units="km"))
    close(run(region, model=stated, static=kilometres), expected)
    geopotential = (static.orography * 9.80665).assign_attrs(units="m2 s-2").to_dataset(name="z")
    close(run(region, model=stated, static=geopotential), expected)
    pressure = metres.assign(orography=static.orography.assign_attrs(units="Pa"))
    with pytest.raises(ModelError, match=r"'orography' is in 'Pa'.*Convert it first"):
        run(region, model=stated, static=pressure)


def test_a_store_knows_inputs_and_static_fields(model, region, static, tmp_path):
    options = {"model": model, "members": 2, "batch": 8}
    store = tmp_path / "a.zarr"
    stored = downscale_to_zarr(region, store, 4, static=static, **options)
    expected = downscale(region, 4, static=static, **options)
    xr.testing.assert_equal(only_fields(stored.load()), only_fields(expected))
    with pytest.raises(StoreError, match="static"):
        downscale_to_zarr(region, store, 4, static=static + 1, **options)
    with pytest.raises(StoreError, match="input"):
        downscale_to_zarr(region.assign(tp=region.tp + 1), store, 4, static=static, **options)


def test_a_store_knows_what_is_missing_in_the_units_of_the_file(energy, region, tmp_path):
    """Declarations hold before units are converted; first and last planes show no difference."""
    options = {"model": energy, "members": 1, "batch": 8}
    wind = region.drop_vars("tp").pad(time=(0, 1), mode="reflect")
    wind["time"] = np.arange("2018-09-14", "2018-09-17", dtype="M8[D]").astype("M8[ns]")
    calm = (wind.time != wind.time[1]) | (wind.lat < 49)
    wind["u10"] = wind["u10"].where(calm, 30).assign_attrs(units="knots")
    declared = wind.assign(u10=wind["u10"].assign_attrs(valid_max=20.0))
    downscale_to_zarr(declared, tmp_path / "a.zarr", 4, **options)
    with pytest.raises(StoreError, match="inputs u10 missing"):
        downscale_to_zarr(wind, tmp_path / "a.zarr", 4, **options | {"members": 2})


def test_one_target_of_a_data_array(make_toy, region):
    one = (Target(name="tp", base="tp", **RAIN),)
    model = make_toy(inputs=one[:1], targets=one, scaling="fixed")
    fine = downscale(region["tp"], 4, model=model, members=2, batch=4)
    assert isinstance(fine, xr.DataArray)
    xr.testing.assert_equal(fine, downscale(region, 4, model=model, members=2, batch=4)["tp"])


def test_sets_of_a_model_are_saved_and_read(model, tmp_path):
    found = flexclim.load_model(model.replace().save(tmp_path / "toy"))
    assert found.settings == model.settings
    assert found.sha256 == model.sha256


def test_from_a_shell(model, region, static, tmp_path):
    region.to_netcdf(tmp_path / "coarse.nc")
    static.to_netcdf(tmp_path / "static.nc")
    folder, target = model.replace().save(tmp_path / "toy"), tmp_path / "fine.nc"
    command = ["downscale", tmp_path / "coarse.nc", target, "-f", 4, "-n", 2, "--batch", 8]
    command += ["--model", folder, "--static", tmp_path / "static.nc"]
    with pytest.raises(SystemExit) as ended:
        main([str(part) for part in command])
    assert ended.value.code == 0
    expected = downscale(region, 4, model=model, static=static, members=2, batch=8)
    with xr.open_dataset(target) as fine:
        close(only_fields(fine), only_fields(expected))


def test_a_model_knows_its_kind_of_grid(model, region, static):
    given = {"static": static, "members": 1, "batch": 8}
    points = downscale(region, 4, model=model, grid="point", **given)
    assert points.sizes["lat"] == 4 * (region.sizes["lat"] - 1) + 1
    same = downscale(region, 4, model=model.replace(grid="point"), **given)
    xr.testing.assert_equal(same.drop_attrs(), points.drop_attrs())


def test_a_projected_grid_with_lazy_positions(run, region):
    """Static fields reach it through its 2-D positions, which are read with the values."""
    y, x = 2500.0 * np.arange(8), 2500.0 * np.arange(9)
    latitude = 45 + 0.5 * np.arange(8)[:, None] - 0.05 * np.arange(9)
    longitude = 5 + 0.5 * np.arange(9) + 0.05 * np.arange(8)[:, None]
    looked = []

    def look(block):
        looked.append(block.shape)
        return block

    def positions(lazy):
        pairs = {"latitude": latitude, "longitude": longitude}
        if lazy:
            pairs = {n: da.from_array(v).map_blocks(look, dtype=float) for n, v in pairs.items()}
        return {n: (("y", "x"), v, {"standard_name": n}) for n, v in pairs.items()}

    meters = {"units": "m"}
    field = region.drop_vars(["lat", "lon"]).rename(lat="y", lon="x")
    field = field.assign_coords(y=("y", y, meters), x=("x", x, meters))
    expected = run(field.assign_coords(positions(False)))
    lazy = field.chunk().assign_coords(positions(True))
    looked.clear()
    fine = run(lazy)
    assert not looked
    close(only_fields(fine.compute()), only_fields(expected))
    with pytest.raises(flexclim.GridError, match="the field has none along 'y' and 'x'"):
        run(field)


def test_a_field_without_members_has_those_of_the_ensemble_beside_it(toy_model):
    field = coarse_fields.region()
    ensemble = xr.concat([field, field + 1], "number").assign_coords(number=[1, 2])
    both = xr.Dataset({"t": ensemble, "d": field})
    options = {"model": toy_model}
    found = downscale(both, 4, **options)
    alone = downscale(field.rename("d"), 4, members=3, **options)
    assert found.realization.values.tolist() == [1, 2]
    np.testing.assert_array_equal(found.d, alone.sel(realization=[1, 2]))
    np.testing.assert_array_equal(found.t, downscale(ensemble, 4, **options))
    with pytest.raises(FlexclimError, match="members=3 is impossible"):
        downscale(both, 4, members=3, **options)


def test_levels_of_a_multiindex_raise_no_warning(toy_model, recwarn):
    field = coarse_fields.region(2).expand_dims(level=[1, 2]).stack(sample=("level", "time"))
    downscale(field, 4, model=toy_model, members=1)
    assert not [one for one in recwarn if issubclass(one.category, FutureWarning)]
