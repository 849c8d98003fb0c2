"""What forecasts are learnt from."""

import numpy as np
import pytest
import torch
import xarray as xr

from flexclim import load_model
from flexclim.errors import FlexclimError, RecipeError
from flexclim.grids.operators import ALL
from flexclim.resampling import coarsen
from flexclim.sampling.network_inputs import forecast_inputs, physical
from flexclim.train import fit, load_recipe
from flexclim.train.data.feed import open_feed
from flexclim.train.data.sequences import runs
from flexclim.train.data.sources import open_fields
from flexclim.train.data.splits import open_sources
from flexclim.train.loop import learner
from flexclim.train.loop.losses import EnsembleLoss, rolled

FORECAST = (
    "data.tasks={forecast: 1}",
    "data.scaling=fixed",
    "data.inputs=[u10, v10]",
    "data.sources.0.variables=[]",
    "data.sources.0.signed=false",
    "data.forecast.leads={6h: 1, 12h: 1}",
)
BOTH = (*FORECAST[1:], "data.tasks={superres: 1, forecast: 3}", "data.points=1")


def read(folder, *overrides):
    return load_recipe(folder / "tiny.yaml", overrides)


@pytest.fixture
def feed(folder):
    return open_feed(read(folder, *FORECAST, "data.label=[lead, day_of_year]"), None)


@pytest.mark.parametrize("kind", ["dates", "cftime", "counts"])
def test_runs_are_found_by_time(kind):
    hours = np.array([12, 0, 6, 9, 24, 18, 33])
    stamps = hours
    if kind == "dates":
        stamps = np.datetime64("2018-12-31") + hours.astype("timedelta64[h]")
    if kind == "cftime":
        start = xr.date_range(
            "2018-12-30", periods=40, freq="h", calendar="360_day", use_cftime=True
        )
        stamps = np.array([start[hour] for hour in hours])
    found = [[hours[index].item() for index in row] for row in runs(stamps, 6, 2)]
    assert sorted(found) == [[0, 6, 12], [6, 12, 18], [12, 18, 24]]
    assert [list(hours[row]) for row in runs(stamps, 9, 3)] == []
    assert sorted(list(hours[row]) for row in runs(stamps, 9, 1)) == [[0, 9], [9, 18], [24, 33]]


def test_what_is_learnt_is_what_a_forecast_adds(feed, folder):
    made, settings = feed.train, feed.settings
    truth = xr.open_dataset(folder / "wind.nc")
    for position in range(6):
        drawn = made.draw(0, position)
        patch = made.patch(0, position)
        inputs, residual, label = patch["inputs"], patch["residual"], patch["label"]
        assert inputs.shape == (4, 32, 32)
        assert label[0] == np.float32(np.log2(drawn.lead / 6))
        later = drawn.time + np.timedelta64(int(drawn.lead), "h")
        assert later in truth.time
        scaled = forecast_inputs(drawn.fields[:-1], drawn.lead, settings)(ALL)
        fine = physical(scaled, residual.astype(float), settings.targets)
        np.testing.assert_allclose(fine, drawn.fields[-1], atol=1e-4)
        plane = truth.sel(time=later).u10.values
        assert np.isin(drawn.fields[-1, 0].astype("float32"), plane).all()


def test_changes_have_unit_size_at_each_lead(feed):
    batch = feed.train.batch(0, 48)
    assert batch.task == "forecast"
    for lead in (0.0, 1.0):
        own = batch.residual[batch.label[:, 0] == lead]
        assert own.std() == pytest.approx(1, abs=0.3)


