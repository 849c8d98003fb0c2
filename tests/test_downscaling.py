import coarse_fields
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import flexclim
from flexclim import verify
from flexclim.downscaling import downscale
from flexclim.errors import GridError
from flexclim.resampling import coarsen


@pytest.fixture
def globe():
    """Return a coarse global grid of points, 3 times, as files store them: north first, from 0E."""
    return coarse_globe()


def coarse_globe():
    random = np.random.default_rng(0)
    values = random.normal(size=(3, 13, 24)).astype("float32")
    return xr.DataArray(
        values,
        coords={
            "time": pd.date_range("2018-09-14", periods=3, freq="6h"),
            "lat": np.linspace(90, -90, 13),
            "lon": np.arange(0.0, 360, 15),
        },
        dims=("time", "lat", "lon"),
        name="u10",
        attrs={"units": "m s-1"},
    )


@pytest.fixture
def region():
    return coarse_fields.region(2, 10, 13)


def close(found, expected):
    scale = float(expected.std())
    np.testing.assert_allclose(found.values, expected.values, atol=1e-5 * scale)


def run(obj, model, factor=4, **options):
    usual = {"members": 2, "precision": "float32"}  # which is not that of a GPU
    return downscale(obj, factor, model=model, **(usual | options))


@pytest.fixture(scope="module")
def downscaled(toy_model):
    return run(coarse_globe(), toy_model)


@pytest.fixture
def fine_globe(downscaled):
    """Return the globe downscaled."""
    return downscaled.copy(deep=True)


def test_shape_and_coordinates(fine_globe, toy_model):
    fine = fine_globe
    assert fine.dims == ("realization", "time", "lat", "lon")
    assert fine.shape == (2, 3, 49, 96)
    assert fine.dtype == np.float32
    np.testing.assert_allclose(fine.lat, np.linspace(90, -90, 49))
    assert fine.attrs["units"] == "m s-1"
    assert fine.attrs["flexclim_model"] == "toy"
    assert fine.attrs["flexclim_model_sha256"] == toy_model.sha256
    assert np.isfinite(fine).all()
    assert float(fine.std("realization").min()) > 0


def test_fields_that_are_no_numbers_are_named(globe, toy_model):
    flags = (globe > 0).to_dataset(name="wet")
    with pytest.raises(GridError, match=r"no numeric variable .*'lat' and 'lon': wet is bool"):
        run(flags, toy_model)


def test_each_variable_knows_the_borders_of_its_tiles(globe, toy_model):
    fine = run(globe.isel(time=0).to_dataset(), toy_model)
    alone = verify.seam(fine["u10"])
    xr.testing.assert_equal(alone.gradient, verify.seam(fine)["gradient.u10"])
    coarse = coarsen(fine, 2)
    assert "flexclim_tiles" not in coarse.attrs | coarse["u10"].attrs


@pytest.fixture
def ensemble(region):
    """Return five members, numbered from 3 on, which differ."""
    numbers = xr.DataArray(np.arange(3, 8), dims="realization", name="realization")
    return (region + 0.1 * numbers).assign_coords(realization=numbers).rename("t")


def test_an_ensemble_gets_a_fine_member_for_each(ensemble, toy_model):
    fine = run(ensemble, toy_model, members=None, batch=12)
    assert fine.dims == ("realization", "time", "lat", "lon")
    assert fine.realization.values.tolist() == [3, 4, 5, 6, 7]
    np.testing.assert_allclose(coarsen(fine, 4), ensemble.transpose(*fine.dims), atol=1e-4)
    for member in (3, 7):
        alone = run(ensemble.sel(realization=member, drop=True), toy_model, members=8)
        close(alone.sel(realization=member), fine.sel(realization=member))
    part = run(ensemble.sel(realization=[6, 4]).chunk(), toy_model, members=2)
    assert part.realization.values.tolist() == [6, 4]
    close(part, fine.sel(realization=[6, 4]))


