"""Models that read and make several named variables, with static predictors."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim.cli import main
from flexclim.downscaling import downscale, downscale_to_zarr
from flexclim.errors import StoreError
from flexclim.models.model import keep_loaded
from flexclim.models.settings import Static, Target, Variable
from flexclim.planning import variable_groups as groups
from flexclim.planning.downscaling_plan import DownscalingOptions, plan_downscaling
from flexclim.planning.source import resolve
from flexclim.resampling import coarsen

RAIN = {"transform": "log1p", "unit": 0.1, "std": 0.5}
STATICS = tuple(Static(name=n) for n in ("orography", "latitude", "day_of_year", "solar_time"))


def fields(lat, lon):
    random = np.random.default_rng(0)
    dims = ("time", "lat", "lon")
    values = random.normal(size=(3, 2, lat.size, lon.size)).astype("float32")
    return xr.Dataset(
        {
            "u10": (dims, values[0], {"units": "m s-1"}),
            "v10": (dims, values[1], {"units": "m s-1"}),
            "tp": (dims, np.maximum(values[2], 0), {"units": "mm h-1"}),
        },
        {"time": pd.date_range("2018-09-14", periods=2, freq="6h"), "lat": lat, "lon": lon},
    )


@pytest.fixture(scope="module")
def globe():
    """Return a coarse global grid of points with both poles."""
    return fields(np.linspace(90, -90, 10), np.arange(0.0, 360, 20))


@pytest.fixture(scope="module")
def whole(globe, model, static):
    """Return the globe downscaled."""
    return downscale(globe, 4, model=model, static=static, members=2, batch=8)


@pytest.fixture
def region():
    return fields(np.arange(50.0, 42, -1), np.arange(5.0, 14))


@pytest.fixture(scope="module")
def static():
    lat, lon = np.arange(-88.0, 90, 4), np.arange(0.0, 360, 4)
    values = np.random.default_rng(1).normal(size=(lat.size, lon.size))
    other = ("month", np.arange(12))
    return xr.Dataset(
        {"orography": (("lat", "lon"), values), "other": other}, {"lat": lat, "lon": lon}
    )


@pytest.fixture(scope="session", params=["fixed", "local"])
def model(request, make_toy):
    """Return a model of wind and rain with four static predictors."""
    inputs = (
        Variable(name="u10", vector=True, std=1.5),
        Variable(name="v10", vector=True),
        Variable(name="tp", mean=0.3, **RAIN),
    )
    targets = (
        Target(name="u10", base="u10", vector=True),
        Target(name="v10", base="v10", vector=True),
        Target(name="tp", base="tp", **RAIN),
    )
    return make_toy(3, 9, inputs=inputs, targets=targets, statics=STATICS, scaling=request.param)


@pytest.fixture(scope="session")
def energy(make_toy):
    """Return a model that makes of wind its kinetic energy, and wind at another height."""
    inputs = (Variable(name="u10", vector=True), Variable(name="v10", vector=True))
    targets = (
        Target(name="ke", transform="log1p", mean=1.0, non_negative=True),
        Target(name="u100", base="u10", vector=True),
    )
    card = {"units": {"ke": "m2 s-2", "u10": "m s-1"}}
    return make_toy(2, 2, card, inputs=inputs, targets=targets, scaling="fixed")


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


def test_noise_belongs_to_the_target(energy, region, make_toy):
    """Members of a target stay what they are when other targets go."""
    keys = []
    normal = flexclim.sampling.planes.standard_normal

    def remembered(shape, key, member, origin):
        keys.append((key.variable, member))
        return normal(shape, key, member, origin)

    flexclim.sampling.planes.standard_normal = remembered
    try:
        downscale(region.isel(time=[0]), 4, model=energy, members=2, batch=4)
    finally:
        flexclim.sampling.planes.standard_normal = normal
    assert sorted(keys) == [("ke", 0), ("ke", 1), ("u100", 0), ("u100", 1)]


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


def test_one_target_of_a_data_array(make_toy, region):
    one = (Target(name="tp", base="tp", **RAIN),)
    model = make_toy(inputs=one[:1], targets=one, scaling="fixed")
    fine = downscale(region["tp"], 4, model=model, members=2, batch=4)
    assert isinstance(fine, xr.DataArray)
    xr.testing.assert_equal(fine, downscale(region, 4, model=model, members=2, batch=4)["tp"])


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (
            lambda ds: ds.drop_vars("v10"),
            {},
            "reads u10, v10, tp, and the input has no field 'v10'",
        ),
        (lambda ds: ds.rename(v10="v100"), {}, "it has v100, u10. Rename the one"),
        (lambda ds: ds["u10"], {}, "no field 'v10'; it has u10"),
        (lambda ds: ds, {"static": None}, r"needs static fields \(orography\). Pass them"),
        (lambda ds: ds, {"variables": ["q"]}, "no field 'q' to downscale; there are u10, v10, tp"),
        (lambda ds: ds.isel(time=0, drop=True), {}, "needs day_of_year, and 'u10' has no time"),
        (lambda ds: ds.assign(tp=ds.tp.isel(time=0)), {}, "their dimensions differ"),
        (lambda ds: ds.where(ds.lat < 49, np.inf), {}, "infinite or fill values"),
    ],
)
def test_bad_input_gets_one_line(run, region, change, options, message):
    with pytest.raises(flexclim.FlexclimError, match=message) as caught:
        run(change(region), **options)
    assert "\n" not in str(caught.value)


def test_units_of_inputs_are_compared(energy, region):
    knots = region.assign(u10=region["u10"].assign_attrs(units="knots"))
    with pytest.raises(flexclim.ModelError, match="'u10' is in 'knots', and model 'toy' reads it"):
        downscale(knots, 4, model=energy)
    spelled = region.assign(u10=region["u10"].assign_attrs(units="m s**-1"))
    assert downscale(spelled.isel(time=[0]), 4, model=energy, members=1, batch=4).sizes["time"] == 1


def test_what_can_not_be_is_said(energy, region):
    with pytest.raises(flexclim.ModelError, match="predicts 'ke', which has no coarse counterpart"):
        downscale(region, 4, model=energy, conserve=True)
    with pytest.raises(flexclim.ModelError, match="takes no static fields"):
        downscale(region, 4, model=energy, static=region)


def test_the_model_s_variables_are_one_group(model, region):
    (group,) = groups.group_variables(resolve(region), model, None)
    assert group.inputs == group.targets == group.returned == ("u10", "v10", "tp")


def test_sets_of_a_model_are_saved_and_read(model, tmp_path):
    found = flexclim.load_model(model.replace().save(tmp_path / "toy"))
    assert found.settings == model.settings
    assert found.sha256 == model.sha256


def test_what_turns_at_a_pole_is_told_to_the_sampler(model, energy, region):
    def turning(model, inputs, targets):
        keep_loaded(model)
        source = groups.with_targets(resolve(region), model)
        plan = plan_downscaling(source, inputs, targets, model, DownscalingOptions(factor=4))
        sampler = flexclim.sampling.planes.sampler_of(plan.sampling)
        return [part.ravel().tolist() for part in (sampler._turning, sampler._turning_in)]

    names = ["u10", "v10", "tp"]
    assert turning(model, names, names) == [[True, True, False], [True, True] + [False] * 7]
    assert turning(energy, names[:2], ["ke", "u100"]) == [[False, True], [True, True]]


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