def test_a_roll_out_learns_from_what_follows_steps_later(folder):
    recipe = read(folder, *FORECAST, "data.forecast.leads={6h: 1}", "data.forecast.rollout=2")
    feed = open_feed(recipe, None)
    truth = xr.open_dataset(folder / "wind.nc")
    aheads = [feed.train.ahead(step) for step in range(20)]
    assert set(aheads) == {1, 2}
    drawn, settings, step = feed.train.draw(0, 0), feed.settings, aheads.index(2)
    patch = feed.train.learnt(drawn, 2)
    scaled = forecast_inputs(drawn.fields[:2], drawn.lead, settings)(ALL)
    fine = physical(scaled, patch["later"].astype(float), settings.targets)
    np.testing.assert_allclose(fine, drawn.fields[3], atol=1e-4)
    plane = truth.sel(time=drawn.time + np.timedelta64(12, "h")).u10.values
    assert np.isin(drawn.fields[3, 0].astype("float32"), plane).all()
    # One step right, the next one reads what it would have read then.
    names = "inputs", "residual", "scale"
    inputs, made, unit = (torch.from_numpy(patch[name][None]) for name in names)
    found = rolled(inputs, made, unit, past=2)[0][0]
    wanted = forecast_inputs(drawn.fields[1:3], drawn.lead, settings)(ALL).inputs
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    batch = feed.train.batch(step, 3)
    assert batch.ahead == 2
    np.testing.assert_array_equal(
        batch.later[0], feed.train.learnt(feed.train.draw(step, 0), 2)["later"]
    )
    assert fit(recipe).exists()


def test_roll_outs_of_training_keep_to_what_may_not_be_negative(folder, monkeypatch):
    seen = []

    class Loss(EnsembleLoss):
        def __init__(self, *args, **options):
            seen.append(options["lowest"])
            super().__init__(*args, **options)

    monkeypatch.setattr(learner, "EnsembleLoss", Loss)
    targets = "data.targets=[{name: u10, non_negative: true}, v10]"
    recipe = read(folder, *FORECAST, targets, "data.forecast.leads={6h: 1}")
    wind = load_model(fit(recipe)).settings.targets[0]
    assert seen[0].tolist() == pytest.approx([-wind.mean / wind.std, -np.inf])


def test_splits_are_kept(feed):
    times = {feed.check["forecast"].draw(0, position).time for position in range(8)}
    assert min(times) >= np.datetime64("2018-10-03")


def test_rows_and_columns_may_be_turned(folder):
    """A mirrored patch is that of the mirrored field, whose components change sign."""
    plain, turned = (
        open_feed(read(folder, *FORECAST, *more), None).train
        for more in ([], ["data.augment=[flip_x]"])
    )
    for position in range(8):
        first, second = plain.draw(0, position).fields, turned.draw(0, position).fields
        if not np.array_equal(first, second):
            np.testing.assert_array_equal(second[:, 0], -first[:, 0, :, ::-1])
            np.testing.assert_array_equal(second[:, 1], first[:, 1, :, ::-1])
            return
    pytest.fail("no patch was turned")


def test_unknown_truth_is_not_learnt(folder):
    ds = xr.load_dataset(folder / "wind.nc")
    ds.u10[:, :30] = np.nan
    ds.to_netcdf(folder / "gaps.nc")
    made = open_feed(read(folder, *FORECAST, "data.sources.0.path=gaps.nc"), None).train
    batch = made.batch(0, 8)
    assert np.isfinite(batch.inputs).all()
    assert np.isnan(batch.residual[:, 0]).any()
    assert np.isfinite(batch.residual[:, 1]).all()


def test_as_many_patches_hold_rain_as_are_asked_for(folder):
    ds = xr.load_dataset(folder / "wind.nc")
    ds.u10[:] = -1
    ds.u10[:, :, :12] = 1
    ds.u10[0] *= 2
    ds.to_netcdf(folder / "rain.nc")
    rain = "data.sources.0.rain={wet: 0.2, above: 0, share: 0.5}"
    made = open_feed(read(folder, *FORECAST, "data.sources.0.path=rain.nc", rain), None).train
    drawn = [made.draw(0, position).fields[-2, 0] for position in range(100)]
    # A quarter of all patches is wet: 1/2 + 1/2 x 1/4.
    assert 0.52 < np.mean([(field > 0).mean() >= 0.2 for field in drawn]) < 0.75