def test_an_ensemble_is_sliced_lazily(ensemble, toy_model, monkeypatch):
    prepared = []
    prepare = flexclim.sampling.downscaling_graph.prepare_planes
    monkeypatch.setattr(
        "flexclim.sampling.downscaling_graph.prepare_planes",
        lambda *a: (prepared.append(a), prepare(*a))[1],
    )
    fine = run(ensemble.chunk(realization=1, time=1), toy_model, members=None, batch=4)
    fine.isel(realization=1, time=0).compute(scheduler="synchronous")
    assert len(prepared) == 1


@pytest.mark.parametrize(
    ("numbers", "options", "message"),
    [
        (range(5), {"members": 4}, "'t' has 5 members, and each gets one output member"),
        ([0, 1, 2, 3, 3], {}, "must have distinct whole numbers"),
        ([0.5, 1, 2, 3, 4], {}, "from 0 to 2147483647; they have 0.5, 1.0, 2.0"),
        ([-1, 1, 2, 3, 4], {}, "have distinct whole numbers"),
    ],
)
def test_ensembles_that_cannot_be_paired(ensemble, toy_model, numbers, options, message):
    odd = ensemble.assign_coords(realization=list(numbers))
    with pytest.raises(flexclim.FlexclimError, match=message) as caught:
        run(odd, toy_model, **({"members": None} | options))
    assert "\n" not in str(caught.value)


def test_one_member_is_a_field_and_realization_no_name(ensemble, region, toy_model):
    assert run(ensemble.isel(realization=0), toy_model).sizes["realization"] == 2
    with pytest.raises(flexclim.FlexclimError, match="can't have the name 'realization'"):
        run(region.rename("realization"), toy_model)


def test_planning_computes_nothing(region, toy_model):
    def explode(block):
        raise RuntimeError("computed while planning")

    lazy = region.copy(data=da.from_array(region.values).map_blocks(explode, dtype="float32"))
    fine = run(lazy, toy_model)
    assert isinstance(fine.data, da.Array)
    with pytest.raises(RuntimeError, match="computed while planning"):
        fine.compute(scheduler="synchronous")


@pytest.mark.usefixtures("single_planes")
def test_slicing_computes_only_what_is_needed(globe, fine_globe, toy_model, monkeypatch):
    calls = []
    sample = flexclim.sampling.downscaling_graph.sample_members

    def counted(prepared, plan, place, members):
        calls.extend((one.time, members) for one in place.every())
        return sample(prepared, plan, place, members)

    monkeypatch.setattr("flexclim.sampling.downscaling_graph.sample_members", counted)
    fine = run(globe.chunk(time=1), toy_model, batch=4)
    one = fine.isel(realization=1, time=1).compute(scheduler="synchronous")
    assert calls == [("2018-09-14T06:00:00.000000", (1,))]
    close(one, fine_globe.isel(realization=1, time=1))


def test_dask_and_numpy_agree_bit_for_bit(globe, fine_globe, toy_model):
    eager = fine_globe
    assert isinstance(eager.data, np.ndarray)
    for chunks in ({"time": 1}, {"time": 3, "lat": 7, "lon": 5}):
        np.testing.assert_array_equal(run(globe.chunk(chunks), toy_model).values, eager.values)


@pytest.mark.parametrize("batch", [1, 3, 64])
def test_batches_change_no_pixel(globe, fine_globe, toy_model, batch):
    close(run(globe, toy_model, batch=batch), fine_globe)


def test_fewer_members_and_a_sub_period_keep_their_numbers(globe, fine_globe, toy_model):
    whole = fine_globe
    part = run(globe.isel(time=slice(1, 2)), toy_model, members=1)
    close(part, whole.isel(time=slice(1, 2), realization=slice(0, 1)))
    scalar = run(globe.isel(time=2), toy_model, members=1)
    close(scalar, whole.isel(time=2, realization=slice(0, 1)))


