"""Several planes of a small field in one task: values as those of single planes, short graphs."""

from functools import partial

import coarse_fields
import dask
import numpy as np
import pytest
import xarray as xr

import flexclim
from flexclim.planning.plan import SamplingPlan
from flexclim.planning.task_sizes import TaskSize

DRY = xr.DataArray([0, 1, 0, 2, 0], dims="time")  # leaves whole planes without rain


@pytest.fixture
def taking(monkeypatch):
    """Return a function that sets how many planes and members a task takes."""

    def taking(planes, members):
        size = TaskSize(planes=planes, members=members)
        monkeypatch.setattr("flexclim.planning.plan.choose_task_size", lambda **_: size)

    return taking


@pytest.fixture
def field():
    """Return five times, with a gap in one of them."""
    field = coarse_fields.region(5, 4, 6)
    field[3, 2:4, 4:] = np.nan
    return field


def ensemble():
    numbers = xr.DataArray(np.arange(4), dims="realization", name="realization")
    return coarse_fields.region(5, 4, 6) + 0.3 * numbers.assign_coords(realization=numbers)


def close(found, expected):
    scale = float(expected.std())
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * scale)


BLOCKINGS = (2, 3), (4, 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"batch": 4},
        {"batch": 3, "noise": "ar1", "noise_timescale": "9h"},
        {"batch": 5, "noise": "frozen", "overlap": 16, "steps": 1},
    ],
    ids=["defaults", "ar1", "frozen"],
)
def test_values_are_those_of_single_planes(field, toy_model, taking, options):
    run = partial(flexclim.downscale, factor=4, model=toy_model, members=3, **options)
    taking(1, 1)
    alone = run(field)
    for planes, members in BLOCKINGS:
        taking(planes, members)
        close(run(field), alone)
        fine = run(field.chunk(time=3, lon=4))
        assert max(fine.chunks[1]) == min(planes, 5)
        close(fine.isel(time=slice(2, 4), realization=[2, 1]), alone[[2, 1], 2:4])


def test_rain_keeps_its_bounds_and_means_plane_by_plane(field, toy_model, taking):
    rain = (abs(field).fillna(1) * DRY).assign_attrs(
        units="mm", standard_name="precipitation_amount"
    )
    run = partial(flexclim.downscale, rain.rename("pr"), 4, model=toy_model, members=2, batch=4)
    taking(1, 1)
    alone = run()
    taking(4, 2)
    close(found := run(), alone)
    assert float(alone.min()) == 0
    np.testing.assert_array_equal(found.isel(time=[0, 2, 4]), 0)


@pytest.mark.slow
def test_members_with_planes_of_their_own(toy_model, taking):
    run = partial(flexclim.downscale, ensemble(), 4, model=toy_model, batch=4)
    taking(1, 1)
    alone = run()
    for planes, members in BLOCKINGS:
        taking(planes, members)
        close(run(), alone)


@pytest.mark.slow
def test_features_that_are_not_kept(field, toy_model, taking, monkeypatch):
    run = partial(flexclim.downscale, field, 4, model=toy_model, members=3, batch=2)
    taking(1, 1)
    alone = run()
    monkeypatch.setattr("flexclim.planning.plan.kept_tiles", lambda *_: 0)
    taking(4, 3)
    close(run(), alone)


@pytest.mark.slow
def test_several_variables_levels_and_times_of_a_label(make_toy, taking):
    """Labels and static fields differ between the planes of a task."""
    from flexclim.models.channels import Label, Static, Target, Variable

    names = "u10", "v10"
    model = make_toy(
        2,
        2 + 2,
        inputs=tuple(Variable(name=name) for name in names),
        targets=tuple(Target(name=name, base=name) for name in names),
        statics=(Static(name="solar_time"),),
        label=(Label(name="day_of_year"),),
        network={"label_size": 2},
    )
    one = coarse_fields.region(5, 6, 9)
    ds = xr.Dataset({"u10": one, "v10": one[::-1].assign_coords(time=one.time)})
    ds = ds.expand_dims(height=[2.0, 10.0], axis=1) * xr.DataArray([1.0, 2.0], dims="height")
    run = partial(flexclim.downscale, ds, 4, model=model, members=2, batch=4)
    taking(1, 1)
    alone = run()
    taking(4, 2)
    found = run()
    for name in names:
        assert found[name].dims == ("realization", "time", "height", "lat", "lon")
        close(found[name], alone[name])


def test_a_stopped_run_goes_on(field, toy_model, taking, tmp_path, monkeypatch, sampled):
    """Shards hold the times of a task here; those of the first task are kept."""
    taking(2, 2)
    monkeypatch.setattr("flexclim.stores.layout.SHARD_TIMES", 1)
    noted = flexclim.sampling.downscaling_graph.sample

    def dies(*arguments):
        if len(sampled) >= 3:
            raise KeyboardInterrupt
        return noted(*arguments)

    run = partial(flexclim.downscale_to_zarr, field, tmp_path / "a.zarr", 4, model=toy_model)
    run = partial(run, members=2, steps=1, batch=4)
    with monkeypatch.context() as patch, dask.config.set(scheduler="synchronous"):
        patch.setattr("flexclim.sampling.downscaling_graph.sample", dies)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert flexclim.stores.progress_of(tmp_path / "a.zarr").done["t"] == 4
    left = 5 - len(sampled)
    sampled.clear()
    stored = run()
    assert len(sampled) == left
    fine = flexclim.downscale(field, 4, model=toy_model, members=2, steps=1, batch=4)
    np.testing.assert_array_equal(stored.t, fine)


def test_a_store_extends_with_new_tasks(field, toy_model, taking, tmp_path, monkeypatch):
    """What it holds is not computed again, and what is added has the same values."""
    taking(4, 2)
    options = {"factor": 4, "model": toy_model, "members": 2, "steps": 1, "batch": 4}
    run = partial(flexclim.downscale_to_zarr, store=tmp_path / "a.zarr", **options)
    run(field[:3])
    planned, groups = [], SamplingPlan.plane_groups

    def noted(*given):
        planned.append(groups(*given))
        return planned[-1]

    monkeypatch.setattr(SamplingPlan, "plane_groups", noted)
    stored = run(field)
    assert [(part.start, part.stop) for part in planned[-1]] == [(0, 3), (3, 5)]
    taking(1, 1)
    close(stored.t, flexclim.downscale(field, **options))


def test_decades_are_planned_in_few_tasks(toy_model):
    """As many tasks as blocks of planes and members, none for single planes."""
    field = coarse_fields.region(2000, 6, 8).chunk(time=365)
    fine = flexclim.downscale(field, 4, model=toy_model, members=8)
    (optimised,) = dask.optimize(fine)
    tasks = len(dict(optimised.__dask_graph__()))
    assert len(fine.chunks[1]) < 2000 / 8
    assert tasks < 6 * len(fine.chunks[1])