def test_a_network_that_is_told_nothing_takes_a_zero(folder):
    feed = open_feed(read(folder, *FORECAST, "data.label=[]"), None)
    assert (feed.settings.labels, feed.settings.network.label_size) == ((), 1)
    np.testing.assert_array_equal(feed.train.batch(0, 2).label, np.zeros((2, 1), "float32"))


def test_infinite_values_are_refused(folder):
    ds = xr.load_dataset(folder / "wind.nc")
    ds.where(ds.latitude < 80, np.inf).to_netcdf(folder / "bad.nc")
    with pytest.raises(FlexclimError, match=r"'u10' has 512 infinite or fill values at bad.nc"):
        open_feed(read(folder, *FORECAST, "data.sources.0.path=bad.nc"), None)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.forecast.leads={5h: 1}"], r"wind.nc has no 3 times of one split .* 5h apart"),
        (["data.forecast.past=9"], r"no 10 times of one split that are 6h apart"),
        (["data.forecast.leads={6h: 1, 1D: 1}", "data.forecast.past=2"], r"lead 24 h .* 3 times"),
        (["data.forecast.leads={soon: 1}"], r"'soon' is no time span such as 6h"),
        (["data.forecast.leads={6: 1}"], r"'6' is no time span such as 6h"),
        (
            ["data.inputs=[]", "data.sources.0.variables=[u10]", "data.scaling=local"],
            r"forecasts need inputs by name",
        ),
        (["data.label=[reynolds]"], r"sources.0.label does not give it"),
        (["data.targets=[u10]"], r"read what they make: input v10 is no target; leave it out"),
        (
            [
                "data.tasks={superres: 1, forecast: 1}",
                "data.targets=[u10]",
                "data.sources.0.rain={wet: 0.5, variable: v10}",
            ],
            r"sources.0.rain.variable v10 is not forecast; name one of u10",
        ),
        (
            [
                "data.sources.0.path=counts.nc",
                "data.label=[day_of_year]",
                "data.sources.0.train=['0', '7']",
                "data.sources.0.validate=['8', '11']",
            ],
            r"day_of_year needs dates, and counts.nc counts its times",
        ),
        (["network.tile=[128, 128]"], r"larger than the field of \(65, 128\) in wind.nc"),
    ],
)
def test_what_does_not_do_is_told(folder, overrides, message):
    ds = xr.load_dataset(folder / "wind.nc")
    ds.drop_vars("time").to_netcdf(folder / "counts.nc")
    with pytest.raises(RecipeError, match=message) as caught:
        open_feed(read(folder, *FORECAST[:-1], *overrides), None)
    assert "\n" not in str(caught.value)


def test_sources_tell_numbers(folder):
    recipe = read(
        folder,
        *FORECAST,
        "data.label=[{name: reynolds, logarithm: true}]",
        "data.sources.0.label={reynolds: 1000}",
    )
    feed = open_feed(recipe, None)
    (told,) = feed.settings.labels
    assert (told.name, told.mean, told.std) == ("reynolds", 3.0, 1.0)
    assert (feed.train.batch(0, 2).label == 0).all()


def test_fields_are_averaged_first(folder):
    ds = xr.load_dataset(folder / "wind.nc").isel(latitude=slice(64), longitude=slice(0, 100))
    ds.u10[0, :1, :3] = np.nan
    ds.u10[0, 2:4, 5:7] = ds.u10[0, 2, 4] = np.nan
    ds.to_netcdf(folder / "cells.nc")
    data = read(folder, *FORECAST, "data.sources.0.path=cells.nc", "data.sources.0.coarsen=2").data
    (source,) = open_sources(data, "train")
    assert source.grid.domain.shape == (32, 50)
    found = source.series["u10"].read(0, slice(0, 5), slice(0, 9))
    part = ds.u10[0, :10, :18]
    half = abs(float(ds.latitude[1] - ds.latitude[0])) / 2
    latitude = ds.latitude[:10]
    north, south = np.deg2rad((latitude + half).clip(max=90)), np.deg2rad(latitude - half)
    area = np.sin(north) - np.sin(south)
    sides = {"latitude": 2, "longitude": 2}
    weight = (part.notnull() * area).coarsen(sides).sum()
    blocks = (part * area).coarsen(sides).sum() / weight
    blocks[1, 2] = np.nan  # one cell of four is known; half are of its neighbour
    np.testing.assert_allclose(found, blocks, atol=1e-5)
    expected = ds.latitude.coarsen(latitude=2).mean()
    np.testing.assert_allclose(source.fields.template.latitude, expected)