def test_seeds_members_and_times_differ(globe, toy_model):
    same = globe.copy(data=np.broadcast_to(globe.values[:1], globe.shape).copy())
    fine = run(same, toy_model)
    for other in (fine[1, 0], fine[0, 1], run(same, toy_model, seed=1)[0, 0]):
        assert abs(float(xr.corr(fine[0, 0] - fine.mean(), other - fine.mean()))) < 0.9
        assert float(np.abs(fine[0, 0].values - other.values).max()) > 0.1
    frozen = run(same, toy_model, noise="frozen")
    np.testing.assert_array_equal(frozen[:, 0].values, frozen[:, 1].values)


def test_noise_of_random_amplitude_belongs_to_the_pixel(globe, toy_model):
    """It wraps in longitude, and is the same in regions and for fewer members and times."""
    model = toy_model.replace(noise_amplitude=0.5)
    whole = run(globe, model)
    assert float(abs(whole - run(globe, toy_model)).mean()) > 0.1 * float(whole.std())
    rolled = globe.roll(lon=9, roll_coords=True)
    xr.testing.assert_allclose(run(rolled, model).sortby("lon"), whole.sortby("lon"), atol=1e-4)
    part = run(globe.isel(time=[2]), model, members=1)
    xr.testing.assert_allclose(part, whole.isel(time=[2], realization=[0]), atol=1e-4)


def test_ar1_noise_correlates_times(globe, toy_model):
    same = globe.copy(data=np.broadcast_to(globe.values[:1], globe.shape).copy())[:2]

    def alike(**options):
        fine = run(same, toy_model, members=4, conserve=False, **options)
        spread = fine - fine.mean("realization")
        return float(xr.corr(spread.isel(time=0, drop=True), spread.isel(time=1, drop=True)))

    assert abs(alike()) < 0.1
    assert alike(noise="ar1", noise_timescale="2D") > 0.8
    whole = run(globe, toy_model, noise="ar1", noise_timescale="6h")
    part = run(globe.isel(time=[2]), toy_model, members=1, noise="ar1", noise_timescale="6h")
    close(part, whole.isel(time=[2], realization=[0]))


def test_rolling_a_global_field_rolls_the_result(globe, fine_globe, toy_model):
    rolled = globe.roll(lon=11, roll_coords=True)
    rolled = rolled.assign_coords(lon=(rolled.lon + 180) % 360 - 180).sortby("lon")
    other = run(rolled, toy_model)
    assert float(other.lon[0]) == -180
    other = other.assign_coords(lon=other.lon % 360).sortby("lon")
    close(other, fine_globe)


def test_flipping_latitude_flips_the_result(globe, fine_globe, toy_model):
    close(run(globe[:, ::-1], toy_model)[..., ::-1, :], fine_globe)


@pytest.mark.parametrize("grid", ["cell", "point"])
def test_conserve(region, toy_model, grid):
    fine = run(region, toy_model, grid=grid, conserve=True)
    error = coarsen(fine, 4, grid=grid) - region
    assert float(np.abs(error).max()) < 1e-5 * float(region.std())
    free = run(region, toy_model, grid=grid, conserve=False)
    assert float(np.abs(coarsen(free, 4, grid=grid) - region).max()) > 0.01


@pytest.mark.parametrize("options", [{}, {"non_negative": True}, {"grid": "point"}])
def test_bands_of_rows_change_no_bit(region, toy_model, options, monkeypatch):
    whole = run(region, toy_model, **options)
    monkeypatch.setattr("flexclim.grids.operators.AT_ONCE", 500)
    xr.testing.assert_equal(run(region, toy_model, **options), whole)


def test_rain_is_never_negative_and_dry_stays_dry(region, toy_model):
    rain = np.maximum(region - 0.5, 0).rename("tp").assign_attrs(units="mm h-1")
    rain.attrs["standard_name"] = "precipitation_flux"
    fine = run(rain, toy_model, grid="cell")
    assert float(fine.min()) >= 0
    dry = (rain == 0).values.repeat(4, -1).repeat(4, -2)
    assert (fine.values[:, dry] == 0).all()