@pytest.mark.parametrize("repeats", [False, True])
def test_points_are_averaged_about_every_second_one(folder, repeats):
    latitude, longitude = np.linspace(90, -90, 91), np.arange(0, 360, 4.0)
    values = np.random.default_rng(0).normal(size=(4, 91, 90)).astype("float32")
    coords = {"time": xr.date_range("2018-10-01", periods=4), "latitude": latitude}
    wind = xr.Dataset(
        {"u10": (("time", "latitude", "longitude"), values, {"units": "m s-1"})},
        coords | {"longitude": longitude},
    )
    first = wind.isel(longitude=[0]).assign_coords(longitude=[360.0])
    stored = xr.concat([wind, first], "longitude") if repeats else wind
    stored.to_netcdf(folder / "points.nc")
    (reading,) = read(
        folder, "data.sources.0.path=points.nc", "data.sources.0.coarsen=2"
    ).data.sources
    fields = open_fields(reading, str(folder), ["u10"])
    means = coarsen(wind.u10, 2)
    assert means.shape == (4, 46, 45)
    series = fields.series["u10"]
    np.testing.assert_allclose(series.read_all(np.arange(4)), means, atol=1e-5)
    np.testing.assert_allclose(
        series.read(2, slice(10, 30), slice(40, 45)), means[2, 10:30, 40:45], atol=1e-5
    )
    np.testing.assert_array_equal(fields.template.latitude, means.latitude)
    np.testing.assert_array_equal(fields.template.longitude, means.longitude)
    assert fields.grid().domain.kind == "point"


def test_steps_take_turns_by_their_shares(folder):
    made = open_feed(read(folder, *BOTH), None).train
    tasks = [made.batch(step, 1).task for step in range(40)]
    assert 22 <= tasks.count("forecast") <= 37
    assert tasks == [made.batch(step, 1, 1).task for step in range(40)]  # on any rank


def test_the_choice_of_the_task_leaves_that_of_patches_alone(folder):
    feed = open_feed(read(folder, *BOTH, "data.tasks={superres: 1, forecast: 1}"), None)
    turned = read(folder, *BOTH, "data.tasks={forecast: 1, superres: 1}")
    first, second = feed.train, open_feed(turned, feed.fitted).train
    steps = [step for step in range(20) if first.batch(step, 1).task == "forecast"]
    assert steps == [step for step in range(20) if second.batch(step, 1).task == "forecast"]
    for position in range(9):
        leads = {first.parts["forecast"].draw(step, position).lead for step in steps}
        assert leads == {6.0, 12.0}


@pytest.mark.parametrize("overrides", [FORECAST, BOTH])
def test_a_model_is_trained_and_lists_what_it_does(folder, overrides):
    recipe = read(folder, *overrides, "trainer.label_dropout=0.5")
    model = load_model(fit(recipe))
    both = overrides is BOTH
    assert model.card.leads == (6.0, 12.0)
    assert model.card.tasks == (("downscaling",) if both else ()) + ("forecasting",)
    assert model.settings.network.conditions.get("forecast") == 4
    assert [part.name for part in model.settings.labels][-2:] == ["lead", "given"]
    assert ("forecast_crps" in model.card.scores) is both
    assert "persistence" in model.card.notes