def test_missing_cells_stay_missing_and_others_do_not(region, toy_model):
    holes = region.where(~((region.lat > 46) & (region.lon < 9)))
    fine = run(holes, toy_model, grid="cell")
    expected = np.isnan(holes.values).repeat(4, -1).repeat(4, -2)
    np.testing.assert_array_equal(np.isnan(fine.values[0]), expected)
    assert np.isnan(run(region * np.nan, toy_model)).all()


def test_small_domains_are_padded(toy_model, region):
    assert run(region.isel(lat=slice(0, 2), lon=slice(0, 2)), toy_model).shape[-2:] == (8, 8)


def test_other_dimensions_and_calendars(toy_model, region):
    pytest.importorskip("cftime")
    times = xr.date_range("2000-02-28", periods=2, freq="D", calendar="noleap", use_cftime=True)
    field = region.assign_coords(time=times).expand_dims(level=[500.0, 850.0]).copy()
    fine = run(field, toy_model)
    assert fine.dims == ("realization", "level", "time", "lat", "lon")
    one = run(field.sel(level=850.0), toy_model)
    close(one, fine.sel(level=850.0))
    assert run(region.isel(time=0, drop=True), toy_model).dims == ("realization", "lat", "lon")


def test_datasets_keep_their_other_variables(toy_model, region):
    ds = region.to_dataset().assign(n=("time", [1, 2]))
    fine = run(ds, toy_model)
    assert fine["t"].dims == ("realization", "time", "lat", "lon")
    assert {"lat_bnds", "lon_bnds"} <= set(fine.variables)


def test_inputs_are_not_changed(toy_model, region):
    before = region.copy(deep=True)
    run(region, toy_model)
    xr.testing.assert_identical(region, before)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: f, {"factor": 3}, "was not trained at x3; it knows 2, 4, 8"),
        (lambda f: f, {"factor": 0}, "factor 0 is not a whole number"),
        (lambda f: f, {"members": 0}, "members=0 is not a whole number"),
        (lambda f: f, {"model": 3}, "model=3 is neither a name nor a folder"),
        (lambda f: f.to_dataset(), {"variables": []}, "variables is empty"),
        (lambda f: f, {"conserve": "no"}, "conserve='no' is neither True nor False"),
        (lambda f: f, {"compile": "no"}, "compile='no' is neither True nor False"),
        (lambda f: f, {"noise": "pink"}, "noise='pink' is not one of"),
        (lambda f: f, {"noise": "ar1"}, "holds no correlation time"),
        (lambda f: f, {"noise_timescale": "6h"}, "noise_timescale is for noise="),
        (
            lambda f: f,
            {"noise": "ar1", "noise_timescale": "6"},
            "noise_timescale='6' is not a time",
        ),
        (lambda f: f, {"noise": "ar1", "noise_timescale": 6}, "noise_timescale=6 is not a time"),
        (lambda f: f, {"noise": "ar1", "noise_timescale": "six"}, "not a time span"),
        (lambda f: f, {"precision": "int8"}, "precision='int8' is not one of"),
        (lambda f: f, {"overlap": 20}, "overlap 20 does not fit tiles of 32 x 32"),
        (lambda f: f.where(f < 1, np.inf), {}, "infinite or fill values"),
        (lambda f: f.where(f < 1, 9.97e36), {}, "infinite or fill values"),
        (lambda f: f.rename(lat="a"), {}, "lat"),
        (lambda f: f.assign_coords(lon=f.lon.values % 7), {}, "lon"),
    ],
)
def test_bad_input_gets_one_line(toy_model, region, change, options, message):
    with pytest.raises(flexclim.FlexclimError, match=message) as caught:
        run(change(region), **({"model": toy_model} | options))
    assert "\n" not in str(caught.value)
